# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the settings of a bucket. Private to the collection."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import BucketClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import Settings


def apply(client: BucketClient, current: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    """Write the settings that differ, one after the other: S3 refuses concurrent changes of one bucket."""
    for setting, write in _WRITERS.items():
        if after[setting] != current[setting]:
            write(client, current, after)


def _write_public_access_block(client: BucketClient, _current: Settings, after: Settings) -> None:
    client.call("put_public_access_block", PublicAccessBlockConfiguration=after["public_access_block"])


def _write_object_ownership(client: BucketClient, _current: Settings, after: Settings) -> None:
    rules = [{"ObjectOwnership": after["object_ownership"]}]
    client.call("put_bucket_ownership_controls", OwnershipControls={"Rules": rules})


def _write_encryption(client: BucketClient, _current: Settings, after: Settings) -> None:
    client.call("put_bucket_encryption", ServerSideEncryptionConfiguration=_encryption_rules(after["encryption"]))


def _write_versioning(client: BucketClient, _current: Settings, after: Settings) -> None:
    client.call("put_bucket_versioning", VersioningConfiguration={"Status": after["versioning"]})


def _write_policy(client: BucketClient, _current: Settings, after: Settings) -> None:
    client.call("put_bucket_policy", Policy=json.dumps(after["policy"]))


def _write_lifecycle_rules(client: BucketClient, current: Settings, after: Settings) -> None:
    size = current["_transition_size"]
    extra = {"TransitionDefaultMinimumObjectSize": size} if size else {}
    lifecycle = {"Rules": after["lifecycle_rules"]}
    if after["lifecycle_rules"]:
        client.call("put_bucket_lifecycle_configuration", LifecycleConfiguration=lifecycle, **extra)
    else:
        client.call("delete_bucket_lifecycle")


def _write_tags(client: BucketClient, current: Settings, after: Settings) -> None:
    tags = tags_to_aws(after["tags"]) + current["_reserved_tags"]
    if tags:
        client.call("put_bucket_tagging", Tagging={"TagSet": tags})
    else:
        client.call("delete_bucket_tagging")


def _write_logging(client: BucketClient, _current: Settings, after: Settings) -> None:
    log = after["logging_enabled"]
    try:
        client.call("put_bucket_logging", BucketLoggingStatus={"LoggingEnabled": log} if log else {})
    except ClientError as e:
        if error_code(e) != "InvalidTargetBucketForLogging":
            raise
        raise UserError(
            f"S3 does not deliver the access logs of {client.name} to the bucket {log['TargetBucket']}"
            f" ({e.response['Error'].get('Message', '')}): name one of this account in {client.region} whose policy"
            " lets S3's logging service put objects."
        ) from e


def check_access_log_bucket(client: BucketClient, target: str) -> None:
    """Refuse a bucket that cannot receive the access logs; an unreadable one is accepted.

    S3 User Guide, "Enabling Amazon S3 server access logging": both buckets are in one region and one account, and a
    bucket that logs to itself logs its logs.

    Raises:
        UserError: there is none, it is elsewhere, or it is the same bucket.
    """
    option = "access_log_bucket"
    if target == client.name:
        reason = f"is {target}, the bucket itself, which would log its own logs"
        raise UserError(Violation(option, reason, "name another"))
    try:
        answer = client.s3.head_bucket(Bucket=target, ExpectedBucketOwner=client.caller.account_id)
    except ClientError as e:
        code = error_code(e)
        if code in ("404", "NoSuchBucket"):
            remedy = f"create it in {client.region}, or correct the name"
            raise UserError(Violation(option, f"is {target}, which does not exist", remedy)) from e
        headers = e.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        there = headers.get("x-amz-bucket-region") if code in ("301", "PermanentRedirect") else None
    else:
        there = answer.get("BucketRegion")
    if there and there != client.region:
        remedy = f"S3 delivers access logs within {client.region} only, so name a bucket there"
        raise UserError(Violation(option, f"is {target}, which is in {there}", remedy))


def _encryption_rules(encryption: dict[str, typing.Any]) -> dict[str, typing.Any]:
    default = {"SSEAlgorithm": encryption["algorithm"]}
    if encryption["kms_key_id"]:
        default["KMSMasterKeyID"] = encryption["kms_key_id"]
    rule: dict[str, typing.Any] = {"ApplyServerSideEncryptionByDefault": default}
    if encryption["algorithm"] != "AES256":
        rule["BucketKeyEnabled"] = encryption["bucket_key_enabled"]
    return {"Rules": [rule]}


# In the order in which they are written.
_WRITERS: dict[str, Callable[[BucketClient, Settings, Settings], None]] = {
    "public_access_block": _write_public_access_block,
    "object_ownership": _write_object_ownership,
    "encryption": _write_encryption,
    "versioning": _write_versioning,
    "policy": _write_policy,
    "lifecycle_rules": _write_lifecycle_rules,
    "logging_enabled": _write_logging,
    "tags": _write_tags,
}
