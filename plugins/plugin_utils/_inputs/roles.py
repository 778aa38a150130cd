# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Check the variables of a role that is used alone: the same rules for other names.

Pure Python, private to the collection.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import tag_limits
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import int_in_range
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import list_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import matches_pattern
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import arn
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import environment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import given_twice
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import secret_source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import secrets
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import reserved_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.fargate import pair_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import pinned
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import scope_violations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.server import text_list
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.variables import CHECKS

# Variables of roles with the same meaning as one of a deployment.
SAME_AS: dict[str, tuple[str, ...]] = {
    "mlflow_admin_username": ("auth_admin_username",),
    "mlflow_allowed_artifact_locations": (
        *("ecs_express_allowed_artifact_locations", "validation_allowed_artifact_locations"),
    ),
    "mlflow_allowed_hosts": ("ecs_express_allowed_hosts",),
    "mlflow_allowed_model_sources": ("ecs_express_allowed_model_sources", "validation_allowed_model_sources"),
    "mlflow_bake_minutes": ("ecs_express_bake_minutes",),
    "mlflow_bucket_access_log_bucket": ("bucket_access_log_bucket",),
    "mlflow_bucket_kms_key_arn": ("bucket_kms_key_arn", "iam_bucket_kms_key_arn", "maintenance_bucket_kms_key_arn"),
    "mlflow_bucket_name": ("bucket_name", "maintenance_bucket", "monitoring_bucket"),
    "mlflow_bucket_noncurrent_days": ("bucket_noncurrent_days",),
    "mlflow_canary_bake_minutes": ("ecs_express_canary_bake_minutes",),
    "mlflow_canary_percent": ("ecs_express_canary_percent",),
    "mlflow_cluster": ("ecs_express_cluster", "maintenance_cluster", "monitoring_cluster"),
    "mlflow_cors_allowed_origins": ("ecs_express_cors_allowed_origins",),
    "mlflow_custom_domain": ("ecs_express_custom_domain",),
    "mlflow_db_allocated_storage": ("rds_allocated_storage",),
    "mlflow_db_backup_retention_days": ("rds_backup_retention_days", "maintenance_backup_retention_days"),
    "mlflow_db_engine_version": ("rds_engine_version",),
    "mlflow_db_host": ("rds_existing_host", "maintenance_database_host"),
    "mlflow_db_instance_class": ("rds_instance_class", "monitoring_instance_class"),
    "mlflow_db_iops": ("rds_iops",),
    "mlflow_db_kms_key_arn": ("rds_kms_key_arn",),
    "mlflow_db_max_allocated_storage": ("rds_max_allocated_storage",),
    "mlflow_db_name": ("rds_database", "ecs_express_database_name", "maintenance_database_name"),
    "mlflow_db_pool_max_overflow": ("ecs_express_db_pool_max_overflow",),
    "mlflow_db_pool_recycle_seconds": ("ecs_express_db_pool_recycle_seconds",),
    "mlflow_db_pool_size": ("ecs_express_db_pool_size",),
    "mlflow_db_port": (
        *("rds_port", "network_database_port", "ecs_express_database_port", "maintenance_database_port"),
    ),
    "mlflow_db_secret_arn": ("rds_existing_secret_arn",),
    "mlflow_db_storage_throughput": ("rds_storage_throughput",),
    "mlflow_db_subnet_ids": ("network_database_subnet_ids",),
    "mlflow_db_username": ("rds_username", "maintenance_database_username"),
    "mlflow_extra_args": ("ecs_express_extra_args",),
    "mlflow_extra_secrets_kms_key_arns": ("iam_extra_secrets_kms_key_arns",),
    "mlflow_iam_max_session_duration": ("iam_max_session_duration",),
    "mlflow_iam_path": ("iam_path", "maintenance_iam_path"),
    "mlflow_image": ("ecs_express_image", "auth_image"),
    "mlflow_ingress_cidrs": ("ecs_express_ingress_cidrs",),
    "mlflow_keep_alive_seconds": ("ecs_express_keep_alive_seconds",),
    "mlflow_log_kms_key_arn": ("ecs_express_log_kms_key_arn",),
    "mlflow_maintenance_archive_older_than": ("maintenance_archive_older_than",),
    "mlflow_maintenance_archive_schedule": ("maintenance_archive_schedule",),
    "mlflow_maintenance_gc_older_than": ("maintenance_gc_older_than",),
    "mlflow_maintenance_gc_schedule": ("maintenance_gc_schedule",),
    "mlflow_maintenance_timezone": ("maintenance_timezone",),
    "mlflow_monitoring_subscriptions": ("monitoring_subscriptions",),
    "mlflow_monitoring_thresholds": ("monitoring_thresholds",),
    "mlflow_oidc_client_secret_arn": ("auth_oidc_client_secret_arn",),
    "mlflow_oidc_discovery_url": ("auth_oidc_discovery_url",),
    "mlflow_oidc_plugin_requirements": ("auth_oidc_plugin_requirements",),
    "mlflow_oidc_plugin_version": ("auth_oidc_plugin_version",),
    "mlflow_oidc_redirect_uri": ("auth_oidc_redirect_uri",),
    "mlflow_permissions_boundary_arn": ("iam_permissions_boundary_arn", "maintenance_permissions_boundary_arn"),
    "mlflow_pip_index_url": ("auth_pip_index_url",),
    "mlflow_poll_seconds": ("ecs_express_poll_seconds", "network_poll_seconds", "rds_poll_seconds"),
    "mlflow_secrets_kms_key_arn": ("auth_kms_key_arn", "iam_secrets_kms_key_arn", "rds_secret_kms_key_arn"),
    "mlflow_service_ingress_cidrs": ("network_service_ingress_cidrs",),
    "mlflow_stall_timeout": ("ecs_express_stall_timeout",),
    "mlflow_subnet_ids": ("network_subnet_ids", "auth_subnet_ids", "ecs_express_subnet_ids", "rds_subnet_ids"),
    "mlflow_take_over": (
        *("auth_take_over", "bucket_take_over", "ecs_express_take_over", "iam_take_over", "network_take_over"),
        "rds_take_over",
    ),
    "mlflow_version": ("ecs_express_mlflow_version", "auth_mlflow_version"),
    "mlflow_wait_timeout": (
        *("ecs_express_wait_timeout", "network_wait_timeout", "rds_wait_timeout", "validation_wait_timeout"),
    ),
    "mlflow_workers": ("ecs_express_workers",),
}

_SECURITY_GROUP = matches_pattern(r"sg-[0-9a-f]{8,17}", "the id of a security group, such as sg-0123456789abcdef0")
# The roles' names become <name>-infrastructure-role, of 64 characters at most (botocore's model of iam, roleNameType).
_IAM_NAME = matches_pattern(r"[A-Za-z0-9_+=,.@-]{1,44}", "up to 44 letters, digits and the characters _ + = , . @ -")
# Secrets Manager API Reference, CreateSecret, Name: 512 characters; the role adds a slash and a word.
_SECRET_NAME = matches_pattern(
    r"[A-Za-z0-9/_+=.@-]{1,500}", "up to 500 letters, digits and the characters / _ + = . @ -"
)
# RDS stores identifiers in lower case (botocore's model of rds, CreateDBInstance, DBInstanceIdentifier).
_INSTANCE_NAME = matches_pattern(
    r"(?=.{1,63}$)[a-z][a-z0-9]*(-[a-z0-9]+)*",
    "up to 63 lower-case letters, digits and single hyphens, beginning with a letter and not ending with a hyphen",
)
# botocore's model of ec2, CreateSecurityGroup, GroupName: 255 characters, of which the role takes nine.
_GROUP_NAME = matches_pattern(
    r"(?!sg-)[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,246}", "up to 246 characters, and not begin with sg-"
)
# botocore's model of ecs, CreateExpressGatewayService, serviceName.
_SERVICE_NAME = matches_pattern(r"[A-Za-z0-9_-]{1,255}", "up to 255 letters, digits, underscores and hyphens")

CHECKS_OF_ROLES: dict[str, Check] = {name: CHECKS[same] for same, names in SAME_AS.items() for name in names} | {
    "auth_name": _SECRET_NAME,
    "auth_tags": tag_limits.check_tags(tag_limits.ANY_SERVICE),
    "bucket_abort_incomplete_multipart_days": int_in_range(1),
    "bucket_tags": tag_limits.check_tags(tag_limits.ANY_SERVICE),
    "ecs_express_auth_environment": environment,
    "ecs_express_auth_secrets": secrets,
    "ecs_express_boot": text_list,
    "ecs_express_database_secret_arn": arn("secretsmanager", "secret"),
    "ecs_express_execution_role_arn": arn("iam", "role"),
    "ecs_express_extra_env": environment,
    "ecs_express_extra_secrets": secrets,
    "ecs_express_infrastructure_role_arn": arn("iam", "role"),
    # botocore's model of logs, LogGroupName.
    "ecs_express_log_group": matches_pattern(
        r"[\w./#-]{1,512}", "the name of a log group: letters, digits and . - _ / #"
    ),
    "ecs_express_pip_packages": list_of(pinned),
    "ecs_express_security_group_ids": list_of(_SECURITY_GROUP),
    "ecs_express_server_args": text_list,
    "ecs_express_service_name": _SERVICE_NAME,
    "ecs_express_tags": tag_limits.check_tags(tag_limits.ECS),
    "ecs_express_task_role_arn": arn("iam", "role"),
    "iam_name": _IAM_NAME,
    "iam_bucket_arn": matches_pattern(
        r"arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}", "the ARN of a bucket, arn:<partition>:s3:::<name>"
    ),
    "iam_log_group_arn": matches_pattern(
        r"arn:[a-z-]+:logs:[a-z0-9-]+:[0-9]{12}:log-group:[\w./#-]{1,512}", "the ARN of a log group, without :*"
    ),
    "iam_secret_arns": list_of(secret_source),
    "iam_tags": tag_limits.check_tags(tag_limits.IAM),
    "maintenance_execution_role_arn": arn("iam", "role"),
    # IAM's roles become <name>-maintenance-archive-role, of 64 characters at most.
    "maintenance_name": matches_pattern(r"[A-Za-z0-9_-]{1,39}", "up to 39 letters, digits, underscores and hyphens"),
    "maintenance_tags": tag_limits.check_tags(tag_limits.IAM),
    "monitoring_allocated_storage": int_in_range(0, 65536),
    # SNS API Reference, CreateTopic: 256 characters, of which the role takes seven.
    "monitoring_name": matches_pattern(r"[A-Za-z0-9_-]{1,200}", "up to 200 letters, digits, underscores and hyphens"),
    "monitoring_service_name": _SERVICE_NAME,
    "monitoring_tags": tag_limits.check_tags(tag_limits.ANY_SERVICE),
    "monitoring_wanted_tasks": int_in_range(1),
    "network_container_port": int_in_range(1, 65535),
    "network_name": _GROUP_NAME,
    "network_tags": tag_limits.check_tags(tag_limits.ANY_SERVICE),
    "rds_name": _INSTANCE_NAME,
    "rds_security_group_ids": list_of(_SECURITY_GROUP),
    "rds_tags": tag_limits.check_tags(tag_limits.RDS),
    "validation_poll_seconds": int_in_range(1),
}


_UNKNOWN_SCOPE = Scope()


def role_violations(inputs: Mapping[str, typing.Any], scope: Scope = _UNKNOWN_SCOPE) -> Problems:
    """Return a violation for each rule that the variables of a role break that is used alone.

    Args:
        inputs: from the names of variables to their values. Unknown ones are ignored, empty ones count as not
            set.
        scope: of the caller, for ARNs.
    """
    problems = [
        problem
        for name, check in CHECKS_OF_ROLES.items()
        if not empty(inputs.get(name))
        for problem in check(name, inputs[name])
    ]
    problems += reserved_problems(inputs, "rds_existing_host", "rds_database", "rds_username")
    env, hidden = "ecs_express_extra_env", "ecs_express_extra_secrets"
    problems += given_twice(env, inputs.get(env), hidden, inputs.get(hidden))
    cpu, memory = "ecs_express_cpu", "ecs_express_memory"
    if cpu in inputs and memory in inputs:
        problem = pair_problem(cpu, inputs[cpu], memory, inputs[memory])
        problems += [problem] if problem else []
    return problems + scope_violations(inputs, scope)
