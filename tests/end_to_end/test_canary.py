# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of an MLflow server with a login while people use it: with ECS's defaults, and as the role has them.

docs/canary.md has what was measured; tests/bench/canary.py measures it.
"""

from __future__ import annotations

import base64
import http.client
import secrets
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from conftest import IMAGE
from express import ExpressAws
from harness import ROOT
from harness import eventually

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service

SCALE = 40
SERVER = ["mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
SERVER += ["--backend-store-uri", "sqlite:///mlflow.db"]
ROLE = yaml.safe_load((ROOT / "roles/mlflow/defaults/main.yml").read_text(encoding="utf-8"))


class Clients:
    """Programs that use a server for as long as the block lasts.

    Some are not logged in and get 401, others are and ask for a run that is not there: 404.
    """

    def __init__(self, cloud: ExpressAws, url: str, password: str) -> None:
        self.answers: Counter[int] = Counter()
        self._over = threading.Event()
        self._trusted = ssl.create_default_context(cafile=cloud.info["ca_bundle"])
        self._host = url.removeprefix("https://")
        login = base64.b64encode(f"admin:{password}".encode()).decode()
        asked: list[tuple[str, dict[str, str]]] = [
            ("/api/2.0/mlflow/experiments/search?max_results=1", {}),
            (f"/api/2.0/mlflow/runs/get?run_id={'0' * 32}", {"Authorization": f"Basic {login}"}),
        ]
        self._threads = [threading.Thread(target=self._ask, args=item) for item in asked * 2]

    def _ask(self, path: str, headers: dict[str, str]) -> None:
        connection = http.client.HTTPSConnection(self._host, context=self._trusted, timeout=1800)
        while not self._over.wait(0.05):
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                self.answers[answer.status] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExpressAws]:
    """A local AWS whose minutes are long enough for five requests to fit into each, whatever else the machine does."""
    express = ExpressAws(tmp_path_factory.mktemp("canary"))
    try:
        express.up(SCALE)
        yield express
    finally:
        express.down()


@pytest.fixture
def server(cloud: ExpressAws, software: None) -> dict[str, Any]:
    """Arguments of a service with a login; its password is among the environment."""
    container = {
        "image": IMAGE,
        "command": SERVER,
        "environment": {
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.token_urlsafe(24),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
        },
    }
    return cloud.arguments("canary", container=container, cpu="512", memory="2048", wait_timeout=1800)


def changed(arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The same with an ordinary update: one more variable in the environment."""
    container = arguments["primary_container"]
    environment = {**container["environment"], "MLFLOW_LOGGING_LEVEL": "WARNING"}
    return {**arguments, "primary_container": {**container, "environment": environment}, **more}


@pytest.mark.long
@pytest.mark.known_issue(12)
def test_refused_clients_roll_a_healthy_update_back_unless_told_otherwise(
    cloud: ExpressAws, server: dict[str, Any]
) -> None:
    assert ROLE["mlflow_rollback_on_alarm"] is False
    created = cloud.run(ecs_express_service, server)
    assert not created.get("failed"), created["msg"]
    password = server["primary_container"]["environment"]["MLFLOW_AUTH_ADMIN_PASSWORD"]

    # As ECS has it: the 401s and 404s, which begin while the update is on its way, take it back.
    # Time enough for the alarm, whose minutes are short here, on a machine that has much else to do.
    patient = {"bake_time_in_minutes": 180}
    begun = cloud.run(ecs_express_service, changed(server, wait=False, deployment_configuration=patient))
    assert begun["changed"] is True

    def deployment() -> dict[str, Any]:
        (newest, *_older) = cloud.ecs.list_service_deployments(service="canary")["serviceDeployments"]
        asked = [newest["serviceDeploymentArn"]]
        return dict(cloud.ecs.describe_service_deployments(serviceDeploymentArns=asked)["serviceDeployments"][0])

    eventually(lambda: deployment().get("lifecycleStage") == "SCALE_UP", "the new server's start")
    assert deployment()["alarms"]["status"] == "MONITORING"
    with Clients(cloud, created["url"], password) as clients:
        eventually(lambda: deployment()["status"] not in ("PENDING", "IN_PROGRESS"), "the end of the update")
    assert {401, 404} <= set(clients.answers), clients.answers
    going = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
    eventually(lambda: deployment()["status"] not in going, "the end of the roll-back")
    ended = deployment()
    assert ended["status"] == "ROLLBACK_SUCCESSFUL", (ended, clients.answers)
    assert ended["alarms"]["triggeredAlarmNames"] == ["default/canary/RollbackAlarm"]

    # As the role has it: the very same update with the very same clients.
    as_role = {
        "rollback_on_alarm": ROLE["mlflow_rollback_on_alarm"],
        "bake_time_in_minutes": ROLE["mlflow_bake_minutes"],
        "canary_bake_time_in_minutes": 0,
    }
    with Clients(cloud, created["url"], password) as clients:
        updated = cloud.run(ecs_express_service, changed(server, deployment_configuration=as_role))
    assert not updated.get("failed"), updated["msg"]
    assert {401, 404} <= set(clients.answers), clients.answers
    assert updated["deployment"]["status"] == "SUCCESSFUL"
    assert any("ROLLBACK_SUCCESSFUL" in warning for warning in updated["warnings"])
    assert updated["service"]["primary_container"]["environment"]["MLFLOW_LOGGING_LEVEL"] == "WARNING"
    again = cloud.run(ecs_express_service, changed(server, deployment_configuration=as_role))
    assert (again.get("failed"), again["changed"]) == (None, False), again
