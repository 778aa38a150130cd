# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment as far as verbs see it, whose calls fail, or whose caller is killed, at any of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService


class Killed(BaseException):
    """What ends a run at once, as kill -9 does: nothing is called any more."""


class Interruptible:
    """Counts the calls of a fake, and interrupts them.

    Args:
        aws: the fake.
    """

    def __init__(self, aws: Any) -> None:
        self._aws = aws
        self.calls = 0
        self._at = -1
        self._error: BaseException | None = None
        self._has_effect = self._lasts = False

    def interrupt(self, at: int, error: BaseException, *, has_effect: bool = False, lasts: bool = False) -> None:
        """Let a call fail.

        Args:
            at: which one, from now on, counted from zero.
            error: how.
            has_effect: whether AWS does what it was asked for nevertheless.
            lasts: whether all calls after it fail as well.
        """
        self.calls = 0
        self._at, self._error = at, error
        self._has_effect, self._lasts = has_effect, lasts

    def recover(self) -> None:
        """Let all calls succeed."""
        self._error = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._aws, name)

        def call(*given: Any, **sent: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            if self._error is None or not (number == self._at or (self._lasts and number > self._at)):
                return method(*given, **sent)
            if self._has_effect and number == self._at:
                method(*given, **sent)
            raise self._error

        return call


class Deployment(TaggedService):
    """ECS and RDS of one deployment. A minimum of zero tasks stops none; a maximum of zero does."""

    def __init__(self) -> None:
        super().__init__()
        self.scaling: dict[str, Any] = {
            "minTaskCount": 1,
            "maxTaskCount": 2,
            "autoScalingMetric": "AVERAGE_CPU",
            "autoScalingTargetValue": 60,
        }
        self.tasks = 1
        # Tasks that answer their last requests, and for how many more polls.
        self.stopping = 0
        self.polls_to_stop = 2
        self.status = "available"
        self.done: list[str] = []
        self.fault: Exception | None = None
        self.more: dict[str, Any] = {}

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        service = super().describe_express_gateway_service(serviceArn, include)["service"]
        return {"service": {**service, "activeConfigurations": [{"scalingTarget": dict(self.scaling)}]}}

    def update_express_gateway_service(self, serviceArn: str, scalingTarget: dict[str, Any]) -> Any:
        assert scalingTarget.keys() == self.scaling.keys(), "ECS resets what is left out"
        self.scaling = dict(scalingTarget)
        before = self.tasks
        self.tasks = min(max(self.tasks, scalingTarget["minTaskCount"]), scalingTarget["maxTaskCount"])
        self.stopping = self.polls_to_stop if self.tasks < before else 0
        self.done.append(f"tasks {scalingTarget['minTaskCount']} to {scalingTarget['maxTaskCount']}")
        return {"service": {}}

    def list_service_deployments(self, **_sent: Any) -> Any:
        return {"serviceDeployments": [{"status": "SUCCESSFUL", "createdAt": 1}]}

    def list_tasks(self, desiredStatus: str, **_sent: Any) -> Any:
        if desiredStatus == "RUNNING":
            return {"taskArns": [f"task-{number}" for number in range(self.tasks)]}
        return {"taskArns": ["task-before"]}

    def describe_tasks(self, tasks: list[str], **_sent: Any) -> Any:
        status = "DEACTIVATING" if self.stopping else "STOPPED"
        self.stopping = max(0, self.stopping - 1)
        return {"tasks": [{"taskArn": arn, "lastStatus": status} for arn in tasks]}

    def describe_db_instances(self, DBInstanceIdentifier: str) -> Any:
        following = {"stopping": "stopped", "starting": "available"}
        shown, self.status = self.status, following.get(self.status, self.status)
        instance = {"DBInstanceStatus": shown, "Engine": "postgres", "Endpoint": {"Address": "db.example.com"}}
        return {"DBInstances": [{**instance, **self.more, "DBInstanceIdentifier": DBInstanceIdentifier}]}

    def stop_db_instance(self, DBInstanceIdentifier: str) -> None:
        if self.fault is not None:
            raise self.fault
        assert self.tasks == self.stopping == 0, "the server writes to the database that is stopped"
        self.status = "stopping"
        self.done.append(f"stop {DBInstanceIdentifier}")

    def start_db_instance(self, DBInstanceIdentifier: str) -> None:
        self.status = "starting"
        self.done.append(f"start {DBInstanceIdentifier}")
