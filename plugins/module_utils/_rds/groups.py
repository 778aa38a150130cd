# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnet groups and parameter groups of Amazon RDS. Private to the collection.

Facts: botocore's model of RDS; RDS API Reference, ModifyDBParameterGroup, which takes 20 parameters at once, and
DescribeDBParameters, whose Source tells a parameter that was set from a default.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws

_AT_ONCE = 20
_NO_SUBNET_GROUP = ("DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound")
_NO_PARAMETER_GROUP = ("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault")

Group = dict[str, typing.Any]


@dataclass(frozen=True)
class Tags:
    """The requested tags; None leaves them alone."""

    tags: dict[str, typing.Any] | None = None
    purge: bool = True

    def merged(self, current: dict[str, str]) -> dict[str, str]:
        """Return the tags after the change."""
        return predict_tags(current, self.tags, self.purge)


def _tags_of(rds: Client, arn: str) -> dict[str, str]:
    return tags_from_aws(rds.list_tags_for_resource(ResourceName=arn)["TagList"])


def _update_tags(rds: Client, arn: str, before: dict[str, str], after: dict[str, str]) -> None:
    to_set, to_remove = compare_tags(before, after)
    if to_remove:
        rds.remove_tags_from_resource(ResourceName=arn, TagKeys=to_remove)
    if to_set:
        rds.add_tags_to_resource(ResourceName=arn, Tags=tags_to_aws(to_set))


def _shown(group: Group | None, members: tuple[str, ...]) -> Group:
    return {key: group[key] for key in members} if group else {}


# ---- subnet groups

_SUBNET_MEMBERS = ("db_subnet_group_description", "subnet_ids", "tags")


@dataclass(frozen=True)
class DesiredSubnetGroup:
    """The user's request."""

    name: str
    description: str
    subnet_ids: list[str]
    tags: Tags = field(default_factory=Tags)


def find_subnet_group(rds: Client, name: str) -> Group | None:
    """Return the subnet group in the module's format, or None."""
    try:
        [group] = rds.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"]
    except ClientError as e:
        if error_code(e) in _NO_SUBNET_GROUP:
            return None
        raise
    return {
        "db_subnet_group_arn": group["DBSubnetGroupArn"],
        "db_subnet_group_name": group["DBSubnetGroupName"],
        "db_subnet_group_description": group["DBSubnetGroupDescription"],
        "vpc_id": group["VpcId"],
        "subnet_ids": sorted(subnet["SubnetIdentifier"] for subnet in group["Subnets"]),
        "tags": _tags_of(rds, group["DBSubnetGroupArn"]),
    }


def ensure_subnet_group(rds: Client, desired: DesiredSubnetGroup, check_mode: bool) -> ModuleResult:
    """Create the subnet group, or change what differs."""
    current = find_subnet_group(rds, desired.name)
    asked = {
        "db_subnet_group_description": desired.description,
        "subnet_ids": sorted(set(desired.subnet_ids)),
    }
    base = current or {"db_subnet_group_name": desired.name.lower(), "tags": {}}
    after = {**base, **asked, "tags": desired.tags.merged(base["tags"])}
    before, shown = _shown(current, _SUBNET_MEMBERS), _shown(after, _SUBNET_MEMBERS)
    outcome = ModuleResult(before != shown, before, shown, {"db_subnet_group": after}, [])
    if check_mode or not outcome.changed:
        return outcome
    settings = {
        "DBSubnetGroupName": desired.name,
        "DBSubnetGroupDescription": desired.description,
        "SubnetIds": asked["subnet_ids"],
    }
    if current is None:
        try:
            rds.create_db_subnet_group(**settings, Tags=tags_to_aws(after["tags"]))
        except ClientError as e:
            # An attempt whose answer was lost, or another caller at the same time.
            if error_code(e) != "DBSubnetGroupAlreadyExists":
                raise
        current = find_subnet_group(rds.retrying(*_NO_SUBNET_GROUP), desired.name) or {
            **after,
            "db_subnet_group_arn": "",
        }
    if any(current[member] != value for member, value in asked.items()):
        rds.modify_db_subnet_group(**settings)
    _update_tags(rds, current["db_subnet_group_arn"], current["tags"], after["tags"])
    outcome.values["db_subnet_group"] = {**current, **_shown(after, _SUBNET_MEMBERS)}
    return outcome


def remove_subnet_group(rds: Client, name: str, check_mode: bool) -> ModuleResult:
    """Delete the subnet group."""
    current = find_subnet_group(rds, name)
    if current and not check_mode:
        _gone(rds.delete_db_subnet_group, _NO_SUBNET_GROUP, DBSubnetGroupName=name)
    return ModuleResult(current is not None, _shown(current, _SUBNET_MEMBERS), {}, {}, [])


def _gone(call: typing.Callable[..., typing.Any], codes: tuple[str, ...], **params: str) -> None:
    """Call a deletion, and ignore that the resource is gone already."""
    try:
        call(**params)
    except ClientError as e:
        if error_code(e) not in codes:
            raise


# ---- parameter groups

_PARAMETER_MEMBERS = ("description", "db_parameter_group_family", "parameters", "tags")


@dataclass(frozen=True)
class DesiredParameterGroup:
    """The user's request, with the parameters that it names."""

    name: str
    family: str
    description: str
    parameters: dict[str, str] = field(default_factory=dict)
    apply_method: str = "pending-reboot"
    tags: Tags = field(default_factory=Tags)


def find_parameter_group(rds: Client, name: str, parameters: typing.Iterable[str]) -> Group | None:
    """Return the parameter group in the module's format, or None.

    Args:
        rds: the client.
        name: of the group.
        parameters: those that are compared. One without a value has the engine's default.
    """
    try:
        [group] = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]
    except ClientError as e:
        if error_code(e) in _NO_PARAMETER_GROUP:
            return None
        raise
    desired = set(parameters)
    listed = rds.pages("describe_db_parameters", "Parameters", DBParameterGroupName=name) if desired else []
    found = {item["ParameterName"]: item for item in listed if item["ParameterName"] in desired}
    return {
        "db_parameter_group_arn": group["DBParameterGroupArn"],
        "db_parameter_group_name": group["DBParameterGroupName"],
        "db_parameter_group_family": group["DBParameterGroupFamily"],
        "description": group["Description"],
        "parameters": {key: found[key].get("ParameterValue", "") for key in sorted(found)},
        "tags": _tags_of(rds, group["DBParameterGroupArn"]),
    }


def ensure_parameter_group(rds: Client, desired: DesiredParameterGroup, check_mode: bool) -> ModuleResult:
    """Create the parameter group, or change what differs.

    Raises:
        UserError: what AWS cannot change differs, or the engine has no such parameter.
    """
    current = find_parameter_group(rds, desired.name, desired.parameters)
    if current:
        _check_fixed(current, desired)
    base: Group = current or {"db_parameter_group_name": desired.name.lower(), "parameters": {}, "tags": {}}
    after = {
        **base,
        "db_parameter_group_family": desired.family,
        "description": desired.description,
        "parameters": dict(sorted({**base["parameters"], **desired.parameters}.items())),
        "tags": desired.tags.merged(base["tags"]),
    }
    before, shown = _shown(current, _PARAMETER_MEMBERS), _shown(after, _PARAMETER_MEMBERS)
    outcome = ModuleResult(before != shown, before, shown, {"db_parameter_group": after}, [])
    if check_mode or not outcome.changed:
        return outcome
    if current is None:
        current = _create_parameter_group(rds, desired, after["tags"])
    _set_parameters(rds, desired, current["parameters"])
    _update_tags(rds, current["db_parameter_group_arn"], current["tags"], after["tags"])
    outcome.values["db_parameter_group"] = {**current, **_shown(after, _PARAMETER_MEMBERS)}
    return outcome


def _check_fixed(current: Group, desired: DesiredParameterGroup) -> None:
    for member, asked in (("db_parameter_group_family", desired.family), ("description", desired.description)):
        if current[member] != asked:
            raise UserError(
                f"The parameter group {desired.name} has {member} {current[member]!r}, and {asked!r} is asked for: RDS"
                " cannot change it. Ask for the present one, or choose another db_parameter_group_name."
            )
    missing = [name for name in desired.parameters if name not in current["parameters"]]
    if missing:
        raise UserError(f"The family {desired.family} has no parameter {', '.join(missing)}: correct parameters.")


def _create_parameter_group(rds: Client, desired: DesiredParameterGroup, tags: dict[str, str]) -> Group:
    try:
        rds.create_db_parameter_group(
            DBParameterGroupName=desired.name,
            DBParameterGroupFamily=desired.family,
            Description=desired.description,
            Tags=tags_to_aws(tags),
        )
    except ClientError as e:
        # An attempt whose answer was lost, or another caller at the same time.
        if error_code(e) != "DBParameterGroupAlreadyExists":
            raise
    # Perhaps not visible everywhere yet.
    made = find_parameter_group(rds.retrying(*_NO_PARAMETER_GROUP), desired.name, desired.parameters)
    if made is None:
        raise UserError(
            f"RDS says of the parameter group {desired.name} that it exists, and that it does not: run this again."
        )
    _check_fixed(made, desired)
    return made


def _set_parameters(rds: Client, desired: DesiredParameterGroup, present: dict[str, str]) -> None:
    changes = [
        {"ParameterName": name, "ParameterValue": value, "ApplyMethod": desired.apply_method}
        for name, value in desired.parameters.items()
        if present.get(name) != value
    ]
    for first in range(0, len(changes), _AT_ONCE):
        rds.modify_db_parameter_group(DBParameterGroupName=desired.name, Parameters=changes[first : first + _AT_ONCE])


def remove_parameter_group(rds: Client, name: str, check_mode: bool) -> ModuleResult:
    """Delete the parameter group."""
    current = find_parameter_group(rds, name, ())
    if current and not check_mode:
        _gone(rds.delete_db_parameter_group, _NO_PARAMETER_GROUP, DBParameterGroupName=name)
    return ModuleResult(current is not None, _shown(current, _PARAMETER_MEMBERS), {}, {}, [])
