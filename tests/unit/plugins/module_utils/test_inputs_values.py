# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of dictionaries that are refused, and what the others become.

Here and beside this, each rule by itself; that nothing is created by then is tested end to end.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import values
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[("x", "x"), ("", ""), (4711, "4711"), (1.5, "1.5"), (True, "true"), (False, "false"), (0, "0")],
        *[(datetime.date(2026, 1, 2), "2026-01-02"), (None, None), ([], None), ({}, None)],
    ],
)
def test_what_a_member_becomes(value: Any, text: str | None) -> None:
    assert values.as_text(value) == text
    assert bool(values.member_problem("x['y']", value)) is (text is None)


@given(
    st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.none()))
)
def test_a_dictionary_is_refused_or_becomes_text(given_value: dict[str, Any]) -> None:
    problems = said_of(values.dictionary_problems, "mlflow_x", given_value)
    bad = [key for key, one in given_value.items() if values.as_text(one) is None]
    assert len(problems) == len(bad)
    assert all(problem.startswith("mlflow_x[") for problem in problems)
    if not problems:
        assert values.texts(given_value).keys() == given_value.keys()
        assert all(isinstance(one, str) for one in values.texts(given_value).values())


@pytest.mark.parametrize("key", [True, None, 1.5])
def test_a_key_that_yaml_does_not_take_for_text(key: Any) -> None:
    [problem] = said_of(values.dictionary_problems, "mlflow_tags", {key: "x"})
    assert "put it in quotes" in problem


def test_the_same_key_as_number_and_as_text() -> None:
    assert said_of(values.dictionary_problems, "mlflow_tags", {1: "a", "1": "b"}) == [
        "mlflow_tags has the key '1' twice."
    ]


def test_a_nested_value_is_not_shown() -> None:
    [problem] = said_of(values.dictionary_problems, "mlflow_extra_env", {"A": {"password": "made-up-7c1d"}})
    assert problem == "mlflow_extra_env['A'] is a dictionary, but must be a string, a number or a boolean."
