# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The canonical form of what AWS answers, in which the same state always looks the same. Pure Python."""

from __future__ import annotations

import functools
import hashlib
import json
import typing
from collections.abc import Mapping
from datetime import datetime

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import is_internal
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import HIDDEN
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import is_likely_secret

Attributes = dict[str, typing.Any]
Resources = dict[str, Attributes]

_EACH_DEPLOYMENT = "a new one with each deployment, whatever is deployed"
_EACH_RESTORE = "another one after a restore, whose instance has the same name and settings"
_BY_THE_DAY = "changes by itself"
_SETTLED = "tells whether something is under way, which is looked at apart from the comparison"
#: What the canonical form leaves out: by kind of resource, the attribute with the reason. Nothing else is left out.
VOLATILE: dict[str, dict[str, str]] = {
    "service": {
        "created_at": _EACH_DEPLOYMENT,
        "current_deployment": _EACH_DEPLOYMENT,
        "service_revision_arn": _EACH_DEPLOYMENT,
        "task_definition_arn": _EACH_DEPLOYMENT,
        "updated_at": _EACH_DEPLOYMENT,
    },
    "deployment_settings": {
        "created_at": _EACH_DEPLOYMENT,
        "current_service_deployment": _EACH_DEPLOYMENT,
        "current_service_revisions": _EACH_DEPLOYMENT,
        "deployments": _EACH_DEPLOYMENT,
        "desired_count": _SETTLED,
        "events": _BY_THE_DAY,
        "load_balancers": _EACH_DEPLOYMENT,
        "pending_count": _SETTLED,
        "running_count": _SETTLED,
        "tags": "those of the service, which are there already",
        "task_definition": _EACH_DEPLOYMENT,
        "task_sets": _EACH_DEPLOYMENT,
    },
    "alarms": {
        "alarm_configuration_updated_timestamp": _BY_THE_DAY,
        "evaluation_state": _BY_THE_DAY,
        "state_reason": _BY_THE_DAY,
        "state_reason_data": _BY_THE_DAY,
        "state_transitioned_timestamp": _BY_THE_DAY,
        "state_updated_timestamp": _BY_THE_DAY,
        "state_value": _BY_THE_DAY,
    },
    "listener_rule": {"actions": "ECS shifts traffic with them"},
    "database": {
        "availability_zone": "another one after a failover or a restore",
        "db_instance_status": _SETTLED,
        "dbi_resource_id": _EACH_RESTORE,
        "instance_create_time": _EACH_RESTORE,
        "latest_restorable_time": _BY_THE_DAY,
    },
    "network": {"available_ip_address_count": "nearly_full stands for it, the threshold below which it is refused"},
    "iam_role": {"role_last_used": _BY_THE_DAY},
    "log_group": {"stored_bytes": _BY_THE_DAY},
    "secret": {
        "last_accessed_date": _BY_THE_DAY,
        "last_changed_date": "what was changed is an attribute itself",
        "next_rotation_date": _BY_THE_DAY,
    },
    "policy": {
        "attachment_count": _BY_THE_DAY,
        "permissions_boundary_usage_count": _BY_THE_DAY,
    },
}
#: Lists that mean something else in another order. All others are sorted, as AWS does not promise an order.
ORDERED = frozenset({"command", "entry_point"})
# The names within them are data of the user's, and stay as they are.
_DATA = frozenset(
    {
        "assume_role_policy_document",
        "environment",
        "inline_policies",
        "parameters",
        "policy",
        "secrets",
        "tags",
        "versions",
    }
)
# Under these names AWS lists pairs of a name and a value.
_PAIRS = (("Key", "Value"), ("key", "value"), ("name", "value"), ("name", "valueFrom"))
_HASH_LENGTH = 12


def kind(resource: str) -> str:
    """Return the kind of a resource by its name, such as C(iam_role) of C(iam_role_task)."""
    return next((one for one in VOLATILE if resource == one or resource.startswith(f"{one}_")), resource)


def canonical(resource: str, answer: Mapping[str, typing.Any]) -> Attributes:
    """Return what AWS answers of a resource in canonical form: in snake case, sorted, without what is volatile."""
    volatile = VOLATILE.get(kind(resource), {})
    found: Attributes = _convert(answer, "", frozenset(volatile))
    return found


def _convert(value: typing.Any, name: str, volatile: frozenset[str], data: bool = False) -> typing.Any:
    if isinstance(value, Mapping):
        converted = {}
        for key, item in value.items():
            here = str(key) if data else snake(str(key))
            if data or here not in volatile:
                converted[here] = _convert(item, here, volatile, data or here in _DATA)
        return converted
    if isinstance(value, (list, tuple)):
        if not value and name in _DATA:
            return {}
        pairs = _as_dictionary(value)
        if pairs is not None:
            return {key: item for key, item in sorted(pairs.items()) if not is_internal(key)}
        items = [_convert(item, name, volatile, data) for item in value]
        return items if name in ORDERED else sorted(items, key=_text)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _as_dictionary(value: list[typing.Any] | tuple[typing.Any, ...]) -> dict[str, typing.Any] | None:
    """Return a list of pairs, such as tags, as a dictionary; None if it is another list."""
    for key, content in _PAIRS:
        if value and all(isinstance(one, Mapping) and set(one) == {key, content} for one in value):
            return {str(one[key]): one[content] for one in value}
    return None


@functools.cache
def snake(name: str) -> str:
    """Return one of AWS's names as Ansible's modules return it."""
    return str(next(iter(camel_dict_to_snake_dict({name: None}))))


def _text(value: typing.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def digest(value: typing.Any) -> str:
    """Return a short hash of what is in canonical form."""
    return hashlib.sha256(_text(value).encode()).hexdigest()[:_HASH_LENGTH]


def digests(resources: Resources) -> dict[str, str]:
    """Return the short hash of each resource."""
    return {name: digest(attributes) for name, attributes in sorted(resources.items())}


def shown(resources: Resources) -> Resources:
    """Return the resources without the values of environment variables that are likely secrets."""
    container = resources.get("task_definition", {})
    environment = {
        name: HIDDEN if is_likely_secret(name, value) else value
        for name, value in container.get("environment", {}).items()
    }
    return {**resources, "task_definition": {**container, "environment": environment}} if environment else resources
