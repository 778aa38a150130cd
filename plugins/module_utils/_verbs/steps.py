# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What all verbs share: numbered steps under a lock, each of which can be undone, a plan, and a report.

A verb is a list of steps. Each step finds out by itself what is left to do, so that a run that was cut off is completed
by another one that begins anew. The lock's marker tells people where a run is; no decision hangs on it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import LostLockError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker

T = typing.TypeVar("T")
_EXPECTED = (AnsibleAWSError, BotoCoreError, ClientError)


def _nothing() -> None:
    """Undo a step that has left nothing."""


def _go_on() -> bool:
    """Return that the steps are needed, of a verb that reads nothing anew."""
    return True


@dataclass(frozen=True)
class Step:
    """One step of a verb.

    Attributes:
        title: what it does, such as "Take a snapshot of the database".
        run: does it, or finds that it is done.
        undo: takes back what it has done, also if it was cut off in the middle.
        duration: how long it usually takes.
        downtime: whether users are without a server meanwhile.
        cost: what it costs, in words; empty if nothing worth a word.
    """

    title: str
    run: Callable[[], None]
    undo: Callable[[], None] = _nothing
    duration: ExpectedDuration = field(default_factory=ExpectedDuration)
    downtime: bool = False
    cost: str = ""


@dataclass(frozen=True)
class Verb:
    """What is done to a deployment.

    Attributes:
        name: such as backup.
        deployment: its name.
        steps: in their order.
        serving: returns what serves users now, in a sentence.
        kept: returns what a run that failed has left behind, in a sentence.
        again: the command that completes it.
        refresh: reads anew, under the lock, what the steps need; returns whether there is anything left to do. Between
            the preflight and the lock another run may have come to its end.
    """

    name: str
    deployment: str
    steps: Sequence[Step]
    serving: Callable[[], str]
    kept: Callable[[], str]
    again: str
    refresh: Callable[[], bool] = _go_on

    def plan(self) -> list[str]:
        """Return the steps as lines for people, with duration, downtime and cost."""
        lines = [f"{self.name} '{self.deployment}' would take {len(self.steps)} steps:"]
        for number, step in enumerate(self.steps, 1):
            parts = [
                str(step.duration) or "seconds",
                "users are without a server" if step.downtime else "no downtime",
                *([step.cost] if step.cost else []),
            ]
            lines.append(f"{number}. {step.title} ({', '.join(parts)})")
        return lines


def prepare(preflight: Callable[[bool], T], lock: Lock, lift: bool = False) -> tuple[T, list[Marker]]:
    """Read what a verb needs; return what its preflight does, and the locks that it would take over.

    Args:
        preflight: reads it, given whether a run that was cut off is completed; returns whether there is anything to do,
            or what it has found.
        lock: that the verb would have.
        lift: whether it lifts whatever lock there is.

    Raises:
        UserError: the deployment is not fit for the verb, or another run works on it, which explains more.
    """
    left = lock.left_behind(lift)
    try:
        return preflight(bool(left)), left
    except UserError:
        lock.refuse(lift)
        raise


def plan(verb: Verb, is_needed: bool, left: Sequence[Marker]) -> list[str]:
    """Return what a run would do, as lines for people.

    Args:
        verb: the verb.
        is_needed: whether it has anything to do.
        left: locks that it would take over.
    """
    lines = [f"The lock of run {one.run}, {one.verb} at step {one.step}, would be taken over." for one in left]
    return lines + (verb.plan() if is_needed else ["Nothing else is left to do."])


def run_steps(verb: Verb, lock: Lock, progress: Progress, lift: bool = False) -> list[str]:
    """Do all steps of a verb under its lock; return sentences about locks that were lifted.

    If a step fails, it and those before it are undone, the last one first. If the lock was lifted meanwhile, nothing is
    undone, as another run may work on the deployment.

    Raises:
        UserError: another run has the lock, or a step failed: what it was, what serves now, what was kept, and what to
            do next.
    """
    said = lock.acquire(lift)
    progress.heartbeat = lock.beat
    done: list[Step] = []
    try:
        if verb.refresh():
            _do(verb, lock, progress, done)
    except LostLockError as e:
        raise UserError(_explain_lost(verb, done, e)) from e
    except Exception as e:
        # Whatever it is: users must not stay without a server because of it.
        if not done:
            _give_back(verb, lock)
            raise
        undone = _undo(done, lock, progress) or _give_back(verb, lock)
        raise UserError(_explain(verb, done, e, undone), **_details(e)) from e
    kept = _give_back(verb, lock)
    return [*said, kept] if kept else said


def _do(verb: Verb, lock: Lock, progress: Progress, done: list[Step]) -> None:
    """Do all steps; *done* gets each as it begins."""
    for number, step in enumerate(verb.steps, 1):
        lock.mark(number)
        progress.expected_duration = step.duration
        progress.report(f"step {number} of {len(verb.steps)}: {step.title}")
        done.append(step)
        step.run()


def _give_back(verb: Verb, lock: Lock) -> str:
    """Give the lock back; return what failed of it, empty if nothing did."""
    try:
        return lock.release()
    except (AnsibleAWSError, BotoCoreError, ClientError) as e:
        return f"The lock could not be given back, which the next {verb.name} does: {_reason(e)}"


def _undo(done: list[Step], lock: Lock, progress: Progress) -> str:
    """Undo steps, the last one first; return why that failed, empty if it did not."""
    for number, step in reversed(list(enumerate(done, 1))):
        if step.undo is _nothing:
            continue
        progress.report(f"undo: {step.title}")
        try:
            lock.mark(number)
            step.undo()
        except Exception as e:
            return f"Undoing the step '{step.title}' failed as well: {_reason(e)}"
    return ""


def _explain_lost(verb: Verb, done: list[Step], error: Exception) -> str:
    parts = [
        f"{verb.name} '{verb.deployment}' ended after step {len(done)} of {len(verb.steps)}: {_reason(error)} Nothing"
        " was undone, as another run may work on the deployment.",
        _or_unknown(verb.serving),
        f"Next, when no other run works on it: {verb.again}",
    ]
    return "\n".join(parts)


def _explain(verb: Verb, done: list[Step], error: Exception, undone: str) -> str:
    number = len(done)
    parts = [
        f"{verb.name} '{verb.deployment}' failed at step {number} of {len(verb.steps)}, '{done[-1].title}':"
        f" {_reason(error)}",
        undone,
        _or_unknown(verb.serving),
        _or_unknown(verb.kept),
        f"Next: {verb.again}",
    ]
    return "\n".join(part for part in parts if part)


def _or_unknown(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception as e:
        return f"What serves now could not be read: {_reason(e)}"


def _reason(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).rstrip(".") + "."
    return text if isinstance(error, _EXPECTED) else f"{type(error).__name__}: {text}"


def _details(error: Exception) -> dict[str, typing.Any]:
    return dict(getattr(error, "kwargs", None) or {})
