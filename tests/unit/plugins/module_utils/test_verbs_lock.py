# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One verb works on a deployment at a time, whoever asks when; a run that was killed is told from one that goes on."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import internal_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import tag_limits
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import process
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import Turns
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import schedules

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ELSEWHERE = "0123456789ab.1.1"
WHO = "arn:aws:sts::123456789012:assumed-role/deployer/somebody@example.org"


def new_lock(ecs: Any, verb: str = "backup", now: datetime = NOW) -> lock.Lock:
    identity = lock.Identity("tracking", verb, WHO, "-e mlflow_unlock=true")
    return lock.Lock(ecs, ARN, identity, make_waiter=no_waiting(), wall=lambda: now)


def marker(**changes: Any) -> markers.Marker:
    given: dict[str, Any] = {
        "run": "20261130T110000Z-00000000",
        "verb": "backup",
        "state": markers.HELD,
        "step": 2,
        "since": NOW - timedelta(hours=1),
        "seen": NOW - timedelta(minutes=5),
        "process": ELSEWHERE,
        "who": WHO,
    }
    return markers.Marker(**{**given, **changes})


def ended_process() -> str:
    """A process of this machine that is gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return f"{process.machine()}.{child.pid}.1"


@pytest.mark.parametrize("who", [WHO, f"arn:aws:sts::123456789012:assumed-role/{'r' * 64}/{'s,' * 32}"])
def test_a_marker_is_a_tag_that_ecs_takes_and_can_be_read_again(who: str) -> None:
    written = marker(who=who, process=process.own_process()).tags()
    [(key, value)] = written.items()
    assert len(key) <= 128 and len(value) <= 256
    # Users' tags must not begin so; all else about it is what a tag may be.
    assert tag_limits.tag_problems("tags", {"x": value}) == []
    [read] = markers.locks(written)
    assert (read.verb, read.step, read.since, read.seen) == ("backup", 2, marker().since, marker().seen)
    assert who.startswith(read.who[:80]) and read.process == process.own_process()


def test_what_cannot_be_read_counts_as_a_lock() -> None:
    ecs = TaggedService()
    ecs.tags[f"{markers.LOCK_PREFIX}x"] = "?"
    with pytest.raises(lock.LockedError):
        new_lock(ecs).acquire()


def test_a_lock_is_taken_marked_and_given_back() -> None:
    ecs = TaggedService()
    ecs.tags["team"] = "vision"
    mine = new_lock(ecs)
    assert mine.acquire() == []
    mine.mark(3)
    [held] = markers.locks(ecs.tags)
    assert (held.verb, held.state, held.step, held.who) == ("backup", markers.HELD, 3, WHO)
    mine.release()
    assert ecs.tags == {"team": "vision"}


@pytest.mark.parametrize("verb", ["backup", "stop"])
def test_a_run_elsewhere_is_waited_for(verb: str) -> None:
    ecs = TaggedService()
    ecs.tags.update(marker().tags())
    before = dict(ecs.tags)
    with pytest.raises(lock.LockedError) as refused:
        new_lock(ecs, verb).acquire()
    said = str(refused.value)
    for part in ("Nothing was changed", "'tracking'", "verb backup, at step 2", "2026-11-30 11:00 UTC", WHO):
        assert part in said
    assert "-e mlflow_unlock=true" in said and "on another machine" in said
    assert ecs.tags == before and ecs.writes == []


def test_a_run_that_goes_on_here_is_named_by_its_process() -> None:
    ecs = TaggedService()
    ecs.tags.update(marker(process=process.own_process()).tags())
    with pytest.raises(lock.LockedError, match=f"process {os.getpid()}"):
        new_lock(ecs).acquire()


def test_a_killed_run_is_continued_by_the_same_verb() -> None:
    ecs = TaggedService()
    ecs.tags.update(marker(process=ended_process()).tags())
    [said] = new_lock(ecs).acquire()
    assert "step 2, was cut off" in said
    [held] = markers.locks(ecs.tags)
    assert held.process == process.own_process()


def test_a_killed_run_is_not_overrun_by_another_verb_unless_that_is_asked_for() -> None:
    ecs = TaggedService()
    ecs.tags.update(marker(process=ended_process()).tags())
    with pytest.raises(lock.LockedError, match="run backup again, which completes it"):
        new_lock(ecs, "stop").acquire()
    assert len(new_lock(ecs, "stop").acquire(lift=True)) == 1
    assert [one.verb for one in markers.locks(ecs.tags)] == ["stop"]


def test_a_run_elsewhere_is_dead_after_hours_without_a_word() -> None:
    silent = NOW - lock.STALE - timedelta(minutes=1)
    assert lock.is_dead(marker(seen=silent), NOW)
    assert not lock.is_dead(marker(seen=NOW - lock.STALE + timedelta(minutes=1)), NOW)
    # One that is here and goes on is not, however long it takes.
    assert not lock.is_dead(marker(seen=silent, process=process.own_process()), NOW)


def test_a_process_that_got_the_id_of_another_one_is_not_that() -> None:
    own = process.own_process()
    assert not process.has_ended(own)
    if own.rpartition(".")[2]:
        assert process.has_ended(f"{own.rpartition('.')[0]}.1")


def test_it_is_known_beforehand_which_locks_are_taken_over() -> None:
    ecs = TaggedService()
    ecs.tags.update(marker(process=ended_process()).tags())
    assert len(new_lock(ecs).left_behind()) == 1
    new_lock(ecs).refuse()
    assert new_lock(ecs, "stop").left_behind() == [] and len(new_lock(ecs, "stop").left_behind(lift=True)) == 1
    with pytest.raises(lock.LockedError):
        new_lock(ecs, "stop").refuse()
    new_lock(ecs, "stop").refuse(lift=True)
    assert ecs.writes == []


def test_a_lock_that_was_lifted_is_not_taken_again() -> None:
    ecs = TaggedService()
    mine = new_lock(ecs)
    mine.acquire()
    ecs.tags.clear()
    with pytest.raises(lock.LostLockError):
        mine.mark(2)
    assert ecs.tags == {}


def test_a_run_that_waits_in_a_step_says_so_and_is_not_taken_for_dead() -> None:
    ecs, now = TaggedService(), [NOW]
    identity = lock.Identity("tracking", "restore", WHO, "")
    mine = lock.Lock(ecs, ARN, identity, make_waiter=no_waiting(), wall=lambda: now[0])  # type: ignore[arg-type]
    mine.acquire()
    mine.mark(4)
    while now[0] < NOW + 3 * lock.STALE:
        now[0] += timedelta(minutes=1)
        mine.beat()
        [seen] = markers.locks(ecs.tags)
        assert not lock.is_dead(replace(seen, process=ELSEWHERE), now[0]) and seen.step == 4
    # Once in a while is enough.
    assert len(ecs.writes) <= 3 * lock.STALE / lock.BEAT + 3


def test_a_beat_survives_an_outage_and_ends_a_run_whose_lock_was_lifted() -> None:
    ecs, now = TaggedService(), [NOW]
    identity = lock.Identity("tracking", "restore", WHO, "")
    mine = lock.Lock(ecs, ARN, identity, make_waiter=no_waiting(), wall=lambda: now[0])  # type: ignore[arg-type]
    mine.acquire()
    now[0] += lock.BEAT
    works, ecs.describe_express_gateway_service = ecs.describe_express_gateway_service, _unreachable  # type: ignore[method-assign]
    mine.beat()
    ecs.describe_express_gateway_service = works  # type: ignore[method-assign]
    mine.beat()
    [seen] = markers.locks(ecs.tags)
    assert seen.seen == now[0]
    ecs.tags.clear()
    mine.beat()
    now[0] += lock.BEAT
    with pytest.raises(lock.LostLockError):
        mine.beat()
    assert ecs.tags == {}


def _unreachable(**_sent: Any) -> Any:
    raise UserError("ECS does not answer")


def test_a_service_with_as_many_tags_as_users_may_set_has_space_for_a_verb() -> None:
    ecs = TaggedService()
    applied = record.Record(time="2026-11-30T11:00:00Z", resources={f"r{number}": "0" * 32 for number in range(20)})
    own = {f"k{number}": "v" for number in range(tag_limits.DEPLOYMENT.most)} | {"ManagedBy": "x", "MlflowName": "y"}
    ecs.tags.update({**own, markers.MONITORED_KEY: "tracking", "aws:x": "y"})
    ecs.tags.update(list(applied.tags().items())[: 50 - len(ecs.tags)])
    mine = new_lock(ecs)
    mine.refuse()
    assert ecs.writes == []
    mine.acquire()
    # The record is written anew by the next deployment.
    assert record.keys(ecs.tags) == set() and own.items() <= ecs.tags.items()
    [notes] = [{*note.Note("1", "0", "a", "b", to_image="c").tags()}]
    ecs.set_tags(dict.fromkeys([*notes, markers.STOPPED_KEY], "v"))


def test_the_record_stays_where_there_is_space() -> None:
    ecs = TaggedService()
    ecs.tags.update(record.Record(time="2026-11-30T11:00:00Z", resources={"service": "0123"}).tags())
    before = dict(ecs.tags)
    new_lock(ecs).acquire()
    assert before.items() <= ecs.tags.items()


def test_too_many_tags_of_others_are_refused_before_anything_is_written() -> None:
    ecs = TaggedService()
    ecs.tags.update({f"k{number}": "v" for number in range(45)})
    for ask in (lambda: new_lock(ecs).acquire(), lambda: new_lock(ecs).refuse()):
        with pytest.raises(UserError, match=r"has 45 tags, and this needs up to 8 more of the 50 .* with 3 tags less"):
            ask()
    assert ecs.writes == []


def test_what_verbs_may_write_at_once_is_what_is_counted() -> None:
    """Each kind of tag that the code writes, by the place that counts them."""
    locks = [*marker().tags(), *marker(run="2").tags()]
    written = [*locks, markers.STOPPED_KEY, markers.MONITORED_KEY, markers.MAINTAINED_KEY, *note.KEYS]
    for kind, number in internal_tags.VERB_TAGS.items():
        beginning = f"{internal_tags.INTERNAL_PREFIX}{kind}"
        assert len([key for key in written if key.startswith(beginning)]) == number, kind
    assert len(written) == internal_tags.INTERNAL_TAGS


def attempt(verb: str, now: datetime, ecs: Any, winners: list[str], refused: list[str]) -> None:
    """Ask for the lock, and say in one of the lists how it went."""
    try:
        new_lock(ecs, verb, now).acquire()
        winners.append(verb)
    except lock.LockedError:
        refused.append(verb)


# Each run makes four calls until it is decided: read, claim, read, and hold or withdraw.
@pytest.mark.parametrize("older", [0, 1])
def test_of_two_runs_at_once_one_gets_the_lock_whatever_their_order(older: int) -> None:
    for schedule in schedules(7):
        turns = Turns(schedule)
        ecs = TaggedService(turns)
        winners: list[str] = []
        refused: list[str] = []
        begun = {"backup": NOW + timedelta(seconds=older), "stop": NOW + timedelta(seconds=1 - older)}
        threads = [
            turns.thread(verb, functools.partial(attempt, verb, now, ecs, winners, refused))
            for verb, now in begun.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1 and len(refused) == 1, (schedule, winners, refused)
        assert [one.verb for one in markers.locks(ecs.tags)] == winners
