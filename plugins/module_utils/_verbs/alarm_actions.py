# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The alarms of a deployment send no messages while a verb works on it.

An alarm whose actions are off still changes its state. One that fires meanwhile and goes on after the verb is not told
again (CloudWatch User Guide, "Alarm actions"): the status shows what is wrong then.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._cloudwatch import alarms
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers


class AlarmActions:
    """The actions of a deployment's alarms, if it has any: the tags of its service say so.

    Args:
        clients: returns the client of a service; that of CloudWatch is made for a deployment with alarms alone.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def mute(self, tags: Mapping[str, str]) -> str:
        """Switch the actions off; return why that failed, empty if it did not. No verb fails for it."""
        return self._switch(markers.alarm_prefix(tags), on=False)

    def unmute(self, tags: Mapping[str, str]) -> str:
        """Switch the actions on again; return why that failed, empty if it did not.

        Those of a deployment that is stopped stay off, as its alarms on missing tasks would fire at once.
        """
        if markers.stopped(tags):
            return ""
        return self._switch(markers.alarm_prefix(tags), on=True)

    def _switch(self, prefix: str, *, on: bool) -> str:
        if not prefix:
            return ""
        try:
            alarms.switch_actions(self._clients("cloudwatch"), prefix, on=on)
        except (AnsibleAWSError, BotoCoreError, ClientError) as e:
            reason = str(getattr(e, "message", "") or e).rstrip(".")
            if on:
                return f"The alarms {prefix}* are still muted, which the next deploy ends: {reason}."
            return f"The alarms {prefix}* could not be muted, and may fire meanwhile: {reason}."
        return ""
