# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_deployment_status: each question is asked once, a failed one stops no other, and problems are said."""

from __future__ import annotations

import typing
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.filter.status_table import status_table
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import reader
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import HELD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.process import machine
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.process import own_process
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import Account as Deployment
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

BUCKET = f"tracking-artifacts-{ACCOUNT}-{REGION}"
DEPLOYMENT: dict[str, typing.Any] = {
    "name": "tracking",
    "bucket": BUCKET,
    "database": "tracking",
    "parameter_group": "tracking-postgres16",
}
GIVEN = {"deployment": DEPLOYMENT}
BUCKET_REQUESTS = (
    "get_bucket_encryption",
    "get_bucket_lifecycle_configuration",
    "get_bucket_logging",
    "get_bucket_ownership_controls",
    "get_bucket_policy",
    "get_bucket_versioning",
    "get_public_access_block",
)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GIB = 1024**3


class Account(Deployment):
    """All services in one, with a deployment that is well."""

    def __init__(self) -> None:
        super().__init__()
        self.service: dict[str, typing.Any] = {"status": "ACTIVE", "runningCount": 1, "desiredCount": 1}
        self.deployment = {"status": "SUCCESSFUL", "createdAt": NOON, "finishedAt": NOON + timedelta(minutes=6)}
        self.instance: dict[str, typing.Any] = {
            "Engine": "postgres",
            "DBInstanceStatus": "available",
            "EngineVersion": "16.9",
            "DBInstanceClass": "db.t4g.micro",
            "MultiAZ": False,
            "AllocatedStorage": 20,
            "BackupRetentionPeriod": 7,
            "LatestRestorableTime": NOON,
        }
        self.blocked = dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        )
        self.metrics = {"bucket": 41.7 * GIB, "database": 16.8 * GIB}

    def call_describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> dict:
        assert serviceArn == f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/default/tracking"
        configuration = {
            "createdAt": NOON,
            "cpu": "1024",
            "memory": "4096",
            "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 1},
            "primaryContainer": {"image": "ghcr.io/mlflow/mlflow:v3.17.2-full"},
            "ingressPaths": [{"accessType": "PUBLIC", "endpoint": "tr-1.ecs.on.aws"}],
        }
        older = {"createdAt": NOON - timedelta(days=1), "primaryContainer": {"image": "mlflow:v3.10.0"}}
        return {
            "service": {
                "serviceArn": serviceArn,
                "status": {"statusCode": "ACTIVE"},
                "activeConfigurations": [older, configuration],
                "tags": self.state["service"]["tags"],
            }
        }

    def call_describe_services(self, cluster: str, services: list[str]) -> dict:
        return {"services": [self.service]}

    def call_list_service_deployments(self, cluster: str, service: str) -> dict:
        earlier = {"status": "ROLLBACK_FAILED", "createdAt": NOON - timedelta(days=1)}
        return {"serviceDeployments": [earlier, self.deployment]}

    def call_describe_db_instances(self, DBInstanceIdentifier: str) -> dict:
        return {"DBInstances": [self.instance]}

    def call_describe_db_snapshots(self, DBInstanceIdentifier: str) -> dict:
        made = [("old", 2, "available"), ("new", 1, "available"), ("begun", 0, "creating")]
        return {
            "DBSnapshots": [
                {"DBSnapshotIdentifier": name, "SnapshotCreateTime": NOON - timedelta(days=days), "Status": status}
                for name, days, status in made
            ]
        }

    def call_head_bucket(self, **_bucket: str) -> dict:
        return {"BucketRegion": REGION}

    def lose_bucket(self) -> None:
        """The bucket has been deleted."""
        self.faults.update({name: [error("NoSuchBucket")] for name in BUCKET_REQUESTS})

    def call_get_public_access_block(self, **_bucket: str) -> dict:
        return {"PublicAccessBlockConfiguration": self.blocked}

    def call_get_bucket_versioning(self, **_bucket: str) -> dict:
        return {"Status": "Enabled"}

    def call_get_bucket_encryption(self, **_bucket: str) -> dict:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}

    def call_get_metric_data(self, MetricDataQueries: list, **_period: typing.Any) -> dict:
        return {
            "MetricDataResults": [
                {"Id": one["Id"], "Values": [self.metrics[one["Id"]]] if one["Id"] in self.metrics else []}
                for one in MetricDataQueries
            ]
        }


class Server:
    """What the server answers."""

    def __init__(self, health: MlflowError | None = None, version: MlflowError | None = None) -> None:
        self.health = health
        self.version = version
        self.days_left = 300

    def check_health(self, _client: object) -> float:
        if self.health:
            raise self.health
        return 12.4

    def read_version(self, _client: object) -> str:
        if self.version:
            raise self.version
        return "3.17.1"

    def read_certificate(self, _connection: object) -> tuple[dict, str]:
        return {"expires": datetime.now(UTC) + timedelta(days=self.days_left, hours=1)}, ""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return Account()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(reader, "check_health", server.check_health)
    monkeypatch.setattr(reader, "read_version", server.read_version)
    monkeypatch.setattr(reader, "_read_certificate", server.read_certificate)
    return server


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, account: Account, server: Server) -> Cloud:
    made = Cloud(monkeypatch)
    services = ("ecs", "elbv2", "ec2", "rds", "s3", "iam", "secretsmanager", "logs", "resourcegroupstaggingapi")
    for service in (*services, "cloudwatch"):
        setattr(made, service, account)
    return made


def test_a_deployment_that_is_well(cloud: Cloud, account: Account) -> None:
    result = cloud.run("mlflow_deployment_status", **GIVEN)
    assert (result["state"], result["problems"], result["unknown"]) == ("running", [], {})
    assert result["url"] == "https://tr-1.ecs.on.aws"
    assert result["service"]["version"] == "3.17.1"
    assert result["service"]["image"] == "ghcr.io/mlflow/mlflow:v3.17.2-full"
    assert (result["deployment"]["status"], result["deployment"]["finished_at"]) == (
        "SUCCESSFUL",
        "2026-11-23T12:06:00+00:00",
    )
    assert result["database"]["used_storage_gib"] == 3.2
    assert result["database"]["latest_snapshot"] == "new"
    assert (result["bucket"]["exists"], result["bucket"]["public_access_blocked"]) == (True, True)
    assert result["bucket"]["size_gib"] == 41.7
    assert result["certificate"]["days_left"] == 300
    asked = [name for name, params in account.calls if not {"RoleName", "SecretId"} & params.keys()]
    tags = [name for name in asked if name.startswith("list_tags")]
    assert len(asked) - len(tags) == len(set(asked) - set(tags)), "each question is asked once"
    assert account.writes() == []


def test_drift_and_cost_are_told_by_the_same_read(cloud: Cloud, account: Account) -> None:
    found = cloud.run("mlflow_deployment_status", **GIVEN)
    assert found["drift"] == {"found": "unknown", "resources": [], "since": None}
    cloud.run("mlflow_deployment_state", **GIVEN, record=True)
    account.calls.clear()
    found = cloud.run("mlflow_deployment_status", **GIVEN)
    assert (found["drift"]["found"], found["cost"]["region"]) == ("no", REGION)
    assert account.names().count("describe_express_gateway_service") == 1
    account.state["log_group"]["retentionInDays"] = 7
    drift = cloud.run("mlflow_deployment_status", **GIVEN)["drift"]
    assert (drift["found"], drift["resources"]) == ("yes", ["log_group"])


def test_an_adopted_bucket_is_looked_at_and_is_no_part_of_the_deployment(cloud: Cloud, account: Account) -> None:
    given = {"deployment": {**DEPLOYMENT, "bucket_adopted": True}}
    cloud.run("mlflow_deployment_state", **given, record=True)
    bucket = cloud.run("mlflow_deployment_status", **given)["bucket"]
    assert (bucket["exists"], bucket["versioning"], bucket["encryption"]) == (True, True, "AES256")
    account.blocked.update(BlockPublicAcls=False)
    found = cloud.run("mlflow_deployment_status", **given)
    assert (found["bucket"]["public_access_blocked"], found["drift"]["found"]) == (False, "no")
    account.faults["head_bucket"] = [error("404")]
    assert cloud.run("mlflow_deployment_status", **given)["bucket"]["exists"] is False


def test_a_version_behind_a_login_is_that_of_the_image(cloud: Cloud, server: Server) -> None:
    server.version = MlflowError("login_required", "asks for a login")
    result = cloud.run("mlflow_deployment_status", **GIVEN)
    assert (result["service"]["version"], result["unknown"]) == ("3.17.2", {})


def test_without_a_database_of_its_own_rds_is_not_asked(cloud: Cloud, account: Account) -> None:
    result = cloud.run("mlflow_deployment_status", deployment={**DEPLOYMENT, "database": ""})
    assert (result["state"], result["database"]["status"]) == ("running", "")
    assert not {"describe_db_instances", "describe_db_snapshots"} & set(account.names())
    assert not any(line.startswith("Database") for line in result["lines"])


def test_a_denied_question_stops_no_other(cloud: Cloud, account: Account) -> None:
    account.faults["get_metric_data"] = [error("AccessDenied", message="not authorized: cloudwatch:GetMetricData")]
    account.faults["describe_db_snapshots"] = [error("AccessDenied", message="not authorized: rds")]
    result = cloud.run("mlflow_deployment_status", **GIVEN)
    assert result["unknown"] == {
        "metrics": "not authorized: cloudwatch:GetMetricData",
        "snapshot": "not authorized: rds",
    }
    assert (result["state"], result["database"]["used_storage_gib"]) == ("running", None)
    assert "Not known:   metrics: not authorized: cloudwatch:GetMetricData" in result["lines"]


def test_nothing_is_deployed(cloud: Cloud, account: Account) -> None:
    for operation, code in (
        ("describe_express_gateway_service", "ResourceNotFoundException"),
        ("describe_services", "ClusterNotFoundException"),
        ("list_service_deployments", "ServiceNotFoundException"),
        ("describe_db_instances", "DBInstanceNotFound"),
        *((operation, "NoSuchBucket") for operation in BUCKET_REQUESTS),
    ):
        account.faults[operation] = [error(code)]
    result = cloud.run("mlflow_deployment_status", **GIVEN)
    assert (result["state"], result["problems"], result["unknown"]) == ("absent", [], {})
    assert result["lines"] == [f"MLflow 'tracking': not deployed in {REGION}"]


def _stop(account: Account, server: Server) -> None:
    account.instance.update(DBInstanceStatus="stopped")
    _stop_server(account, server)


def _stop_server(account: Account, server: Server) -> None:
    """As a deployment is seven days after it was stopped, when RDS has started the instance by itself."""
    account.service.update(runningCount=0, desiredCount=0)
    server.health = MlflowError("balancer_unavailable", "no healthy server")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda account, server: account.service.update(runningCount=0), ("degraded", "0 of 1 tasks are running.")),
        (_stop, ("stopped", "")),
        (
            _stop_server,
            (
                "stopped",
                "The database tracking is available, and costs, although the server is stopped: RDS starts an instance"
                " by itself after seven days. Stop it again with the playbook stop, or start both.",
            ),
        ),
        (lambda account, server: account.service.update(status="DRAINING"), ("deleting", "")),
        (lambda account, server: account.deployment.update(status="IN_PROGRESS"), ("deploying", "")),
        (
            lambda account, server: account.deployment.update(
                status="ROLLBACK_SUCCESSFUL", statusReason="alarm detected"
            ),
            ("running", "The last deployment ended with ROLLBACK_SUCCESSFUL: alarm detected"),
        ),
        (
            lambda account, server: account.instance.update(DBInstanceStatus="stopped"),
            ("degraded", "The database tracking is stopped."),
        ),
        (
            lambda account, server: account.metrics.update(database=1.5 * GIB),
            ("running", "The database has used 18.5 of 20 GiB."),
        ),
        (
            lambda account, server: account.instance.update(BackupRetentionPeriod=0),
            ("running", "The database has no automated backups."),
        ),
        (
            lambda account, server: account.lose_bucket(),
            ("degraded", f"The bucket {BUCKET} does not exist."),
        ),
        (
            lambda account, server: account.blocked.update(IgnorePublicAcls=False),
            ("running", f"The bucket {BUCKET} does not block all public access."),
        ),
        (lambda account, server: setattr(server, "days_left", 29), ("running", "The certificate expires in 29 days.")),
        (
            lambda account, server: setattr(server, "health", MlflowError("timeout", "no answer within 5 s")),
            ("degraded", "The server does not answer: no answer within 5 s"),
        ),
    ],
)
def test_problems_are_reported(
    cloud: Cloud, account: Account, server: Server, change: typing.Any, expected: tuple[str, str]
) -> None:
    state, problem = expected
    change(account, server)
    result = cloud.run("mlflow_deployment_status", **GIVEN)
    assert (result["state"], result["problems"], result["unknown"]) == (state, [problem] if problem else [], {})
    assert not problem or f"Problem:     {problem}" in result["lines"]


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_a_verb_that_is_not_completed_is_told_and_its_changes_are_no_drift(
    cloud: Cloud, account: Account, server: Server, is_cut_off: bool
) -> None:
    cloud.run("mlflow_deployment_state", **GIVEN, record=True)
    _stop_server(account, server)
    process = f"{machine()}.{2**22 + 1}.1" if is_cut_off else own_process()
    marker = Marker("20261123T120000Z-5f2c91aa", "restore", HELD, 6, NOON, NOON, process, "arn:aws:iam::1:user/op")
    account.state["service"]["tags"] += [{"key": key, "value": value} for key, value in marker.tags().items()]
    found = cloud.run("mlflow_deployment_status", **GIVEN)
    assert [(one["verb"], one["step"], one["ended"]) for one in found["verbs"]] == [("restore", 6, is_cut_off)]
    ended, problems = "has not ended yet", []
    if is_cut_off:
        ended = "was cut off"
        problems = ["The verb restore was cut off at step 6. Run it again, which completes it."]
    assert (found["state"], found["problems"], found["drift"]["found"]) == ("stopped", problems, "unknown")
    begun = "at step 6, begun at 2026-11-23 12:00 UTC by arn:aws:iam::1:user/op"
    assert f"Verb:        restore {ended}: {begun}" in found["lines"]
    assert "Drift:       unknown until the verb restore is completed" in found["lines"]


def test_times_are_shown_to_the_minute(cloud: Cloud) -> None:
    result = cloud.run("mlflow_deployment_status", **GIVEN)
    assert "Deployment:  SUCCESSFUL at 2026-11-23 12:06 UTC" in result["lines"]
    assert "Backups:     restorable up to 2026-11-23 12:00 UTC, snapshot new at 2026-11-22 12:00 UTC" in result["lines"]


def test_a_state_is_unknown_where_ecs_does_not_answer(cloud: Cloud, account: Account) -> None:
    account.faults["describe_services"] = [error("AccessDeniedException", message="denied")]
    found = cloud.run("mlflow_deployment_status", **GIVEN)
    assert (found["state"], found["unknown"]) == ("unknown", {"deployment_settings": "denied"})


def test_the_table_of_several_deployments() -> None:
    service = {"version": "3.17.2"}
    states = [
        {"name": "vision", "state": "running", "url": "https://vi", "service": service, "problems": []}
        | {"drift": {"found": "no"}, "cost": {"monthly_usd": 85.09}},
        {"failed": True},
        {"name": "speech", "state": "absent", "url": "", "service": {"version": ""}, "problems": ["x"]},
    ]
    assert status_table(states) == [
        "NAME    STATE    VERSION  PROBLEMS  DRIFT    COST A MONTH  URL",
        "vision  running  3.17.2   0         no       $85.09        https://vi",
        "speech  absent   -        1         unknown  unknown       -",
    ]
