# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end of a rehearsal says of what was rehearsed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from plays import ROLES
from plays import play_of
from plays import run

FILLED = {"validation_health": {"version": "3.17.2"}, "validation_demo_result": {"traces": 30}}
KNOWN = {
    "ecs_express_url": "https://localhost:42757",
    "local_aws_ca_bundle": "/ca.pem",
    "local_aws_endpoint_url": "https://127.0.0.1:46207",
}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (FILLED, "MLflow 3.17.2 'mlflow' runs on this machine, filled with MLflow's demo data."),
        # mlflow_demo is false.
        ({**FILLED, "validation_demo_result": {"skipped": True}}, "MLflow 3.17.2 'mlflow' runs on this machine."),
        # A login by OpenID Connect, without a token.
        ({"validation_health": {"version": None}}, "MLflow 'mlflow' runs on this machine."),
    ],
)
def test_the_first_line_claims_what_was_seen(tmp_path: Path, found: dict[str, Any], line: str) -> None:
    task = {"ansible.builtin.import_tasks": str(ROLES / "local_aws/tasks/summary.yml")}
    variables = {**KNOWN, **found, "role_path": str(ROLES / "local_aws")}
    said = run(tmp_path, play_of([task], ROLES / "local_aws/defaults/main.yml"), extra=variables)
    assert line in re.sub(r"\s+", " ", said)
