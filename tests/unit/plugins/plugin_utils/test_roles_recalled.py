# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a deployment that need not be converged; tests/unit/roles/test_interface.py knows which there are."""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import recalled

SETTINGS = {
    "bucket": "tracking-artifacts",
    "partition": "aws-cn",
    "region": "cn-north-1",
    "existing_host": "",
    "existing_secret_arn": "",
    "port": 5432,
    "sslmode": "",
    "ca_path": "",
    "ca_in_image": False,
}


def subnet(name: str, zone: str) -> dict[str, str]:
    return {"subnet_id": name, "vpc_id": "vpc-1", "availability_zone": zone}


def resources() -> dict[str, Any]:
    roles = {f"iam_role_{one}": {"arn": f"arn:{one}"} for one in ("task", "execution", "infrastructure")}
    return {
        **roles,
        "service": {"service_arn": "arn:service", "ingress_paths": [{"endpoint": "https://tr-1.ecs.on.aws/"}]},
        "task_definition": {"environment": {"DATABASE_CA_CERTIFICATES": "PEM"}},
        "network": {
            "subnets": [subnet("subnet-2", "b"), subnet("subnet-1", "a")],
            "database_subnets": [],
            "route_tables": [{"associations": [{"main": True}], "routes": [{"gateway_id": "igw-1"}]}],
        },
        "security_group_service": {"group_id": "sg-1"},
        "security_group_database": {"group_id": "sg-2"},
        "secret_server": {"arn": "arn:server"},
        "secret_login": {"arn": "arn:login"},
        "secret_database": {"arn": "arn:database"},
        "database": {"endpoint": {"address": "db.internal", "port": 5433}},
    }


def test_facts_with_a_database_of_the_deployment() -> None:
    facts = recalled.facts(resources(), SETTINGS)
    assert facts.pop("auth_known") == {
        "server": "arn:server",
        "login": "arn:login",
        "subnets": resources()["network"]["subnets"],
    }
    assert facts == {
        "network_vpc_id": "vpc-1",
        "network_subnets": ["subnet-1", "subnet-2"],
        "network_database_subnets": ["subnet-1", "subnet-2"],
        "network_availability_zones": ["a", "b"],
        "network_public": True,
        "network_service_security_group_id": "sg-1",
        "network_database_security_group_id": "sg-2",
        "rds_effective_sslmode": "verify-full",
        "rds_ca_certificates": "PEM",
        "rds_login_secret_arn": "",
        "rds_secret_arn": "arn:database",
        "rds_endpoint": "db.internal",
        "rds_endpoint_port": 5433,
        "bucket_id": "tracking-artifacts",
        "bucket_arn": "arn:aws-cn:s3:::tracking-artifacts",
        "bucket_uri": "s3://tracking-artifacts/",
        "iam_task_role_arn": "arn:task",
        "iam_execution_role_arn": "arn:execution",
        "iam_infrastructure_role_arn": "arn:infrastructure",
        "ecs_express_service_arn": "arn:service",
        "ecs_express_url": "https://tr-1.ecs.on.aws",
    }


def test_facts_with_a_database_of_the_users_own() -> None:
    found = resources()
    for name in ("database", "secret_database", "security_group_database", "secret_login"):
        del found[name]
    found["network"]["database_subnets"] = []
    given = {"existing_host": "db.example.org", "existing_secret_arn": "arn:theirs", "port": 6432}
    facts = recalled.facts(found, {**SETTINGS, **given})
    assert (facts["rds_endpoint"], facts["rds_endpoint_port"], facts["rds_secret_arn"]) == (
        "db.example.org",
        6432,
        "arn:theirs",
    )
    assert facts["rds_effective_sslmode"] == "require"
    assert facts["network_database_security_group_id"] == "sg-00000000000000000"
    assert facts["auth_known"]["login"] == ""


def test_a_group_of_the_same_name_in_another_vpc() -> None:
    found = resources()
    del found["security_group_service"]
    found |= {f"security_group_service_{vpc}": {"group_id": f"sg-of-{vpc}"} for vpc in ("vpc-0", "vpc-1")}
    assert recalled.facts(found, SETTINGS)["network_service_security_group_id"] == "sg-of-vpc-1"
