# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who creates something with tags needs the permission to tag it as well; ministack asks for the creation alone.

The actions are the "dependent actions" of the Service Authorization Reference, e.g.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html; the keys are in
https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/tagging-resources-during-creation.html and its
counterparts for EC2 and ECS.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..ministack_adapter.hooks import Question

# Namespace of the creating action → the action that tags.
_TAGGING = {
    "acm": "AddTagsToCertificate",
    "application-autoscaling": "TagResource",
    "cloudwatch": "TagResource",
    "ec2": "CreateTags",
    "ecs": "TagResource",
    "elasticloadbalancing": "AddTags",
    "logs": "TagResource",
    "rds": "AddTagsToResource",
    "scheduler": "TagResource",
    "secretsmanager": "TagResource",
    "sqs": "TagQueue",
    "ssm": "AddTagsToResource",
}
# IAM has one for each kind of thing.
_IAM = {
    "CreateInstanceProfile": "TagInstanceProfile",
    "CreatePolicy": "TagPolicy",
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
}
_CREATING = ("Authorize", "Copy", "Create", "Put", "Register", "Request", "Restore", "Run")
_NEVER = ("CreateTags", "CreateServiceLinkedRole")
# Services with a condition key that names the creating action.
_CREATE_ACTION = ("ec2", "ecs", "elasticloadbalancing")
_EC2_KINDS = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateSecurityGroup": "security-group",
}


def tagging_action(action: str, context: dict[str, Any]) -> str:
    """The further action that a request needs; empty where it needs none.

    :arg action: with its namespace, ``elasticloadbalancing:CreateListener``.
    :arg context: the request's condition keys.
    """
    namespace, _unused, name = action.partition(":")
    if not name.startswith(_CREATING) or name in _NEVER:
        return ""
    if not any(key.lower().startswith("aws:requesttag/") for key in context):
        return ""
    tag = _IAM.get(name) if namespace == "iam" else _TAGGING.get(namespace)
    return f"{namespace}:{tag}" if tag else ""


def tagged_resource(action: str, resource: str) -> str:
    """The ARN that is tagged: that of the new thing, where the creating action is checked on what it belongs to."""
    namespace, _unused, name = action.partition(":")
    if namespace == "ec2" and name in _EC2_KINDS and resource.startswith("arn:"):
        return ":".join(resource.split(":")[:5]) + f":{_EC2_KINDS[name]}/new"
    if name == "CreateListener":
        return resource.replace(":loadbalancer/", ":listener/", 1) + "/new"
    if action == "elasticloadbalancing:CreateRule":
        return resource.replace(":listener/", ":listener-rule/", 1) + "/new"
    return resource


def tagging_question(question: Question) -> Question | None:
    """What is asked after a creation has been allowed; None: nothing."""
    action = tagging_action(question.action, question.context)
    if not action:
        return None
    namespace, _unused, name = question.action.partition(":")
    context = dict(question.context)
    if namespace in _CREATE_ACTION:
        context[f"{namespace}:CreateAction"] = name
    if namespace == "ec2":
        # What is being created has no tags yet: AWS's policies ask for ec2:CreateAction here.
        context = {key: value for key, value in context.items() if not key.lower().startswith("aws:resourcetag/")}
    resource = tagged_resource(question.action, question.resource)
    return dataclasses.replace(question, action=action, resource=resource, context=context)
