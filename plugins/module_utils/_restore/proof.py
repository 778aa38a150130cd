# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Whether a restored database is what it should be, before the server gets it and after."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Origin
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools


class Proof:
    """Reads the databases of one restore.

    Args:
        tools: what the steps work with.
        accept: how the user accepts what a check finds; empty if it is accepted.

    Attributes:
        found: what was read last, as database_report.py writes it.
        notes: what was odd, or worth to be known.
    """

    def __init__(self, tools: Tools, accept: str) -> None:
        self._tools = tools
        self._accept = accept
        self.found: Document = {}
        self.notes: list[str] = []

    def copy(self, service: Document, name: str, run: str, origin: Origin, live: Instance | None) -> None:
        """Read a copy.

        Args:
            service: whose roles and network the task gets.
            name: identifier of the copy.
            run: part of the name of what the task leaves.
            origin: what the copy is compared with.
            live: the live instance, to compare with where no manifest says what there was; None with a manifest.

        Raises:
            UserError: something is wrong, and is not accepted.
        """
        expected, before = origin.expected, Document()
        if live and live.get("DBInstanceStatus") in wait.READY:
            before = self._tools.reader.read(service, live["Endpoint"], f"{run}-live")
            # The server must be able to work with the tables at least.
            expected = {"revisions": before["revisions"]}
        self.found = self._tools.reader.read(service, self._endpoint(name), run, origin.image)
        self._judge(expected)
        if before:
            self.notes.append(f"Before, the database had {check.summary(before)}.")

    def live(self, service: Document, name: str, run: str, origin: Origin) -> None:
        """Read the restored database behind the server.

        Raises:
            UserError: something is wrong, and is not accepted.
        """
        self.found = self._tools.reader.read(service, self._endpoint(name), f"{run}-served")
        # The server may have brought its tables to a version of its own.
        self._judge({"counts": origin.expected.get("counts") or {}})

    def _judge(self, expected: Mapping[str, Document]) -> None:
        compared = check.compare(self.found, expected)
        wrong = [*compared.wrong, *check.unreadable(self.found)]
        if wrong and self._accept:
            raise UserError("\n".join([*wrong, f"To restore it all the same: {self._accept}"]))
        self.notes += [one for one in [*compared.fewer, *wrong] if one not in self.notes]

    def _endpoint(self, name: str) -> Document:
        instance = wait.wait_ready(self._tools.clients("rds"), name, self._tools.wait_options)
        return dict(instance["Endpoint"])
