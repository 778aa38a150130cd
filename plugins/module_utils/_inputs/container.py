# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container of ECS: its environment, its secrets, the size of its task definition.

The module C(ecs_express_service) and the roles' checks both decide by these functions. Pure Python, private to the
collection.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import dictionary_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import int_in_range
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import member_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import within
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import arn

# "Task definition size: 64 kibibytes", which cannot be raised.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
TASK_DEFINITION_BYTES = 64 * 1024

# Set by the ECS agent in each container.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
SET_BY_ECS = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_EXECUTION_ENV",
    "ECS_AGENT_URI",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
)


def environment(name: str, value: typing.Any) -> Problems:
    """Check environment variables: their names, and that each value stands for a text."""
    return dictionary_problems(name, value) + variable_name_problems(name, value)


def variable_name_problems(name: str, value: typing.Any) -> Problems:
    """Check the names of environment variables."""
    if not isinstance(value, Mapping):
        return []
    names = [key for key in value if isinstance(key, str)]
    bad = [key for key in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key)]
    problems = [Violation(name, f"has the name {key!r}; use letters, digits and underscores") for key in bad]
    of_ecs = [key for key in names if key in SET_BY_ECS]
    return problems + [Violation(name, f"has {key}, which ECS sets itself", "leave it out") for key in of_ecs]


def secrets(name: str, value: typing.Any) -> Problems:
    """Check environment variables that come from secrets, each with the ARN of a secret or of a parameter."""
    problems = environment(name, value)
    if not isinstance(value, Mapping):
        return problems
    for key, source in value.items():
        where = f"{name}[{key!r}]"
        if member_problem(where, source):
            continue
        problems += within(name, secret_source(where, source))
    return problems


def secret_source(where: str, source: typing.Any) -> Problems:
    """Check what ECS reads a secret from: the ARN of a secret, of a key in it, or of a parameter."""
    if isinstance(source, str) and ":ssm:" in source:
        return arn("ssm", "parameter")(where, source)
    problems = arn("secretsmanager", "secret")(where, source)
    if not problems and str(source).count(":") not in (6, 9):
        # ":json-key:version-stage:version-id", of which a part may be empty, the colons not.
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
        return [Violation(where, f"is {source!r}; a key of a secret is written with all three colons, <arn>:<key>::")]
    return problems


def given_twice(environment_name: str, first: typing.Any, secrets_name: str, second: typing.Any) -> Problems:
    """Check that no name is both in the environment and in the secrets, which ECS refuses."""
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return []
    both = sorted(str(key) for key in first if key in second)
    return [
        Violation(environment_name, f"is in {environment_name} and in {secrets_name}", "keep one of them", subject=key)
        for key in both
    ]


def bytes_of(value: typing.Any) -> int:
    """Return the size of a value in a task definition: the bytes of its JSON.

    A dictionary is the list of ``{"name": …, "value": …}`` that ECS has in its place.
    """
    if isinstance(value, Mapping):
        value = [{"name": str(key), "valueFrom": str(one)} for key, one in value.items()]
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode())


def size_problem(parts: Mapping[str, typing.Any], others: int = 0) -> Violation | None:
    """Return the violation if a task definition is larger than ECS allows.

    Args:
        parts: the user's values, by variable or option.
        others: bytes of everything else that is in it.
    """
    sizes = {name: bytes_of(value) for name, value in parts.items() if value}
    whole = sum(sizes.values()) + others
    if whole <= TASK_DEFINITION_BYTES:
        return None
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    named = ", ".join(f"{size} of them from {name}" for name, size in largest)
    return Violation(
        largest[0][0] if largest else "",
        f"would have {whole} bytes, {named}; ECS takes {TASK_DEFINITION_BYTES}",
        "put what is large into the image, or into a secret",
        subject="The task definition",
    )


def container_problems(name: str, container: Mapping[str, typing.Any]) -> Problems:
    """Check what ECS refuses of a container as a whole: its port, the size of its task definition.

    Args:
        name: of the option.
        container: environment, secrets and command as texts, and what else there is.
    """
    problems: Problems = []
    if container.get("container_port") is not None:
        problems += int_in_range(1, 65535)(f"{name}.container_port", container["container_port"])
    parts = {f"{name}.{part}": container.get(part) for part in ("environment", "secrets", "command")}
    return problems + [problem for problem in [size_problem(parts)] if problem]


def path_problem(name: str, value: typing.Any) -> Violation | None:
    """Return the violation if a health check's path is invalid.

    botocore's models: ecs healthCheckPath ("must start with a forward slash"), elbv2 Path (1 to 1024 characters).
    """
    if isinstance(value, str) and re.fullmatch(r"/[!-~]{0,1023}", value):
        return None
    return Violation(name, f"is {shown(value)}, but must be a path that begins with a slash, such as /health")
