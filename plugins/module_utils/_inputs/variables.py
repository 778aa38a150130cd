# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of everything that a user sets, before AWS is asked for anything. Pure Python, private to the collection.

Each check returns sentences that name the variable, what is wrong and what would be right.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import arn
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import bucket_name
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import place_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.connections import pool_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import environment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import given_twice
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import secrets
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import size_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import database_name
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import reserved_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import username
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.fargate import size_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import image
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import pinned
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import version
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.server import arguments
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.server import extra_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.storage import storage_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.tags import DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.tags import check_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.uris import locations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.uris import root_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.uris import sources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import boolean
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import choice
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import listed
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import network
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import some_text
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import text
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import url
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import whole_number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import NOUNS

# CloudWatch Logs API Reference, PutRetentionPolicy.
LOG_RETENTION = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)

CHECKS: dict[str, Check] = {
    "mlflow_version": version,
    "mlflow_image": image,
    "mlflow_tags": check_tags(DEPLOYMENT),
    "mlflow_take_over": listed(
        text(rf"({'|'.join(sorted(NOUNS))})/.+", "a type of resource and a name, such as iam_role/mlflow-task-role")
    ),
    "mlflow_subnet_ids": listed(text(r"subnet-[0-9a-f]{8,17}", "the id of a subnet, such as subnet-0123456789abcdef0")),
    "mlflow_ingress": choice("public", "private"),
    "mlflow_ingress_cidrs": listed(network),
    "mlflow_service_ingress_cidrs": listed(network),
    "mlflow_bucket_name": bucket_name,
    "mlflow_bucket_adopt": boolean,
    "mlflow_bucket_kms_key_arn": arn("kms", "key"),
    # botocore's model of s3, NoncurrentDays: "must be a non-zero positive integer"; 0 stands for none.
    "mlflow_bucket_noncurrent_days": number(0, 36500),
    "mlflow_bucket_access_log_bucket": bucket_name,
    "mlflow_db_host": text(
        r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "a host name, without a scheme and without a port"
    ),
    "mlflow_db_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_db_name": database_name,
    "mlflow_db_username": username,
    "mlflow_db_port": number(1, 65535),
    "mlflow_db_sslmode": choice("require", "verify-ca", "verify-full", "prefer"),
    "mlflow_db_ca_path": some_text,
    "mlflow_db_engine_version": lambda name, value: text(
        r"[0-9]{2}(\.[0-9]+)?", "a version of PostgreSQL such as '16' or '16.8'"
    )(name, str(value)),
    "mlflow_db_instance_class": text(r"db\.[a-z0-9-]+\.[a-z0-9]+", "an instance class such as db.t4g.micro"),
    "mlflow_db_allocated_storage": number(20, 65536),
    "mlflow_db_max_allocated_storage": number(0, 65536),
    "mlflow_db_storage_type": choice("gp2", "gp3", "io1", "io2", "standard"),
    "mlflow_db_iops": number(0, 256000),
    "mlflow_db_storage_throughput": number(0, 4000),
    "mlflow_db_kms_key_arn": arn("kms", "key"),
    "mlflow_db_subnet_ids": listed(
        text(r"subnet-[0-9a-f]{8,17}", "the id of a subnet, such as subnet-0123456789abcdef0")
    ),
    "mlflow_db_multi_az": boolean,
    "mlflow_db_backup_retention_days": number(0, 35),
    "mlflow_db_auto_minor_version_upgrade": boolean,
    "mlflow_db_deletion_protection": boolean,
    # botocore's model of rds, CreateDBInstance, EnableCloudwatchLogsExports, for RDS for PostgreSQL.
    "mlflow_db_log_exports": listed(choice("postgresql", "upgrade", "iam-db-auth-error")),
    "mlflow_iam_path": text(r"/([!-~]{1,510}/)?", "a path that begins and ends with a slash, such as /mlflow/"),
    "mlflow_permissions_boundary_arn": arn("iam", "policy"),
    # IAM API Reference, CreateRole.
    "mlflow_iam_max_session_duration": number(3600, 43200),
    "mlflow_iam_source_conditions": boolean,
    "mlflow_auth": choice("basic", "oidc", "none"),
    "mlflow_allow_public_without_login": boolean,
    # What HTTP's basic authentication allows, without what would need quoting.
    "mlflow_admin_username": text(
        r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}", "a name of letters, digits and the characters . _ @ + -"
    ),
    "mlflow_bootstrap_admin": boolean,
    "mlflow_admin_login_secret": some_text,
    # mlflow/server/auth/permissions.py
    "mlflow_default_permission": choice("READ", "USE", "EDIT", "MANAGE", "NO_PERMISSIONS"),
    "mlflow_pip_install": boolean,
    "mlflow_pip_index_url": url,
    "mlflow_oidc_discovery_url": url,
    "mlflow_oidc_client_id": some_text,
    "mlflow_oidc_client_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_oidc_client_secret_key": some_text,
    "mlflow_oidc_scope": some_text,
    "mlflow_oidc_groups_attribute": some_text,
    "mlflow_oidc_group_name": some_text,
    "mlflow_oidc_admin_group_name": some_text,
    "mlflow_oidc_redirect_uri": url,
    "mlflow_oidc_plugin_version": text(r"[0-9]+\.[0-9]+\.[0-9]+", "a version such as 10.1.3"),
    "mlflow_oidc_ca_path": some_text,
    "mlflow_oidc_plugin_requirements": listed(pinned),
    "mlflow_oidc_audience": some_text,
    "mlflow_oidc_provision_on_bearer": boolean,
    "mlflow_oidc_trust_bearer_groups": boolean,
    "mlflow_cluster": text(
        r"[A-Za-z0-9_-]{1,255}", "the name of an ECS cluster: letters, digits, hyphens, underscores"
    ),
    "mlflow_workers": number(1, 64),
    "mlflow_job_execution": boolean,
    "mlflow_artifact_transfers": choice("proxied", "presigned"),
    "mlflow_uri_guard": boolean,
    "mlflow_allowed_artifact_locations": listed(locations),
    "mlflow_allowed_model_sources": listed(sources),
    "mlflow_keep_alive_seconds": number(1),
    "mlflow_db_pool_size": number(1),
    "mlflow_db_pool_max_overflow": number(1),
    "mlflow_db_pool_recycle_seconds": number(-1),
    "mlflow_extra_args": arguments,
    "mlflow_extra_env": environment,
    "mlflow_extra_secrets": secrets,
    "mlflow_extra_secrets_kms_key_arns": listed(arn("kms", "key")),
    "mlflow_log_retention_days": choice(*LOG_RETENTION),
    "mlflow_log_kms_key_arn": arn("kms", "key"),
    "mlflow_secrets_kms_key_arn": arn("kms", "key"),
    "mlflow_custom_domain": text(
        r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+",
        "a host name such as mlflow.example.com, without https:// and without a path",
    ),
    "mlflow_allowed_hosts": listed(some_text),
    "mlflow_cors_allowed_origins": listed(some_text),
    "mlflow_disable_security_middleware": boolean,
    "mlflow_wait_timeout": number(1),
    "mlflow_poll_seconds": number(1),
    "mlflow_stall_timeout": number(1),
    "mlflow_recreate_stuck": boolean,
    "mlflow_rolled_back": choice("retry", "fail"),
    "mlflow_rollback_on_alarm": boolean,
    "mlflow_canary_percent": number(1, 100),
    "mlflow_canary_bake_minutes": number(0, 1440),
    "mlflow_bake_minutes": number(0, 1440),
    "mlflow_demo": boolean,
    "mlflow_client_requirements": some_text,
    "mlflow_client_unpinned": boolean,
    "mlflow_validation_token_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_delete_artifacts": boolean,
    "mlflow_delete_logs": boolean,
    "mlflow_skip_final_snapshot": boolean,
}

_OIDC_NEEDS = ("mlflow_oidc_discovery_url", "mlflow_oidc_client_id", "mlflow_oidc_client_secret_arn")

# What of a user's variables is in the server's task definition.
_IN_TASK_DEFINITION = (
    *("mlflow_extra_env", "mlflow_extra_secrets", "mlflow_extra_args", "mlflow_allowed_hosts"),
    *("mlflow_cors_allowed_origins", "mlflow_allowed_artifact_locations", "mlflow_allowed_model_sources"),
    "mlflow_oidc_plugin_requirements",
)
# How many bytes of it the roles need: their scripts, addresses and names, and the three certificates of a region's RDS;
# and what the roles allow a file of certificates to have.
OF_THE_ROLES = 20 * 1024
_CERTIFICATES = {"mlflow_db_ca_path": 24 * 1024, "mlflow_oidc_ca_path": 16 * 1024}

# Without them the defaults do not apply: an empty value is a mistake.
_NEVER_EMPTY = ("mlflow_version",)

# Elastic Load Balancing allows five values in a rule, and one is the host name.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
MOST_INGRESS_CIDRS = 4


def name_problems(value: typing.Any, inputs: Mapping[str, typing.Any], account_id: str, region: str) -> Problems:
    """Check the deployment's name, and the length of every name that is made from it."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        return [
            f"mlflow_name is {value!r}, but must begin with a lower-case letter, go on with lower-case letters, digits"
            " and single hyphens, and not end with a hyphen."
        ]
    if value == "sg" or value.startswith("sg-"):
        return [f"mlflow_name is {value!r}; the names of security groups made from it must not begin with sg-."]
    limits = [("IAM role", f"{value}-infrastructure-role", 64, "")]
    if empty(inputs.get("mlflow_db_host")):
        limits.append(("RDS instance", value, 63, ""))
    if empty(inputs.get("mlflow_bucket_name")) and region:
        derived = f"{value}-artifacts-{account_id or '0' * 12}-{region}"
        limits.append(("bucket", derived, 63, ", or set mlflow_bucket_name"))
    too_long = [limit for limit in limits if len(limit[1]) > limit[2]]
    if too_long:
        # The one that allows least comes first.
        kind, derived, most, instead = min(too_long, key=lambda limit: limit[2] - len(limit[1]))
        longest = most - (len(derived) - len(value))
        return [
            f"mlflow_name is {value!r} with {len(value)} characters; the {kind} would be called {derived}, which has"
            f" {len(derived)} where AWS allows {most}: use at most {longest} characters{instead}."
        ]
    return []


def bucket_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check what is to become of a bucket that is left as it is, and that no bucket logs to itself."""
    problems = []
    logs, name = inputs.get("mlflow_bucket_access_log_bucket"), inputs.get("mlflow_bucket_name")
    if str(inputs.get("mlflow_bucket_adopt")).lower() in ("true", "yes", "on", "1"):
        asked = {
            "mlflow_bucket_access_log_bucket": not empty(logs),
            "mlflow_bucket_noncurrent_days": bool(whole_number(inputs.get("mlflow_bucket_noncurrent_days"))),
        }
        problems += [
            f"{variable} is set with mlflow_bucket_adopt, which leaves the bucket as it is: set it up on the bucket"
            " itself, and leave one of the two out."
            for variable, given in asked.items()
            if given
        ]
    if not empty(logs) and logs == name:
        problems.append(
            f"mlflow_bucket_access_log_bucket is {shown(logs)}, which is mlflow_bucket_name as well: a bucket that"
            " logs to itself logs its logs, so name another one."
        )
    return problems


def together_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check what must be, or must not be, set together."""

    def is_set(name: str) -> bool:
        return not empty(inputs.get(name))

    problems = []
    if is_set("mlflow_db_host") != is_set("mlflow_db_secret_arn"):
        one, other = "mlflow_db_host", "mlflow_db_secret_arn"
        given, lacking = (one, other) if is_set(one) else (other, one)
        problems.append(f"{given} is set without {lacking}: an existing database needs both, an own one none.")
    adopt = inputs.get("mlflow_bucket_adopt")
    if str(adopt).lower() in ("true", "yes", "on", "1") and not is_set("mlflow_bucket_name"):
        problems.append("mlflow_bucket_adopt is true without mlflow_bucket_name: say which bucket exists.")
    problems += bucket_problems(inputs)
    port = whole_number(inputs.get("mlflow_db_port"))
    if not is_set("mlflow_db_host") and port is not None and 0 < port < 1150:
        problems.append(f"mlflow_db_port is {port}, but RDS takes ports from 1150 on; the usual one is 5432.")
    subnets = inputs.get("mlflow_subnet_ids")
    if isinstance(subnets, (list, tuple)) and len(set(map(str, subnets))) == 1:
        problems.append("mlflow_subnet_ids has one subnet; name two or more, in different availability zones.")
    subnets = inputs.get("mlflow_db_subnet_ids")
    if isinstance(subnets, (list, tuple)) and len(set(map(str, subnets))) == 1:
        problems.append("mlflow_db_subnet_ids has one subnet; name two or more, in different availability zones.")
    problems += reserved_problems(inputs, "mlflow_db_host", "mlflow_db_name", "mlflow_db_username")
    cidrs = inputs.get("mlflow_ingress_cidrs")
    if isinstance(cidrs, (list, tuple)) and len(set(map(str, cidrs))) > MOST_INGRESS_CIDRS:
        problems.append(
            f"mlflow_ingress_cidrs has {len(set(map(str, cidrs)))} networks, but the load balancer's rule takes"
            f" {MOST_INGRESS_CIDRS} besides the host name: name fewer, larger ones."
        )
    if inputs.get("mlflow_auth") == "oidc":
        problems += [
            f"mlflow_auth is 'oidc' without {name}: it also needs mlflow_oidc_discovery_url, mlflow_oidc_client_id and"
            " mlflow_oidc_client_secret_arn."
            for name in _OIDC_NEEDS
            if not is_set(name)
        ][:1]
    bootstrap = str(inputs.get("mlflow_bootstrap_admin", True)).lower() not in ("false", "no", "off", "0")
    if inputs.get("mlflow_auth", "basic") == "basic" and not bootstrap and not is_set("mlflow_admin_login_secret"):
        problems.append(
            "mlflow_bootstrap_admin is false without mlflow_admin_login_secret: name the secret with the login of"
            " another administrator, whom the playbooks log in as."
        )
    env, hidden = inputs.get("mlflow_extra_env"), inputs.get("mlflow_extra_secrets")
    problems += given_twice("mlflow_extra_env", env, "mlflow_extra_secrets", hidden)
    parts = {name: inputs.get(name) for name in _IN_TASK_DEFINITION}
    others = OF_THE_ROLES + sum(size for name, size in _CERTIFICATES.items() if is_set(name))
    problem = size_problem({name: value for name, value in parts.items() if not isinstance(value, str)}, others)
    return problems + ([problem] if problem else [])


def input_problems(
    inputs: Mapping[str, typing.Any], account_id: str = "", region: str = "", partition: str = ""
) -> Problems:
    """Return a sentence for each mistake in a user's variables; an empty list means that there is none.

    Args:
        inputs: from the names of variables to their values. Unknown ones are not looked at, empty ones count as left
            out.
        account_id: the AWS account, for the length of the bucket's name and what ARNs name.
        region: the region, likewise. Without it that length is not checked.
        partition: the partition, for what ARNs name.
    """
    problems: Problems = []
    if "mlflow_name" in inputs:
        problems += name_problems(inputs["mlflow_name"], inputs, account_id, region)
    for name, check in CHECKS.items():
        if name in inputs and (name in _NEVER_EMPTY or not empty(inputs[name])):
            problems += check(name, inputs[name])
    problems += size_problems(inputs) + pool_problems(inputs) + storage_problems(inputs)
    problems += together_problems(inputs) + extra_problems(inputs) + root_problems(inputs)
    return problems + place_problems(inputs, Place(partition, region, account_id))
