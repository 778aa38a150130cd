# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps are done in their order under a lock; when one fails, what it and those before it did is taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import TaggedService
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting


class Trace:
    """A verb of three steps, of which some fail."""

    def __init__(self, failing: str = "", undo_failing: str = "", error: BaseException | None = None) -> None:
        self.ecs = TaggedService()
        self.done: list[str] = []
        self._failing, self._undo_failing = failing, undo_failing
        self._error = error or UserError("RDS has no capacity")
        steps = [
            Step("Scale to zero", self._act("zero"), self._undo("zero"), ExpectedDuration(1, 3), downtime=True),
            Step("Take a snapshot", self._act("snapshot"), cost="its storage"),
            Step("Rename", self._act("rename"), self._undo("rename"), downtime=True),
        ]
        self.verb = Verb("move", "tracking", steps, lambda: "The old one serves.", lambda: "A snapshot stays.", "again")

    def _act(self, name: str) -> Callable[[], None]:
        def act() -> None:
            [held] = markers.locks(self.ecs.tags)
            self.done.append(f"{held.step} {name}")
            if name == self._failing:
                raise self._error

        return act

    def _undo(self, name: str) -> Callable[[], None]:
        def undo() -> None:
            self.done.append(f"undo {name}")
            if name == self._undo_failing:
                raise UserError("ECS does not answer")

        return undo

    def run(self) -> list[str]:
        """Do it."""
        identity = lock.Identity("tracking", "move", "arn:aws:iam::123456789012:user/a", "unlock: true")
        return run_steps(
            self.verb,
            lock.Lock(self.ecs, ARN, identity, make_waiter=no_waiting()),
            Progress("tracking", path=""),
        )


def test_steps_are_marked_and_the_lock_is_given_back() -> None:
    trace = Trace()
    trace.run()
    assert trace.done == ["1 zero", "2 snapshot", "3 rename"]
    assert trace.ecs.tags == {}


def test_a_step_that_waits_says_that_the_run_goes_on() -> None:
    trace = Trace()
    progress = Progress("tracking", path="")
    waits = WaitOptions(timeout=0.01, delay=0.001, beat=progress.beat)
    beats: list[int] = []

    def wait() -> None:
        for number in waits.waiter().polls():
            beats.append(number)

    trace.verb = replace(trace.verb, steps=[Step("Wait", wait)])
    identity = lock.Identity("tracking", "move", "arn:aws:iam::123456789012:user/a", "unlock: true")
    own = lock.Lock(trace.ecs, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]
    seen: list[None] = []
    own.beat = lambda: seen.append(None)  # type: ignore[method-assign]
    run_steps(trace.verb, own, progress)
    assert len(seen) == len(beats) > 0


def test_a_failed_step_and_those_before_it_are_undone_the_last_one_first() -> None:
    trace = Trace(failing="rename")
    with pytest.raises(UserError) as failed:
        trace.run()
    assert trace.done == ["1 zero", "2 snapshot", "3 rename", "undo rename", "undo zero"]
    assert str(failed.value).splitlines() == [
        "move 'tracking' failed at step 3 of 3, 'Rename': RDS has no capacity.",
        "The old one serves.",
        "A snapshot stays.",
        "Next: again",
    ]
    assert trace.ecs.tags == {}


def test_an_error_that_nothing_expects_is_undone_too() -> None:
    """Users must not stay without a server, and it is named by its class, as its text may say nothing."""
    trace = Trace(failing="rename", error=KeyError("Endpoint"))
    with pytest.raises(UserError, match=r"failed at step 3 of 3, 'Rename': KeyError: 'Endpoint'\."):
        trace.run()
    assert trace.done[-2:] == ["undo rename", "undo zero"] and trace.ecs.tags == {}


def test_what_cannot_be_undone_keeps_others_away_until_it_is_completed() -> None:
    trace = Trace(failing="rename", undo_failing="rename")
    with pytest.raises(UserError, match="Undoing the step 'Rename' failed as well: ECS does not answer"):
        trace.run()
    assert trace.done[-1] == "undo rename"
    assert [one.verb for one in markers.locks(trace.ecs.tags)] == ["move"]


def test_an_interrupted_run_undoes_nothing_and_leaves_its_lock() -> None:
    trace = Trace(failing="snapshot", error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        trace.run()
    assert trace.done == ["1 zero", "2 snapshot"]
    [left] = markers.locks(trace.ecs.tags)
    assert (left.verb, left.step) == ("move", 2)


def test_nothing_is_done_without_the_lock() -> None:
    trace = Trace()
    trace.ecs.tags[f"{markers.LOCK_PREFIX}other"] = "verb=backup"
    with pytest.raises(lock.LockedError):
        trace.run()
    assert trace.done == []


def test_the_plan_says_how_long_and_whether_users_notice() -> None:
    assert Trace().verb.plan() == [
        "move 'tracking' would take 3 steps:",
        "1. Scale to zero (at AWS usually 1 to 3 minutes, users are without a server)",
        "2. Take a snapshot (seconds, no downtime, its storage)",
        "3. Rename (seconds, users are without a server)",
    ]


def test_a_run_whose_lock_was_lifted_ends_and_undoes_nothing() -> None:
    trace = Trace()
    trace.verb = replace(trace.verb, steps=[trace.verb.steps[0], Step("Wait", trace.ecs.tags.clear), *trace.verb.steps])
    with pytest.raises(UserError) as failed:
        trace.run()
    assert trace.done == ["1 zero"] and trace.ecs.tags == {}
    first, serving, following = str(failed.value).splitlines()
    assert first.startswith("move 'tracking' ended after step 2 of 5: The lock of this run (")
    assert first.endswith("Nothing was undone, as another run may work on the deployment.")
    assert (serving, following) == ("The old one serves.", "Next, when no other run works on it: again")


@pytest.mark.parametrize("failing", ["", "rename"])
def test_a_lock_that_cannot_be_given_back_hides_nothing(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace(failing=failing)

    def refuse(_lock: lock.Lock) -> None:
        raise UserError("ECS does not answer")

    monkeypatch.setattr(lock.Lock, "release", refuse)
    said = "The lock could not be given back, which the next move does: ECS does not answer."
    if not failing:
        assert trace.run() == [said]
        return
    with pytest.raises(UserError) as failed:
        trace.run()
    assert said in str(failed.value) and "at step 3 of 3, 'Rename': RDS has no capacity" in str(failed.value)


def test_nothing_is_done_that_another_run_has_done_meanwhile() -> None:
    trace = Trace()
    trace.verb = replace(trace.verb, refresh=lambda: False)
    trace.run()
    assert trace.done == [] and trace.ecs.tags == {}


def test_what_is_found_unfit_under_the_lock_gives_it_back() -> None:
    trace = Trace()

    def refresh() -> bool:
        raise UserError("A deployment is under way.")

    trace.verb = replace(trace.verb, refresh=refresh)
    with pytest.raises(UserError, match=r"^A deployment is under way\.$"):
        trace.run()
    assert trace.ecs.tags == {}


def test_a_lock_explains_more_than_what_a_preflight_finds() -> None:
    trace = Trace()
    identity = lock.Identity("tracking", "move", "", "unlock: true")
    own = lock.Lock(trace.ecs, ARN, identity)

    def preflight(_resume: bool) -> bool:
        raise UserError("A deployment is under way.")

    with pytest.raises(UserError, match="under way"):
        prepare(preflight, own)
    trace.ecs.tags[f"{markers.LOCK_PREFIX}other"] = "verb=backup"
    with pytest.raises(lock.LockedError, match="verb backup"):
        prepare(preflight, own)


def test_a_check_run_says_whose_lock_it_would_take_over() -> None:
    trace = Trace()
    trace.ecs.tags[f"{markers.LOCK_PREFIX}other"] = "verb=backup step=2"
    left = markers.locks(trace.ecs.tags)
    assert plan(trace.verb, True, left)[:2] == [
        "The lock of run other, backup at step 2, would be taken over.",
        "move 'tracking' would take 3 steps:",
    ]
    assert plan(trace.verb, False, left)[1:] == ["Nothing else is left to do."]
