# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The database connections that a deployment may open, and those that its database accepts. Pure Python, private.

The limit of a database, from RDS's default parameter group: max_connections is
LEAST({DBInstanceClassMemory/9531392}, 5000) (Amazon RDS User Guide, "Maximum number of database connections").
DBInstanceClassMemory is what the operating system and RDS's own processes leave of the class's memory. AWS does not
publish it. Values that users have read from their instances lie between 88 % of the nominal memory (db.t2.small: 198
connections) and 95 % (db.t2.large: 856): https://gist.github.com/guizmaii/1cacffef793c2ba9645083c3e18b3d8c. About
250 MiB are gone at 2 GiB, which would leave 75 % of 1 GiB. So three quarters is a careful estimate for every class, and
what the nominal memory gives cannot be exceeded.

Of max_connections, three are reserved for superusers and two for rds_superuser (AWS Knowledge Center,
https://repost.aws/knowledge-center/rds-postgresql-error-connection-slots).
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import is_true
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import whole_number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# GiB of memory by size (Amazon RDS User Guide, "Hardware specifications for DB instance classes").
_BURSTABLE = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
_GENERAL = {
    "large": 8,
    "xlarge": 16,
    "2xlarge": 32,
    "4xlarge": 64,
    "8xlarge": 128,
    "12xlarge": 192,
    "16xlarge": 256,
    "24xlarge": 384,
}
_BYTES_PER_CONNECTION = 9531392
_MOST_CONNECTIONS = 5000
_SHARE_LEFT = 0.75
# superuser_reserved_connections and rds.rds_superuser_reserved_connections, both by default.
RESERVED = 3 + 2

# Two servers run at the same time while an update shifts the traffic from one to the other.
SERVERS = 2
# The process that starts the workers: one for each of tracking, registry, login and jobs (measured, MLflow 3.17.2).
MAIN_PROCESS = 4
# The job runner and the periodic tasks (measured, MLflow 3.17.2, without any job), and three jobs at a time.
JOBS = 5
# A one-off task, such as `mlflow db upgrade` or `mlflow gc`.
ONE_OFF = 2
# RDS's own sessions, as rdsadmin.
OF_RDS = 2

# A request of MLflow's needs so many at a time, at most: see roles/ecs_express/files/mlflow_bounded_pool.py.
LEAST_PER_WORKER = 4


def class_memory(instance_class: str) -> int | None:
    """Return the nominal memory of an instance class in GiB, or None if unknown."""
    match = re.fullmatch(r"db\.([a-z]+)\d[a-z]*\.(\w+)", instance_class)
    if not match:
        return None
    family, size = match.groups()
    if family == "t":
        return _BURSTABLE.get(size)
    memory = _GENERAL.get(size)
    if memory is None or family not in ("m", "r"):
        return None
    return memory * (2 if family == "r" else 1)


def max_connections(instance_class: str, share: float = _SHARE_LEFT) -> int | None:
    """Return RDS's default for max_connections, or None if the class is unknown.

    Args:
        instance_class: such as db.t4g.micro.
        share: of the nominal memory that is left for the database.
    """
    memory = class_memory(instance_class)
    if memory is None:
        return None
    return min(int(memory * 1024**3 * share / _BYTES_PER_CONNECTION), _MOST_CONNECTIONS)


@dataclass(frozen=True)
class Demand:
    """The connections that a deployment may open at the same time, at most.

    Attributes:
        workers: worker processes of one server.
        per_worker: connections of each, for all of MLflow's stores together.
        jobs: whether background jobs run.
    """

    workers: int
    per_worker: int
    jobs: bool

    @property
    def server(self) -> int:
        """Return the connections of one server."""
        return self.workers * self.per_worker + MAIN_PROCESS + (JOBS if self.jobs else 0)

    @property
    def total(self) -> int:
        """Return all connections."""
        return SERVERS * self.server + ONE_OFF + OF_RDS

    def __str__(self) -> str:
        jobs = f" + {JOBS} for background jobs" if self.jobs else ""
        return (
            f"{SERVERS} servers during an update, each with {self.workers} workers x {self.per_worker} + {MAIN_PROCESS}"
            f" for its main process{jobs}, and {ONE_OFF + OF_RDS} for one-off tasks and RDS: {self.total}"
        )


def demand(inputs: Mapping[str, typing.Any]) -> Demand | None:
    """Return the demand by the deployment's variables, or None if one of them is invalid."""
    numbers = [whole_number(inputs.get(name)) for name in ("mlflow_workers", *_POOL)]
    if any(number is None or number < 1 for number in numbers):
        return None
    workers, size, overflow = (number or 0 for number in numbers)
    return Demand(workers, size + overflow, is_true(inputs.get("mlflow_job_execution")))


_POOL = ("mlflow_db_pool_size", "mlflow_db_pool_max_overflow")


def pool_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check that a worker has the connections that a single request needs."""
    size, overflow = (whole_number(inputs.get(name)) for name in _POOL)
    if size is None or overflow is None or size < 1 or overflow < 1 or size + overflow >= LEAST_PER_WORKER:
        return []
    return [
        Violation(
            "mlflow_db_pool_size",
            f"is {size} and mlflow_db_pool_max_overflow is {overflow}, which together allow each worker"
            f" {size + overflow} database connections, but one request of MLflow's may need {LEAST_PER_WORKER}",
            f"set them to {LEAST_PER_WORKER} or more together",
        )
    ]


def connection_fit(inputs: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Compare the connections that a deployment may open with those that its RDS instance accepts.

    Returns:
        C(needed) and C(available), None where it is not known; C(problem), the violation where it certainly does not
        fit, and C(warning), one where it probably does not, else None.
    """
    wanted = demand(inputs)
    name = str(inputs.get("mlflow_db_instance_class") or "")
    estimated, nominal = max_connections(name), max_connections(name, share=1.0)
    if wanted is None or estimated is None or nominal is None or not empty(inputs.get("mlflow_db_host")):
        return {"needed": wanted.total if wanted else None, "available": None, "problem": None, "warning": None}
    found = None
    if wanted.total > estimated - RESERVED:
        found = Violation(
            "mlflow_workers",
            f"allow more database connections than mlflow_db_instance_class {name} accepts ({wanted}; it accepts about"
            f" {estimated} - {RESERVED} reserved = {estimated - RESERVED}, and no more than {nominal - RESERVED})",
            "lower them, or take a larger class",
            subject="mlflow_workers, mlflow_db_pool_size and mlflow_db_pool_max_overflow",
        )
    certain = wanted.total > nominal - RESERVED
    return {
        "needed": wanted.total,
        "available": estimated - RESERVED,
        "problem": found if certain else None,
        "warning": None if certain else found,
    }


def connection_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check that the database accepts the connections that the server may open."""
    problem = connection_fit(inputs)["problem"]
    return [problem] if problem else []
