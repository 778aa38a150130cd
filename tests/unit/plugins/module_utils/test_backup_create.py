# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is all or nothing, whatever fails or is killed at whichever call, and what is said about it is true."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.create import Creation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.create import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.backup_fake import BUCKET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.backup_fake import NOW
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.backup_fake import BackedUp
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_deployment_fake import Interruptible
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_deployment_fake import Killed
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

TARGET = Target("tracking", "default", ARN, "arn:aws:iam::123456789012:user/ana")
INCOMPLETE = "_backups/tracking/first/incomplete.json"


def creation(aws: Any, days: int = 0, timeout: float = 5, **request: Any) -> Creation:
    """A run of the verb, so many days later."""
    given: dict[str, Any] = {
        "backup": "first",
        "keep": 1,
        "portable": True,
        "bucket": BUCKET,
        "instance": "tracking",
        "host": "",
        "port": 5432,
        "database": "mlflow",
        "username": "mlflow",
        "secret_ids": ("tracking/login",),
        "variables": {"mlflow_version": "3.17.2"},
        "region": "eu-central-1",
        "account_id": "123456789012",
        **request,
    }
    waits = WaitOptions(timeout=timeout, delay=0.0001)
    return Creation(lambda _service: aws, TARGET, Request(**given), waits, lambda: NOW + timedelta(days=days))


def back_up(aws: Any, run: Creation | None = None) -> bool:
    """Take a backup; whether there was anything to do."""
    run = run or creation(aws)
    run_lock = lock.Lock(aws, ARN, lock.Identity("tracking", "backup", TARGET.who, ""), make_waiter=no_waiting())
    is_needed, left = prepare(run.preflight, run_lock)
    if not is_needed and not left:
        return False
    run_steps(run.verb("again"), run_lock, Progress("tracking", path=""))
    return True


def deployment() -> BackedUp:
    """A deployment with an older backup, which is one too many then."""
    aws = BackedUp()
    assert back_up(aws, creation(aws, days=-1, backup="before"))
    aws.tasks_run = 0
    return aws


def states(aws: BackedUp) -> dict[str, str]:
    """What there is of backups, and in which state."""
    store = Store(lambda _service: aws, "tracking", BUCKET, "123456789012", "tracking")  # type: ignore[arg-type,return-value]
    return {one.name: one.state for one in store.list()}


def assert_done(aws: BackedUp) -> None:
    """The one backup is there, whole, and nothing else is."""
    assert states(aws) == {"first": "complete"}
    assert sorted(aws.objects) == ["_backups/tracking/first/dump.sql.gz", "_backups/tracking/first/manifest.json"]
    document = json.loads(aws.objects["_backups/tracking/first/manifest.json"])
    assert document["counts"] == {"experiments": 1, "runs": 4} and document["dump"]["size_bytes"]
    assert [one["version_id"] for one in document["secrets"]] == ["v2", "v2"]
    assert sorted(aws.snapshots) == ["tracking-backup-first"]
    assert aws.tags == {} and aws.running == {}


def number_of_calls() -> int:
    aws = Interruptible(deployment())
    assert back_up(aws)
    return aws.calls


@pytest.fixture
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that has left a lock is gone."""
    monkeypatch.setattr(lock, "is_dead", lambda _marker, _now: True)


@pytest.mark.usefixtures("_nobody_else")
@pytest.mark.parametrize("has_effect", [False, True])
def test_a_run_that_is_killed_at_any_call_is_completed_by_the_next_one(has_effect: bool) -> None:
    for at in range(number_of_calls()):
        own = deployment()
        aws = Interruptible(own)
        aws.interrupt(at, Killed(), has_effect=has_effect, lasts=True)
        with pytest.raises(Killed):
            back_up(aws)
        assert states(own).get("first") != "complete" or own.objects.get("_backups/tracking/first/manifest.json")
        aws.recover()
        back_up(aws)
        assert_done(own)
        assert own.tasks_run <= 2 and not back_up(aws), at


@pytest.mark.usefixtures("_nobody_else")
@pytest.mark.parametrize("lasts", [False, True])
def test_a_run_that_fails_at_any_call_says_what_it_is_and_is_completed_by_the_next_one(lasts: bool) -> None:
    failures = 0
    for at in range(number_of_calls()):
        own = deployment()
        aws = Interruptible(own)
        aws.interrupt(at, error("AccessDeniedException"), lasts=lasts)
        try:
            back_up(aws)
        except (UserError, ClientError) as e:
            failures += 1
            if "failed at step" in str(e):
                is_whole = states(own).get("first") == "complete"
                assert ("Backup 'first' is complete." in str(e)) == is_whole, (at, str(e))
                assert ("Backup 'first' is incomplete, and counts as none." in str(e)) != is_whole, (at, str(e))
                assert str(e).splitlines()[-1] == "Next: again"
        assert states(own).get("before") == "complete" or states(own)["first"] == "complete"
        assert own.done == [], "it has touched the server"
        aws.recover()
        back_up(aws)
        assert_done(own)
    assert failures > 10


def test_a_task_that_fails_leaves_no_backup_and_no_task_definition() -> None:
    aws = deployment()
    definitions = set(aws.definitions)
    aws.exit_code = 1
    with pytest.raises(UserError) as failed:
        back_up(aws)
    said = str(failed.value)
    assert "failed at step 1 of 4" in said and "ended with exit code 1" in said
    assert "A backup does not touch the server. Tasks of it that run: 1." in said
    assert states(aws) == {"before": "complete", "first": "incomplete"}
    assert aws.definitions == definitions and aws.tags == {}
    aws.exit_code = 0
    assert back_up(aws)
    assert_done(aws)


def test_without_a_name_the_one_that_was_cut_off_is_completed_and_otherwise_another_one_is_taken() -> None:
    aws = deployment()
    aws.fault = error("SnapshotQuotaExceeded", message="100 manual snapshots")
    with pytest.raises(UserError, match="100 manual snapshots"):
        back_up(aws)
    assert json.loads(aws.objects[INCOMPLETE])["report"]
    aws.fault = None
    assert back_up(aws, creation(aws, days=1, backup="", keep=0)) and aws.tasks_run == 1
    assert states(aws) == {"before": "complete", "first": "complete"}
    assert back_up(aws, creation(aws, days=2, backup="", keep=0))
    assert len(states(aws)) == 3


def test_one_that_was_cut_off_days_ago_is_left_alone_until_it_is_named() -> None:
    aws = deployment()
    aws.fault = error("SnapshotQuotaExceeded", message="100 manual snapshots")
    with pytest.raises(UserError, match="100 manual snapshots"):
        back_up(aws)
    aws.fault = None
    run = creation(aws, days=2, backup="", keep=0)
    assert back_up(aws, run) and run.left_alone == "first"
    assert states(aws) == {"before": "complete", "first": "incomplete", "20261202-120000": "complete"}
    [said] = report.left_alone("first", "backup name=")
    assert "first, which was cut off more than 24 hours ago" in said and "complete it with: backup name=first" in said
    assert back_up(aws, creation(aws, days=2, keep=0)) and states(aws)["first"] == "complete"
    again = creation(aws, days=3, backup="", keep=0)
    assert back_up(aws, again) and again.left_alone == "" and report.left_alone("", "backup name=") == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("stopped", "instance tracking is stopped: start it"),
        ("inaccessible-encryption-credentials", "which waiting does not end"),
        ("backing-up", r"could not be begun after 0.05 seconds \(wait_timeout\): .* is backing-up"),
    ],
)
def test_an_instance_of_which_no_snapshot_is_taken_is_named_with_what_it_does(status: str, said: str) -> None:
    aws = deployment()
    aws.fault = error("InvalidDBInstanceState")
    run = creation(aws, timeout=0.05)
    assert run.preflight()
    aws.status = status
    with pytest.raises(UserError, match=said):
        run.store.take_snapshot(run.names, WaitOptions(timeout=0.05, delay=0.01))


def test_a_backup_that_another_run_has_completed_meanwhile_is_left_as_it_is() -> None:
    aws = deployment()
    late = creation(aws)
    assert late.preflight()
    assert back_up(aws)
    before = dict(aws.objects)
    run_lock = lock.Lock(aws, ARN, lock.Identity("tracking", "backup", "", ""), make_waiter=no_waiting())  # type: ignore[arg-type]
    run_steps(late.verb("again"), run_lock, Progress("tracking", path=""))
    assert aws.objects == before and aws.tasks_run == 1 and aws.tags == {}
    assert late.manifest["name"] == "first"


def test_a_task_of_another_deployment_in_the_cluster_is_left_alone() -> None:
    """Several deployments may be backed up at once, under the same name."""
    aws = deployment()
    other = "arn:aws:ecs:eu-central-1:123456789012:task/default/other"
    aws.running[other] = aws.started[-1].replace("tracking", "analytics").replace("before", "first")
    assert back_up(aws)
    assert list(aws.running) == [other] and aws.started == ["tracking/backup/before", "tracking/backup/first"]


def test_a_deployment_that_was_stopped_is_refused() -> None:
    aws = deployment()
    aws.tags.update(markers.Stopped(NOW, 1, 1).tags())
    with pytest.raises(UserError, match=r"was stopped at 2026-11-30 12:00 UTC.*start it first"):
        back_up(aws)
    assert aws.tasks_run == 0
