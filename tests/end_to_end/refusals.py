# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that are refused with one clear sentence, with nothing created: many in one run, a host each.

The files of the GROUP "refusals" share a local AWS, which stays as empty as it was.
"""

from __future__ import annotations

import re
from typing import Any

from harness import LocalAws
from harness import Played

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.action.sentences import assert_clear

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-a1B2c3"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
# From a word about the case, which is the host, to the variables, and what the sentence must say.
Cases = dict[str, tuple[dict[str, Any], list[str]]]


def assert_nothing_done(aws: LocalAws, played: Played) -> None:
    """No call that changes anything."""
    assert aws.writes() == []
    assert set(played.changed.values()) <= {0}


def refuse(aws: LocalAws, cases: Cases, playbook: str = "deploy", *, check: bool = False) -> Played:
    """Run a playbook for all cases: each is refused, and nothing is done."""
    played = aws.play(playbook, hosts={name: case[0] for name, case in cases.items()}, check=check)
    for name, (_unused, parts) in cases.items():
        assert_clear(played.problem(name), parts)
    assert_nothing_done(aws, played)
    return played


def refuse_together(aws: LocalAws, hosts: dict[str, Cases], *, check: bool = False) -> None:
    """Deploy with all cases of a host at once: a sentence for each is said, and nothing is done."""
    given: dict[str, dict[str, Any]] = {}
    for host, cases in hosts.items():
        given[host] = {}
        for variables, _parts in cases.values():
            for name, value in variables.items():
                before = given[host].get(name)
                given[host][name] = {**before, **value} if isinstance(before, dict) else value
    played = aws.play("deploy", hosts=given, check=check)
    for host, cases in hosts.items():
        sentences = re.split(r"(?<=[.?]) (?=mlflow_)", played.problem(host))
        for name, (_variables, parts) in cases.items():
            [sentence] = [one for one in sentences if all(part in one for part in parts)] or [f"nothing of {name}"]
            assert_clear(sentence, parts)
        assert len(sentences) == len(cases), sentences
    assert_nothing_done(aws, played)
