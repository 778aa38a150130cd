# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cost is a sum of known prices, or unknown with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import cost
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import PRICES

DEFAULT = cost.Sizes(
    tasks=1,
    cpu=1024,
    memory=4096,
    zones=2,
    instance_class="db.t4g.micro",
    storage_type="gp3",
    storage_gib=20,
    secrets=3,
)


def total(region: str = "us-east-1", **changes: Any) -> float | None:
    return cost.cost(replace(DEFAULT, **changes), region).total


def test_a_standby_doubles_instance_and_storage() -> None:
    assert total() == 85.09
    assert total(multi_az=True) == pytest.approx(85.09 + 11.68 + 2.30)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        # No public address: two of the load balancer, one of the task.
        ({"public": False}, -10.95),
        ({"tasks": 0}, -29.55 - 12.98 - 3.65),
        ({"instance_runs": False}, -11.68),
        ({"instance_runs": False, "multi_az": True}, -11.68 + 2.30),
        # docs/cost.md, "database stopped and no task running".
        ({"tasks": 0, "instance_runs": False}, 27.23 - 85.09),
        ({"instance_class": "", "secrets": 2}, -11.68 - 2.30 - 0.40),
        # What gp3 includes has no price of its own.
        ({"iops": 3000, "throughput": 125}, 0),
        ({"storage_gib": 400, "iops": 12000, "throughput": 500}, 380 * 0.115),
        ({"storage_gib": 400, "iops": 13000}, 380 * 0.115 + 1000 * 0.02),
        ({"storage_type": "io1", "storage_gib": 100, "iops": 1000}, 100 * 0.125 - 2.30 + 100),
        ({"alarm_metrics": 16, "dashboards": 1}, 1.60 + 3.00),
    ],
)
def test_each_part_is_charged(changes: dict[str, Any], more: float) -> None:
    assert total(**changes) == pytest.approx(85.09 + more, abs=0.01)


@pytest.mark.parametrize(
    ("region", "changes", "reason"),
    [
        ("eu-south-2", {}, "there is no price list for eu-south-2"),
        ("us-east-1", {"instance_class": "db.x9.huge"}, "no price is known for RDS db.x9.huge"),
        ("us-east-1", {"throughput": 250}, "no price is known for RDS, storage throughput of 250 MiB/s"),
        ("eu-central-1", {"alarm_metrics": 2}, "no price is known for Alarms on 2 metrics"),
        ("eu-central-1", {"storage_type": "io2"}, "no price is known for RDS storage, 20 GB io2"),
    ],
)
def test_what_has_no_price_is_said(region: str, changes: dict[str, Any], reason: str) -> None:
    found = cost.cost(replace(DEFAULT, **changes), region)  # type: ignore[arg-type]
    assert (found.total, found.unknown) == (None, reason)


def test_every_region_has_prices_for_the_default_size() -> None:
    assert all(total(region) for region in PRICES)


def test_alarms_are_charged_by_the_metrics_that_they_are_on() -> None:
    metric = {"metric_stat": {"period": 60}}
    alarms = [{"metric_name": "CPUUtilization"}, {"metrics": [metric, metric, {"expression": "SUM([a, b])"}]}]
    found = cost.sizes_of({"alarms": {"alarms": alarms}, "dashboard": {"name": "mlflow-tracking"}})
    assert (found.alarm_metrics, found.dashboards) == (3, 1)
