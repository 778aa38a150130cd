# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources and condition keys of requests that ministack answers, as far as it does not find them itself.

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
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import cbor2

from ..protocol import models

_CBOR_MAP, _CBOR_TAG = b"\xa0", b"\xc0"
_ELB = "arn:aws:elasticloadbalancing"
_CREATES = {
    "elasticloadbalancing": ("CreateLoadBalancer", "CreateTargetGroup", "CreateListener", "CreateRule"),
    "acm": ("RequestCertificate",),
    "ec2": ("CreateSecurityGroup",),
}
# ministack's name of a service and botocore's, where it finds no tags in requests.
_TAGGING = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "ec2": "ec2"}


def tagging_operations() -> dict[str, frozenset[str]]:
    """ministack's names of services to the operations whose input carries tags, by botocore's models."""
    return {name: _tagging_operations(service) for name, service in _TAGGING.items()}


def _tagging_operations(service: str) -> frozenset[str]:
    model = models.service_model(service)
    members = {"Tags", "TagKeys", "TagSpecifications"}
    return frozenset(
        name
        for name in model.operation_names
        if (shape := model.operation_model(name).input_shape) is not None and members & shape.members.keys()
    )


def _first(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name, "")
    return str(value[0] if isinstance(value, list) and value else value or "")


def _members(params: Mapping[str, Any], name: str) -> list[str]:
    return [_first(params, key) for key in sorted(params) if key.startswith(f"{name}.member.")]


def resource_of(service: str, params: Mapping[str, Any], body: bytes, region: str, account: str) -> str:
    """The ARN that AWS checks, for calls where ministack says ``*``; else ``*``."""
    if service == "elasticloadbalancing":
        return _balancer_resource(params, region, account)
    data = _json(body)
    if service == "acm" and "DomainName" in data:
        return f"arn:aws:acm:{region}:{account}:certificate/new"
    if service == "monitoring":
        return _watching_resource({**params, **data}, region, account)
    if service == "sns":
        return _first({**parse_qs(body.decode(errors="replace")), **params}, "ResourceArn") or "*"
    return "*"


def _watching_resource(params: Mapping[str, Any], region: str, account: str) -> str:
    """Of CloudWatch: alarms have a region, dashboards none (Service Authorization Reference, Amazon CloudWatch)."""
    if arn := _first(params, "ResourceARN"):
        return arn
    if dashboard := _first(params, "DashboardName") or _first(params, "DashboardNames"):
        return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}"
    alarm = _first(params, "AlarmNames") or next(iter(_members(params, "AlarmNames")), "")
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}" if alarm else "*"


def _balancer_resource(params: Mapping[str, Any], region: str, account: str) -> str:
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


def context_of(service: str, action: str, params: Mapping[str, Any], request_tags: dict[str, Any]) -> dict[str, Any]:
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
