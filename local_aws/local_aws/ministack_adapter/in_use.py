# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS does not delete while something else uses it, where ministack deletes it.

Each check is put before ministack's own handler, so that IAM is asked first. The codes are those that botocore's models
or the EC2 API's list of error codes have for the operations, the messages those that users report. Security groups:
see ``services.security_groups``; groups of RDS: see ``services.rds.groups``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import MutableMapping
from typing import Any

from ministack.core.responses import error_response_json
from ministack.core.responses import get_account_id
from ministack.services import acm
from ministack.services import alb
from ministack.services import ec2
from ministack.services import ecs
from ministack.services import iam

from ..service import ApiError
from .hooks import Hooks
from .patch import Patch
from .patch import Target

Params = dict[str, Any]
Handler = Callable[[Params], Any]
Check = Callable[[Params], None]


def _put_checks_first(hooks: Hooks) -> None:
    _put_first(ec2._ACTION_MAP, _ec2_error, _ec2_checks(hooks))
    _put_first(alb._ACTION_MAP, alb._error, {"DeleteTargetGroup": _target_group, "DeleteLoadBalancer": _load_balancer})
    alb._ACTION_MAP["DeleteLoadBalancer"] = _with_listeners(alb._ACTION_MAP["DeleteLoadBalancer"])
    iam_checks = {"DeletePolicy": _policy, "DeleteUser": _user, "DeleteGroup": _user_group}
    _put_first(iam._IAM_HANDLERS, _iam_error, iam_checks)
    _put_first(ecs._ACTION_MAP, error_response_json, {"DeleteCluster": lambda params: _cluster(hooks, params)})
    handlers = {"DeleteCertificate": acm._delete_certificate}
    _put_first(handlers, error_response_json, {"DeleteCertificate": lambda params: _certificate(hooks, params)})
    acm._delete_certificate = handlers["DeleteCertificate"]


def _put_first(handlers: MutableMapping[str, Handler], refuse: Callable[..., Any], checks: Mapping[str, Check]) -> None:
    def checked(handler: Handler, check: Check) -> Handler:
        def handle(params: Params) -> Any:
            try:
                check(params)
            except ApiError as error:
                return refuse(error.code, error.message, error.status)
            return handler(params)

        return handle

    for name, check in checks.items():
        handlers[name] = checked(handlers[name], check)


def _ec2_error(code: str, message: str, status: int) -> Any:
    return ec2._error(code, message, status)


def _iam_error(code: str, message: str, status: int) -> Any:
    return iam._error(status, code, message, ns="iam")


def _one(params: Params, name: str) -> str:
    """A field of a form, or a member of a JSON document."""
    value = params.get(name, "")
    return str(value[0] if isinstance(value, list) and value else value or "")


# EC2 -----------------------------------------------------------------------------------------------------------------


def _dependency(kind: str, name: str) -> ApiError:
    return ApiError("DependencyViolation", f"The {kind} '{name}' has dependencies and cannot be deleted.")


def _ec2_checks(hooks: Hooks) -> dict[str, Check]:
    def subnet(params: Params) -> None:
        name = _one(params, "SubnetId")
        if name in ec2._subnets and hooks.subnet_is_used(name):
            raise _dependency("subnet", name)

    return {
        "DeleteSubnet": subnet,
        "DeleteInternetGateway": _internet_gateway,
        "DeleteRouteTable": _route_table,
        "DeleteNetworkAcl": _network_acl,
        "ReleaseAddress": _address,
    }


def _internet_gateway(params: Params) -> None:
    name = _one(params, "InternetGatewayId")
    if (ec2._internet_gateways.get(name) or {}).get("Attachments"):
        raise _dependency("internetGateway", name)


def _route_table(params: Params) -> None:
    name = _one(params, "RouteTableId")
    associations = (ec2._route_tables.get(name) or {}).get("Associations") or []
    # ministack keeps the associations of subnets that were deleted.
    if any(item.get("Main") or item.get("SubnetId") in ec2._subnets for item in associations):
        raise _dependency("routeTable", name)


def _network_acl(params: Params) -> None:
    name = _one(params, "NetworkAclId")
    record = ec2._network_acls.get(name) or {}
    if record.get("IsDefault"):
        raise ApiError("InvalidParameterValue", f"Cannot delete default network ACL '{name}'.")
    if record.get("Associations"):
        raise _dependency("networkAcl", name)


def _address(params: Params) -> None:
    name = _one(params, "AllocationId")
    record = ec2._addresses.get(name) or {}
    gateways = [item for item in ec2._nat_gateways.values() if item.get("State") != "deleted"]
    if record.get("AssociationId") or any(item.get("AllocationId") == name for item in gateways):
        raise ApiError("InvalidIPAddress.InUse", f"Address {record.get('PublicIp', name)} is in use.")


# Elastic Load Balancing, ACM -----------------------------------------------------------------------------------------


def _target_group(params: Params) -> None:
    arn = _one(params, "TargetGroupArn")
    actions = [action for item in alb._listeners.values() for action in item.get("DefaultActions") or []]
    actions += [action for item in alb._rules.values() for action in item.get("Actions") or []]
    if any(arn in _forwarded(action) for action in actions):
        raise ApiError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")


def _forwarded(action: dict[str, Any]) -> Iterator[str]:
    """The target groups of an action."""
    yield str(action.get("TargetGroupArn") or "")
    for item in (action.get("ForwardConfig") or {}).get("TargetGroups") or []:
        yield str(item.get("TargetGroupArn") or "")


def _load_balancer(params: Params) -> None:
    arn = _one(params, "LoadBalancerArn")
    attributes = {item["Key"]: item["Value"] for item in alb._lb_attrs.get(arn) or []}
    if attributes.get("deletion_protection.enabled") == "true":
        raise ApiError(
            "OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        )


def _with_listeners(handler: Handler) -> Handler:
    """Deleting a load balancer deletes its listeners (botocore's text on DeleteLoadBalancer), and so their rules."""

    def handle(params: Params) -> Any:
        answer = handler(params)
        arn = _one(params, "LoadBalancerArn")
        gone = {name for name, item in alb._listeners.items() if item["LoadBalancerArn"] == arn}
        if arn not in alb._lbs:
            for name in gone:
                alb._listeners.pop(name, None)
            for name in [name for name, item in alb._rules.items() if item.get("ListenerArn") in gone]:
                alb._rules.pop(name, None)
        return answer

    return handle


def _certificate(hooks: Hooks, params: Params) -> None:
    arn = _one(params, "CertificateArn")
    if any(arn in _certificates(item) or hooks.certificate_is_used(name, arn) for name, item in alb._listeners.items()):
        raise ApiError("ResourceInUseException", f"Certificate {arn} in account {get_account_id()} is in use.")


def _certificates(listener: dict[str, Any]) -> list[str]:
    """The certificates that a listener was made with."""
    given = listener.get("Certificates") or []
    return [item.get("CertificateArn", "") if isinstance(item, dict) else str(item) for item in given]


# ECS -----------------------------------------------------------------------------------------------------------------


def _cluster(hooks: Hooks, params: Params) -> None:
    """Tasks; services, which are Express ones, are looked for by the service itself."""
    name = _one(params, "cluster").rsplit("/", 1)[-1] or "default"
    arn = (ecs._clusters.get(name) or {}).get("clusterArn")
    if arn and hooks.cluster_is_used(arn):
        raise ApiError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")


# IAM -----------------------------------------------------------------------------------------------------------------


def _conflict(message: str) -> ApiError:
    return ApiError("DeleteConflict", message, 409)


def _policy(params: Params) -> None:
    record = iam._policies.get(_one(params, "PolicyArn")) or {}
    if len(record.get("Versions") or []) > 1 and not record.get("AttachmentCount"):
        raise _conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )


def _user(params: Params) -> None:
    name = _one(params, "UserName")
    if iam._user_inline_policies.get(name):
        raise _conflict("Cannot delete entity, must delete policies first.")
    if any(name in (group.get("Users") or []) for group in iam._groups.values()):
        raise _conflict("Cannot delete entity, must remove users from group first.")


def _user_group(params: Params) -> None:
    name = _one(params, "GroupName")
    record = iam._groups.get(name) or {}
    if record.get("Users"):
        raise _conflict("Cannot delete entity, must remove users from group first.")
    if record.get("AttachedPolicies"):
        raise _conflict("Cannot delete entity, must detach all policies first.")
    if iam._group_inline_policies.get(name):
        raise _conflict("Cannot delete entity, must delete policies first.")


REFUSE_WHAT_IS_IN_USE = Patch(
    name="refuse_what_is_in_use",
    reason="ministack deletes what something else uses, and load balancers that are protected from deletion.",
    source="https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
    targets=(
        Target(
            "services.ec2",
            "_ACTION_MAP",
            keys=("DeleteInternetGateway", "DeleteNetworkAcl", "DeleteRouteTable", "DeleteSubnet", "ReleaseAddress"),
        ),
        Target("services.alb", "_ACTION_MAP", keys=("DeleteLoadBalancer", "DeleteTargetGroup")),
        Target("services.iam", "_IAM_HANDLERS", keys=("DeleteGroup", "DeletePolicy", "DeleteUser")),
        Target("services.ecs", "_ACTION_MAP", keys=("DeleteCluster",)),
        Target("services.acm", "_delete_certificate", "data"),
        Target("services.ec2", "_error", "code message status"),
        Target("services.alb", "_error", "code message status"),
        Target("services.iam", "_error", "status code message ns"),
        Target("core.responses", "error_response_json", "code message status extra message_key content_type"),
    ),
    apply=_put_checks_first,
)
