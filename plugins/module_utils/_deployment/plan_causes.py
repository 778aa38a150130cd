# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The cause of a change: made by hand at AWS, or asked for by the variables. Pure Python.

The state of a deployment (module mlflow_deployment_state) knows it by a fingerprint of each resource, which deploy
leaves at AWS.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Attribute
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Resource

BY_HAND, VARIABLES, EITHER, COLLECTION, UNKNOWN = "by_hand", "variables", "either", "collection", "unknown"
#: The same for people; nothing where it is not known.
SAID = {
    BY_HAND: "changed by hand at AWS",
    VARIABLES: "asked for by the variables",
    EITHER: "changed by hand at AWS, or asked for by the variables",
    COLLECTION: "asked for by this version of the collection",
    UNKNOWN: "",
}

_DATABASE = {
    "rds_db_parameter_group": "database_parameter_group",
    "rds_db_subnet_group": "database_subnet_group",
    "rds_postgresql_instance": "database",
}
# The part of the service that an attribute belongs to, by its first name.
_SERVICE = {
    "allowed_cidrs": "listener_rule",
    "deployment_configuration": "deployment_settings",
    "primary_container": "task_definition",
    "scaling_target": "scaling",
}


def part(resource: Resource, attribute: Attribute | None = None) -> str:
    """Return what the state of the deployment calls the resource, or the part of it with the attribute."""
    if resource.module == "ecs_express_service":
        return _SERVICE.get(attribute.path.split(".")[0], "service") if attribute else "service"
    if resource.module == "ec2_security_group":
        return f"security_group_{resource.name.rpartition('-')[2]}"
    if resource.module == "iam_service_role":
        return f"iam_role_{resource.name.removesuffix('-role').rpartition('-')[2]}"
    if resource.module == "secretsmanager_secret":
        return f"secret_{resource.name.rpartition('/')[2]}"
    others = {
        "cloudwatch_alarms": "alarms",
        "cloudwatch_dashboard": "dashboard",
        "logs_log_group": "log_group",
        "mlflow_upgrade": "task_definition",
        "s3_artifact_bucket": "bucket",
        "scheduler_schedule": "schedules",
        "scheduler_schedule_group": "schedules",
        "sns_topic": "topic",
        "sqs_queue": "maintenance_queue",
    }
    return {**_DATABASE, **others}.get(resource.module, "")


def cause(name: str, state: Mapping[str, typing.Any]) -> str:
    """Return why a resource would change.

    Args:
        name: what the state calls the resource.
        state: as mlflow_deployment_state returns it, with C(collection_version) and C(collection_hash) of this
            collection; empty if it could not be read.
    """
    applied = state.get("applied")
    if not applied or not name or state.get("unknown"):
        return UNKNOWN
    if name in (state.get("changed_by_hand") or ()):
        return EITHER if state.get("variables_changed") else BY_HAND
    if state.get("variables_changed"):
        return VARIABLES
    other = any(applied.get(key) != state.get(key) for key in ("collection_version", "collection_hash"))
    return COLLECTION if other else UNKNOWN
