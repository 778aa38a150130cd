# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status tells drift and cost of a deployment by what was read of it."""

from __future__ import annotations

import dataclasses
import typing
from datetime import UTC
from datetime import datetime

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import canonical
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import reader
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import summary
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Inputs
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.state import State

ACCOUNT = "123456789012"
BUCKET = f"tracking-artifacts-{ACCOUNT}-us-east-1"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCOPE = Scope("tracking", "default", ACCOUNT, "us-east-1", "aws", BUCKET, database="tracking")
RESOURCES: dict[str, typing.Any] = {
    "service": {
        "cpu": "1024",
        "memory": "4096",
        "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"]},
        "ingressPaths": [{"accessType": "PUBLIC"}],
    },
    "deployment_settings": {"status": "ACTIVE"},
    "scaling": {"minTaskCount": 1},
    "network": {
        "Subnets": [
            {"SubnetId": f"subnet-{number}", "AvailabilityZone": f"us-east-1{zone}"}
            for number, zone in enumerate("abc", start=1)
        ]
    },
    "database": {"DBInstanceClass": "db.t4g.micro", "StorageType": "gp3", "AllocatedStorage": 20},
    "secret_database": {},
    "secret_login": {},
    "secret_server": {},
}


def facts(scope: Scope = SCOPE, *, recorded: bool = True, changed: bool = False, unknown: bool = False) -> dict:
    """The facts of a deployment that was recorded, and of which then something was changed or cannot be read."""
    taken = {name: canonical.canonical(name, one) for name, one in RESOURCES.items()}
    left = {**canonical.digests(taken), **({"database": "other", "network": "other"} if changed else {})}
    applied = Record(Inputs(), "2026-11-23T08:02:41Z" if recorded else "", left)
    answers = Answers(RESOURCES, {"database": "AccessDenied"} if unknown else {})
    return summary.facts(reader.Observed(State(answers, taken, applied, Inputs())), scope, NOON)


@pytest.mark.parametrize(
    ("given", "found", "line"),
    [
        ({}, "no", "Drift:       no, as it was left at 2026-11-23 08:02 UTC"),
        (
            {"changed": True},
            "yes",
            "Drift:       yes, since 2026-11-23 08:02 UTC somebody has changed database, network",
        ),
        ({"recorded": False}, "unknown", "unknown, as there is no record"),
        # What could not be read looks as if it had been deleted.
        ({"changed": True, "unknown": True}, "unknown", "unknown"),
    ],
)
def test_drift_is_known_by_the_record(given: dict[str, bool], found: str, line: str) -> None:
    told = facts(**given)
    assert told["drift"]["found"] == found
    assert [one for one in summary.lines(told) if one.startswith("Drift:") and line in one]


def test_the_cost_is_that_of_the_observed_resources() -> None:
    told = facts()
    # As docs/cost.md has it for the default size.
    assert told["cost"]["monthly_usd"] == 85.09
    assert "Cost:        $85.09 a month, plus usage (list prices of us-east-1, 2026-11-23)" in summary.lines(told)


def test_the_cost_is_not_guessed() -> None:
    for told in (facts(dataclasses.replace(SCOPE, region="eu-south-2")), facts(unknown=True)):
        assert told["cost"]["monthly_usd"] is None
        assert [one for one in summary.lines(told) if one.startswith("Cost:        unknown, as ")]
