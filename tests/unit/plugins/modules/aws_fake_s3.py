# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for S3."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error


class S3(Fake):
    """Buckets. Every call but those that cannot must name the owner."""

    MISSING = {
        "public_access_block": "NoSuchPublicAccessBlockConfiguration",
        "encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "policy": "NoSuchBucketPolicy",
        "ownership": "OwnershipControlsNotFoundError",
        "lifecycle": "NoSuchLifecycleConfiguration",
        "tagging": "NoSuchTagSet",
    }

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[str, dict] = {}
        self.owners: dict[str, str] = {}
        self.objects: list[dict] = []
        self.markers: list[dict] = []

    def _bucket(self, name: str, owner: str) -> dict:
        if name not in self.owners:
            raise error("NoSuchBucket")
        if self.owners[name] != owner:
            raise error("AccessDenied")
        return self.buckets[name]

    def call_head_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        if Bucket not in self.owners:
            raise error("404")
        if self.owners[Bucket] != ExpectedBucketOwner:
            raise error("403")
        return {"BucketRegion": self.buckets[Bucket]["region"]}

    def call_list_buckets(self) -> dict:
        return {"Buckets": [{"Name": name} for name, owner in self.owners.items() if owner == ACCOUNT]}

    def call_create_bucket(self, Bucket: str, ObjectOwnership: str, **more: typing.Any) -> dict:
        if Bucket in self.owners:
            raise error("BucketAlreadyOwnedByYou" if self.owners[Bucket] == ACCOUNT else "BucketAlreadyExists")
        location = more.get("CreateBucketConfiguration", {}).get("LocationConstraint")
        if location == "us-east-1":
            raise error("InvalidLocationConstraint")
        self.owners[Bucket] = ACCOUNT
        # What S3 sets on new buckets since 2023.
        self.buckets[Bucket] = {
            "region": location or "us-east-1",
            "ownership": {"Rules": [{"ObjectOwnership": ObjectOwnership}]},
            "public_access_block": dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            ),
            "encryption": {
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
            },
        }
        return {}

    def _get(self, Bucket: str, owner: str, what: str) -> typing.Any:
        bucket = self._bucket(Bucket, owner)
        if what not in bucket:
            raise error(self.MISSING[what])
        return bucket[what]

    def call_get_public_access_block(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"PublicAccessBlockConfiguration": self._get(Bucket, ExpectedBucketOwner, "public_access_block")}

    def call_get_bucket_encryption(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"ServerSideEncryptionConfiguration": self._get(Bucket, ExpectedBucketOwner, "encryption")}

    def call_get_bucket_versioning(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return self._bucket(Bucket, ExpectedBucketOwner).get("versioning", {})

    def call_get_bucket_policy(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"Policy": self._get(Bucket, ExpectedBucketOwner, "policy")}

    def call_get_bucket_ownership_controls(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"OwnershipControls": self._get(Bucket, ExpectedBucketOwner, "ownership")}

    def call_get_bucket_lifecycle_configuration(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return self._get(Bucket, ExpectedBucketOwner, "lifecycle")

    def call_get_bucket_tagging(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"TagSet": self._get(Bucket, ExpectedBucketOwner, "tagging")}

    def _set(self, Bucket: str, owner: str, what: str, value: typing.Any) -> dict:
        self._bucket(Bucket, owner)[what] = value
        return {}

    def call_put_public_access_block(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "public_access_block", v["PublicAccessBlockConfiguration"])

    def call_put_bucket_encryption(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "encryption", v["ServerSideEncryptionConfiguration"])

    def call_put_bucket_versioning(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "versioning", v["VersioningConfiguration"])

    def call_put_bucket_policy(self, Bucket: str, ExpectedBucketOwner: str, Policy: str) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "policy", Policy)

    def call_put_bucket_ownership_controls(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "ownership", v["OwnershipControls"])

    def call_put_bucket_lifecycle_configuration(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        extra = {key: value for key, value in v.items() if key == "TransitionDefaultMinimumObjectSize"}
        return self._set(Bucket, ExpectedBucketOwner, "lifecycle", {**v["LifecycleConfiguration"], **extra})

    def call_delete_bucket_lifecycle(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        del self._bucket(Bucket, ExpectedBucketOwner)["lifecycle"]
        return {}

    def call_get_bucket_logging(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return self._bucket(Bucket, ExpectedBucketOwner).get("logging", {})

    def call_put_bucket_logging(self, Bucket: str, ExpectedBucketOwner: str, BucketLoggingStatus: dict) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "logging", BucketLoggingStatus)

    def call_put_bucket_tagging(self, Bucket: str, ExpectedBucketOwner: str, Tagging: dict) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "tagging", Tagging["TagSet"])

    def call_delete_bucket_tagging(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        del self._bucket(Bucket, ExpectedBucketOwner)["tagging"]
        return {}

    def call_list_object_versions(self, Bucket: str, ExpectedBucketOwner: str, **_more: typing.Any) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)
        page = {"Versions": self.objects[:2], "DeleteMarkers": self.markers[:2]}
        more = len(self.objects) > 2 or len(self.markers) > 2
        return {**page, "IsTruncated": more, "NextKeyMarker": "k", "NextVersionIdMarker": "v"}

    def call_list_multipart_uploads(self, Bucket: str, ExpectedBucketOwner: str, **_more: typing.Any) -> dict:
        return {"Uploads": self._bucket(Bucket, ExpectedBucketOwner).get("uploads", [])}

    def call_abort_multipart_upload(self, Bucket: str, ExpectedBucketOwner: str, Key: str, UploadId: str) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)["uploads"].remove({"Key": Key, "UploadId": UploadId})
        return {}

    def call_delete_objects(self, Bucket: str, ExpectedBucketOwner: str, Delete: dict) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)
        self.objects = [entry for entry in self.objects if entry not in Delete["Objects"]]
        self.markers = [entry for entry in self.markers if entry not in Delete["Objects"]]
        return {}

    def call_delete_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        if self.objects or self.markers or self._bucket(Bucket, ExpectedBucketOwner).get("uploads"):
            raise error("BucketNotEmpty")
        del self.buckets[Bucket], self.owners[Bucket]
        return {}
