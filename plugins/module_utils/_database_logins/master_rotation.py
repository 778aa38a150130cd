# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb rotate_database_master_password: the master user of the instance gets another password.

The server does not log in as the master user, so it notices nothing. A new password is kept beside the current one
until a task has logged in with it. RDS changes it while the instance is in use (RDS User Guide, "Modifying an Amazon
RDS DB instance", master password).
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import CURRENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import DONE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import PENDING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import is_rotating
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation_run import RotationRun
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation_run import is_completed
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb

VERB = "rotate_database_master_password"


class MasterRotation(RotationRun):
    """One run of the verb."""

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: the password cannot be rotated as the deployment is.
        """
        self._read(resume)
        if is_rotating(self._secret.note):
            raise UserError(
                f"The rotation of the server's login of '{self._deployment.name}' was cut off: complete it first, with"
                " the playbook rotate_database_password. Nothing was changed."
            )
        return bool(self._master.pending) or not is_completed(self._master, self._taken_over)

    def verb(self, again: str) -> Verb:
        """Return the verb with its steps.

        Args:
            again: the command that completes it.
        """
        user = typing.cast(Database, self._database).instance["MasterUsername"]
        steps = [
            Step("Keep a new password beside the current one in the secret", self._prepare),
            Step(
                f"Give the master user {user} the new password",
                self._set,
                self._set_back,
                duration=ExpectedDuration(1, 10, fixed=10),
            ),
            Step(
                "Log in with it, in a task of the server's image",
                self._test,
                duration=ExpectedDuration(1, 5, fixed=30),
                cost="a task for minutes, less than a cent",
            ),
            Step("Make it the current version of the secret", self._promote),
            Step("Note that it is done", self._finish),
        ]
        return Verb(VERB, self._deployment.name, steps, self._serving, self._kept, again, refresh=self._refresh)

    def _refresh(self) -> bool:
        self._is_locked = True
        return self.preflight(resume=True)

    def _prepare(self) -> None:
        self._master.prepare(str(typing.cast(Database, self._database).instance["MasterUsername"]))

    def _set(self) -> None:
        self._modify(PENDING)

    def _set_back(self) -> None:
        """Give the master user the password that the secret has."""
        if self._master.pending:
            self._modify(CURRENT)

    def _modify(self, stage: str) -> None:
        rds, name = self._clients("rds"), self._request.instance
        password = self._master.members(stage)["password"]
        rds.modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword=password, ApplyImmediately=True)
        wait.wait_ready(rds, name, self._wait, ("MasterUserPassword",))

    def _test(self) -> None:
        database = typing.cast(Database, self._database)
        self._tasks.run("test_master", self._service, database, self._secret.arn, master_stage=PENDING)

    def _promote(self) -> None:
        self._master.promote()

    def _finish(self) -> None:
        self._master.write(DONE)
        self.is_done = True

    def _serving(self) -> str:
        return f"The server '{self._deployment.name}' serves as before: it does not log in as the master user."

    def _kept(self) -> str:
        if self._master.pending:
            return "The new password is kept in the secret, as AWSPENDING, and taken by the next run."
        return "The secret has the new password."
