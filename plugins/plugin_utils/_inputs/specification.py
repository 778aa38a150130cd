# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a role's variables may be called, and what they may hold, by its argument specification.

Ansible's own check of an argument specification takes unknown variables for somebody else's, converts nothing, and is
left out for ``tasks_from: absent.yml`` (ansible/playbook/role/__init__.py looks for an entry point of just that name).
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import re
import typing
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import member_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import texts

# What Ansible's filter `bool` knows, which the roles take switches with.
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")

_RIGHT = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "list": "a list",
    "dict": "a dictionary",
    "str": "a text",
    "path": "a path",
}

# The least similarity, from 0 to 1, at which a name is taken for a misspelt one, and at which one is suggested.
_MISSPELT = 0.75
_SUGGESTED = 0.5


class WrongTypeError(ValueError):
    """A value is not, and does not stand for, one of the type."""


def as_type(value: typing.Any, kind: str) -> typing.Any:
    """Return what a value stands for.

    Args:
        value: as the user has set it. Text is what ``-e name=value`` and environment variables give.
        kind: a type of argument specifications: bool, int, float, list, dict, str, path; others are left alone.

    Raises:
        WrongTypeError: it stands for nothing of the type.
    """
    convert = _CONVERSIONS.get(kind)
    return convert(value) if convert else value


def as_texts(value: typing.Any, kind: str) -> typing.Any:
    """Return a list or dictionary with each member as text: numbers and switches become what YAML shows of them.

    Args:
        value: as the user has set it.
        kind: list or dict.

    Raises:
        ValueError: it is none, or a member stands for no text. The message is a sentence that begins with "The value".
    """
    if problem := type_problem("The value", value, {"type": kind}):
        raise ValueError(problem)
    taken = as_type(value, kind)
    members = taken.items() if kind == "dict" else enumerate(taken)
    for key, one in members:
        if problem := member_problem(f"The member {key!r}", one):
            raise ValueError(problem)
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
    """A list, its JSON (or YAML's short form), or its members with commas between them."""
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
    """A dictionary, its JSON (or YAML's short form), or pairs name=value with commas between them."""
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


def type_problem(name: str, value: typing.Any, option: Mapping[str, typing.Any]) -> str:
    """Return a sentence if a value is not what its option takes, or nothing.

    Args:
        name: of the variable.
        value: of the variable.
        option: type, elements, choices and default of an argument specification.
    """
    kind = option.get("type", "str")
    if value is None:
        return f"{name} is null, but must be {_RIGHT.get(kind, kind)}: leave it out for the default."
    try:
        taken = as_type(value, kind)
    except WrongTypeError:
        # A dictionary that was not understood may be one with a secret in it.
        found = "a text that holds none" if kind == "dict" and isinstance(value, str) else shown(value)
        return f"{name} is {found}, but must be {_RIGHT.get(kind, kind)}."
    choices = option.get("choices")
    if choices and taken not in choices:
        named = ", ".join(str(choice) if choice != "" else "'' (nothing)" for choice in choices)
        return f"{name} is {shown(value)}, but must be one of {named}."
    if kind == "list" and "elements" in option:
        for index, one in enumerate(taken):
            where, kind = f"{name}[{index}]", option["elements"]
            # Of a list of texts, numbers and switches become text.
            problem = member_problem(where, one) if kind == "str" else type_problem(where, one, {"type": kind})
            if problem:
                return problem
    return ""


def type_problems(
    values: Mapping[str, typing.Any], options: Mapping[str, Mapping[str, typing.Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the names of values that are not what their options take, each with a sentence."""
    for name, option in options.items():
        if name in values and (problem := type_problem(name, values[name], option)):
            yield name, problem


def nearest(name: str, known: Collection[str], prefix: str, least: float) -> str:
    """Return the known name that is most like a name, or nothing. The prefix, which they share, does not count."""
    rests = {one.removeprefix(prefix): one for one in known if one.startswith(prefix)}
    found = difflib.get_close_matches(name.removeprefix(prefix), rests, n=1, cutoff=least)
    return rests[found[0]] if found else ""


def name_problems(
    names: Iterable[str],
    role: str,
    *,
    known: Collection[str],
    settable: Collection[str],
    exceptions: Iterable[str],
    declared_in: str,
    misspelt_only: bool = False,
    on_command_line: Callable[[str], bool] = lambda name: False,
) -> Iterator[tuple[str, str]]:
    """Yield each variable with a role's prefix that the role does not know, with a sentence.

    Args:
        names: of all variables that there are.
        role: name of the role.
        known: names that the role knows: its options, its facts.
        settable: those of them that a user may set.
        exceptions: names, or patterns such as ``rds_proxy_*``, of the user's own variables.
        declared_in: the variable in which they are declared.
        misspelt_only: whether only names that are much like one of the settable ones count, since the role is not the
            one that the user called, and others may well use its prefix.
        on_command_line: tells of a name whether it was given there.
    """
    prefix = f"{role}_"
    own = [str(pattern) for pattern in exceptions]
    for name in sorted(str(one) for one in names if str(one).startswith(prefix)):
        if name in known or any(fnmatch.fnmatchcase(name, pattern) for pattern in own):
            continue
        near = nearest(name, settable, prefix, _MISSPELT if misspelt_only else _SUGGESTED)
        if misspelt_only and not near:
            continue
        question = f", did you mean {near}? If" if near else ". If"
        how = "given with -e" if on_command_line(name) else "set"
        yield (
            name,
            f"{name} is {how}, but is not a variable of the role mlops.mlflow_aws.{role}{question} it is one of your"
            f" own, name it in {declared_in}.",
        )
