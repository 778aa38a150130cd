# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""How long the changes of a plan take, and what is away meanwhile. Pure Python.

Downtime of RDS: Amazon RDS User Guide, "Settings for DB instances", column "Downtime notes"
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ModifyInstance.Settings.html). Its durations are not
documented; those here are what users report. Of ECS: module_utils/_ecs_express/run.py.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import CREATE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import REPLACE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Attribute
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import EXPECTED_DELETION
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import EXPECTED_FIRST_DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import expected_update
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import EXPECTED_CREATION

_SERVICE = "ecs_express_service"
_INSTANCE = "rds_postgresql_instance"
_UPGRADE = "mlflow_upgrade"
# Minutes of the steps in module_utils/_upgrade/upgrade.py, of a database of a few gigabytes.
_UPGRADED = (9.0, 35.0)
# Minutes of a change that restarts the instance or works on its storage, from the least to the most.
_INSTANCE_CHANGED = (5.0, 20.0)
# Of the service: they reach it without a new deployment (botocore's model of ECS, UpdateService).
_WITHOUT_DEPLOYMENT = ("allowed_cidrs", "deployment_configuration", "tags")

_WITHOUT_SERVER = (
    "the server is away for 8 to 30 minutes, longer with a database of many gigabytes, while MLflow is upgraded"
)
_WITH_UPGRADE = "while the server has no task"
_AWAY = "the database is away for some minutes"
_FAILOVER = "the database is away for a minute or two, while the standby takes over"
_RESTARTS = "the database restarts"
_NO_DOWNTIME = "no downtime; RDS may be slower for hours meanwhile"
_AT_RESTART = "applies when the instance restarts next, which deploy does not do"


@dataclass(frozen=True)
class Effects:
    """What applying a plan means for those who use the server.

    Attributes:
        least, most: minutes.
        downtime: sentences on what is away; empty if nothing is.
    """

    least: float
    most: float
    downtime: tuple[str, ...] = ()

    @property
    def duration(self) -> str:
        """How long it takes, for people."""
        if not self.most:
            return "less than a minute"
        if self.least == self.most:
            return f"about {self.most:g} minutes"
        return f"about {self.least:g} to {self.most:g} minutes"


def effects(changed: Iterable[Resource], baking: typing.Mapping[str, typing.Any]) -> Effects:
    """Return duration and downtime of all changes together: the service waits for the database.

    Args:
        changed: what changes.
        baking: the service's deployment configuration, as its module takes it.
    """
    least, most = 0.0, 0.0
    downtime: list[str] = []
    resources = list(changed)
    for resource in resources:
        added = _duration(resource, baking, is_upgraded(resources))
        least, most = least + added[0], most + added[1]
        downtime += [sentence for sentence in _downtime(resource) if sentence not in downtime]
    return Effects(least, most, tuple(downtime))


def is_upgraded(changed: Iterable[Resource]) -> bool:
    """Return whether MLflow is upgraded, which changes the service's container while it has no task."""
    return any(resource.module == _UPGRADE for resource in changed)


def note(resource: Resource, attribute: Attribute, upgraded: bool = False) -> str:
    """Return what an attribute's change does to the server besides the change itself; empty if nothing.

    Args:
        resource: that changes.
        attribute: of it.
        upgraded: whether MLflow is upgraded.
    """
    if resource.action in (CREATE, REPLACE):
        return ""
    if resource.module == _UPGRADE:
        return "with a way back at every step"
    if upgraded and resource.module == _SERVICE and attribute.path.startswith("primary_container."):
        return _WITH_UPGRADE
    if resource.module == "rds_db_parameter_group" and attribute.path.startswith("parameters."):
        return _AT_RESTART
    if resource.module == _SERVICE:
        return "" if attribute.path.split(".")[0] in _WITHOUT_DEPLOYMENT else "a new deployment, by a canary"
    return _instance_note(resource, attribute) if resource.module == _INSTANCE else ""


def _instance_note(resource: Resource, attribute: Attribute) -> str:
    if attribute.path == "db_instance_class":
        becomes = any(other.path == "multi_az" for other in resource.attributes)
        return _AWAY if becomes or not resource.before.get("multi_az") else _FAILOVER
    if attribute.path == "backup_retention_period":
        # "Downtime occurs if you change from 0 to a nonzero value or from a nonzero value to 0."
        return _RESTARTS if not (attribute.before and attribute.after) else ""
    if attribute.path == "storage_type":
        return _AWAY if "standard" in (attribute.before, attribute.after) else _NO_DOWNTIME
    return _INSTANCE_NOTES.get(attribute.path, "")


_INSTANCE_NOTES = {
    "allocated_storage": _NO_DOWNTIME,
    "db_parameter_group_name": _AT_RESTART,
    "engine_version": _AWAY,
    "iops": _NO_DOWNTIME,
    "multi_az": _NO_DOWNTIME,
    "port": _RESTARTS,
    "storage_throughput": _NO_DOWNTIME,
}
_WAITS = ("allocated_storage", "db_instance_class", "engine_version", "iops", "multi_az", "port", "storage_type")


def _duration(resource: Resource, baking: typing.Mapping[str, typing.Any], upgraded: bool) -> tuple[float, float]:
    if resource.module == _UPGRADE:
        return _UPGRADED
    if resource.module == _INSTANCE:
        return _instance_duration(resource)
    return _service_duration(resource, baking, upgraded) if resource.module == _SERVICE else (0, 0)


def _instance_duration(resource: Resource) -> tuple[float, float]:
    if resource.action == CREATE:
        return EXPECTED_CREATION.least, EXPECTED_CREATION.most
    return _INSTANCE_CHANGED if _paths(resource).intersection(_WAITS) else (0, 0)


def _service_duration(
    resource: Resource, baking: typing.Mapping[str, typing.Any], upgraded: bool
) -> tuple[float, float]:
    first, gone = EXPECTED_FIRST_DEPLOYMENT, EXPECTED_DELETION
    if resource.action == CREATE:
        return first.least, first.most
    if resource.action == REPLACE:
        return first.least + gone.least, first.most + gone.most
    update = expected_update(baking)
    others = _paths(resource).difference(_WITHOUT_DEPLOYMENT, ("primary_container",) if upgraded else ())
    return (update.least, update.most) if others else (0, 0)


def _paths(resource: Resource) -> set[str]:
    return {attribute.path.split(".")[0] for attribute in resource.attributes}


def _downtime(resource: Resource) -> Iterator[str]:
    if resource.module == _UPGRADE:
        yield _WITHOUT_SERVER
    if resource.module == _SERVICE and resource.action == REPLACE:
        yield "the server is away while the service is deleted and created again, and its URL changes"
    for attribute in resource.attributes:
        said = note(resource, attribute)
        if said in (_AWAY, _FAILOVER, _RESTARTS):
            yield said
