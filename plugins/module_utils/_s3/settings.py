# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a bucket: desired, current and predicted. Private to the collection.

Facts: botocore's model of S3; S3 API Reference, PutBucketLifecycleConfiguration.
"""

from __future__ import annotations

import json
import typing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.kms import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import BucketClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import or_none

TLS_SID = "DenyInsecureTransport"

ABORT_RULE = "abort-incomplete-multipart-uploads"

NONCURRENT_RULE = "mlflow-expire-noncurrent-versions"

# Access logs with this prefix are ours; a configuration with another prefix is kept.
ACCESS_LOG_PREFIX = "mlflow-access-logs/{name}/"

PUBLIC_ACCESS_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@dataclass(frozen=True)
class DesiredState:
    """The user's request."""

    name: str
    adopt: bool = False
    encryption: str = "AES256"
    kms_key_id: str | None = None
    bucket_key_enabled: bool = True
    versioning: bool = True
    abort_days: int = 7
    noncurrent_days: int = 0
    access_log_bucket: str = ""
    tags: dict[str, str] | None = None
    purge_tags: bool = True


Settings = dict[str, typing.Any]


def read(client: BucketClient) -> dict[str, typing.Any]:
    """Read all settings of the bucket concurrently, in the module's format."""
    calls: dict[str, typing.Callable[[], typing.Any]] = {
        "blocks": lambda: or_none(
            lambda: client.call("get_public_access_block")["PublicAccessBlockConfiguration"],
            "NoSuchPublicAccessBlockConfiguration",
        ),
        "encryption": lambda: or_none(
            lambda: client.call("get_bucket_encryption")["ServerSideEncryptionConfiguration"],
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        "versioning": lambda: client.call("get_bucket_versioning").get("Status"),
        "policy": lambda: or_none(lambda: client.call("get_bucket_policy")["Policy"], "NoSuchBucketPolicy"),
        "ownership": lambda: or_none(
            lambda: client.call("get_bucket_ownership_controls")["OwnershipControls"],
            "OwnershipControlsNotFoundError",
        ),
        "lifecycle": lambda: or_none(
            lambda: client.call("get_bucket_lifecycle_configuration"), "NoSuchLifecycleConfiguration"
        ),
        "logging": lambda: client.call("get_bucket_logging").get("LoggingEnabled"),
        "tags": lambda: or_none(lambda: client.call("get_bucket_tagging")["TagSet"], "NoSuchTagSet"),
    }
    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        pending = {key: pool.submit(reader) for key, reader in calls.items()}
        raw = {key: future.result() for key, future in pending.items()}
    return _to_result(client, raw)


def _to_result(client: BucketClient, raw: dict[str, typing.Any]) -> dict[str, typing.Any]:
    blocks = raw["blocks"] or {}
    encryption_rules = (raw["encryption"] or {}).get("Rules") or [{}]
    default = encryption_rules[0].get("ApplyServerSideEncryptionByDefault", {})
    ownership_rules = (raw["ownership"] or {}).get("Rules") or [{}]
    lifecycle = raw["lifecycle"] or {}
    return {
        "name": client.name,
        "arn": client.arn,
        "region": client.region,
        "public_access_block": {key: bool(blocks.get(key)) for key in PUBLIC_ACCESS_BLOCKS},
        "encryption": {
            "algorithm": default.get("SSEAlgorithm") or "",
            "kms_key_id": default.get("KMSMasterKeyID") or "",
            "bucket_key_enabled": bool(encryption_rules[0].get("BucketKeyEnabled")),
        },
        "versioning": raw["versioning"] or "Disabled",
        "policy": json.loads(raw["policy"]) if raw["policy"] else {},
        "object_ownership": ownership_rules[0].get("ObjectOwnership") or "",
        "lifecycle_rules": lifecycle.get("Rules", []),
        "logging_enabled": raw["logging"] or {},
        "tags": tags_from_aws(raw["tags"]),
        # Sent back unchanged, or S3 would set it to its default.
        "_transition_size": lifecycle.get("TransitionDefaultMinimumObjectSize"),
        "_reserved_tags": [tag for tag in raw["tags"] or [] if tag["Key"].startswith("aws:")],
    }


def public(bucket: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the bucket for the user: boto3's names in snake case, without internal values."""
    encryption = bucket["encryption"]
    return {
        **{key: value for key, value in bucket.items() if not key.startswith("_")},
        "public_access_block": camel_dict_to_snake_dict(bucket["public_access_block"]),
        "encryption": {
            "sse_algorithm": encryption["algorithm"],
            "kms_master_key_id": encryption["kms_key_id"],
            "bucket_key_enabled": encryption["bucket_key_enabled"],
        },
        "lifecycle_rules": [camel_dict_to_snake_dict(rule) for rule in bucket["lifecycle_rules"]],
        "logging_enabled": camel_dict_to_snake_dict(bucket["logging_enabled"]),
    }


def nothing(client: BucketClient) -> dict[str, typing.Any]:
    """Return the settings of a bucket that does not exist."""
    raw = dict.fromkeys(("blocks", "encryption", "versioning", "policy", "ownership", "lifecycle", "logging", "tags"))
    return _to_result(client, raw)


def tls_statement(arn: str) -> dict[str, typing.Any]:
    """Return the statement that denies requests without TLS."""
    return {
        "Sid": TLS_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def with_tls_only(policy: dict[str, typing.Any], arn: str) -> dict[str, typing.Any]:
    """Return a bucket policy with our statement; the statements of others are kept."""
    ours = {"Version": "2012-10-17", "Statement": [tls_statement(arn)]}
    if not policy:
        return ours
    statements = policy.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    same = [statement for statement in statements if statement.get("Sid") == TLS_SID]
    if len(same) == 1 and not compare_policies({**ours, "Statement": same}, ours):
        return policy
    others = [statement for statement in statements if statement.get("Sid") != TLS_SID]
    return {**policy, "Version": policy.get("Version", "2012-10-17"), "Statement": [*others, *ours["Statement"]]}


def with_abort_rule(rules: list[dict[str, typing.Any]], days: int) -> list[dict[str, typing.Any]]:
    """Return lifecycle rules with ours; the rules of others are kept. 0 days leaves all rules alone."""
    if days == 0:
        return rules
    return _with_rule(rules, ABORT_RULE, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}})


def with_noncurrent_rule(rules: list[dict[str, typing.Any]], days: int) -> list[dict[str, typing.Any]]:
    """Return lifecycle rules with ours on older versions, or without it (0 days); the rules of others are kept.

    S3 User Guide, "Lifecycle configuration elements": a delete marker without any version behind it is removed by
    C(ExpiredObjectDeleteMarker).
    """
    if days == 0:
        return [rule for rule in rules if rule.get("ID") != NONCURRENT_RULE]
    expiration = {"NoncurrentDays": days}
    marker = {"ExpiredObjectDeleteMarker": True}
    return _with_rule(rules, NONCURRENT_RULE, {"NoncurrentVersionExpiration": expiration, "Expiration": marker})


def _with_rule(
    rules: list[dict[str, typing.Any]], name: str, actions: dict[str, typing.Any]
) -> list[dict[str, typing.Any]]:
    """Return lifecycle rules with one for all objects; the same list if it is there, in either of S3's spellings."""
    ours = {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **actions}
    for rule in rules:
        filters = rule.get("Filter", {"Prefix": rule.get("Prefix", "")})
        without_prefix = {key: value for key, value in rule.items() if key != "Prefix"}
        if filters in ({}, {"Prefix": ""}) and {**without_prefix, "Filter": ours["Filter"]} == ours:
            return rules
    return [*(rule for rule in rules if rule.get("ID") != name), ours]


def access_log(current: dict[str, typing.Any], name: str, target: str) -> dict[str, typing.Any]:
    """Return the access log configuration; one with another prefix is kept."""
    prefix = ACCESS_LOG_PREFIX.format(name=name)
    if not target:
        return {} if current.get("TargetPrefix") == prefix else current
    if (current.get("TargetBucket"), current.get("TargetPrefix")) == (target, prefix):
        return current
    return {"TargetBucket": target, "TargetPrefix": prefix}


def predict(current: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    """Return the bucket after the change."""
    after = dict(current)
    after["public_access_block"] = dict.fromkeys(PUBLIC_ACCESS_BLOCKS, True)
    after["encryption"] = _predict_encryption(current["encryption"], desired)
    if desired.versioning:
        after["versioning"] = "Enabled"
    elif current["versioning"] == "Enabled":
        after["versioning"] = "Suspended"
    after["policy"] = with_tls_only(current["policy"], current["arn"])
    after["object_ownership"] = "BucketOwnerEnforced"
    rules = with_abort_rule(current["lifecycle_rules"], desired.abort_days)
    after["lifecycle_rules"] = with_noncurrent_rule(rules, desired.noncurrent_days)
    after["logging_enabled"] = access_log(current["logging_enabled"], current["name"], desired.access_log_bucket)
    after["tags"] = predict_tags(current["tags"], desired.tags, desired.purge_tags)
    return after


def _predict_encryption(current: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    if desired.encryption == "AES256":
        # Bucket keys only apply to KMS.
        return current if current["algorithm"] == "AES256" else {**_NO_KEY, "algorithm": "AES256"}
    same_key = desired.kms_key_id is None or same_kms_key(desired.kms_key_id, current["kms_key_id"])
    if current["algorithm"] == desired.encryption and same_key:
        return {**current, "bucket_key_enabled": desired.bucket_key_enabled}
    return {
        "algorithm": desired.encryption,
        "kms_key_id": desired.kms_key_id or "",
        "bucket_key_enabled": desired.bucket_key_enabled,
    }


_NO_KEY = {"kms_key_id": "", "bucket_key_enabled": False}
