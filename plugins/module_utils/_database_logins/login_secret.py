# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The secret with the server's login, and how far a rotation has come, which is a tag of that secret.

The staging labels are those of AWS's own rotation: a value is AWSPENDING until the database accepts it (AWS Secrets
Manager User Guide, "Rotation by Lambda function", alternating users).
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager import read
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.generate import GenerateOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.generate import generate

NOTE_KEY = f"{INTERNAL_PREFIX}rotation"
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
_NEVER = datetime.fromtimestamp(0, UTC)
#: How far a rotation has come: the secret gets its new version, a deployment was begun, the former password is being
#: taken, which cannot be undone, all is done.
PROMOTING, DEPLOYING, RETIRING, DONE = "promoting", "deploying", "retiring", "done"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
# Of libpq, psql and URIs none has to quote letters and digits; RDS refuses some signs for its master user.
_SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_OPTIONS = GenerateOptions(template={}, key="password", length=32, exclude_characters=_SIGNS)


@dataclass(frozen=True)
class Note:
    """A rotation that is under way, or the last one.

    Attributes:
        state: PROMOTING, DEPLOYING, RETIRING or DONE.
        version: of the secret, which the rotation makes the current one.
        former: the version before.
        deployment: id of the deployment whose tasks have the new login; empty if it was not begun.
        at: when the state was reached.
    """

    state: str
    version: str = ""
    former: str = ""
    deployment: str = ""
    at: datetime = _NEVER

    def text(self) -> str:
        """Return the value of the tag that it is."""
        parts = {"state": self.state, "to": self.version, "from": self.former, "deployment": self.deployment}
        shown = [f"{key}={value}" for key, value in parts.items() if value]
        return " ".join([*shown, f"at={self.at.astimezone(UTC).strftime(_TIME)}"])


def note_of(tags: Mapping[str, str]) -> Note | None:
    """Return the rotation that a secret's tags tell of."""
    parts = dict(part.partition("=")[::2] for part in tags.get(NOTE_KEY, "").split())
    if not parts.get("state"):
        return None
    try:
        at = datetime.strptime(parts.get("at", ""), _TIME).replace(tzinfo=UTC)
    except ValueError:
        at = _NEVER
    return Note(parts["state"], parts.get("to", ""), parts.get("from", ""), parts.get("deployment", ""), at)


class LoginSecret:
    """A secret with a username and a password, as of the last read().

    Args:
        client: of Secrets Manager.
        name: name or ARN of the secret.
        remember: called with each password, so that Ansible hides it everywhere.
        wall: the time of day.

    Attributes:
        arn: its ARN.
        current, pending: ids of its versions; empty if there is none.
        note: how far a rotation has come.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        remember: Callable[[str], None],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._name = name
        self._remember = remember
        self._wall = wall
        self.arn = self.current = self.pending = ""
        self.note: Note | None = None
        self._is_half_moved = False

    def read(self) -> None:
        """Read which versions there are, and the note.

        Raises:
            UserError: there is no such secret, or it has no value.
        """
        found = read.describe(self._client, self._name)
        if not found or found.get("DeletedDate"):
            raise UserError(f"There is no secret {self._name}: deploy first, or check its name and AWS_REGION.")
        labels = {version: set(stages) for version, stages in found.get("VersionIdsToStages", {}).items()}
        self.arn = str(found["ARN"])
        self.current = next((version for version, stages in labels.items() if CURRENT in stages), "")
        # A run that was cut off while it moved the labels has left it on the current version.
        self._is_half_moved = PENDING in labels.get(self.current, ())
        waiting = [version for version, stages in labels.items() if PENDING in stages and version != self.current]
        self.pending = waiting[0] if waiting else ""
        self.note = note_of(tags_from_aws(found.get("Tags")))
        if not self.current:
            raise UserError(f"The secret {self._name} has no value.")

    def members(self, stage: str = CURRENT) -> dict[str, typing.Any]:
        """Return what a version holds; its password is hidden by Ansible from then on.

        Raises:
            UserError: it is no JSON object.
        """
        text = self._client.get_secret_value(SecretId=self._name, VersionStage=stage).get("SecretString") or ""
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("password"), str):
            raise UserError(f"The secret {self._name} does not hold a JSON object with a password.")
        self._remember(found["password"])
        return found

    def name_user(self, username: str) -> None:
        """Write whose password it is, into a secret that does not say it yet."""
        value = json.dumps({**self.members(), "username": username})
        self.current = str(self._client.put_secret_value(SecretId=self._name, SecretString=value)["VersionId"])

    def prepare(self, username: str) -> None:
        """Keep a new password beside the current one, unless a run that was cut off has done so."""
        if self.pending and self.members(PENDING).get("username") == username:
            return
        self.complete_promotion()
        value = generate(_OPTIONS, {**self.members(), "username": username})
        self._remember(json.loads(value)["password"])
        answer = self._client.put_secret_value(SecretId=self._name, SecretString=value, VersionStages=[PENDING])
        self.pending = str(answer["VersionId"])

    def promote(self) -> None:
        """Make the new version the current one."""
        former, new = self.current, self.pending
        self._move(CURRENT, former, new)
        self._move(PENDING, new, "")
        self.current, self.pending = new, ""

    def complete_promotion(self) -> None:
        """Take the label of a new version from the current one, where a run was cut off before it did so."""
        if self._is_half_moved:
            self._move(PENDING, self.current, "")
            self._is_half_moved = False

    def put_back(self) -> None:
        """Make the former version the current one again, if the note knows one; the new one is pending again."""
        # What was begun may have come to half of its end.
        self.read()
        note = self.note
        if note is None or not note.former or self.current != note.version:
            return
        self._move(CURRENT, note.version, note.former)
        labels = (read.describe(self._client, self._name) or {}).get("VersionIdsToStages", {})
        holder = next((version for version, stages in labels.items() if PENDING in stages), "")
        if holder != note.version:
            self._move(PENDING, holder, note.version)
        self.current, self.pending = note.former, note.version

    def write(self, state: str, **changed: str) -> None:
        """Note how far the rotation has come."""
        note = replace(self.note or Note(state), state=state, at=self._wall(), **changed)
        self._client.tag_resource(SecretId=self._name, Tags=tags_to_aws({NOTE_KEY: note.text()}))
        self.note = note

    def forget(self) -> None:
        """Take the note away."""
        self._client.untag_resource(SecretId=self._name, TagKeys=[NOTE_KEY])
        self.note = None

    def _move(self, label: str, source: str, to: str) -> None:
        """Give a label to another version. AWSPREVIOUS follows AWSCURRENT by itself."""
        parts = {"RemoveFromVersionId": source, "MoveToVersionId": to}
        given = {key: value for key, value in parts.items() if value}
        self._client.update_secret_version_stage(SecretId=self._name, VersionStage=label, **given)


def is_rotating(note: Note | None) -> bool:
    """Return whether a rotation was begun and has not ended."""
    return note is not None and note.state != DONE
