# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, permissions and networks of Express services: what is allowed, what is refused, and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from express_support import INFRASTRUCTURE_POLICY
from express_support import Account
from express_support import leaves
from express_support import refusal
from express_support import unique
from express_support import vpc
from running import LocalAws
from running import eventually


def failed(account: Account, arn: str) -> dict[str, dict[str, Any]]:
    """The managed resources of a service that could not be made."""
    found = leaves(account.managed(arn))
    return {name: item for name, item in found.items() if item["status"] == "FAILED"}


# Roles ----------------------------------------------------------------------------------------------------------------


def test_infrastructure_role_must_trust_ecs(account: Account) -> None:
    for principal in ("ecs-tasks.amazonaws.com", "ec2.amazonaws.com"):
        role = account.role("wrong", principal, INFRASTRUCTURE_POLICY)
        with pytest.raises(ClientError) as caught:
            account.create("untrusted", infrastructureRoleArn=role)
        code, message = refusal(caught.value)
        assert code == "AccessDeniedException"
        assert message.startswith(f"Cannot assume role {role}")


def test_role_without_policy_wedges_the_service(account: Account, made: list[str]) -> None:
    role = account.role("empty", "ecs.amazonaws.com")
    service = account.create("no-policy", infrastructureRoleArn=role)
    arn = service["serviceArn"]
    made.append(arn)
    found = eventually(lambda: failed(account, arn), what="a failed resource")
    assert "is not authorized to perform" in next(iter(found.values()))["statusReason"]
    assert service["status"]["statusCode"] == "ACTIVE"
    eventually(lambda: account.deployments(arn), what="a deployment")
    # The policy comes too late: nothing is tried again, only deletion is.
    account.iam.attach_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyArn=INFRASTRUCTURE_POLICY)
    account.ecs.update_express_gateway_service(serviceArn=arn, cpu="512", memory="1024")
    eventually(lambda: account.deployments(arn)[0]["status"] == "IN_PROGRESS", what="IN_PROGRESS")
    assert failed(account, arn)


def test_policy_that_names_no_managed_tag_fails_as_on_aws(account: Account, made: list[str]) -> None:
    role = account.role("untagged", "ecs.amazonaws.com")
    statements = [
        {"Effect": "Allow", "Action": ["ec2:*", "acm:*", "elasticloadbalancing:Describe*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "elasticloadbalancing:*",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/AmazonECSManaged": "false"}},
        },
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    account.iam.put_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyName="it", PolicyDocument=document)
    service = account.create(
        "wrong-tag", infrastructureRoleArn=role, networkConfiguration={"subnets": private(account)}
    )
    made.append(service["serviceArn"])
    found = eventually(lambda: failed(account, service["serviceArn"]), what="a failed resource")
    assert "elasticloadbalancing:CreateLoadBalancer" in found["loadBalancer"]["statusReason"]
    name = role.rsplit("/", 1)[-1]
    account.iam.attach_role_policy(RoleName=name, PolicyArn=INFRASTRUCTURE_POLICY)


def test_managed_policy_alone_cannot_do_without_elbs_linked_role(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws, linked=False)
    service = account.create("unlinked")
    arn = service["serviceArn"]
    found = eventually(lambda: failed(account, arn), what="a failed resource")
    assert "ec2:DescribeAccountAttributes" in found["loadBalancer"]["statusReason"]
    account.gone(arn)
    account.link()
    account.ready("unlinked")


def test_deletion_waits_for_the_infrastructure_role(account: Account) -> None:
    service = account.ready("roleless")
    arn = service["serviceArn"]
    name = account.infrastructure.rsplit("/", 1)[-1]
    account.iam.detach_role_policy(RoleName=name, PolicyArn=INFRASTRUCTURE_POLICY)
    try:
        account.ecs.delete_express_gateway_service(serviceArn=arn)
        eventually(lambda: "could not be removed" in account.ecs_service(arn)["events"][0]["message"], what="event")
        assert account.ecs_service(arn)["status"] == "DRAINING"
    finally:
        account.iam.attach_role_policy(RoleName=name, PolicyArn=INFRASTRUCTURE_POLICY)
    eventually(lambda: account.ecs_service(arn)["status"] == "INACTIVE", what="INACTIVE")


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
OF_OTHERS = {
    "another service": ("ec2.amazonaws.com", {}),
    "another account": ("ecs-tasks.amazonaws.com", {"StringEquals": {"aws:SourceAccount": "999999999999"}}),
    "another region": ("ecs-tasks.amazonaws.com", {"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-north-1:*:*"}}),
}


@pytest.mark.parametrize("of", OF_OTHERS)
def test_execution_role_that_trusts_others_stops_the_deployment(account: Account, made: list[str], of: str) -> None:
    principal, condition = OF_OTHERS[of]
    role = account.role("mistrust", principal, condition=condition)
    service = account.create(f"mistrusted-{of[8:15].strip()}", executionRoleArn=role)
    made.append(service["serviceArn"])
    assert account.settled(service["serviceArn"])["status"] == "ROLLBACK_FAILED"
    events = " ".join(item["message"] for item in account.ecs_service(service["serviceArn"])["events"])
    assert "ECS was unable to assume the role" in events


# The caller -----------------------------------------------------------------------------------------------------------

CALLER = ["ecs:*", "iam:PassRole"]


def test_caller_needs_the_operation_and_pass_role(account: Account, made: list[str]) -> None:
    everything = account.aws.client("ecs", *account.user(CALLER))
    no_pass = account.aws.client("ecs", *account.user(["ecs:*"]))
    condition = {"Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}
    only_tasks = account.aws.client("ecs", *account.user(CALLER, **condition))
    nothing = account.aws.client("ecs", *account.user(["s3:GetObject"]))
    parameters = account.parameters("passed")
    with pytest.raises(ClientError) as caught:
        nothing.create_express_gateway_service(**parameters)
    assert "ecs:CreateExpressGatewayService" in refusal(caught.value)[1]
    for client in (no_pass, only_tasks):
        with pytest.raises(ClientError) as caught:
            client.create_express_gateway_service(**parameters)
        assert refusal(caught.value)[0] == "AccessDeniedException"
    with pytest.raises(ClientError) as caught:
        no_pass.create_express_gateway_service(**parameters)
    assert f"iam:PassRole on resource: {account.infrastructure}" in refusal(caught.value)[1]
    service = everything.create_express_gateway_service(**parameters)["service"]
    made.append(service["serviceArn"])
    with pytest.raises(ClientError) as caught:
        no_pass.update_express_gateway_service(serviceArn=service["serviceArn"], cpu="512", memory="1024")
    assert f"iam:PassRole on resource: {account.execution}" in refusal(caught.value)[1]
    for operation in ("describe_express_gateway_service", "delete_express_gateway_service"):
        with pytest.raises(ClientError) as caught:
            getattr(nothing, operation)(serviceArn=service["serviceArn"])
        assert refusal(caught.value)[0] == "AccessDeniedException"
    with pytest.raises(ClientError) as caught:
        nothing.describe_services(services=["passed"])
    assert refusal(caught.value)[0] == "AccessDeniedException"


def test_policy_on_one_service_alone(account: Account, made: list[str]) -> None:
    arn = account.create("own-service")["serviceArn"]
    made.append(arn)
    other = account.create("other-service")["serviceArn"]
    made.append(other)
    client = account.aws.client("ecs", *account.user(["ecs:DescribeExpressGatewayService"], Resource=arn))
    assert client.describe_express_gateway_service(serviceArn=arn)["service"]["serviceName"] == "own-service"
    with pytest.raises(ClientError):
        client.describe_express_gateway_service(serviceArn=other)


# Network --------------------------------------------------------------------------------------------------------------


def vpc_with_subnets(account: Account, zones: str) -> list[str]:
    """A VPC without internet, with one subnet per zone."""
    vpc = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    return [
        account.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")[
            "Subnet"
        ]["SubnetId"]
        for number, zone in enumerate(zones)
    ]


def private(account: Account) -> list[str]:
    """Two subnets in two zones, without a way to the internet."""
    return vpc_with_subnets(account, "ab")


def test_subnets_without_internet_gateway_make_a_private_service(account: Account, made: list[str]) -> None:
    subnets = private(account)
    service = account.ready("inside", networkConfiguration={"subnets": subnets, "securityGroups": []})
    made.append(service["serviceArn"])
    configuration = service["activeConfigurations"][0]
    assert configuration["ingressPaths"][0]["accessType"] == "PRIVATE"
    assert configuration["networkConfiguration"]["subnets"] == subnets
    managed = account.managed(service["serviceArn"])
    assert managed["ingressPaths"][0]["loadBalancer"]["scheme"] == "internal"
    network = account.ecs_service(service["serviceArn"])["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"


def test_own_group_is_kept_and_the_managed_one_added(account: Account, made: list[str]) -> None:
    subnets = private(account)
    vpc = account.ec2.describe_subnets(SubnetIds=subnets)["Subnets"][0]["VpcId"]
    own = account.ec2.create_security_group(GroupName="own", Description="own", VpcId=vpc)["GroupId"]
    service = account.ready("own-group", networkConfiguration={"subnets": subnets, "securityGroups": [own]})
    made.append(service["serviceArn"])
    groups = service["activeConfigurations"][0]["networkConfiguration"]["securityGroups"]
    assert groups[0] == own
    assert len(groups) == 2


def test_one_zone_is_not_enough(account: Account) -> None:
    subnets = vpc_with_subnets(account, "aa")
    with pytest.raises(ClientError) as caught:
        account.create("one-zone", networkConfiguration={"subnets": subnets})
    assert refusal(caught.value) == (
        "InvalidParameterException",
        "At least two subnets in two different Availability Zones must be specified",
    )


def test_later_services_must_be_in_the_zones_of_the_first(account: Account, made: list[str]) -> None:
    subnets = vpc_with_subnets(account, "abc")
    made.append(account.ready("zones-one", networkConfiguration={"subnets": subnets[:2]})["serviceArn"])
    second = account.create("zones-two", networkConfiguration={"subnets": subnets[1:]})
    made.append(second["serviceArn"])
    found = eventually(lambda: failed(account, second["serviceArn"]), what="a failed resource")
    assert "Availability Zones" in found["loadBalancer"]["statusReason"]


def test_twenty_five_services_share_one_load_balancer(
    account: Account, made: list[str], faults: Callable[..., str]
) -> None:
    # No container ever runs: only the resources are of interest.
    faults("tasks:Capacity", subject="service:many-*", times=0)
    subnets = private(account)
    for number in range(26):
        service = account.create(f"many-{number}", networkConfiguration={"subnets": subnets})
        made.append(service["serviceArn"])

    def balancers() -> list[str]:
        found = [leaves(account.managed(arn))["loadBalancer"].get("arn", "") for arn in made]
        return found if all(found) else []

    arns = eventually(balancers, what="load balancers")
    assert sorted(arns.count(arn) for arn in set(arns)) == [1, 25]


def test_resources_of_many_services_are_made_at_the_same_time(
    account: Account, made: list[str], faults: Callable[..., str]
) -> None:
    """An answer that needs a call of its own does not wait for those who wait for such answers."""
    faults("tasks:Capacity", subject="service:crowd-*", times=0)
    held = account.aws.hold("application-autoscaling:RegisterScalableTarget", times=0)
    subnets = private(account)
    count = 12
    before = account.aws.page("calls")["counts"].get("application-autoscaling:RegisterScalableTarget", 0)
    for number in range(count):
        made.append(account.create(f"crowd-{number}", networkConfiguration={"subnets": subnets})["serviceArn"])

    def waiting() -> bool:
        return next(item["happened"] for item in account.aws.page("faults")["faults"] if item["id"] == held) == count

    eventually(waiting, what="all to wait for an answer")
    account.aws.release(held)
    for arn in made:
        eventually(lambda arn=arn: leaves(account.managed(arn))["alarm"]["status"] == "ACTIVE", what="an alarm")
    after = account.aws.page("calls")["counts"]["application-autoscaling:RegisterScalableTarget"]
    assert after - before == count


def test_a_load_balancer_that_goes_takes_no_new_service(
    account: Account, made: list[str], faults: Callable[..., str]
) -> None:
    """A service that is created while the last one before it is being deleted gets a load balancer of its own."""
    subnets = private(account)
    first = account.ready("leaving-last", networkConfiguration={"subnets": subnets})
    old = leaves(account.managed(first["serviceArn"]))["loadBalancer"]["arn"]
    faults("elbv2:DeleteLoadBalancer", delay=240, times=1)
    account.ecs.delete_express_gateway_service(serviceArn=first["serviceArn"])
    made.append(account.ready("leaving-next", networkConfiguration={"subnets": subnets})["serviceArn"])
    assert leaves(account.managed(made[0]))["loadBalancer"]["arn"] != old
    account.gone(first["serviceArn"])
    assert account.ecs_service(made[0])["status"] == "ACTIVE"
    groups = account.ec2.describe_security_groups()["SecurityGroups"]
    assert not [group for group in groups if group["GroupName"].startswith("default-leaving-last-")]


def test_services_deleted_at_once_leave_nothing(account: Account) -> None:
    """The last one to go takes the load balancer with it, whichever is quicker."""
    subnets = private(account)
    before = {group["GroupId"] for group in account.ec2.describe_security_groups()["SecurityGroups"]}
    services = [account.ready(f"together-{n}", networkConfiguration={"subnets": subnets}) for n in range(3)]
    arn = leaves(account.managed(services[0]["serviceArn"]))["loadBalancer"]["arn"]
    for service in services:
        account.ecs.delete_express_gateway_service(serviceArn=service["serviceArn"])
    for service in services:
        account.gone(service["serviceArn"])
    after = {group["GroupId"] for group in account.ec2.describe_security_groups()["SecurityGroups"]}
    assert after <= before
    assert arn not in [item["LoadBalancerArn"] for item in account.elbv2.describe_load_balancers()["LoadBalancers"]]


DENIED = {
    "ec2:CreateSecurityGroup": "loadBalancerSecurityGroup",
    "acm:RequestCertificate": "certificate",
    "elasticloadbalancing:CreateLoadBalancer": "loadBalancer",
    "elasticloadbalancing:CreateListener": "listener",
    "elasticloadbalancing:CreateTargetGroup": "targetGroup0",
    "elasticloadbalancing:CreateRule": "rule",
    "logs:CreateLogGroup": "logGroup0",
    "application-autoscaling:RegisterScalableTarget": "scalableTarget",
    "application-autoscaling:PutScalingPolicy": "policy",
    "cloudwatch:PutMetricAlarm": "alarm",
}


def test_one_denied_action_of_the_infrastructure_role_fails_its_resource_for_good(
    account: Account, made: list[str]
) -> None:
    services: dict[str, tuple[str, str]] = {}
    for action in DENIED:
        role = account.role("denied", "ecs.amazonaws.com", INFRASTRUCTURE_POLICY)
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
        name = role.rsplit("/", 1)[-1]
        account.iam.put_role_policy(RoleName=name, PolicyName="deny", PolicyDocument=json.dumps(document))
        service = account.create(
            unique("denied"), infrastructureRoleArn=role, networkConfiguration={"subnets": vpc(account)}
        )
        services[action] = (service["serviceArn"], name)
        made.append(service["serviceArn"])
    for action, (arn, role) in services.items():

        def failed(arn: str = arn) -> dict[str, dict[str, Any]]:
            return {name: item for name, item in leaves(account.managed(arn)).items() if item["status"] == "FAILED"}

        found = eventually(failed, what=f"a failed resource without {action}")
        assert list(found) == [DENIED[action]]
        reason = found[DENIED[action]]["statusReason"]
        assert action in reason
        assert f"assumed-role/{role}/" in reason
        assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"
        eventually(lambda arn=arn: account.deployments(arn)[0]["status"] == "IN_PROGRESS", what="IN_PROGRESS")


def test_resources_are_made_by_the_infrastructure_role_and_by_nobody_else(account: Account, made: list[str]) -> None:
    subnets = vpc(account)
    account.aws.page("calls", "DELETE")
    made.append(account.ready(unique("maker"), networkConfiguration={"subnets": subnets})["serviceArn"])
    calls = account.aws.page("calls")["calls"]
    makes = ("Create", "Register", "Request", "Put", "Authorize", "Modify")
    apis = ("elbv2", "acm", "ec2", "application-autoscaling", "cloudwatch")
    by = {
        call["api"]: call["principal"]
        for call in calls
        if call["api"].split(":")[0] in apis and call["api"].split(":")[1].startswith(makes)
    }
    assert {
        "elbv2:CreateLoadBalancer",
        "elbv2:CreateListener",
        "elbv2:CreateTargetGroup",
        "elbv2:CreateRule",
        "elbv2:RegisterTargets",
        "acm:RequestCertificate",
        "ec2:CreateSecurityGroup",
        "application-autoscaling:RegisterScalableTarget",
        "cloudwatch:PutMetricAlarm",
    } <= set(by)
    role = account.infrastructure.rsplit("/", 1)[-1]
    assert {api for api, principal in by.items() if f":assumed-role/{role}/" not in principal} == set()
