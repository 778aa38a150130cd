# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Rules across several variables of a deployment: what must, or must not, be set together."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import is_true
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import whole_number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import given_twice
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import size_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.database import reserved_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.fargate import FARGATE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.fargate import pair_problem

Inputs = Mapping[str, typing.Any]

_OIDC_NEEDS = ("mlflow_oidc_discovery_url", "mlflow_oidc_client_id", "mlflow_oidc_client_secret_arn")

# The user's variables that are in the server's task definition.
_IN_TASK_DEFINITION = (
    *("mlflow_extra_env", "mlflow_extra_secrets", "mlflow_extra_args", "mlflow_allowed_hosts"),
    *("mlflow_cors_allowed_origins", "mlflow_allowed_artifact_locations", "mlflow_allowed_model_sources"),
    "mlflow_oidc_plugin_requirements",
)
# The bytes of it that the roles need: their scripts, addresses and names, and the three certificates of a region's RDS;
# and the size that the roles allow for a file of certificates.
OF_THE_ROLES = 22 * 1024
_CERTIFICATES = {"mlflow_db_ca_path": 24 * 1024, "mlflow_oidc_ca_path": 16 * 1024}

# Elastic Load Balancing allows five values in a rule, and one is the host name.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
MOST_INGRESS_CIDRS = 4

# MiB, with two workers and no background jobs.
LEAST_MEMORY = 2048


def bucket_problems(inputs: Inputs) -> Problems:
    """Check the settings of an adopted bucket, and that no bucket logs to itself."""
    problems = []
    logs, name = inputs.get("mlflow_bucket_access_log_bucket"), inputs.get("mlflow_bucket_name")
    if is_true(inputs.get("mlflow_bucket_adopt")):
        if empty(name):
            problems.append(
                Violation("mlflow_bucket_adopt", "is true without mlflow_bucket_name", "say which bucket exists")
            )
        asked = {
            "mlflow_bucket_access_log_bucket": not empty(logs),
            "mlflow_bucket_noncurrent_days": bool(whole_number(inputs.get("mlflow_bucket_noncurrent_days"))),
        }
        problems += [
            Violation(
                variable,
                "is set with mlflow_bucket_adopt, which leaves the bucket as it is",
                "set it up on the bucket itself, and leave one of the two out",
            )
            for variable, given in asked.items()
            if given
        ]
    if not empty(logs) and logs == name:
        problems.append(
            Violation(
                "mlflow_bucket_access_log_bucket",
                f"is {shown(logs)}, which is mlflow_bucket_name as well",
                "a bucket that logs to itself logs its logs, so name another one",
            )
        )
    return problems


def database_problems(inputs: Inputs) -> Problems:
    """Check the settings that choose between an existing database and a new one."""
    problems: Problems = []
    host, secret = (not empty(inputs.get(name)) for name in ("mlflow_db_host", "mlflow_db_secret_arn"))
    if host != secret:
        one, other = "mlflow_db_host", "mlflow_db_secret_arn"
        given, lacking = (one, other) if host else (other, one)
        remedy = "set both to use an existing database, or neither to have one created"
        problems.append(Violation(given, f"is set without {lacking}", remedy))
    port = whole_number(inputs.get("mlflow_db_port"))
    if not host and port is not None and 0 < port < 1150:
        reason = f"is {port}, but RDS takes ports from 1150 on; the usual one is 5432"
        problems.append(Violation("mlflow_db_port", reason))
    return problems + reserved_problems(inputs, "mlflow_db_host", "mlflow_db_name", "mlflow_db_username")


def network_problems(inputs: Inputs) -> Problems:
    """Check the numbers of subnets and networks."""
    problems = [
        Violation(name, "has one subnet; name two or more, in different availability zones")
        for name in ("mlflow_subnet_ids", "mlflow_db_subnet_ids")
        if len(_distinct(inputs.get(name))) == 1
    ]
    cidrs = _distinct(inputs.get("mlflow_ingress_cidrs"))
    if len(cidrs) > MOST_INGRESS_CIDRS:
        problems.append(
            Violation(
                "mlflow_ingress_cidrs",
                f"has {len(cidrs)} networks, but the load balancer's rule takes {MOST_INGRESS_CIDRS} besides the host"
                " name",
                "name fewer, larger ones",
            )
        )
    return problems


def _distinct(value: typing.Any) -> set[str]:
    return set(map(str, value)) if isinstance(value, (list, tuple)) else set()


def login_problems(inputs: Inputs) -> Problems:
    """Check that the settings of a login are complete."""
    mode = inputs.get("mlflow_auth") or "basic"
    if mode == "oidc":
        lacking = [name for name in _OIDC_NEEDS if empty(inputs.get(name))]
        needs = f"it also needs {', '.join(_OIDC_NEEDS[:-1])} and {_OIDC_NEEDS[-1]}"
        return [Violation("mlflow_auth", f"is 'oidc' without {name}", needs) for name in lacking[:1]]
    bootstrap = is_true(inputs.get("mlflow_bootstrap_admin", True))
    if mode == "basic" and not bootstrap and empty(inputs.get("mlflow_admin_login_secret")):
        return [
            Violation(
                "mlflow_bootstrap_admin",
                "is false without mlflow_admin_login_secret",
                "name the secret with the login of another administrator, whom the playbooks log in as",
            )
        ]
    return []


def task_problems(inputs: Inputs) -> Problems:
    """Check the task definition: its environment and its size in bytes."""
    env, hidden = inputs.get("mlflow_extra_env"), inputs.get("mlflow_extra_secrets")
    problems = given_twice("mlflow_extra_env", env, "mlflow_extra_secrets", hidden)
    parts = {name: inputs.get(name) for name in _IN_TASK_DEFINITION}
    others = OF_THE_ROLES + sum(size for name, size in _CERTIFICATES.items() if not empty(inputs.get(name)))
    problem = size_problem({name: value for name, value in parts.items() if not isinstance(value, str)}, others)
    return problems + ([problem] if problem else [])


def size_problems(inputs: Inputs) -> Problems:
    """Check the size of the server's task: a pair that Fargate offers, and enough for MLflow."""
    if empty(inputs.get("mlflow_cpu")) and empty(inputs.get("mlflow_memory")):
        return []
    cpu, memory = inputs.get("mlflow_cpu", 1024), inputs.get("mlflow_memory", 4096)
    size = whole_number(memory)
    if whole_number(cpu) in FARGATE and size is not None and size < LEAST_MEMORY:
        return [
            Violation(
                "mlflow_memory",
                f"is {shown(memory)} MiB, but MLflow needs {LEAST_MEMORY} at least; ECS ends a server that outgrows"
                " what it was given",
            )
        ]
    problem = pair_problem("mlflow_cpu", cpu, "mlflow_memory", memory)
    return [problem] if problem else []
