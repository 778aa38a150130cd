# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What the rotations of the server's password and of the master user's have in common: what a run reads first."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import DONE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import LoginSecret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import find_instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import logs_in_as_itself
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target


def require_own_login(
    clients: Clients, deployment: Target, request: Request, resume: bool
) -> tuple[Resource, Resource]:
    """Return service and instance, where the server has a login of its own and both can be worked with.

    Raises:
        UserError: that is not so.
    """
    service = target.require(clients, deployment, changing=resume)
    if stopped := markers.stopped(target.tags(service)):
        raise UserError(f"{stopped.explain(deployment.name)} Nothing was changed.")
    if not logs_in_as_itself(service):
        raise UserError(
            f"The server '{deployment.name}' logs in to its database as the master user, whose password cannot be"
            " changed without downtime. Nothing was changed. Deploy first with logins of its own"
            f" ({request.logins_hint})."
        )
    instance = find_instance(clients, request.instance)
    if instance["DBInstanceStatus"] not in wait.READY:
        raise UserError(
            f"The RDS instance {request.instance} is {instance['DBInstanceStatus']}, and must be available: nothing was"
            " changed."
        )
    return service, instance


def is_completed(secret: LoginSecret, left: Sequence[Marker]) -> bool:
    """Return whether a run that was cut off had come to its end, and has only left its lock."""
    note = secret.note
    return note is not None and note.state == DONE and bool(left) and all(one.since <= note.at for one in left)


class RotationRun:
    """One run of a verb that rotates a password.

    Args:
        clients: returns the client of a service.
        deployment: whose password.
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
        *,
        secret: LoginSecret,
        master: LoginSecret,
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

    def _read(self, resume: bool) -> Database:
        """Read the service, the instance and both secrets; return the database.

        Args:
            resume: whether a run that was cut off is completed, which may have left the service changing.

        Raises:
            UserError: no password can be rotated as the deployment is.
        """
        if not self._is_locked:
            self._taken_over = self._left()
        self._service, instance = require_own_login(self._clients, self._deployment, self._request, resume)
        self._secret.read()
        self._master.read()
        self._database = Database(instance, self._request.database, self._master.arn)
        return self._database
