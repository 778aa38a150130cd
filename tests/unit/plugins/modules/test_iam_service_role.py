# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam import propagation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam import roles
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules import aws_fake_iam
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

ROLE = {
    "name": "mlflow-task-role",
    "description": "Tasks",
    "service": "ecs-tasks.amazonaws.com",
    "managed_policies": ["arn:aws:iam::aws:policy/B", "arn:aws:iam::aws:policy/A"],
    "inline_policies": {
        "Artifacts": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}],
        }
    },
    "permissions_boundary": "arn:aws:iam::123456789012:policy/Boundary",
    "tags": {"Project": "mlflow"},
}


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch):
    """One in which the time of day, too, only advances by sleep()."""
    made = Cloud(monkeypatch)

    class TimeOfDay(datetime):
        @classmethod
        def now(cls, tz=None):
            return NOON + timedelta(seconds=made.clock)

    for module in (propagation, roles, aws_fake_iam):
        monkeypatch.setattr(module, "datetime", TimeOfDay)
    return made


def run(cloud, **params):
    return cloud.run("iam_service_role", **params)


def test_four_steps(cloud):
    check, applied, _check, again = cloud.cycle("iam_service_role", cloud.iam, **ROLE)
    assert check["iam_role"]["arn"] == applied["iam_role"]["arn"] == again["iam_role"]["arn"]
    assert check["diff"] == applied["diff"]
    assert check["diff"]["before"] == {}
    assert applied["iam_role"]["role_id"]
    assert applied["iam_role"]["managed_policies"] == sorted(ROLE["managed_policies"])


def test_tags_become_text(cloud):
    _check, applied, _check, _again = cloud.cycle(
        "iam_service_role", cloud.iam, **ROLE | {"tags": {"CostCentre": 4711, "Shared": True}}
    )
    assert applied["iam_role"]["tags"] == {"CostCentre": "4711", "Shared": "true"}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Owner": None}, "tags['Owner'] is null"),
        ({"Owner": "a", "owner": "b"}, "which IAM takes for the same"),
        ({"aws:x": "y"}, "AWS's own"),
        ({"x": "R&D"}, "with '&'"),
        ({f"k{number}": "v" for number in range(51)}, "51 tags; 50 are allowed."),
    ],
)
def test_tags_that_iam_refuses(cloud, tags, words, check):
    assert words in cloud.run("iam_service_role", check=check, **ROLE | {"tags": tags})["msg"]
    assert cloud.iam.roles == {}


def test_delete_four_steps(cloud):
    run(cloud, **ROLE)
    cloud.cycle("iam_service_role", cloud.iam, name=ROLE["name"], state="absent")
    assert cloud.iam.roles == {}


def test_equal_policies_written_differently_are_no_change(cloud):
    run(cloud, **ROLE)
    other = json.loads(json.dumps(ROLE["inline_policies"]))
    other["Artifacts"]["Statement"][0]["Action"].reverse()
    other["Artifacts"]["Statement"][0]["Resource"] = ["*"]
    as_text = {"Artifacts": json.dumps(other["Artifacts"])}
    assert run(cloud, **{**ROLE, "inline_policies": as_text})["changed"] is False


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        ({"description": "Other"}, "update_role"),
        ({"max_session_duration": 7200}, "update_role"),
        ({"service": "ecs.amazonaws.com"}, "update_assume_role_policy"),
        ({"permissions_boundary": ""}, "delete_role_permissions_boundary"),
        ({"permissions_boundary": "arn:aws:iam::123456789012:policy/Other"}, "put_role_permissions_boundary"),
        ({"tags": {}}, "untag_role"),
        ({"tags": {"Project": "other"}}, "tag_role"),
        ({"managed_policies": ["arn:aws:iam::aws:policy/C"]}, "attach_role_policy"),
        ({"managed_policies": [], "purge_managed_policies": True}, "detach_role_policy"),
        ({"inline_policies": {}, "purge_inline_policies": True}, "delete_role_policy"),
        ({"inline_policies": {"Artifacts": {"Version": "2012-10-17", "Statement": []}}}, "put_role_policy"),
    ],
)
def test_each_change_is_one_kind_of_call(cloud, change, operation):
    run(cloud, **ROLE)
    before = len(cloud.iam.writes())
    assert run(cloud, check=True, **{**ROLE, **change})["changed"]
    assert run(cloud, **{**ROLE, **change})["changed"]
    assert set(cloud.iam.writes()[before:]) == {operation}
    assert run(cloud, **{**ROLE, **change})["changed"] is False


def test_the_longest_session_outlives_another_description(cloud):
    run(cloud, **ROLE, max_session_duration=7200)
    assert run(cloud, **{**ROLE, "description": "Other"})["changed"]
    assert run(cloud, name=ROLE["name"])["iam_role"]["max_session_duration"] == 7200


def test_policies_of_others_stay_unless_purged(cloud):
    run(cloud, **ROLE)
    cloud.iam.attached[ROLE["name"]].append("arn:aws:iam::aws:policy/Theirs")
    cloud.iam.inline[ROLE["name"]]["Theirs"] = '{"Statement": []}'
    assert run(cloud, **ROLE)["changed"] is False
    assert run(cloud, **ROLE, purge_managed_policies=True, purge_inline_policies=True)["changed"]
    assert "Theirs" not in str(cloud.iam.attached) + str(cloud.iam.inline)


def test_what_is_not_given_is_left_alone(cloud):
    run(cloud, **ROLE)
    assert run(cloud, name=ROLE["name"])["changed"] is False


def test_path_of_an_existing_role_cannot_change(cloud):
    run(cloud, **ROLE)
    result = run(cloud, **ROLE, path="/elsewhere/")
    assert result["failed"]
    assert "cannot move" in result["msg"]
    assert "/elsewhere/" in result["msg"]


def test_a_new_role_needs_a_trust_policy(cloud):
    result = run(cloud, name="r", check=True)
    assert "service" in result["msg"]
    assert cloud.iam.writes() == []


def test_broken_json_names_the_policy(cloud):
    assert "inline_policies.Bad" in run(cloud, **{**ROLE, "inline_policies": {"Bad": "{"}})["msg"]


def test_waits_for_three_equal_reads_and_settles(cloud):
    cloud.iam.faults["get_role"] = [error("NoSuchEntity")]  # the first look finds nothing
    run(cloud, **ROLE, settle_time=7)
    reads = [name for name in cloud.iam.names() if name == "get_role"]
    assert len(reads) == 1 + 3
    assert sum(cloud.sleeps) == 7


def test_a_flicker_starts_the_count_again(cloud):
    cloud.iam.faults["get_role"] = [error("NoSuchEntity")]
    cloud.iam.faults["list_role_policies"] = [error("NoSuchEntity"), error("NoSuchEntity")]
    run(cloud, **ROLE, settle_time=0)
    assert cloud.iam.names().count("get_role") == 1 + 2 + 3


def test_gives_up_with_a_sentence(cloud):
    cloud.iam.faults["get_role"] = [error("NoSuchEntity")] * 100
    assert "wait_timeout" in run(cloud, **ROLE, wait_timeout=5)["msg"]


def test_an_unchanged_old_role_costs_no_time(cloud):
    cloud.iam.age = timedelta(hours=1)
    run(cloud, **ROLE, wait=False)
    run(cloud, **ROLE)
    assert cloud.sleeps == []


def test_an_unchanged_young_role_is_awaited(cloud):
    # What was cut off after the creation, or created with wait off, is awaited by the next run.
    run(cloud, **ROLE, wait=False)
    assert run(cloud, **ROLE, settle_time=10)["changed"] is False
    assert sum(cloud.sleeps) == 10


def test_simulation_is_awaited(cloud):
    cloud.iam.denied = ["s3:PutObject", "s3:PutObject"]
    run(cloud, **ROLE, simulate_actions=["s3:PutObject"])
    assert cloud.iam.names().count("simulate_principal_policy") == 3
    cloud.iam.denied = ["s3:PutObject"] * 100
    result = run(cloud, **{**ROLE, "description": "x"}, simulate_actions=["s3:PutObject"], wait_timeout=3)
    assert "s3:PutObject" in result["msg"]


def test_a_lost_answer_to_create_is_no_failure(cloud):
    run(cloud, **{**ROLE, "managed_policies": []})
    cloud.iam.faults["get_role"] = [error("NoSuchEntity")]  # as if not visible yet
    result = run(cloud, **ROLE)
    assert result["changed"]
    assert cloud.iam.attached[ROLE["name"]] == sorted(ROLE["managed_policies"])


def test_throttling_and_late_visibility_are_retried(cloud):
    cloud.iam.faults["create_role"] = [error("ThrottlingException"), error("Throttling")]
    cloud.iam.faults["put_role_policy"] = [error("NoSuchEntity")]
    assert run(cloud, **ROLE)["changed"]


def test_aws_errors_say_what_to_do(cloud):
    cloud.iam.faults["get_role"] = [error("ExpiredToken")]
    assert "renew" in run(cloud, **ROLE)["msg"]
    cloud.iam.faults["get_role"] = [error("AccessDenied", "GetRole", "not authorized")]
    result = run(cloud, **ROLE)
    assert "mlflow-task-role" in result["msg"]
    assert "not authorized" in result["msg"]


def test_a_policy_that_is_gone_already_is_fine(cloud):
    run(cloud, **ROLE)
    cloud.iam.faults["detach_role_policy"] = [error("NoSuchEntity")]
    cloud.iam.faults["delete_role"] = [error("NoSuchEntity")]
    assert run(cloud, name=ROLE["name"], state="absent")["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_service_linked_role_is_not_deleted(cloud, check):
    cloud.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    assert "service-linked" in run(cloud, name="AWSServiceRoleForECS", state="absent", check=check)["msg"]


def test_linked_roles_four_steps(cloud):
    services = ["ecs.amazonaws.com", "unknown.amazonaws.com"]
    check, applied, _check, _again = cloud.cycle("iam_service_linked_role", cloud.iam, aws_service_name=services)
    assert check["iam_roles"][0]["arn"] == applied["iam_roles"][0]["arn"]
    assert "arn" not in check["iam_roles"][1], "the name of an unknown service's role is not guessed"
    assert [role["aws_service_name"] for role in applied["iam_roles"]] == services


def test_linked_role_made_meanwhile(cloud):
    cloud.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    role = cloud.iam.roles.pop("AWSServiceRoleForECS")
    message = "Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix."
    cloud.iam.faults["create_service_linked_role"] = [error("InvalidInput", message=message)]
    original = cloud.iam.call_get_role

    def late(RoleName):
        if "create_service_linked_role" in cloud.iam.names()[1:]:
            cloud.iam.roles["AWSServiceRoleForECS"] = role
        return original(RoleName)

    cloud.iam.call_get_role = late
    result = cloud.run("iam_service_linked_role", aws_service_name="ecs.amazonaws.com")
    assert result["changed"] is False
    assert result["iam_roles"][0]["name"] == "AWSServiceRoleForECS"


def test_linked_role_without_permission_to_list(cloud):
    services = ["ecs.amazonaws.com"]
    cloud.cycle("iam_service_linked_role", cloud.iam, aws_service_name=services)
    assert "list_roles" not in cloud.iam.names()


def test_linked_role_without_permission_to_read_it(cloud):
    cloud.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    cloud.iam.faults["get_role"] = [error("AccessDenied")]
    assert cloud.run("iam_service_linked_role", aws_service_name="ecs.amazonaws.com")["changed"] is False


def test_linked_role_other_invalid_input_is_an_error(cloud):
    cloud.iam.faults["create_service_linked_role"] = [error("InvalidInput", message="no such service")]
    assert cloud.run("iam_service_linked_role", aws_service_name="nonsense.amazonaws.com")["failed"]


def test_a_role_is_tagged_before_it_is_changed(cloud):
    """Policies of the caller that ask for the tags of a role then allow the rest."""
    name = "mlflow-task-role"
    run(cloud, name=name, service="ecs-tasks.amazonaws.com")
    before = len(cloud.iam.writes())
    tags = {"ManagedBy": "mlops.mlflow_aws"}
    run(
        cloud,
        name=name,
        service="ecs.amazonaws.com",
        description="Other",
        permissions_boundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
        tags=tags,
    )
    assert cloud.iam.writes()[before] == "tag_role"
    assert len(cloud.iam.writes()) == before + 4


def test_a_changed_role_says_when_and_settles_later_without_a_change(cloud):
    made = run(cloud, **ROLE, wait=False)
    writes = cloud.iam.writes()
    settled = {"name": ROLE["name"], "state": "settled", "changed_at": made["changed_at"]}
    assert run(cloud, check=True, **settled)["changed"] is False
    assert cloud.sleeps == []
    assert run(cloud, **settled)["changed"] is False
    assert cloud.iam.writes() == writes
    assert sum(cloud.sleeps) == 10


def test_the_time_since_the_change_counts_and_costs_no_request(cloud):
    long_ago = NOON - timedelta(seconds=11)
    run(cloud, name=ROLE["name"], state="settled", changed_at=long_ago.isoformat())
    assert cloud.iam.names() == []
    assert cloud.sleeps == []


def test_without_a_time_the_creation_counts(cloud):
    cloud.iam.age = timedelta(seconds=6)
    run(cloud, **ROLE, wait=False)
    run(cloud, name=ROLE["name"], state="settled")
    assert sum(cloud.sleeps) == 4


def test_an_old_role_that_was_left_as_it_is_has_nothing_to_settle(cloud):
    cloud.iam.age = timedelta(hours=1)
    run(cloud, **ROLE, wait=False)
    assert run(cloud, **ROLE)["changed_at"] == ""
    assert run(cloud, **{**ROLE, "description": "Other"}, wait=False)["changed_at"]


def test_a_role_that_cannot_be_read_does_not_settle(cloud):
    made = run(cloud, **ROLE, wait=False)
    cloud.iam.faults["get_role"] = [error("NoSuchEntity")] * 100
    result = run(cloud, name=ROLE["name"], state="settled", changed_at=made["changed_at"], wait_timeout=5)
    assert "does not show the change consistently" in result["msg"]


@pytest.mark.parametrize("changed_at", ["soon", "2026-11-23T07:55:32"])
def test_a_time_that_is_none_is_named(cloud, changed_at):
    assert f"changed_at is '{changed_at}'" in run(cloud, name="r", state="settled", changed_at=changed_at)["msg"]


def test_only_a_role_that_exists_settles(cloud):
    assert "does not exist" in run(cloud, name="nobody", state="settled")["msg"]
