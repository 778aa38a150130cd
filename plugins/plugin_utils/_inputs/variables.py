# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The rules for each variable of a deployment, beyond its type and its choices."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import check_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import check_cidr
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import check_https_url
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import check_non_empty_string
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import int_in_range
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import list_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import matches_pattern
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import arn
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import bucket_name
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import environment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import secrets
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import database_name
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import username
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import image
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import pinned
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import version
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import NOUNS
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import monitoring
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.server import arguments
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.uris import locations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.uris import sources

_SUBNETS = list_of(matches_pattern(r"subnet-[0-9a-f]{8,17}", "the id of a subnet, such as subnet-0123456789abcdef0"))
_BACKUP_NAME = matches_pattern(
    r"[a-z0-9](-?[a-z0-9]){0,59}", "up to 60 small letters, digits and single hyphens, such as before-upgrade"
)

_AGE = matches_pattern(
    r"(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?", "days, hours, minutes and seconds, such as 30d or 1d12h"
)
# Scheduler reads what stands between the parentheses of cron.
_SCHEDULE = matches_pattern(
    r"rate\([1-9][0-9]* (minute|hour|day)s?\)|cron\(\S+( \S+){5}\)",
    "an expression of EventBridge Scheduler, such as rate(7 days) or cron(0 3 ? * SUN *)",
)

CHECKS: dict[str, Check] = {
    "mlflow_version": version,
    "mlflow_image": image,
    "mlflow_tags": check_tags(DEPLOYMENT),
    "mlflow_take_over": list_of(
        matches_pattern(
            rf"({'|'.join(sorted(NOUNS))})/.+", "a type of resource and a name, such as iam_role/mlflow-task-role"
        )
    ),
    "mlflow_subnet_ids": _SUBNETS,
    "mlflow_ingress_cidrs": list_of(check_cidr),
    "mlflow_service_ingress_cidrs": list_of(check_cidr),
    "mlflow_bucket_name": bucket_name,
    "mlflow_bucket_kms_key_arn": arn("kms", "key"),
    # botocore's model of s3, NoncurrentDays: "must be a non-zero positive integer"; 0 stands for none.
    "mlflow_bucket_noncurrent_days": int_in_range(0, 36500),
    "mlflow_bucket_access_log_bucket": bucket_name,
    "mlflow_db_host": matches_pattern(
        r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "a host name, without a scheme and without a port"
    ),
    "mlflow_db_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_db_name": database_name,
    "mlflow_db_username": username,
    "mlflow_db_port": int_in_range(1, 65535),
    "mlflow_db_ca_path": check_non_empty_string,
    "mlflow_db_engine_version": lambda name, value: matches_pattern(
        r"[0-9]{2}(\.[0-9]+)?", "a version of PostgreSQL such as '16' or '16.8'"
    )(name, str(value)),
    "mlflow_db_instance_class": matches_pattern(r"db\.[a-z0-9-]+\.[a-z0-9]+", "an instance class such as db.t4g.micro"),
    "mlflow_db_allocated_storage": int_in_range(20, 65536),
    "mlflow_db_max_allocated_storage": int_in_range(0, 65536),
    "mlflow_db_iops": int_in_range(0, 256000),
    "mlflow_db_storage_throughput": int_in_range(0, 4000),
    "mlflow_db_kms_key_arn": arn("kms", "key"),
    "mlflow_db_subnet_ids": _SUBNETS,
    "mlflow_db_backup_retention_days": int_in_range(0, 35),
    "mlflow_iam_path": matches_pattern(
        r"/([!-~]{1,510}/)?", "a path that begins and ends with a slash, such as /mlflow/"
    ),
    "mlflow_permissions_boundary_arn": arn("iam", "policy"),
    # IAM API Reference, CreateRole.
    "mlflow_iam_max_session_duration": int_in_range(3600, 43200),
    # The characters of HTTP's basic authentication, except those that need quoting.
    "mlflow_admin_username": matches_pattern(
        r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}", "a name of letters, digits and the characters . _ @ + -"
    ),
    "mlflow_admin_login_secret": check_non_empty_string,
    "mlflow_pip_index_url": check_https_url,
    "mlflow_oidc_discovery_url": check_https_url,
    "mlflow_oidc_client_id": check_non_empty_string,
    "mlflow_oidc_client_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_oidc_client_secret_key": check_non_empty_string,
    "mlflow_oidc_scope": check_non_empty_string,
    "mlflow_oidc_groups_attribute": check_non_empty_string,
    "mlflow_oidc_group_name": check_non_empty_string,
    "mlflow_oidc_admin_group_name": check_non_empty_string,
    "mlflow_oidc_redirect_uri": check_https_url,
    "mlflow_oidc_plugin_version": matches_pattern(r"[0-9]+\.[0-9]+\.[0-9]+", "a version such as 10.1.3"),
    "mlflow_oidc_ca_path": check_non_empty_string,
    "mlflow_oidc_plugin_requirements": list_of(pinned),
    "mlflow_oidc_audience": check_non_empty_string,
    "mlflow_cluster": matches_pattern(
        r"[A-Za-z0-9_-]{1,255}", "the name of an ECS cluster: letters, digits, hyphens, underscores"
    ),
    "mlflow_workers": int_in_range(1, 64),
    "mlflow_allowed_artifact_locations": list_of(locations),
    "mlflow_allowed_model_sources": list_of(sources),
    "mlflow_keep_alive_seconds": int_in_range(1),
    "mlflow_db_pool_size": int_in_range(1),
    "mlflow_db_pool_max_overflow": int_in_range(1),
    "mlflow_db_pool_recycle_seconds": int_in_range(-1),
    "mlflow_extra_args": arguments,
    "mlflow_extra_env": environment,
    "mlflow_extra_secrets": secrets,
    "mlflow_extra_secrets_kms_key_arns": list_of(arn("kms", "key")),
    "mlflow_log_kms_key_arn": arn("kms", "key"),
    "mlflow_secrets_kms_key_arn": arn("kms", "key"),
    "mlflow_custom_domain": matches_pattern(
        r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+",
        "a host name such as mlflow.example.com, without https:// and without a path",
    ),
    "mlflow_allowed_hosts": list_of(check_non_empty_string),
    "mlflow_cors_allowed_origins": list_of(check_non_empty_string),
    "mlflow_wait_timeout": int_in_range(1),
    "mlflow_poll_seconds": int_in_range(1),
    "mlflow_stall_timeout": int_in_range(1),
    "mlflow_canary_percent": int_in_range(1, 100),
    "mlflow_canary_bake_minutes": int_in_range(0, 1440),
    "mlflow_bake_minutes": int_in_range(0, 1440),
    "mlflow_backup_name": _BACKUP_NAME,
    "mlflow_backup_keep": int_in_range(0),
    "mlflow_gc_older_than": _AGE,
    "mlflow_maintenance_archive_older_than": _AGE,
    "mlflow_maintenance_archive_schedule": _SCHEDULE,
    "mlflow_maintenance_gc_older_than": _AGE,
    "mlflow_maintenance_gc_schedule": _SCHEDULE,
    "mlflow_maintenance_timezone": matches_pattern(
        r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", "a time zone such as UTC or Europe/Berlin"
    ),
    "mlflow_restore_backup": _BACKUP_NAME,
    "mlflow_restore_snapshot": matches_pattern(
        r"[A-Za-z](-?[A-Za-z0-9]){0,254}", "the identifier of a snapshot, such as mlflow-final-20261123120000"
    ),
    "mlflow_restore_time": matches_pattern(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}(Z|[+-][0-9]{2}:?[0-9]{2})?",
        "a time of ISO 8601, in UTC, such as 2026-11-23T12:00:00Z",
    ),
    "mlflow_monitoring_subscriptions": monitoring.subscriptions,
    "mlflow_monitoring_thresholds": monitoring.thresholds,
    "mlflow_client_requirements": check_non_empty_string,
    "mlflow_validation_token_secret_arn": arn("secretsmanager", "secret"),
}
