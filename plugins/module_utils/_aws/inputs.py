# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of everything that a user sets, before AWS is asked for anything. Pure Python, private to the collection.

Each check returns sentences that name the variable, what is wrong and what would be right.
"""

from __future__ import annotations

import ipaddress
import re
import typing
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._aws.names import arn_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._aws.names import bucket_name_problem

Problems = list[str]
Check = Callable[[str, typing.Any], Problems]

OLDEST_VERSION = (3, 10, 0)

# AWS Fargate: CPU units to memory in MiB (Amazon ECS Developer Guide, "Task CPU and memory").
FARGATE: dict[int, list[int]] = {
    256: [512, 1024, 2048],
    512: list(range(1024, 4096 + 1, 1024)),
    1024: list(range(2048, 8192 + 1, 1024)),
    2048: list(range(4096, 16384 + 1, 1024)),
    4096: list(range(8192, 30720 + 1, 1024)),
    8192: list(range(16384, 61440 + 1, 4096)),
    16384: list(range(32768, 122880 + 1, 8192)),
}

# MiB, with two workers and no background jobs.
LEAST_MEMORY = 2048

# CloudWatch Logs API Reference, PutRetentionPolicy.
LOG_RETENTION = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)

# What Ansible's filter "bool" knows.
_TRUE_OR_FALSE = ("true", "false", "yes", "no", "on", "off", "1", "0")


def empty(value: typing.Any) -> bool:
    """Whether a variable was left out: not set, or set to nothing."""
    return value is None or (isinstance(value, (str, list, tuple, dict)) and len(value) == 0)


def whole_number(value: typing.Any) -> int | None:
    """Return a whole number that was given as such or as text, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value.strip()):
        return int(value)
    return None


def version_numbers(value: typing.Any) -> tuple[int, int, int] | None:
    """Return the three numbers of a version X.Y.Z, or None."""
    match = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})", value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def version_at_least(version: typing.Any, minimum: typing.Any) -> bool:
    """Whether one version X.Y.Z is another or newer.

    Raises:
        ValueError: one of them is no such version.
    """
    one, other = version_numbers(version), version_numbers(minimum)
    if one is None or other is None:
        raise ValueError(f"{version if one is None else minimum!r} is no version with three numbers, such as 3.17.2.")
    return one >= other


def boolean(name: str, value: typing.Any) -> Problems:
    """Check a switch."""
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in _TRUE_OR_FALSE) or value in (0, 1):
        return []
    return [f"{name} is {value!r}, but must be true or false."]


def number(lowest: int, highest: int | None = None) -> Check:
    """Return the check of a whole number in a range."""

    def check(name: str, value: typing.Any) -> Problems:
        found = whole_number(value)
        bounds = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
        if found is None or found < lowest or (highest is not None and found > highest):
            return [f"{name} is {value!r}, but must be a whole number {bounds}."]
        return []

    return check


def choice(*allowed: int | str) -> Check:
    """Return the check of one of some values."""

    def check(name: str, value: typing.Any) -> Problems:
        if str(value) in [str(one) for one in allowed]:
            return []
        return [f"{name} is {value!r}, but must be one of {', '.join(str(one) for one in allowed)}."]

    return check


def text(pattern: str, right: str) -> Check:
    """Return the check of a text by a pattern."""

    def check(name: str, value: typing.Any) -> Problems:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return []
        return [f"{name} is {value!r}, but must be {right}."]

    return check


def listed(check_one: Check) -> Check:
    """Return the check of a list."""

    def check(name: str, value: typing.Any) -> Problems:
        if not isinstance(value, (list, tuple)):
            return [f"{name} is {value!r}, but must be a list."]
        return [problem for index, one in enumerate(value) for problem in check_one(f"{name}[{index}]", one)]

    return check


def some_text(name: str, value: typing.Any) -> Problems:
    """Check for a text that is not empty."""
    return [] if isinstance(value, str) and value.strip() else [f"{name} is {value!r}, but must be a text."]


def arn(service: str, resource: str) -> Check:
    """Return the check of an ARN."""

    def check(name: str, value: typing.Any) -> Problems:
        problem = arn_problem(value, service, resource)
        return [f"{name} {problem}."] if problem else []

    return check


def bucket_name(name: str, value: typing.Any) -> Problems:
    """Check the name of a bucket."""
    problem = bucket_name_problem(value) if isinstance(value, str) else "is no text"
    return [f"{name} is {value!r}; the name of a bucket {problem}."] if problem else []


def network(name: str, value: typing.Any) -> Problems:
    """Check a network in CIDR notation."""
    if isinstance(value, str) and "/" in value:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            pass
        else:
            return []
        try:
            meant = ipaddress.ip_network(value, strict=False)
        except ValueError:
            pass
        else:
            return [f"{name} is {value!r}, an address within a network; the network is {meant}."]
    return [f"{name} is {value!r}, but must be a network such as 10.0.0.0/16, or 203.0.113.7/32 for one address."]


def version(name: str, value: typing.Any) -> Problems:
    """Check MLflow's version."""
    right = "write all three numbers in quotes, such as '3.17.2'"
    numbers = version_numbers(value)
    if numbers and numbers >= OLDEST_VERSION:
        return []
    if numbers:
        oldest = ".".join(str(part) for part in OLDEST_VERSION)
        why = f"is {value!r}, older than {oldest}, the first version with the demo data and image needed here"
    elif empty(value):
        why = "is empty: a server without a fixed version changes by itself and cannot be rolled back"
    elif value == "latest":
        why = "is 'latest': what that means changes by itself, and a newer server may change the database for good"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        why = f"is {value} without quotes, which YAML takes for a number and which does not name one release"
    elif isinstance(value, str) and re.fullmatch(r"v[0-9.]+", value):
        why = f"is {value!r}, with a v that belongs to the image's tag only"
    elif isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        why = f"is {value!r}, which does not name one release"
    else:
        why = f"is {value!r}, which is no released version"
    return [f"{name} {why}; {right}."]


def image(name: str, value: typing.Any) -> Problems:
    """Check a container image: it must name a tag or digest that stays the same."""
    if not isinstance(value, str) or re.search(r"\s", value):
        return [f"{name} is {value!r}, but must be an image such as ghcr.io/mlflow/mlflow:v3.17.2-full."]
    tag = value.rsplit("/", 1)[-1].partition(":")[2]
    if "@sha256:" not in value and tag in ("", "latest"):
        return [f"{name} is {value!r}, which names no version; add a tag such as :v3.17.2-full, or a digest."]
    # MLflow's own plain image; docker/Dockerfile.full in mlflow/mlflow makes the other one.
    if re.fullmatch(r"((ghcr|docker)\.io/)?mlflow/mlflow:v[0-9.]+(rc[0-9]+)?(@.*)?", value):
        return [
            f"{name} is {value!r}, which holds neither psycopg2 nor boto3, so no server could reach database and"
            " bucket; take the image whose tag ends with -full."
        ]
    return []


def tags(name: str, value: typing.Any) -> Problems:
    """Check tags; two more are added to them, and 50 are allowed."""
    if not isinstance(value, Mapping):
        return [f"{name} is {value!r}, but must be a dictionary."]
    problems = []
    if len(value) > 48:
        problems.append(f"{name} has {len(value)} tags; 48 are allowed, as two are added.")
    for key, one in value.items():
        if str(key).lower().startswith("aws:"):
            problems.append(f"{name} has the key {key!r}; keys that begin with aws: are AWS's own.")
        if len(str(key)) > 128 or len(str(one)) > 256:
            problems.append(f"{name} has a key over 128 or a value over 256 characters at {str(key)[:40]!r}.")
    return problems


def environment(name: str, value: typing.Any) -> Problems:
    """Check environment variables."""
    if not isinstance(value, Mapping):
        return [f"{name} is {value!r}, but must be a dictionary from names to values."]
    bad = [str(key) for key in value if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(key))]
    return [f"{name} has the name {key!r}; use letters, digits and underscores." for key in bad]


def secrets(name: str, value: typing.Any) -> Problems:
    """Check environment variables that come from secrets."""
    problems = environment(name, value)
    if not isinstance(value, Mapping):
        return problems
    for key, source in value.items():
        service = "ssm" if isinstance(source, str) and ":ssm:" in source else "secretsmanager"
        kind = "parameter" if service == "ssm" else "secret"
        problems += arn(service, kind)(f"{name}[{key!r}]", source)
    return problems


def url(name: str, value: typing.Any) -> Problems:
    """Check an https address; a login in it would be seen by everybody who may look at the task."""
    if not isinstance(value, str) or not re.fullmatch(r"https://[^\s/?#]+[^\s]*", value):
        return [f"{name} is {value!r}, but must be an address that begins with https://."]
    if "@" in value.split("/")[2]:
        return [f"{name} holds a login, which ECS would show to everybody: put the address into a secret instead."]
    return []


CHECKS: dict[str, Check] = {
    "mlflow_version": version,
    "mlflow_image": image,
    "mlflow_tags": tags,
    "mlflow_subnet_ids": listed(text(r"subnet-[0-9a-f]{8,17}", "the id of a subnet, such as subnet-0123456789abcdef0")),
    "mlflow_ingress": choice("public", "private"),
    "mlflow_ingress_cidrs": listed(network),
    "mlflow_service_ingress_cidrs": listed(network),
    "mlflow_bucket_name": bucket_name,
    "mlflow_bucket_adopt": boolean,
    "mlflow_bucket_kms_key_arn": arn("kms", "key"),
    "mlflow_db_host": text(
        r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "a host name, without a scheme and without a port"
    ),
    "mlflow_db_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_db_name": text(
        r"[A-Za-z_][A-Za-z0-9_]{0,62}",
        "up to 63 letters, digits and underscores that begin with a letter or underscore",
    ),
    # Names that RDS for PostgreSQL keeps for itself.
    "mlflow_db_username": text(
        r"(?!(?:admin|rdsadmin|rdsrepladmin)$)[A-Za-z][A-Za-z0-9_]{0,62}",
        "up to 63 letters, digits and underscores that begin with a letter, and not admin or rdsadmin",
    ),
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
    "mlflow_db_kms_key_arn": arn("kms", "key"),
    "mlflow_db_multi_az": boolean,
    "mlflow_db_backup_retention_days": number(0, 35),
    "mlflow_db_deletion_protection": boolean,
    "mlflow_iam_path": text(r"/([!-~]{1,510}/)?", "a path that begins and ends with a slash, such as /mlflow/"),
    "mlflow_permissions_boundary_arn": arn("iam", "policy"),
    "mlflow_auth": choice("basic", "oidc", "none"),
    "mlflow_allow_public_without_login": boolean,
    # What HTTP's basic authentication allows, without what would need quoting.
    "mlflow_admin_username": text(
        r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}", "a name of letters, digits and the characters . _ @ + -"
    ),
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
    "mlflow_oidc_audience": some_text,
    "mlflow_oidc_provision_on_bearer": boolean,
    "mlflow_oidc_trust_bearer_groups": boolean,
    "mlflow_cluster": text(
        r"[A-Za-z0-9_-]{1,255}", "the name of an ECS cluster: letters, digits, hyphens, underscores"
    ),
    "mlflow_workers": number(1, 64),
    "mlflow_job_execution": boolean,
    "mlflow_keep_alive_seconds": number(1),
    "mlflow_db_pool_size": number(1),
    "mlflow_db_pool_max_overflow": number(0),
    "mlflow_db_pool_recycle_seconds": number(-1),
    "mlflow_extra_args": listed(some_text),
    "mlflow_extra_env": environment,
    "mlflow_extra_secrets": secrets,
    "mlflow_log_retention_days": choice(*LOG_RETENTION),
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
    "mlflow_validation_token_secret_arn": arn("secretsmanager", "secret"),
    "mlflow_delete_artifacts": boolean,
    "mlflow_delete_logs": boolean,
    "mlflow_skip_final_snapshot": boolean,
}

_OIDC_NEEDS = ("mlflow_oidc_discovery_url", "mlflow_oidc_client_id", "mlflow_oidc_client_secret_arn")

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


def size_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check that Fargate sells the pair of CPU and memory."""
    if empty(inputs.get("mlflow_cpu")) and empty(inputs.get("mlflow_memory")):
        return []
    cpu, memory = whole_number(inputs.get("mlflow_cpu", 1024)), whole_number(inputs.get("mlflow_memory", 4096))
    if cpu not in FARGATE:
        sold = ", ".join(str(units) for units in FARGATE)
        return [
            f"mlflow_cpu is {inputs.get('mlflow_cpu')!r}, but must be in CPU units, of which 1024 are one vCPU: one of"
            f" {sold}."
        ]
    if memory is not None and memory < LEAST_MEMORY:
        return [
            f"mlflow_memory is {inputs.get('mlflow_memory')!r} MiB, but MLflow needs {LEAST_MEMORY} at least; ECS"
            " ends a server that outgrows what it was given."
        ]
    if memory not in FARGATE[cpu]:
        sizes = FARGATE[cpu]
        if len(sizes) > 5:
            step = sizes[1] - sizes[0]
            sold = f"{sizes[0]} to {sizes[-1]} in steps of {step}"
        else:
            sold = ", ".join(str(size) for size in sizes)
        return [
            f"mlflow_memory is {inputs.get('mlflow_memory')!r}, but with mlflow_cpu {cpu} AWS Fargate sells, in MiB,"
            f" {sold}."
        ]
    return []


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
    port = whole_number(inputs.get("mlflow_db_port"))
    if not is_set("mlflow_db_host") and port is not None and 0 < port < 1150:
        problems.append(f"mlflow_db_port is {port}, but RDS takes ports from 1150 on; the usual one is 5432.")
    subnets = inputs.get("mlflow_subnet_ids")
    if isinstance(subnets, (list, tuple)) and len(set(map(str, subnets))) == 1:
        problems.append("mlflow_subnet_ids has one subnet; name two or more, in different availability zones.")
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
    env, hidden = inputs.get("mlflow_extra_env"), inputs.get("mlflow_extra_secrets")
    if isinstance(env, Mapping) and isinstance(hidden, Mapping):
        both: Iterable[str] = sorted(str(key) for key in env if key in hidden)
        problems += [f"{key} is in mlflow_extra_env and in mlflow_extra_secrets: keep one of them." for key in both]
    return problems


def input_problems(inputs: Mapping[str, typing.Any], account_id: str = "", region: str = "") -> Problems:
    """Return a sentence for each mistake in a user's variables; an empty list means that there is none.

    Args:
        inputs: from the names of variables to their values. Unknown ones are not looked at, empty ones count as left
            out.
        account_id: the AWS account, for the length of the bucket's name.
        region: the region, likewise. Without it that length is not checked.
    """
    problems: Problems = []
    if "mlflow_name" in inputs:
        problems += name_problems(inputs["mlflow_name"], inputs, account_id, region)
    for name, check in CHECKS.items():
        if name in inputs and (name in _NEVER_EMPTY or not empty(inputs[name])):
            problems += check(name, inputs[name])
    return problems + size_problems(inputs) + together_problems(inputs)
