# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete a bucket. Private to the collection."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import BucketClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import locate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import or_none


def ensure_absent(
    client: BucketClient,
    *,
    adopt: bool,
    force_empty: bool,
    check_mode: bool,
    report: Callable[[str], None] = lambda _line: None,
) -> ModuleResult:
    """Delete the bucket, if it is empty or may be emptied. ``report`` gets the number of deleted objects.

    Raises:
        UserError: it is not empty, or could not be emptied.
    """
    if adopt or not locate(client):
        return ModuleResult(False, {}, {}, {}, [])
    before = {"name": client.name, "arn": client.arn, "region": client.region}
    if not force_empty:
        full = _contents(client)
        if full:
            raise UserError(
                f"The bucket {client.name} is not empty, it holds {full}. It was left alone: empty it, or set"
                " force_empty to true to delete everything in it for good."
            )
    outcome = ModuleResult(True, before, {}, {}, [])
    if check_mode:
        return outcome
    if force_empty:
        _empty(client, report)
    try:
        client.call("delete_bucket")
    except ClientError as e:
        if error_code(e) == "BucketNotEmpty" and force_empty:
            raise UserError(
                f"The bucket {client.name} was emptied, but something was written to it meanwhile: stop what writes to"
                " it and run this again."
            ) from e
        if error_code(e) != "NoSuchBucket":
            raise
    return outcome


def _contents(client: BucketClient) -> str:
    versions = client.call("list_object_versions", MaxKeys=1)
    if versions.get("Versions"):
        return "objects"
    if versions.get("DeleteMarkers"):
        return "delete markers of old objects"
    if client.call("list_multipart_uploads", MaxUploads=1).get("Uploads"):
        return "unfinished multipart uploads"
    return ""


def _empty(client: BucketClient, report: Callable[[str], None]) -> None:
    owner = client.caller.account_id
    marks: dict[str, str] = {}
    gone = 0
    while True:
        page = client.call("list_object_versions", **marks)
        versions = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for entry in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
        ]
        if versions:
            answer = client.call("delete_objects", Delete={"Objects": versions, "Quiet": True})
            for error in answer.get("Errors", []):
                raise UserError(
                    f"S3 did not delete {error.get('Key')} of the bucket {client.name}: {error.get('Code')}"
                    f" {error.get('Message')}"
                )
        gone += len(versions)
        if not page.get("IsTruncated"):
            break
        report(f"{gone} objects and versions deleted so far")
        marks = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            marks["VersionIdMarker"] = page["NextVersionIdMarker"]
    for upload in client.s3.pages("list_multipart_uploads", "Uploads", Bucket=client.name, ExpectedBucketOwner=owner):
        abort = functools.partial(client.call, "abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
        or_none(abort, "NoSuchUpload")
