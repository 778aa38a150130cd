# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of AWS services on tags, checked before the first AWS call. Pure Python, private to the collection.

botocore's models: ecs Tag, TagKey, TagValue; iam tagKeyType, tagValueType; logs TagKey, TagValue; rds Tag; ec2 Tag;
elbv2 TagKey. They give the same characters, the letters, separators and numbers of Unicode and ``_.:/=+-@``, the same
lengths but for one, and 50 tags.
"""

from __future__ import annotations

import typing
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_TAGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import MOST_TAGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import dictionary_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import texts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import within

_SIGNS = "_.:/=+-@"


@dataclass(frozen=True)
class TagLimits:
    """Limits of a service, or those that fit all services.

    Attributes:
        most: how many tags a resource may have, without those that the collection adds.
        longest_key: characters of a key.
        longest_value: characters of a value.
        prefixes: reserved beginnings of keys and values, case-insensitive.
        ignores_case: whether keys are case-insensitive.
        own: keys that users cannot set, with the service that sets each. One that ends in a colon stands for all keys
            that begin with it.
    """

    most: int = MOST_TAGS
    longest_key: int = 128
    longest_value: int = 256
    prefixes: tuple[str, ...] = ("aws:",)
    ignores_case: bool = False
    own: tuple[tuple[str, str], ...] = ()


ANY_SERVICE = TagLimits()
# "Tag keys … are not case-sensitive": https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
IAM = TagLimits(ignores_case=True)
# botocore's model of rds, Tag: "can't be prefixed with aws: or rds:", keys and values.
RDS = TagLimits(prefixes=("aws:", "rds:"))
# ECS gives this tag to what it makes for an Express service.
# The record of what was deployed last is kept in tags of the second kind.
ECS = TagLimits(own=(("AmazonECSManaged", "Amazon ECS"), (INTERNAL_PREFIX, "this collection")))
# Limits that fit all services.
# ManagedBy and MlflowName are on each resource, the service, which has the most, among them: one more on the IAM roles
# (MlflowRegion) and the security groups (Name). botocore's model of ec2, Tag: "a maximum of 127 Unicode characters".
DEPLOYMENT = TagLimits(
    most=MOST_TAGS - 2 - INTERNAL_TAGS,
    longest_key=127,
    prefixes=("aws:", "rds:"),
    ignores_case=True,
    own=(
        *ECS.own,
        ("ManagedBy", "this collection"),
        ("MlflowName", "this collection"),
        ("MlflowRegion", "this collection"),
    ),
)


def tag_problems(name: str, value: typing.Any, limits: TagLimits = ANY_SERVICE) -> Problems:
    """Check tags against the limits of a service.

    Args:
        name: the variable or option.
        value: what the user gave.
        limits: of the service.
    """
    problems = dictionary_problems(name, value)
    if not isinstance(value, Mapping):
        return problems
    if len(value) > limits.most:
        added = f", as others are added and AWS takes {ANY_SERVICE.most}" if limits.most < ANY_SERVICE.most else ""
        problems.append(Violation(name, f"has {len(value)} tags; {limits.most} are allowed{added}"))
    given = texts(value)
    for key, one in given.items():
        problems += _key_problems(name, key, limits)
        problems += within(name, _value_problems(f"{name}[{_brief(key)}]", one, limits))
    return problems + (_same_but_for_case(name, list(given)) if limits.ignores_case else [])


def check_tags(limits: TagLimits) -> Check:
    """Return the check of tags by limits."""
    return lambda name, value: tag_problems(name, value, limits)


def _brief(key: str) -> str:
    return repr(key if len(key) <= 40 else f"{key[:37]}...")


def _key_problems(name: str, key: str, limits: TagLimits) -> Problems:
    shown = _brief(key)
    for own, who in limits.own:
        if key.lower() == own.lower() or (own.endswith(":") and key.lower().startswith(own.lower())):
            return [Violation(name, f"has the key {shown}, which is set by {who} itself", "leave it out")]
    if not key.strip():
        return [Violation(name, "has an empty key")]
    if len(key) > limits.longest_key:
        return [Violation(name, f"has the key {shown} with {len(key)} characters; {limits.longest_key} are allowed")]
    return [Violation(name, f"has the key {shown}{problem}") for problem in _text_problems(key, limits)]


def _value_problems(where: str, value: str, limits: TagLimits) -> Problems:
    if len(value) > limits.longest_value:
        return [Violation(where, f"has {len(value)} characters; {limits.longest_value} are allowed")]
    return [Violation(where, f"is {_brief(value)}{problem}") for problem in _text_problems(value, limits)]


def _text_problems(value: str, limits: TagLimits) -> list[str]:
    """What a key and a value are both refused for; each the end of a reason."""
    for prefix in limits.prefixes:
        if value.lower().startswith(prefix):
            return [f"; what begins with {prefix} is AWS's own"]
    # "Do not use leading or trailing spaces": https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Tag.html
    if value != value.strip():
        return [", which begins or ends with a space"]
    wrong = sorted({sign for sign in value if sign not in _SIGNS and unicodedata.category(sign)[0] not in "LNZ"})
    if wrong:
        return [f" with {' '.join(map(repr, wrong))}; letters, digits, spaces and {' '.join(_SIGNS)} are allowed"]
    return []


def _same_but_for_case(name: str, keys: list[str]) -> Problems:
    first: dict[str, str] = {}
    problems = []
    for key in keys:
        other = first.setdefault(key.lower(), key)
        if other != key:
            both = f"{_brief(other)} and {_brief(key)}"
            problems.append(Violation(name, f"has the keys {both}, which IAM takes for the same", "keep one of them"))
    return problems
