# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Check a role's variables by its argument specification.

Ansible's own check of an argument specification accepts unknown variables, converts nothing, and is
left out for ``tasks_from: absent.yml`` (ansible/playbook/role/__init__.py looks for an entry point of just that name).
"""

from __future__ import annotations

import functools
import json
import os
import re
import typing
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path

import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import member_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import texts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import within

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The values that Ansible's filter `bool` knows, by which the roles convert booleans.
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")

_RIGHT = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "list": "a list",
    "dict": "a dictionary",
    "str": "a string",
    "path": "a path",
}


class WrongTypeError(ValueError):
    """A value cannot be converted to the type."""


def as_type(value: typing.Any, kind: str) -> typing.Any:
    """Convert a value to a type.

    Args:
        value: as the user has set it. ``-e name=value`` and environment variables give text.
        kind: a type of argument specifications: bool, int, float, list, dict, str, path; others are left alone.

    Raises:
        WrongTypeError: it cannot be converted.
    """
    convert = _CONVERSIONS.get(kind)
    return convert(value) if convert else value


def as_texts(value: typing.Any, kind: str) -> typing.Any:
    """Return a list or dictionary with each member as text: numbers and booleans become YAML's text.

    Args:
        value: as the user has set it.
        kind: list or dict.

    Raises:
        ValueError: it is neither, or a member cannot be text. The message is a sentence that begins with "The value".
    """
    if problem := type_problem("The value", value, {"type": kind}):
        raise ValueError(str(problem))
    taken = as_type(value, kind)
    members = taken.items() if kind == "dict" else enumerate(taken)
    for key, one in members:
        if problem := member_problem(f"The member {key!r}", one):
            raise ValueError(str(problem))
    return texts(taken)


def _bool(value: typing.Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, str)):
        text = str(value).lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
    raise WrongTypeError


def _int(value: typing.Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value):
        return int(value)
    raise WrongTypeError


def _float(value: typing.Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", value):
        return float(value)
    raise WrongTypeError


def _str(value: typing.Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise WrongTypeError


def _list(value: typing.Any) -> list[typing.Any]:
    """Parse a list, its JSON (or YAML's flow style), or comma-separated members."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return [one.strip() for one in text.split(",") if one.strip()]
        read = _read(text)
        if isinstance(read, list):
            return read
    raise WrongTypeError


def _dict(value: typing.Any) -> dict[str, typing.Any]:
    """Parse a dictionary, its JSON (or YAML's flow style), or comma-separated pairs name=value."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("{"):
            pairs = [one.partition("=") for one in text.split(",") if one.strip()]
            if all(equals and name.strip() for name, equals, _rest in pairs):
                return {name.strip(): rest.strip() for name, _equals, rest in pairs}
        elif isinstance(read := _read(text), dict):
            return read
    raise WrongTypeError


def _read(text: str) -> typing.Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


_CONVERSIONS: dict[str, Callable[[typing.Any], typing.Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "list": _list,
    "dict": _dict,
    "str": _str,
    "path": _str,
}


def type_problem(name: str, value: typing.Any, option: Mapping[str, typing.Any]) -> Violation | None:
    """Return the violation if a value does not fit its option.

    Args:
        name: of the variable.
        value: of the variable.
        option: type, elements, choices and default of an argument specification.
    """
    kind = option.get("type", "str")
    if value is None:
        return Violation(name, f"is null, but must be {_RIGHT.get(kind, kind)}", "leave it out for the default")
    try:
        taken = as_type(value, kind)
    except WrongTypeError:
        # A malformed dictionary may contain a secret.
        found = "a string that holds none" if kind == "dict" and isinstance(value, str) else shown(value)
        return Violation(name, f"is {found}, but must be {_RIGHT.get(kind, kind)}")
    if kind == "list":
        members = {"type": option.get("elements", "raw"), "choices": option.get("choices")}
        found_in = (_member_problem(f"{name}[{index}]", one, members) for index, one in enumerate(taken))
        return next(iter(within(name, (one for one in found_in if one))), None)
    if kind == "str" and taken == "" and option.get("default"):
        return Violation(name, "is '', but must be a non-empty string", "leave it out for the default")
    choices = option.get("choices")
    if choices and taken not in choices:
        named = ", ".join(str(choice) if choice != "" else "'' (nothing)" for choice in choices)
        return Violation(name, f"is {shown(value)}, but must be one of {named}")
    return None


def _member_problem(where: str, value: typing.Any, option: Mapping[str, typing.Any]) -> Violation | None:
    if option["type"] == "raw":
        return None
    # In a list of texts, numbers and booleans become text.
    if option["type"] == "str" and (problem := member_problem(where, value)):
        return problem
    if option["type"] == "str" and not option["choices"]:
        return None
    return type_problem(where, value, option)


def type_problems(values: Mapping[str, typing.Any], options: Mapping[str, Mapping[str, typing.Any]]) -> list[Violation]:
    """Check that values fit their options."""
    found = (type_problem(name, values[name], option) for name, option in options.items() if name in values)
    return [problem for problem in found if problem]


def options_of(role: Path) -> dict[str, typing.Any]:
    """Return a role's options by its argument specification: type, elements, choices, default."""
    options: dict[str, typing.Any] = _document(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def facts_of(role: Path) -> list[str]:
    """Return the names of the facts that a role keeps."""
    return list(_document(role / "meta/facts.yml")["facts"])


def load(roles: Path) -> None:
    """Read the files of all roles, so that they need not be read for each host: in Ansible, that is for each fork."""
    for path in roles.glob("*/meta/argument_specs.yml"):
        options_of(path.parents[1])
        facts_of(path.parents[1])


def _document(path: Path) -> typing.Any:
    return _parsed(os.path.realpath(path))


@functools.cache
def _parsed(path: str) -> typing.Any:
    return yaml.load(Path(path).read_bytes(), Loader=_LOADER)
