# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deployment belongs to a change, and what a revision tells about the resources of ECS."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployments

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def deployment(number: int, **members: Any) -> dict[str, Any]:
    return {
        "serviceDeploymentArn": f"d{number}",
        "targetServiceRevisionArn": f"r{number}",
        "createdAt": NOON + timedelta(minutes=number),
        "status": "IN_PROGRESS",
        **members,
    }


@pytest.mark.parametrize(
    ("expected", "deployments", "picked"),
    [
        (deployments.Expected(), [], None),
        (deployments.Expected(), [deployment(2), deployment(1)], "d2"),
        (deployments.Expected(revision="r1"), [deployment(2), deployment(1)], "d1"),
        (deployments.Expected(revision="r9"), [deployment(2)], "d2"),
        (deployments.Expected(known=frozenset({"d1"})), [deployment(1)], None),
        (deployments.Expected(known=frozenset({"d1"})), [deployment(2), deployment(1)], "d2"),
        (deployments.Expected(since=NOON + timedelta(minutes=5)), [deployment(2)], None),
        (deployments.Expected(since=NOON + timedelta(minutes=2, seconds=1)), [deployment(2)], "d2"),
        (deployments.Expected(deployment="d1"), [deployment(2), deployment(1)], "d1"),
        (deployments.Expected(deployment="d9"), [deployment(2)], None),
        (deployments.Expected(deployment="d1", known=frozenset({"d1"})), [deployment(1)], "d1"),
    ],
)
def test_pick(expected: deployments.Expected, deployments: list[dict[str, Any]], picked: str | None) -> None:
    found = expected.pick(deployments)
    assert (found or {}).get("serviceDeploymentArn") == picked


def test_managed_resources_are_found_at_every_depth() -> None:
    def leaf(arn: str) -> dict[str, str]:
        return {"arn": arn, "status": "ACTIVE"}

    revision = {
        "ecsManagedResources": {
            "ingressPaths": [
                {
                    "accessType": "PUBLIC",
                    "loadBalancer": {**leaf("lb"), "securityGroupIds": ["sg"]},
                    "targetGroups": [leaf("tg1"), leaf("tg2")],
                }
            ],
            "autoScaling": {"scalableTarget": leaf("st"), "applicationAutoScalingPolicies": [leaf("p")]},
            "metricAlarms": [leaf("a")],
            "serviceSecurityGroups": [leaf("arn:aws:ec2:r:1:security-group/sg-9")],
            "gatewayConnections": [{"status": "CREATE_FAILED"}],
        }
    }
    kinds = [item["kind"] for item in deployments.managed_resources(revision)]
    assert sorted(kinds) == sorted(
        [
            "loadBalancer",
            "targetGroups",
            "targetGroups",
            "scalableTarget",
            "applicationAutoScalingPolicies",
            "metricAlarms",
            "serviceSecurityGroups",
        ]
    )
    assert deployments.managed_group_ids(revision) == {"sg-9"}
    assert deployments.managed_group_ids({}) is None
    begun = {"ecsManagedResources": {"serviceSecurityGroups": [{"status": "PROVISIONING"}]}}
    assert deployments.managed_group_ids(begun) == set()
