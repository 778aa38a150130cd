# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""How many tasks a service has, and of which image: to zero, which keeps every writer away, and back.

A minimum of zero tasks alone stops none; minimum and maximum do. All fields of the scaling are sent, as an update
resets those that are left out. A new image that comes while there are zero tasks makes an empty deployment; without a
wait for its end the old image would start beside the new one (all reported by users of Express Mode).
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Expected
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import in_flight
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

_TEXTS = ("auto_scaling_metric",)


class ServiceScale:
    """The scaling of one Express service.

    Args:
        clients: returns the client of a service.
        deployment: whose service.
        wait_options: how to wait for tasks to start and to stop.
    """

    def __init__(self, clients: Clients, deployment: Target, wait_options: WaitOptions) -> None:
        self._clients = clients
        self._ecs = clients("ecs")
        self._deployment = deployment
        self._wait_options = wait_options
        self._service: Resource = {}

    def read(self, resume: bool = False) -> Resource:
        """Return the service, which must be there and not change at the moment.

        Args:
            resume: whether to wait for the end of a change, which a run that was cut off may have begun.

        Raises:
            UserError: it is not, or it does.
        """
        if resume:
            target.require(self._clients, self._deployment, changing=True)
            self._settle()
        self._service = target.require(self._clients, self._deployment)
        return self._service

    def current(self) -> dict[str, typing.Any]:
        """Return the scaling as it was last read, with both counts."""
        scaling = target.configuration(self._service).get("scaling_target") or {}
        counts = {name: int(scaling.get(name, 1)) for name in ("min_task_count", "max_task_count")}
        return {**scaling, **counts}

    def latest(self) -> dict[str, typing.Any]:
        """Return the scaling as it is now, with both counts."""
        self._refresh()
        return self.current()

    def tasks(self) -> list[str]:
        """Return the ARNs of the tasks that run or should."""
        return self._listed("RUNNING")

    def remaining(self) -> list[str]:
        """Return the ARNs of all tasks that have not ended.

        A task that ECS is stopping counts, as it answers its last requests for up to two minutes; ListTasks has it
        among the stopped ones already, by its desired status (ECS Developer Guide, "Amazon ECS task lifecycle").
        """
        stopped = api.describe_tasks(self._ecs, cluster=self._deployment.cluster, tasks=self._listed("STOPPED"))
        return self.tasks() + [str(one["taskArn"]) for one in stopped if one.get("lastStatus") != "STOPPED"]

    def _listed(self, status: str) -> list[str]:
        name = self._deployment.name
        return api.list_tasks(self._ecs, cluster=self._deployment.cluster, service=name, status=status)

    def to(self, least: int, most: int) -> None:
        """Scale to a number of tasks, and wait until as many run and no deployment is under way.

        Args:
            least: tasks at least.
            most: tasks at most; with zero, none is left.

        Raises:
            UserError: the deployment failed, or it takes too long.
        """
        self._refresh()
        wanted = {**self.current(), "min_task_count": least, "max_task_count": most}
        if wanted != self.current():
            fields = transformations.to_boto({"scaling_target": _typed(wanted)})
            api.update_express(self._ecs, serviceArn=self._deployment.arn, **fields)
        self._wait(least)

    def give_image(self, image: str) -> None:
        """Give the service another image, as give_container() does."""
        self._refresh()
        self.give_container({**self._container(), "image": image})

    def give_container(self, wanted: Resource) -> None:
        """Give the service another container while it has zero tasks, and wait until that empty deployment has ended.

        A service that has the container already is left as it is, so a run that was cut off can do it again.

        Args:
            wanted: the primary container, in canonical form; all of its fields, as an update resets those left out.

        Raises:
            UserError: the service has tasks, the deployment failed, or it takes too long.
        """
        self._refresh()
        scaling = self.current()
        if scaling["max_task_count"] != 0 or self.tasks():
            raise UserError(
                f"The service '{self._deployment.name}' has tasks, or may start some, so that two images would run side"
                " by side: scale it to zero tasks first."
            )
        expected, image = Expected(), str(wanted["image"])
        if compare.compare({"primary_container": wanted}, {"primary_container": self._container()}):
            before = api.list_deployments(self._ecs, cluster=self._deployment.cluster, service=self._deployment.arn)
            known = frozenset(str(one.get("serviceDeploymentArn")) for one in before)
            fields = transformations.to_boto({"primary_container": wanted})
            answer = api.update_express(self._ecs, serviceArn=self._deployment.arn, **fields)
            configured = answer.get("targetConfiguration") or {}
            expected = Expected(revision=configured.get("serviceRevisionArn"), known=known)
        self._wait_for_image(image, expected)
        self._refresh()
        if compare.compare({"primary_container": wanted}, {"primary_container": self._container()}):
            raise UserError(
                f"The service '{self._deployment.name}' has another container than it was given, with the image"
                f" {self._container().get('image')}, and not {image}: something else has changed it."
            )

    def _container(self) -> Resource:
        return dict(target.configuration(self._service).get("primary_container") or {})

    def _wait_for_image(self, image: str, expected: Expected) -> None:
        waiter = self._wait_options.waiter()
        unknown: Resource | None = {"status": "unknown"}
        for _poll in waiter.polls():
            found = waiter.tolerate_outage(lambda: self._pick(expected), otherwise=unknown)
            status = str((found or {}).get("status") or "not shown yet")
            if found and status in FAILED and expected.known:
                raise UserError(f"The deployment of {image} ended with {status}: {found.get('statusReason')}.")
            # An older deployment than this run's may have failed, and what it was rolled back to is what counts.
            if found and status != "unknown" and not in_flight([found]):
                return
            waiter.report(f"deployment of the image at zero tasks: {status}")
        waiter.raise_outage()
        raise UserError(
            f"The deployment of {image} has not ended after {self._wait_options.timeout:g} seconds (wait_timeout)."
        )

    def _pick(self, expected: Expected) -> Resource | None:
        return expected.pick(
            api.list_deployments(self._ecs, cluster=self._deployment.cluster, service=self._deployment.arn)
        )

    def _refresh(self) -> None:
        self._service = target.describe(self._clients, self._deployment) or self._service

    def _settle(self) -> None:
        """Wait until no deployment is under way; one that takes too long is reported by what comes next."""
        waiter = self._wait_options.waiter()
        for _poll in waiter.polls():
            current = waiter.tolerate_outage(self._newest_deployment, otherwise={"status": "unknown"})
            if not in_flight([current]) and current.get("status") != "unknown":
                return
            waiter.report(f"deployment {current.get('status', 'none')}")
        waiter.raise_outage()

    def _wait(self, least: int) -> None:
        waiter = self._wait_options.waiter()
        count = self.tasks if least else self.remaining
        for poll in waiter.polls():
            current = waiter.tolerate_outage(self._newest_deployment, otherwise={"status": "unknown"})
            running = waiter.tolerate_outage(count, otherwise=[""])
            if poll > 0 and not in_flight([current]) and current.get("status") != "unknown":
                if least and str(current.get("status", "")).startswith(("ROLLBACK", "STOPPED")):
                    raise UserError(f"The deployment ended with {current['status']}: {current.get('statusReason')}.")
                if len(running) >= least and (least or not running):
                    return
            waiter.report(f"tasks: {len(running)}, deployment {current.get('status', 'none')}")
        waiter.raise_outage()
        raise UserError(
            f"The server has {len(count())} tasks after {self._wait_options.timeout:g} seconds (wait_timeout), and"
            f" not {least}."
        )

    def _newest_deployment(self) -> Resource:
        found = api.list_deployments(self._ecs, cluster=self._deployment.cluster, service=self._deployment.arn, limit=1)
        return found[0] if found else {}


def _typed(scaling: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the scaling with the types that the API takes."""
    return {name: value if name in _TEXTS else int(value) for name, value in scaling.items()}
