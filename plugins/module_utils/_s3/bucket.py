# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 bucket for artifacts, with all its settings. Private to the collection.

Facts: botocore's model of S3; S3 API Reference (CreateBucket, HeadBucket, PutBucketLifecycleConfiguration).
"""

from __future__ import annotations

import functools
import json
import re
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import CallerIdentity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.kms import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.names import bucket_name_problem

TLS_SID = "DenyInsecureTransport"
ABORT_RULE = "abort-incomplete-multipart-uploads"
NONCURRENT_RULE = "mlflow-expire-noncurrent-versions"
# Access logs under it are ours; another prefix is that of somebody else, who may log as well.
ACCESS_LOG_PREFIX = "mlflow-access-logs/{name}/"
PUBLIC_ACCESS_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

# What buckets from before 2018 in us-east-1 may be called; the API still accepts it.
_OLD_NAME = r"[A-Za-z0-9._-]{3,255}"


@dataclass(frozen=True)
class DesiredState:
    """What the user asked for."""

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


@dataclass(frozen=True)
class Place:
    """Where the bucket is: calls on it name its owner, so that they never reach a stranger's bucket."""

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

    def retrying(self) -> Place:
        """Return the same place for a bucket that was just made and may not be visible everywhere yet."""
        return Place(self.s3.retrying("NoSuchBucket", "404"), self.name, self.caller, self.region)


def locate(place: Place) -> bool:
    """Whether the bucket exists, is ours and is in our region.

    Raises:
        UserError: it is somebody else's, we may not look at it, or it is in another region.
    """
    try:
        answer = place.call("head_bucket")
    except ClientError as e:
        code = error_code(e)
        if code in ("404", "NoSuchBucket"):
            return False
        if code in ("403", "AccessDenied"):
            raise UserError(_forbidden(place)) from e
        if code in ("301", "PermanentRedirect"):
            there = e.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
            raise UserError(_elsewhere(place, there or "another region")) from e
        if code in ("400", "BadRequest"):
            raise UserError(
                f"S3 refused to look at the bucket {place.name} (400 Bad Request): it is in another region than"
                f" {place.region}, or the credentials have expired."
            ) from e
        raise
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    there = answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or place.region
    if there != place.region:
        raise UserError(_elsewhere(place, there))
    return True


def _elsewhere(place: Place, there: str) -> str:
    return (
        f"The bucket {place.name} is in {there}, not in {place.region}. A bucket cannot be moved: choose another name,"
        f" or run in {there}."
    )


def _forbidden(place: Place) -> str:
    """Tell a stranger's bucket from one of ours that we may not look at; S3 answers 403 to both."""
    try:
        ours = place.name in [bucket["Name"] for bucket in place.s3.list_buckets()["Buckets"]]
    except ClientError:
        ours = None
    denied = f"they need s3:ListBucket on {place.arn}."
    if ours is None:
        return (
            f"S3 denies access to the bucket {place.name}. Either it belongs to another AWS account; then choose"
            f" another name. Or these credentials may not look at it; then {denied}"
        )
    if ours:
        return f"These credentials may not look at the bucket {place.name}: {denied}"
    return _taken(place.name)


def _taken(name: str) -> str:
    return (
        f"The bucket name {name} belongs to another AWS account; names are unique in all of AWS. Choose another name."
    )


def _or_none(call: typing.Callable[[], typing.Any], *codes: str) -> typing.Any:
    try:
        return call()
    except ClientError as e:
        if error_code(e) in codes:
            return None
        raise


def read(place: Place) -> dict[str, typing.Any]:
    """Read all settings of the bucket, side by side, and return them in the module's shape."""
    readers: dict[str, typing.Callable[[], typing.Any]] = {
        "blocks": lambda: _or_none(
            lambda: place.call("get_public_access_block")["PublicAccessBlockConfiguration"],
            "NoSuchPublicAccessBlockConfiguration",
        ),
        "encryption": lambda: _or_none(
            lambda: place.call("get_bucket_encryption")["ServerSideEncryptionConfiguration"],
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        "versioning": lambda: place.call("get_bucket_versioning").get("Status"),
        "policy": lambda: _or_none(lambda: place.call("get_bucket_policy")["Policy"], "NoSuchBucketPolicy"),
        "ownership": lambda: _or_none(
            lambda: place.call("get_bucket_ownership_controls")["OwnershipControls"],
            "OwnershipControlsNotFoundError",
        ),
        "lifecycle": lambda: _or_none(
            lambda: place.call("get_bucket_lifecycle_configuration"), "NoSuchLifecycleConfiguration"
        ),
        "logging": lambda: place.call("get_bucket_logging").get("LoggingEnabled"),
        "tags": lambda: _or_none(lambda: place.call("get_bucket_tagging")["TagSet"], "NoSuchTagSet"),
    }
    with ThreadPoolExecutor(max_workers=len(readers)) as pool:
        pending = {key: pool.submit(reader) for key, reader in readers.items()}
        raw = {key: future.result() for key, future in pending.items()}
    return _shape(place, raw)


def _shape(place: Place, raw: dict[str, typing.Any]) -> dict[str, typing.Any]:
    blocks = raw["blocks"] or {}
    encryption_rules = (raw["encryption"] or {}).get("Rules") or [{}]
    default = encryption_rules[0].get("ApplyServerSideEncryptionByDefault", {})
    ownership_rules = (raw["ownership"] or {}).get("Rules") or [{}]
    lifecycle = raw["lifecycle"] or {}
    return {
        "name": place.name,
        "arn": place.arn,
        "region": place.region,
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
    """Return the bucket for the user: boto3's names in snake case, without what only the module needs."""
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


def nothing(place: Place) -> dict[str, typing.Any]:
    """Return the shape of a bucket without any setting."""
    raw = dict.fromkeys(("blocks", "encryption", "versioning", "policy", "ownership", "lifecycle", "logging", "tags"))
    return _shape(place, raw)


def tls_statement(arn: str) -> dict[str, typing.Any]:
    """Return the statement that denies everything that does not come over TLS."""
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
    """Return where the access logs go: to the target, or nowhere; those of somebody else are left alone."""
    prefix = ACCESS_LOG_PREFIX.format(name=name)
    if not target:
        return {} if current.get("TargetPrefix") == prefix else current
    if (current.get("TargetBucket"), current.get("TargetPrefix")) == (target, prefix):
        return current
    return {"TargetBucket": target, "TargetPrefix": prefix}


def predict(current: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    """Return the bucket as it will be."""
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
        # Bucket keys mean something with KMS only.
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


def apply(place: Place, current: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    """Write the settings that differ, one after the other: S3 refuses changes of one bucket side by side."""
    if after["public_access_block"] != current["public_access_block"]:
        place.call("put_public_access_block", PublicAccessBlockConfiguration=after["public_access_block"])
    if after["object_ownership"] != current["object_ownership"]:
        rules = [{"ObjectOwnership": after["object_ownership"]}]
        place.call("put_bucket_ownership_controls", OwnershipControls={"Rules": rules})
    if after["encryption"] != current["encryption"]:
        place.call("put_bucket_encryption", ServerSideEncryptionConfiguration=_encryption_rules(after["encryption"]))
    if after["versioning"] != current["versioning"]:
        place.call("put_bucket_versioning", VersioningConfiguration={"Status": after["versioning"]})
    if after["policy"] != current["policy"]:
        place.call("put_bucket_policy", Policy=json.dumps(after["policy"]))
    if after["lifecycle_rules"] != current["lifecycle_rules"]:
        size = current["_transition_size"]
        extra = {"TransitionDefaultMinimumObjectSize": size} if size else {}
        lifecycle = {"Rules": after["lifecycle_rules"]}
        if after["lifecycle_rules"]:
            place.call("put_bucket_lifecycle_configuration", LifecycleConfiguration=lifecycle, **extra)
        else:
            place.call("delete_bucket_lifecycle")
    if after["logging_enabled"] != current["logging_enabled"]:
        _log_access(place, after["logging_enabled"])
    if after["tags"] != current["tags"]:
        tags = tags_to_aws(after["tags"]) + current["_reserved_tags"]
        if tags:
            place.call("put_bucket_tagging", Tagging={"TagSet": tags})
        else:
            place.call("delete_bucket_tagging")


def _log_access(place: Place, log: dict[str, typing.Any]) -> None:
    try:
        place.call("put_bucket_logging", BucketLoggingStatus={"LoggingEnabled": log} if log else {})
    except ClientError as e:
        if error_code(e) != "InvalidTargetBucketForLogging":
            raise
        raise UserError(
            f"S3 does not deliver the access logs of {place.name} to the bucket {log['TargetBucket']}"
            f" ({e.response['Error'].get('Message', '')}): name one of this account in {place.region} whose policy"
            " lets S3's logging service put objects."
        ) from e


def _check_access_log_bucket(place: Place, target: str) -> None:
    """Refuse a bucket that cannot take the access logs; one that we may not look at may well be right.

    S3 User Guide, "Enabling Amazon S3 server access logging": both buckets are in one region and one account, and a
    bucket that logs to itself logs its logs.

    Raises:
        UserError: there is none, it is elsewhere, or it is the same bucket.
    """
    if target == place.name:
        raise UserError(
            f"access_log_bucket is {target}, the bucket itself, which would log its own logs: name another."
        )
    try:
        answer = place.s3.head_bucket(Bucket=target, ExpectedBucketOwner=place.caller.account_id)
    except ClientError as e:
        code = error_code(e)
        if code in ("404", "NoSuchBucket"):
            raise UserError(
                f"access_log_bucket is {target}, which does not exist: create it in {place.region}, or correct the"
                " name."
            ) from e
        headers = e.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        there = headers.get("x-amz-bucket-region") if code in ("301", "PermanentRedirect") else None
    else:
        there = answer.get("BucketRegion")
    if there and there != place.region:
        raise UserError(
            f"access_log_bucket is {target}, which is in {there}: S3 delivers access logs within {place.region} only,"
            " so name a bucket there."
        )


def _encryption_rules(encryption: dict[str, typing.Any]) -> dict[str, typing.Any]:
    default = {"SSEAlgorithm": encryption["algorithm"]}
    if encryption["kms_key_id"]:
        default["KMSMasterKeyID"] = encryption["kms_key_id"]
    rule: dict[str, typing.Any] = {"ApplyServerSideEncryptionByDefault": default}
    if encryption["algorithm"] != "AES256":
        rule["BucketKeyEnabled"] = encryption["bucket_key_enabled"]
    return {"Rules": [rule]}


def create(place: Place) -> None:
    """Create the bucket.

    Raises:
        UserError: the name is taken, or the region does not fit.
    """
    params: dict[str, typing.Any] = {"Bucket": place.name, "ObjectOwnership": "BucketOwnerEnforced"}
    # us-east-1 is the one region that must not be named.
    if place.region != "us-east-1":
        params["CreateBucketConfiguration"] = {"LocationConstraint": place.region}
    try:
        place.s3.create_bucket(**params)
    except ClientError as e:
        code = error_code(e)
        if code == "BucketAlreadyOwnedByYou":
            # An attempt whose answer was lost, or somebody else of our account at the same time.
            locate(place)
            return
        if code == "BucketAlreadyExists":
            raise UserError(_taken(place.name)) from e
        raise


def ensure_present(place: Place, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Make the bucket as asked for, or with *adopt* only look at it.

    Raises:
        UserError: the name is wrong or taken, the region is another one, or a bucket to adopt does not exist.
    """
    problem = bucket_name_problem(place.name)
    if problem and not (desired.adopt and re.fullmatch(_OLD_NAME, place.name)):
        raise UserError(f"The bucket name {place.name} {problem}.")
    exists = locate(place)
    if desired.access_log_bucket and not desired.adopt:
        _check_access_log_bucket(place, desired.access_log_bucket)
    if desired.adopt:
        if not exists:
            raise UserError(
                f"The bucket {place.name} is to be used as it is, but does not exist: create it, correct the name, or"
                " set adopt to false."
            )
        found = _readable(place)
        return ModuleResult(False, found, found, {"bucket": found}, [])
    current = read(place) if exists else nothing(place)
    after = predict(current, desired)
    changed = not exists or after != current
    before = public(current) if exists else {}
    if changed and not check_mode:
        if not exists:
            create(place)
            place = place.retrying()
            # What S3 sets by itself on a new bucket is not set again.
            current = read(place)
            after = predict(current, desired)
        apply(place, current, after)
    return ModuleResult(changed, before, public(after), {"bucket": public(after)}, [])


def _readable(place: Place) -> dict[str, typing.Any]:
    """Return a bucket that is used as it is: its settings, or without the right to read them what it is called."""
    try:
        return public(read(place))
    except ClientError as e:
        if error_code(e) not in ("AccessDenied", "403"):
            raise
        return {"name": place.name, "arn": place.arn, "region": place.region}


def ensure_absent(
    place: Place,
    *,
    adopt: bool,
    force_empty: bool,
    check_mode: bool,
    tell: Callable[[str], None] = lambda _line: None,
) -> ModuleResult:
    """Delete the bucket, if it is empty or may be emptied. ``tell`` gets how many objects are gone.

    Raises:
        UserError: it is not empty, or could not be emptied.
    """
    if adopt or not locate(place):
        return ModuleResult(False, {}, {}, {}, [])
    before = {"name": place.name, "arn": place.arn, "region": place.region}
    if not force_empty:
        full = _contents(place)
        if full:
            raise UserError(
                f"The bucket {place.name} is not empty, it holds {full}. It was left alone: empty it, or set"
                " force_empty to true to delete everything in it for good."
            )
    outcome = ModuleResult(True, before, {}, {}, [])
    if check_mode:
        return outcome
    if force_empty:
        _empty(place, tell)
    try:
        place.call("delete_bucket")
    except ClientError as e:
        if error_code(e) == "BucketNotEmpty" and force_empty:
            raise UserError(
                f"The bucket {place.name} was emptied, but something was written to it meanwhile: stop what writes to"
                " it and run this again."
            ) from e
        if error_code(e) != "NoSuchBucket":
            raise
    return outcome


def _contents(place: Place) -> str:
    versions = place.call("list_object_versions", MaxKeys=1)
    if versions.get("Versions"):
        return "objects"
    if versions.get("DeleteMarkers"):
        return "delete markers of old objects"
    if place.call("list_multipart_uploads", MaxUploads=1).get("Uploads"):
        return "unfinished multipart uploads"
    return ""


def _empty(place: Place, tell: Callable[[str], None]) -> None:
    owner = place.caller.account_id
    marks: dict[str, str] = {}
    gone = 0
    while True:
        page = place.call("list_object_versions", **marks)
        doomed = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for entry in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
        ]
        if doomed:
            answer = place.call("delete_objects", Delete={"Objects": doomed, "Quiet": True})
            for error in answer.get("Errors", []):
                raise UserError(
                    f"S3 did not delete {error.get('Key')} of the bucket {place.name}: {error.get('Code')}"
                    f" {error.get('Message')}"
                )
        gone += len(doomed)
        if not page.get("IsTruncated"):
            break
        tell(f"{gone} objects and versions deleted so far")
        marks = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            marks["VersionIdMarker"] = page["NextVersionIdMarker"]
    for upload in place.s3.pages("list_multipart_uploads", "Uploads", Bucket=place.name, ExpectedBucketOwner=owner):
        abort = functools.partial(place.call, "abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
        _or_none(abort, "NoSuchUpload")
