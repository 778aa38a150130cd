# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services whose tags ministack's Resource Groups Tagging API leaves out.

``ministack.services.tagging._COLLECTORS`` maps a service to a generator of (ARN, tags). All of them run inside
ministack's request, whose account and region the records are scoped by.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

from ministack.core.responses import get_account_id
from ministack.core.responses import get_region
from ministack.services import acm
from ministack.services import alb
from ministack.services import cloudwatch
from ministack.services import cloudwatch_logs
from ministack.services import ec2
from ministack.services import ecs
from ministack.services import rds
from ministack.services import secretsmanager
from ministack.services import ssm
from ministack.services import tagging

from .hooks import Hooks
from .patch import Patch
from .patch import Target

Tagged = Iterator[tuple[str, list[dict[str, str]]]]

# The identifier's prefix, and the resource type of its ARN (Service Authorization Reference, EC2).
_EC2_TYPES = {
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "i": "instance",
    "igw": "internet-gateway",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}


def as_list(tags: dict[str, str] | None) -> list[dict[str, str]]:
    """Tags as the API returns them."""
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def _is_here(arn: str) -> bool:
    region: str = get_region()
    return arn.split(":")[3] == region


def _acm() -> Tagged:
    for arn, certificate in acm._certificates.items():
        yield arn, certificate.get("Tags") or []


def _cloudwatch() -> Tagged:
    for arn, tags in cloudwatch._resource_tags.items():
        if _is_here(arn):
            yield arn, as_list(tags)


def _ec2() -> Tagged:
    # ministack keeps the tags of what has been deleted.
    stores = {"sg": ec2._security_groups, "subnet": ec2._subnets, "vpc": ec2._vpcs, "rtb": ec2._route_tables}
    for name, tags in ec2._tags.items():
        prefix = name.rsplit("-", 1)[0]
        kind = _EC2_TYPES.get(prefix)
        if kind and (prefix not in stores or name in stores[prefix]):
            yield f"arn:aws:ec2:{get_region()}:{get_account_id()}:{kind}/{name}", tags


def _elasticloadbalancing() -> Tagged:
    for arn, tags in alb._tags.items():
        if _is_here(arn):
            yield arn, tags


def _logs() -> Tagged:
    for group in cloudwatch_logs._log_groups.values():
        yield group["arn"].removesuffix(":*"), as_list(group["tags"])


def _rds() -> Tagged:
    for arn, tags in rds._tags.items():
        if _is_here(arn):
            yield arn, tags


def _secretsmanager() -> Tagged:
    for secret in secretsmanager._secrets.values():
        if not secret.get("DeletedDate"):
            yield secret["ARN"], secret.get("Tags") or []


def _ssm() -> Tagged:
    for arn, tags in ssm._tags.items():
        if _is_here(arn):
            yield arn, as_list(tags)


#: Service (as in ARNs) → generator of its tagged resources, for what ministack's own table lacks.
COLLECTORS: dict[str, Callable[[], Tagged]] = {
    "acm": _acm,
    "cloudwatch": _cloudwatch,
    "ec2": _ec2,
    "elasticloadbalancing": _elasticloadbalancing,
    "logs": _logs,
    "rds": _rds,
    "secretsmanager": _secretsmanager,
    "ssm": _ssm,
}


def tags_of(arn: str) -> dict[str, str]:
    """The tags of a resource, for services whose tags ministack knows."""
    return tagging.resource_tags(arn) or {}


def _collect_tags(hooks: Hooks) -> None:
    def collect_ecs() -> Tagged:
        services = dict(hooks.express_services())
        for arn, tags in services.items():
            if _is_here(arn):
                yield arn, as_list(tags)
        for arn, pairs in ecs._tags.items():
            if _is_here(arn) and arn not in services:
                yield arn, [{"Key": pair["key"], "Value": pair["value"]} for pair in pairs]

    tagging._COLLECTORS.update({**COLLECTORS, "ecs": collect_ecs})


COLLECT_TAGS = Patch(
    name="collect_tags",
    reason="ministack's Resource Groups Tagging API leaves out services that a deployment of MLflow uses.",
    source="https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html",
    targets=(
        Target("services.tagging", "_COLLECTORS", keys=("s3", "ecs")),
        Target("services.tagging", "resource_tags", "arn"),
    ),
    apply=_collect_tags,
)
