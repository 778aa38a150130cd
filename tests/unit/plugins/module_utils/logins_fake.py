# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment at AWS for the tests of rotations: its secrets, its tasks, and which passwords its database takes.

Before and after each call that changes something a test may let it fail, or let the run end as kill -9 does. Whoever
serves is checked all the time: a task must be able to log in with what it read when it started.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
LOGIN, MASTER = "tracking/database-login", "tracking/database"


class Secret:
    """A secret with versions, as Secrets Manager keeps them."""

    def __init__(self, username: str, password: str) -> None:
        self.versions = {"v0": {"username": username, "password": password}}
        self.labels = {"AWSCURRENT": "v0"}
        self.tags: dict[str, str] = {}

    def value(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        """What a version holds."""
        return self.versions[self.labels[stage]]


class Aws(TaggedService):
    """ECS, RDS and Secrets Manager of one deployment."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = {
            LOGIN: Secret("mlflow_a", "first-made-up-password"),
            MASTER: Secret("mlflow", "master-made-up-password"),
        }
        #: Whom the database lets in, with which password.
        self.passwords = {"mlflow_a": "first-made-up-password", "mlflow": "master-made-up-password"}
        self.deployments: list[dict[str, Any]] = []
        self.clock = 100
        self.tasks: list[dict[str, Any]] = []
        self.calls = 0
        self.log: list[str] = []
        self.at: Callable[[int, str, bool], None] = lambda _call, _name, _done: None
        self.own_login = True
        self.fails_to_deploy = False
        self.drains = 0
        self._start()

    # ---- what a test lets happen

    def change(self, name: str, effect: Callable[[], object]) -> None:
        """Do something that changes AWS, unless a test lets it fail."""
        self.calls += 1
        number = self.calls
        self.at(number, name, False)
        effect()
        self.log.append(name)
        self.check()
        self.at(number, name, True)

    def check(self) -> None:
        """Fail if a task cannot log in, or one that starts now could not."""
        for task in self.tasks:
            login = task["login"]
            assert self.passwords.get(login["username"]) == login["password"], f"{login['username']} is refused"
        now = self.secrets[LOGIN].value()
        assert self.passwords.get(now["username"]) == now["password"], "a new task could not log in"

    def _start(self) -> None:
        self.clock += 1
        login = dict(self.secrets[LOGIN].value())
        self.tasks.append({"taskArn": f"task/{self.clock}", "createdAt": self.clock, "login": login})

    # ---- ECS

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        service = super().describe_express_gateway_service(serviceArn, include)["service"]
        secrets = [{"name": "PGPASSWORD", "valueFrom": f"{ARN}x:password::"}]
        if self.own_login:
            secrets.append({"name": "PGUSER", "valueFrom": f"{ARN}x:username::"})
        active = {"primaryContainer": {"image": "image", "secrets": secrets}}
        return {"service": {**service, "activeConfigurations": [active]}}

    def update_service(self, cluster: str, service: str, forceNewDeployment: bool) -> Any:
        assert (cluster, service, forceNewDeployment) == ("default", "tracking", True)

        def effect() -> None:
            self.clock += 1
            failed = self.fails_to_deploy
            status = "ROLLBACK_SUCCESSFUL" if failed else "SUCCESSFUL"
            arn = f"arn:service-deployment/default/tracking/d{self.clock}"
            self.deployments.insert(
                0, {"serviceDeploymentArn": arn, "status": status, "createdAt": self.clock, "statusReason": "a test"}
            )
            before = list(self.tasks)
            self._start()
            if failed:
                self.tasks.pop()
                return
            for task in before:
                task["leaves"] = self.drains
            self._leave()

        self.change("deploy", effect)
        return {"service": {}}

    def _leave(self) -> None:
        self.tasks = [one for one in self.tasks if one.get("leaves", 1) > 0]

    def list_service_deployments(self, **_sent: Any) -> Any:
        return {"serviceDeployments": self.deployments}

    def list_tasks(self, desiredStatus: str, **_sent: Any) -> Any:
        for one in self.tasks:
            if "leaves" in one:
                one["leaves"] -= 1
        self._leave()
        return {"taskArns": [one["taskArn"] for one in self.tasks] if desiredStatus == "RUNNING" else []}

    def describe_tasks(self, tasks: list[str], **_sent: Any) -> Any:
        return {"tasks": [{**one, "lastStatus": "RUNNING"} for one in self.tasks if one["taskArn"] in tasks]}

    def pages(self, operation: str, key: str, **sent: Any) -> list[Any]:
        return list(getattr(self, operation)(**sent)[key])

    def retrying(self, *_codes: str) -> Aws:
        return self

    # ---- RDS

    def describe_db_instances(self, DBInstanceIdentifier: str = "") -> Any:
        endpoint = {"Address": "tracking.example.com", "Port": 5432}
        instance = {"Engine": "postgres", "DBInstanceStatus": "available", "MasterUsername": "mlflow"}
        return {"DBInstances": [{**instance, "Endpoint": endpoint, "DBInstanceIdentifier": DBInstanceIdentifier}]}

    def modify_db_instance(self, DBInstanceIdentifier: str, MasterUserPassword: str, ApplyImmediately: bool) -> None:
        assert ApplyImmediately
        self.change("modify", lambda: self.passwords.update(mlflow=MasterUserPassword))

    # ---- Secrets Manager

    def describe_secret(self, SecretId: str) -> Any:
        secret = self.secrets[SecretId]
        stages: dict[str, list[str]] = {}
        for label, version in secret.labels.items():
            stages.setdefault(version, []).append(label)
        tags = [{"Key": key, "Value": value} for key, value in secret.tags.items()]
        return {"ARN": f"{ARN}{SecretId}-AbCdEf", "Name": SecretId, "VersionIdsToStages": stages, "Tags": tags}

    def get_secret_value(self, SecretId: str, VersionStage: str = "AWSCURRENT") -> Any:
        return {"SecretString": json.dumps(self.secrets[SecretId].value(VersionStage)), "ARN": SecretId}

    def put_secret_value(self, SecretId: str, SecretString: str, VersionStages: list[str] | None = None) -> Any:
        secret = self.secrets[SecretId]
        version = f"v{len(secret.versions)}"

        def effect() -> None:
            secret.versions[version] = json.loads(SecretString)
            for label in VersionStages or ["AWSCURRENT"]:
                secret.labels[label] = version

        self.change("put secret", effect)
        return {"VersionId": version}

    def update_secret_version_stage(
        self, SecretId: str, VersionStage: str, RemoveFromVersionId: str = "", MoveToVersionId: str = ""
    ) -> None:
        labels = self.secrets[SecretId].labels
        assert labels.get(VersionStage, "") == RemoveFromVersionId, "AWS refuses it"

        def effect() -> None:
            labels.pop(VersionStage, None)
            if VersionStage == "AWSCURRENT":
                labels["AWSPREVIOUS"] = RemoveFromVersionId
            if MoveToVersionId:
                labels[VersionStage] = MoveToVersionId

        self.change(f"move {VersionStage}", effect)

    def tag_resource(self, resourceArn: str = "", tags: Any = None, SecretId: str = "", Tags: Any = None) -> None:
        """Tags of the lock do not count as changes: they are tested elsewhere."""
        if not SecretId:
            super().tag_resource(resourceArn, tags)
            return
        new = {one["Key"]: one["Value"] for one in Tags}
        self.change("note", lambda: self.secrets[SecretId].tags.update(new))

    def untag_resource(
        self, resourceArn: str = "", tagKeys: Any = None, SecretId: str = "", TagKeys: Any = None
    ) -> None:
        if not SecretId:
            super().untag_resource(resourceArn, tagKeys)
            return
        self.change("forget", lambda: [self.secrets[SecretId].tags.pop(key, None) for key in TagKeys])

    # ---- what the tasks do

    def run(
        self,
        action: str,
        _service: Any,
        database: Any,
        _login_secret: str,
        *,
        stage: str = "AWSCURRENT",
        former: str = "",
        master_stage: str = "",
    ) -> None:
        """What login_program.py does."""
        assert database.names.owner == "mlflow_owner"
        master = self.secrets[MASTER].value(master_stage or "AWSCURRENT")
        if self.passwords["mlflow"] != master["password"]:
            raise UserError("password authentication failed")
        login = self.secrets[LOGIN].value(stage)

        def effect() -> None:
            if action in ("ensure", "align"):
                used = [one["login"]["username"] for one in self.tasks]
                same = self.passwords.get(login["username"]) == login["password"]
                assert same or login["username"] not in used, "the password of a login in use was changed"
                self.passwords[login["username"]] = login["password"]
            elif action == "retire":
                assert former != login["username"]
                self.passwords.pop(former, None)

        self.change(action, effect)
