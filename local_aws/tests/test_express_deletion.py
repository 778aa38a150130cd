# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a service ends, alone and beside others."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from express_support import Account
from express_support import endpoint_of
from express_support import leaves
from express_support import refused
from running import eventually


@pytest.fixture(scope="module")
def web(account: Account) -> Iterator[dict[str, Any]]:
    """A service that is ready; tests leave it as it is."""
    tags = [{"key": "team", "value": "one"}]
    environment = {"TEXT": "hello", "B": "2", "A": "1"}
    service = account.ready("web-one", environment, tags=tags)
    yield service
    account.gone(service["serviceArn"])


def test_life_from_create_to_recreate(account: Account, made: list[str]) -> None:
    first = account.ready("again", {"TEXT": "one"})
    arn = first["serviceArn"]
    made.append(arn)
    revision = first["activeConfigurations"][0]["serviceRevisionArn"]
    domain = account.managed(arn)["ingressPaths"][0]["certificate"]["domainName"]
    logs = account.managed(arn)["logGroups"][0]["logGroupName"]
    definition = first["activeConfigurations"][0]["taskDefinitionArn"]
    as_classic = {"serviceName": "again", "taskDefinition": definition, "cluster": "default"}
    assert refused(account.ecs.create_service, **as_classic)[0] == "InvalidParameterException"
    # Held, so that there is time to look at it.
    held = account.aws.hold("elbv2:DeleteRule")
    deleted = account.ecs.delete_express_gateway_service(serviceArn=arn)["service"]
    assert deleted["status"]["statusCode"] == "DRAINING"
    draining = ("InvalidParameterException", "Unable to Start a service that is still Draining.")
    assert refused(lambda: account.create("again")) == draining
    assert refused(account.ecs.create_service, **as_classic) == draining
    for operation in (account.ecs.delete_express_gateway_service, account.ecs.update_express_gateway_service):
        assert refused(operation, serviceArn=arn) == (
            "ServiceNotActiveException",
            "Service is in DRAINING status",
        )
    answer = account.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"][0]
    states = {name: item["status"] for name, item in leaves(answer["ecsManagedResources"]).items()}
    assert states.pop("logGroup0") == "ACTIVE"
    assert states["certificate"] in ("DEPROVISIONING", "DELETED")
    assert states["rule"] == "DEPROVISIONING"
    account.aws.release(held)
    eventually(lambda: account.ecs_service(arn)["status"] == "INACTIVE", what="INACTIVE")
    for operation in (account.ecs.delete_express_gateway_service, account.ecs.update_express_gateway_service):
        assert refused(operation, serviceArn=arn) == (
            "ServiceNotActiveException",
            "Cannot perform this operation on a service in INACTIVE status",
        )
    over = account.describe(arn)
    assert (over["status"]["statusCode"], over["activeConfigurations"]) == ("INACTIVE", [])
    # What is kept: the log group, and the definitions with their environment in plain text.
    kept = account.aws.client("logs").describe_log_groups(logGroupNamePrefix=logs)["logGroups"]
    assert [item["logGroupName"] for item in kept] == [logs]
    record = account.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    assert record["status"] == "ACTIVE"
    assert record["containerDefinitions"][0]["environment"] == [{"name": "TEXT", "value": "one"}]
    assert refused(account.ecs.describe_service_revisions, serviceRevisionArns=[revision]) == (
        "InvalidParameterException",
        "Cannot call DescribeServiceRevisions for a service that is INACTIVE",
    )
    with pytest.raises((urllib.error.URLError, OSError)):
        account.get(endpoint_of(first))
    second = account.ready("again", {"TEXT": "two"})
    assert second["serviceArn"] == arn
    assert account.get(endpoint_of(second)) == (200, "two")
    assert account.managed(arn)["ingressPaths"][0]["certificate"]["domainName"] != domain


def test_services_share_a_load_balancer_which_the_last_one_takes_along(account: Account, web: dict[str, Any]) -> None:
    second = account.ready("web-two", {"TEXT": "two"})
    one, two = (account.managed(service["serviceArn"])["ingressPaths"][0] for service in (web, second))
    assert one["loadBalancer"]["arn"] == two["loadBalancer"]["arn"]
    assert one["listener"]["arn"] == two["listener"]["arn"]
    assert one["rule"]["arn"] != two["rule"]["arn"]
    assert account.get(endpoint_of(second)) == (200, "two")
    account.gone(second["serviceArn"])
    assert account.elbv2.describe_load_balancers(LoadBalancerArns=[one["loadBalancer"]["arn"]])["LoadBalancers"]
    assert account.get(endpoint_of(web)) == (200, "hello")
    groups = [group["GroupName"] for group in account.ec2.describe_security_groups()["SecurityGroups"]]
    assert not [name for name in groups if "web-two" in name]


def test_service_that_is_deleted_while_its_resources_are_made_leaves_none(account: Account, made: list[str]) -> None:
    """The load balancer is being made when the service is deleted; it must go, too, and so its security group."""
    name = "half-made"
    subnets = network_of_ones_own(account)
    fault = account.aws.hold("elbv2:CreateLoadBalancer")
    arn = account.create(name, networkConfiguration={"subnets": subnets})["serviceArn"]
    made.append(arn)
    account.aws.await_held(fault)
    account.ecs.delete_express_gateway_service(serviceArn=arn)
    account.aws.release(fault)
    account.gone(arn)
    assert_empty(account, subnets)


def test_last_service_takes_along_what_others_made_before_it_came_to_use_it(account: Account, made: list[str]) -> None:
    subnets = network_of_ones_own(account)
    network = {"subnets": subnets}
    first = account.ready("makes-it", networkConfiguration=network)["serviceArn"]
    fault = account.aws.hold("ec2:CreateSecurityGroup")
    second = account.create("too-late", networkConfiguration=network)["serviceArn"]
    made += [first, second]
    account.aws.await_held(fault)
    for arn in (first, second):
        account.ecs.delete_express_gateway_service(serviceArn=arn)
    account.aws.release(fault)
    for arn in (first, second):
        account.gone(arn)
    assert_empty(account, subnets)


def assert_empty(account: Account, subnets: list[str]) -> None:
    """Nothing of Express Mode is left in a network."""
    vpc = account.ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"]
    named = [{"Name": "vpc-id", "Values": [vpc]}]
    groups = account.ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    assert not [item for item in account.elbv2.describe_load_balancers()["LoadBalancers"] if item["VpcId"] == vpc]


def network_of_ones_own(account: Account) -> list[str]:
    """Two subnets of a new VPC, which no other service shares a load balancer in."""
    ec2, region = account.ec2, account.aws.info["region"]
    vpc = ec2.create_vpc(CidrBlock="10.88.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.88.{number}.0/24", AvailabilityZone=f"{region}{zone}")
        for number, zone in enumerate("ab")
    ]
    return [answer["Subnet"]["SubnetId"] for answer in made]


def test_group_that_names_the_managed_one_blocks_the_end_of_deletion(account: Account) -> None:
    service = account.ready("blocked")
    arn = service["serviceArn"]
    configuration = service["activeConfigurations"][0]
    managed = configuration["networkConfiguration"]["securityGroups"][-1]
    vpc = account.ec2.describe_security_groups(GroupIds=[managed])["SecurityGroups"][0]["VpcId"]
    own = account.ec2.create_security_group(GroupName="mine", Description="mine", VpcId=vpc)["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": managed}]}
    account.ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[permission])
    account.ecs.delete_express_gateway_service(serviceArn=arn)
    eventually(
        lambda: "DependencyViolation" in json.dumps(account.ecs_service(arn)["events"], default=str), what="event"
    )
    assert account.ecs_service(arn)["status"] == "DRAINING"
    account.ec2.delete_security_group(GroupId=own)
    eventually(lambda: account.ecs_service(arn)["status"] == "INACTIVE", what="INACTIVE")
