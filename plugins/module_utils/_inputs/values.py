# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of inputs are made of: one function each for a switch, a number, a text, a list.

Each check returns sentences that name the variable, what is wrong and what would be right. Pure Python, private to the
collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing
from collections.abc import Callable

Problems = list[str]
Check = Callable[[str, typing.Any], Problems]

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


def url(name: str, value: typing.Any) -> Problems:
    """Check an https address; a login in it would be seen by everybody who may look at the task."""
    if not isinstance(value, str) or not re.fullmatch(r"https://[^\s/?#]+[^\s]*", value):
        return [f"{name} is {value!r}, but must be an address that begins with https://."]
    if "@" in value.split("/")[2]:
        return [f"{name} holds a login, which ECS would show to everybody: put the address into a secret instead."]
    return []
