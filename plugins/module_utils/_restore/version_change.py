# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The step of a restore in which the server gets what the backup of another version was run with."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.server import given_back
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Origin
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.exchange import Exchange
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.fence import Fence
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import restored_container
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step


class VersionChange:
    """Gives the server another container while it has no task.

    Args:
        tools: what the steps work with.
        fence: that keeps users away.
        exchange: the restore's instances, whose copy tells what the server had.
        origin: where what is restored comes from.
        live: the live instance; None if it is not known.
        service: as ECS described it in the preflight.
        notes: gets what people should know.
    """

    def __init__(
        self,
        tools: Tools,
        fence: Fence,
        exchange: Exchange,
        origin: Origin,
        *,
        live: Instance | None,
        service: Document,
        notes: list[str],
    ) -> None:
        self._tools = tools
        self._fence = fence
        self._exchange = exchange
        self._origin = origin
        self._live = live
        self._service = service
        self._notes = notes

    def steps(self) -> list[Step]:
        """Return the step, if the backup is of another image."""
        image, begun = self._origin.image, self._exchange.copy
        # A run that was cut off may have changed it already, and it must be possible to change it back.
        former = begun.image if begun.state in copies.FENCED else ""
        if not image or image == (former or _container(self._service).get("image")):
            return []
        rest = "what it was run with" if self._origin.server else "no other command, as the backup records none"
        return [
            Step(
                f"Give the server the image {image} of the backup, and {rest}",
                self._change,
                self._change_back,
                duration=ExpectedDuration(1, 10, fixed=30),
                downtime=True,
            )
        ]

    def _change(self) -> None:
        self._fence.give_container(restored_container(self._described(), self._live, self._origin))
        if not self._origin.server:
            self._notes.append(report.NO_RECORD)

    def _change_back(self) -> None:
        begun = self._exchange.copy
        if begun.image:
            former = target.former_container(self._tools.clients, self._tools.deployment, begun.revision)
            self._fence.give_container(given_back(_container(self._described()), begun.image, former))

    def _described(self) -> Document:
        return target.describe(self._tools.clients, self._tools.deployment) or self._service


def _container(service: Document) -> Document:
    return dict(target.configuration(service).get("primary_container") or {})
