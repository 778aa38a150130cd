# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment at AWS for the tests of restores: instances as poor as RDS restores them, which are renamed slowly.

Before and after each call that changes something a test may let it fail, or let the run end as kill -9 does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Deleted
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_instance import EARLIEST
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_instance import LATEST
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_instance import POOR
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_instance import live_instance
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

WHO = "arn:aws:iam::123456789012:user/ana"
NEW, OLD = "mlflow:v3.17.2", "mlflow:v3.14.0"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf"
REVISION = "arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking"
REVISIONS = {"alembic_version": ["b1"]}
BEGUN = datetime(2026, 11, 23, 7, 56, tzinfo=UTC)


class CutOff(BaseException):
    """The process is gone: nothing is undone."""


def manifest(image: str = NEW) -> dict[str, Any]:
    """Of the backup 'first'."""
    return {
        "name": "first",
        "started": "2026-11-22T08:00:00+00:00",
        "artifacts": {"bucket": "bucket", "time": "2026-11-22T08:00:01+00:00"},
        "mlflow": {"image": image, "version": "3.17.2"},
        "server": {
            "command": ["serve", image, "https://tr-0.example.com"],
            "environment": {"PLUGIN": image},
            "secrets": {"PGPASSWORD": "arn:of-then", "KEY": "arn:key"},
            "host": "tr-0.example.com",
            "database_host": "tracking.example.com",
        },
        "database": {"snapshot": "tracking-backup-first"},
        "counts": {"runs": 10},
        "revisions": REVISIONS,
    }


class Aws(TaggedService):
    """ECS, RDS, Secrets Manager of one deployment."""

    def __init__(self, image: str = NEW, backup_image: str = NEW) -> None:
        super().__init__()
        self.live = live_instance()
        self.databases = {"tracking": self.live}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.scaling = {"minTaskCount": 1, "maxTaskCount": 2}
        self.image = image
        self.given: dict[str, Any] = {
            "command": ["serve", image],
            "environment": [{"name": "PLUGIN", "value": image}],
            "secrets": [{"name": "PGPASSWORD", "valueFrom": f"{SECRET}:password::"}],
        }
        # What the service had before, by the numbers of its revisions.
        self.revisions: list[dict[str, Any]] = []
        self.deployments = 0
        self.deployment = "SUCCESSFUL"
        self.tasks = 1
        self.calls = 0
        self.at: Callable[[int, str, bool], None] = lambda _call, _name, _done: None
        self.log: list[str] = []
        self.made = 0
        self.counts = {"runs": 10, "experiments": 1}
        self.lost = 0
        self.healthy = True
        self.slow_snapshots = False
        self.may_rename = True
        # How often users were let in.
        self.writes = 0
        self.shown: dict[str, Any] = {"experiments": 1, "run": "r1", "trace": "", "model_version": "", "artifact": ""}
        self.shown |= {"registered_models": 0, "seconds": 4.0, "login": True}
        self.backup = manifest(backup_image)
        self.deleted: list[Deleted] = []

    # ---- what a test lets happen

    def change(self, name: str, effect: Callable[[], None]) -> None:
        """Do something that changes AWS, unless a test lets it fail."""
        self.calls += 1
        number = self.calls
        self.at(number, name, False)
        effect()
        self.log.append(name)
        self.at(number, name, True)

    def pages(self, operation: str, key: str, **sent: Any) -> list[Any]:
        return list(getattr(self, operation)(**sent)[key])

    def retrying(self, *_codes: str) -> Aws:
        return self

    # ---- ECS

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        service = super().describe_express_gateway_service(serviceArn, include)["service"]
        container = {"image": self.image, **self.given}
        active = {
            "scalingTarget": {**self.scaling, "autoScalingMetric": "AVERAGE_CPU", "autoScalingTargetValue": 60},
            "primaryContainer": container,
            "serviceRevisionArn": f"{REVISION}/{len(self.revisions)}",
            "ingressPaths": [{"accessType": "PUBLIC", "endpoint": "tr-1.example.com"}],
        }
        return {"service": {**service, "activeConfigurations": [active]}}

    def update_express_gateway_service(self, serviceArn: str, **sent: Any) -> Any:
        def effect() -> None:
            self.deployments += 1
            if "scalingTarget" in sent:
                self.scaling = {name: sent["scalingTarget"][name] for name in ("minTaskCount", "maxTaskCount")}
                before = self.tasks
                self.tasks = min(max(self.tasks, self.scaling["minTaskCount"]), self.scaling["maxTaskCount"])
                self.writes += self.tasks > before
            if "primaryContainer" in sent:
                assert self.tasks == 0, "the old image runs beside the new one"
                self.revisions.append({"image": self.image, **self.given})
                self.image = sent["primaryContainer"]["image"]
                self.given = {name: sent["primaryContainer"].get(name) or [] for name in self.given}

        self.change("update service", effect)
        return {"service": {}}

    def tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> None:
        self.set_tags({item["key"]: item["value"] for item in tags})

    def untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        for key in tagKeys:
            self.tags.pop(key, None)

    def list_service_deployments(self, **_sent: Any) -> Any:
        one = {"serviceDeploymentArn": f"deployment-{self.deployments}", "status": self.deployment, "createdAt": 1}
        return {"serviceDeployments": [one]}

    def describe_service_revisions(self, serviceRevisionArns: list[str]) -> Any:
        [number] = [arn.removeprefix(f"{REVISION}/") for arn in serviceRevisionArns]
        return {"serviceRevisions": [{"taskDefinition": f"definition:{number}"}]}

    def describe_task_definition(self, taskDefinition: str) -> Any:
        known = [*self.revisions, {"image": self.image, **self.given}]
        container = {"name": "Main", **known[int(taskDefinition.rpartition(":")[2])]}
        return {"taskDefinition": {"containerDefinitions": [container]}}

    def list_tasks(self, desiredStatus: str, **_sent: Any) -> Any:
        return {"taskArns": [f"task-{number}" for number in range(self.tasks)] if desiredStatus == "RUNNING" else []}

    # ---- Secrets Manager

    def get_secret_value(self, SecretId: str) -> Any:
        assert SecretId == SECRET
        return {"SecretString": '{"username": "mlflow", "password": "a-made-up-present-password-0001"}'}

    # ---- RDS

    def describe_db_instances(self, DBInstanceIdentifier: str = "") -> Any:
        if not DBInstanceIdentifier:
            shown = [copy.deepcopy(one) for one in self.databases.values()]
            self._pass()
            return {"DBInstances": shown}
        if DBInstanceIdentifier not in self.databases:
            self._pass()
            raise error("DBInstanceNotFound")
        shown = [copy.deepcopy(self.databases[DBInstanceIdentifier])]
        self._pass()
        return {"DBInstances": shown}

    def _pass(self) -> None:
        """Let time pass: what RDS does goes on."""
        for name, one in list(self.databases.items()):
            status = one["DBInstanceStatus"]
            if status == "renaming" and one.get("_new"):
                new = one.pop("_new")
                assert new not in self.databases
                self.databases[new] = self.databases.pop(name)
                one["DBInstanceIdentifier"] = new
                one["Endpoint"] = {}
            elif status in ("creating", "renaming"):
                one["DBInstanceStatus"] = "available"
                one["Endpoint"] = {"Address": f"{name}.example.com", "Port": 5432}
            elif status == "deleting":
                del self.databases[name]

    def describe_db_instance_automated_backups(self, DbiResourceId: str) -> Any:
        return {"DBInstanceAutomatedBackups": [{"RestoreWindow": {"EarliestTime": EARLIEST, "LatestTime": LATEST}}]}

    def _restore(self, name: str, sent: dict[str, Any]) -> None:
        if name in self.databases:
            raise error("DBInstanceAlreadyExists")
        assert "Port" not in sent, "it may be another one than that of the endpoint"
        self.made += 1
        groups = {
            "VpcSecurityGroups": [
                {"VpcSecurityGroupId": one, "Status": "active"} for one in sent["VpcSecurityGroupIds"]
            ],
            "DBSubnetGroup": {"DBSubnetGroupName": sent["DBSubnetGroupName"]},
            "DBParameterGroups": [{"DBParameterGroupName": sent["DBParameterGroupName"]}],
            "EnabledCloudwatchLogsExports": sorted(sent.get("EnableCloudwatchLogsExports", [])),
            "TagList": sent["Tags"],
        }
        plain = {key: value for key, value in sent.items() if key in POOR and key not in groups}
        self.databases[name] = {
            **live_instance(),
            **POOR,
            **plain,
            **groups,
            "Endpoint": {},
            "DBInstanceIdentifier": name,
            "DBInstanceArn": f"arn:copy-{self.made}",
            "DbiResourceId": f"db-COPY{self.made}",
        }

    def restore_db_instance_from_db_snapshot(
        self, DBInstanceIdentifier: str, DBSnapshotIdentifier: str, **sent: Any
    ) -> None:
        assert DBSnapshotIdentifier == "tracking-backup-first"
        self.change("restore", lambda: self._restore(DBInstanceIdentifier, sent))

    def restore_db_instance_to_point_in_time(
        self, TargetDBInstanceIdentifier: str, SourceDBInstanceIdentifier: str, RestoreTime: datetime, **sent: Any
    ) -> None:
        assert SourceDBInstanceIdentifier in self.databases and EARLIEST <= RestoreTime <= LATEST
        self.change("restore", lambda: self._restore(TargetDBInstanceIdentifier, sent))

    def modify_db_instance(self, DBInstanceIdentifier: str, ApplyImmediately: bool, **sent: Any) -> None:
        if DBInstanceIdentifier not in self.databases:
            raise error("DBInstanceNotFound")
        one = self.databases[DBInstanceIdentifier]
        if one["DBInstanceStatus"] != "available" and not (one["DBInstanceStatus"] == "failed" and self.may_rename):
            raise error("InvalidDBInstanceState")

        def effect() -> None:
            new = sent.pop("NewDBInstanceIdentifier", "")
            if new:
                if new in self.databases:
                    raise error("DBInstanceAlreadyExists")
                assert self.tasks == 0, "the server writes to an instance that is renamed"
                one.update(DBInstanceStatus="renaming", _new=new)
            if "MasterUserPassword" in sent:
                one["_password"] = sent.pop("MasterUserPassword")
            if "EnablePerformanceInsights" in sent:
                one["PerformanceInsightsEnabled"] = sent.pop("EnablePerformanceInsights")
            one.update(sent)

        self.change("rename" if "NewDBInstanceIdentifier" in sent else "modify", effect)

    def add_tags_to_resource(self, ResourceName: str, Tags: list[dict[str, str]]) -> None:
        [one] = [one for one in self.databases.values() if one["DBInstanceArn"] == ResourceName]
        added = {item["Key"] for item in Tags}

        def effect() -> None:
            one["TagList"] = [item for item in one["TagList"] if item["Key"] not in added] + Tags

        self.change("tag", effect)

    def delete_db_instance(self, DBInstanceIdentifier: str, SkipFinalSnapshot: bool, **sent: Any) -> None:
        one = self.databases[DBInstanceIdentifier]
        assert not one["DeletionProtection"]

        def effect() -> None:
            one.update(DBInstanceStatus="deleting")
            if not SkipFinalSnapshot:
                assert sent["FinalDBSnapshotIdentifier"] not in self.snapshots
                self.snapshots[sent["FinalDBSnapshotIdentifier"]] = {"Status": "available", "of": one["DbiResourceId"]}

        self.change("delete", effect)

    def describe_events(self, **_sent: Any) -> Any:
        return {"Events": []}

    def describe_db_snapshots(self, DBSnapshotIdentifier: str) -> Any:
        if DBSnapshotIdentifier not in self.snapshots:
            raise error("DBSnapshotNotFound")
        if self.tasks:
            # It takes long, but not as long as the server is at zero tasks.
            self.snapshots[DBSnapshotIdentifier]["Status"] = "available"
        return {"DBSnapshots": [dict(self.snapshots[DBSnapshotIdentifier])]}

    def create_db_snapshot(self, DBInstanceIdentifier: str, DBSnapshotIdentifier: str, Tags: Any) -> None:
        def effect() -> None:
            assert self.tasks == 0, "the server writes while the final snapshot is taken"
            resource = self.databases[DBInstanceIdentifier]["DbiResourceId"]
            status = "creating" if self.slow_snapshots else "available"
            self.snapshots[DBSnapshotIdentifier] = {"Status": status, "of": resource, "writes": self.writes}

        self.change("snapshot", effect)

    def delete_db_snapshot(self, DBSnapshotIdentifier: str) -> None:
        if DBSnapshotIdentifier not in self.snapshots:
            raise error("DBSnapshotNotFound")
        if self.snapshots[DBSnapshotIdentifier]["Status"] != "available":
            raise error("InvalidDBSnapshotState")

        def effect() -> None:
            del self.snapshots[DBSnapshotIdentifier]

        self.change("delete snapshot", effect)

    # ---- what stands for tasks and for the server

    def read(self, service: Any, endpoint: Any, run: str, image: str = "") -> dict[str, Any]:
        """What a task finds in a database."""
        self.change("read", lambda: None)
        assert endpoint["Address"].partition(".")[0] in self.databases
        encrypted = {"webhooks": {"stored": 2, "readable": 2 - self.lost}}
        return {"counts": dict(self.counts), "revisions": REVISIONS, "encrypted": encrypted}

    def answer(self) -> None:
        """The server answers, if it can."""
        self.change("answer", lambda: None)
        live = self.databases.get("tracking", {})
        # Each version has its own command.
        has_command = self.image in self.given["command"] or "server" not in self.backup
        has_login = live.get("_password") == "a-made-up-present-password-0001"
        if not (self.healthy and has_command and has_login and self.tasks):
            raise UserError("The server does not answer.")

    # ---- what a test looks at

    def state(self) -> dict[str, Any]:
        """All that counts, with numbers for what is new in each run."""
        shown = {}
        for name, one in self.databases.items():
            if one["DBInstanceStatus"] == "deleting":
                continue
            tags = tags_from_aws(one["TagList"])
            kept = {
                key: value for key, value in one.items() if key not in ("DBInstanceArn", "DbiResourceId", "TagList")
            }
            origin = "live" if one["DbiResourceId"] == "db-LIVE" else "copy"
            shown[name] = {**kept, "tags": tags, "origin": origin}
        return {
            "databases": shown,
            "snapshots": copy.deepcopy(self.snapshots),
            "service": (self.scaling, self.image, self.tasks),
            "given": self.given,
            "tags": dict(self.tags),
        }
