# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: one run of the module for one service, with the state that its steps share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import diagnose
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.collect import collect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployment_configuration import DEFAULTS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import StuckDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import target_revision
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressWaitError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Evidence
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Subject
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Result

Resource = dict[str, Any]
Clients = Callable[[str], Any]

# Durations at AWS (user reports; the first service of a VPC is the slow one), and that of the server's start, which is
# not AWS's.
EXPECTED_FIRST_DEPLOYMENT = ExpectedDuration(6, 25, fixed=60)
EXPECTED_DELETION = ExpectedDuration(5, 15, fixed=30)
# Besides the bake times of canary and deployment: a new task needs 5 health checks of 30 s after its start, and the
# old one is drained at the end.
_UPDATE_BESIDE_BAKING = (3, 9)


def expected_update(configuration: Mapping[str, Any]) -> ExpectedDuration:
    """Return the expected duration of an update: its bake times, and some minutes.

    Args:
        configuration: the deployment configuration that was asked for.
    """
    how = {**DEFAULTS, **configuration}
    baking = sum(float(how.get(name) or 0) for name in ("canary_bake_time_in_minutes", "bake_time_in_minutes"))
    least, most = _UPDATE_BESIDE_BAKING
    return ExpectedDuration(least + baking, most + baking, fixed=60)


class Run:
    """The state of one run.

    Args:
        clients: returns the client of a service by boto3's name.
        request: of the user.
        progress: shows progress to the user.
        make_waiter: makes the waiters.

    Attributes:
        request: of the user, completed if the service is replaced.
        result: of the run so far.
        waiter: bounds the waits of this run.
        sent: whether anything was changed.
        created: whether this run has created the service.
    """

    def __init__(
        self,
        clients: Clients,
        request: Request,
        progress: Progress | None = None,
        make_waiter: Callable[..., Waiter] = Waiter,
    ) -> None:
        self.clients = clients
        self.ecs = clients("ecs")
        self.request = request
        self.display = progress or Progress(request.name, path="")
        self.result = Result()
        self.make_waiter = make_waiter
        self.sent = False
        self.created = False
        self.restart_waiter()

    def restart_waiter(self) -> None:
        """Start the time limit anew."""
        self.waiter: Waiter = self.make_waiter(
            timeout=self.request.wait_timeout,
            delay=self.request.wait_delay,
            progress=self.result.progress,
            note=self.display.report,
            timeout_option=self.request.option_names.of("wait_timeout"),
        )

    def with_context(self, work: Callable[[], Result]) -> Result:
        """Return the result of *work*; its errors carry the results so far."""
        try:
            return work()
        except EcsExpressError as e:
            known = {"changed": self.sent, "progress": list(self.result.progress), "recreated": self.result.recreated}
            for key, value in known.items():
                e.kwargs.setdefault(key, value)
            e.kwargs.setdefault("warnings", list(self.result.warnings))
            raise

    def find_service(self) -> Resource | None:
        """Return the service as DescribeServices shows it."""
        return api.find_service(self.ecs, cluster=self.request.cluster, name=self.request.name)

    def list_deployments(self, arn: str, limit: int = 20) -> list[Resource]:
        """Return the newest deployments, newest first."""
        return api.list_deployments(self.ecs, cluster=self.request.cluster, service=arn, limit=limit)

    def expect_update(self) -> None:
        """Show the expected duration of an update."""
        self.display.expected_duration = expected_update(self.request.deployment_configuration)

    def subject(self, arn: str) -> Subject:
        """Return the service to explain."""
        return Subject(transformations.cluster_name(self.request.cluster), self.request.name, arn)

    def report(self, arn: str, deployment: Resource | None, revision: str | None = None) -> Result:
        """Return the result, with the service as it is now."""
        service = api.describe_express(self.ecs, arn)
        if service is not None:
            self.result.service = transformations.service(service, revision or target_revision(deployment))
        self.result.deployment = transformations.deployment(deployment)
        if self.result.deployment is None and revision:
            # ECS has not listed the deployment yet; its target is enough to find it later.
            self.result.deployment = {"target_service_revision_arn": revision, "status": "PENDING"}
        return self.result

    def explained(
        self, error: EcsExpressError, arn: str, deployment: Resource | None, early: Evidence | None = None
    ) -> EcsExpressWaitError:
        """Return the error with its explanation.

        Args:
            error: what happened.
            arn: of the service.
            deployment: the one that failed or did not end, if known.
            early: evidence from when it began to fail.
        """
        evidence = collect(self.clients, self.subject(arn), deployment, early)
        evidence.stuck = isinstance(error, StuckDeployment)
        evidence.option_names = self.request.option_names
        text = diagnose.render(evidence)
        again = ", also after it was deleted and created again" if self.result.recreated else ""
        return EcsExpressWaitError(
            message=f"Service {self.request.name!r}{again}: {error.message}" + (f"\n{text}" if text else ""),
            changed=self.sent,
            service_arn=arn,
            deployment=transformations.deployment(deployment),
            explanation=diagnose.as_dict(evidence),
            progress=list(self.result.progress),
        )
