# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who creates something with tags needs the permission to tag it as well; ministack asks for the creation alone.

The actions are the "dependent actions" of the Service Authorization Reference, e.g.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html; the keys are in
https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/tagging-resources-during-creation.html and its
counterparts for EC2 and ECS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator

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
    "secretsmanager": "TagResource",
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


@dataclass
class Denied(iam_evaluator.AuthError):  # type: ignore[misc]
    """The refusal; ministack shows its message as it is, whereas it would name the creating action otherwise."""


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


def prepare() -> None:
    """Adds the question to every check of a request's policies. Called once, at start."""
    enforce = iam_evaluator.enforce

    def enforce_both(  # noqa: PLR0917 - ministack's signature
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = service_context or {}
        refusal = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        action = "" if refusal is not None else tagging_action(iam_action, context)
        if not action:
            return refusal
        namespace, _unused, name = iam_action.partition(":")
        if namespace in _CREATE_ACTION:
            context = {**context, f"{namespace}:CreateAction": name}
        if namespace == "ec2":
            # What is being created has no tags yet: AWS's policies ask for ec2:CreateAction here.
            context = {key: value for key, value in context.items() if not key.lower().startswith("aws:resourcetag/")}
        resource = tagged_resource(iam_action, resource_arn)
        refusal = enforce(access_key_id, action, service, region, resource, context)
        if refusal is None or isinstance(refusal, iam_evaluator.AuthError):
            return refusal
        reason = (
            "with an explicit deny in an identity-based policy"
            if refusal.decision == "Deny"
            else f"because no identity-based policy allows the {action} action"
        )
        message = (
            f"User: {refusal.principal_arn} is not authorized to perform: {action} on resource: {resource} {reason}"
        )
        return Denied("AccessDenied", message)

    iam_evaluator.enforce = enforce_both
