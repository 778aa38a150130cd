# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The removal of an instance that a restore has replaced, once somebody confirms it by its name."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import snapshot
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Family
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import complete_first
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb


class Removal:
    """One run of it.

    Args:
        tools: what the steps work with.
        name: of the instance that is to be removed.
        hints: how the user sets what messages ask for.
    """

    def __init__(self, tools: Tools, name: str, hints: Hints) -> None:
        self._tools = tools
        self._name = name
        self._hints = hints
        self._family = Family()

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: it is not an instance that a restore of this deployment has replaced.
        """
        target.require(self._tools.clients, self._tools.deployment, changing=resume)
        self._family = self._tools.instances.family()
        if begun := self._family.unfinished:
            # What it has replaced is its way back.
            raise UserError(f"{complete_first(begun.source, self._hints)} Nothing was removed.")
        names = [str(one["DBInstanceIdentifier"]) for one in self._family.replaced]
        if self._name in names:
            return True
        if snapshot.find(self._tools.clients("rds"), self._name):
            # It was removed, and its final snapshot is there.
            return False
        there = f"There is {', '.join(names)}." if names else "There is none."
        raise UserError(
            f"'{self._name}' is not an RDS instance that a restore of '{self._tools.deployment.name}' has replaced."
            f" {there} Nothing was removed."
        )

    def verb(self) -> Verb:
        """Return the verb with its steps."""
        instance = next((one for one in self._family.replaced if one["DBInstanceIdentifier"] == self._name), {})
        steps = [
            Step(
                f"Make sure of the final snapshot {self._name}",
                self._take_snapshot,
                duration=ExpectedDuration(0, 15, fixed=10),
                cost="the snapshot's storage, until you delete it",
            ),
            Step(
                f"Delete the RDS instance {self._name} and its automated backups",
                self._delete,
                duration=ExpectedDuration(3, 15, fixed=10),
                cost=f"saves {self._tools.daily_cost(instance)}",
            ),
        ]
        again = self._hints.command("confirm", self._name)
        return Verb("restore", self._tools.deployment.name, steps, self._serving, self._kept, again, self.preflight)

    def _take_snapshot(self) -> None:
        tools = self._tools
        snapshot.take(tools.clients("rds"), self._name, self._name, tools.place.tags, tools.wait_options)

    def _delete(self) -> None:
        self._tools.instances.delete(self._name, wait_for_it=True)

    def _serving(self) -> str:
        return "The server serves as before: it has nothing to do with that instance."

    def _kept(self) -> str:
        return f"The RDS instance {self._name} is still there, unless it is being deleted."
