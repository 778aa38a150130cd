# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Keeps users away from a database that is being exchanged: no task of the server runs meanwhile.

The tag of a stopped deployment says how many tasks there were, and which verb keeps users away, so that nothing else
brings the server up meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Stopped
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.service_scale import ServiceScale
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target


class Fence:
    """Scales one service to zero, and back to what it had.

    Args:
        clients: returns the client of a service.
        deployment: whose service.
        wait_options: how to wait.
        verb: that puts it up.
        wall: the time of day.
    """

    def __init__(
        self,
        clients: Clients,
        deployment: Target,
        wait_options: WaitOptions,
        verb: str,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients = clients
        self._ecs = clients("ecs")
        self._deployment = deployment
        self._scale = ServiceScale(clients, deployment, wait_options)
        self._verb = verb
        self._wall = wall
        self._last: Stopped | None = None

    def is_up(self) -> bool:
        """Return whether nobody can have been let in since it was put up."""
        noted = markers.stopped(target.tags(target.describe(self._clients, self._deployment)))
        return noted is not None and self._scale.latest()["max_task_count"] == 0

    def put_up(self) -> None:
        """Note how many tasks there are, unless that was done, and scale to zero."""
        if self._noted() is None:
            scaling = self._scale.latest()
            least, most = max(scaling["min_task_count"], 1), max(scaling["max_task_count"], 1)
            self._last = Stopped(self._wall(), least, most, self._verb)
        self.scale_to_zero()

    def take_down(self) -> None:
        """Scale back, and forget it."""
        if self._noted() is not None:
            self.scale_back()
            self.forget()

    def scale_to_zero(self) -> None:
        """Leave no task. The note is there before."""
        if noted := self._noted():
            api.tag(self._ecs, self._deployment.arn, noted.tags())
        self._scale.to(0, 0)

    def scale_back(self) -> None:
        """Run as many tasks as there were."""
        noted = self._noted()
        self._scale.to(noted.least if noted else 1, noted.most if noted else 1)

    def forget(self) -> None:
        """Take away the note."""
        api.untag(self._ecs, self._deployment.arn, [markers.STOPPED_KEY])

    def give_image(self, image: str) -> None:
        """Give the server another image while it has no task."""
        self._scale.give_image(image)

    def give_container(self, wanted: Resource) -> None:
        """Give the server another container while it has no task."""
        self._scale.give_container(wanted)

    def tasks(self) -> list[str]:
        """Return the ARNs of the tasks that run."""
        return self._scale.tasks()

    def _noted(self) -> Stopped | None:
        """Return the note, which this run knows even after it was forgotten."""
        self._last = markers.stopped(target.tags(target.describe(self._clients, self._deployment))) or self._last
        return self._last
