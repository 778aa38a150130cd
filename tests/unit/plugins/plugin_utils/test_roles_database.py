# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a database and the way in which the server verifies it; modes: tests/unit/roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.filter.database_findings import database_findings

ONE = "-----BEGIN CERTIFICATE-----\nTUFERSBVUA==\n-----END CERTIFICATE-----"
GOOD: dict[str, Any] = {
    "name": "mlflow",
    "existing_host": "",
    "sslmode": "",
    "ca_path": "",
    "ca_in_image": False,
    "subnet_ids": ["subnet-a", "subnet-b"],
    "partition": "aws",
    "region": "eu-central-1",
    "request_timeout": 60,
    "instances": [],
    "bundle": {"status": 200, "content": f"{ONE}\n{ONE}\n"},
}


def instance(group: str = "mlflow", zone: str = "b") -> dict[str, Any]:
    subnets = [
        {"subnet_identifier": f"subnet-{one}", "subnet_availability_zone": {"name": one}} for one in ("a", "b", "c")
    ]
    return {
        "availability_zone": zone,
        "db_subnet_group": {"db_subnet_group_name": group, "subnets": subnets},
    }


def test_the_certificates_of_the_region_are_fetched_and_kept() -> None:
    found = database_findings({**GOOD, "instances": [instance()]})
    assert found["violations"] == []
    assert found["fetches"] is True
    assert found["certificates"] == [ONE, ONE]
    assert database_findings({**GOOD, "sslmode": "require"})["fetches"] is False


@pytest.mark.parametrize(
    ("given", "variable", "words"),
    [
        ({"instances": [instance("others")]}, "rds_name", "does not lie in the subnet group 'mlflow'"),
        ({"instances": [instance(zone="c")]}, "rds_subnet_ids", "leaves out subnet-c"),
        (
            {"partition": "aws-eusc"},
            "rds_sslmode",
            "it is not known who signs the certificates of RDS in the partition",
        ),
        ({"existing_host": "db.example.com", "sslmode": "verify-ca"}, "rds_sslmode", "certificates of db.example.com"),
        ({"bundle": {"status": 403, "msg": "x: denied"}}, "rds_ca_path", "cannot be fetched from https://truststore"),
        ({"bundle": {"msg": "The read operation timed out"}}, "rds_ca_path", "after 60 s, which rds_request_timeout"),
        ({"bundle": {"status": 200, "content": "nothing"}}, "rds_ca_path", "holds 0 PEM certificates"),
        ({"bundle": {"status": 200, "content": ONE * 1000}}, "rds_ca_path", "holds 1000 PEM certificates"),
        ({"ca_path": "/no/such/file"}, "rds_ca_path", "holds 0 PEM certificates"),
    ],
)
def test_what_is_wrong_is_one_violation(given: dict[str, Any], variable: str, words: str) -> None:
    [found] = database_findings({**GOOD, **given})["violations"]
    assert found["variable"] == variable
    assert words in found["reason"]
    assert found["remedy"]


def test_nothing_is_fetched_for_a_database_that_is_refused_anyway() -> None:
    assert database_findings({**GOOD, "instances": [instance("others")]})["fetches"] is False


def test_a_file_takes_the_place_of_what_is_fetched(tmp_path: Path) -> None:
    file = tmp_path / "company.pem"
    file.write_text(f"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n{ONE}\n", encoding="utf-8")
    found = database_findings({**GOOD, "existing_host": "db.example.com", "ca_path": str(file), "bundle": {}})
    assert (found["sslmode"], found["fetches"], found["certificates"]) == ("verify-full", False, [ONE])
    assert found["violations"] == []
