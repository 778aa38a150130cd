# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a resource is, and what is said where it is not the deployment's own."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership import ownership
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.lookup import SERVICES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import OTHERS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import OURS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import UNOWNED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import Wording

TAGS = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "vision"}
US = Identity(TAGS, "eu-central-1")
OTHER = {**TAGS, "MlflowName": "speech"}
VARIABLES = {
    "name": "mlflow_name",
    "take_over": "mlflow_take_over",
    "ecs_service": "mlflow_cluster",
    "s3_bucket": "mlflow_bucket_name",
    "security_group": "mlflow_subnet_ids",
}
CHANGE = Wording("change", VARIABLES, {"ecs_service": "default", "s3_bucket": "", "security_group": "vpc-1"})
DELETE = Wording("delete", VARIABLES, CHANGE.values)
READ = Wording("read", VARIABLES, CHANGE.values)


@pytest.mark.parametrize(
    ("tags", "verdict"),
    [
        (TAGS, OURS),
        ({**TAGS, "Team": "one"}, OURS),
        # Roles that were created without their region.
        ({**TAGS, "MlflowRegion": ""}, OURS),
        ({**TAGS, "MlflowRegion": "eu-central-1"}, OURS),
        ({**TAGS, "MlflowRegion": "eu-west-1"}, OTHERS),
        (OTHER, OTHERS),
        ({}, UNOWNED),
        ({"Team": "one"}, UNOWNED),
        ({"ManagedBy": "mlops.mlflow_aws"}, UNOWNED),
        ({"MlflowName": "vision"}, UNOWNED),
        ({"ManagedBy": "terraform", "MlflowName": "vision"}, UNOWNED),
        ({"ManagedBy": "terraform", "MlflowName": "speech"}, UNOWNED),
        # Tags are case-sensitive.
        ({"managedby": "mlops.mlflow_aws", "mlflowname": "vision"}, UNOWNED),
        ({**TAGS, "MlflowName": "Vision"}, OTHERS),
    ],
)
def test_tags_decide(tags: dict[str, str], verdict: str) -> None:
    assert ownership.owner(tags, US) == verdict


def test_without_a_region_regions_are_not_told_apart() -> None:
    assert ownership.owner({**TAGS, "MlflowRegion": "eu-west-1"}, Identity(TAGS)) == OURS


def test_an_identity_without_tags_owns_nothing() -> None:
    with pytest.raises(ValueError, match="Without tags"):
        ownership.owner(TAGS, Identity({}))


def test_every_type_of_resource_has_a_client_and_a_reader() -> None:
    assert set(SERVICES) == set(ownership.NOUNS)


@pytest.mark.parametrize("kind", sorted(ownership.NOUNS))
def test_each_type_is_refused_without_our_tags(kind: str) -> None:
    ours, theirs, untagged = (Resource(kind, "vision/x", tags) for tags in (TAGS, OTHER, {"Team": "one"}))
    for words in (CHANGE, DELETE, READ):
        assert ownership.foreign([ours], US, [], words) == []
        [said] = ownership.foreign([untagged], US, [], words)
        assert f"{untagged} exists without the tags ManagedBy=mlops.mlflow_aws and MlflowName=vision" in said
        assert f"set mlflow_take_over to [{kind}/vision/x]" in said
        assert ownership.foreign([untagged], US, [untagged.key], words) == []
        # What is another deployment's cannot be taken over.
        [said] = ownership.foreign([theirs], US, [theirs.key], words)
        assert f"{theirs} belongs to the deployment 'speech'" in said


def test_what_lacks_the_tags_is_said_in_one_sentence() -> None:
    found = [
        Resource("iam_role", "vision-task-role"),
        Resource("s3_bucket", "vision-data"),
        Resource("secret", "x", TAGS),
    ]
    assert ownership.foreign(found, US, [], CHANGE) == [
        "IAM role vision-task-role, bucket vision-data exist without the tags ManagedBy=mlops.mlflow_aws and"
        " MlflowName=vision, so they are not known to be the deployment's own: choose another mlflow_name, or, to let"
        " the deployment manage them from now on, set mlflow_take_over to [iam_role/vision-task-role,"
        " s3_bucket/vision-data]; a bucket of yours is named with mlflow_bucket_name."
    ]


def test_roles_of_another_region() -> None:
    roles = [
        Resource("iam_role", f"vision-{which}-role", {**TAGS, "MlflowRegion": "eu-west-1"}) for which in ("a", "b")
    ]
    [said] = ownership.foreign(roles, US, [], CHANGE)
    assert "mlflow_name is 'vision', which is the name of a deployment in eu-west-1 of this account" in said
    [said] = ownership.foreign(roles, US, [], DELETE)
    assert "AWS_REGION is eu-central-1: set AWS_REGION to eu-west-1." in said
    # What is here of an earlier deployment can be deleted, and the roles stay.
    assert ownership.foreign([*roles, Resource("db_instance", "vision", TAGS)], US, [], DELETE) == []


SERVICE = Resource("ecs_service", "default/vision")
ELSEWHERE = Resource("ecs_service", "trial/vision", TAGS, "arn:aws:ecs:eu-central-1:123456789012:service/trial/vision")


@pytest.mark.parametrize("words", [CHANGE, DELETE, READ])
def test_a_service_in_another_cluster(words: Wording) -> None:
    [said] = ownership.misplaced([], [ELSEWHERE], [SERVICE], US, words)
    assert said == (
        "mlflow_cluster is 'default', but the service of the deployment 'vision' is in the cluster 'trial', as its tags"
        " say: set mlflow_cluster to trial."
    )


def test_a_second_service_only_keeps_from_deleting_the_database_of_both() -> None:
    here = Resource("ecs_service", "default/vision", TAGS)
    for words in (CHANGE, READ):
        assert ownership.misplaced([here], [here, ELSEWHERE], [SERVICE], US, words) == []
    [said] = ownership.misplaced([here], [here, ELSEWHERE], [SERVICE], US, DELETE)
    assert f"--service-arn {ELSEWHERE.arn}" in said


def test_a_bucket_of_another_name() -> None:
    other = Resource("s3_bucket", "old-models", TAGS)
    wanted = Resource("s3_bucket", "vision-artifacts-1")
    [said] = ownership.misplaced([], [other], [wanted], US, CHANGE)
    assert said.startswith("mlflow_bucket_name is empty, so that the bucket's name is derived, but the bucket of the")
    assert "set mlflow_bucket_name to old-models, or, to begin anew" in said
    there = Resource("s3_bucket", "vision-artifacts-1", TAGS)
    assert ownership.misplaced([there], [other, there], [wanted], US, CHANGE) == []
    assert ownership.misplaced([], [wanted], [wanted], US, CHANGE) == []


def test_security_groups_in_another_vpc() -> None:
    wanted = [Resource("security_group", f"vision-{which}", vpc_id="vpc-1") for which in ("service", "database")]
    other = [Resource("security_group", f"vision-{which}", TAGS, vpc_id="vpc-2") for which in ("service", "database")]
    [said] = ownership.misplaced([], other, wanted, US, CHANGE)
    assert "mlflow_subnet_ids is in vpc-1, but the deployment 'vision' is in vpc-2" in said
    here = [Resource("security_group", "vision-service", TAGS, vpc_id="vpc-1")]
    assert ownership.misplaced(here, [*here, *other], wanted, US, CHANGE) == []
    assert ownership.misplaced([], here, wanted, US, CHANGE) == []
