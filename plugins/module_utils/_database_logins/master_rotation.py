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
from collections.abc import Callable
from collections.abc import Sequence

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import CURRENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import DONE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import PENDING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import LoginSecret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import is_rotating
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation import is_completed
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation import require_own_login
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

VERB = "rotate_database_master_password"


class MasterRotation:
    """One run of the verb.

    Args:
        clients: returns the client of a service.
        deployment: whose instance.
        request: which instance, and which secrets.
        secret: with the server's login.
        master: the secret with the master user's password.
        tasks: runs the program.
        wait_options: how to wait.
        left: returns the locks that a run takes over.

    Attributes:
        is_done: whether this run has come to its end.
    """

    def __init__(
        self,
        clients: Clients,
        deployment: Target,
        request: Request,
        secret: LoginSecret,
        master: LoginSecret,
        *,
        tasks: LoginTasks,
        wait_options: WaitOptions,
        left: Callable[[], Sequence[Marker]] = tuple,
    ) -> None:
        self._clients = clients
        self._deployment = deployment
        self._request = request
        self._secret = secret
        self._master = master
        self._tasks = tasks
        self._wait = wait_options
        self._left = left
        self._service: Resource = {}
        self._database: Database | None = None
        self._taken_over: Sequence[Marker] = ()
        self._is_locked = False
        self.is_done = False

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: the password cannot be rotated as the deployment is.
        """
        if not self._is_locked:
            self._taken_over = self._left()
        self._service, instance = require_own_login(self._clients, self._deployment, self._request, resume)
        self._secret.read()
        self._master.read()
        if is_rotating(self._secret.note):
            raise UserError(
                f"The rotation of the server's login of '{self._deployment.name}' was cut off: complete it first, with"
                " the playbook rotate_database_password. Nothing was changed."
            )
        self._database = Database(instance, self._request.database, self._master.arn)
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
