# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls on one S3 bucket of the caller's account. Private to the collection.

Facts: S3 API Reference, HeadBucket.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import CallerIdentity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code


@dataclass(frozen=True)
class BucketClient:
    """Calls on one bucket. They name the expected owner, so that they never reach another account's bucket."""

    s3: Client
    name: str
    caller: CallerIdentity
    region: str

    @property
    def arn(self) -> str:
        return f"arn:{self.caller.partition}:s3:::{self.name}"

    def call(self, operation: str, **params: typing.Any) -> dict[str, typing.Any]:
        """Call an operation on the bucket as its owner."""
        answer: dict[str, typing.Any] = getattr(self.s3, operation)(
            Bucket=self.name, ExpectedBucketOwner=self.caller.account_id, **params
        )
        return answer

    def retrying(self) -> BucketClient:
        """Return a client for a new bucket, which may not be visible everywhere yet."""
        return BucketClient(self.s3.retrying("NoSuchBucket", "404"), self.name, self.caller, self.region)


def locate(client: BucketClient) -> bool:
    """Return whether the bucket exists, is ours and is in our region.

    Raises:
        UserError: it belongs to another account, we may not read it, or it is in another region.
    """
    try:
        answer = client.call("head_bucket")
    except ClientError as e:
        code = error_code(e)
        if code in ("404", "NoSuchBucket"):
            return False
        if code in ("403", "AccessDenied"):
            raise UserError(_forbidden(client)) from e
        if code in ("301", "PermanentRedirect"):
            there = e.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
            raise UserError(_elsewhere(client, there or "another region")) from e
        if code in ("400", "BadRequest"):
            raise UserError(
                f"S3 refused to look at the bucket {client.name} (400 Bad Request): it is in another region than"
                f" {client.region}, or the credentials have expired."
            ) from e
        raise
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    there = answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or client.region
    if there != client.region:
        raise UserError(_elsewhere(client, there))
    return True


def _elsewhere(client: BucketClient, there: str) -> str:
    return (
        f"The bucket {client.name} is in {there}, not in {client.region}. A bucket cannot be moved: choose another"
        f" name, or run in {there}."
    )


def _forbidden(client: BucketClient) -> str:
    """Distinguish another account's bucket from an unreadable one of ours; S3 answers 403 for both."""
    try:
        ours = client.name in [bucket["Name"] for bucket in client.s3.list_buckets()["Buckets"]]
    except ClientError:
        ours = None
    denied = f"they need s3:ListBucket on {client.arn}."
    if ours is None:
        return (
            f"S3 denies access to the bucket {client.name}. Either it belongs to another AWS account; then choose"
            f" another name. Or these credentials may not look at it; then {denied}"
        )
    if ours:
        return f"These credentials may not look at the bucket {client.name}: {denied}"
    return taken(client.name)


def taken(name: str) -> str:
    return (
        f"The bucket name {name} belongs to another AWS account; names are unique in all of AWS. Choose another name."
    )


def or_none(call: typing.Callable[[], typing.Any], *codes: str) -> typing.Any:
    try:
        return call()
    except ClientError as e:
        if error_code(e) in codes:
            return None
        raise
