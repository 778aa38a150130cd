# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Runs login_program.py in a task of the server's image, as the master user of the database."""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import HANDED_ON
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import USERNAME
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins import login_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import CURRENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.one_off_task import OneOffTask
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

PURPOSES = {
    "align": "make the logins of the server",
    "ensure": "set the password of a login, and log in with it",
    "retire": "take the password of the former login",
    "test_master": "log in as the master user",
}
# PostgreSQL cuts names off after 63 bytes (NAMEDATALEN).
_LONGEST = 63


@dataclass(frozen=True)
class Names:
    """Names of roles in the database.

    Attributes:
        owner: of all tables.
        logins: the two that are used in turn.
    """

    owner: str
    logins: tuple[str, str]

    def other(self, login: str) -> str:
        """Return the login whose turn is next.

        Raises:
            UserError: the secret names another user.
        """
        if login not in self.logins:
            raise UserError(
                f"The secret of the server's login names the user {login or 'of no name'}, which is neither of"
                f" {' and '.join(self.logins)}: something else has changed it. Put back a version that names one."
            )
        return self.logins[1 - self.logins.index(login)]


def names_for(master: str) -> Names:
    """Return the names that go with a master user.

    Raises:
        UserError: they would be too long.
    """
    owner = f"{master}_owner"
    if len(owner.encode()) > _LONGEST:
        raise UserError(
            f"The master user {master} has too long a name for a role {owner}: PostgreSQL takes {_LONGEST}."
        )
    return Names(owner, (f"{master}_a", f"{master}_b"))


@dataclass(frozen=True)
class Database:
    """The database of an instance.

    Attributes:
        instance: as RDS describes it.
        name: of the database.
        master_secret: ARN of the secret with the master user's password.
    """

    instance: dict[str, typing.Any]
    name: str
    master_secret: str

    @property
    def names(self) -> Names:
        """Its roles."""
        return names_for(str(self.instance["MasterUsername"]))


def find_instance(clients: Clients, name: str) -> dict[str, typing.Any]:
    """Return an instance that can be worked with.

    Raises:
        UserError: there is none, or it has no address.
    """
    found = describe.find(clients("rds"), name)
    if found is None:
        raise UserError(f"There is no RDS instance {name}: check its name and AWS_REGION.")
    if not (found.get("Endpoint") or {}).get("Address"):
        raise UserError(f"The RDS instance {name} is {found['DBInstanceStatus']}.")
    return found


def logs_in_as_itself(service: Resource) -> bool:
    """Return whether a server has a login of its own, and is not the master user."""
    container = target.configuration(service).get("primary_container") or {}
    return USERNAME in (container.get("secrets") or {})


class LoginTasks:
    """Works on the logins of a database in tasks of a deployment.

    Args:
        clients: returns the client of a service.
        deployment: whose tasks.
        region: AWS region.
        wait_options: how to wait.
        verb: the end of the name of the task's family.
    """

    def __init__(
        self, clients: Clients, deployment: Target, region: str, wait_options: WaitOptions, *, verb: str = "logins"
    ) -> None:
        self._clients = clients
        self._deployment = deployment
        self._region = region
        self._wait = wait_options
        self._verb = verb

    def run(
        self,
        action: str,
        service: Resource,
        database: Database,
        login_secret: str,
        *,
        stage: str = CURRENT,
        former: str = "",
        master_stage: str = "",
    ) -> None:
        """Run an action of the program.

        Args:
            action: see login_program.ACTIONS.
            service: whose roles, network and image the task gets.
            database: what it works on.
            login_secret: ARN of the secret with the server's login.
            stage: which version of it.
            former: the login that is retired.
            master_stage: which version of the master user's secret; empty for the current one.

        Raises:
            UserError: the task failed.
        """
        container = dict(target.configuration(service).get("primary_container") or {})
        endpoint, names = database.instance["Endpoint"], database.names
        environment = {
            **{name: value for name, value in (container.get("environment") or {}).items() if name in HANDED_ON},
            "PGHOST": str(endpoint["Address"]),
            "PGPORT": str(endpoint["Port"]),
            "PGDATABASE": database.name,
            USERNAME: str(database.instance["MasterUsername"]),
            "OWNER": names.owner,
            "LOGINS": " ".join(names.logins),
            "ACTION": action,
            **({"FORMER_USERNAME": former} if former else {}),
        }
        secrets = {
            database_task.PASSWORD: f"{database.master_secret}:password:{master_stage}:",
            "LOGIN_USERNAME": f"{login_secret}:username:{stage}:",
            "LOGIN_PASSWORD": f"{login_secret}:password:{stage}:",
        }
        task = OneOffTask(
            purpose=PURPOSES[action],
            family=f"{self._deployment.name}-{self._verb}",
            command=("python", "-c", database_task.source(login_program)),
            environment=environment,
            secrets=secrets,
            tags={"ManagedBy": "mlops.mlflow_aws", "MlflowName": self._deployment.name},
            # One id for all runs, so that a run stops a task that a killed one has left.
            run=f"{self._verb}/logins",
            region=self._region,
        )
        one_off_task.run(self._clients, self._deployment, service, task, self._wait)
