# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deleted artifacts come back, and what is never touched."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Artifacts

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
# By key: from the oldest to the newest, v a version and d a delete marker, with the hour.
HISTORIES = {
    "1/r/there": "v11",
    "1/r/deleted": "v11 d13",
    "1/r/deleted-twice": "v11 d13 d14",
    "1/r/deleted-before": "v10 d11 d13",
    "1/r/made-later": "v13 d14",
    "1/r/overwritten": "v11 v13",
    "1/r/overwritten-and-deleted": "v11 v13 d14",
    "1/r/deleted-and-made-again": "v11 d13 v14",
    "1/r/twice": "v10 v11 d13",
    "_backups/tracking/x/manifest.json": "v11 d13",
    "_probe/p": "v11 d13",
}


class Bucket:
    """A bucket with versions, of which a page has three entries."""

    def __init__(self, histories: dict[str, str], status: str = "Enabled") -> None:
        self.status = status
        self.kept = {key: [self._entry(word) for word in text.split()] for key, text in histories.items()}

    def _entry(self, word: str) -> tuple[str, str, datetime]:
        return word[0], word, datetime(2026, 11, 23, int(word[1:]), tzinfo=UTC)

    def get_bucket_versioning(self, **_sent: Any) -> Any:
        return {"Status": self.status}

    def list_object_versions(self, KeyMarker: str = "", VersionIdMarker: str = "", **_sent: Any) -> Any:
        listed = []
        for key, history in sorted(self.kept.items()):
            for kind, version, moment in reversed(history):
                entry = {"Key": key, "VersionId": version, "LastModified": moment}
                entry["IsLatest"] = version == history[-1][1]
                listed.append(("Versions", {**entry, "ETag": "e"}) if kind == "v" else ("DeleteMarkers", entry))
        names = [(entry["Key"], entry["VersionId"]) for _member, entry in listed]
        start = names.index((KeyMarker, VersionIdMarker)) + 1 if KeyMarker else 0
        page: dict[str, Any] = {"IsTruncated": start + 3 < len(listed)}
        for member, entry in listed[start : start + 3]:
            page.setdefault(member, []).append(entry)
        if page["IsTruncated"]:
            page["NextKeyMarker"], page["NextVersionIdMarker"] = names[start + 2]
        return page

    def delete_object(self, Key: str, VersionId: str, **_sent: Any) -> None:
        assert VersionId.startswith("d"), "a version is lost"
        self.kept[Key] = [one for one in self.kept[Key] if one[1] != VersionId]

    def copy(self, source: dict[str, str], _bucket: str, key: str) -> None:
        assert source["Key"] == key
        self.kept[key].append(("v", source["VersionId"], datetime(2026, 11, 23, 20, tzinfo=UTC)))

    def shown(self) -> dict[str, str]:
        """The versions that are the newest of their keys."""
        return {key: history[-1][1] for key, history in self.kept.items() if history[-1][0] == "v"}


def artifacts(bucket: Bucket) -> Artifacts:
    """As the verb has them."""
    return Artifacts(bucket, "bucket", "123456789012", WaitOptions())  # type: ignore[arg-type]


def test_what_was_deleted_since_comes_back_as_it_was_then_and_nothing_else_changes() -> None:
    bucket = Bucket(HISTORIES)
    before = bucket.shown()
    some = artifacts(bucket)
    assert some.bring_back(some.find(NOON)) == 4
    back = {"1/r/deleted": "v11", "1/r/deleted-twice": "v11", "1/r/overwritten-and-deleted": "v11", "1/r/twice": "v11"}
    assert bucket.shown() == {**before, **back}
    assert some.find(NOON) == []


def test_a_bucket_without_versions_says_so() -> None:
    with pytest.raises(UserError, match="keeps no versions"):
        artifacts(Bucket({}, "Suspended")).find(NOON)
