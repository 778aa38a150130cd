# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The exchange of two instances' names, and the tag that says how far a restore has come. Each step can be undone."""

from __future__ import annotations

from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import snapshot
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Copy
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools


class Exchange:
    """One restore's instances.

    Args:
        tools: what the steps work with.
        instance: identifier of the live instance.
        copy: how far the restore has come.
    """

    def __init__(self, tools: Tools, instance: str, copy: Copy) -> None:
        self._tools = tools
        self.names = Names(instance, copy.stamp)
        self.copy = copy
        # Snapshots of copies that users have written to.
        self.served: list[str] = []

    def is_copy(self, instance: Instance) -> bool:
        """Return whether an instance is the copy of this restore."""
        found = copies.copy_of(instance)
        return found is not None and found.stamp == self.copy.stamp

    def note(self, name: str, state: str, image: str = "", *, was_served: bool = False, revision: str = "") -> None:
        """Write into the copy's tag how far it has come."""
        instance = self._tools.instances.find(name)
        if instance is None:
            raise UserError(f"There is no RDS instance {name} any more: somebody else has deleted or renamed it.")
        reached = self.copy.at(state, image, was_served=was_served, revision=revision)
        self._tools.instances.tag(instance, reached.tags())
        self.copy = reached

    def _replaced_tag(self) -> Tags:
        return {copies.REPLACED_KEY: f"by={self.copy.source.kind}={self.copy.source.value}"}

    def delete_copy(self, name: str, now: datetime) -> None:
        """Delete a copy. What users have written to it stays, as a snapshot that has the time in its name."""
        instances = self._tools.instances
        found = copies.copy_of(instances.find(name) or {})
        kept = Names(self.names.instance, found.stamp).served(now) if found and found.was_served else ""
        instances.delete(name, final_snapshot=kept)
        self.served += [kept] if kept else []

    def take_snapshot(self) -> None:
        live = self._tools.instances.find(self.names.instance)
        # A broken one cannot have a snapshot; it is kept itself.
        if live is None or self.is_copy(live) or live["DBInstanceStatus"] in wait.BROKEN:
            return
        tags = {**self._tools.place.tags, **self._replaced_tag()}
        snapshot.take(
            self._tools.clients("rds"), self.names.instance, self.names.replaced, tags, self._tools.wait_options
        )

    def delete_snapshot(self) -> None:
        """Delete the final snapshot, which is out of date as soon as the server writes again."""
        snapshot.delete(self._tools.clients("rds"), self.names.replaced, self._tools.wait_options)

    def rename_live(self) -> None:
        names, instances = self.names, self._tools.instances
        live = instances.find(names.instance)
        if live is None or self.is_copy(live):
            former = instances.find(names.replaced)
            if former is not None:
                instances.rename(former["DbiResourceId"], names.instance, names.replaced, may_be_broken=True)
            return
        instances.tag(live, self._replaced_tag())
        instances.rename(live["DbiResourceId"], names.instance, names.replaced, may_be_broken=True)

    def rename_live_back(self) -> None:
        names, instances = self.names, self._tools.instances
        former = instances.find(names.replaced)
        if former is not None:
            instances.rename(former["DbiResourceId"], names.replaced, names.instance, may_be_broken=True)
            return
        live = instances.find(names.instance)
        if live is not None and not self.is_copy(live):
            # It may be renamed at this moment.
            self._wait_for_original(live)

    def _wait_for_original(self, live: Instance) -> None:
        """Wait for an instance whose renaming was begun, and see to it that it has its name."""
        names, instances = self.names, self._tools.instances
        if live["DBInstanceStatus"] in (*wait.READY, *wait.BROKEN) and not _is_renamed(live):
            return
        instances.rename(live["DbiResourceId"], names.instance, names.replaced)
        instances.rename(live["DbiResourceId"], names.replaced, names.instance)

    def rename_copy(self) -> None:
        names, instances = self.names, self._tools.instances
        live = instances.find(names.instance)
        made = live if live is not None and self.is_copy(live) else instances.find(names.copy)
        if made is None:
            raise UserError(f"There is no RDS instance {names.copy} any more. Run this again: it restores another one.")
        instances.rename(made["DbiResourceId"], names.copy, names.instance)
        self.note(names.instance, copies.SWAPPED)

    def rename_copy_back(self) -> None:
        names, instances = self.names, self._tools.instances
        live = instances.find(names.instance)
        if live is not None and self.is_copy(live):
            instances.rename(live["DbiResourceId"], names.instance, names.copy)
        elif (made := instances.find(names.copy)) is not None and made["DBInstanceStatus"] not in wait.READY:
            instances.rename(made["DbiResourceId"], names.copy, names.instance)
            instances.rename(made["DbiResourceId"], names.instance, names.copy)
        if instances.find(names.copy) is not None:
            self.note(names.copy, copies.FENCING)


def _is_renamed(instance: Instance) -> bool:
    return bool((instance.get("PendingModifiedValues") or {}).get("DBInstanceIdentifier"))
