#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: s3_artifact_bucket
short_description: Manage the S3 bucket of artifacts with all its settings
version_added: 0.1.0
description:
  - Creates a private bucket, and keeps it private, in one task. All public access is blocked, object ownership is
    enforced, objects are encrypted and versioned, requests without TLS are denied, and incomplete multipart uploads are
    removed after some days. If asked to, it has older versions of objects removed and access logged, too.
  - Statements of the bucket policy and lifecycle rules that others made are kept.
  - Unlike M(amazon.aws.s3_bucket), it supports check and diff mode.
  - All calls name the account that must own the bucket.
options:
  name:
    description:
      - Name of the bucket.
    type: str
    required: true
  state:
    description:
      - V(absent) deletes the bucket if it is empty, or with O(force_empty=true).
    type: str
    choices: [present, absent]
    default: present
  adopt:
    description:
      - Whether to use an existing bucket and to leave it as it is. The module then only checks that it exists, belongs
        to this account and is in this region. With O(state=absent) nothing happens.
    type: bool
    default: false
  encryption:
    description:
      - Default encryption of new objects.
    type: str
    choices: [AES256, aws:kms]
    default: AES256
  kms_key_id:
    description:
      - ARN, id or alias of the KMS key, with O(encryption=aws:kms). Without it, the account's C(aws/s3) key is used,
        and the key of an existing bucket is left alone.
    type: str
  bucket_key_enabled:
    description:
      - Whether S3 asks KMS for a key per bucket rather than per object, which is much cheaper. Only with
        O(encryption=aws:kms).
    type: bool
    default: true
  versioning:
    description:
      - Whether versions of objects are kept. V(false) suspends versioning where it was enabled.
    type: bool
    default: true
  abort_incomplete_multipart_days:
    description:
      - After so many days an incomplete multipart upload is removed. V(0) leaves lifecycle rules alone.
    type: int
    default: 7
  noncurrent_version_days:
    description:
      - After so many days an older version of an object, one that was overwritten or deleted, is removed for good, by
        the lifecycle rule C(mlflow-expire-noncurrent-versions). V(0) removes that rule; other rules are left alone.
    type: int
    default: 0
  access_log_bucket:
    description:
      - Name of the bucket that S3 delivers server access logs to, with the prefix C(mlflow-access-logs/<name>/). It
        must exist, in this account and region, and its policy must admit S3's logging.
      - If it is empty, logs with that prefix are switched off, and any others are left alone.
    type: str
    default: ""
  force_empty:
    description:
      - With O(state=absent), whether to delete all objects, all their versions and all multipart uploads first. They
        cannot be brought back.
    type: bool
    default: false
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.s3_bucket
    description: Manages buckets with all of S3, without check mode.
  - module: mlops.mlflow_aws.mlflow_health
    description: Proves that the server stores its artifacts in the bucket.
  - name: Security best practices for Amazon S3
    description: Why the bucket is set up as it is.
    link: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Bucket for artifacts
  mlops.mlflow_aws.s3_artifact_bucket:
    name: mlflow-artifacts-123456789012-eu-central-1
    tags:
      Project: mlflow

- name: Use a bucket that is managed elsewhere
  mlops.mlflow_aws.s3_artifact_bucket:
    name: our-models
    adopt: true

- name: Delete the bucket and everything in it
  mlops.mlflow_aws.s3_artifact_bucket:
    name: mlflow-artifacts-123456789012-eu-central-1
    state: absent
    force_empty: true
"""

RETURN = r"""
bucket:
  description:
    - The bucket and its settings, in check mode as they would be.
    - With O(adopt) and without the permissions to read the settings, only RV(bucket.name), RV(bucket.arn) and
      RV(bucket.region).
  returned: when state is V(present)
  type: dict
  contains:
    name:
      description: Name of the bucket.
      type: str
      returned: always
      sample: mlflow-artifacts-123456789012-eu-central-1
    arn:
      description: ARN of the bucket.
      type: str
      returned: always
      sample: arn:aws:s3:::mlflow-artifacts-123456789012-eu-central-1
    region:
      description: Region of the bucket.
      type: str
      returned: always
      sample: eu-central-1
    public_access_block:
      description: The four switches.
      type: dict
      returned: if the settings could be read
      contains:
        block_public_acls:
          description: Whether new public ACLs are refused.
          type: bool
          returned: always
          sample: true
        block_public_policy:
          description: Whether public bucket policies are refused.
          type: bool
          returned: always
          sample: true
        ignore_public_acls:
          description: Whether public ACLs that are there do not count.
          type: bool
          returned: always
          sample: true
        restrict_public_buckets:
          description: Whether a bucket with a public policy is open to AWS services and this account only.
          type: bool
          returned: always
          sample: true
    encryption:
      description: Default encryption.
      type: dict
      returned: if the settings could be read
      contains:
        sse_algorithm:
          description: The algorithm, as in O(encryption).
          type: str
          returned: always
          sample: AES256
        kms_master_key_id:
          description: The KMS key, empty for the account's default and for V(AES256).
          type: str
          returned: always
          sample: ''
        bucket_key_enabled:
          description: Whether S3 asks KMS for a key per bucket.
          type: bool
          returned: always
          sample: false
    versioning:
      description: One of V(Enabled), V(Suspended) and V(Disabled).
      type: str
      returned: if the settings could be read
      sample: Enabled
    policy:
      description: The bucket policy.
      type: dict
      returned: if the settings could be read
      sample:
        Version: '2012-10-17'
        Statement:
          - Sid: DenyInsecureTransport
            Effect: Deny
            Principal: '*'
            Action: s3:*
            Resource:
              - arn:aws:s3:::mlflow-artifacts-123456789012-eu-central-1
              - arn:aws:s3:::mlflow-artifacts-123456789012-eu-central-1/*
            Condition:
              Bool:
                aws:SecureTransport: 'false'
    object_ownership:
      description: Object ownership.
      type: str
      returned: if the settings could be read
      sample: BucketOwnerEnforced
    lifecycle_rules:
      description: Lifecycle rules with all their members, in snake case.
      type: list
      elements: dict
      returned: if the settings could be read
      sample:
        - id: abort-incomplete-multipart-uploads
          status: Enabled
          filter:
            prefix: ''
          abort_incomplete_multipart_upload:
            days_after_initiation: 7
    logging_enabled:
      description: Where server access logs go, empty if there are none.
      type: dict
      returned: if the settings could be read
      sample: {}
    tags:
      description: Tags.
      type: dict
      returned: if the settings could be read
      sample: {Project: mlflow}
violation:
  description: What is wrong with an option, as data.
  returned: when an option is refused because of what S3 has answered
  type: dict
  contains:
    variable:
      description: Name of the option.
      type: str
      returned: always
      sample: access_log_bucket
    reason:
      description: What is wrong with it.
      type: str
      returned: always
      sample: is our-logs, which does not exist
    remedy:
      description: What to do instead.
      type: str
      returned: always
      sample: create it in eu-central-1, or correct the name
    subject:
      description: What is wrong, if that is not the option itself.
      type: str
      returned: always
      sample: ""
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.bucket import ensure_present
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import BucketClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.delete import ensure_absent
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import DesiredState


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    s3 = make_client(module, "s3")
    caller = caller_identity(make_client(module, "sts"))
    client = BucketClient(s3=s3, name=params["name"], caller=caller, region=module.region or s3.meta.region_name)
    if params["state"] == "absent":
        return ensure_absent(
            client,
            adopt=params["adopt"],
            force_empty=params["force_empty"],
            check_mode=module.check_mode,
            report=Progress(f"Bucket {params['name']}", hidden=module.no_log_values).report,
        )
    desired = DesiredState(
        name=params["name"],
        adopt=params["adopt"],
        encryption=params["encryption"],
        kms_key_id=params["kms_key_id"],
        bucket_key_enabled=params["bucket_key_enabled"],
        versioning=params["versioning"],
        abort_days=params["abort_incomplete_multipart_days"],
        noncurrent_days=params["noncurrent_version_days"],
        access_log_bucket=params["access_log_bucket"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return ensure_present(client, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "adopt": {"type": "bool", "default": False},
            "encryption": {"type": "str", "choices": ["AES256", "aws:kms"], "default": "AES256"},
            "kms_key_id": {"type": "str"},
            # Not keys that are secret.
            "bucket_key_enabled": {"type": "bool", "default": True, "no_log": False},
            "versioning": {"type": "bool", "default": True},
            "abort_incomplete_multipart_days": {"type": "int", "default": 7},
            "noncurrent_version_days": {"type": "int", "default": 0},
            "access_log_bucket": {"type": "str", "default": ""},
            "force_empty": {"type": "bool", "default": False},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if module.params["kms_key_id"] and module.params["encryption"] != "aws:kms":
        module.fail_json(msg="kms_key_id needs encryption to be aws:kms.")
    run(module, f"Bucket {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
