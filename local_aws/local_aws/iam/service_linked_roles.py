# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service-linked roles by the names that AWS gives them.

ministack derives the name from the first word of the service alone, so that ``ecs.amazonaws.com`` and
``ecs.application-autoscaling.amazonaws.com`` would be one role.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import iam as iam_service

NAMES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "elasticache.amazonaws.com": "AWSServiceRoleForElastiCache",
    "rds.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_RDSCluster",
    "replication.ecr.amazonaws.com": "AWSServiceRoleForECRReplication",
}


def prepare() -> None:
    """Names the roles of the services above as AWS does (called once, before the first request)."""
    make = iam_service._create_service_linked_role
    roles = iam_service._roles

    def make_and_name(parameters: dict[str, Any]) -> Any:
        service = iam_service._p(parameters, "AWSServiceName")
        name = NAMES.get(service)
        if name is None:
            return make(parameters)
        if name in roles:
            # The message of https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
            message = f"Service role name {name} has been taken in this account, please try a different suffix."
            return iam_service._error(400, "InvalidInput", message, ns="iam")
        # ministack's own name may be another service's role by now: it is put aside for the moment of the call.
        own_name = f"AWSServiceRoleFor{service.split('.')[0].capitalize()}"
        other = roles.pop(own_name, None)
        try:
            status, headers, body = make(parameters)
            record = roles.pop(own_name)
        finally:
            if other is not None:
                roles[own_name] = other
        record["Arn"] = record["Arn"].replace(own_name, name)
        record["RoleName"] = name
        roles[name] = record
        return status, headers, body.replace(own_name.encode(), name.encode())

    iam_service._IAM_HANDLERS["CreateServiceLinkedRole"] = make_and_name
