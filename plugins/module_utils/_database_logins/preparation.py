# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Makes the logins of a server in its database, before the server uses them: for a new server, or for one that logs in
as the master user.

A server that runs is not disturbed: the master user becomes the owner in its database, and has all of the owner's
privileges.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import LoginSecret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import find_instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import logs_in_as_itself
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        instance: identifier of the RDS instance.
        database: name of the database.
        secret: name or ARN of the secret with the server's login.
        master_secret: name or ARN of the secret with the master user's password.
        server: image, roles, network and log group of a task, where there is no service yet.
        hint: what a message names for logins of the server's own.
    """

    instance: str
    database: str
    secret: str
    master_secret: str
    server: Mapping[str, typing.Any] | None = None
    hint: str = "state: present"


class Preparation:
    """Makes the logins, unless the server uses them already.

    Args:
        clients: returns the client of a service.
        deployment: whose server.
        request: what is asked for.
        secret: with the server's login.
        master: the secret with the master user's password.
        tasks: runs the program.
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
    ) -> None:
        self._clients = clients
        self._deployment = deployment
        self._request = request
        self._secret = secret
        self._master = master
        self._tasks = tasks
        self._service = target.describe(clients, deployment)

    def is_needed(self) -> bool:
        """Return whether the server does not use the logins yet."""
        return self._service is None or not logs_in_as_itself(self._service)

    def run(self) -> None:
        """Make the logins, or complete what was cut off.

        Raises:
            UserError: there is nothing to run a task with, or the task failed.
        """
        service = self._service or self._described()
        instance = find_instance(self._clients, self._request.instance)
        self._secret.read()
        self._master.read()
        database = Database(instance, self._request.database, self._master.arn)
        username = self._secret.members().get("username")
        if username:
            # Fails if it is none of the two.
            database.names.other(str(username))
        else:
            self._secret.name_user(database.names.logins[0])
        self._tasks.run("align", service, database, self._secret.arn)

    def _described(self) -> Resource:
        """Return what ECS would describe of the service that comes later."""
        server = self._request.server
        if not server:
            raise UserError(
                f"There is no service '{self._deployment.name}' whose image, roles and network a task could have: set"
                " server."
            )
        logs = {"awsLogsConfiguration": {"logGroup": server["log_group"]}} if server.get("log_group") else {}
        environment = [{"name": key, "value": str(value)} for key, value in (server.get("environment") or {}).items()]
        return {
            "activeConfigurations": [
                {
                    "executionRoleArn": server["execution_role_arn"],
                    "taskRoleArn": server["task_role_arn"],
                    "networkConfiguration": {
                        "subnets": list(server["subnets"]),
                        "securityGroups": list(server["security_groups"]),
                    },
                    "ingressPaths": [{"accessType": "PUBLIC" if server.get("public") else "PRIVATE"}],
                    "primaryContainer": {"image": server["image"], "environment": environment, **logs},
                }
            ]
        }
