# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping and starting: in their order, to the tasks that there were, and with nothing to do the second time."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.power import Power
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_deployment_fake import Deployment
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_deployment_fake import Interruptible
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_deployment_fake import Killed
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import Unhurried
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

WHO = "arn:aws:iam::123456789012:user/ana"


def play(ecs: Any, name: str, instance: str = "tracking", timeout: float = 5) -> bool:
    """Stop or start it; whether there was anything to do."""
    target = Target("tracking", "default", ARN, WHO)
    power = Power(lambda _service: ecs, target, instance, Unhurried(timeout=timeout, delay=0.0001))
    run_lock = lock.Lock(ecs, ARN, lock.Identity("tracking", name, WHO, "unlock: true"), make_waiter=no_waiting())
    is_needed, left = prepare(lambda resume: power.preflight(name, resume), run_lock)
    if not is_needed and not left:
        return False
    run_steps(power.verb(name, "again"), run_lock, Progress("tracking", path=""))
    return True


def test_it_is_stopped_and_started_with_the_tasks_that_it_had_and_twice_changes_nothing() -> None:
    ecs = Deployment()
    assert play(ecs, "stop")
    assert ecs.done == ["tasks 0 to 0", "stop tracking"] and ecs.status == "stopped"
    marker = markers.stopped(ecs.tags)
    assert marker and (marker.least, marker.most) == (1, 2)
    assert not play(ecs, "stop")
    assert play(ecs, "start")
    assert ecs.done[2:] == ["start tracking", "tasks 1 to 2"] and ecs.tags == {}
    assert not play(ecs, "start")


def test_an_instance_that_rds_has_started_is_stopped_again() -> None:
    ecs = Deployment()
    play(ecs, "stop")
    ecs.status = "available"
    assert play(ecs, "stop")
    assert ecs.done[2:] == ["stop tracking"]
    marker = markers.stopped(ecs.tags)
    assert marker and (marker.least, marker.most) == (1, 2), "it has forgotten how many tasks there were"


def test_a_run_that_was_cut_off_is_completed() -> None:
    ecs = Deployment()
    ecs.tags.update(markers.Stopped(datetime(2026, 11, 30, tzinfo=UTC), 1, 2).tags())
    assert play(ecs, "stop") and ecs.status == "stopped"
    ecs.status = "available"
    assert play(ecs, "start") and ecs.done[-1] == "tasks 1 to 2"


def test_a_database_that_cannot_be_stopped_brings_the_server_back() -> None:
    ecs = Deployment()
    ecs.fault = error("StorageQuotaExceeded")
    with pytest.raises(UserError, match="failed at step 3 of 3, 'Stop the RDS instance'"):
        play(ecs, "stop")
    assert ecs.done == ["tasks 0 to 0", "tasks 1 to 2"] and ecs.tasks == 1 and ecs.tags == {}


def test_a_database_of_the_users_own_is_left_alone() -> None:
    ecs = Deployment()
    assert play(ecs, "stop", instance="")
    assert ecs.done == ["tasks 0 to 0"] and ecs.status == "available"
    assert not play(ecs, "stop", instance="")


def test_an_instance_that_is_not_stopped_again_leaves_the_server_stopped() -> None:
    """What was stopped before, and found started by RDS after seven days, does not come up because of a failure."""
    ecs = Deployment()
    play(ecs, "stop")
    ecs.status, ecs.fault = "available", error("KMSKeyNotAccessibleFault")
    with pytest.raises(UserError, match=r"Tasks of the server that run: 0\. The RDS instance tracking is available"):
        play(ecs, "stop")
    assert ecs.tasks == 0 and ecs.done[2:] == [] and markers.stopped(ecs.tags)


def test_a_refusal_that_lasts_is_named() -> None:
    ecs = Deployment()
    ecs.fault = error("InvalidDBInstanceState", message="it takes a backup")
    with pytest.raises(UserError, match=r"not stopped after 0.05 seconds.*RDS says: .*it takes a backup"):
        play(ecs, "stop", timeout=0.05)
    assert ecs.tasks == 1 and ecs.tags == {}


@pytest.mark.parametrize(
    "replica", [{"ReadReplicaDBInstanceIdentifiers": ["copy"]}, {"ReadReplicaSourceDBInstanceIdentifier": "original"}]
)
def test_an_instance_with_a_replica_is_refused_before_anything_is_stopped(replica: dict[str, Any]) -> None:
    ecs = Deployment()
    ecs.more = replica
    with pytest.raises(UserError, match=r"read replica or is one \((copy|original)\)"):
        play(ecs, "stop")
    assert ecs.done == [] and ecs.writes == []
    ecs.status = "stopped"
    assert play(ecs, "start")


def test_an_instance_that_was_stopped_by_hand_is_started_and_the_tasks_stay_as_many_as_they_are() -> None:
    ecs = Deployment()
    ecs.status = "stopped"
    assert play(ecs, "start")
    assert ecs.done == ["start tracking"] and ecs.scaling["maxTaskCount"] == 2
    assert not play(ecs, "start")


def test_a_server_that_was_scaled_to_zero_by_hand_is_started_with_one_task() -> None:
    ecs = Deployment()
    ecs.scaling.update(minTaskCount=0, maxTaskCount=0)
    ecs.tasks = 0
    assert play(ecs, "start")
    assert ecs.done == ["tasks 1 to 1"] and ecs.tasks == 1


def test_a_minimum_of_zero_is_started_with_a_task() -> None:
    ecs = Deployment()
    ecs.scaling.update(minTaskCount=0)
    play(ecs, "stop")
    play(ecs, "start")
    assert ecs.tasks == 1


@pytest.mark.parametrize("name", ["stop", "start"])
def test_a_server_that_another_verb_keeps_at_zero_is_left_to_it(name: str) -> None:
    """Users would write to a database that is being migrated or exchanged."""
    ecs = Deployment()
    ecs.scaling.update(minTaskCount=0, maxTaskCount=0)
    ecs.tasks = 0
    ecs.tags.update(markers.Stopped(datetime(2026, 11, 30, tzinfo=UTC), 1, 2, "upgrade").tags())
    with pytest.raises(UserError, match=r"at 2026-11-30 00:00 UTC.* complete it first, with the playbook upgrade\."):
        play(ecs, name)
    assert ecs.done == [] and ecs.writes == []


def test_what_another_run_has_done_since_the_preflight_is_seen() -> None:
    """A start that came to its end in between has taken the note away, so that the stop takes a new one."""
    ecs = Deployment()
    play(ecs, "stop")
    ecs.status = "available"
    target = Target("tracking", "default", ARN, WHO)
    power = Power(lambda _service: ecs, target, "tracking", Unhurried(timeout=5, delay=0.0001))  # type: ignore[arg-type,return-value]
    assert power.preflight("stop")
    assert play(ecs, "start")
    run_lock = lock.Lock(ecs, ARN, lock.Identity("tracking", "stop", WHO, ""), make_waiter=no_waiting())
    run_steps(power.verb("stop", "again"), run_lock, Progress("tracking", path=""))
    assert ecs.status == "stopped" and markers.stopped(ecs.tags)


# ---- interrupted at each of its calls


def deployment(verb: str) -> Deployment:
    """A deployment that is to be stopped, or to be started."""
    ecs = Deployment()
    if verb == "start":
        play(ecs, "stop")
    ecs.done = []
    return ecs


def state(ecs: Deployment) -> tuple[Any, ...]:
    """What counts in the end."""
    while ecs.status in ("stopping", "starting"):
        ecs.describe_db_instances("tracking")
    return ecs.scaling["minTaskCount"], ecs.scaling["maxTaskCount"], ecs.tasks, ecs.status, sorted(ecs.tags)


def wanted(verb: str) -> tuple[Any, ...]:
    """How it ends, without an interruption."""
    ecs = deployment(verb)
    assert play(ecs, verb)
    return state(ecs)


def number_of_calls(verb: str) -> int:
    aws = Interruptible(deployment(verb))
    assert play(aws, verb)
    return aws.calls


@pytest.fixture
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that has left a lock is gone."""
    monkeypatch.setattr(lock, "is_dead", lambda _marker, _now: True)


@pytest.mark.usefixtures("_nobody_else")
@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("verb", ["stop", "start"])
def test_a_run_that_is_killed_at_any_call_is_completed_by_the_next_one(verb: str, has_effect: bool) -> None:
    for at in range(number_of_calls(verb)):
        ecs = deployment(verb)
        aws = Interruptible(ecs)
        aws.interrupt(at, Killed(), has_effect=has_effect, lasts=True)
        with pytest.raises(Killed):
            play(aws, verb)
        aws.recover()
        play(aws, verb)
        assert state(ecs) == wanted(verb), at
        assert not play(aws, verb), at


@pytest.mark.usefixtures("_nobody_else")
@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("verb", ["stop", "start"])
def test_a_run_that_fails_at_any_call_leaves_what_served_and_is_completed_by_the_next_one(
    verb: str, lasts: bool
) -> None:
    failures = 0
    for at in range(number_of_calls(verb)):
        ecs = deployment(verb)
        before = state(ecs)
        aws = Interruptible(ecs)
        aws.interrupt(at, error("AccessDeniedException"), lasts=lasts)
        try:
            play(aws, verb)
        except (UserError, ClientError) as e:
            failures += 1
            if "failed at step" in str(e):
                assert str(e).splitlines()[-1] == "Next: again"
            if verb == "stop" and not lasts:
                assert state(ecs) == before, at
        aws.recover()
        play(aws, verb)
        assert state(ecs) == wanted(verb), at
        assert not play(aws, verb), at
    assert failures > 5
