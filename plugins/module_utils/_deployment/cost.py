# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a deployment costs a month at list prices. Pure Python.

What depends on use has no amount: requests, traffic, capacity units of the load balancer, artifacts, logs, and backups
beyond the size of the database.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import HOURS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import PRICES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import PriceList

# What storage includes without a price of its own (RDS User Guide, "Amazon RDS DB instance storage": gp3 of PostgreSQL
# has 3,000 IOPS and 125 MiB/s, from 400 GiB on 12,000 and 500).
_LARGE_GIB = 400
_INCLUDED_IOPS = (3000, 12000)
_INCLUDED_THROUGHPUT = (125, 500)


@dataclass(frozen=True)
class Sizes:
    """What is charged by the hour or the month.

    Attributes:
        tasks: how many run.
        cpu: CPU units of a task, 1024 a vCPU.
        memory: of a task, in MiB.
        zones: availability zones of the load balancer; 0 without a service.
        public: whether load balancer and tasks have public addresses.
        instance_class: of the RDS instance; empty without one.
        instance_runs: whether it does; a stopped one costs its storage alone (RDS User Guide, "Stopping an Amazon RDS
            DB instance temporarily").
        secrets: how many, without those that are scheduled for deletion.
        alarm_metrics: how many metrics alarms are on, by which CloudWatch charges them.
        dashboards: how many.
    """

    tasks: int = 0
    cpu: int = 0
    memory: int = 0
    zones: int = 0
    public: bool = True
    instance_class: str = ""
    instance_runs: bool = True
    multi_az: bool = False
    storage_type: str = ""
    storage_gib: int = 0
    iops: int = 0
    throughput: int = 0
    secrets: int = 0
    alarm_metrics: int = 0
    dashboards: int = 0


def sizes_of(resources: Mapping[str, typing.Any], *, instance_runs: bool = True) -> Sizes:
    """Return what is charged of a deployment, given its resources as mlflow_deployment_state returns them."""
    service, scaling, database = (resources.get(name) or {} for name in ("service", "scaling", "database"))
    subnets = (service.get("network_configuration") or {}).get("subnets") or []
    known = (resources.get("network") or {}).get("subnets") or []
    zones = {one.get("availability_zone") for one in known if one.get("subnet_id") in subnets}
    paths = service.get("ingress_paths") or []
    secrets = [one for name, one in resources.items() if name.startswith("secret_") and not one.get("deleted_date")]
    return Sizes(
        tasks=int(scaling.get("min_task_count") or 0),
        cpu=int(service.get("cpu") or 0),
        memory=int(service.get("memory") or 0),
        zones=len(zones) or len(subnets),
        public=any(path.get("access_type") == "PUBLIC" for path in paths),
        **instance_sizes(database),
        instance_runs=instance_runs,
        secrets=len(secrets),
        alarm_metrics=alarm_metrics((resources.get("alarms") or {}).get("alarms") or []),
        dashboards=int("dashboard" in resources),
    )


def alarm_metrics(alarms: Iterable[Mapping[str, typing.Any]]) -> int:
    """Return how many metrics alarms are on, in snake case; expressions cost nothing themselves."""
    return sum(
        sum(not query.get("expression") for query in alarm["metrics"]) if alarm.get("metrics") else 1
        for alarm in alarms
    )


def instance_sizes(settings: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return what is charged of an RDS instance, given its settings in snake case."""
    return {
        "instance_class": str(settings.get("db_instance_class") or ""),
        "multi_az": bool(settings.get("multi_az")),
        "storage_type": str(settings.get("storage_type") or ""),
        "storage_gib": int(settings.get("allocated_storage") or 0),
        "iops": int(settings.get("iops") or 0),
        "throughput": int(settings.get("storage_throughput") or 0),
    }


@dataclass(frozen=True)
class Line:
    """One line of the bill; the amount is None where there is no price."""

    part: str
    amount: float | None


@dataclass(frozen=True)
class Cost:
    """What a month costs.

    Attributes:
        region: AWS region.
        as_of: date of the prices; empty without any.
        lines: of the bill.
        unknown: why the sum is not known; empty if it is.
    """

    region: str
    as_of: str
    lines: tuple[Line, ...]
    unknown: str = ""

    @property
    def total(self) -> float | None:
        """The sum in US dollars, None if a price is missing."""
        if self.unknown:
            return None
        return round(sum(line.amount or 0 for line in self.lines), 2)

    def as_data(self) -> dict[str, typing.Any]:
        """Return it as the modules return it."""
        return {
            "monthly_usd": self.total,
            "region": self.region,
            "as_of": self.as_of,
            "unknown": self.unknown,
            "lines": [{"part": line.part, "monthly_usd": line.amount} for line in self.lines],
        }


def cost(sizes: Sizes, region: str, prices: Mapping[str, PriceList] | None = None) -> Cost:
    """Return the cost of a deployment in a region."""
    known = (PRICES if prices is None else prices).get(region)
    if known is None:
        return Cost(region, "", (), f"there is no price list for {region}")
    lines = tuple(_lines(sizes, known))
    missing = [line.part for line in lines if line.amount is None]
    return Cost(region, known.as_of, lines, f"no price is known for {', '.join(missing)}" if missing else "")


def _lines(sizes: Sizes, prices: PriceList) -> Iterator[Line]:
    if sizes.tasks:
        yield _line(f"Fargate, {sizes.cpu / 1024:g} vCPU", sizes.tasks * sizes.cpu / 1024 * HOURS, prices.vcpu_hour)
        gigabytes = sizes.memory / 1024
        yield _line(f"Fargate, {gigabytes:g} GB", sizes.tasks * gigabytes * HOURS, prices.memory_gb_hour)
    if sizes.zones:
        yield _line("Application Load Balancer", HOURS, prices.balancer_hour)
    if addresses := sizes.public * (sizes.zones + sizes.tasks):
        yield _line(f"{addresses} public IPv4 addresses", addresses * HOURS, prices.address_hour)
    yield from _database_lines(sizes, prices)
    if sizes.secrets:
        yield _line(f"{sizes.secrets} secret{'' if sizes.secrets == 1 else 's'}", sizes.secrets, prices.secret_month)
    if sizes.alarm_metrics:
        yield _line(f"Alarms on {sizes.alarm_metrics} metrics", sizes.alarm_metrics, prices.alarm_metric_month)
    if sizes.dashboards:
        yield _line("Dashboard, if the account has three others", sizes.dashboards, prices.dashboard_month)


def _database_lines(sizes: Sizes, prices: PriceList) -> Iterator[Line]:
    if not sizes.instance_class:
        return
    # RDS bills the standby like the instance.
    copies, zones = (2, ", Multi-AZ") if sizes.multi_az else (1, "")
    if sizes.instance_runs:
        price = prices.instance_hour.get(sizes.instance_class)
        yield _line(f"RDS {sizes.instance_class}{zones}", copies * HOURS, price)
    storage = prices.storage_gb_month.get(sizes.storage_type)
    yield _line(f"RDS storage, {sizes.storage_gib} GB {sizes.storage_type}", copies * sizes.storage_gib, storage)
    large = sizes.storage_gib >= _LARGE_GIB
    gp3 = sizes.storage_type == "gp3"
    iops = sizes.iops - _INCLUDED_IOPS[large] if gp3 else sizes.iops
    if iops > 0:
        yield _line(f"RDS, {iops} provisioned IOPS", copies * iops, prices.iops_month.get(sizes.storage_type))
    if gp3 and sizes.throughput > _INCLUDED_THROUGHPUT[large]:
        yield Line(f"RDS, storage throughput of {sizes.throughput} MiB/s", None)


def _line(part: str, quantity: float, price: float | None) -> Line:
    return Line(part, None if price is None else round(quantity * price, 2))


def show_amount(amount: float, *, signed: bool = False) -> str:
    """Return an amount such as $85.09, with a sign as a difference."""
    sign = ("+" if amount >= 0 else "-") if signed else ("-" if amount < 0 else "")
    return f"{sign}${abs(amount):,.2f}"


def show_change(before: Cost, after: Cost) -> str:
    """Return the difference of two sums for people."""
    if before.total is None or after.total is None:
        return "cost unknown"
    difference = round(after.total - before.total, 2)
    return f"{show_amount(difference, signed=True)} a month" if difference else "no change of cost"
