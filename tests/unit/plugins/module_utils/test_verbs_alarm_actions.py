# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alarms of a deployment send no messages while a verb works on it, and do so again when it ends in any way."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import steps
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_monitoring import CloudWatch
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

PREFIX = "mlflow.tracking/"
OTHER = "mlflow.tracking-two/tasks"


class Deployment:
    """A deployment with two alarms, beside one with another."""

    def __init__(self, *, monitored: bool = True) -> None:
        self.ecs, self.cloudwatch = TaggedService(), CloudWatch()
        if monitored:
            self.ecs.tags[markers.MONITORED_KEY] = PREFIX
        for name in (f"{PREFIX}tasks", f"{PREFIX}storage", OTHER):
            self.cloudwatch.alarms[name] = {"AlarmName": name, "ActionsEnabled": True}
        self.asked: list[str] = []

    def clients(self, service: str) -> Any:
        self.asked.append(service)
        return Client(self.cloudwatch)

    def lock(self) -> lock.Lock:
        identity = lock.Identity("tracking", "backup", "arn:aws:iam::123456789012:user/ana", "unlock")
        found: Any = self.ecs
        return lock.Lock(found, ARN, identity, make_waiter=no_waiting(), alarms=AlarmActions(self.clients))

    def on(self) -> list[str]:
        return sorted(name for name, one in self.cloudwatch.alarms.items() if one["ActionsEnabled"])

    def run(self, work: Any) -> list[str]:
        verb = steps.Verb("backup", "tracking", [steps.Step("Work", work)], lambda: "", lambda: "", "again")
        return steps.run_steps(verb, self.lock(), Progress("tracking", path=""))


ALL = sorted([f"{PREFIX}tasks", f"{PREFIX}storage", OTHER])


def test_muted_while_a_verb_runs_and_on_again_afterwards() -> None:
    deployment, seen = Deployment(), []
    deployment.run(lambda: seen.append(deployment.on()))
    assert seen == [[OTHER]]
    assert deployment.on() == ALL


def test_on_again_after_a_step_that_failed() -> None:
    deployment = Deployment()

    def fail() -> None:
        assert deployment.on() == [OTHER]
        raise UserError("It did not work.")

    with pytest.raises(UserError, match="It did not work"):
        deployment.run(fail)
    assert deployment.on() == ALL


def test_a_run_that_was_killed_is_made_up_for_by_the_next_one() -> None:
    deployment = Deployment()
    for name in (f"{PREFIX}tasks", f"{PREFIX}storage"):
        deployment.cloudwatch.alarms[name]["ActionsEnabled"] = False
    deployment.run(lambda: None)
    assert deployment.on() == ALL


def test_those_of_a_deployment_that_is_stopped_stay_muted() -> None:
    deployment = Deployment()
    deployment.run(lambda: deployment.ecs.tags.update({markers.STOPPED_KEY: "since=2026-11-23T12:00:00Z min=1 max=1"}))
    assert deployment.on() == [OTHER]
    deployment.run(lambda: deployment.ecs.tags.pop(markers.STOPPED_KEY))
    assert deployment.on() == ALL


def test_a_deployment_without_alarms_costs_no_request() -> None:
    deployment = Deployment(monitored=False)
    deployment.run(lambda: None)
    assert deployment.asked == []
    assert deployment.on() == ALL


def test_a_verb_does_its_work_also_if_it_may_not_mute_and_says_so() -> None:
    deployment, done = Deployment(), []
    deployment.cloudwatch.faults["disable_alarm_actions"] = [error("AccessDenied", message="No.")]
    said = deployment.run(lambda: done.append(1))
    assert done
    assert any("could not be muted" in one for one in said)


def test_alarms_that_stay_muted_are_told() -> None:
    deployment = Deployment()
    deployment.cloudwatch.faults["enable_alarm_actions"] = [error("AccessDenied", message="No.")]
    said = deployment.run(lambda: None)
    assert any("still muted, which the next deploy ends" in one for one in said)
    assert not [key for key in deployment.ecs.tags if key.startswith(markers.LOCK_PREFIX)]


def test_a_lock_that_is_not_gotten_mutes_nothing() -> None:
    deployment = Deployment()
    held = deployment.lock()
    held.acquire()
    with pytest.raises(lock.LockedError):
        deployment.lock().acquire()
    assert deployment.on() == [OTHER]
    held.release()
    assert deployment.on() == ALL
