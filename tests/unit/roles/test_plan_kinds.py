# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan has a name for each kind of resource that the roles change."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_changes

ROLES = Path(__file__).parents[3] / "roles"
# They start and check what runs, and are not played by a plan.
UNPLANNED = {"local_aws", "validation"}
READS = {
    *("aws_caller_context", "ec2_network_info", "ecs_express_service_info", "mlflow_backup_info", "mlflow_health"),
    *("mlflow_deployment_lock", "mlflow_deployment_plan", "mlflow_deployment_state", "mlflow_deployment_status"),
    *("resource_ownership", "resource_references", "role_variables", "secretsmanager_secret_info"),
}
# Of playbooks of their own, and of what a plan cannot know: what the server has.
VERBS = {"mlflow_backup", "mlflow_deployment_power", "mlflow_drill", "mlflow_gc", "mlflow_restore", "mlflow_user"}


def test_each_resource_that_the_roles_change_has_a_name_in_a_plan() -> None:
    files = [path for path in ROLES.glob("*/tasks/*.yml") if path.parents[1].name not in UNPLANNED]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    called = set(re.findall(r"^\s*mlops\.mlflow_aws\.(\w+):", text, re.M))
    assert called - READS - VERBS == {name for name in plan_changes.KINDS if name in called}
    assert called >= (READS | VERBS)
