# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of EC2 say about subnets."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.filter.network_findings import network_findings


def subnet(name: str, zone: str = "a", vpc: str = "vpc-1", free: int = 99) -> dict[str, Any]:
    return {"subnet_id": name, "availability_zone": zone, "vpc_id": vpc, "available_ip_address_count": free}


def table(gateway: str, *subnets: str) -> dict[str, Any]:
    """A route table; without subnets it is the VPC's main one."""
    associations: list[dict[str, Any]] = [{"subnet_id": one} for one in subnets] or [{"main": True}]
    return {"routes": [{"gateway_id": "local"}, {"gateway_id": gateway}], "associations": associations}


TWO = [subnet("subnet-b", "b"), subnet("subnet-a")]
GOOD: dict[str, Any] = {
    "subnet_ids": ["subnet-a", "subnet-b"],
    "database_subnet_ids": [],
    "ingress": "public",
    "admitted": [],
    "container_port": 5000,
    "subnets": TWO,
    "default_vpcs": [],
    "service_groups": [],
    "route_tables": [table("igw-1")],
    "database_subnets": [],
}


def test_what_is_found_is_sorted() -> None:
    found = network_findings(GOOD)
    assert found == {
        "vpc_id": "vpc-1",
        "subnets": ["subnet-a", "subnet-b"],
        "database_subnets": ["subnet-a", "subnet-b"],
        "availability_zones": ["a", "b"],
        "public": True,
        "nearly_full": [],
        "violations": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("tables", "public"),
    [
        ([table("igw-1")], True),
        ([table("nat-1")], False),
        ([table("nat-1"), table("igw-1", "subnet-a")], True),
        # A table of its own takes the place of the main one.
        ([table("igw-1"), table("nat-1", "subnet-a", "subnet-b")], False),
        ([table("igw-1", "subnet-of-others")], False),
        ([], False),
    ],
)
def test_one_route_to_an_internet_gateway_makes_the_deployment_public(tables: list[Any], public: bool) -> None:
    assert network_findings({**GOOD, "ingress": "private", "route_tables": tables})["public"] == public


OTHER = [subnet("subnet-c", "a"), subnet("subnet-d", "b")]


@pytest.mark.parametrize(
    ("given", "variable", "words"),
    [
        ({"subnet_ids": [], "subnets": [], "route_tables": []}, "network_subnet_ids", "has no default VPC"),
        ({"subnet_ids": ["subnet-a", "subnet-x"]}, "network_subnet_ids", "names subnet-x, which this account does not"),
        ({"subnets": [TWO[0], subnet("subnet-a", vpc="vpc-2")]}, "network_subnet_ids", "spans the VPCs vpc-1, vpc-2"),
        ({"subnets": [subnet("subnet-a"), subnet("subnet-b")]}, "network_subnet_ids", "lies in a only"),
        ({"subnet_ids": [], "subnets": TWO[:1]}, "network_subnet_ids", "has default subnets in b only"),
        ({"subnets": [TWO[0], subnet("subnet-a", free=7)]}, "network_subnet_ids", "but subnet-a has 7"),
        ({"route_tables": [table("nat-1")]}, "network_ingress", "subnet-a, subnet-b have no route to an internet"),
        ({"ingress": "private"}, "network_ingress", "subnet-a, subnet-b lead to an internet gateway"),
        ({"ingress": "private", "subnet_ids": []}, "network_ingress", "network_subnet_ids is empty"),
        ({"database_subnet_ids": ["subnet-x"]}, "network_database_subnet_ids", "names subnet-x, which this account"),
        (
            {"database_subnet_ids": ["subnet-c"], "database_subnets": [subnet("subnet-c", vpc="vpc-2")]},
            "network_database_subnet_ids",
            "names subnet-c, which is outside of the VPC of the tasks, vpc-1",
        ),
        (
            {"database_subnet_ids": ["subnet-c"], "database_subnets": OTHER[:1]},
            "network_database_subnet_ids",
            "lies in a only",
        ),
    ],
)
def test_what_does_not_fit_is_one_violation(given: dict[str, Any], variable: str, words: str) -> None:
    [found] = network_findings({**GOOD, **given})["violations"]
    assert found["variable"] == variable
    assert words in found["reason"]
    assert found["remedy"]


def test_a_deployment_that_is_there_may_have_filled_its_subnets() -> None:
    full = {"subnets": [TWO[0], subnet("subnet-a", free=7)], "service_groups": [{"group_id": "sg-1"}]}
    assert network_findings({**GOOD, **full})["violations"] == []


def test_networks_that_reach_the_tasks_are_warned_of() -> None:
    [found] = network_findings({**GOOD, "admitted": ["10.0.0.0/8", "fd00::/8"]})["warnings"]
    assert found["variable"] == "network_service_ingress_cidrs"
    assert "lets 10.0.0.0/8, fd00::/8 reach the tasks on port 5000 over plain HTTP" in found["reason"]
