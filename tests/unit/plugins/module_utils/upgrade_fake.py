# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment at AWS for the tests of upgrades, whose server refuses the tables of another version, and loses nothing.

Before and after each call that changes something a test may let it fail, or let the run end as kill -9 does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import Described
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Commands
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.tasks import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

OWNER = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "tracking"}
WHO = "arn:aws:iam::123456789012:user/ana"
OLD, NEW = "ghcr.io/mlflow/mlflow:v3.16.1-full", "ghcr.io/mlflow/mlflow:v3.17.2-full"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf"
REVISION = "arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking"
BEGUN = datetime(2026, 12, 1, 7, 56, tzinfo=UTC)
GIB = 2**30
COMMANDS = Commands("upgrade to ", "rollback", "rollback confirmed", "rollback remove=")


def command(image: str) -> list[str]:
    """What a server of an image is run with; of another one's it does not start."""
    return ["serve", image]


#: What the variables describe, but for the number of workers, which they leave to the default.
DESCRIBED = Described(
    {"command": command(NEW), "environment": {"MLFLOW_WORKERS": "4"}, "secrets": {}},
    {"command": command(OLD), "environment": {"MLFLOW_WORKERS": "4"}, "secrets": {}},
)


class CutOff(BaseException):
    """The process is gone: nothing is undone."""


@dataclass
class Database:
    """One of PostgreSQL's.

    Attributes:
        image: whose tables it has; both during a migration that was cut off.
        runs: what users have written.
        facts: the comment.
    """

    image: str = OLD
    runs: list[int] = field(default_factory=lambda: [1, 2, 3])
    facts: dict[str, Any] = field(default_factory=dict)


class Aws(TaggedService):
    """ECS and RDS of one deployment, and what is in its instance."""

    def __init__(self) -> None:
        super().__init__()
        self.databases = {"mlflow": Database()}
        self.snapshots: dict[str, list[int]] = {}
        self.scaling = {"minTaskCount": 1, "maxTaskCount": 1}
        self.image = OLD
        self.command = command(OLD)
        self.revisions: list[dict[str, Any]] = []
        self.tasks = 1
        self.written = 3
        self.acknowledged = {1, 2, 3}
        self.calls = 0
        self.at: Callable[[int, str, bool], None] = lambda _call, _name, _done: None
        self.log: list[str] = []
        self.starts = {OLD, NEW}
        self.storage = 20
        self.quota = 110
        self.may_drop = False
        self.is_reachable = True
        self.deployment = "SUCCESSFUL"
        self.size = GIB

    # ---- what a test lets happen

    def change(self, name: str, effect: Callable[[], None]) -> None:
        """Do something that changes AWS, unless a test lets it fail; users write meanwhile, if they can."""
        self.calls += 1
        number = self.calls
        self.write()
        self.at(number, name, False)
        effect()
        self.log.append(name)
        self.at(number, name, True)
        self.write()

    def serves(self) -> bool:
        """Whether the server has a task that can work with its tables."""
        live = self.databases.get("mlflow")
        starts = self.image in self.starts and self.command in (command(self.image), [])
        return self.tasks > 0 and starts and live is not None and live.image == self.image

    def write(self) -> None:
        """A user writes, and remembers what was acknowledged."""
        if self.serves():
            self.written += 1
            self.databases["mlflow"].runs.append(self.written)
            self.acknowledged.add(self.written)

    # ---- ECS

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        service = super().describe_express_gateway_service(serviceArn, include)["service"]
        active = {
            "scalingTarget": {**self.scaling, "autoScalingMetric": "AVERAGE_CPU", "autoScalingTargetValue": 60},
            "primaryContainer": {
                "image": self.image,
                "command": self.command,
                "environment": [{"name": "MLFLOW_WORKERS", "value": "8"}],
                "secrets": [{"name": "PGPASSWORD", "valueFrom": f"{SECRET}:password::"}],
            },
            "serviceRevisionArn": f"{REVISION}/{len(self.revisions)}",
            "ingressPaths": [{"accessType": "PUBLIC", "endpoint": "tr-1.example.com"}],
        }
        return {"service": {**service, "activeConfigurations": [active]}}

    def update_express_gateway_service(self, serviceArn: str, **sent: Any) -> Any:
        def effect() -> None:
            if "scalingTarget" in sent:
                self.scaling = {name: sent["scalingTarget"][name] for name in ("minTaskCount", "maxTaskCount")}
                self.tasks = min(max(self.tasks, self.scaling["minTaskCount"]), self.scaling["maxTaskCount"])
            if "primaryContainer" in sent:
                assert self.tasks == 0, "the old image runs beside the new one"
                self.revisions.append({"image": self.image, "command": self.command})
                self.image = sent["primaryContainer"]["image"]
                self.command = sent["primaryContainer"].get("command") or []
                assert sent["primaryContainer"]["environment"] == [{"name": "MLFLOW_WORKERS", "value": "8"}]

        self.change("update service", effect)
        return {"service": {}}

    def tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> None:
        """Tags of the lock do not count as changes: they are tested elsewhere."""
        new = {item["key"]: item["value"] for item in tags}
        if any("upgrade" in key or "stopped" in key for key in new):
            self.change("tag", lambda: self.set_tags(new))
        else:
            self.set_tags(new)

    def untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        def effect() -> None:
            for key in tagKeys:
                self.tags.pop(key, None)

        if any("upgrade" in key or "stopped" in key for key in tagKeys):
            self.change("untag", effect)
        else:
            effect()

    def list_service_deployments(self, **_sent: Any) -> Any:
        arn = f"deployment-{len(self.revisions)}"
        return {"serviceDeployments": [{"serviceDeploymentArn": arn, "status": self.deployment, "createdAt": 1}]}

    def describe_service_revisions(self, serviceRevisionArns: list[str]) -> Any:
        [number] = [int(arn.rpartition("/")[2]) for arn in serviceRevisionArns]
        known = [*self.revisions, {"image": self.image}]
        images = [{"image": known[number]["image"], "imageDigest": "sha256:1"}]
        return {"serviceRevisions": [{"taskDefinition": f"definition:{number}", "containerImages": images}]}

    def describe_task_definition(self, taskDefinition: str) -> Any:
        known = [*self.revisions, {"image": self.image, "command": self.command}]
        former = known[int(taskDefinition.rpartition(":")[2])]
        container = {
            "name": "Main",
            **former,
            "environment": [{"name": "MLFLOW_WORKERS", "value": "8"}],
            "secrets": [{"name": "PGPASSWORD", "valueFrom": f"{SECRET}:password::"}],
        }
        return {"taskDefinition": {"containerDefinitions": [container]}}

    def list_tasks(self, desiredStatus: str, **_sent: Any) -> Any:
        return {"taskArns": [f"task-{number}" for number in range(self.tasks)] if desiredStatus == "RUNNING" else []}

    def pages(self, operation: str, key: str, **sent: Any) -> list[Any]:
        return list(getattr(self, operation)(**sent)[key])

    def retrying(self, *_codes: str) -> Aws:
        return self

    # ---- RDS

    def describe_db_instances(self, DBInstanceIdentifier: str = "") -> Any:
        return {
            "DBInstances": [{"Engine": "postgres", "DBInstanceStatus": "available", "AllocatedStorage": self.storage}]
        }

    def describe_account_attributes(self) -> Any:
        others = {"AccountQuotaName": "DBInstances", "Used": 40, "Max": 40}
        own = {"AccountQuotaName": "ManualSnapshots", "Used": 99 + len(self.snapshots), "Max": self.quota}
        return {"AccountQuotas": [others, own]}

    def describe_db_snapshots(self, DBSnapshotIdentifier: str) -> Any:
        if DBSnapshotIdentifier not in self.snapshots:
            raise error("DBSnapshotNotFound")
        return {"DBSnapshots": [{"Status": "available"}]}

    def create_db_snapshot(self, DBInstanceIdentifier: str, DBSnapshotIdentifier: str, Tags: Any) -> None:
        def effect() -> None:
            assert self.tasks == 0, "the server writes while the snapshot is taken"
            self.snapshots[DBSnapshotIdentifier] = list(self.databases["mlflow"].runs)

        self.change("snapshot", effect)

    # ---- what the tasks do

    def run(self, action: str, service: Any, image: str, stamp: str, **facts: Any) -> dict[str, Any]:
        """What database_program.py does."""
        found: dict[str, Any] = {}
        self.change(action, lambda: found.update(getattr(self, f"_{action}")(image, stamp, facts)))
        return found

    def _preflight(self, image: str, _stamp: str, _facts: Any) -> dict[str, Any]:
        if image not in self.starts:
            raise UserError("The task did not start.")
        return {
            "size_bytes": self.size,
            "all_sizes_bytes": self.size,
            "databases": {name: {} for name in self.databases},
            "revisions": {"alembic_version": ["a1"]},
        }

    def _copy(self, _image: str, stamp: str, facts: Any) -> dict[str, Any]:
        there = self.databases.get(facts["copy"])
        assert self.tasks == 0 and (there is None or there.facts["stamp"] == stamp)
        if there is None:
            self.databases[facts["copy"]] = copy.deepcopy(self.databases["mlflow"])
            self.databases[facts["copy"]].facts = facts["facts"]
        return {"copied": there is None}

    def _migrate(self, image: str, stamp: str, facts: Any) -> dict[str, Any]:
        assert self.tasks == 0 and self.databases[facts["copy"]].facts["stamp"] == stamp
        assert self.databases[facts["copy"]].runs == self.databases["mlflow"].runs
        self.databases["mlflow"].image = image
        return {"counts": {"runs": len(self.databases["mlflow"].runs)}, "revisions": {}}

    def _go_back(self, _image: str, _stamp: str, facts: Any) -> dict[str, Any]:
        assert self.tasks == 0
        if facts["copy"] not in self.databases:
            assert "mlflow" in self.databases
            return {"exchanged": False, "lost": {}}
        lost = len(set(self.databases["mlflow"].runs) - set(self.databases[facts["copy"]].runs))
        self.databases[facts["aside"]] = self.databases.pop("mlflow")
        self.databases[facts["aside"]].facts = facts.get("facts", {})
        self.databases["mlflow"] = self.databases.pop(facts["copy"])
        self.databases["mlflow"].facts = {}
        return {"exchanged": True, "lost": {"runs": lost}}

    def _compare(self, _image: str, _stamp: str, facts: Any) -> dict[str, Any]:
        found = {name: {"facts": one.facts, "size_bytes": self.size} for name, one in self.databases.items()}
        former = self.databases.get(facts["copy"])
        lost = len(self.databases["mlflow"].runs) - len(former.runs) if former else 0
        return {"databases": found, "lost": {"runs": lost, "traces": 0} if former else {}}

    def _drop(self, _image: str, _stamp: str, facts: Any) -> dict[str, Any]:
        dropped, live = self.databases.get(facts["copy"]), self.databases["mlflow"]
        if not self.may_drop and dropped:
            assert live.image == dropped.image, "the only copy of the old tables is dropped"
        return {"dropped": self.databases.pop(facts["copy"], None) is not None}

    def reach(self, _service: Any) -> None:
        """The machine that the upgrade runs on reaches the server, unless a test says otherwise."""
        if not self.is_reachable:
            raise UserError("The server does not answer to this machine.")

    def answer(self, _service: Any) -> None:
        """The server answers, if it can."""
        self.change("answer", lambda: None)
        if not self.serves():
            raise UserError("The server does not answer.")


def make_tools(aws: Aws) -> Tools:
    """What the steps work with."""
    clients: Any = lambda _service: aws  # noqa: E731
    return Tools(
        clients=clients,
        deployment=Target("tracking", "default", ARN, WHO),
        tasks=aws,  # type: ignore[arg-type]
        place=Place("bucket", "db.example.com", 5432, "mlflow", "mlflow", "eu-central-1", OWNER),
        wait_options=WaitOptions(timeout=5, delay=0.0001),
        wait_for_server=aws.answer,
        require_reachable=aws.reach,
    )
