# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end of a rehearsal says of what was rehearsed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
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
    assert line in re.sub(r"\s+", " ", summary(tmp_path, found))


def summary(tmp_path: Path, variables: dict[str, Any]) -> str:
    """What the end of a rehearsal prints, with the variables that its playbook hands on."""
    plays = yaml.safe_load((ROLES.parent / "playbooks/rehearse.yml").read_text(encoding="utf-8"))
    [last] = plays[-1]["tasks"]
    task = {"ansible.builtin.import_tasks": str(ROLES / "local_aws/tasks/summary.yml"), "vars": last["vars"]}
    given = {**KNOWN, **variables, "role_path": str(ROLES / "local_aws")}
    return run(tmp_path, play_of([task], ROLES / "local_aws/defaults/main.yml"), extra=given)


@pytest.mark.parametrize(
    ("variables", "exports"),
    [
        ({}, ["MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_SERVER_CERT_PATH"]),
        # The client needs S3 too.
        (
            {"mlflow_artifact_transfers": "presigned"},
            ["MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE"],
        ),
        # The server does not tell the client to use presigned URLs.
        (
            {"mlflow_artifact_transfers": "presigned", "mlflow_version": "3.10.0"},
            [
                "MLFLOW_TRACKING_URI",
                "MLFLOW_TRACKING_SERVER_CERT_PATH",
                "REQUESTS_CA_BUNDLE",
                "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD",
                "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD",
            ],
        ),
    ],
)
def test_the_client_is_told_all_that_it_needs(tmp_path: Path, variables: dict[str, Any], exports: list[str]) -> None:
    said = summary(tmp_path, {**FILLED, **variables})
    lines = [line.partition("export ")[2] for line in said.splitlines() if "export " in line]
    assert [name for line in lines for name in re.findall(r"(\w+)=", line)] == exports


def test_a_path_with_a_space_is_quoted_for_the_shell(tmp_path: Path) -> None:
    said = summary(tmp_path, {**FILLED, "local_aws_ca_bundle": "/a home/ca.pem"})
    # YAML writes an apostrophe within apostrophes twice.
    assert "export MLFLOW_TRACKING_SERVER_CERT_PATH='/a home/ca.pem'" in said.replace("''", "'")
