# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mistake ends in one clear sentence that names the variable, wherever it was set, with nothing created.

What is said of each mistake: tests/unit/plugins/action/test_mistakes.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from harness import LocalAws
from harness import Played
from refusals import SECRET
from refusals import Cases
from refusals import assert_nothing_done
from refusals import refuse

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.action.sentences import assert_clear

# They share a local AWS.
GROUP = "refusals"
# One of each kind: a rule of one variable, of several, of a role that is composed, a name, a type, a member, a secret.
MISTAKES: Cases = {
    "capitals": ({"mlflow_name": "Bad"}, ["mlflow_name", "'Bad'", "lower-case"]),
    "umlaut": ({"mlflow_name": "grün"}, ["mlflow_name", "'grün'"]),
    "a_number": ({"mlflow_version": 3.10}, ["mlflow_version", "quotes", "'3.17.2'"]),
    "memory_for_cpu": (
        {"mlflow_cpu": 256, "mlflow_memory": 4096},
        ["mlflow_memory", "4096", "mlflow_cpu 256", "512, 1024, 2048"],
    ),
    "no_arn": ({"mlflow_permissions_boundary_arn": "boundary"}, ["mlflow_permissions_boundary_arn", "'boundary'"]),
    "misspelt_of_a_role": ({"bucket_nmae": "x"}, ["bucket_nmae", "mean bucket_name?", "mlflow_known_variables"]),
    "no_switch_of_a_role": ({"rds_multi_az": "maybe"}, ["rds_multi_az", "'maybe'", "true or false"]),
    "null": ({"mlflow_demo": None}, ["mlflow_demo", "null", "leave it out"]),
    "tag_null": ({"mlflow_tags": {"Owner": None}}, ["mlflow_tags['Owner'] is null", "leave it out"]),
    "env_secret_of_the_roles": (
        {"mlflow_extra_env": {"PGPASSWORD": "hidden"}},
        ["mlflow_extra_env has PGPASSWORD", "as a secret", "mlflow_db_secret_arn"],
    ),
    "secret_key_without_colons": (
        {"mlflow_extra_secrets": {"TOKEN": f"{SECRET}:key"}},
        ["mlflow_extra_secrets['TOKEN']", "<arn>:<key>::"],
    ),
    "args_port": ({"mlflow_extra_args": ["--port", 5001]}, ["mlflow_extra_args[0]", "'--port'", "leave it out"]),
}


@pytest.fixture(scope="module")
def aws(refusals: LocalAws) -> LocalAws:
    """The one of all files that are about refusals."""
    return refusals


def test_mistakes_in_variables(calm: LocalAws) -> None:
    """Check mode says the same. Nothing is asked of AWS either: no credentials are needed to learn of a mistake."""
    said = [refuse(calm, MISTAKES, check=check) for check in (False, True)]
    assert said[0].failures == said[1].failures
    assert calm.page("calls")["counts"] == {}


def _play_roles(aws: LocalAws, tasks: list[dict[str, Any]]) -> Played:
    """Run a play of the user's own, with one host for each of its tasks."""
    for number, task in enumerate(tasks):
        facts = [{"ansible.builtin.set_fact": task.pop("facts")}] if "facts" in task else []
        (aws.home / f"task{number}.yml").write_text(yaml.safe_dump([*facts, task]), encoding="utf-8")
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        # Not the tasks under conditions: each host would have to answer those of all others.
        "tasks": [{"ansible.builtin.include_tasks": "{{ playbook_dir }}/{{ inventory_hostname }}.yml"}],
    }
    path = aws.home / "play_of_the_users_own.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    return aws.play(str(path), hosts={f"task{number}": {} for number in range(len(tasks))})


def members() -> list[tuple[dict[str, Any], list[str]]]:
    """Members of the variables of roles that are used alone: each by the name that the user has set, the role's own."""
    mine = "mlops.mlflow_aws."
    role = "ansible.builtin.include_role"
    return [
        ({role: {"name": f"{mine}bucket"}, "vars": {"bucket_tags": {"Owner": None}}}, ["bucket_tags['Owner'] is null"]),
        ({role: {"name": f"{mine}network"}, "vars": {"network_tags": {"aws:x": 1}}}, ["network_tags", "AWS's own"]),
        ({role: {"name": f"{mine}rds"}, "vars": {"rds_tags": {"a": []}}}, ["rds_tags['a'] is a list"]),
        ({role: {"name": f"{mine}iam"}, "vars": {"iam_tags": {"a": 1, "A": 2}}}, ["iam_tags", "IAM"]),
        ({role: {"name": f"{mine}auth"}, "vars": {"auth_tags": {"a": None}}}, ["auth_tags['a'] is null"]),
        ({role: {"name": f"{mine}rds"}, "vars": {"rds_name": "Bad_Name"}}, ["rds_name is 'Bad_Name'"]),
        (
            {role: {"name": f"{mine}ecs_express"}, "vars": {"ecs_express_extra_args": ["--port=1"]}},
            ["ecs_express_extra_args[0]", "--port=1"],
        ),
        (
            {role: {"name": f"{mine}ecs_express"}, "vars": {"ecs_express_extra_env": {"A": None}}},
            ["ecs_express_extra_env['A'] is null"],
        ),
        (
            {role: {"name": f"{mine}ecs_express"}},
            ["ecs_express_bucket", "ecs_express_execution_role_arn", "must be given"],
        ),
    ]


def misspelt() -> list[tuple[dict[str, Any], list[str]]]:
    """Misspelt variables that are set with the role, by set_fact, with a role that is used alone."""
    mine = "mlops.mlflow_aws."
    role, imported = "ansible.builtin.include_role", "ansible.builtin.import_role"
    return [
        (
            {role: {"name": f"{mine}mlflow"}, "vars": {"mlflow_verison": "3"}},
            ["mlflow_verison is set", "mlflow_version?"],
        ),
        (
            {imported: {"name": f"{mine}mlflow"}, "facts": {"mlflow_wokers": 2}},
            ["mlflow_wokers is set", "mlflow_workers?"],
        ),
        (
            {role: {"name": f"{mine}bucket"}, "vars": {"bucket_nmae": "x"}},
            ["bucket_nmae is set", "bucket_name?", "bucket_known_variables"],
        ),
        (
            {role: {"name": f"{mine}bucket", "tasks_from": "absent"}, "vars": {"bucket_nmae": 1}},
            ["bucket_nmae is set", "bucket_name?"],
        ),
        (
            {role: {"name": f"{mine}network"}, "vars": {"network_subnet_id": "x"}},
            ["network_subnet_id is set", "network_subnet_ids?", "network_known_variables"],
        ),
        (
            {role: {"name": f"{mine}rds"}, "vars": {"rds_proxy_arn": "x"}},
            ["rds_proxy_arn is set", "role mlops.mlflow_aws.rds", "rds_known_variables"],
        ),
        ({role: {"name": f"{mine}iam"}, "facts": {"iam_tgas": {"a": "b"}}}, ["iam_tgas is set", "iam_tags?"]),
        (
            {role: {"name": f"{mine}validation"}, "vars": {"validation_ulr": "x"}},
            ["validation_ulr is set", "validation_url?"],
        ),
    ]


def test_mistakes_in_a_play_of_the_users_own(calm: LocalAws) -> None:
    cases = members() + misspelt()
    played = _play_roles(calm, [task for task, _parts in cases])
    for number, (_task, parts) in enumerate(cases):
        assert_clear(played.problem(f"task{number}"), parts)
    assert_nothing_done(calm, played)


def test_a_mistake_given_on_the_command_line_is_the_last_thing_that_is_said(calm: LocalAws) -> None:
    played = calm.play("destroy", {"mlflow_verison": "3.17.2", "mlflow_confirm_destroy": "mlflow"})
    assert_clear(played.problem(), ["mlflow_verison is given with -e", "mlflow_version?"])
    errors = [line for line in played.output.splitlines() if line.startswith("[ERROR]")]
    assert len(errors) == 1
    assert played.problem() in errors[0]
    assert_nothing_done(calm, played)


def test_a_misspelt_variable_of_a_group(calm: LocalAws) -> None:
    groups = calm.home / "group_vars"
    groups.mkdir(exist_ok=True)
    (groups / "all.yml").write_text("mlflow_db_mutli_az: true\n", encoding="utf-8")
    try:
        played = calm.play("deploy", hosts={"grouped": {}})
    finally:
        (groups / "all.yml").unlink()
    assert_clear(played.problem("grouped"), ["mlflow_db_mutli_az is set", "mlflow_db_multi_az?"])


def test_validation_says_it_too(calm: LocalAws) -> None:
    played = calm.play("validate", {"mlflow_name": "Bad_Name"})
    assert_clear(played.problem(), ["mlflow_name", "'Bad_Name'"])
    assert_nothing_done(calm, played)


def test_destroying_takes_the_name_twice_and_losing_data_too(calm: LocalAws) -> None:
    sure = {"mlflow_name": "kept", "mlflow_confirm_destroy": "kept"}
    cases: Cases = {
        "bad_name": ({"mlflow_name": "Bad_Name", "mlflow_confirm_destroy": "Bad_Name"}, ["mlflow_name", "'Bad_Name'"]),
        "other_name": (
            {"mlflow_name": "kept", "mlflow_confirm_destroy": "mlflow"},
            ["Nothing was destroyed", "mlflow_confirm_destroy=kept"],
        ),
        "artifacts": (
            {**sure, "mlflow_delete_artifacts": True},
            ["mlflow_delete_artifacts", "mlflow_confirm_data_loss=kept"],
        ),
        "snapshot": (
            {**sure, "mlflow_skip_final_snapshot": True, "mlflow_confirm_data_loss": "mlflow"},
            ["mlflow_skip_final_snapshot", "mlflow_confirm_data_loss=kept"],
        ),
    }
    refuse(calm, cases, "destroy")
    # Nobody is there to answer the question either.
    played = calm.play("destroy", {"mlflow_name": "kept"})
    assert_clear(played.problem(), ["Nothing was destroyed", "mlflow_confirm_destroy=kept"])
    assert_nothing_done(calm, played)
