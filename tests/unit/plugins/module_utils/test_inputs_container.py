# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment, secrets and the size of a task definition, as ECS takes them."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs import container
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import combinations
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import ROLES
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import problems_of
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        ({"A-B": "x"}, "the name 'A-B'"),
        ({"1A": "x"}, "the name '1A'"),
        ({"A": None}, "mlflow_extra_env['A'] is null"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": {"team": "vision"}},
            "mlflow_extra_env['OTEL_RESOURCE_ATTRIBUTES'] is a dictionary",
        ),
        ({"ECS_CONTAINER_METADATA_URI_V4": "x"}, "which ECS sets itself"),
        (["A=B"], "is a list, but must be a dictionary"),
    ],
)
def test_environments_that_ecs_refuses(given_value: Any, words: str) -> None:
    [problem] = said_of(container.environment, "mlflow_extra_env", given_value)
    assert words in problem


@pytest.mark.parametrize("source", [SECRET, f"{SECRET}:key::", f"{SECRET}:::", f"{SECRET}:key:AWSCURRENT:"])
def test_sources_of_secrets(source: str) -> None:
    assert container.secrets("mlflow_extra_secrets", {"A": source}) == []


@pytest.mark.parametrize("source", [f"{SECRET}:key", f"{SECRET}:key:", f"{SECRET}:key:::", "plain", 7, True])
def test_sources_of_secrets_that_ecs_refuses(source: Any) -> None:
    [problem] = said_of(container.secrets, "mlflow_extra_secrets", {"A": source})
    assert problem.startswith("mlflow_extra_secrets['A'] ")


def test_a_task_definition_that_is_too_large() -> None:
    assert container.size_problem({"a": {"X": "y" * 60_000}}) is None
    problem = str(container.size_problem({"mlflow_extra_env": {"X": "y" * 60_000}, "mlflow_extra_args": ["z" * 6000]}))
    assert re.search(
        r"66\d{3} bytes, 60\d{3} of them from mlflow_extra_env, 6\d{3} of them from mlflow_extra_args", problem
    )
    # Bytes and not characters count.
    assert container.size_problem({"a": {"X": "ü" * 40_000}})
    [problem] = problems_of(mlflow_extra_env={"X": "y" * 60_000})
    assert "mlflow_extra_env" in problem


def test_what_the_roles_put_into_a_task_definition_was_counted_generously() -> None:
    """Their scripts without the lines of comments, which a task does not get, quoted for the shell and for JSON."""
    sizes = {
        path.name: container.bytes_of(shlex.quote(re.sub(r"(?m)^#.*\n", "", path.read_text(encoding="utf-8"))))
        for role in ("auth", "ecs_express")
        for path in (ROLES / role / "files").glob("*.py")
    }
    # A task has one login.
    login = max(sizes.pop("basic_config.py"), sizes.pop("oidc_boot.py"))
    # The rest is for addresses, names, ARNs and the JSON around them.
    assert login + sum(sizes.values()) <= combinations.OF_THE_ROLES - 5 * 1024
    # With all that is allowed of certificates, something is left for the user.
    assert problems_of(mlflow_db_ca_path="/x", mlflow_oidc_ca_path="/y") == []
