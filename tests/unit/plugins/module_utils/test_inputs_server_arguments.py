# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the server that contradict what the roles set."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import server
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of


@pytest.mark.parametrize("option", server.OPTIONS)
@pytest.mark.parametrize("form", ["{}=5", "{}"])
def test_options_that_the_roles_set(option: str, form: str) -> None:
    [problem] = said_of(
        server.arguments, "mlflow_extra_args", ["--expose-prometheus", "/tmp", form.format(option), "x"]
    )
    assert problem.startswith(
        f"mlflow_extra_args[2] is '{form.format(option)}', which contradicts what the roles set: "
    )
    assert problem.endswith(f"{server.OPTIONS[option]}.")


@pytest.mark.parametrize("given_value", [["-p", "5001"], ["-p5001"], ["-h", "::"], ["-w9"], ["--port", 5001]])
def test_short_options(given_value: list[Any]) -> None:
    assert len(server.arguments("mlflow_extra_args", given_value)) == 1


@pytest.mark.parametrize("given_value", ["--work", "--por=1", "--backend", "--artifacts-dest", "--allowed"])
def test_abbreviations_are_no_options(given_value: str) -> None:
    [problem] = said_of(server.arguments, "mlflow_extra_args", [given_value])
    assert "did you mean --" in problem


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        (["--expose-prometheus /tmp"], "an option and its value in one"),
        ([None], "mlflow_extra_args[0] is null"),
        (["--x", {"a": 1}], "mlflow_extra_args[1] is a dictionary"),
        (["--x", ""], "mlflow_extra_args[1] is '', but must not be empty"),
        ("--x", "must be a list"),
    ],
)
def test_what_is_no_argument(given_value: Any, words: str) -> None:
    [problem] = said_of(server.arguments, "mlflow_extra_args", given_value)
    assert words in problem


def test_arguments_that_may_be_given() -> None:
    given_value = [
        "--expose-prometheus",
        "/tmp",
        "--secrets-cache-ttl",
        30,
        "--enable-workspaces",
        "--some-new-option=yes",
    ]
    assert server.arguments("mlflow_extra_args", [*given_value, True]) == []
