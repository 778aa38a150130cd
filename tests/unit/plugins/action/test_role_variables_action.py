# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that every entry point of the roles begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.template import trust_as_template
from ansible.utils.context_objects import CLIArgs

from ansible_collections.mlops.mlflow_aws.plugins.action import role_variables

ROLES = Path(__file__).resolve().parents[4] / "roles"
# It keeps what it has read.
LOADER = DataLoader()


def check(
    role: str,
    _parents: list[str] | None = None,
    _given: dict[str, Any] | None = None,
    _check_mode: bool = False,
    **variables: Any,
) -> dict[str, Any]:
    """Let it look at variables."""
    loader = LOADER
    defaults = loader.load_from_file(str(ROLES / role / "defaults" / "main.yml"), trusted_as_template=True)
    if "rds_ca_in_image" in defaults:
        # It takes a filter of the collection, for which Ansible's loader would be needed.
        defaults["rds_ca_in_image"] = False
    known = {**defaults, "role_path": str(ROLES / role), **variables}
    if _parents:
        known["ansible_parent_role_names"] = _parents
    task = mock.MagicMock(args=_given or {}, async_val=0, action="mlops.mlflow_aws.role_variables")
    task.check_mode = _check_mode
    action = role_variables.ActionModule(
        task, mock.MagicMock(), mock.MagicMock(), loader, Templar(loader=loader, variables=known), mock.MagicMock()
    )
    return action.run(task_vars=known)


def problem(role: str, **variables: Any) -> str:
    """The sentence about variables."""
    with pytest.raises(AnsibleActionFail) as failed:
        check(role, **variables)
    return str(failed.value)


def test_nothing_is_wrong_with_the_defaults() -> None:
    for path in sorted(spec.parents[1] for spec in ROLES.glob("*/meta/argument_specs.yml")):
        if path.name != "local_aws":  # Its defaults ask the machine.
            assert check(path.name)["changed"] is False


def test_a_misspelt_variable_of_the_role() -> None:
    assert "did you mean mlflow_version?" in problem("mlflow", mlflow_verison="3.17.2")
    assert "did you mean bucket_name?" in problem("bucket", bucket_nmae="x")
    assert "mlflow_zzz is set" in problem("mlflow", mlflow_zzz=1)
    assert "rds_proxy_arn is set" in problem("rds", rds_proxy_arn="x")


def test_facts_and_internals_are_none() -> None:
    check("mlflow", mlflow_context={}, __mlflow_x=1, mlflow_environment={}, mlflow_hosts="all", bucket_id="x")
    check("bucket", bucket_id="x", bucket_arn="y", __bucket_x=1)


def test_of_the_other_roles_only_misspelt_ones() -> None:
    assert "did you mean bucket_name?" in problem("mlflow", bucket_nmae="x")
    assert "name it in mlflow_known_variables." in problem("mlflow", bucket_nmae="x")
    check("mlflow", network_cidr="10.0.0.0/8", rds_proxy_arn="x", iam_users=[], auth_token="x")
    # A role that is used alone knows no other.
    check("bucket", mlflow_team="vision", mlflow_bucket_nmae="x", rds_nmae="x")


def test_the_users_own_variables() -> None:
    check("mlflow", mlflow_team="x", mlflow_cost_1=1, mlflow_known_variables=["mlflow_team", "mlflow_cost_*"])
    check("mlflow", mlflow_team="x", mlflow_known_variables='["mlflow_team"]')
    check("mlflow", bucket_names=[], mlflow_known_variables=["bucket_names"])
    check("rds", rds_proxy_arn="x", rds_known_variables="rds_proxy_*")
    check("rds", rds_proxy_arn="x", mlflow_known_variables=["rds_proxy_*"])
    assert "rds_proxy_arn is set" in problem("rds", rds_proxy_arn="x", bucket_known_variables=["rds_proxy_*"])
    assert problem("mlflow", mlflow_known_variables=7) == "mlflow_known_variables is 7, but must be a list."


def test_one_sentence_for_each_mistake() -> None:
    said = problem("mlflow", mlflow_zzz=1, mlflow_demo="maybe", mlflow_workers="many", rds_multi_az="maybe")
    assert said.startswith("mlflow_zzz is set, but")
    assert said.count("mlflow_workers is 'many', but must be a whole number from 1 to 64.") == 1
    assert said.count("mlflow_demo is 'maybe', but must be true or false.") == 1
    assert said.endswith("rds_multi_az is 'maybe', but must be true or false.")


def test_text_is_held_against_the_same_rules() -> None:
    ids = '["subnet-12345678", "vpc-12345678"]'
    assert problem("mlflow", mlflow_subnet_ids=ids).startswith("mlflow_subnet_ids[1] is 'vpc-12345678', but must be")
    assert "aws:" in problem("mlflow", mlflow_tags='{"aws:x": "y"}')
    check("mlflow", mlflow_subnet_ids="subnet-12345678,subnet-12345679", mlflow_tags="team=vision", mlflow_cpu="2048")


def test_members_of_dictionaries_and_lists() -> None:
    assert "mlflow_tags['Owner'] is null" in problem("mlflow", mlflow_tags={"Owner": None})
    assert "mlflow_tags['Owner'] is null" in problem("mlflow", mlflow_tags='{"Owner": null}')
    assert "mlflow_extra_env['A'] is a dictionary" in problem("mlflow", mlflow_extra_env={"A": {"b": 1}})
    assert "mlflow_extra_args[1] is null" in problem("mlflow", mlflow_extra_args=["--some", None])
    check("mlflow", mlflow_tags={"CostCentre": 4711, "Shared": True}, mlflow_extra_args=["--some", 1, True])


@pytest.mark.parametrize("role", ["auth", "bucket", "ecs_express", "iam", "network", "rds"])
def test_members_of_the_variables_of_a_role_that_is_used_alone(role: str) -> None:
    assert problem(role, **{f"{role}_tags": {"Owner": None}}) == (
        f"{role}_tags['Owner'] is null, but must be a string, a number or a boolean: leave it out."
    )


def violation(reason: str, remedy: str = "", variable: str = "rds_port") -> dict[str, str]:
    return {"variable": variable, "reason": reason, "remedy": remedy}


def test_violations_that_a_role_has_found_are_said() -> None:
    found = [violation("is 5431, and the other is rds_name", "set rds_port to 5432"), violation("is odd")]
    assert problem("rds", _given={"violations": found}) == (
        "rds_port is 5431, and the other is rds_name: set rds_port to 5432. rds_port is odd."
    )
    assert check("rds", _given={"violations": []}, rds_nmae="x")["changed"] is False


def test_what_check_mode_may_not_know_yet_is_ignored_there_alone() -> None:
    given = {"violations": [violation("is odd")], "ignore_in_check_mode": True}
    assert check("rds", _given=given, _check_mode=True)["changed"] is False
    assert problem("rds", _given=given) == "rds_port is odd."
    assert problem("rds", _given={"violations": [violation("is odd")]}, _check_mode=True) == "rds_port is odd."


def test_the_variable_that_the_user_has_set_is_named() -> None:
    """The front door hands its variables on to the roles that it composes."""
    passed = {
        "rds_port": trust_as_template("{{ mlflow_db_port }}"),
        "rds_tags": trust_as_template("{{ mlflow_tags | mlops.mlflow_aws.as_type('dict') }}"),
        "rds_name": trust_as_template("{{ mlflow_name ~ '-2' }}"),
        "rds_username": trust_as_template("{{ somebody }}"),
    }
    found = violation("is 5431, with rds_tags, rds_name, rds_username", "set rds_port to 5432")
    said = problem("rds", _parents=["mlops.mlflow_aws.mlflow"], _given={"violations": [found]}, **passed)
    assert said == "mlflow_db_port is 5431, with mlflow_tags, rds_name, rds_username: set mlflow_db_port to 5432."
    # Alone, the role is set by its own names.
    assert problem("rds", _given={"violations": [found]}, **passed).startswith("rds_port is 5431")


def test_what_depends_on_the_place_is_checked_once_that_is_known() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    check("mlflow", mlflow_db_kms_key_arn=key)
    where = {"partition": "aws", "region": "eu-central-1", "account_id": "123456789012"}
    said = problem("mlflow", _given={"context": where}, mlflow_db_kms_key_arn=key)
    assert said.startswith("mlflow_db_kms_key_arn is of the region us-east-1")
    assert "the bucket would be called" in problem("mlflow", _given={"context": where}, mlflow_name="a" * 30)


def test_what_is_odd_and_may_work_is_warned_of() -> None:
    where = {"partition": "aws", "region": "eu-central-1", "account_id": "123456789012"}
    said = check("mlflow", _given={"context": where}, mlflow_workers=5)["msg"]
    assert said.startswith("WARNING: mlflow_workers, mlflow_db_pool_size and mlflow_db_pool_max_overflow allow more")
    assert "msg" not in check("mlflow", _given={"context": where})
    assert "msg" not in check("mlflow", mlflow_workers=5)
    given = {"violations": [], "warnings": [violation("is odd")]}
    assert check("rds", _given=given)["msg"] == "WARNING: rds_port is odd."


def test_values_are_templates() -> None:
    check("rds", rds_multi_az=trust_as_template("{{ other }}"), other="no")
    assert "rds_multi_az is 'perhaps'" in problem("rds", rds_multi_az=trust_as_template("{{ other }}"), other="perhaps")


def test_a_value_that_cannot_be_told() -> None:
    later = {
        "mlflow_db_host": trust_as_template("{{ made_later.endpoint }}"),
        "rds_port": trust_as_template("{{ no }}"),
    }
    said = problem("mlflow", mlflow_workers="many", **later)
    assert "mlflow_db_host cannot be evaluated: 'made_later' is undefined." in said
    assert "rds_port cannot be evaluated: 'no' is undefined." in said
    assert "mlflow_workers is 'many'" in said
    assert "rds_port cannot be evaluated" in problem("rds", rds_port=later["rds_port"])


def test_omit() -> None:
    check("mlflow", mlflow_db_host=trust_as_template("{{ no | default(omit) }}"))


def test_what_the_front_door_has_composed_is_not_looked_at_again() -> None:
    check("bucket", _parents=["mlops.mlflow_aws.mlflow"], bucket_nmae="x", bucket_adopt="maybe")
    assert problem("bucket", _parents=["somebodys.own.role"], bucket_nmae="x")


def test_the_command_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = ("mlflow_verison=3.17.2", '{"mlflow_wokers": 2}')
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({"extra_vars": extra}))
    assert "mlflow_verison is given with -e, but is not" in problem("mlflow", mlflow_verison="3.17.2")
    assert "mlflow_wokers is given with -e, but is not" in problem("mlflow", mlflow_wokers=2)
    assert "mlflow_wait_tiemout is set, but is not" in problem("mlflow", mlflow_wait_tiemout=2)
    # An inventory's names need not be identifiers.
    assert "mlflow_a(b is set, but is not" in problem("mlflow", **{"mlflow_a(b": 2})
