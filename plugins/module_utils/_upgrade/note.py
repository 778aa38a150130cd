# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What an upgrade is about: its versions, the names of what it makes, the tag that says how far it is. Pure Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import version_at_least
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import version_numbers

UPGRADE_KEY = f"{INTERNAL_PREFIX}upgrade"
IMAGE_KEY = f"{INTERNAL_PREFIX}upgrade-from-image"
TO_IMAGE_KEY = f"{INTERNAL_PREFIX}upgrade-to-image"
KEYS = (UPGRADE_KEY, IMAGE_KEY, TO_IMAGE_KEY)

UPGRADE, ROLLBACK = "upgrade", "rollback"

#: How far it has come: no task runs, the tables may be changed, users may be let in, the way back was begun, the old
#: tables are in their place again.
FENCED, MIGRATING, SERVING, GOING_BACK, BACK = "fenced", "migrating", "serving", "going-back", "back"

SAME, NEWER, OLDER, UNKNOWN = "same", "newer", "older", "unknown"

# PostgreSQL cuts names off after 63 bytes (NAMEDATALEN).
_LONGEST = 63
# MLflow's own image (docs of ghcr.io/mlflow/mlflow): the tag is the version.
_TAG = re.compile(r"/mlflow/mlflow:v([0-9]+\.[0-9]+\.[0-9]+)(-full)?(@sha256:[0-9a-f]+)?\Z")


@dataclass(frozen=True)
class Note:
    """An upgrade or a rollback that is under way, or that was cut off.

    Attributes:
        to_version, from_version: of MLflow.
        from_image: of the server before.
        stamp: when it was begun, as names have it.
        state: FENCED, MIGRATING, SERVING, GOING_BACK or BACK.
        verb: UPGRADE or ROLLBACK.
        to_image: of the server afterwards, where only a copy of the database knows it.
        from_revision, to_revision: ids of the service's revisions, which tell command and environment beside those
            images; empty if they are not known.
    """

    to_version: str
    from_version: str
    from_image: str
    stamp: str
    state: str = FENCED
    verb: str = UPGRADE
    to_image: str = ""
    from_revision: str = ""
    to_revision: str = ""

    def at(self, state: str) -> Note:
        """Return it in a state."""
        return replace(self, state=state)

    @property
    def source(self) -> str:
        """What it goes from, in words."""
        return named(self.from_version, self.from_image)

    @property
    def goal(self) -> str:
        """What it goes to, in words."""
        return named(self.to_version, self.to_image)

    def tags(self) -> Tags:
        """Return the tags that it is."""
        # An image fills a tag of its own, and all else fits into one, as a service has few tags to spare.
        parts = {
            "verb": self.verb,
            "to": self.to_version,
            "from": self.from_version,
            "begun": self.stamp,
            "state": self.state,
            **({"from-revision": self.from_revision} if self.from_revision else {}),
            **({"to-revision": self.to_revision} if self.to_revision else {}),
        }
        found = {UPGRADE_KEY: " ".join(f"{key}={value}" for key, value in parts.items()), IMAGE_KEY: self.from_image}
        return {**found, **({TO_IMAGE_KEY: self.to_image} if self.to_image else {})}


def named(version: str, image: str) -> str:
    """Return what runs, in words; an image of the user's own does not say which version it holds."""
    return f"MLflow {version}" if version else f"the image {image}"


def note_of(tags: Mapping[str, str]) -> Note | None:
    """Return the upgrade that a service's tags tell of."""
    parts = dict(part.partition("=")[::2] for part in tags.get(UPGRADE_KEY, "").split())
    if not parts.get("begun"):
        return None
    return Note(
        parts.get("to", ""),
        parts.get("from", ""),
        tags.get(IMAGE_KEY, ""),
        parts["begun"],
        parts.get("state", FENCED),
        parts.get("verb", UPGRADE),
        tags.get(TO_IMAGE_KEY, ""),
        parts.get("from-revision", ""),
        parts.get("to-revision", ""),
    )


def new_stamp(now: datetime) -> str:
    """Return the part of names that says when an upgrade was begun."""
    return now.astimezone(UTC).strftime("%y%m%d%H%M%S")


def version_of_image(image: str) -> str:
    """Return the version that the tag of MLflow's own image names; empty for other images."""
    found = _TAG.search(f"/{image}")
    return found[1] if found else ""


def compare(running: str, wanted: str) -> str:
    """Return SAME, NEWER, OLDER or UNKNOWN: what the wanted version is, compared with the running one."""
    if version_numbers(running) is None or version_numbers(wanted) is None:
        return UNKNOWN
    if running == wanted:
        return SAME
    return NEWER if version_at_least(wanted, running) else OLDER


@dataclass(frozen=True)
class Names:
    """What things of one upgrade are called.

    Attributes:
        deployment: its name.
        database: the server's.
        version: to which it is upgraded.
        stamp: see Note.
    """

    deployment: str
    database: str
    version: str
    stamp: str

    @property
    def copy(self) -> str:
        """Of the database as it was before."""
        return f"{before(self.database)}{self.version.replace('.', '_')}"

    @property
    def failed(self) -> str:
        """Of the database that an upgrade has failed on."""
        return f"{self.database}_failed_{self.stamp}"

    @property
    def replaced(self) -> str:
        """Of the database that a rollback has replaced."""
        return f"{self.database}_replaced_{self.stamp}"

    @property
    def snapshot(self) -> str:
        return f"{self.deployment}-before-{self.version.replace('.', '-')}-{self.stamp}"

    def problem(self) -> str:
        """Return what is wrong with the names; empty if nothing is."""
        longest = max(len(name.encode()) for name in (self.copy, self.failed, self.replaced))
        if longest <= _LONGEST:
            return ""
        return (
            f"the name of the database, {self.database}, is too long by {longest - _LONGEST} characters: PostgreSQL"
            f" cuts that of a copy off after {_LONGEST}"
        )


def before(database: str) -> str:
    """Return how the names of all copies of a database begin."""
    return f"{database}_before_"


def is_kept(name: str, database: str) -> bool:
    """Return whether a database is one that an upgrade or a rollback has kept."""
    return name.startswith((before(database), f"{database}_failed_")) or is_replaced(name, database)


def is_replaced(name: str, database: str) -> bool:
    """Return whether a database is one that a rollback has replaced."""
    return name.startswith(f"{database}_replaced_")
