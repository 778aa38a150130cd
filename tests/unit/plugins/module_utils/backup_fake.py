# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup needs of AWS: a bucket, snapshots, a task that leaves its report, and versions of secrets."""

from __future__ import annotations

import io
import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_deployment_fake import Deployment
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

BUCKET = "tracking-artifacts"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
REPORT = {
    "counts": {"experiments": 1, "runs": 4},
    "revisions": {"alembic_version": ["abc"]},
    "size_bytes": 8_000_000,
    "postgresql": "16.9",
    "mlflow": "3.17.2",
}


class BackedUp(Deployment):
    """A deployment with its bucket. The exit code of the next task, and errors of calls, can be ordered."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.running: dict[str, str] = {}
        self.started: list[str] = []
        self.exit_code = 0
        self.tasks_run = 0
        self.definitions: set[str] = set()
        self._definition: dict[str, Any] = {}

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        service = super().describe_express_gateway_service(serviceArn, include)["service"]
        configuration = {
            "scalingTarget": dict(self.scaling),
            "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
            "taskRoleArn": "arn:aws:iam::123456789012:role/task",
            "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
            "primaryContainer": {
                "image": "ghcr.io/mlflow/mlflow:v3.17.2-full",
                "secrets": [{"name": "PGPASSWORD", "valueFrom": f"{SECRET}:password::"}],
            },
        }
        return {"service": {**service, "activeConfigurations": [configuration]}}

    # ---- tasks

    def register_task_definition(self, family: str, **sent: Any) -> Any:
        arn = f"{family}:{len(self.definitions) + 1}"
        self.definitions.add(arn)
        self._definition = sent
        return {"taskDefinition": {"taskDefinitionArn": arn}}

    def deregister_task_definition(self, taskDefinition: str) -> None:
        self.definitions.discard(taskDefinition)

    def run_task(self, startedBy: str, **_sent: Any) -> Any:
        assert not [arn for arn, by in self.running.items() if by == startedBy], "two of them write the same report"
        self.tasks_run += 1
        arn = f"arn:aws:ecs:eu-central-1:123456789012:task/default/{self.tasks_run}"
        self.running[arn] = startedBy
        self.started.append(startedBy)
        return {"tasks": [{"taskArn": arn}]}

    def list_tasks(self, **sent: Any) -> Any:
        if "startedBy" in sent:
            return {"taskArns": [arn for arn, by in self.running.items() if by == sent["startedBy"]]}
        return super().list_tasks(**sent)

    def stop_task(self, task: str, **_sent: Any) -> None:
        self.running.pop(task, None)

    def describe_tasks(self, tasks: list[str], **sent: Any) -> Any:
        """Show the tasks, of which one that runs comes to its end now."""
        if not tasks or not tasks[0].startswith("arn:"):
            return super().describe_tasks(tasks=tasks, **sent)
        if self.running.pop(tasks[0], "") and not self.exit_code:
            environment = {
                one["name"]: one["value"] for one in self._definition["containerDefinitions"][0]["environment"]
            }
            self.objects[environment["REPORT_KEY"]] = json.dumps(REPORT).encode()
            if "DUMP_KEY" in environment:
                self.objects[environment["DUMP_KEY"]] = b"CREATE TABLE"
        ended = {"lastStatus": "STOPPED", "containers": [{"exitCode": self.exit_code}]}
        return {"tasks": [{"taskArn": arn, **ended} for arn in tasks]}

    # ---- the bucket

    def get_object(self, Key: str, **_where: Any) -> Any:
        if Key not in self.objects:
            raise error("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Key: str, Body: bytes, **_where: Any) -> None:
        self.objects[Key] = Body

    def head_object(self, Key: str, **_where: Any) -> Any:
        if Key not in self.objects:
            raise error("404")
        return {"ContentLength": len(self.objects[Key])}

    def delete_object(self, Key: str, **_where: Any) -> None:
        self.objects.pop(Key, None)

    def copy(self, source: dict[str, str], _bucket: str, key: str) -> None:
        self.objects[key] = self.objects[source["Key"]]

    def pages(self, operation: str, _key: str, **sent: Any) -> list[Any]:
        if operation == "list_objects_v2":
            return [{"Key": key} for key in sorted(self.objects) if key.startswith(sent["Prefix"])]
        return list(self.snapshots.values())

    # ---- snapshots and secrets

    def describe_events(self, **_sent: Any) -> Any:
        return {"Events": []}

    def describe_db_snapshots(self, DBSnapshotIdentifier: str) -> Any:
        if DBSnapshotIdentifier not in self.snapshots:
            raise error("DBSnapshotNotFound")
        shown = dict(self.snapshots[DBSnapshotIdentifier])
        self.snapshots[DBSnapshotIdentifier]["Status"] = "available"
        return {"DBSnapshots": [shown]}

    def create_db_snapshot(self, DBInstanceIdentifier: str, DBSnapshotIdentifier: str, Tags: list[Any]) -> None:
        if self.fault:
            raise self.fault
        assert DBInstanceIdentifier == "tracking"
        self.snapshots[DBSnapshotIdentifier] = {
            "DBSnapshotIdentifier": DBSnapshotIdentifier,
            "DBSnapshotArn": f"arn:aws:rds:eu-central-1:123456789012:snapshot:{DBSnapshotIdentifier}",
            "SnapshotCreateTime": NOW + timedelta(minutes=len(self.snapshots)),
            "Status": "creating",
            "TagList": Tags,
        }

    def delete_db_snapshot(self, DBSnapshotIdentifier: str) -> None:
        del self.snapshots[DBSnapshotIdentifier]

    def describe_secret(self, SecretId: str) -> Any:
        return {"ARN": SecretId, "VersionIdsToStages": {"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT"]}}
