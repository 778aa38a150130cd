# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""resource_ownership: every type of resource is read with its tags, and refused without ours; nothing is written."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import NOUNS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

OWNER = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "vision"}
NAMES = {**dict.fromkeys(NOUNS, "vision"), "ecs_service": "default/vision"}
MISSING = {
    "db_instance": "DBInstanceNotFound",
    "db_parameter_group": "DBParameterGroupNotFound",
    "db_subnet_group": "DBSubnetGroupNotFoundFault",
    "ecs_service": "ClusterNotFoundException",
    "iam_role": "NoSuchEntity",
    "log_group": "ResourceNotFoundException",
    "s3_bucket": "NoSuchBucket",
    "secret": "ResourceNotFoundException",
}


def _listed(tags: dict[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags.items()]


class Account(Fake):
    """All services in one: the resources, by type, with their tags; None: there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.there: dict[str, dict[str, str] | None] = {}
        self.tagged: list[dict[str, typing.Any]] = []
        self.services: list[dict[str, typing.Any]] = []
        self.objects: list[dict[str, str]] = []

    def call_list_objects_v2(self, Bucket: str, MaxKeys: int) -> dict:
        return {"Contents": self.objects[:MaxKeys]} if self.objects else {"KeyCount": 0}

    def _tags(self, kind: str) -> dict[str, str]:
        found = self.there.get(kind)
        if found is None:
            raise error(MISSING[kind])
        return found

    def call_get_role(self, RoleName: str) -> dict:
        tags = self._tags("iam_role")
        arn = f"arn:aws:iam::{ACCOUNT}:role/{RoleName}"
        return {"Role": {"Arn": arn, "Path": "/", **({"Tags": _listed(tags)} if tags else {})}}

    def call_get_bucket_tagging(self, Bucket: str) -> dict:
        if not (tags := self._tags("s3_bucket")):
            raise error("NoSuchTagSet")
        return {"TagSet": _listed(tags)}

    def call_describe_secret(self, SecretId: str) -> dict:
        return {"ARN": f"arn:secret:{SecretId}", "Tags": _listed(self._tags("secret"))}

    def call_describe_security_groups(self, Filters: list) -> dict:
        tags = self.there.get("security_group")
        group = {"GroupId": "sg-1", "GroupName": "vision", "VpcId": "vpc-1", "Tags": _listed(tags or {})}
        return {"SecurityGroups": [] if tags is None else [group]}

    def call_list_tags_log_group(self, logGroupName: str) -> dict:
        return {"tags": self._tags("log_group")}

    def call_describe_db_instances(self, DBInstanceIdentifier: str) -> dict:
        return {"DBInstances": [{"DBInstanceArn": "arn:db", "TagList": _listed(self._tags("db_instance"))}]}

    def call_describe_db_subnet_groups(self, DBSubnetGroupName: str) -> dict:
        self._tags("db_subnet_group")
        return {"DBSubnetGroups": [{"DBSubnetGroupArn": "db_subnet_group"}]}

    def call_describe_db_parameter_groups(self, DBParameterGroupName: str) -> dict:
        self._tags("db_parameter_group")
        return {"DBParameterGroups": [{"DBParameterGroupArn": "db_parameter_group"}]}

    def call_list_tags_for_resource(self, ResourceName: str) -> dict:
        return {"TagList": _listed(self._tags(ResourceName))}

    def call_describe_services(self, cluster: str, services: list, include: list) -> dict:
        if self.services:
            return {"services": [one for one in self.services if one["cluster"] == cluster]}
        tags = _listed(self._tags("ecs_service"), "key", "value")
        return {"services": [{"serviceArn": "arn:service", "status": "ACTIVE", "tags": tags}]}

    def call_list_clusters(self) -> dict:
        names = sorted({one["cluster"] for one in self.services})
        return {"clusterArns": [f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}" for name in names]}

    def call_get_resources(self, TagFilters: list, ResourceTypeFilters: list) -> dict:
        wanted = {(one["Key"], *one["Values"]) for one in TagFilters}
        assert wanted == set(OWNER.items())
        return {"ResourceTagMappingList": self.tagged}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud(monkeypatch)
    account = Account()
    for service in ("iam", "s3", "secretsmanager", "rds", "ec2", "ecs", "logs", "resourcegroupstaggingapi"):
        setattr(made, service, account)
    made.account = account
    return made


def run(cloud: Cloud, **params: typing.Any) -> dict:
    result = cloud.run("resource_ownership", **{"owner_tags": OWNER, **params})
    assert cloud.account.writes() == []
    return result


def resources(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind, "name": NAMES[kind]} for kind in kinds or sorted(NOUNS)]


@pytest.mark.parametrize("kind", sorted(NOUNS))
def test_each_type_is_told_apart_by_its_tags(cloud: Cloud, kind: str) -> None:
    asked = resources(kind)
    result = run(cloud, resources=asked)
    assert (result["changed"], result["resources"]) == (False, []), "what is not there is no problem"
    cloud.account.there[kind] = OWNER
    [found] = run(cloud, resources=asked)["resources"]
    assert (found["type"], found["name"], found["owner"], found["tags"]) == (kind, NAMES[kind], "ours", OWNER)
    cloud.account.there[kind] = {}
    assert "exists without the tags" in run(cloud, resources=asked)["msg"]
    taken = run(cloud, resources=asked, take_over=[f"{kind}/{NAMES[kind]}"])["resources"]
    assert [one["owner"] for one in taken] == ["unowned"]
    cloud.account.there[kind] = {**OWNER, "MlflowName": "speech"}
    assert "belongs to the deployment 'speech'" in run(cloud, resources=asked)["msg"]


def test_all_that_is_not_ours_is_said_at_once(cloud: Cloud) -> None:
    cloud.account.there = {kind: {} for kind in NOUNS}
    said = run(cloud, resources=resources())["msg"]
    assert [kind for kind in NOUNS if f"{kind}/{NAMES[kind]}" not in said] == []


def test_bucket_of_an_interrupted_run_does_not_stop_the_next_one(cloud: Cloud) -> None:
    """S3 tags a bucket by a second call. Before the bucket, a run has created a secret."""
    asked = resources("s3_bucket", "secret")
    cloud.account.there = {"s3_bucket": {}, "secret": OWNER}
    assert [one["type"] for one in run(cloud, resources=asked)["resources"]] == ["secret"]
    # It is not for deleting, and not a sign that anything else is ours.
    assert "exists without the tags" in run(cloud, resources=asked, purpose="delete")["msg"]
    cloud.account.there = {"s3_bucket": {}}
    assert "exists without the tags" in run(cloud, resources=asked)["msg"]
    cloud.account.there = {"s3_bucket": {}, "secret": {**OWNER, "MlflowName": "speech"}}
    assert "exists without the tags" in run(cloud, resources=asked)["msg"]
    # A bucket with objects, or with other tags, belongs to another owner.
    cloud.account.there = {"s3_bucket": {"Owner": "ana"}, "secret": OWNER}
    assert "exists without the tags" in run(cloud, resources=asked)["msg"]
    cloud.account.there, cloud.account.objects = {"s3_bucket": {}, "secret": OWNER}, [{"Key": "model.pkl"}]
    assert "exists without the tags" in run(cloud, resources=asked)["msg"]


def test_what_is_not_tagged_may_be_let_pass(cloud: Cloud) -> None:
    cloud.account.there = {"iam_role": {}, "secret": {**OWNER, "MlflowName": "speech"}}
    assert run(cloud, resources=resources("iam_role"), refuse_untagged=False)["resources"]
    assert "speech" in run(cloud, resources=resources("iam_role", "secret"), refuse_untagged=False)["msg"]


def test_a_denied_read_is_no_verdict(cloud: Cloud) -> None:
    cloud.account.faults["get_role"] = [error("AccessDenied", message="not authorized to perform: iam:GetRole")]
    assert "not authorized to perform: iam:GetRole" in run(cloud, resources=resources("iam_role"))["msg"]


def test_without_tags_nothing_is_ours(cloud: Cloud) -> None:
    assert "owner_tags is empty" in run(cloud, owner_tags={}, resources=resources("iam_role"))["msg"]


def _service(cluster: str, status: str = "ACTIVE") -> dict[str, typing.Any]:
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{cluster}/vision"
    return {"cluster": cluster, "serviceArn": arn, "status": status, "tags": _listed(OWNER, "key", "value")}


def test_a_service_is_found_in_another_cluster(cloud: Cloud) -> None:
    cloud.account.services = [_service("trial")]
    cloud.account.tagged = [{"ResourceARN": _service("trial")["serviceArn"], "Tags": _listed(OWNER)}]
    asked = {
        "resources": resources("ecs_service"),
        "look_elsewhere": ["ecs_service"],
        "variables": {"ecs_service": "mlflow_cluster"},
        "values": {"ecs_service": "default"},
    }
    said = run(cloud, **asked)["msg"]
    assert "mlflow_cluster is 'default'" in said
    assert said.endswith("set mlflow_cluster to trial.")
    # Deleted services are still found by their tags for a while.
    cloud.account.services = [_service("trial", "INACTIVE")]
    assert run(cloud, **asked)["elsewhere"] == []


def test_a_service_that_is_not_found_by_tag_yet_is_found_in_its_cluster(cloud: Cloud) -> None:
    cloud.account.services = [_service("default", "INACTIVE"), _service("trial")]
    asked = {
        "resources": resources("ecs_service"),
        "look_elsewhere": ["ecs_service"],
        "purpose": "delete",
        "variables": {"ecs_service": "mlflow_cluster"},
        "values": {"ecs_service": "default"},
    }
    assert run(cloud, **asked)["msg"].endswith("set mlflow_cluster to trial.")
    # Another owner's service of that name is not reported.
    cloud.account.services = [{**_service("trial"), "tags": []}]
    assert run(cloud, **asked)["elsewhere"] == []


def test_what_is_found_by_tag_is_read_from_arns(cloud: Cloud) -> None:
    cloud.account.there = dict.fromkeys(NOUNS, OWNER)
    arns = {
        "s3_bucket": "arn:aws:s3:::old-models",
        "db_instance": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:vision",
        "db_parameter_group": f"arn:aws:rds:{REGION}:{ACCOUNT}:pg:vision-postgres15",
        "security_group": f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-1",
        "ecs_service": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/trial/vision",
    }
    others = [f"arn:aws:rds:{REGION}:{ACCOUNT}:snapshot:vision-final", "arn:aws:s3:::old-models/object"]
    cloud.account.tagged = [{"ResourceARN": arn, "Tags": _listed(OWNER)} for arn in (*arns.values(), *others)]
    found = run(cloud, look_elsewhere=sorted(arns))["elsewhere"]
    assert {one["type"]: one["name"] for one in found} == {
        "s3_bucket": "old-models",
        "db_instance": "vision",
        "db_parameter_group": "vision-postgres15",
        "security_group": "vision",
        "ecs_service": "trial/vision",
    }
    assert len(found) == len(arns)
