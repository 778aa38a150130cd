# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verbs stop and start.

RDS starts a stopped instance by itself after seven days, and stops none that has a read replica or is one (RDS User
Guide, "Stopping an Amazon RDS DB instance temporarily").

What a failed stop undoes is what this run did, or the one that it completes: a deployment that was stopped before, and
whose instance RDS has started since, does not come up because it could not be stopped again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import BUSY
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import found
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import start
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import status_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Stopped
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.service_scale import ServiceScale
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

_STOPPED = "stopped"
_COSTS = "the load balancer and the storage go on costing, about a third of the whole"


@dataclass
class Power:
    """One run of stop or start.

    Attributes:
        clients: returns the client of a service.
        deployment: what is stopped or started.
        instance: identifier of the RDS instance; empty for a database of the user's own.
        wait_options: how to wait.
        wall: the time of day.
    """

    clients: Clients
    deployment: Target
    instance: str
    wait_options: WaitOptions
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        self._ecs = self.clients("ecs")
        self._rds = self.clients("rds")
        self._scale = ServiceScale(self.clients, self.deployment, self.wait_options)
        self._marker: Stopped | None = None
        self._status = ""
        # What a failure undoes.
        self._has_noted = self._has_scaled = self._has_stopped = False

    def preflight(self, verb: str, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            verb: stop or start.
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: the deployment cannot be stopped or started as it is.
        """
        self._marker = markers.stopped(target.tags(self._scale.read(resume)))
        if self._marker and self._marker.verb != markers.STOP:
            # Users must not write to a database that is being migrated or exchanged.
            raise UserError(f"{self._marker.explain(self.deployment.name)} Nothing was changed.")
        self._has_noted = self._has_scaled = self._has_stopped = resume
        if self.instance:
            self._status = self._check_instance(verb)
        scaling = self._scale.current()
        if verb == "start":
            return self._marker is not None or self._status in wait.STOPPED or scaling["max_task_count"] == 0
        is_stopped = self._marker is not None and scaling["max_task_count"] == 0
        return not (is_stopped and self._status in ("", _STOPPED) and not self._scale.remaining())

    def _check_instance(self, verb: str) -> str:
        instance = found(self._rds, self.instance)
        copies = [*(instance.get("ReadReplicaDBInstanceIdentifiers") or [])]
        if instance.get("ReadReplicaSourceDBInstanceIdentifier"):
            copies.append(str(instance["ReadReplicaSourceDBInstanceIdentifier"]))
        if verb == "stop" and copies:
            raise UserError(
                f"RDS does not stop the instance {self.instance}, as it has a read replica or is one"
                f" ({', '.join(copies)}): delete the replica first. Nothing was changed."
            )
        return str(instance["DBInstanceStatus"])

    def verb(self, name: str, again: str) -> Verb:
        """Return stop or start with its steps.

        Args:
            name: stop or start.
            again: the command that completes it.
        """
        steps = self._stop_steps() if name == "stop" else self._start_steps()
        return Verb(
            name,
            self.deployment.name,
            steps,
            self._serving,
            self._kept,
            again,
            refresh=lambda: self._read_anew(name),
        )

    def _read_anew(self, name: str) -> bool:
        """Read the state again, which only this run changes from now on."""
        return self.preflight(name, resume=self._has_noted)

    def lines(self, verb: str, start_hint: str) -> list[str]:
        """Return the summary for people.

        Args:
            verb: stop or start.
            start_hint: how to start it again.
        """
        if verb == "start":
            return [f"'{self.deployment.name}' is started."]
        shown = [
            f"'{self.deployment.name}' is stopped: requests get the answer 503.",
            f"Costs:   {_COSTS}",
            f"Start:   {start_hint}",
        ]
        if self.instance:
            shown.append(
                f"Caution: RDS starts the instance {self.instance} by itself after seven days, which the playbook"
                " status says then; stop it again by running this again"
            )
        return shown

    # ---- stop

    def _stop_steps(self) -> list[Step]:
        steps = [
            Step("Note how many tasks it has", self._note, self._take_note_back),
            Step(
                "Scale the server to zero tasks",
                self._scale_to_zero,
                self._undo_scaling,
                duration=ExpectedDuration(1, 10, fixed=40),
                downtime=True,
            ),
        ]
        if self.instance:
            steps.append(
                Step(
                    "Stop the RDS instance",
                    self._stop_instance,
                    self._undo_stopping,
                    duration=ExpectedDuration(2, 15, fixed=10),
                    downtime=True,
                    cost=f"until it is started, {_COSTS}",
                )
            )
        # The last one is undone first.
        return steps

    def _note(self) -> None:
        if self._marker is not None:
            return
        scaling = self._scale.current()
        # A minimum of zero would start none.
        marker = Stopped(self.wall(), max(scaling["min_task_count"], 1), max(scaling["max_task_count"], 1))
        self._has_noted = True
        api.tag(self._ecs, self.deployment.arn, marker.tags())
        self._marker = marker

    def _take_note_back(self) -> None:
        if self._has_noted:
            self._forget()

    def _forget(self) -> None:
        api.untag(self._ecs, self.deployment.arn, [markers.STOPPED_KEY])
        self._marker = None

    def _scale_to_zero(self) -> None:
        self._has_scaled = self._has_scaled or self._scale.current()["max_task_count"] != 0
        self._scale.to(0, 0)

    def _undo_scaling(self) -> None:
        if self._has_scaled:
            self._scale_back()

    def _stop_instance(self) -> None:
        waiter = self.wait_options.waiter()
        refusal = ""
        for _poll in waiter.polls():
            status = waiter.tolerate_outage(self._instance_status, otherwise="")
            if status == _STOPPED:
                return
            if status in wait.BROKEN:
                raise UserError(wait.explain_status(self._rds, self.instance, status))
            if status in wait.READY:
                refusal = self._ask_to_stop()
            waiter.report(f"RDS instance {self.instance}: {status}")
        waiter.raise_outage()
        raise UserError(
            f"The RDS instance {self.instance} is not stopped after {self.wait_options.timeout:g} seconds"
            f" (wait_timeout).{refusal}"
        )

    def _ask_to_stop(self) -> str:
        """Ask RDS for it; return why it does not, as long as the instance does something else."""
        self._has_stopped = True
        try:
            self._rds.stop_db_instance(DBInstanceIdentifier=self.instance)
        except ClientError as e:
            if error_code(e) not in BUSY:
                raise
            return f" RDS says: {e}"
        return ""

    def _undo_stopping(self) -> None:
        if self._has_stopped:
            self._start_instance()

    # ---- start

    def _start_steps(self) -> list[Step]:
        steps = []
        if self.instance:
            steps.append(
                Step(
                    "Start the RDS instance",
                    self._start_instance,
                    duration=ExpectedDuration(3, 15, fixed=10),
                    cost="the instance costs again",
                )
            )
        steps += [
            Step(
                "Scale the server to the tasks that it had",
                self._scale_back,
                duration=ExpectedDuration(4, 12, fixed=60),
            ),
            Step("Forget that it was stopped", self._forget),
        ]
        return steps

    def _start_instance(self) -> None:
        start(self._rds, self.instance, self.wait_options)

    # ---- what both need

    def _instance_status(self) -> str:
        return status_of(self._rds, self.instance)

    def _scale_back(self) -> None:
        """Scale to what was noted; without a note, as somebody stopped the instance by hand, to what there is."""
        scaling = self._scale.current()
        least, most = scaling["min_task_count"], scaling["max_task_count"]
        if self._marker is not None:
            least, most = self._marker.least, self._marker.most
        self._scale.to(*((least, most) if most else (1, 1)))

    def _serving(self) -> str:
        number = len(self._scale.tasks())
        database = f" The RDS instance {self.instance} is {self._instance_status()}." if self.instance else ""
        return f"Tasks of the server that run: {number}.{database}"

    def _kept(self) -> str:
        return "No data was touched."
