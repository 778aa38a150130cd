# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that an action is checked on.

ministack checks each call on one resource that it reads from the request, often "*". AWS checks the resource types
that the Service Authorization Reference lists for the action, each of them where there are several:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
(pages of EC2, RDS, ECS, IAM, CloudWatch Logs). Only what a deployment of MLflow calls is here; for everything else
ministack's reading stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ministack_adapter import credentials
from . import service_linked_roles

Params = dict[str, Any]

_EC2_KINDS = {"sg": "security-group", "sgr": "security-group-rule", "vpc": "vpc", "subnet": "subnet", "i": "instance"}
# Calls about roles whose names do not begin so are checked on the role in RoleName.
_ROLE = "RoleName"


@dataclass(frozen=True)
class Scope:
    """Where a call is made.

    :arg operation: which one; an action may be checked within another operation.
    """

    region: str
    account: str
    operation: str

    def arn(self, service: str, rest: str) -> str:
        """The ARN of something in this region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"


def _ec2_tagged(scope: Scope, params: Params) -> list[str]:
    return [scope.arn("ec2", f"{_EC2_KINDS.get(name.split('-')[0], '*')}/{name}") for name in params["Resources"]]


def _ec2_group(scope: Scope, params: Params) -> list[str]:
    return [scope.arn("ec2", f"security-group/{params.get('GroupId') or params.get('GroupName') or '*'}")]


def _ec2_new_group(scope: Scope, params: Params) -> list[str]:
    vpc = [scope.arn("ec2", f"vpc/{params['VpcId']}")] if params.get("VpcId") else []
    return [scope.arn("ec2", "security-group/*"), *vpc]


def _rds_new_instance(scope: Scope, params: Params) -> list[str]:
    """The instance and what it uses, be it named or RDS's default (the example policies of the RDS User Guide)."""
    major = str(params.get("EngineVersion") or "*").partition(".")[0]
    engine = params["Engine"]
    subnets = params.get("DBSubnetGroupName") or "default"
    parameters = params.get("DBParameterGroupName") or f"default.{engine}{major}"
    options = params.get("OptionGroupName") or f"default:{engine}-{major}"
    used = [f"pg:{parameters}", f"subgrp:{subnets}", f"og:{options}"]
    return [scope.arn("rds", part) for part in (f"db:{params['DBInstanceIdentifier']}", *used)]


def _rds_instance(scope: Scope, params: Params) -> list[str]:
    parts = [f"db:{params['DBInstanceIdentifier']}"]
    if params.get("DBParameterGroupName"):
        parts.append(f"pg:{params['DBParameterGroupName']}")
    if params.get("OptionGroupName"):
        parts.append(f"og:{params['OptionGroupName']}")
    return [scope.arn("rds", part) for part in parts]


def _rds_snapshot(scope: Scope, params: Params) -> list[str]:
    """CreateDBSnapshot, also within DeleteDBInstance."""
    snapshot = params.get("FinalDBSnapshotIdentifier") or params.get("DBSnapshotIdentifier") or "*"
    return [scope.arn("rds", f"snapshot:{snapshot}"), scope.arn("rds", f"db:{params['DBInstanceIdentifier']}")]


def _rds_copied(scope: Scope, params: Params) -> list[str]:
    names = [str(params[f"{side}DBSnapshotIdentifier"]).rpartition(":")[2] for side in ("Target", "Source")]
    return [scope.arn("rds", f"snapshot:{name}") for name in names]


def _rds_snapshots(scope: Scope, params: Params) -> list[str]:
    if params.get("DBSnapshotIdentifier"):
        return [scope.arn("rds", f"snapshot:{params['DBSnapshotIdentifier']}")]
    return [scope.arn("rds", f"db:{params.get('DBInstanceIdentifier') or '*'}"), scope.arn("rds", "snapshot:*")]


def _rds_restored(scope: Scope, params: Params) -> list[str]:
    """The new instance, what it is made from and what it uses (Service Authorization Reference, Amazon RDS)."""
    parts = [f"db:{params.get('TargetDBInstanceIdentifier') or params['DBInstanceIdentifier']}"]
    if params.get("DBSnapshotIdentifier"):
        parts.append(f"snapshot:{str(params['DBSnapshotIdentifier']).rpartition(':')[2]}")
    if params.get("SourceDBInstanceIdentifier"):
        parts.append(f"db:{params['SourceDBInstanceIdentifier']}")
    parts.append(f"subgrp:{params.get('DBSubnetGroupName') or 'default'}")
    if params.get("DBParameterGroupName"):
        parts.append(f"pg:{params['DBParameterGroupName']}")
    return [scope.arn("rds", part) for part in parts]


def _rds_tagged(scope: Scope, params: Params) -> list[str]:
    """RDS's own tagging calls; those that come with a creation are left to the one who asks."""
    return [str(params["ResourceName"])] if "ResourceName" in params else []


def _named(service: str, kind: str, member: str) -> Callable[[Scope, Params], list[str]]:
    def find(scope: Scope, params: Params) -> list[str]:
        return [scope.arn(service, f"{kind}:{params.get(member) or '*'}")]

    return find


def _ecs_definition(scope: Scope, params: Params) -> list[str]:
    """Of an Express service: the family that ECS registers in the caller's name."""
    if scope.operation == "CreateExpressGatewayService":
        cluster = str(params.get("cluster") or "default").rpartition("/")[2]
        family = f"{cluster}-{params.get('serviceName') or '*'}"
    elif scope.operation == "UpdateExpressGatewayService":
        family = "-".join(str(params["serviceArn"]).split("/")[-2:])
    else:
        family = str(params.get("family") or "*")
    return [scope.arn("ecs", f"task-definition/{family}:*")]


def _ecs_clusters(scope: Scope, params: Params) -> list[str]:
    name = str(params.get("clusterName") or params.get("cluster") or "default")
    return [scope.arn("ecs", f"cluster/{name.rpartition('/')[2]}")]


def _ecs_services(scope: Scope, params: Params) -> list[str]:
    cluster = str(params.get("cluster") or "default").rpartition("/")[2]
    given = params.get("services") or [params["service"]]
    return [str(one) if str(one).startswith("arn:") else scope.arn("ecs", f"service/{cluster}/{one}") for one in given]


def _ecs_below(member: str) -> Callable[[Scope, Params], list[str]]:
    """Deployments and revisions are checked on the service as well."""

    def find(scope: Scope, params: Params) -> list[str]:
        given = params[member]
        found = []
        for arn in given if isinstance(given, list) else [given]:
            head, _unused, rest = str(arn).partition("/")
            found += [str(arn), f"{':'.join(head.split(':')[:5])}:service/{rest.rpartition('/')[0]}"]
        return list(dict.fromkeys(found))

    return find


def _log_stream(scope: Scope, params: Params) -> list[str]:
    return [scope.arn("logs", f"log-group:{params['logGroupName']}:log-stream:{params['logStreamName']}")]


def _iam_role(scope: Scope, params: Params) -> list[str]:
    """With its path, which only the role itself knows once it is there."""
    name = params.get(_ROLE)
    if not name:
        return []
    role = credentials.role(scope.account, str(name))
    path = params.get("Path") or "/"
    return [role["Arn"] if role else f"arn:aws:iam::{scope.account}:role{path}{name}"]


def _iam_linked_role(scope: Scope, params: Params) -> list[str]:
    service = params.get("AWSServiceName")
    if not service:
        return []
    name = service_linked_roles.NAMES.get(service, "*")
    return [f"arn:aws:iam::{scope.account}:role/aws-service-role/{service}/{name}"]


def _iam_simulated(_scope: Scope, params: Params) -> list[str]:
    return [str(params["PolicySourceArn"])]


def _ssm_parameters(scope: Scope, params: Params) -> list[str]:
    """Each of them, without version or label (Service Authorization Reference, AWS Systems Manager)."""
    found = []
    for name in params.get("Names") or [params["Name"]]:
        if str(name).startswith("arn:"):
            found.append(":".join(str(name).split(":")[:6]))
        else:
            found.append(scope.arn("ssm", f"parameter/{str(name).partition(':')[0].lstrip('/')}"))
    return found


def _anything(_scope: Scope, _params: Params) -> list[str]:
    return ["*"]


RESOURCES: dict[str, Callable[[Scope, Params], list[str]]] = {
    "ec2:AuthorizeSecurityGroupEgress": _ec2_group,
    "ec2:AuthorizeSecurityGroupIngress": _ec2_group,
    "ec2:CreateSecurityGroup": _ec2_new_group,
    "ec2:CreateTags": _ec2_tagged,
    "ec2:DeleteSecurityGroup": _ec2_group,
    "ec2:DeleteTags": _ec2_tagged,
    "ec2:DescribeRouteTables": _anything,
    "ec2:DescribeSecurityGroups": _anything,
    "ec2:DescribeSubnets": _anything,
    "ec2:DescribeTags": _anything,
    "ec2:DescribeVpcs": _anything,
    "ec2:RevokeSecurityGroupEgress": _ec2_group,
    "ec2:RevokeSecurityGroupIngress": _ec2_group,
    "ec2:UpdateSecurityGroupRuleDescriptionsEgress": _ec2_group,
    "ec2:UpdateSecurityGroupRuleDescriptionsIngress": _ec2_group,
    "ecs:CreateCluster": _ecs_clusters,
    "ecs:DescribeServiceDeployments": _ecs_below("serviceDeploymentArns"),
    "ecs:DescribeServiceRevisions": _ecs_below("serviceRevisionArns"),
    "ecs:DescribeServices": _ecs_services,
    "ecs:DescribeTaskDefinition": _anything,
    "ecs:ListServiceDeployments": _ecs_services,
    "ecs:ListServices": _anything,
    "ecs:ListTasks": _anything,
    "ecs:RegisterTaskDefinition": _ecs_definition,
    "ecs:StopServiceDeployment": _ecs_below("serviceDeploymentArn"),
    "iam:CreateServiceLinkedRole": _iam_linked_role,
    "iam:ListRoles": _anything,
    "iam:SimulatePrincipalPolicy": _iam_simulated,
    "logs:DescribeLogGroups": _anything,
    "logs:CreateLogStream": _log_stream,
    "logs:GetLogEvents": _log_stream,
    "logs:PutLogEvents": _log_stream,
    "rds:AddTagsToResource": _rds_tagged,
    "rds:CopyDBSnapshot": _rds_copied,
    "rds:CreateDBInstance": _rds_new_instance,
    "rds:CreateDBParameterGroup": _named("rds", "pg", "DBParameterGroupName"),
    "rds:CreateDBSnapshot": _rds_snapshot,
    "rds:CreateDBSubnetGroup": _named("rds", "subgrp", "DBSubnetGroupName"),
    "rds:DeleteDBParameterGroup": _named("rds", "pg", "DBParameterGroupName"),
    "rds:DeleteDBSubnetGroup": _named("rds", "subgrp", "DBSubnetGroupName"),
    "rds:DeleteDBSnapshot": _named("rds", "snapshot", "DBSnapshotIdentifier"),
    "rds:DescribeDBInstances": _named("rds", "db", "DBInstanceIdentifier"),
    "rds:DescribeDBParameterGroups": _named("rds", "pg", "DBParameterGroupName"),
    "rds:DescribeDBParameters": _named("rds", "pg", "DBParameterGroupName"),
    "rds:DescribeDBSnapshots": _rds_snapshots,
    "rds:DescribeDBSubnetGroups": _named("rds", "subgrp", "DBSubnetGroupName"),
    "rds:ListTagsForResource": _rds_tagged,
    "rds:ModifyDBInstance": _rds_instance,
    "rds:ModifyDBParameterGroup": _named("rds", "pg", "DBParameterGroupName"),
    "rds:ModifyDBSubnetGroup": _named("rds", "subgrp", "DBSubnetGroupName"),
    "rds:RemoveTagsFromResource": _rds_tagged,
    "rds:RestoreDBInstanceFromDBSnapshot": _rds_restored,
    "rds:RestoreDBInstanceToPointInTime": _rds_restored,
    "ssm:GetParameter": _ssm_parameters,
    "ssm:GetParameters": _ssm_parameters,
}


def resources(action: str, scope: Scope, params: Params, otherwise: str) -> list[str]:
    """The ARNs that an action is checked on; what is made or changed comes first.

    :arg action: with its namespace.
    :arg params: the request's input.
    :arg otherwise: what holds where nothing is known here.
    """
    find = RESOURCES.get(action)
    if find is None and action.startswith("iam:") and action != "iam:PassRole":
        find = _iam_role
    try:
        found = find(scope, params) if find else []
    except KeyError:
        # A member is missing that AWS asks for: the service's handler reports it.
        found = []
    return found or [otherwise]


def further_actions(operation: str, params: Params) -> list[str]:
    """What else AWS checks within an operation: its "dependent actions", where the input calls for them."""
    if operation == "DeleteDBInstance" and params.get("FinalDBSnapshotIdentifier"):
        return ["rds:CreateDBSnapshot"]
    return []
