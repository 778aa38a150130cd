# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_deployment_lock: lets nobody change a deployment that is locked or was stopped, and says why."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

LOCK = "mlops.mlflow_aws:run:20261130T110000Z-00000000"
STOPPED = {"mlops.mlflow_aws:stopped": "since=2026-11-23T12:00:00Z min=1 max=2"}
MOMENT = "2099-11-30T11:00:00Z"
LOCKED = {LOCK: f"verb=backup state=held step=2 since={MOMENT} seen={MOMENT} process=a.1.1 by=ana"}


class Service(Fake):
    """ECS with one service, and RDS with its instance."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}
        self.database = "stopped"

    def call_describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> dict:
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        return {"service": {"serviceArn": serviceArn, "status": {"statusCode": "ACTIVE"}, "tags": tags}}

    def call_untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        for key in tagKeys:
            del self.tags[key]

    def call_describe_db_instances(self, DBInstanceIdentifier: str) -> dict:
        return {"DBInstances": [{"Engine": "postgres", "DBInstanceStatus": self.database}]}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> typing.Any:
    made: typing.Any = Cloud(monkeypatch)
    made.ecs = made.rds = Service()
    return made


def run(cloud: typing.Any, **params: typing.Any) -> dict:
    """Run the module."""
    found: dict = cloud.run("mlflow_deployment_lock", name="tracking", **params)
    return found


def test_what_nobody_works_on_passes(cloud: typing.Any) -> None:
    found = run(cloud, refuse_stopped=True)
    assert (found["changed"], found["locks"], found["stopped_since"]) == (False, [], "")


def test_a_locked_deployment_is_refused_and_only_looked_at_if_that_is_enough(cloud: typing.Any) -> None:
    cloud.ecs.tags = dict(LOCKED)
    assert "locked by the verb backup, at step 2" in run(cloud, hint="-e mlflow_unlock=true")["msg"]
    found = run(cloud, refuse_locked=False)
    assert not found["changed"] and [one["verb"] for one in found["locks"]] == ["backup"]
    assert cloud.ecs.tags == LOCKED


def test_a_lock_is_lifted_on_request(cloud: typing.Any) -> None:
    cloud.ecs.tags = {**LOCKED, "team": "vision"}
    cloud.cycle("mlflow_deployment_lock", cloud.ecs, name="tracking", lift=True)
    assert cloud.ecs.tags == {"team": "vision"}


@pytest.mark.parametrize(("status", "says"), [("stopped", False), ("stopping", False), ("available", True)])
def test_a_stopped_deployment_is_refused_with_what_rds_has_done_since(
    cloud: typing.Any, status: str, says: bool
) -> None:
    cloud.ecs.tags, cloud.ecs.database = dict(STOPPED), status
    assert run(cloud, database="tracking")["stopped_since"] == "2026-11-23T12:00:00+00:00"
    said = run(cloud, refuse_stopped=True, database="tracking")["msg"]
    assert "was stopped at 2026-11-23 12:00 UTC: start it first, with the playbook start." in said
    assert ("RDS starts an instance by itself after seven days" in said) == says
    assert run(cloud, refuse_stopped=True)["msg"].endswith("with the playbook start.")


def test_a_server_that_an_upgrade_keeps_at_zero_is_refused_with_what_completes_that(cloud: typing.Any) -> None:
    cloud.ecs.tags = {key: f"{value} verb=upgrade" for key, value in STOPPED.items()}
    cloud.ecs.database = "available"
    said = run(cloud, refuse_stopped=True, database="tracking")["msg"]
    assert said.endswith("and was cut off: complete it first, with the playbook upgrade.")


def test_who_may_not_read_the_instance_is_told_the_rest(cloud: typing.Any) -> None:
    cloud.ecs.tags = dict(STOPPED)
    cloud.ecs.faults["describe_db_instances"] = [error("AccessDenied")]
    assert run(cloud, refuse_stopped=True, database="tracking")["msg"].endswith("with the playbook start.")
