# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

NAME = "mlflow-artifacts-123456789012-eu-central-1"
BUCKET = {"name": NAME, "tags": {"Project": "mlflow"}}


@pytest.fixture
def cloud(monkeypatch):
    return Cloud(monkeypatch)


def run(cloud, **params):
    return cloud.run("s3_artifact_bucket", **params)


def test_four_steps(cloud):
    check, applied, _check, _again = cloud.cycle("s3_artifact_bucket", cloud.s3, **BUCKET)
    assert check["diff"] == applied["diff"], "check mode tells the truth on the first run"
    bucket = cloud.s3.buckets[NAME]
    statement = json.loads(bucket["policy"])["Statement"][0]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{NAME}", f"arn:aws:s3:::{NAME}/*"]
    assert bucket["versioning"] == {"Status": "Enabled"}
    assert bucket["lifecycle"]["Rules"][0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert all(bucket["public_access_block"].values())


def test_every_call_names_the_owner(cloud):
    run(cloud, **BUCKET)
    run(cloud, **BUCKET, state="absent", force_empty=True)
    for name, params in cloud.s3.calls:
        if name not in ("create_bucket", "list_buckets"):
            assert params["ExpectedBucketOwner"] == ACCOUNT, name


@pytest.mark.parametrize(
    ("region", "location"), [("us-east-1", None), ("eu-west-3", {"LocationConstraint": "eu-west-3"})]
)
def test_location_constraint(cloud, region, location):
    assert run(cloud, **BUCKET, region=region)["changed"]
    assert cloud.s3.params("create_bucket").get("CreateBucketConfiguration") == location


@pytest.mark.parametrize(
    ("break_it", "operation"),
    [
        (lambda b: b.update(public_access_block={"BlockPublicAcls": True}), "put_public_access_block"),
        (lambda b: b.pop("public_access_block"), "put_public_access_block"),
        (
            lambda b: b.update(ownership={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}),
            "put_bucket_ownership_controls",
        ),
        (lambda b: b.pop("encryption"), "put_bucket_encryption"),
        (lambda b: b.update(versioning={"Status": "Suspended"}), "put_bucket_versioning"),
        (lambda b: b.pop("policy"), "put_bucket_policy"),
        (lambda b: b.pop("lifecycle"), "put_bucket_lifecycle_configuration"),
        (lambda b: b.pop("tagging"), "put_bucket_tagging"),
    ],
)
def test_drift_is_repaired_with_one_call(cloud, break_it, operation):
    run(cloud, **BUCKET)
    break_it(cloud.s3.buckets[NAME])
    before = len(cloud.s3.writes())
    assert run(cloud, **BUCKET, check=True)["changed"]
    assert run(cloud, **BUCKET)["changed"]
    assert cloud.s3.writes()[before:] == [operation]
    assert not run(cloud, **BUCKET)["changed"]


def test_statements_of_others_are_kept(cloud):
    run(cloud, **BUCKET)
    theirs = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT},
        "Action": "s3:GetObject",
        "Resource": "*",
    }
    weak = {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "*",
    }
    policy = {"Version": "2008-10-17", "Id": "x", "Statement": [weak, theirs]}
    cloud.s3.buckets[NAME]["policy"] = json.dumps(policy)
    assert run(cloud, **BUCKET)["changed"]
    after = json.loads(cloud.s3.buckets[NAME]["policy"])
    assert after["Id"] == "x"
    assert [statement["Sid"] for statement in after["Statement"]] == ["Theirs", "DenyInsecureTransport"]
    assert after["Statement"][1]["Action"] == "s3:*"
    assert not run(cloud, **BUCKET)["changed"]


def test_our_statement_as_s3_writes_it_is_no_change(cloud):
    run(cloud, **BUCKET)
    policy = json.loads(cloud.s3.buckets[NAME]["policy"])
    policy["Statement"][0]["Principal"] = {"AWS": "*"}
    policy["Statement"][0]["Resource"].reverse()
    cloud.s3.buckets[NAME]["policy"] = json.dumps(policy)
    assert not run(cloud, **BUCKET)["changed"]


def test_lifecycle_rules_of_others_are_kept(cloud):
    run(cloud, **BUCKET)
    theirs = {"ID": "theirs", "Status": "Enabled", "Prefix": "tmp/", "Expiration": {"Days": 3}}
    size = "varies_by_storage_class"
    cloud.s3.buckets[NAME]["lifecycle"] = {"Rules": [theirs], "TransitionDefaultMinimumObjectSize": size}
    assert run(cloud, **BUCKET)["changed"]
    lifecycle = cloud.s3.buckets[NAME]["lifecycle"]
    assert theirs in lifecycle["Rules"]
    assert len(lifecycle["Rules"]) == 2
    assert lifecycle["TransitionDefaultMinimumObjectSize"] == size


def test_lifecycle_days(cloud):
    run(cloud, **BUCKET)
    assert run(cloud, **BUCKET, abort_incomplete_multipart_days=3)["changed"]
    rules = cloud.s3.buckets[NAME]["lifecycle"]["Rules"]
    assert [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules] == [3]
    assert not run(cloud, **BUCKET, abort_incomplete_multipart_days=0)["changed"]


def test_kms(cloud):
    key = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    params = {**BUCKET, "encryption": "aws:kms", "kms_key_id": key}
    cloud.cycle("s3_artifact_bucket", cloud.s3, **params)
    rule = cloud.s3.buckets[NAME]["encryption"]["Rules"][0]
    assert rule == {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    by_id = {**params, "kms_key_id": "11111111-2222-3333-4444-555555555555"}
    assert not run(cloud, **by_id)["changed"], "the id and the ARN of a key are the same key"
    assert not run(cloud, **{**BUCKET, "encryption": "aws:kms"})["changed"]
    assert "aws:kms" in run(cloud, **BUCKET, kms_key_id=key)["msg"]


def test_reserved_tags_are_neither_shown_nor_lost(cloud):
    run(cloud, **BUCKET)
    reserved = {"Key": "aws:cloudformation:stack-name", "Value": "x"}
    cloud.s3.buckets[NAME]["tagging"].append(reserved)
    assert not run(cloud, **BUCKET)["changed"]
    run(cloud, **{**BUCKET, "tags": {"Project": "other"}})
    assert reserved in cloud.s3.buckets[NAME]["tagging"]


def test_adopt_leaves_it_as_it_is(cloud):
    run(cloud, **BUCKET)
    cloud.s3.buckets[NAME].pop("policy")
    writes = len(cloud.s3.writes())
    result = run(cloud, name=NAME, adopt=True)
    assert not result["changed"]
    assert result["bucket"]["arn"] == f"arn:aws:s3:::{NAME}"
    assert not run(cloud, name=NAME, adopt=True, state="absent", force_empty=True)["changed"]
    assert len(cloud.s3.writes()) == writes
    assert "does not exist" in run(cloud, name="another", adopt=True)["msg"]


def test_adopt_needs_no_more_than_to_list_the_bucket(cloud):
    run(cloud, **BUCKET)
    cloud.s3.faults["get_bucket_encryption"] = [error("AccessDenied")]
    assert list(run(cloud, name=NAME, adopt=True)["bucket"]) == ["name", "arn", "region"]
    cloud.s3.faults["get_bucket_encryption"] = [error("AccessDenied")]
    assert "AccessDenied" in run(cloud, name=NAME)["msg"]


@pytest.mark.parametrize("adopt", [True, False])
@pytest.mark.parametrize("check", [True, False])
def test_somebody_elses_bucket(cloud, adopt, check):
    cloud.s3.owners[NAME] = "999999999999"
    cloud.s3.buckets[NAME] = {"region": "eu-central-1"}
    result = run(cloud, name=NAME, adopt=adopt, check=check)
    assert "another AWS account" in result["msg"]
    assert cloud.s3.writes() == []


def test_ours_but_forbidden(cloud):
    run(cloud, **BUCKET)
    cloud.s3.faults["head_bucket"] = [error("403")]
    assert "s3:ListBucket" in run(cloud, **BUCKET)["msg"]
    cloud.s3.faults["head_bucket"] = [error("403")]
    cloud.s3.faults["list_buckets"] = [error("AccessDenied")]
    assert "Either" in run(cloud, **BUCKET)["msg"]


def test_name_taken_between_check_and_creation(cloud):
    cloud.s3.faults["create_bucket"] = [error("BucketAlreadyExists")]
    assert "another AWS account" in run(cloud, **BUCKET)["msg"]


def test_another_region(cloud):
    run(cloud, **BUCKET)
    result = run(cloud, **BUCKET, region="us-west-2")
    assert "eu-central-1" in result["msg"]
    assert "us-west-2" in result["msg"]
    headers = {"HTTPHeaders": {"x-amz-bucket-region": "ap-south-1"}}
    cloud.s3.faults["head_bucket"] = [error("301", "HeadBucket", **headers)]
    assert "ap-south-1" in run(cloud, **BUCKET)["msg"]


@pytest.mark.parametrize(
    "name", ["ab", "Upper", "under_score", "-x-", "a" * 64, "with.dot", "1.2.3.4", "xn--x", "with space"]
)
def test_invalid_names_end_before_any_call(cloud, name):
    assert name in run(cloud, name=name)["msg"]
    assert cloud.s3.calls == []


def test_a_new_bucket_that_is_not_visible_yet(cloud):
    cloud.s3.faults["get_bucket_versioning"] = [error("NoSuchBucket")]
    cloud.s3.faults["put_bucket_policy"] = [error("OperationAborted")]
    assert run(cloud, **BUCKET)["changed"]


def test_absent_four_steps(cloud):
    run(cloud, **BUCKET)
    cloud.cycle("s3_artifact_bucket", cloud.s3, name=NAME, state="absent")


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("what", ["objects", "markers", "uploads"])
def test_a_bucket_that_is_not_empty_is_left_alone(cloud, what, check):
    run(cloud, **BUCKET)
    if what == "uploads":
        cloud.s3.buckets[NAME]["uploads"] = [{"Key": "k", "UploadId": "u"}]
    else:
        setattr(cloud.s3, what, [{"Key": "k", "VersionId": "1"}])
    assert "force_empty" in run(cloud, name=NAME, state="absent", check=check)["msg"]
    assert NAME in cloud.s3.buckets


def test_force_empty_deletes_versions_markers_and_uploads(cloud):
    run(cloud, **BUCKET)
    cloud.s3.objects = [{"Key": f"k{n}", "VersionId": "1"} for n in range(5)]
    cloud.s3.markers = [{"Key": "k0", "VersionId": "2"}]
    cloud.s3.buckets[NAME]["uploads"] = [{"Key": "k", "UploadId": "u"}]
    cloud.cycle("s3_artifact_bucket", cloud.s3, name=NAME, state="absent", force_empty=True)
    assert cloud.s3.buckets == {}


def test_older_versions_expire_until_they_no_longer_do(cloud):
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}}
    run(cloud, **BUCKET)
    bucket = cloud.s3.buckets[NAME]
    bucket["lifecycle"]["Rules"].append(theirs)
    before = list(bucket["lifecycle"]["Rules"])
    for days in (30, 90):
        check = run(cloud, **BUCKET, noncurrent_version_days=days, check=True)
        applied = run(cloud, **BUCKET, noncurrent_version_days=days)
        assert check["diff"] == applied["diff"] and applied["changed"]
        assert not run(cloud, **BUCKET, noncurrent_version_days=days)["changed"]
        [ours] = [rule for rule in bucket["lifecycle"]["Rules"] if "NoncurrentVersionExpiration" in rule]
        assert ours["NoncurrentVersionExpiration"] == {"NoncurrentDays": days}
        assert ours["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    ours["Status"] = "Disabled"
    assert run(cloud, **BUCKET, noncurrent_version_days=90)["changed"]
    assert run(cloud, **BUCKET)["changed"]
    assert bucket["lifecycle"]["Rules"] == before
    assert not run(cloud, **BUCKET)["changed"]


def test_the_last_rule_goes_with_the_configuration(cloud):
    only = {**BUCKET, "abort_incomplete_multipart_days": 0}
    run(cloud, **only, noncurrent_version_days=30)
    assert run(cloud, **only)["changed"]
    assert "lifecycle" not in cloud.s3.buckets[NAME]
    assert not run(cloud, **only)["changed"]


def other_bucket(cloud, name, region="eu-central-1"):
    cloud.s3.owners[name], cloud.s3.buckets[name] = ACCOUNT, {"region": region}


def test_access_is_logged_until_it_no_longer_is(cloud):
    for name in ("company-logs", "other-logs"):
        other_bucket(cloud, name)
    run(cloud, **BUCKET)
    bucket = cloud.s3.buckets[NAME]
    for name in ("company-logs", "other-logs"):
        check = run(cloud, **BUCKET, access_log_bucket=name, check=True)
        applied = run(cloud, **BUCKET, access_log_bucket=name)
        assert check["diff"] == applied["diff"] and applied["changed"]
        assert applied["bucket"]["logging_enabled"] == {
            "target_bucket": name,
            "target_prefix": f"mlflow-access-logs/{NAME}/",
        }
        assert not run(cloud, **BUCKET, access_log_bucket=name)["changed"]
    assert run(cloud, **BUCKET)["changed"]
    assert bucket["logging"] == {}
    assert not run(cloud, **BUCKET)["changed"]


def test_access_logs_of_somebody_else_stay_until_ours_are_asked_for(cloud):
    run(cloud, **BUCKET)
    other_bucket(cloud, "company-logs")
    theirs = {"LoggingEnabled": {"TargetBucket": "audit", "TargetPrefix": "s3/"}}
    cloud.s3.buckets[NAME]["logging"] = theirs
    assert not run(cloud, **BUCKET)["changed"]
    assert cloud.s3.buckets[NAME]["logging"] == theirs
    assert run(cloud, **BUCKET, access_log_bucket="company-logs")["changed"]
    assert cloud.s3.buckets[NAME]["logging"]["LoggingEnabled"]["TargetBucket"] == "company-logs"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "access_log_bucket is nowhere, which does not exist"),
        ("far-away", "access_log_bucket is far-away, which is in us-west-2"),
        (NAME, "the bucket itself"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_bucket_that_cannot_take_the_access_logs(cloud, check, name, said):
    other_bucket(cloud, "far-away", "us-west-2")
    assert said in run(cloud, **BUCKET, access_log_bucket=name, check=check)["msg"]
    assert NAME not in cloud.s3.buckets


def test_a_bucket_that_may_not_be_looked_at_may_take_the_access_logs(cloud):
    cloud.s3.owners["secluded"] = "210987654321"
    cloud.s3.buckets["secluded"] = {"region": "eu-central-1"}
    assert run(cloud, **BUCKET, access_log_bucket="secluded")["changed"]
