# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_deployment_maintenance: says by a tag of the service that a deployment has schedules."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake

KEY = "mlops.mlflow_aws:maintained"
GIVEN = {"name": "tracking", "schedule_group": "mlflow-tracking"}


class Service(Fake):
    """ECS with one service, or without."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}
        self.status = "ACTIVE"

    def call_describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> dict:
        assert include == ["TAGS"]
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        return {"service": {"serviceArn": serviceArn, "status": {"statusCode": self.status}, "tags": tags}}

    def call_tag_resource(self, resourceArn: str, tags: list[dict]) -> None:
        self.tags.update({one["key"]: one["value"] for one in tags})

    def call_untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        for key in tagKeys:
            del self.tags[key]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> typing.Any:
    made: typing.Any = Cloud(monkeypatch)
    made.ecs = Service()
    return made


def test_four_steps(cloud: typing.Any) -> None:
    cloud.cycle("mlflow_deployment_maintenance", cloud.ecs, **GIVEN)
    assert cloud.ecs.tags == {KEY: "mlflow-tracking"}
    assert cloud.run("mlflow_deployment_lock", name="tracking")["schedule_group"] == "mlflow-tracking"


def test_absent(cloud: typing.Any) -> None:
    cloud.ecs.tags = {KEY: "mlflow-tracking", "Team": "one"}
    cloud.cycle("mlflow_deployment_maintenance", cloud.ecs, name="tracking", state="absent")
    assert cloud.ecs.tags == {"Team": "one"}
    assert cloud.run("mlflow_deployment_lock", name="tracking")["schedule_group"] == ""


def test_without_a_service(cloud: typing.Any) -> None:
    cloud.ecs.status = "INACTIVE"
    assert cloud.run("mlflow_deployment_maintenance", check=True, **GIVEN)["changed"]
    assert "There is no service 'tracking'" in cloud.run("mlflow_deployment_maintenance", **GIVEN)["msg"]
    assert not cloud.run("mlflow_deployment_maintenance", name="tracking", state="absent")["changed"]
