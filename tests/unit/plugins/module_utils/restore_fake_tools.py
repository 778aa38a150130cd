# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of restore and drill work with, over the stand-ins of restore_fake.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Deleted
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.check import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.instances import Instances
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.logins import CopiedLogins
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import backup_source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.removal import Removal
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.restoration import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.restoration import Restoration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import BEGUN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import WHO
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_instance import OWNER
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting

BACKUP = backup_source("first", "tracking")
HINTS = Hints("restore", "-e mlflow_restore_{name}={value}")


class _FakeTools(Tools):
    """Asks no real server."""

    def wait_for_server(self, service: Any) -> None:
        """The fake one."""
        self.reader.answer()  # type: ignore[attr-defined]


class _Store:
    """The backups of the deployment."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def list(self) -> Any:
        """One backup."""
        return [Backup("first", manifest=self._aws.backup, snapshot={"Status": "available"})]

    def read(self, _key: str) -> Any:
        """What the server of a drill has shown."""
        return dict(self._aws.shown)

    def discard(self, _key: str) -> None:
        """Nothing is left of it."""


class _Artifacts:
    """The artifacts of the deployment."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def find(self, moment: datetime) -> list[Deleted]:
        """What was deleted since the backup."""
        assert moment < BEGUN
        return list(self._aws.deleted)

    def bring_back(self, found: list[Deleted]) -> int:
        """Bring them back one by one."""
        for one in found:
            self._aws.change("artifact", lambda one=one: self._aws.deleted.remove(one))  # type: ignore[misc]
        return len(found)


def make_tools(aws: Aws) -> Tools:
    """What the steps work with."""
    options = WaitOptions(timeout=5, delay=0.0001)
    clients: Any = lambda _service: aws  # noqa: E731
    target = Target("tracking", "default", ARN, WHO)
    return _FakeTools(
        clients=clients,
        deployment=target,
        instances=Instances(clients, "tracking", OWNER, options, remember=lambda _password: None),
        reader=aws,  # type: ignore[arg-type]
        store=_Store(aws),  # type: ignore[arg-type]
        artifacts=_Artifacts(aws),  # type: ignore[arg-type]
        place=Place("bucket", "mlflow", "mlflow", "eu-central-1", OWNER),
        wait_options=options,
        logins=CopiedLogins(clients, LoginTasks(clients, target, "eu-central-1", options), "mlflow", ""),
    )


def restore(
    aws: Aws,
    source: copies.Source = BACKUP,
    *,
    accept: bool = False,
    artifacts: bool = False,
    leave_replicas: bool = False,
) -> Restoration | None:
    """Restore it; None if there is nothing to do."""
    request = Request(source, "tracking", accept, artifacts, HINTS, leave_replicas)
    restoration = Restoration(make_tools(aws), request, wall=lambda: BEGUN)
    return restoration if run(aws, restoration) else None


def run(aws: Aws, what: Restoration | Removal) -> bool:
    """Take the steps under the lock, whoever had it; whether there were any."""
    identity = lock.Identity("tracking", "restore", WHO, "unlock: true")
    run_lock = lock.Lock(aws, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]
    is_needed, left = prepare(what.preflight, run_lock, lift=True)
    if is_needed or left:
        run_steps(what.verb(), run_lock, Progress("tracking", path=""), lift=True)
    return is_needed
