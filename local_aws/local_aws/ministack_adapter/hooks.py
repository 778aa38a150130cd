# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the patches of ministack call: the decisions of the rest of this package, which ministack knows nothing of."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

Form = dict[str, list[str]]
Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Question:
    """What the policies of a principal are asked.

    :arg action: with its namespace, ``ecs:CreateCluster``.
    :arg service: ministack's name of the service.
    :arg context: the request's condition keys.
    """

    access_key_id: str
    action: str
    service: str
    region: str
    resource: str = "*"
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inquiry:
    """A request of which ministack asks on which resource, and under which conditions, IAM decides.

    :arg service: ministack's name of the service.
    """

    service: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, Any]
    region: str
    account_id: str


@dataclass(frozen=True)
class Hooks:
    """All decisions.

    :arg enforce: the refusal of a request that ministack answers; None: it is allowed.
    :arg resource: the ARN that a request is checked on, given the one that ministack has found.
    :arg context: more condition keys of a request: ministack's service, action without namespace, form, known keys.
    :arg readable: a request's body as JSON, where it is in another format that ministack does not read.
    :arg cbor_operation: the operation that the path of a request in the protocol rpc-v2-cbor names.
    :arg managed_policies: AWS managed policies that ministack lacks: ARN to document.
    :arg tagging_operations: ministack's name of a service to the operations whose input carries tags.
    :arg linked_roles: service principals to the names that AWS gives their service-linked roles.
    :arg ec2_operations: operations in place of ministack's.
    :arg merged_permissions: a security group's permissions as DescribeSecurityGroups shows them.
    :arg subnet_is_used, cluster_is_used, certificate_is_used: whether something of ours keeps it from being deleted.
    :arg dashboard_problems: what is wrong with the body of a dashboard.
    :arg alarm_state: the state of an alarm now.
    :arg express_services: ARNs and tags of the Express services.
    :arg subscribers: the address of the API as subscribers of topics reach it, and the file with the CA they may have.
    """

    enforce: Callable[[Question], Any]
    resource: Callable[[Inquiry, str], str]
    context: Callable[[str, str, Mapping[str, Any], dict[str, Any]], dict[str, Any]]
    readable: Callable[[bytes], bytes]
    cbor_operation: Callable[[str], tuple[str, str] | None]
    managed_policies: Mapping[str, Any]
    tagging_operations: Mapping[str, frozenset[str]]
    linked_roles: Mapping[str, str]
    ec2_operations: Mapping[str, Callable[[Form], Answer]]
    merged_permissions: Callable[[dict[str, Any]], dict[str, Any]]
    subnet_is_used: Callable[[str], bool]
    cluster_is_used: Callable[[str], bool]
    certificate_is_used: Callable[[str, str], bool]
    dashboard_problems: Callable[[Any], list[dict[str, str]]]
    alarm_state: Callable[[dict[str, Any]], str]
    express_services: Callable[[], list[tuple[str, dict[str, str]]]]
    subscribers: Callable[[], tuple[str, str]]
