# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another container at zero tasks: nothing else of it changes, and the empty deployment is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.service_scale import ServiceScale
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService

OLD, NEW = "ghcr.io/mlflow/mlflow:v3.16.1-full", "ghcr.io/mlflow/mlflow:v3.17.2-full"
CONTAINER = {
    "image": OLD,
    "containerPort": 5000,
    "command": ["bash", "-c", "exec mlflow server"],
    "environment": [{"name": "PGSSLMODE", "value": "verify-full"}],
    "secrets": [{"name": "PGPASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db"}],
    "awsLogsConfiguration": {"logGroup": "/mlflow/tracking", "logStreamPrefix": "mlflow"},
    "repositoryCredentials": {
        "credentialsParameter": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry"
    },
}


class EmptyService(TaggedService):
    """An Express service whose deployments appear, and end, some polls after an update.

    Args:
        most: its maximum of tasks.
        statuses: what its new deployment is in, poll by poll; the last one stays.
    """

    def __init__(self, most: int = 0, statuses: tuple[str, ...] = ("", "IN_PROGRESS", "SUCCESSFUL")) -> None:
        super().__init__()
        self.container: dict[str, Any] = dict(CONTAINER)
        self.most = most
        self.statuses = list(statuses)
        self.sent: list[dict[str, Any]] = []
        self.polls: list[str] = []

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        service = super().describe_express_gateway_service(serviceArn, include)["service"]
        scaling = {"minTaskCount": 0, "maxTaskCount": self.most}
        return {
            "service": {
                **service,
                "activeConfigurations": [{"primaryContainer": self.container, "scalingTarget": scaling}],
            }
        }

    def update_express_gateway_service(self, serviceArn: str, **sent: Any) -> Any:
        assert serviceArn == ARN
        self.sent.append(sent)
        self.container = sent["primaryContainer"]
        return {"service": {"targetConfiguration": {"serviceRevisionArn": "revision-2"}}}

    def list_service_deployments(self, **_sent: Any) -> Any:
        first = {"serviceDeploymentArn": "deployment-1", "status": "SUCCESSFUL", "createdAt": 1}
        if not self.sent:
            return {"serviceDeployments": [first]}
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.polls.append(status)
        second = {"serviceDeploymentArn": "deployment-2", "status": status, "createdAt": 2, "statusReason": "no image"}
        return {"serviceDeployments": [{**second, "targetServiceRevisionArn": "revision-2"}, first][not status :]}

    def list_tasks(self, desiredStatus: str, **_sent: Any) -> Any:
        return {"taskArns": ["task-1"] if self.most and desiredStatus == "RUNNING" else []}


def scale(ecs: EmptyService, timeout: float = 5) -> ServiceScale:
    target = Target("tracking", "default", ARN, "arn:aws:iam::123456789012:user/ana")
    return ServiceScale(lambda _service: ecs, target, WaitOptions(timeout=timeout, delay=0.001))  # type: ignore[arg-type,return-value]


def give(ecs: EmptyService, image: str, timeout: float = 5) -> None:
    """Give it the container that it has, with another image."""
    found = transformations.configuration({"primaryContainer": ecs.container})["primary_container"]
    scale(ecs, timeout).give_container({**found, "image": image})


def test_only_the_image_changes_and_the_empty_deployment_is_awaited() -> None:
    ecs = EmptyService()
    give(ecs, NEW)
    assert ecs.sent == [{"primaryContainer": {**CONTAINER, "image": NEW}}]
    assert ecs.polls == ["", "IN_PROGRESS", "SUCCESSFUL"], "the deployment of before was taken for the new one"


def test_a_second_run_sends_nothing() -> None:
    ecs = EmptyService()
    give(ecs, OLD)
    assert ecs.sent == []


def test_a_run_that_was_cut_off_waits_for_the_deployment_that_it_began() -> None:
    ecs = EmptyService(statuses=("IN_PROGRESS", "IN_PROGRESS", "SUCCESSFUL"))
    ecs.update_express_gateway_service(ARN, primaryContainer={**CONTAINER, "image": NEW})
    give(ecs, NEW)
    assert len(ecs.sent) == 1 and ecs.polls == ["IN_PROGRESS", "IN_PROGRESS", "SUCCESSFUL"]


@pytest.mark.parametrize("status", ["ROLLBACK_SUCCESSFUL", "STOPPED"])
def test_a_failed_deployment_says_why(status: str) -> None:
    with pytest.raises(UserError, match=f"ended with {status}: no image"):
        give(EmptyService(statuses=(status,)), NEW)


def test_a_deployment_that_does_not_end_is_an_error() -> None:
    with pytest.raises(UserError, match=r"has not ended after 0\.05 seconds"):
        give(EmptyService(statuses=("IN_PROGRESS",)), NEW, timeout=0.05)


def test_a_service_with_tasks_gets_no_image() -> None:
    ecs = EmptyService(most=1)
    with pytest.raises(UserError, match="scale it to zero tasks first"):
        give(ecs, NEW)
    assert ecs.sent == []


def test_what_somebody_else_changes_meanwhile_is_noticed() -> None:
    ecs = EmptyService()
    update = ecs.update_express_gateway_service

    def meddled(serviceArn: str, **sent: Any) -> Any:
        answer = update(serviceArn, **sent)
        ecs.container = {**ecs.container, "command": ["bash", "-c", "something else"]}
        return answer

    ecs.update_express_gateway_service = meddled  # type: ignore[method-assign]
    with pytest.raises(UserError, match="another container than it was given"):
        give(ecs, NEW)
