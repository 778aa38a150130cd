# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken for what, and which names are taken for misspelt ones."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification

TAKEN: list[tuple[str, Any, Any]] = [
    ("bool", True, True),
    ("bool", "false", False),
    ("bool", "False", False),
    ("bool", "yes", True),
    ("bool", "off", False),
    ("bool", 1, True),
    ("bool", "0", False),
    ("int", "7", 7),
    ("int", -1, -1),
    ("int", "-1", -1),
    ("int", 7.0, 7),
    ("float", "0.5", 0.5),
    ("float", 60, 60.0),
    ("str", "3.10", "3.10"),
    ("str", 16, "16"),
    ("path", "~/ca.pem", "~/ca.pem"),
    ("list", ["a"], ["a"]),
    ("list", '["a", "b"]', ["a", "b"]),
    # What a shell leaves of that without quotes around it.
    ("list", "[a, b]", ["a", "b"]),
    ("list", "a, b", ["a", "b"]),
    ("list", "a", ["a"]),
    ("list", "", []),
    ("dict", {"a": 1}, {"a": 1}),
    ("dict", '{"a": "b=c"}', {"a": "b=c"}),
    ("dict", "a=b=c, d=e", {"a": "b=c", "d": "e"}),
    ("dict", "", {}),
    ("raw", None, None),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("bool", "maybe", "x is 'maybe', but must be true or false."),
    # Ansible's filter bool takes it for false.
    ("bool", "y", "x is 'y', but must be true or false."),
    ("bool", "", "x is '', but must be true or false."),
    ("bool", 2, "x is 2, but must be true or false."),
    ("bool", None, "x is null, but must be true or false: leave it out for the default."),
    ("int", "seven", "x is 'seven', but must be a whole number."),
    ("int", "7.5", "x is '7.5', but must be a whole number."),
    ("int", 7.5, "x is 7.5, but must be a whole number."),
    ("int", True, "x is true, but must be a whole number."),
    ("int", " 7", "x is ' 7', but must be a whole number."),
    ("float", "fast", "x is 'fast', but must be a number."),
    ("str", ["a"], "x is a list, but must be a string."),
    ("str", False, "x is false, but must be a string."),
    ("str", None, "x is null, but must be a string: leave it out for the default."),
    ("list", {"a": 1}, "x is a dictionary, but must be a list."),
    ("list", 7, "x is 7, but must be a list."),
    ("list", "[a", "x is '[a', but must be a list."),
    ("dict", "a", "x is a string that holds none, but must be a dictionary."),
    ("dict", '{"a": 1', "x is a string that holds none, but must be a dictionary."),
    ("dict", ["a"], "x is a list, but must be a dictionary."),
]


@pytest.mark.parametrize(("kind", "value", "meant"), TAKEN)
def test_a_value_is_taken_for_what_the_type_says(kind: str, value: Any, meant: Any) -> None:
    taken = specification.as_type(value, kind)
    assert taken == meant
    assert type(taken) is type(meant)
    if kind != "raw":
        assert specification.type_problem("x", value, {"type": kind}) is None


@pytest.mark.parametrize(("kind", "value", "sentence"), REFUSED)
def test_what_cannot_be_taken_so_is_one_sentence(kind: str, value: Any, sentence: str) -> None:
    assert str(specification.type_problem("x", value, {"type": kind})) == sentence
    if value is not None:
        with pytest.raises(specification.WrongTypeError):
            specification.as_type(value, kind)


def test_choices_and_members() -> None:
    def problem(*given: Any) -> str:
        return str(specification.type_problem(*given) or "")

    assert problem("x", "b", {"type": "str", "choices": ["", "a"]}) == "x is 'b', but must be one of '' (nothing), a."
    assert problem("x", "", {"type": "str", "choices": ["", "a"]}) == ""
    assert problem("x", "7", {"type": "int", "choices": [7]}) == ""
    strings = {"type": "list", "elements": "str"}
    assert problem("x", ["a", ["b"]], strings) == "x[1] is a list, but must be a string."
    assert problem("x", '["a", null]', strings).startswith("x[1] is null, but must be a string")


def test_nothing_that_may_be_a_secret_is_shown() -> None:
    for value in ('{"TOKEN": "hidden', {"TOKEN": "hidden"}, ["hidden"]):
        for kind in ("bool", "dict", "str"):
            if not (kind == "bool" and isinstance(value, str)):
                assert "hidden" not in str(specification.type_problem("x", value, {"type": kind}))
    assert len(str(specification.type_problem("x", "n" * 500, {"type": "bool"}))) < 120
