# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is used by something else is not deleted.

Sources: botocore's models (the declared errors, and the texts on DeleteSecurityGroup and DeleteLoadBalancer), the EC2
API's list of error codes (DependencyViolation, InvalidIPAddress.InUse), IAM's DeleteConflict.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from express_support import IMAGE
from express_support import Account
from express_support import refused
from express_support import unique
from running import LocalAws
from running import eventually
from test_database_instances import create
from test_database_instances import delete
from test_database_instances import wait_for

DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture(scope="module")
def ec2(local_aws: LocalAws) -> Any:
    """EC2, as root."""
    return local_aws.client("ec2")


@pytest.fixture(scope="module")
def iam(local_aws: LocalAws) -> Any:
    """IAM, as root."""
    return local_aws.client("iam")


@pytest.fixture
def vpc(ec2: Any) -> str:
    """A VPC of one's own."""
    return ec2.create_vpc(CidrBlock="10.66.0.0/16")["Vpc"]["VpcId"]


@pytest.fixture
def subnets(ec2: Any, vpc: str, local_aws: LocalAws) -> list[str]:
    """Two subnets of that VPC, in the first two zones."""
    region = local_aws.info["region"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.66.{number}.0/24", AvailabilityZone=f"{region}{zone}")["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate("ab")
    ]


def new_group(ec2: Any, **more: Any) -> str:
    """A security group."""
    return ec2.create_security_group(GroupName=unique("used"), Description="test", **more)["GroupId"]


def expect_dependency(ec2: Any, group: str) -> None:
    """The group cannot be deleted."""
    message = f"resource {group} has a dependent object"
    assert refused(ec2.delete_security_group, GroupId=group) == ("DependencyViolation", message)


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_group_that_a_rule_of_another_group_names(ec2: Any, direction: str) -> None:
    group, other = new_group(ec2), new_group(ec2)
    permission = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": group}]}]
    for owner in (group, other):  # its own rule does not count
        getattr(ec2, f"authorize_security_group_{direction}")(GroupId=owner, IpPermissions=permission)
    expect_dependency(ec2, group)
    getattr(ec2, f"revoke_security_group_{direction}")(GroupId=other, IpPermissions=permission)
    assert ec2.delete_security_group(GroupId=group)["GroupId"] == group
    assert refused(ec2.delete_security_group, GroupId=group)[0] == "InvalidGroup.NotFound"


def test_default_group_stays(ec2: Any, vpc: str) -> None:
    named = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    (group,) = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    assert refused(ec2.delete_security_group, GroupId=group["GroupId"])[0] == "CannotDelete"


def test_network_interface_keeps_group_and_subnet(ec2: Any, vpc: str, subnets: list[str]) -> None:
    group = new_group(ec2, VpcId=vpc)
    interface = ec2.create_network_interface(SubnetId=subnets[0], Groups=[group])["NetworkInterface"]
    expect_dependency(ec2, group)
    message = f"The subnet '{subnets[0]}' has dependencies and cannot be deleted."
    assert refused(ec2.delete_subnet, SubnetId=subnets[0]) == ("DependencyViolation", message)
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnets[0])


def test_database_keeps_group_subnet_and_subnet_group(
    local_aws: LocalAws, ec2: Any, vpc: str, subnets: list[str]
) -> None:
    rds, name, group = local_aws.client("rds"), unique("used"), new_group(ec2, VpcId=vpc)
    rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="test", SubnetIds=subnets)
    create(local_aws, name, VpcSecurityGroupIds=[group], DBSubnetGroupName=name)
    zone = wait_for(local_aws, name)["AvailabilityZone"]
    (mine,) = [s for s in ec2.describe_subnets(SubnetIds=subnets)["Subnets"] if s["AvailabilityZone"] == zone]
    expect_dependency(ec2, group)
    assert refused(ec2.delete_subnet, SubnetId=mine["SubnetId"])[0] == "DependencyViolation"
    assert refused(rds.delete_db_subnet_group, DBSubnetGroupName=name)[0] == "InvalidDBSubnetGroupStateFault"
    more = ec2.create_subnet(VpcId=vpc, CidrBlock="10.66.9.0/24", AvailabilityZone=zone[:-1] + "c")["Subnet"]
    rest = [subnet for subnet in (*subnets, more["SubnetId"]) if subnet != mine["SubnetId"]]
    assert refused(rds.modify_db_subnet_group, DBSubnetGroupName=name, SubnetIds=rest) == (
        "SubnetAlreadyInUse",
        f"Some of the subnets to be deleted are currently in use: {mine['SubnetId']}",
    )
    kept = [*subnets, more["SubnetId"]]
    rds.modify_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="other", SubnetIds=kept)
    [instance] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    assert instance["DBSubnetGroup"]["DBSubnetGroupDescription"] == "other"
    assert {one["SubnetIdentifier"] for one in instance["DBSubnetGroup"]["Subnets"]} == set(kept)
    delete(local_aws, name)
    rds.delete_db_subnet_group(DBSubnetGroupName=name)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=mine["SubnetId"])


def define(ecs: Any) -> str:
    """A task definition; its ARN."""
    answer = ecs.register_task_definition(
        family=unique("used"),
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[
            {"name": "Main", "image": IMAGE, "command": ["python", "-c", "import time; time.sleep(600)"]}
        ],
    )
    return answer["taskDefinition"]["taskDefinitionArn"]


def default_subnet(ec2: Any) -> str:
    """A subnet of the default VPC."""
    named = [{"Name": "default-for-az", "Values": ["true"]}]
    return ec2.describe_subnets(Filters=named)["Subnets"][0]["SubnetId"]


def test_task_keeps_group_and_cluster(local_aws: LocalAws, ec2: Any) -> None:
    ecs, group, cluster = local_aws.client("ecs"), new_group(ec2), unique("used")
    ecs.create_cluster(clusterName=cluster)
    network = {"awsvpcConfiguration": {"subnets": [default_subnet(ec2)], "securityGroups": [group]}}
    (task,) = ecs.run_task(
        cluster=cluster, taskDefinition=define(ecs), launchType="FARGATE", networkConfiguration=network
    )["tasks"]
    expect_dependency(ec2, group)
    message = "The Cluster cannot be deleted while Tasks are active."
    assert refused(ecs.delete_cluster, cluster=cluster) == ("ClusterContainsTasksException", message)
    mine = {"cluster": cluster, "tasks": [task["taskArn"]]}
    ecs.stop_task(cluster=cluster, task=task["taskArn"])
    eventually(lambda: ecs.describe_tasks(**mine)["tasks"][0]["lastStatus"] == "STOPPED", what="STOPPED")
    ec2.delete_security_group(GroupId=group)
    ecs.delete_cluster(cluster=cluster)


def test_load_balancer_and_what_it_uses(local_aws: LocalAws, ec2: Any, vpc: str, subnets: list[str]) -> None:
    elbv2, acm, group = local_aws.client("elbv2"), local_aws.client("acm"), new_group(ec2, VpcId=vpc)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    balancer = elbv2.create_load_balancer(Name=unique("used"), Subnets=subnets, SecurityGroups=[group])
    arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    targets = [
        elbv2.create_target_group(Name=unique("used"), Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")[
            "TargetGroups"
        ][0]["TargetGroupArn"]
        for _number in range(2)
    ]
    certificate = acm.request_certificate(DomainName=f"used.ecs.{local_aws.info['region']}.on.aws")["CertificateArn"]
    listener = elbv2.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": targets[0]}],
    )["Listeners"][0]["ListenerArn"]
    weighted = {"TargetGroups": [{"TargetGroupArn": targets[1], "Weight": 1}]}
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/x"]}],
        Actions=[{"Type": "forward", "ForwardConfig": weighted}],
    )["Rules"][0]["RuleArn"]
    (action,) = elbv2.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"]
    assert action["ForwardConfig"] == weighted
    for target in targets:
        code, message = refused(elbv2.delete_target_group, TargetGroupArn=target)
        assert (code, message) == (
            "ResourceInUse",
            f"Target group '{target}' is currently in use by a listener or a rule",
        )
    assert refused(acm.delete_certificate, CertificateArn=certificate)[0] == "ResourceInUseException"
    expect_dependency(ec2, group)
    assert refused(ec2.delete_subnet, SubnetId=subnets[1])[0] == "DependencyViolation"
    assert refused(ec2.delete_internet_gateway, InternetGatewayId=gateway)[0] == "DependencyViolation"

    elbv2.delete_rule(RuleArn=rule)
    elbv2.delete_target_group(TargetGroupArn=targets[1])
    protection = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=protection)
    assert refused(elbv2.delete_load_balancer, LoadBalancerArn=arn)[0] == "OperationNotPermitted"
    protection[0]["Value"] = "false"
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=protection)
    # Its listeners go with it.
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
    elbv2.delete_target_group(TargetGroupArn=targets[0])
    acm.delete_certificate(CertificateArn=certificate)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnets[1])
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def test_route_tables_and_addresses(ec2: Any, vpc: str, subnets: list[str]) -> None:
    mine = [{"Name": "vpc-id", "Values": [vpc]}]
    (main,) = ec2.describe_route_tables(Filters=mine)["RouteTables"]
    assert refused(ec2.delete_route_table, RouteTableId=main["RouteTableId"])[0] == "DependencyViolation"
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[0])["AssociationId"]
    assert refused(ec2.delete_route_table, RouteTableId=table)[0] == "DependencyViolation"
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    assert refused(ec2.release_address, AllocationId=address)[0] == "InvalidIPAddress.InUse"
    assert refused(ec2.delete_subnet, SubnetId=subnets[0])[0] == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    ec2.release_address(AllocationId=address)
    ec2.delete_subnet(SubnetId=subnets[0])
    (acl,) = ec2.describe_network_acls(Filters=mine)["NetworkAcls"]
    assert refused(ec2.delete_network_acl, NetworkAclId=acl["NetworkAclId"])[0] == "InvalidParameterValue"


def test_roles_policies_users_and_groups(iam: Any) -> None:
    role, user, group = unique("role"), unique("user"), unique("group")
    policy = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="inline", PolicyDocument=DOCUMENT)
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=user)

    def conflict(operation: str, **names: str) -> None:
        assert refused(getattr(iam, operation), **names)[0] == "DeleteConflict"

    conflict("delete_role", RoleName=role)
    conflict("delete_policy", PolicyArn=policy)
    conflict("delete_user", UserName=user)
    conflict("delete_group", GroupName=group)
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    version = iam.create_policy_version(PolicyArn=policy, PolicyDocument=DOCUMENT)["PolicyVersion"]["VersionId"]
    conflict("delete_policy", PolicyArn=policy)
    iam.delete_policy_version(PolicyArn=policy, VersionId=version)
    iam.delete_policy(PolicyArn=policy)
    iam.delete_user_policy(UserName=user, PolicyName="inline")
    conflict("delete_user", UserName=user)
    iam.remove_user_from_group(GroupName=group, UserName=user)
    iam.delete_user(UserName=user)
    iam.put_group_policy(GroupName=group, PolicyName="inline", PolicyDocument=DOCUMENT)
    conflict("delete_group", GroupName=group)
    iam.delete_group_policy(GroupName=group, PolicyName="inline")
    iam.delete_group(GroupName=group)
    iam.delete_role(RoleName=role)


def test_bucket_with_an_old_version_or_a_delete_marker(local_aws: LocalAws) -> None:
    s3, bucket = local_aws.client("s3"), unique("used")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    for left in (version, marker):
        assert refused(s3.delete_bucket, Bucket=bucket)[0] == "BucketNotEmpty"
        s3.delete_object(Bucket=bucket, Key="a", VersionId=left)
    s3.delete_bucket(Bucket=bucket)


def test_first_of_two_services_on_a_load_balancer_goes_before_the_second(account: Account) -> None:
    """Its certificate was the shared listener's default one."""
    first, second = (account.ready(unique(name))["serviceArn"] for name in ("first", "second"))
    account.gone(first)
    listener = account.managed(second)["ingressPaths"][0]["listener"]["arn"]
    certificate = account.managed(second)["ingressPaths"][0]["certificate"]["arn"]
    (shown,) = account.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"]
    assert [item["CertificateArn"] for item in shown["Certificates"]] == [certificate]
    account.gone(second)
