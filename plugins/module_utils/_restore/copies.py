# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What the instances of a restore are called, and the tag that says how far one has come. Pure Python.

All of them carry the deployment's tags, and one of this collection's own::

    <name>                       the live instance, whatever it was made from
    <name>-restoring-<stamp>     a copy that is to become the live one
    <name>-replaced-<stamp>      what was the live one, and is kept until its removal is confirmed
    <name>-drill-<stamp>         a copy that a drill makes and deletes
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints

Instance = dict[str, typing.Any]

RESTORED_KEY = f"{INTERNAL_PREFIX}restored"
REPLACED_KEY = f"{INTERNAL_PREFIX}replaced"
DRILL_KEY = f"{INTERNAL_PREFIX}drill"

#: How far a copy has come: RDS makes it, it has its settings and password, the server is being scaled to zero for it,
#: it has the live name, the server has been proven with it, all is done.
MAKING, COPIED, FENCING, SWAPPED, SERVED, DONE = "making", "copied", "fencing", "swapped", "served", "done"
#: The server is at zero tasks, or may be.
FENCED = (FENCING, SWAPPED, SERVED)

BACKUP, SNAPSHOT, TIME = "backup", "snapshot", "time"


@dataclass(frozen=True)
class Source:
    """What is restored.

    Attributes:
        kind: BACKUP, SNAPSHOT or TIME.
        value: name of the backup or of the snapshot, or the time in ISO 8601, UTC.
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"the state of {self.value}" if self.kind == TIME else f"{self.kind} '{self.value}'"


def complete_first(source: Source, hints: Hints) -> str:
    """Return that a restore was cut off, and how it is completed."""
    return (
        f"A restore of {source} was cut off while the instances change their names: complete it first, with"
        f" {hints.command(source.kind, source.value)}."
    )


def parse_time(text: str) -> Source:
    """Return the source that a time is.

    Raises:
        UserError: it is none, or it is in the future.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise UserError(
            f"The time is {text!r}, but must be one of ISO 8601, in UTC, such as 2026-11-23T12:00:00Z."
        ) from e
    # Without a time zone it is UTC.
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return Source(TIME, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def moment_of(source: Source) -> datetime:
    """Return the time that a source of that kind is."""
    return datetime.fromisoformat(source.value)


@dataclass(frozen=True)
class Origin:
    """Where a copy comes from.

    Attributes:
        snapshot: that is restored; empty for a time.
        instance: identifier of the instance whose automated backups are restored; empty for a snapshot.
        image: of the server that the backup was taken of; empty if it is not known.
        version: of MLflow, likewise.
        server: what that server was run with, as the manifest records it; empty if it does not.
        moment: the time of the state that is restored, with a time zone; None if nothing is known yet.
        expected: counts and revisions of the backup's manifest; empty without one.
    """

    snapshot: str = ""
    instance: str = ""
    image: str = ""
    version: str = ""
    server: dict[str, typing.Any] = field(default_factory=dict)
    moment: datetime | None = None
    expected: dict[str, typing.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Copy:
    """How far a copy has come.

    Attributes:
        source: what it is a copy of.
        stamp: the time at which it was begun, as names have it.
        state: how far it has come, see above.
        image: what the server had, where it gets another one.
        revision: id of the service's revision that had it, which tells what it was run with.
        was_served: whether the server has run with it, so that users may have written to it.
    """

    source: Source
    stamp: str
    state: str = MAKING
    image: str = ""
    was_served: bool = False
    revision: str = ""

    def at(self, state: str, image: str = "", *, was_served: bool = False, revision: str = "") -> Copy:
        """Return it in a state; what was known of it before stays."""
        return replace(
            self,
            state=state,
            image=image or self.image,
            was_served=was_served or self.was_served,
            revision=revision or self.revision,
        )

    def tags(self, key: str = RESTORED_KEY) -> Tags:
        """Return the tag that it is."""
        parts = [f"from={self.source.kind}={self.source.value}", f"begun={self.stamp}", f"state={self.state}"]
        more = [
            *(["served=yes"] if self.was_served else []),
            *([f"revision={self.revision}"] if self.revision else []),
            *([f"image={self.image}"] if self.image else []),
        ]
        return {key: " ".join([*parts, *more])}


def copy_of(instance: Mapping[str, typing.Any], key: str = RESTORED_KEY) -> Copy | None:
    """Return what the tag of an instance says; None if it is no copy."""
    value = tags_from_aws(instance.get("TagList") or []).get(key, "")
    parts = dict(part.partition("=")[::2] for part in value.split())
    if not parts.get("begun"):
        return None
    kind, _equals, name = parts.get("from", "").partition("=")
    state, image, was_served = parts.get("state", MAKING), parts.get("image", ""), parts.get("served") == "yes"
    return Copy(Source(kind, name), parts["begun"], state, image, was_served, parts.get("revision", ""))


def new_stamp(now: datetime) -> str:
    """Return the part of names that says when a restore was begun."""
    return now.astimezone(UTC).strftime("%y%m%d%H%M%S")


@dataclass(frozen=True)
class Names:
    """What things of one restore are called.

    Attributes:
        instance: identifier of the live instance.
        stamp: see Copy.
    """

    instance: str
    stamp: str

    @property
    def copy(self) -> str:
        return f"{self.instance}-restoring-{self.stamp}"

    @property
    def replaced(self) -> str:
        """Of the instance that was replaced, and of its final snapshot."""
        return f"{self.instance}-replaced-{self.stamp}"

    def served(self, now: datetime) -> str:
        """Of the snapshot of a copy that users have written to, and that is deleted."""
        return f"{self.replaced}-served-{new_stamp(now)}"

    @property
    def drill(self) -> str:
        return f"{self.instance}-drill-{self.stamp}"


#: RDS API Reference, CreateDBInstance: identifiers have up to 63 characters.
LONGEST_NAME = 63 - len(Names("", "000000000000").copy)


@dataclass
class Family:
    """The instances of a deployment.

    Attributes:
        live: that of the live name; None if there is none.
        copies: those that are to become the live one.
        replaced: those that were, oldest first.
        drills: what drills have left.
    """

    live: Instance | None = None
    copies: list[Instance] = field(default_factory=list)
    replaced: list[Instance] = field(default_factory=list)
    drills: list[Instance] = field(default_factory=list)

    @property
    def resources(self) -> set[str]:
        """Which instances there are, whatever they are called: RDS may be renaming one. What it deletes is gone."""
        there = [*([self.live] if self.live else []), *self.copies, *self.replaced]
        return {str(one["DbiResourceId"]) for one in there if one["DBInstanceStatus"] != "deleting"}

    @property
    def unfinished(self) -> Copy | None:
        """The restore that was cut off while the server was at zero tasks, or is under way; None if there is none."""
        there = [copy_of(one) for one in [*([self.live] if self.live else []), *self.copies]]
        return next((one for one in there if one and one.state in FENCED), None)


def family(instances: Iterable[Instance], name: str, owner: Tags) -> Family:
    """Sort out the instances of a deployment.

    Args:
        instances: all of the account and region.
        name: identifier of the live one.
        owner: tags of what belongs to the deployment.
    """
    found = Family()
    groups = {
        f"{name}-restoring-": found.copies,
        f"{name}-replaced-": found.replaced,
        f"{name}-drill-": found.drills,
    }
    for one in sorted(instances, key=lambda item: str(item["DBInstanceIdentifier"])):
        identifier, tags = str(one["DBInstanceIdentifier"]), tags_from_aws(one.get("TagList") or [])
        if identifier == name:
            found.live = one
        for beginning, group in groups.items():
            if identifier.startswith(beginning) and owner.items() <= tags.items():
                group.append(one)
    return found
