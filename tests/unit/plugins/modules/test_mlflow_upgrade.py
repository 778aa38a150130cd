# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_upgrade in check mode: it says what the run itself would do, and that is nothing while another one works."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake

OLD, NEW = "ghcr.io/mlflow/mlflow:v3.16.1-full", "ghcr.io/mlflow/mlflow:v3.17.2-full"
LOCK = "mlops.mlflow_aws:run:20261130T110000Z-00000000"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf:password::"
UPGRADE = {"version": "3.17.2", "image": NEW}
ROLLBACK = {"version": "3.17.2", "way": "back", "confirm": True}


class Service(Fake):
    """ECS with one service."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}

    def call_describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> dict:
        secrets = [{"name": "PGPASSWORD", "valueFrom": SECRET}]
        active = {"primaryContainer": {"image": OLD, "secrets": secrets}, "serviceRevisionArn": "revision/1"}
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        service = {"serviceArn": serviceArn, "status": {"statusCode": "ACTIVE"}, "tags": tags}
        return {"service": {**service, "activeConfigurations": [active]}}

    def call_list_service_deployments(self, cluster: str, service: str) -> dict:
        return {"serviceDeployments": []}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> typing.Any:
    made: typing.Any = Cloud(monkeypatch)
    made.ecs = Service()
    return made


def check(cloud: typing.Any, **params: typing.Any) -> dict:
    """Run the module in check mode, for a database of the user's own."""
    given = {"name": "tracking", "bucket": "bucket", "database_host": "db.example.com"}
    found: dict = cloud.run("mlflow_upgrade", check=True, **given, **params)
    return found


@pytest.mark.parametrize(("verb", "params"), [("upgrade", UPGRADE), ("rollback", ROLLBACK)])
def test_check_mode_refuses_what_another_run_works_on(
    cloud: typing.Any, verb: str, params: dict[str, typing.Any]
) -> None:
    assert f"{verb} 'tracking' would take" in check(cloud, **params)["lines"][0]
    now = "2099-11-30T11:00:00Z"
    cloud.ecs.tags[LOCK] = f"verb={verb} state=held step=2 since={now} seen={now} process=a.1.1 by=ana"
    assert f"locked by the verb {verb}, at step 2" in check(cloud, **params)["msg"]
    lines = check(cloud, **params, unlock=True)["lines"]
    assert f"{verb} at step 2, would be taken over." in lines[0] and f"{verb} 'tracking' would take" in lines[1]
