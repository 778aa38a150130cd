# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb rotate_database_password: another login, with a new password, takes the place of the server's present one.

Both logins work until all tasks that know the former one are gone; only then its password is taken. So no request
fails, and until then the way back is a label of the secret. How far a rotation has come is a tag of the secret, so that
a run that was cut off is gone on with: see login_secret.py.

It is the strategy of alternating users (AWS Secrets Manager User Guide, "Lambda function rotation strategies").
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins import login_secret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import CURRENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import DEPLOYING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import DONE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import PENDING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import PROMOTING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import RETIRING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation_run import RotationRun
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation_run import is_completed
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Expected
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.service_scale import ServiceScale
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

VERB = "rotate_database_password"
_TASK = ExpectedDuration(1, 5, fixed=30)


class Rotation(RotationRun):
    """One run of the verb.

    Attributes:
        new, former: the login that the server gets, and the one that it has.
    """

    def __init__(self, clients: Clients, deployment: Target, request: Request, **given: typing.Any) -> None:
        super().__init__(clients, deployment, request, **given)
        self._ecs = clients("ecs")
        self._scale = ServiceScale(clients, deployment, self._wait)
        self.new = self.former = ""

    # ---- preflight

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            resume: whether a run that was cut off is completed, which may have left the service changing.

        Raises:
            UserError: the password cannot be rotated as the deployment is.
        """
        database = self._read(resume)
        if self._master.pending:
            raise UserError(
                f"The rotation of the master user's password of '{self._deployment.name}' was cut off: complete it"
                " first, with the playbook rotate_database_master_password. Nothing was changed."
            )
        present = str(self._secret.members().get("username") or "")
        other = database.names.other(present)
        self.new, self.former = (present, other) if self._is_promoted() else (other, present)
        return not is_completed(self._secret, self._taken_over)

    def _is_at(self, *states: str) -> bool:
        note = self._secret.note
        return note is not None and note.state in states

    def _is_promoted(self) -> bool:
        """Return whether a rotation is under way, and the secret has its version."""
        note = self._secret.note
        return self._is_at(PROMOTING, DEPLOYING, RETIRING) and note is not None and note.version == self._secret.current

    # ---- the verb

    def verb(self, again: str) -> Verb:
        """Return the verb with its steps.

        Args:
            again: the command that completes it.
        """
        steps = [
            Step(
                f"Give the login {self.new} a new password, and log in with it, in a task of the server's image",
                self._set,
                duration=_TASK,
                cost="a task for minutes, less than a cent",
            ),
            Step("Make it the current version of the secret", self._promote, self._put_back),
            Step(
                f"Deploy the server with the login {self.new}",
                self._deploy,
                duration=ExpectedDuration(3, 20, fixed=60),
                cost="a second task beside the first meanwhile",
            ),
            Step(
                f"Wait until all tasks with the login {self.former} are gone",
                self._wait_for_old_tasks,
                duration=ExpectedDuration(0, 5),
            ),
            Step(
                f"Take the password of {self.former}, in a task of the server's image",
                self._retire,
                duration=_TASK,
                cost="a task for minutes, less than a cent",
            ),
            Step("Note that it is done", self._finish),
        ]
        return Verb(VERB, self._deployment.name, steps, self._serving, self._kept, again, refresh=self._refresh)

    def _refresh(self) -> bool:
        """Read anew under the lock; return whether there is anything left to do.

        Raises:
            UserError: another run has rotated it since this one looked.
        """
        before = (self.new, self.former)
        self._is_locked = True
        is_left = self.preflight(resume=True)
        if (self.new, self.former) != before:
            raise UserError("The login has changed since this run looked. Run it again.")
        return is_left

    # ---- steps

    def _set(self) -> None:
        if self._is_promoted():
            return
        self._secret.prepare(self.new)
        self._run("ensure", stage=PENDING)

    def _promote(self) -> None:
        if self._is_promoted():
            self._secret.complete_promotion()
            return
        self._secret.write(PROMOTING, version=self._secret.pending, former=self._secret.current, deployment="")
        self._secret.promote()

    def _put_back(self) -> None:
        """Make the former login current again, as long as its password works."""
        if self._is_at(PROMOTING, DEPLOYING):
            self._secret.put_back()
            self._secret.forget()

    def _deploy(self) -> None:
        if self._is_at(RETIRING):
            return
        note = self._secret.note
        begun = note.deployment if note and self._is_at(DEPLOYING) else ""
        found = self._find(begun) if begun else None
        if found is None or found.get("status") in FAILED:
            begun = self._begin_deployment()
        self._wait_for_deployment(begun)

    def _begin_deployment(self) -> str:
        """Begin a deployment, whose tasks read the secret anew; return its id."""
        self._settle()
        known = frozenset(str(one.get("serviceDeploymentArn")) for one in self._list_deployments())
        api.force_deployment(self._ecs, cluster=self._deployment.cluster, name=self._deployment.name)
        waiter = self._wait.waiter()
        nothing: Resource | None = None
        for _poll in waiter.polls():
            found = waiter.tolerate_outage(
                lambda: Expected(known=known).pick(self._list_deployments()), otherwise=nothing
            )
            if found:
                begun = str(found["serviceDeploymentArn"]).rpartition("/")[2]
                self._secret.write(DEPLOYING, deployment=begun)
                return begun
            waiter.report("the deployment is not shown yet")
        waiter.raise_outage()
        raise UserError(f"ECS shows no new deployment after {self._wait.timeout:g} seconds (wait_timeout).")

    def _settle(self) -> None:
        """Wait for the end of a deployment that another run has begun."""
        self._scale.read(resume=True)

    def _list_deployments(self) -> list[Resource]:
        return api.list_deployments(self._ecs, cluster=self._deployment.cluster, service=self._deployment.arn)

    def _find(self, deployment: str) -> Resource | None:
        for one in self._list_deployments():
            if str(one["serviceDeploymentArn"]).endswith(f"/{deployment}"):
                return one
        return None

    def _wait_for_deployment(self, deployment: str) -> None:
        waiter = self._wait.waiter()
        unknown: Resource | None = {"status": "unknown"}
        for _poll in waiter.polls():
            found = waiter.tolerate_outage(lambda: self._find(deployment), otherwise=unknown) or {}
            status = str(found.get("status") or "not shown yet")
            if status == "SUCCESSFUL":
                return
            if status in FAILED:
                raise UserError(
                    f"The deployment ended with {status}: {found.get('statusReason') or 'no reason given'}."
                )
            waiter.report(f"deployment with the new login: {status}")
        waiter.raise_outage()
        raise UserError(f"The deployment has not ended after {self._wait.timeout:g} seconds (wait_timeout).")

    def _wait_for_old_tasks(self) -> None:
        if self._is_at(RETIRING):
            return
        waiter = self._wait.waiter()
        for _poll in waiter.polls():
            old = waiter.tolerate_outage(self._old_tasks, otherwise=["unknown"])
            if not old:
                return
            waiter.report(f"tasks with the login {self.former}: {len(old)}")
        waiter.raise_outage()
        raise UserError(
            f"Tasks with the login {self.former} are there after {self._wait.timeout:g} seconds (wait_timeout):"
            f" {', '.join(self._old_tasks())}."
        )

    def _old_tasks(self) -> list[str]:
        """Return the ids of the tasks that were made before the deployment, and have not ended.

        A task reads its secrets when it starts. Both times are of ECS's clock.
        """
        note = self._secret.note
        begun = self._find(note.deployment if note else "") or {}
        if not begun.get("createdAt"):
            raise UserError("ECS does not show the deployment any more, so it is not known which tasks are older.")
        found = api.describe_tasks(self._ecs, cluster=self._deployment.cluster, tasks=self._scale.remaining())
        old = [one for one in found if one["createdAt"] < begun["createdAt"] and one.get("lastStatus") != "STOPPED"]
        return [str(one["taskArn"]).rpartition("/")[2] for one in old]

    def _retire(self) -> None:
        # From here on there is no way back: it is not known whether the former password still works.
        self._secret.write(RETIRING)
        self._run("retire", former=self.former)

    def _finish(self) -> None:
        self._secret.write(DONE)
        self.is_done = True

    def _run(self, action: str, *, stage: str = CURRENT, former: str = "") -> None:
        database = typing.cast(Database, self._database)
        self._tasks.run(action, self._service, database, self._secret.arn, stage=stage, former=former)

    # ---- what is said

    def _serving(self) -> str:
        return f"The server '{self._deployment.name}' serves as before."

    def _kept(self) -> str:
        if login_secret.is_rotating(self._secret.note):
            return f"The login {self.new} is the current one; the password of {self.former} may still work."
        return f"The login {self.former} is the current one, and works."
