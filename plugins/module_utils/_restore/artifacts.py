# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Artifacts that were there at the restored moment and were deleted since: found and brought back from their versions.

A deleted object is hidden by a delete marker, and its versions stay (Amazon S3 User Guide, "Working with delete
markers"). What is there now is never touched, whether it is newer or not.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import PROBE_FOLDER

Entry = Mapping[str, typing.Any]

#: What is no artifact of a run.
_OTHERS = tuple(f"{folder}/" for folder in (manifest.PREFIX, manifest.DROP_PREFIX, PROBE_FOLDER))


@dataclass(frozen=True)
class Deleted:
    """An object that is to come back.

    Attributes:
        key: of the object.
        version: that it had at the restored moment.
        markers: the delete markers above that version; empty if other versions lie between.
    """

    key: str
    version: str
    markers: tuple[str, ...]


def find_deleted(entries: Iterable[Entry], moment: datetime) -> list[Deleted]:
    """Return the objects that were there at a moment, and are not now.

    Args:
        entries: versions and delete markers as ListObjectVersions has them, those of a key next to each other, newest
            first. A delete marker has no ETag.
        moment: with a time zone.
    """
    return [one for key, versions in _by_key(entries) if (one := _deleted(key, versions, moment))]


def _by_key(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    key, versions = "", list[Entry]()
    for one in entries:
        if str(one["Key"]) != key and versions:
            yield key, versions
            versions = []
        key = str(one["Key"])
        versions.append(one)
    if versions:
        yield key, versions


def _deleted(key: str, versions: list[Entry], moment: datetime) -> Deleted | None:
    ordered = sorted(versions, key=lambda one: (bool(one.get("IsLatest")), one["LastModified"]), reverse=True)
    if key.startswith(_OTHERS) or "ETag" in ordered[0]:
        return None
    then = next((number for number, one in enumerate(ordered) if one["LastModified"] <= moment), None)
    if not then or "ETag" not in ordered[then]:
        # It was not there yet, or had been deleted already.
        return None
    above = ordered[:then]
    only_markers = all("ETag" not in one for one in above)
    markers = tuple(str(one["VersionId"]) for one in above) if only_markers else ()
    return Deleted(key, str(ordered[then]["VersionId"]), markers)


class Artifacts:
    """The artifacts of one deployment.

    Args:
        s3: client of S3.
        bucket: of the deployment.
        owner: account that the bucket must belong to.
        wait_options: how to show what is going on.
    """

    def __init__(self, s3: Client, bucket: str, owner: str, wait_options: WaitOptions) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._where = {"Bucket": bucket, "ExpectedBucketOwner": owner}
        self._wait = wait_options

    def find(self, moment: datetime) -> list[Deleted]:
        """Return the objects that were there at a moment, and are not now.

        Raises:
            UserError: the bucket keeps no versions.
        """
        if self._s3.get_bucket_versioning(**self._where).get("Status") != "Enabled":
            raise UserError(
                f"The bucket {self._bucket} keeps no versions, so no artifact that was deleted can be brought back."
                " Restore the database alone."
            )
        return find_deleted(self._entries(), moment)

    def _entries(self) -> Iterator[Entry]:
        """Yield versions and delete markers of each page, in the order of keys."""
        marks: dict[str, str] = {}
        while True:
            page = self._s3.list_object_versions(**self._where, **marks)
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            # A key of which a page has a part only is put together by who groups them.
            yield from sorted(entries, key=lambda one: str(one["Key"]))
            if not page.get("IsTruncated"):
                return
            marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}
            marks = {name: value for name, value in marks.items() if value}

    def bring_back(self, found: Iterable[Deleted]) -> int:
        """Bring objects back; return how many."""
        number = 0
        for number, one in enumerate(found, 1):
            self._wait.beat()
            for marker in one.markers:
                self._s3.delete_object(Key=one.key, VersionId=marker, **self._where)
            if not one.markers:
                # In parts, and by S3 itself, if it is large.
                source = {"Bucket": self._bucket, "Key": one.key, "VersionId": one.version}
                self._s3.copy(source, self._bucket, one.key)
            if number % 100 == 0:
                self._wait.report(f"{number} artifacts brought back")
        return number
