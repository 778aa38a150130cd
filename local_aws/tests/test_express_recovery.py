# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gets stuck, and what is taken up again after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from express_support import LONGEST_BAKE
from express_support import Account
from express_support import endpoint_of
from express_support import leaves
from express_support import refusal
from express_support import status_of_newest
from running import LocalAws
from running import eventually


def test_silent_wedge_is_not_helped_by_update_but_by_recreation(
    account: Account, made: list[str], faults: Callable[..., str]
) -> None:
    faults("express:StuckProvisioning", subject="*/wedged")
    service = account.create("wedged", {"TEXT": "late"})
    arn = service["serviceArn"]
    made.append(arn)
    eventually(lambda: account.deployments(arn) and account.deployments(arn)[0]["status"] == "IN_PROGRESS")
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "x"}))
    eventually(lambda: account.deployments(arn)[0]["status"] == "IN_PROGRESS")
    time.sleep(1)
    assert {item["status"] for item in leaves(account.managed(arn)).values()} == {"PROVISIONING"}
    assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"
    account.gone(arn)
    assert account.get(endpoint_of(account.ready("wedged", {"TEXT": "late"}))) == (200, "late")


def test_one_refused_call_wedges_for_good(account: Account, made: list[str], faults: Callable[..., str]) -> None:
    faults("elbv2:CreateTargetGroup", code="AccessDenied", message="not yet", status=403)
    service = account.create("refused-once")
    arn = service["serviceArn"]
    made.append(arn)
    group = eventually(
        lambda: [item for item in leaves(account.managed(arn)).values() if item["status"] == "FAILED"], what="FAILED"
    )[0]
    assert "not yet" in group["statusReason"]
    time.sleep(1)
    eventually(lambda: status_of_newest(account, arn) == "IN_PROGRESS", what="IN_PROGRESS")
    assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "Cannot assume role"),
        ("ClientException", "AWS was not able to validate the provided access credentials"),
        (
            "InvalidParameterException",
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
        ),
    ],
)
def test_synchronous_errors_to_order(
    account: Account, made: list[str], faults: Callable[..., str], code: str, message: str
) -> None:
    faults("ecs:CreateExpressGatewayService", code=code, message=message)
    with pytest.raises(ClientError) as caught:
        account.create("ordered")
    assert refusal(caught.value) == (code, message)
    made.append(account.create("ordered")["serviceArn"])


@pytest.mark.parametrize("clean", [True, False])
def test_services_come_back_after_a_restart(new_local_aws: Callable[..., LocalAws], clean: bool) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws)
    service = account.ready("lasting", {"TEXT": "still here"}, tags=[{"key": "a", "value": "b"}])
    arn = service["serviceArn"]
    if clean:
        aws.down()
    else:
        # The last file that is written when the state is saved.
        state = aws.home / "state" / "services" / "express.json"
        eventually(lambda: '"SUCCESSFUL"' in state.read_text(encoding="utf-8"), what="the state to be saved")
        aws.kill()
    port = aws.port
    aws.up("--port", str(port))
    account = Account(aws, linked=False)
    after = account.describe(arn)
    assert after["activeConfigurations"] == service["activeConfigurations"]
    eventually(lambda: account.get(endpoint_of(service)) == (200, "still here"), what="the answer")
    assert account.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "b"}]
    account.ecs.update_service(service=arn, forceNewDeployment=True)
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "SUCCESSFUL", (deployment, account.ecs_service(arn)["events"])
    account.gone(arn)


def test_deployment_under_way_is_taken_up_after_a_restart(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws)
    service = account.ready("resumed", {"TEXT": "one"})
    arn = service["serviceArn"]
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": LONGEST_BAKE})
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "two"}))
    under_way = account.deployments(arn)[0]["serviceDeploymentArn"]
    eventually(lambda: account.deployment(under_way).get("lifecycleStage") == "BAKE_TIME", what="BAKE_TIME")
    # For the next one who bakes.
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": 0})
    aws.down()
    aws.up()
    account = Account(aws, linked=False)
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    assert account.get(endpoint_of(service)) == (200, "two")
    eventually(lambda: account.ecs_service(arn)["runningCount"] == 1, what="one task")
