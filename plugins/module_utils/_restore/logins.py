# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.

"""The logins of a copied database: they have the passwords of then, and a copy of long ago has none at all."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import PASSWORD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import USERNAME
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import find_instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import logs_in_as_itself
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource


class CopiedLogins:
    """Brings the logins of copies in line with the secret that the server has.

    Args:
        clients: returns the client of a service.
        tasks: runs the program.
        database: name of the database.
        master_secret: name or ARN of the secret with the master user's password.
    """

    def __init__(self, clients: Clients, tasks: LoginTasks, database: str, master_secret: str) -> None:
        self._clients = clients
        self._tasks = tasks
        self._database = database
        self._master_secret = master_secret

    def master_secret(self, service: Resource) -> str:
        """Return what the master user's password comes from, as a task definition names it.

        Raises:
            UserError: it is not known.
        """
        if not logs_in_as_itself(service):
            return _secrets(service)[PASSWORD]
        if not self._master_secret:
            raise UserError("The server does not log in as the master user: set master_secret.")
        # What it answers has the ARN, so no further permission is needed.
        answer = self._clients("secretsmanager").get_secret_value(SecretId=self._master_secret)
        return f"{answer['ARN']}:password::"

    def align(self, service: Resource, instance: str) -> None:
        """Give a copy the login that the secret has, and no other one."""
        if not logs_in_as_itself(service):
            return
        master = ":".join(self.master_secret(service).split(":")[:7])
        login = ":".join(_secrets(service)[USERNAME].split(":")[:7])
        found = find_instance(self._clients, instance)
        self._tasks.run("align", service, Database(found, self._database, master), login)


def _secrets(service: Resource) -> dict[str, str]:
    container = target.configuration(service).get("primary_container") or {}
    return dict(container.get("secrets") or {})
