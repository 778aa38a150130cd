# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The tags of a service that say which verb works on the deployment, and whether it was stopped. Pure Python.

A lock is one tag for each run, whose key ends with the run's id: so two runs never write the same tag, and what one of
them has written is not lost to the other (see lock.py). A value has up to 256 letters, digits, spaces and
``_.:/=+-@`` (botocore's model of ecs, TagValue).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags

LOCK_PREFIX = f"{INTERNAL_PREFIX}run:"
STOPPED_KEY = f"{INTERNAL_PREFIX}stopped"
#: Says with what the names of the deployment's alarms begin, if it has any.
MONITORED_KEY = f"{INTERNAL_PREFIX}monitored"
#: Names the group of the deployment's schedules, if it has any.
MAINTAINED_KEY = f"{INTERNAL_PREFIX}maintained"
#: A run that asks for the lock, and one that has it.
CLAIMED, HELD = "claimed", "held"
#: The verb that stops a deployment because the user wants it stopped.
STOP = "stop"
_LONGEST = 256
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_UNSUITABLE = re.compile(r"[^\w.:/=+@-]")


@dataclass(frozen=True)
class Marker:
    """A verb's lock on a deployment.

    Attributes:
        run: id of the run; ids sort by the time at which the runs began.
        verb: what it does, such as backup.
        state: CLAIMED or HELD.
        step: number of the step that it is at, 0 before the first.
        since: when it began.
        seen: when it last said so.
        process: where it runs, see process.py.
        who: ARN of the caller; shortened if it is very long.
    """

    run: str
    verb: str
    state: str
    step: int
    since: datetime
    seen: datetime
    process: str
    who: str

    def tags(self) -> Tags:
        """Return the tag that it is."""
        parts = [
            f"verb={self.verb}",
            f"state={self.state}",
            f"step={self.step}",
            f"since={_text(self.since)}",
            f"seen={_text(self.seen)}",
            f"process={self.process}",
            f"by={_UNSUITABLE.sub('-', self.who)}",
        ]
        return {f"{LOCK_PREFIX}{self.run}": " ".join(parts)[:_LONGEST]}

    @property
    def key(self) -> str:
        """The key of its tag."""
        return f"{LOCK_PREFIX}{self.run}"

    def at(self, step: int, now: datetime) -> Marker:
        """Return it at a step."""
        return replace(self, step=step, seen=now)


@dataclass(frozen=True)
class Stopped:
    """That a deployment was stopped, and what it was before.

    Attributes:
        since: when.
        least, most: number of tasks that it had.
        verb: STOP, or the verb that keeps users away while it works on the database.
    """

    since: datetime
    least: int
    most: int
    verb: str = STOP

    def tags(self) -> Tags:
        """Return the tag that it is."""
        by = "" if self.verb == STOP else f" verb={self.verb}"
        return {STOPPED_KEY: f"since={_text(self.since)} min={self.least} max={self.most}{by}"}

    def explain(self, deployment: str) -> str:
        """Return since when, and what brings the server back, in a sentence."""
        since = f"{self.since:%Y-%m-%d %H:%M} UTC"
        if self.verb == STOP:
            return f"The deployment '{deployment}' was stopped at {since}: start it first, with the playbook start."
        return (
            f"The verb {self.verb} has scaled the server of '{deployment}' to zero tasks at {since}, and was cut off:"
            f" complete it first, with the playbook {self.verb}."
        )


def new_run_id(now: datetime) -> str:
    """Return an id that sorts by time."""
    return f"{now.strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(4)}"


def locks(tags: Mapping[str, str]) -> list[Marker]:
    """Return the locks among a service's tags, oldest first."""
    found = [_lock(key, value) for key, value in tags.items() if key.startswith(LOCK_PREFIX)]
    return sorted(found, key=lambda one: one.run)


def stopped(tags: Mapping[str, str]) -> Stopped | None:
    """Return whether the deployment was stopped."""
    if STOPPED_KEY not in tags:
        return None
    parts = _parts(tags[STOPPED_KEY])
    least, most = _number(parts.get("min", "1")), _number(parts.get("max", "1"))
    return Stopped(_time(parts.get("since", "")), least, most, parts.get("verb", STOP))


def alarm_prefix(tags: Mapping[str, str]) -> str:
    """Return with what the names of the deployment's alarms begin, empty if it has none."""
    return tags.get(MONITORED_KEY, "")


def schedule_group(tags: Mapping[str, str]) -> str:
    """Return the group of the deployment's schedules, empty if it has none."""
    return tags.get(MAINTAINED_KEY, "")


def _lock(key: str, value: str) -> Marker:
    parts = _parts(value)
    return Marker(
        run=key.removeprefix(LOCK_PREFIX),
        verb=parts.get("verb", "unknown"),
        # What cannot be read is taken for a lock: another run may have put it there.
        state=parts.get("state", HELD),
        step=_number(parts.get("step", "0")),
        since=_time(parts.get("since", "")),
        seen=_time(parts.get("seen", "")),
        process=parts.get("process", ""),
        who=parts.get("by", ""),
    )


def _parts(value: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in value.split())


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_TIME)


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
