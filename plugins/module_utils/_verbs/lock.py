# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The lock that a verb has on a deployment: one verb at a time, and one run of it.

ECS's tags have no compare-and-set, but they are enough for Lamport's way of mutual exclusion: each run writes a tag of
its own (a claim), and then reads those of all others.

- A run that sees another one's lock, or an older claim, withdraws its own.
- A run that sees younger claims only waits for them to be withdrawn; they see its own and do so. If one of them becomes
  a lock instead, it had read before this run wrote, and this run withdraws.

Of two runs that ask at once one gets the lock, whatever their speed, as long as ECS shows a tag to a caller who reads
after it was written. AWS promises no such thing, so a run waits a moment between writing and reading.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import process
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import tag_space
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker

#: After which a run on another machine that has said nothing is taken for dead. One that waits says something, however
#: long its step takes.
STALE = timedelta(hours=3)
#: How often it does.
BEAT = timedelta(minutes=10)
#: Seconds between writing a claim and reading those of others.
SETTLE_SECONDS = 2.0
#: Seconds for which a younger claim may stand before it counts as a lock.
CLAIM_SECONDS = 60.0


class LockedError(UserError):
    """Another run has the lock."""


class LostLockError(UserError):
    """The lock of this run was lifted, so another one may work on the deployment."""


@dataclass(frozen=True)
class Identity:
    """Who asks for the lock.

    Attributes:
        deployment: name of the deployment.
        verb: what is to be done.
        who: ARN of the caller.
        hint: what the user sets to lift a lock.
    """

    deployment: str
    verb: str
    who: str
    hint: str


def read_tags(ecs: Client, arn: str) -> dict[str, str]:
    """Return all tags of the service."""
    return target.tags(api.describe_express(ecs, arn))


def is_dead(marker: Marker, now: datetime) -> bool:
    """Return whether a run has certainly ended, or has said nothing for so long that it must have."""
    if process.is_here(marker.process):
        return process.has_ended(marker.process)
    return now - marker.seen > STALE


def explain(marker: Marker, deployment: str, hint: str, now: datetime) -> str:
    """Return who has the lock, since when, at which step, and how to lift it."""
    begin = (
        f"The deployment '{deployment}' is locked by the verb {marker.verb}, at step {marker.step}, since"
        f" {marker.since:%Y-%m-%d %H:%M} UTC, by {marker.who or 'an unknown caller'} (run {marker.run})."
    )
    if is_dead(marker, now):
        return (
            f"{begin} That run has ended without finishing: run {marker.verb} again, which completes it, or lift the"
            f" lock with {hint} and leave everything as it is."
        )
    where = (
        f"It is running on this machine, as process {marker.process.split('.')[1]}."
        if process.is_here(marker.process)
        else f"It runs on another machine and was last seen at {marker.seen:%H:%M} UTC."
    )
    return f"{begin} {where} Wait for its end. If it was killed, lift the lock with {hint}."


def unfinished_verbs(tags: Mapping[str, str], now: datetime) -> list[dict[str, typing.Any]]:
    """Return the verbs that have a lock by these tags, oldest first, as mlflow_deployment_status documents them."""
    return [
        {
            "verb": one.verb,
            "step": one.step,
            "since": one.since.isoformat(timespec="seconds"),
            "caller": one.who,
            "run": one.run,
            "ended": is_dead(one, now),
        }
        for one in markers.locks(tags)
    ]


def refuse_if_locked(
    tags: Mapping[str, str], deployment: str, hint: str, now: datetime, so: str = "Nothing was changed."
) -> None:
    """Fail if a verb works on the deployment, or one has not been finished.

    Args:
        tags: of the service, all of them.
        deployment: its name.
        hint: what the user sets to lift a lock.
        now: the time.
        so: what is not done therefore, in a sentence.

    Raises:
        LockedError: with the sentence of explain().
    """
    for marker in markers.locks(tags):
        raise LockedError(f"{so} {explain(marker, deployment, hint, now)}")


class Lock:
    """The lock of one run on one service.

    Args:
        ecs: client of ECS.
        arn: of the service.
        identity: who asks.
        make_waiter: makes the waiters; tests pass their own.
        wall: the time of day.
        alarms: what is muted as long as this run has the lock; None if nothing is.
    """

    def __init__(
        self,
        ecs: Client,
        arn: str,
        identity: Identity,
        make_waiter: Callable[..., Waiter] = Waiter,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        alarms: AlarmActions | None = None,
    ) -> None:
        self._ecs = ecs
        self._arn = arn
        self._identity = identity
        self._make_waiter = make_waiter
        self._wall = wall
        self._own: Marker | None = None
        self._alarms = alarms
        self._is_muted = False
        self._tags: dict[str, str] = {}

    def left_behind(self, lift: bool = False) -> list[Marker]:
        """Return the locks that this run may take over: those of dead runs of its verb, and with *lift* all."""
        return [one for one in self._others() if lift or self._is_continued(one)]

    def refuse(self, lift: bool = False) -> None:
        """Change nothing, and fail if acquire() would.

        Raises:
            LockedError: another run has it.
            UserError: there is no space for its tags.
        """
        for other in self._others():
            if not (lift or self._is_continued(other)):
                raise self._locked(other)
        tag_space.make(self._tags, self._identity.deployment)

    def acquire(self, lift: bool = False) -> list[str]:
        """Get the lock; return sentences about locks that were lifted or taken over.

        Args:
            lift: whether to lift whatever lock there is.

        Raises:
            LockedError: another run has it.
            UserError: there is no space for its tags.
        """
        said = []
        abandoned = []
        for other in self._others():
            is_continued = self._is_continued(other)
            if not (lift or is_continued):
                raise self._locked(other)
            abandoned.append(other)
            what = "was cut off" if is_continued else "was lifted on request"
            said.append(f"The lock of run {other.run}, {other.verb} at step {other.step}, {what}.")
        if in_the_way := tag_space.make(self._tags, self._identity.deployment):
            api.untag(self._ecs, self._arn, in_the_way)
        now = self._wall()
        self._own = Marker(
            run=markers.new_run_id(now),
            verb=self._identity.verb,
            state=markers.CLAIMED,
            step=0,
            since=now,
            seen=now,
            process=process.own_process(),
            who=self._identity.who,
        )
        self._write(self._own)
        try:
            self._decide({one.run for one in abandoned})
            self._write(replace(self._own, state=markers.HELD))
            if abandoned:
                api.untag(self._ecs, self._arn, [one.key for one in abandoned])
        except BaseException:
            self.release()
            raise
        return [*said, *self._mute()]

    def mark(self, step: int) -> None:
        """Say at which step the run is.

        Raises:
            LostLockError: somebody has lifted the lock.
        """
        if self._own is None:
            return
        if self._own.key not in read_tags(self._ecs, self._arn):
            raise LostLockError(f"The lock of this run ({self._own.run}) was lifted by somebody else.")
        self._write(self._own.at(step, self._wall()))

    def beat(self) -> None:
        """Say that the run goes on, if it has not done so for a while: a step may take longer than STALE.

        Raises:
            LostLockError: the lock was lifted.
        """
        if self._own is None or self._wall() - self._own.seen < BEAT:
            return
        try:
            self.mark(self._own.step)
        except LostLockError:
            raise
        except (AnsibleAWSError, BotoCoreError, ClientError):
            # No reason to end a step that goes on: the next poll says it.
            return

    def release(self) -> str:
        """Give the lock back, and let alarms be told again; return why the latter failed, empty if it did not."""
        said = ""
        if self._is_muted and self._alarms is not None:
            # Whether the deployment is stopped now.
            said = self._alarms.unmute(read_tags(self._ecs, self._arn))
            self._is_muted = False
        if self._own is not None:
            api.untag(self._ecs, self._arn, [self._own.key])
            self._own = None
        return said

    def _mute(self) -> list[str]:
        """Mute the alarms of the deployment, if it has any; return a sentence if that failed."""
        if self._alarms is None or not markers.alarm_prefix(self._tags):
            return []
        self._is_muted = True
        failed = self._alarms.mute(self._tags)
        return [failed] if failed else []

    def _is_continued(self, other: Marker) -> bool:
        return other.verb == self._identity.verb and is_dead(other, self._wall())

    def _others(self) -> list[Marker]:
        own = self._own.run if self._own else ""
        self._tags = read_tags(self._ecs, self._arn)
        return [one for one in markers.locks(self._tags) if one.run != own]

    def _write(self, marker: Marker) -> None:
        api.tag(self._ecs, self._arn, marker.tags())
        self._own = marker

    def _decide(self, abandoned: set[str]) -> None:
        """Wait until it is decided that this run has the lock.

        Raises:
            LockedError: another one has it.
        """
        own = typing.cast(Marker, self._own)
        waiter = self._make_waiter(timeout=CLAIM_SECONDS, delay=SETTLE_SECONDS)
        others: list[Marker] = []
        for poll in waiter.polls():
            if poll == 0:
                continue
            others = [one for one in self._others() if one.run not in abandoned]
            for other in others:
                if other.state != markers.CLAIMED or other.run < own.run:
                    raise self._locked(other)
            if not others:
                return
        raise self._locked(others[0])

    def _locked(self, other: Marker) -> LockedError:
        who = self._identity
        return LockedError(f"Nothing was changed. {explain(other, who.deployment, who.hint, self._wall())}")
