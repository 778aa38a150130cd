# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building blocks of input checks: one function each for a boolean, a number, a string, a list.

Each check returns violations: the variable, what is wrong and what would be right. Pure Python, private to the
collection.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import typing
from collections.abc import Callable
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import within

Problems = list[Violation]
Check = Callable[[str, typing.Any], Problems]


def empty(value: typing.Any) -> bool:
    """Whether a variable was left out: not set, or set to nothing."""
    return value is None or (isinstance(value, (str, list, tuple, dict)) and len(value) == 0)


def shown(value: typing.Any) -> str:
    """Return a value for a message. Lists and dictionaries, which may hold secrets, are not shown."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        given = str(value)
        return repr(given if len(given) <= 60 else f"{given[:57]}...")
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def as_text(value: typing.Any) -> str | None:
    """Return a member of a list or dictionary as text, or None if it cannot be text.

    Numbers, booleans and dates become YAML's text: ``true`` and not Python's ``True``.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return None


def member_problem(where: str, value: typing.Any, right: str = "a string") -> Violation | None:
    """Return the violation if a member cannot be text.

    Args:
        where: the variable and the member, such as ``tags['Owner']``.
        value: the member.
        right: what it must be.
    """
    if as_text(value) is not None:
        return None
    if value is None:
        return Violation(where, f"is null, but must be {right}", "leave it out")
    return Violation(where, f"is {shown(value)}, but must be {right}")


def member_problems(name: str, value: list[typing.Any]) -> Problems:
    """Check that each member of a list can be text."""
    found = [member_problem(f"{name}[{index}]", one) for index, one in enumerate(value)]
    return within(name, [problem for problem in found if problem])


def key_problem(name: str, key: typing.Any) -> Violation | None:
    """Return the violation if a dictionary's key is not a string.

    YAML reads unquoted ``on``, ``yes`` and ``null`` as other types.
    """
    if isinstance(key, (str, int)) and not isinstance(key, bool):
        return None
    return Violation(name, f"has the key {shown(key)}, which YAML does not read as a string", "put it in quotes")


def dictionary_problems(name: str, value: typing.Any) -> Problems:
    """Check that a value is a dictionary with texts as keys and members that can be text."""
    if not isinstance(value, Mapping):
        return [Violation(name, f"is {shown(value)}, but must be a dictionary")]
    found = [key_problem(name, key) for key in value]
    right = "a string, a number or a boolean"
    found += [member_problem(f"{name}[{str(key)!r}]", one, right) for key, one in value.items()]
    keys = [str(key) for key in value]
    found += [Violation(name, f"has the key {key!r} twice") for key in sorted(set(keys)) if keys.count(key) > 1]
    return within(name, [problem for problem in found if problem])


def texts(value: typing.Any) -> typing.Any:
    """Return a list or dictionary with its members as text; members that cannot be text are left out."""
    if isinstance(value, Mapping):
        return {str(key): found for key, one in value.items() if (found := as_text(one)) is not None}
    return [found for one in value if (found := as_text(one)) is not None]


def whole_number(value: typing.Any) -> int | None:
    """Return a whole number, given as a number or as text, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value.strip()):
        return int(value)
    return None


def is_true(value: typing.Any) -> bool:
    """Whether a boolean is true, as Ansible's filter ``bool`` reads it."""
    return str(value).lower() in ("true", "yes", "on", "1")


def int_in_range(lowest: int, highest: int | None = None) -> Check:
    """Return a check for a whole number in a range."""

    def check(name: str, value: typing.Any) -> Problems:
        found = whole_number(value)
        bounds = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
        if found is None or found < lowest or (highest is not None and found > highest):
            return [Violation(name, f"is {shown(value)}, but must be a whole number {bounds}")]
        return []

    return check


def matches_pattern(pattern: str, right: str) -> Check:
    """Return a check of a text against a pattern."""

    def check(name: str, value: typing.Any) -> Problems:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return []
        return [Violation(name, f"is {shown(value)}, but must be {right}")]

    return check


def list_of(check_one: Check) -> Check:
    """Return a check of each member of a list."""

    def check(name: str, value: typing.Any) -> Problems:
        if not isinstance(value, (list, tuple)):
            return [Violation(name, f"is {shown(value)}, but must be a list")]
        return within(name, (found for index, one in enumerate(value) for found in check_one(f"{name}[{index}]", one)))

    return check


def check_non_empty_string(name: str, value: typing.Any) -> Problems:
    """Check for a text that is not empty."""
    if isinstance(value, str) and value.strip():
        return []
    return [Violation(name, f"is {shown(value)}, but must be a non-empty string")]


def check_cidr(name: str, value: typing.Any) -> Problems:
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
            return [Violation(name, f"is {value!r}, an address within a network; the network is {meant}")]
    return [
        Violation(
            name, f"is {shown(value)}, but must be a network such as 10.0.0.0/16, or 203.0.113.7/32 for one address"
        )
    ]


def check_https_url(name: str, value: typing.Any) -> Problems:
    """Check an https address; a login in it would be visible to all who may describe the task."""
    if isinstance(value, str) and re.match(r"[a-z]*:?//[^/?#]*@", value):
        return [
            Violation(
                name,
                "holds a login, which ECS would show to anyone who may describe the task",
                "put the address into a secret instead",
            )
        ]
    if not isinstance(value, str) or not re.fullmatch(r"https://[^\s/?#]+[^\s]*", value):
        return [Violation(name, f"is {shown(value)}, but must be an address that begins with https://")]
    return []
