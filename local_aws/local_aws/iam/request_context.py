# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM conditions that AWS's policies for Express Mode rest on, and ministack 1.5.33 does not evaluate.

AmazonECSInfrastructureRoleforExpressGatewayServices grants nearly everything on the condition that the resource carries
the tag ``AmazonECSManaged=true``. ministack enforces policies, but

- names no resource (``*``) for calls that create a load balancer, target group or certificate, or that name a rule,
  so that no statement with a resource pattern matches;
- finds ``aws:ResourceTag/…`` for ten services only, none of EC2, ELB, ACM, CloudWatch, RDS, S3, Logs or ECS;
- reads no ``aws:RequestTag/…`` from requests of ELB, CloudWatch and EC2: it looks ELB and CloudWatch up under names
  that botocore has no model for, and EC2's TagSpecifications are not among the members it looks for;
- does not know the keys ``elasticloadbalancing:CreateAction``, ``ec2:CreateAction``, ``iam:AWSServiceName``.

What is added here is exactly that. On AWS, the tags of a create request count as the tags of the resource that is being
created (the managed policy grants CreateLoadBalancer on ``aws:ResourceTag/AmazonECSManaged`` and works).
"""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import cbor2

_CBOR_MAP, _CBOR_TAG = b"\xa0", b"\xc0"
_ELB = "arn:aws:elasticloadbalancing"
_CREATES = {
    "elasticloadbalancing": ("CreateLoadBalancer", "CreateTargetGroup", "CreateListener", "CreateRule"),
    "acm": ("RequestCertificate",),
    "ec2": ("CreateSecurityGroup",),
}


# Services on whose resources the condition key aws:ResourceTag is evaluated here.
_TAGS_KNOWN_BY_SERVICE = ("acm", "cloudwatch", "ec2", "elasticloadbalancing")
_TAGGING = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "ec2": "ec2"}
"""ministack's name of a service and botocore's, where it finds no tags in requests."""


def tagging_operations(service: str) -> frozenset[str]:
    """The operations of a service whose input carries tags (botocore's model)."""
    model = botocore.session.Session().get_service_model(service)
    members = {"Tags", "TagKeys", "TagSpecifications"}
    return frozenset(
        name
        for name in model.operation_names
        if (shape := model.operation_model(name).input_shape) is not None and members & shape.members.keys()
    )


def _first(params: dict[str, Any], name: str) -> str:
    value = params.get(name, "")
    return str(value[0] if isinstance(value, list) and value else value or "")


def _members(params: dict[str, Any], name: str) -> list[str]:
    return [_first(params, key) for key in sorted(params) if key.startswith(f"{name}.member.")]


def resource_of(service: str, params: dict[str, Any], body: bytes, region: str, account: str) -> str:
    """The ARN that AWS checks, for calls where ministack says ``*``; else ``*``."""
    if service == "elasticloadbalancing":
        return _balancer_resource(params, region, account)
    data = _json(body)
    if service == "acm" and "DomainName" in data:
        return f"arn:aws:acm:{region}:{account}:certificate/new"
    if service == "monitoring":
        names = data.get("AlarmNames") or _members(params, "AlarmNames")
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{names[0]}" if names else "*"
    return "*"


def _balancer_resource(params: dict[str, Any], region: str, account: str) -> str:
    action, name = _first(params, "Action"), _first(params, "Name")
    if action == "CreateLoadBalancer":
        return f"{_ELB}:{region}:{account}:loadbalancer/app/{name}/new"
    if action == "CreateTargetGroup":
        return f"{_ELB}:{region}:{account}:targetgroup/{name}/new"
    if action in ("AddTags", "RemoveTags"):
        return next(iter(_members(params, "ResourceArns")), "*")
    return _first(params, "RuleArn") or "*"


def _json(body: bytes) -> dict[str, Any]:
    body = as_json(body)
    if body[:1] != b"{":
        return {}
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def as_json(body: bytes) -> bytes:
    """A body in CBOR (a map: RFC 8949, major type 5) as JSON, which is what ministack looks for names and tags in."""
    if not _CBOR_MAP <= body[:1] < _CBOR_TAG:
        return body
    try:
        return json.dumps(cbor2.loads(body), default=str).encode()
    except (cbor2.CBORDecodeError, TypeError, ValueError):
        return body


def context_of(service: str, action: str, params: dict[str, Any], request_tags: dict[str, Any]) -> dict[str, Any]:
    """Condition keys of a request beyond its tags.

    :arg action: without the namespace.
    :arg request_tags: what ministack found: ``aws:requesttag/<key>`` and ``aws:TagKeys``.
    """
    context: dict[str, Any] = {}
    if action in _CREATES.get(service, ()):
        prefix = "aws:requesttag/"
        for key, value in request_tags.items():
            if key.lower().startswith(prefix):
                context[f"aws:ResourceTag/{key[len(prefix) :]}"] = value
    if service == "iam" and action in ("CreateServiceLinkedRole", "DeleteServiceLinkedRole"):
        name = _first(params, "AWSServiceName")
        if name:
            context["iam:AWSServiceName"] = name
    return context


def install() -> None:
    """Adds the missing conditions to ministack's enforcement, once per process."""
    from ministack.core import iam_actions  # noqa: PLC0415
    from ministack.services import tagging  # noqa: PLC0415

    from ..ministack_adapter import resource_tags  # noqa: PLC0415

    if getattr(iam_actions, "_mlflow_aws_conditions", False):
        return
    extract, tag_context = iam_actions.extract_resource_arn, iam_actions.request_tag_context

    def extract_resource_arn(  # noqa: PLR0917 - ministack's signature
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        params: dict[str, Any],
        region: str,
        account: str,
    ) -> str:
        body = as_json(body)
        found: str = extract(service, method, path, headers, body, params, region, account)
        return resource_of(service, params, body, region, account) if found == "*" else found

    def request_tag_context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = tag_context(service, action, as_json(body), params)
        return {**found, **context_of(service, action.split(":", 1)[-1], params, found)}

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = request_tag_context
    for service, model in _TAGGING.items():
        iam_actions._TAG_OPERATIONS[service] = tagging_operations(model) | iam_actions._tag_operations(service)
    for name in _TAGS_KNOWN_BY_SERVICE:
        tagging._RESOURCE_TAG_COLLECTORS.setdefault(name, resource_tags.COLLECTORS[name])
    iam_actions._mlflow_aws_conditions = True
