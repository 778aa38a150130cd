# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, Describe, Delete of Express services, through boto3 against a running local AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from express_support import endpoint_of
from express_support import leaves
from express_support import refusal
from express_support import status_of_newest
from running import eventually


@pytest.fixture(scope="module")
def web(account: Account) -> Iterator[dict[str, Any]]:
    """A service that is ready; tests leave it as it is."""
    tags = [{"key": "team", "value": "one"}]
    environment = {"TEXT": "hello", "B": "2", "A": "1"}
    service = account.ready("web-one", environment, tags=tags)
    yield service
    account.gone(service["serviceArn"])


def test_create_is_active_at_once_without_a_deployment(account: Account, made: list[str]) -> None:
    service = account.create("at-once", tags=[{"key": "a", "value": "b"}])
    made.append(service["serviceArn"])
    assert service["status"] == {"statusCode": "ACTIVE"}
    assert "currentDeployment" not in service
    assert service["serviceArn"] == f"arn:aws:ecs:us-east-1:{account.aws.account_id}:service/default/at-once"
    assert service["cluster"].endswith(":cluster/default")
    assert service["tags"] == [{"key": "a", "value": "b"}]
    assert service["infrastructureRoleArn"] == account.infrastructure


def test_service_answers_over_https(account: Account, web: dict[str, Any]) -> None:
    assert account.get(endpoint_of(web)) == (200, "hello")
    assert "://" not in endpoint_of(web)


def test_defaults_are_the_developer_guides(account: Account, made: list[str]) -> None:
    service = account.ecs.create_express_gateway_service(
        serviceName="defaults",
        executionRoleArn=account.execution,
        infrastructureRoleArn=account.infrastructure,
        primaryContainer={"image": "public.ecr.aws/docker/library/python:3.11"},
    )["service"]
    made.append(service["serviceArn"])
    configuration = service["activeConfigurations"][0]
    assert (configuration["cpu"], configuration["memory"]) == ("1024", "2048")
    assert configuration["cpuArchitecture"] == "X86_64"
    assert configuration["healthCheckPath"] == "/"
    assert configuration["primaryContainer"]["containerPort"] == 80
    assert configuration["scalingTarget"] == {
        "minTaskCount": 1,
        "maxTaskCount": 20,
        "autoScalingMetric": "AVERAGE_CPU",
        "autoScalingTargetValue": 60,
    }
    logs = configuration["primaryContainer"]["awsLogsConfiguration"]
    assert re.fullmatch(r"/aws/ecs/default/defaults-\d{4}", logs["logGroup"])
    assert logs["logStreamPrefix"] == "ecs"
    assert configuration["ingressPaths"][0]["accessType"] == "PUBLIC"


def test_describe_sorts_environment_and_adds_the_managed_group(account: Account, web: dict[str, Any]) -> None:
    configuration = account.describe(web["serviceArn"])["activeConfigurations"][0]
    assert [item["name"] for item in configuration["primaryContainer"]["environment"]] == ["A", "B", "TEXT"]
    (group,) = configuration["networkConfiguration"]["securityGroups"]
    described = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert {"Key": "AmazonECSManaged", "Value": "true"} in described["Tags"]
    assert {"Key": "team", "Value": "one"} in described["Tags"]
    assert described["GroupName"] == f"default-web-one-{described['VpcId']}"
    rule = described["IpPermissions"][0]
    assert (rule["FromPort"], rule["ToPort"]) == (5000, 5000)


def test_tags_only_on_request(account: Account, web: dict[str, Any]) -> None:
    assert "tags" not in account.describe(web["serviceArn"])
    answer = account.ecs.describe_express_gateway_service(serviceArn=web["serviceArn"], include=["TAGS"])
    assert answer["service"]["tags"] == [{"key": "team", "value": "one"}]


def test_all_resources_are_active_and_real(account: Account, web: dict[str, Any]) -> None:
    managed = account.managed(web["serviceArn"])
    assert {item["status"] for item in leaves(managed).values()} == {"ACTIVE"}
    path = managed["ingressPaths"][0]
    assert re.fullmatch(r"we-[0-9a-f]{32}\.ecs\.us-east-1\.on\.aws", path["certificate"]["domainName"])
    balancer = account.elbv2.describe_load_balancers(LoadBalancerArns=[path["loadBalancer"]["arn"]])["LoadBalancers"][0]
    assert re.fullmatch(r"ecs-express-gateway-alb-[0-9a-f]{8}", balancer["LoadBalancerName"])
    groups = [group["arn"] for group in path["targetGroups"]]
    described = account.elbv2.describe_target_groups(TargetGroupArns=groups)["TargetGroups"]
    for group in described:
        assert re.fullmatch(r"ecs-gateway-tg-[0-9a-f]{17}", group["TargetGroupName"])
        settings = [group[f"HealthCheck{name}"] for name in ("IntervalSeconds", "TimeoutSeconds", "Path")]
        assert settings == [30, 5, "/health"]
    rules = account.elbv2.describe_rules(ListenerArn=path["listener"]["arn"])["Rules"]
    (rule,) = [item for item in rules if item["RuleArn"] == path["rule"]["arn"]]
    assert rule["Conditions"][0]["HostHeaderConfig"]["Values"] == [path["certificate"]["domainName"]]
    targets = account.aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")
    assert [item["MaxCapacity"] for item in targets["ScalableTargets"] if "web-one" in item["ResourceId"]] == [1]
    alarms = account.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert managed["metricAlarms"][0]["arn"] in [alarm["AlarmArn"] for alarm in alarms]


def test_target_health_is_the_balancers_own(account: Account, web: dict[str, Any]) -> None:
    found = []
    for group in account.managed(web["serviceArn"])["ingressPaths"][0]["targetGroups"]:
        answer = account.elbv2.describe_target_health(TargetGroupArn=group["arn"])
        found += answer["TargetHealthDescriptions"]
    (target,) = found
    assert target["TargetHealth"]["State"] == "healthy"
    assert target["Target"]["Port"] == 5000


def test_classic_description(account: Account, web: dict[str, Any]) -> None:
    for name in ("web-one", web["serviceArn"]):
        (service,) = account.ecs.describe_services(cluster="default", services=[name])["services"]
        assert service["resourceManagementType"] == "ECS"
        assert service["status"] == "ACTIVE"
        assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (1, 1, 0)
        assert service["healthCheckGracePeriodSeconds"] == 300
        assert service["deploymentConfiguration"]["strategy"] == "CANARY"
        assert service["deploymentConfiguration"]["canaryConfiguration"]["canaryPercent"] == 5
        (deployment,) = service["deployments"]
        assert (deployment["status"], deployment["rolloutState"]) == ("PRIMARY", "COMPLETED")
        assert service["events"][0]["message"] == "(service web-one) has reached a steady state."
        assert "tags" not in service
    account.ecs.get_waiter("services_stable").wait(services=["web-one"], WaiterConfig={"Delay": 1, "MaxAttempts": 1800})


def test_unknown_services_are_missing_and_classic_ones_are_described_too(account: Account, web: dict[str, Any]) -> None:
    classic(account, "classic-described")
    names = ["web-one", "nobody", "classic-described"]
    answer = account.ecs.describe_services(services=names)
    kinds = {item["serviceName"]: item.get("resourceManagementType") for item in answer["services"]}
    assert kinds["web-one"] == "ECS"
    assert kinds["classic-described"] in (None, "CUSTOMER")
    assert [item["reason"] for item in answer["failures"]] == ["MISSING"]


def classic(account: Account, name: str) -> str:
    """A classic service, a record of ministack's."""
    account.ecs.register_task_definition(
        family=name, containerDefinitions=[{"name": "c", "image": "nothing", "memory": 128}]
    )
    answer = account.ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=0, cluster="default")
    return answer["service"]["serviceArn"]


def test_list_services_filters_by_management_and_pages(account: Account, web: dict[str, Any]) -> None:
    arn = classic(account, "classic-listed")
    assert web["serviceArn"] in account.ecs.list_services(resourceManagementType="ECS")["serviceArns"]
    assert arn not in account.ecs.list_services(resourceManagementType="ECS")["serviceArns"]
    custom = account.ecs.list_services(resourceManagementType="CUSTOMER")["serviceArns"]
    assert arn in custom
    assert web["serviceArn"] not in custom
    pages = account.ecs.get_paginator("list_services").paginate(PaginationConfig={"PageSize": 1})
    every = [item for page in pages for item in page["serviceArns"]]
    assert {arn, web["serviceArn"]} <= set(every)
    assert len(every) == len(set(every))


def test_task_definition_is_a_record(account: Account, web: dict[str, Any]) -> None:
    arn = web["activeConfigurations"][0]["taskDefinitionArn"]
    definition = account.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert definition["family"] == "default-web-one"
    (container,) = definition["containerDefinitions"]
    assert (container["name"], container["stopTimeout"], container["essential"]) == ("Main", 30, True)
    assert container["logConfiguration"]["options"]["mode"] == "non-blocking"


def test_create_over_active_is_refused(account: Account, web: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        account.create("web-one")
    assert refusal(caught.value)[0] == "InvalidParameterException"


def test_deployment_appears_after_the_service_and_resources_one_by_one(account: Account, made: list[str]) -> None:
    held = [account.aws.hold(f"elbv2:{operation}") for operation in ("CreateTargetGroup", "CreateRule")]
    arn = account.create("stepwise")["serviceArn"]
    made.append(arn)

    def active() -> int:
        states = [item["status"] for item in leaves(account.managed(arn)).values()]
        return states.count("ACTIVE")

    partly: list[int] = []
    for fault in held:
        account.aws.await_held(fault)
        partly.append(active())
        eventually(lambda: status_of_newest(account, arn) == "IN_PROGRESS", what="IN_PROGRESS")
        assert account.describe(arn)["currentDeployment"] == account.deployments(arn)[0]["serviceDeploymentArn"]
        account.aws.release(fault)
    assert account.settled(arn)["status"] == "SUCCESSFUL"
    partly.append(active())
    assert 0 < partly[0] < partly[1] < partly[2]
    deployment = account.deployment(account.deployments(arn)[0]["serviceDeploymentArn"])
    assert deployment["targetServiceRevision"]["runningTaskCount"] == 1
    assert deployment["finishedAt"] >= deployment["startedAt"] >= deployment["createdAt"]
    assert "currentDeployment" not in account.describe(arn)


def test_unknown_cluster_and_bad_input_are_refused(account: Account) -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ({"cpu": "300"}, "ClientException", "No Fargate configuration exists"),
        ({"cpu": "1024", "memory": "512"}, "ClientException", "No Fargate configuration exists"),
        ({"cpu": "1", "memory": "1"}, "ClientException", "No Fargate configuration exists"),
        ({"healthCheckPath": "health"}, "InvalidParameterException", "must start with a forward slash"),
        ({"serviceName": "a b"}, "InvalidParameterException", "Invalid service name"),
        ({"scalingTarget": {"minTaskCount": 3, "maxTaskCount": 2}}, "InvalidParameterException", "minTaskCount (3)"),
        (
            {"taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/x:1"},
            "InvalidParameterException",
            "cannot be",
        ),
        ({"networkConfiguration": {"subnets": ["subnet-12345678"]}}, "InvalidParameterException", "subnet-12345678"),
        (
            {"infrastructureRoleArn": "arn:aws:iam::123456789012:role/none"},
            "AccessDeniedException",
            "Cannot assume role",
        ),
    ]
    for change, code, text in cases:
        parameters = account.parameters("refused", **change) | change
        with pytest.raises(ClientError) as caught:
            account.ecs.create_express_gateway_service(**parameters)
        assert refusal(caught.value)[0] == code, change
        assert text in refusal(caught.value)[1], change
    assert account.ecs.describe_services(services=["refused"])["services"] == []


def test_task_definition_of_ones_own(account: Account, made: list[str]) -> None:
    container = {**account.container({"TEXT": "mine"}), "name": "Main", "essential": True}
    port = container.pop("containerPort")
    account.aws.client("logs").create_log_group(logGroupName="/ecs/mine")
    container["logConfiguration"] = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/ecs/mine", "awslogs-stream-prefix": "ecs", "awslogs-region": "us-east-1"},
    }
    common: dict[str, Any] = {
        "family": "mine",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "512",
        "memory": "1024",
        "executionRoleArn": account.execution,
    }
    plain = account.ecs.register_task_definition(containerDefinitions=[container], **common)["taskDefinition"]
    parameters: dict[str, Any] = {
        "serviceName": "mine",
        "infrastructureRoleArn": account.infrastructure,
        "healthCheckPath": "/health",
    }
    with pytest.raises(ClientError) as caught:
        account.ecs.create_express_gateway_service(taskDefinitionArn=plain["taskDefinitionArn"], **parameters)
    assert refusal(caught.value)[1] == (
        "Task definition must contain a container named 'Main' with a single TCP port mapping."
    )
    container["portMappings"] = [{"name": "web", "containerPort": port}]
    good = account.ecs.register_task_definition(containerDefinitions=[container], **common)["taskDefinition"]
    answer = account.ecs.create_express_gateway_service(taskDefinitionArn=good["taskDefinitionArn"], **parameters)
    arn = answer["service"]["serviceArn"]
    made.append(arn)
    assert account.settled(arn)["status"] == "SUCCESSFUL"
    configuration = account.describe(arn)["activeConfigurations"][0]
    assert configuration["taskDefinitionArn"] == good["taskDefinitionArn"]
    assert "cpuArchitecture" not in configuration
    assert account.get(endpoint_of(account.describe(arn))) == (200, "mine")


def test_unknown_arns(account: Account) -> None:
    arn = f"arn:aws:ecs:us-east-1:{account.aws.account_id}:service/default/nobody"
    with pytest.raises(account.ecs.exceptions.ResourceNotFoundException):
        account.ecs.describe_express_gateway_service(serviceArn=arn)
    with pytest.raises(account.ecs.exceptions.ServiceNotFoundException):
        account.ecs.update_express_gateway_service(serviceArn=arn)
    with pytest.raises(account.ecs.exceptions.ServiceNotFoundException):
        account.ecs.delete_express_gateway_service(serviceArn=arn)
    with pytest.raises(account.ecs.exceptions.InvalidParameterException):
        account.ecs.describe_express_gateway_service(serviceArn="arn:aws:s3:::bucket")
    unknown = arn.replace(":service/", ":service-deployment/") + "/x"
    with pytest.raises(account.ecs.exceptions.ServiceDeploymentNotFoundException):
        account.ecs.stop_service_deployment(serviceDeploymentArn=unknown)
    answer = account.ecs.describe_service_deployments(serviceDeploymentArns=[unknown])
    assert answer["failures"][0]["reason"] == "MISSING"


def test_classic_delete_and_rolling_are_refused_in_awss_words(account: Account, web: dict[str, Any]) -> None:
    arn = web["serviceArn"]
    with pytest.raises(ClientError) as caught:
        account.ecs.delete_service(service="web-one", force=True)
    assert refusal(caught.value) == (
        "InvalidParameterException",
        f"{arn} has ResourceManagementType=ECS use DeleteExpressGatewayService to delete",
    )
    with pytest.raises(ClientError) as caught:
        account.ecs.update_service(service="web-one", deploymentConfiguration={"strategy": "ROLLING"})
    assert refusal(caught.value) == (
        "InvalidParameterException",
        "Updating to ROLLING deployment strategy is not supported for ExpressGatewayServices.",
    )
    with pytest.raises(account.ecs.exceptions.ClusterContainsServicesException):
        account.ecs.delete_cluster(cluster="default")


def test_tagging_changes_the_service_alone(account: Account, web: dict[str, Any]) -> None:
    arn = web["serviceArn"]
    account.ecs.tag_resource(resourceArn=arn, tags=[{"key": "later", "value": "x"}])
    try:
        assert {"key": "later", "value": "x"} in account.ecs.list_tags_for_resource(resourceArn=arn)["tags"]
        assert {"key": "later", "value": "x"} in account.ecs_service(arn)["tags"]
        balancer = account.managed(arn)["ingressPaths"][0]["loadBalancer"]["arn"]
        tags = account.elbv2.describe_tags(ResourceArns=[balancer])["TagDescriptions"][0]["Tags"]
        assert "later" not in [tag["Key"] for tag in tags]
    finally:
        account.ecs.untag_resource(resourceArn=arn, tagKeys=["later"])
    assert account.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "one"}]
