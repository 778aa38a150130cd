# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each known issue of deploying MLflow on AWS has a test that is marked with its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
_TEST = re.compile(r"^@pytest\.mark\.known_issue\(([\d, ]+)\)", re.M)

# What each is about; found in the issues of other deployers of MLflow and of other clients of Express Mode.
KNOWN_ISSUES = {
    1: "special characters in the database's user and password",
    2: "a password that is made anew by each run",
    3: "the least length of the administrator's password",
    4: "tables of the login in the server's own database",
    5: "drift that is none: ECS rewrites what it was sent",
    6: "fields that cannot be changed",
    7: "names of services that are being, or have been, deleted",
    8: "an endpoint that is computed",
    9: "security groups of one's own that let nothing in",
    10: "defaults on which AWS's own documents disagree",
    11: "hosts that the server refuses",
    12: "clients that are refused and roll an update back",
    13: "deletion and multipart uploads in the bucket's policy",
    14: "artifacts in archives",
    15: "versions that do not exist, images without drivers",
    16: "what ECS still needs, or still holds, when a service is deleted",
    17: "too little memory, too many workers",
    18: "networks that are unfit",
    19: "logs that never expire",
    20: "twenty tasks",
    21: "roles that are new",
    22: "deployments that failed, and services that are ACTIVE all the same",
    23: "final snapshots without a name, protected databases",
    24: "passwords where everybody can read them",
    25: "success without a database",
    26: "the security middleware switched off",
}


@pytest.fixture(scope="module")
def tested() -> dict[int, list[str]]:
    """Number of a known issue → files with a test of it."""
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for numbers in _TEST.findall(path.read_text(encoding="utf-8")):
            for number in re.findall(r"\d+", numbers):
                found.setdefault(int(number), []).append(path.name)
    return found


@pytest.mark.parametrize("number", KNOWN_ISSUES, ids=[f"{number:02d} {what}" for number, what in KNOWN_ISSUES.items()])
def test_each_known_issue_has_a_test(tested: dict[int, list[str]], number: int) -> None:
    assert tested.get(number), f"no test marked known_issue({number}) below {TESTS.name}/"


def test_no_test_is_marked_with_an_unknown_number(tested: dict[int, list[str]]) -> None:
    assert set(tested) <= set(KNOWN_ISSUES)
