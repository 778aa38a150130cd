# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_deployment_monitoring and _maintenance: tags of the service say that a deployment has alarms, or schedules."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake

# By module: the tag's key, the option, and its value.
MARKS = [
    ("mlflow_deployment_maintenance", "mlops.mlflow_aws:maintained", "schedule_group", "mlflow-tracking"),
    ("mlflow_deployment_monitoring", "mlops.mlflow_aws:monitored", "alarm_prefix", "mlflow.tracking/"),
]
each_mark = pytest.mark.parametrize(("module", "key", "option", "value"), MARKS, ids=[mark[0] for mark in MARKS])


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


@each_mark
def test_four_steps(cloud: typing.Any, module: str, key: str, option: str, value: str) -> None:
    cloud.cycle(module, cloud.ecs, name="tracking", **{option: value})
    assert cloud.ecs.tags == {key: value}
    assert cloud.run("mlflow_deployment_lock", name="tracking")[option] == value


@each_mark
def test_absent(cloud: typing.Any, module: str, key: str, option: str, value: str) -> None:
    cloud.ecs.tags = {key: value, "Team": "one"}
    cloud.cycle(module, cloud.ecs, name="tracking", state="absent")
    assert cloud.ecs.tags == {"Team": "one"}
    assert cloud.run("mlflow_deployment_lock", name="tracking")[option] == ""


@each_mark
def test_without_a_service(cloud: typing.Any, module: str, key: str, option: str, value: str) -> None:
    cloud.ecs.status = "INACTIVE"
    given = {"name": "tracking", option: value}
    assert cloud.run(module, check=True, **given)["changed"]
    assert "There is no service 'tracking'" in cloud.run(module, **given)["msg"]
    assert not cloud.run(module, name="tracking", state="absent")["changed"]
