# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import string
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager import generate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager import state
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

NAME = "mlflow/database"
SECRET = {
    "name": NAME,
    "description": "Database",
    "generate": {"template": {"username": "mlflow", "engine": "postgres"}, "key": "password"},
    "tags": {"Project": "mlflow"},
}


@pytest.fixture
def cloud(monkeypatch):
    return Cloud(monkeypatch)


def run(cloud, **params):
    result = cloud.run("secretsmanager_secret", **params)
    for value in cloud.secretsmanager.values.values():
        password = json.loads(value)["password"] if value.startswith("{") else value
        assert password not in cloud.printed, "a value was printed"
    return result


def test_tags_become_text_or_are_refused(cloud):
    for check in (True, False):
        said = cloud.run("secretsmanager_secret", check=check, **SECRET | {"tags": {"Owner": None}})["msg"]
        assert "tags['Owner'] is null" in said
    assert cloud.secretsmanager.values == {}
    check, applied, _check, _again = cloud.cycle(
        "secretsmanager_secret", cloud.secretsmanager, **SECRET | {"tags": {"CostCentre": 4711, "Shared": True}}
    )
    assert check["secret"]["tags"] == applied["secret"]["tags"] == {"CostCentre": "4711", "Shared": "true"}


def test_four_steps(cloud):
    check, applied, _check, again = cloud.cycle("secretsmanager_secret", cloud.secretsmanager, **SECRET)
    assert check["secret"]["arn"].endswith("-??????")
    assert applied["secret"]["arn"] == again["secret"]["arn"]
    assert applied["generated"]
    assert not again["generated"]
    value = json.loads(cloud.secretsmanager.values[NAME])
    assert value["username"] == "mlflow"
    assert len(value["password"]) == 32
    assert "mlflow" in cloud.printed, "short members of the template are not blotted out"


def test_value_is_never_printed_nor_changed(cloud):
    run(cloud, **SECRET)
    before = cloud.secretsmanager.values[NAME]
    changes: list[dict[str, Any]] = [{"description": "Other"}, {"tags": {}}, {"kms_key_id": "alias/ours"}]
    for change in changes:
        assert run(cloud, **{**SECRET, **change})["changed"]
    assert cloud.secretsmanager.values[NAME] == before


def test_scheduled_for_deletion_is_restored_with_its_value(cloud):
    run(cloud, **SECRET)
    before = cloud.secretsmanager.values[NAME]
    cloud.cycle("secretsmanager_secret", cloud.secretsmanager, name=NAME, state="absent")
    check, applied, _check, _again = cloud.cycle("secretsmanager_secret", cloud.secretsmanager, **SECRET)
    assert check["restored"]
    assert applied["restored"]
    assert cloud.secretsmanager.values[NAME] == before


def test_forced_deletion_is_awaited(cloud):
    run(cloud, **SECRET)
    cloud.cycle("secretsmanager_secret", cloud.secretsmanager, name=NAME, state="absent", force=True)
    assert cloud.secretsmanager.secrets == {}


def test_forced_deletion_of_a_scheduled_one(cloud):
    run(cloud, **SECRET)
    cloud.secretsmanager.secrets[NAME]["DeletedDate"] = datetime.now(UTC)
    assert run(cloud, name=NAME, state="absent", force=True)["changed"]


@pytest.mark.parametrize(
    "value", ['{"username": "mlflow", "engine": "postgres"}', '{"password": "unlikely-password-1"}']
)
def test_a_partial_secret_is_an_error(cloud, value):
    run(cloud, **SECRET)
    cloud.secretsmanager.values[NAME] = value
    result = cloud.run("secretsmanager_secret", **SECRET)
    assert "lacks" in result["msg"]
    assert "unlikely-password-1" not in cloud.printed
    assert cloud.secretsmanager.values[NAME] == value


@pytest.mark.parametrize("change", [{}, {"description": "Other"}, {"rotate": True}])
def test_check_mode_needs_no_permission_to_read_a_generated_value(cloud, change):
    run(cloud, **SECRET)
    cloud.secretsmanager.faults["get_secret_value"] = [error("AccessDeniedException")]
    checked = run(cloud, **{**SECRET, **change}, check=True)
    assert checked["changed"] == bool(change)
    assert checked["rotated"] == checked["generated"] == ("rotate" in change)
    cloud.secretsmanager.faults.clear()
    applied = run(cloud, **{**SECRET, **change})
    assert {key: applied[key] for key in ("changed", "rotated", "generated")} == {
        key: checked[key] for key in ("changed", "rotated", "generated")
    }


def test_check_mode_predicts_the_value_of_a_secret_that_has_none(cloud):
    run(cloud, **SECRET)
    cloud.secretsmanager.secrets[NAME]["VersionIdsToStages"] = {}
    checked = run(cloud, **SECRET, check=True)
    assert checked["changed"]
    assert checked["generated"]
    assert checked["diff"]["after"]["version_id"] == state.NEW_VERSION
    assert "get_secret_value" not in cloud.secretsmanager.names()


@pytest.mark.parametrize("value", ["unlikely-plain-text", '["unlikely-plain-text"]'])
def test_a_value_that_is_no_object_is_an_error_and_not_shown(cloud, value):
    run(cloud, **SECRET)
    cloud.secretsmanager.values[NAME] = value
    assert "JSON object" in cloud.run("secretsmanager_secret", **SECRET)["msg"]
    assert "unlikely" not in cloud.printed.replace("unlikely-secret-key", "")


def test_empty_members_of_the_template_are_there(cloud):
    template = {"username": "mlflow", "options": "", "replicas": 0, "proxy": None}
    cloud.cycle("secretsmanager_secret", cloud.secretsmanager, name=NAME, generate={"template": template})
    assert cloud.warnings == []


def test_an_empty_password_is_none(cloud):
    run(cloud, **SECRET)
    value = {**json.loads(cloud.secretsmanager.values[NAME]), "password": ""}
    cloud.secretsmanager.values[NAME] = json.dumps(value)
    assert "lacks password" in cloud.run("secretsmanager_secret", **SECRET)["msg"]


def test_made_meanwhile(cloud):
    run(cloud, **SECRET)
    before = cloud.secretsmanager.values[NAME]
    # Not found before, and for a moment after, the creation that is refused.
    cloud.secretsmanager.faults["describe_secret"] = [error("ResourceNotFoundException")] * 3
    assert not run(cloud, **SECRET)["changed"]
    assert cloud.secretsmanager.values[NAME] == before


def test_made_and_gone_meanwhile(cloud):
    cloud.secretsmanager.faults["create_secret"] = [error("ResourceExistsException")]
    assert "run this again" in cloud.run("secretsmanager_secret", **SECRET)["msg"]


def test_the_name_of_a_secret_that_was_just_deleted_for_good(cloud):
    still = error("InvalidRequestException", message="a secret with this name is already scheduled for deletion")
    cloud.secretsmanager.faults["create_secret"] = [still, still]
    assert run(cloud, **SECRET)["generated"]


def test_another_user_is_a_warning(cloud):
    run(cloud, **SECRET)
    before = cloud.secretsmanager.values[NAME]
    other = {**SECRET, "generate": {"template": {"username": "other"}}}
    result = run(cloud, **other)
    assert not result["changed"]
    assert "username" in str(result["warnings"])
    assert cloud.secretsmanager.values[NAME] == before


def test_a_secret_without_a_value_gets_one(cloud):
    run(cloud, **SECRET)
    del cloud.secretsmanager.values[NAME]
    assert run(cloud, **SECRET)["generated"]


def test_rotate_replaces_the_random_member_only(cloud):
    run(cloud, **SECRET)
    before = json.loads(cloud.secretsmanager.values[NAME])
    cloud.secretsmanager.values[NAME] = json.dumps({**before, "host": "added-by-others"})
    assert run(cloud, **SECRET, rotate=True, check=True)["rotated"]
    assert json.loads(cloud.secretsmanager.values[NAME])["password"] == before["password"]
    assert run(cloud, **SECRET, rotate=True)["rotated"]
    after = json.loads(cloud.secretsmanager.values[NAME])
    assert after["password"] != before["password"]
    assert {**after, "password": ""} == {**before, "host": "added-by-others", "password": ""}


def test_given_value_is_written_once_and_not_read_again(cloud):
    run(cloud, name=NAME, value="unlikely-value-number-one")
    assert not run(cloud, name=NAME, value="unlikely-value-number-two")["changed"]
    assert "get_secret_value" not in cloud.secretsmanager.names()
    assert run(cloud, name=NAME, value="unlikely-value-number-two", rotate=True)["rotated"]
    assert not run(cloud, name=NAME, value="unlikely-value-number-two", rotate=True)["changed"]


def test_a_new_secret_needs_a_value(cloud):
    assert "generate or value" in cloud.run("secretsmanager_secret", name=NAME, check=True)["msg"]


def test_created_meanwhile_keeps_the_other_value(cloud):
    run(cloud, **SECRET)
    before = cloud.secretsmanager.values[NAME]
    cloud.secretsmanager.faults["describe_secret"] = [error("ResourceNotFoundException")]
    assert not run(cloud, **SECRET)["changed"]
    assert cloud.secretsmanager.values[NAME] == before


def test_passwords():
    allowed = set(string.ascii_letters + string.digits + string.punctuation) - set("/\"@' ")
    seen = set()
    for _unused in range(300):
        password = generate.password(32, "/\"@' ")
        assert len(password) == 32
        assert set(password) <= allowed
        assert any(c.isupper() for c in password)
        assert any(c.islower() for c in password)
        assert any(c.isdigit() for c in password)
        assert any(c in string.punctuation for c in password)
        seen.add(password)
    assert len(seen) == 300
    assert set("".join(seen)) == allowed


@pytest.mark.parametrize(("length", "exclude"), [(8, ""), (32, string.ascii_letters + string.punctuation)])
def test_weak_passwords_are_refused(length, exclude):
    with pytest.raises(UserError):
        generate.password(length, exclude)


def test_a_class_that_is_excluded_is_not_demanded():
    assert generate.password(20, string.punctuation).isalnum()


KEYS = {"name": "mlflow/server", "generate": {"key": "", "keys": ["signing", "encryption"]}}


def test_random_keys_are_fernet_keys_and_stay(cloud):
    cloud.cycle("secretsmanager_secret", cloud.secretsmanager, **KEYS)
    value = json.loads(cloud.secretsmanager.values["mlflow/server"])
    assert set(value) == {"signing", "encryption"}
    assert len(set(value.values())) == 2
    for key in value.values():
        assert len(base64.urlsafe_b64decode(key)) == 32
        assert key not in cloud.printed


def test_one_key_is_rotated_and_the_other_stays(cloud):
    cloud.run("secretsmanager_secret", **KEYS)
    before = json.loads(cloud.secretsmanager.values["mlflow/server"])
    only = {"name": "mlflow/server", "generate": {"key": "", "keys": ["signing"]}, "rotate": True}
    assert cloud.run("secretsmanager_secret", **only)["rotated"]
    after = json.loads(cloud.secretsmanager.values["mlflow/server"])
    assert after["encryption"] == before["encryption"]
    assert after["signing"] != before["signing"]


def test_a_lacking_key_is_said_and_not_made_up(cloud):
    cloud.run("secretsmanager_secret", **KEYS)
    more = {"name": "mlflow/server", "generate": {"key": "", "keys": ["signing", "another"]}}
    assert "lacks another" in cloud.run("secretsmanager_secret", **more)["msg"]


def test_nothing_random_is_refused(cloud):
    result = cloud.run("secretsmanager_secret", name="x", generate={"key": ""})
    assert "generate.keys" in result["msg"]


def test_info_shows_the_value_only_when_asked(cloud):
    assert cloud.run("secretsmanager_secret_info", name=NAME)["secrets"] == []
    cloud.run("secretsmanager_secret", **SECRET)
    value = json.loads(cloud.secretsmanager.values[NAME])
    found = cloud.run("secretsmanager_secret_info", name=NAME)
    [secret] = found["secrets"]
    assert (secret["name"], found["changed"]) == (NAME, False)
    assert not {"value", "members"} & secret.keys()
    assert "diff" not in found
    assert value["password"] not in cloud.printed
    shown = cloud.run("secretsmanager_secret_info", name=NAME, show_value=True)
    assert shown["secrets"][0]["members"] == value
    cloud.run("secretsmanager_secret", name=NAME, state="absent")
    assert cloud.run("secretsmanager_secret_info", name=NAME, show_value=True)["secrets"] == []


def labels(cloud):
    return {tuple(stages) for stages in cloud.secretsmanager.secrets[NAME]["VersionIdsToStages"].values() if stages}


PENDING = {"name": NAME, "generate": {"key": "password"}, "pending": "create"}


def test_a_pending_value_is_made_once_and_promoted_once(cloud):
    run(cloud, **SECRET)
    first = json.loads(cloud.secretsmanager.values[NAME])
    _check, made, _check, again = cloud.cycle("secretsmanager_secret", cloud.secretsmanager, **PENDING)
    assert made["generated"]
    assert not made["rotated"]
    assert made["secret"]["pending_version_id"] == again["secret"]["pending_version_id"]
    assert json.loads(cloud.secretsmanager.values[NAME]) == first, "the current value is the old one"
    [staged] = cloud.secretsmanager.staged.values()
    promoted = cloud.cycle("secretsmanager_secret", cloud.secretsmanager, name=NAME, pending="promote")[1]
    assert promoted["rotated"]
    assert promoted["secret"]["version_id"] == made["secret"]["pending_version_id"]
    second = json.loads(cloud.secretsmanager.values[NAME])
    assert cloud.secretsmanager.values[NAME] == staged
    assert second["password"] != first["password"]
    assert {**second, "password": first["password"]} == first, "the other members stay"
    assert labels(cloud) == {("AWSCURRENT",), ("AWSPREVIOUS",)}
    for value in (first["password"], second["password"]):
        assert value not in json.dumps([made, promoted])


def test_a_promotion_that_was_cut_off_between_its_two_steps(cloud):
    run(cloud, **SECRET)
    run(cloud, **PENDING)
    version = cloud.run("secretsmanager_secret", **PENDING)["secret"]["pending_version_id"]
    current = cloud.run("secretsmanager_secret", **PENDING)["secret"]["version_id"]
    cloud.secretsmanager.update_secret_version_stage(
        SecretId=NAME, VersionStage="AWSCURRENT", RemoveFromVersionId=current, MoveToVersionId=version
    )
    assert labels(cloud) == {("AWSPENDING", "AWSCURRENT"), ("AWSPREVIOUS",)}
    assert not run(cloud, name=NAME, pending="promote")["changed"], "it is the current one"
    made = run(cloud, **PENDING)
    assert made["changed"], "the next rotation begins with a new value"
    assert labels(cloud) == {("AWSPENDING",), ("AWSCURRENT",), ("AWSPREVIOUS",)}


def test_a_pending_value_is_forgotten(cloud):
    run(cloud, **SECRET)
    run(cloud, **PENDING)
    before = cloud.secretsmanager.values[NAME]
    cloud.cycle("secretsmanager_secret", cloud.secretsmanager, name=NAME, pending="discard")
    assert cloud.secretsmanager.values[NAME] == before
    assert labels(cloud) == {("AWSCURRENT",)}


def test_a_pending_value_leaves_the_rest_alone(cloud):
    run(cloud, **SECRET)
    run(cloud, **PENDING, description="Other", tags={})
    assert cloud.secretsmanager.secrets[NAME]["Description"] == SECRET["description"]
    assert cloud.secretsmanager.secrets[NAME]["Tags"]


@pytest.mark.parametrize("params", [{"rotate": True}, {"state": "absent"}])
def test_pending_excludes(cloud, params):
    run(cloud, **SECRET)
    assert "excludes rotate" in cloud.run("secretsmanager_secret", name=NAME, pending="promote", **params)["msg"]


def test_pending_needs_a_secret_and_a_value(cloud):
    assert "does not exist" in cloud.run("secretsmanager_secret", **PENDING)["msg"]
    run(cloud, **SECRET)
    for check in (True, False):
        result = cloud.run("secretsmanager_secret", name=NAME, pending="create", check=check)
        assert "generate or value" in result["msg"]
