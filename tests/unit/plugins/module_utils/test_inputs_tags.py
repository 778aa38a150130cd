# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags that some service refuses, and those that the roles add."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import internal_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import tag_limits
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import ROLES
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of


@pytest.mark.parametrize(
    ("given_tags", "words"),
    [
        ({"Owner": None}, "mlflow_tags['Owner'] is null"),
        ({"Owner": {"team": "vision"}}, "mlflow_tags['Owner'] is a dictionary"),
        ({"aws:x": "y"}, "begins with aws: is AWS's own"),
        ({"AWS:x": "y"}, "AWS's own"),
        ({"rds:x": "y"}, "begins with rds: is AWS's own"),
        ({"x": "aws:y"}, "mlflow_tags['x'] is 'aws:y'; what begins with aws: is AWS's own"),
        ({"k" * 128: "y"}, "with 128 characters; 127 are allowed"),
        ({"x": "v" * 257}, "mlflow_tags['x'] has 257 characters; 256 are allowed"),
        ({"": "y"}, "an empty key"),
        ({"a&b": "y"}, "with '&'; letters, digits, spaces and _ . : / = + - @ are allowed"),
        ({"x": "a\nb"}, "with '\\n'"),
        ({"x": "you!"}, "mlflow_tags['x'] is 'you!' with '!'"),
        ({"x": " y"}, "begins or ends with a space"),
        ({"Owner": "a", "owner": "b"}, "'Owner' and 'owner', which IAM takes for the same"),
        ({"ManagedBy": "me"}, "'ManagedBy', which is set by this collection itself"),
        ({"mlflowname": "me"}, "'mlflowname', which is set by this collection itself"),
        ({"AmazonECSManaged": "true"}, "which is set by Amazon ECS itself"),
        ({"Mlops.mlflow_aws:x": "y"}, "'Mlops.mlflow_aws:x', which is set by this collection itself"),
        ({f"k{number}": "v" for number in range(41)}, "has 41 tags; 40 are allowed, as others are added"),
        (["a"], "mlflow_tags is a list, but must be a dictionary"),
    ],
)
def test_tags_that_some_service_refuses(given_tags: Any, words: str) -> None:
    [problem] = said_of(tag_limits.tag_problems, "mlflow_tags", given_tags, tag_limits.DEPLOYMENT)
    assert words in problem
    assert problem.startswith("mlflow_tags") and problem.endswith(".") and "\n" not in problem


def test_tags_that_all_services_take() -> None:
    good = {
        "CostCentre": 4711,
        "Shared": True,
        "Ratio": 0.5,
        "empty": "",
        "Größe 2_.:/=+-@": "日本語",
        "k" * 127: "v" * 256,
    }
    more = {f"k{number}": "v" for number in range(40 - len(good))}
    assert tag_limits.tag_problems("mlflow_tags", good | more, tag_limits.DEPLOYMENT) == []
    # As many as the service takes in all, with those that the roles add.
    others = len(["ManagedBy", "MlflowName"]) + internal_tags.INTERNAL_TAGS
    assert tag_limits.DEPLOYMENT.most + others == tag_limits.ANY_SERVICE.most


def test_what_is_particular_to_a_service() -> None:
    twice, of_rds = {"Owner": "a", "owner": "b"}, {"rds:x": "y"}
    assert tag_limits.tag_problems("tags", twice) == tag_limits.tag_problems("tags", of_rds, tag_limits.IAM) == []
    assert tag_limits.tag_problems("tags", twice, tag_limits.IAM) and tag_limits.tag_problems(
        "tags", of_rds, tag_limits.RDS
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_characters_are_those_of_the_models(text: str) -> None:
    allowed = all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LZN" for sign in text)
    right = allowed and text == text.strip() and not text.lower().startswith("aws:")
    assert (tag_limits.tag_problems("tags", {"x": text}) == []) is right


def test_the_tags_that_the_roles_add_are_known() -> None:
    """Whatever a role puts into its tags beside the user's is counted, and refused from the user."""
    added = set()
    for path in ROLES.glob("*/**/*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "_tags |" in line or "_tag: " in line:
                added |= set(re.findall(r"'(\w+)': ", line))
    own = {key for key, who in tag_limits.DEPLOYMENT.own if who == "this collection"}
    assert added - {"Name"} == own - {internal_tags.INTERNAL_PREFIX}
