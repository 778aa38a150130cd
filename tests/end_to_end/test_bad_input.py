# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever can be known to go wrong ends in one clear sentence that names the variable, with nothing created."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest
import yaml
from harness import REGION
from harness import LocalAws
from harness import Played

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-a1B2c3"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ROLE = "arn:aws:iam::123456789012:role/boundary"

# From a word about the case to the variables, and what the sentence must say.
MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "capitals": ({"mlflow_name": "Bad"}, ["mlflow_name", "'Bad'", "lower-case"]),
    "underscore": ({"mlflow_name": "bad_name"}, ["mlflow_name", "'bad_name'"]),
    "digit_first": ({"mlflow_name": "1st"}, ["mlflow_name", "begin with"]),
    "two_hyphens": ({"mlflow_name": "a--b"}, ["mlflow_name", "single hyphens"]),
    "hyphen_last": ({"mlflow_name": "a-"}, ["mlflow_name", "end with a hyphen"]),
    "empty_name": ({"mlflow_name": ""}, ["mlflow_name", "''"]),
    "umlaut": ({"mlflow_name": "grün"}, ["mlflow_name", "'grün'"]),
    "security_group": ({"mlflow_name": "sg-1"}, ["mlflow_name", "security groups"]),
    "long_for_role": (
        {"mlflow_name": "n" * 46, "mlflow_bucket_name": "short-enough"},
        ["mlflow_name", "-infrastructure-role", "at most 44 characters"],
    ),
    "old": ({"mlflow_version": "3.9.9"}, ["mlflow_version", "3.9.9", "older than 3.10.0"]),
    "very_old": ({"mlflow_version": "2.22.1"}, ["mlflow_version", "older than 3.10.0"]),
    "latest": ({"mlflow_version": "latest"}, ["mlflow_version", "'latest'", "'3.17.2'"]),
    "no_version": ({"mlflow_version": ""}, ["mlflow_version", "empty", "'3.17.2'"]),
    "two_numbers": ({"mlflow_version": "3.17"}, ["mlflow_version", "'3.17'", "'3.17.2'"]),
    "a_number": ({"mlflow_version": 3.10}, ["mlflow_version", "quotes", "'3.17.2'"]),
    "v_before": ({"mlflow_version": "v3.17.2"}, ["mlflow_version", "'v3.17.2'"]),
    "words": ({"mlflow_version": "the newest"}, ["mlflow_version", "'the newest'"]),
    "candidate": ({"mlflow_version": "3.17.2rc1"}, ["mlflow_version", "no released version"]),
    "image_without_tag": ({"mlflow_image": "ghcr.io/mlflow/mlflow"}, ["mlflow_image", "no version"]),
    "cpu_not_sold": ({"mlflow_cpu": 1000}, ["mlflow_cpu", "1000", "1024"]),
    "cpu_as_vcpu": ({"mlflow_cpu": 1}, ["mlflow_cpu", "1024 are one vCPU"]),
    "memory_not_sold": ({"mlflow_memory": 3000}, ["mlflow_memory", "3000", "2048 to 8192"]),
    "memory_for_cpu": (
        {"mlflow_cpu": 256, "mlflow_memory": 4096},
        ["mlflow_memory", "4096", "mlflow_cpu 256", "512, 1024, 2048"],
    ),
    "subnet_id": ({"mlflow_subnet_ids": ["subnet-x", "vpc-12345678"]}, ["mlflow_subnet_ids[0]", "subnet-x"]),
    "one_subnet": ({"mlflow_subnet_ids": ["subnet-12345678"]}, ["mlflow_subnet_ids", "availability zones"]),
    "bucket_characters": ({"mlflow_bucket_name": "My_Bucket"}, ["mlflow_bucket_name", "lower-case"]),
    "adopt_what": ({"mlflow_bucket_adopt": True}, ["mlflow_bucket_adopt", "mlflow_bucket_name"]),
    "kms_key": ({"mlflow_bucket_kms_key_arn": SECRET}, ["mlflow_bucket_kms_key_arn", "a secret of secretsmanager"]),
    "kms_alias": (
        {"mlflow_bucket_kms_key_arn": "arn:aws:kms:us-east-1:123456789012:alias/mine"},
        ["mlflow_bucket_kms_key_arn", "an alias of kms", "key/"],
    ),
    "log_key": ({"mlflow_log_kms_key_arn": ROLE}, ["mlflow_log_kms_key_arn", "a role of iam"]),
    "secrets_key": ({"mlflow_secrets_kms_key_arn": SECRET}, ["mlflow_secrets_kms_key_arn", "a secret of secretsman"]),
    "noncurrent": ({"mlflow_bucket_noncurrent_days": -1}, ["mlflow_bucket_noncurrent_days is -1", "from 0 to 36500"]),
    "log_bucket": ({"mlflow_bucket_access_log_bucket": "My_Logs"}, ["mlflow_bucket_access_log_bucket", "lower-case"]),
    "log_bucket_itself": (
        {"mlflow_bucket_name": "the-bucket-7c1d", "mlflow_bucket_access_log_bucket": "the-bucket-7c1d"},
        ["mlflow_bucket_access_log_bucket", "mlflow_bucket_name", "name another"],
    ),
    "log_bucket_of_adopted": (
        {
            "mlflow_bucket_name": "the-bucket-7c1d",
            "mlflow_bucket_adopt": True,
            "mlflow_bucket_access_log_bucket": "our-logs-7c1d",
        },
        ["mlflow_bucket_access_log_bucket", "mlflow_bucket_adopt"],
    ),
    "noncurrent_of_adopted": (
        {"mlflow_bucket_name": "the-bucket-7c1d", "mlflow_bucket_adopt": True, "mlflow_bucket_noncurrent_days": 30},
        ["mlflow_bucket_noncurrent_days", "mlflow_bucket_adopt"],
    ),
    "db_log": ({"mlflow_db_log_exports": ["audit"]}, ["mlflow_db_log_exports[0]", "'audit'", "postgresql, upgrade"]),
    "db_subnet_id": ({"mlflow_db_subnet_ids": ["subnet-x", "vpc-12345678"]}, ["mlflow_db_subnet_ids[0]", "subnet-x"]),
    "one_db_subnet": ({"mlflow_db_subnet_ids": ["subnet-12345678"]}, ["mlflow_db_subnet_ids", "availability zones"]),
    "db_kms_key": ({"mlflow_db_kms_key_arn": ROLE}, ["mlflow_db_kms_key_arn", "a role of iam"]),
    "no_arn": ({"mlflow_permissions_boundary_arn": "boundary"}, ["mlflow_permissions_boundary_arn", "'boundary'"]),
    "boundary": ({"mlflow_permissions_boundary_arn": ROLE}, ["mlflow_permissions_boundary_arn", "a role of iam"]),
    "db_secret": (
        {"mlflow_db_host": "db.example.com", "mlflow_db_secret_arn": KEY},
        ["mlflow_db_secret_arn", "a key of kms", "secretsmanager"],
    ),
    "db_secret_missing": ({"mlflow_db_host": "db.example.com"}, ["mlflow_db_host", "mlflow_db_secret_arn"]),
    "db_host_missing": ({"mlflow_db_secret_arn": SECRET}, ["mlflow_db_secret_arn", "mlflow_db_host"]),
    "extra_secret": ({"mlflow_extra_secrets": {"TOKEN": ROLE}}, ["mlflow_extra_secrets['TOKEN']", "a role of iam"]),
    "extra_secrets_key": (
        {"mlflow_extra_secrets_kms_key_arns": [KEY, "arn:aws:kms:us-east-1:123456789012:alias/mine"]},
        ["mlflow_extra_secrets_kms_key_arns[1]", "an alias of kms", "key/"],
    ),
    "no_such_login": ({"mlflow_auth": "saml"}, ["mlflow_auth", "'saml'", "basic, oidc, none"]),
    "login_of_two_words": ({"mlflow_admin_username": "the boss"}, ["mlflow_admin_username", "'the boss'"]),
    "login_with_colon": ({"mlflow_admin_username": "a:b"}, ["mlflow_admin_username", "'a:b'"]),
    "nobody_else_to_log_in": (
        {"mlflow_bootstrap_admin": False},
        ["mlflow_bootstrap_admin", "mlflow_admin_login_secret"],
    ),
    "no_such_permission": ({"mlflow_default_permission": "read"}, ["mlflow_default_permission", "'read'", "READ"]),
    "index_with_password": (
        {"mlflow_pip_index_url": "https://me:hidden@pypi.example.com/simple"},
        ["mlflow_pip_index_url", "a login", "a secret"],
    ),
    "index_without_tls": ({"mlflow_pip_index_url": "http://pypi.example.com"}, ["mlflow_pip_index_url", "https://"]),
    "domain_with_scheme": (
        {"mlflow_custom_domain": "https://mlflow.example.com"},
        ["mlflow_custom_domain", "without https://"],
    ),
    "oidc_alone": ({"mlflow_auth": "oidc"}, ["mlflow_auth", "'oidc'", "mlflow_oidc_discovery_url"]),
    "misspelt": ({"mlflow_verison": "3.17.2"}, ["mlflow_verison", "did you mean mlflow_version?"]),
    "unknown": ({"mlflow_colour": "blue"}, ["mlflow_colour", "mlflow_known_variables"]),
    "misspelt_of_a_role": (
        {"bucket_nmae": "x"},
        ["bucket_nmae", "mean bucket_name?", "mlflow_known_variables"],
    ),
    "no_switch": ({"mlflow_db_multi_az": "maybe"}, ["mlflow_db_multi_az", "'maybe'", "true or false"]),
    "no_switch_of_a_role": ({"rds_multi_az": "maybe"}, ["rds_multi_az", "'maybe'", "true or false"]),
    "transfers": ({"mlflow_artifact_transfers": "direct"}, ["mlflow_artifact_transfers", "proxied, presigned"]),
    "no_overflow": ({"mlflow_db_pool_max_overflow": 0}, ["mlflow_db_pool_max_overflow", "of 1 or more"]),
    "small_pool": (
        {"mlflow_db_pool_size": 1, "mlflow_db_pool_max_overflow": 1},
        ["mlflow_db_pool_size", "mlflow_db_pool_max_overflow", "may need 4"],
    ),
    "too_many_connections": (
        {"mlflow_workers": 8},
        ["mlflow_workers", "db.t4g.micro", "8 workers x 7", "= 79", "take a larger class"],
    ),
    "no_number": ({"mlflow_workers": "many"}, ["mlflow_workers", "'many'", "whole number"]),
    "no_list": ({"mlflow_ingress_cidrs": {"a": "b"}}, ["mlflow_ingress_cidrs", "list"]),
    "no_dictionary": ({"mlflow_tags": "team"}, ["mlflow_tags", "dictionary"]),
    "no_choice": ({"mlflow_rolled_back": "ignore"}, ["mlflow_rolled_back", "'ignore'", "retry, fail"]),
    "null": ({"mlflow_demo": None}, ["mlflow_demo", "null", "leave it out"]),
    "extra_secret_text": ({"mlflow_extra_secrets": {"TOKEN": "hidden"}}, ["mlflow_extra_secrets['TOKEN']", "ARN"]),
    "tag_null": ({"mlflow_tags": {"Owner": None}}, ["mlflow_tags['Owner'] is null", "leave it out"]),
    "tag_nested": ({"mlflow_tags": {"Owner": {"team": "x"}}}, ["mlflow_tags['Owner'] is a dictionary", "a string"]),
    "tag_of_aws": ({"mlflow_tags": {"AWS:x": "y"}}, ["mlflow_tags", "'AWS:x'", "AWS's own"]),
    "tag_characters": ({"mlflow_tags": {"Owner": "R&D"}}, ["mlflow_tags['Owner']", "'&'", "_ . : / = + - @"]),
    "tag_twice_for_iam": ({"mlflow_tags": {"Owner": "a", "owner": "b"}}, ["mlflow_tags", "'Owner' and 'owner'", "IAM"]),
    "tag_of_the_roles": ({"mlflow_tags": {"ManagedBy": "me"}}, ["mlflow_tags", "'ManagedBy'", "leave it out"]),
    "tags_too_many": ({"mlflow_tags": {f"k{number}": 1 for number in range(48)}}, ["48 tags", "47 are allowed"]),
    "env_secret_of_the_roles": (
        {"mlflow_extra_env": {"PGPASSWORD": "hidden"}},
        ["mlflow_extra_env has PGPASSWORD", "as a secret", "mlflow_db_secret_arn"],
    ),
    "env_nested": (
        {"mlflow_extra_env": {"OTEL_RESOURCE_ATTRIBUTES": {"team": "vision"}}},
        ["mlflow_extra_env['OTEL_RESOURCE_ATTRIBUTES'] is a dictionary", "a string"],
    ),
    "env_null": ({"mlflow_extra_env": {"LEVEL": None}}, ["mlflow_extra_env['LEVEL'] is null"]),
    "env_of_a_variable": (
        {"mlflow_extra_env": {"PGSSLMODE": "disable"}},
        ["mlflow_extra_env", "set mlflow_db_sslmode"],
    ),
    "env_too_large": ({"mlflow_extra_env": {"LONG": "x" * 60_000}}, ["mlflow_extra_env", "ECS takes 65536"]),
    "secret_of_the_environment": (
        {"mlflow_extra_secrets": {"PGSSLMODE": SECRET}},
        ["mlflow_extra_secrets has PGSSLMODE", "an environment variable"],
    ),
    "secret_key_without_colons": (
        {"mlflow_extra_secrets": {"TOKEN": f"{SECRET}:key"}},
        ["mlflow_extra_secrets['TOKEN']", "<arn>:<key>::"],
    ),
    "args_port": ({"mlflow_extra_args": ["--port", 5001]}, ["mlflow_extra_args[0]", "'--port'", "leave it out"]),
    "args_short": ({"mlflow_extra_args": ["-w9"]}, ["mlflow_extra_args[0]", "'-w9'", "set mlflow_workers"]),
    "args_equals": ({"mlflow_extra_args": ["--app-name=x"]}, ["mlflow_extra_args[0]", "set mlflow_auth"]),
    "args_abbreviated": ({"mlflow_extra_args": ["--work", 9]}, ["mlflow_extra_args[0]", "did you mean --workers?"]),
    "args_null": ({"mlflow_extra_args": ["--x", None]}, ["mlflow_extra_args[1] is null"]),
    "args_prefix": ({"mlflow_extra_args": ["--static-prefix=/x"]}, ["mlflow_extra_args[0]", "/health"]),
    "cidr_null": ({"mlflow_ingress_cidrs": [None]}, ["mlflow_ingress_cidrs[0] is null"]),
    "reserved_word": ({"mlflow_db_username": "user"}, ["mlflow_db_username", "'user'", "PostgreSQL"]),
    "retention": ({"mlflow_log_retention_days": 31}, ["mlflow_log_retention_days is 31", "30, 60"]),
}

CREDENTIALS: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "no region": ({"AWS_REGION": None}, ["No AWS region", "AWS_REGION"]),
    "unknown region": ({"AWS_REGION": "mars-central"}, ["mars-central", "AWS_REGION"]),
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        ["No AWS credentials", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"],
    ),
    "half of the credentials": ({"AWS_SECRET_ACCESS_KEY": None}, ["No AWS credentials", "AWS_SECRET_ACCESS_KEY"]),
    "wrong key": ({"AWS_ACCESS_KEY_ID": "AKIAMADEUPANDUNLIKELY"}, ["does not know this access key"]),
    "wrong secret": (
        {"AWS_SECRET_ACCESS_KEY": "made-up-and-unlikely-51e9"},
        ["does not belong", "AWS_SECRET_ACCESS_KEY"],
    ),
    "unknown profile": (
        {"AWS_PROFILE": "nobodys", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        ["nobodys", "AWS_PROFILE"],
    ),
}


def assert_clear(sentence: str, parts: list[str]) -> None:
    """One sentence that says these things, and no trace of a program."""
    missing = [part for part in parts if part not in sentence]
    assert not missing, f"{sentence!r} lacks {missing}"
    assert "\n" not in sentence
    assert sentence.endswith((".", "?")), sentence
    assert len(sentence) < 400, sentence
    assert not re.search(r"Traceback|botocore\.|An error occurred|object has no|undefined", sentence), sentence


def assert_nothing_done(aws: LocalAws, played: Played) -> None:
    """No call that changes anything."""
    assert aws.writes() == []
    assert set(played.changed.values()) <= {0}


@pytest.fixture(scope="module")
def mistakes(aws: LocalAws) -> Played:
    """All of them in one run: an inventory host is a deployment."""
    aws.page("calls", "DELETE")
    played = aws.play("deploy", hosts={name: variables for name, (variables, _unused) in MISTAKES.items()})
    # Nothing is asked of AWS either: no credentials are needed to learn of a mistake.
    assert aws.page("calls")["counts"] == {}
    return played


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_variable(name: str, mistakes: Played) -> None:
    assert_clear(mistakes.problem(name), MISTAKES[name][1])


def test_check_mode_refuses_what_the_run_does(calm: LocalAws, mistakes: Played) -> None:
    given = {name: one for name, (one, _words) in MISTAKES.items() if name.startswith(("tag", "env", "secret", "args"))}
    checked = calm.play("deploy", hosts=given, check=True)
    assert {name: checked.problem(name) for name in given} == {name: mistakes.problem(name) for name in given}
    assert calm.page("calls")["counts"] == {}


def test_arns_of_another_region_account_or_partition(calm: LocalAws) -> None:
    """What is known of AWS only: read with the credentials, and held against the variables before anything is made."""
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {
        "bucket_key": (
            {"mlflow_bucket_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
            ["mlflow_bucket_kms_key_arn is of the region eu-west-1", REGION],
        ),
        "db_key": (
            {"mlflow_db_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
            ["mlflow_db_kms_key_arn is of the region eu-west-1", REGION],
        ),
        "log_key": (
            {"mlflow_log_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
            ["mlflow_log_kms_key_arn is of the region eu-west-1", REGION],
        ),
        "secrets_key": (
            {"mlflow_secrets_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
            ["mlflow_secrets_kms_key_arn is of the region eu-west-1", REGION],
        ),
        "boundary": (
            {"mlflow_permissions_boundary_arn": "arn:aws:iam::210987654321:policy/boundary"},
            ["mlflow_permissions_boundary_arn is of the account 210987654321", "123456789012"],
        ),
        "partition": (
            {"mlflow_extra_secrets": {"TOKEN": SECRET.replace("arn:aws:", "arn:aws-cn:")}},
            ["mlflow_extra_secrets['TOKEN'] is of the partition aws-cn", "in aws"],
        ),
        "partition_of_key": (
            {"mlflow_extra_secrets_kms_key_arns": [KEY.replace("arn:aws:", "arn:aws-cn:")]},
            ["mlflow_extra_secrets_kms_key_arns[0] is of the partition aws-cn", "in aws"],
        ),
        "token": (
            {"mlflow_validation_token_secret_arn": SECRET.replace("us-east-1", "eu-west-1")},
            ["mlflow_validation_token_secret_arn is of the region eu-west-1", REGION],
        ),
    }
    for check in (False, True):
        played = calm.play("deploy", hosts={name: case[0] for name, case in cases.items()}, check=check)
        for name, (_unused, parts) in cases.items():
            assert_clear(played.problem(name), parts)
        assert_nothing_done(calm, played)


def test_what_variables_refer_to_must_exist_and_be_usable(calm: LocalAws) -> None:
    kms, secrets = calm.client("kms"), calm.client("secretsmanager")
    disabled, used = (kms.create_key()["KeyMetadata"]["Arn"] for _each in range(2))
    kms.disable_key(KeyId=disabled)
    under_key = secrets.create_secret(Name="mine/under-a-key", SecretString="made-up-0042", KmsKeyId=used)["ARN"]
    deleted = secrets.create_secret(Name="mine/deleted", SecretString="made-up-0043")["ARN"]
    secrets.delete_secret(SecretId=deleted)
    no_hashes = calm.home / "client.txt"
    no_hashes.write_text("mlflow==3.17.2\n", encoding="utf-8")
    missing = "does not exist: create it, or correct it."
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {
        "bucket_key": ({"mlflow_bucket_kms_key_arn": KEY}, ["mlflow_bucket_kms_key_arn names the KMS key", missing]),
        "db_key": ({"mlflow_db_kms_key_arn": KEY}, ["mlflow_db_kms_key_arn names the KMS key", missing]),
        "log_key": ({"mlflow_log_kms_key_arn": KEY}, ["mlflow_log_kms_key_arn names the KMS key", missing]),
        "secrets_key": ({"mlflow_secrets_kms_key_arn": KEY}, ["mlflow_secrets_kms_key_arn names the KMS key", missing]),
        "extra_key": (
            {"mlflow_extra_secrets_kms_key_arns": [KEY]},
            ["mlflow_extra_secrets_kms_key_arns[0] names the KMS key", missing],
        ),
        "extra_secret": (
            {"mlflow_extra_secrets": {"TOKEN": f"{SECRET}:member::"}},
            ["mlflow_extra_secrets['TOKEN'] names the secret", missing],
        ),
        "db_secret": (
            {"mlflow_db_host": "db.example.com", "mlflow_db_secret_arn": SECRET},
            ["mlflow_db_secret_arn names the secret", missing],
        ),
        "token": ({"mlflow_validation_token_secret_arn": SECRET}, ["mlflow_validation_token_secret_arn", missing]),
        "boundary": (
            {"mlflow_permissions_boundary_arn": "arn:aws:iam::123456789012:policy/no-such-boundary"},
            ["mlflow_permissions_boundary_arn names the IAM policy", missing],
        ),
        "disabled_key": ({"mlflow_db_kms_key_arn": disabled}, ["mlflow_db_kms_key_arn", "whose state is Disabled"]),
        "secret_under_a_key": (
            {"mlflow_extra_secrets": {"TOKEN": under_key}},
            ["mlflow_extra_secrets['TOKEN']", used, "add the key's ARN to mlflow_extra_secrets_kms_key_arns"],
        ),
        "deleted_secret": (
            {"mlflow_extra_secrets": {"TOKEN": deleted}},
            ["mlflow_extra_secrets['TOKEN']", "scheduled for deletion"],
        ),
        "no_client_file": (
            {"mlflow_client_requirements": "/no/such/file.txt"},
            ["mlflow_client_requirements is /no/such/file.txt", "cannot be read"],
        ),
        "client_file_without_hashes": (
            {"mlflow_client_requirements": str(no_hashes)},
            ["mlflow_client_requirements", "lists no hashes"],
        ),
    }
    calm.page("calls", "DELETE")
    for check in (True, False):
        played = calm.play("deploy", hosts={name: case[0] for name, case in cases.items()}, check=check)
        for name, (_unused, parts) in cases.items():
            assert_clear(played.problem(name), parts)
        assert_nothing_done(calm, played)


def test_members_of_the_variables_of_roles_that_are_used_alone(calm: LocalAws) -> None:
    """Each by the name that the user has set, the role's own."""
    mine = "mlops.mlflow_aws."
    role = "ansible.builtin.include_role"
    cases: list[tuple[dict[str, Any], list[str]]] = [
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
    played = _play_roles(calm, [task for task, _parts in cases])
    for number, (_task, parts) in enumerate(cases):
        assert_clear(played.problem(f"task{number}"), parts)
    assert_nothing_done(calm, played)


def test_a_mistake_given_on_the_command_line_is_the_last_thing_that_is_said(calm: LocalAws) -> None:
    played = calm.play("deploy", {"mlflow_version": "3.9.0"})
    assert_clear(played.problem(), ["mlflow_version", "3.9.0"])
    errors = [line for line in played.output.splitlines() if line.startswith("[ERROR]")]
    assert len(errors) == 1
    assert played.problem() in errors[0]


@pytest.mark.parametrize("playbook", ["validate", "destroy"])
def test_the_other_playbooks_say_it_too(calm: LocalAws, playbook: str) -> None:
    played = calm.play(playbook, {"mlflow_name": "Bad_Name", "mlflow_confirm_destroy": "Bad_Name"})
    assert_clear(played.problem(), ["mlflow_name", "'Bad_Name'"])
    assert_nothing_done(calm, played)


def _play_roles(aws: LocalAws, tasks: list[dict[str, Any]], **variables: Any) -> Played:
    """Run a play of the user's own, with one host for each of its tasks."""
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {**part, "when": f"inventory_hostname == 'task{number}'"}
            for number, task in enumerate(tasks)
            for part in ([{"ansible.builtin.set_fact": task.pop("facts")}] if "facts" in task else []) + [task]
        ],
    }
    path = aws.home / "play_of_the_users_own.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    return aws.play(str(path), variables, hosts={f"task{number}": {} for number in range(len(tasks))})


def test_a_misspelt_variable_is_found_wherever_it_was_set(calm: LocalAws) -> None:
    """On the command line, in files for groups, with the role, by set_fact, with a role that is used alone."""
    played = calm.play("destroy", {"mlflow_verison": "3.17.2", "mlflow_confirm_destroy": "mlflow"})
    assert_clear(played.problem(), ["mlflow_verison is given with -e", "mlflow_version?"])
    assert_nothing_done(calm, played)
    mine = "mlops.mlflow_aws."
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.include_role": {"name": f"{mine}mlflow"}, "vars": {"mlflow_verison": "3"}},
        {"ansible.builtin.import_role": {"name": f"{mine}mlflow"}, "facts": {"mlflow_wokers": 2}},
        {"ansible.builtin.include_role": {"name": f"{mine}bucket"}, "vars": {"bucket_nmae": "x"}},
        {"ansible.builtin.include_role": {"name": f"{mine}bucket", "tasks_from": "absent"}, "vars": {"bucket_nmae": 1}},
        {"ansible.builtin.include_role": {"name": f"{mine}network"}, "vars": {"network_subnet_id": "x"}},
        {"ansible.builtin.include_role": {"name": f"{mine}rds"}, "vars": {"rds_proxy_arn": "x"}},
        {"ansible.builtin.include_role": {"name": f"{mine}iam"}, "facts": {"iam_tgas": {"a": "b"}}},
        {"ansible.builtin.include_role": {"name": f"{mine}validation"}, "vars": {"validation_ulr": "x"}},
    ]
    expected = [
        ["mlflow_verison is set", "mlflow_version?"],
        ["mlflow_wokers is set", "mlflow_workers?"],
        ["bucket_nmae is set", "bucket_name?", "bucket_known_variables"],
        ["bucket_nmae is set", "bucket_name?"],
        ["network_subnet_id is set", "network_subnet_ids?", "network_known_variables"],
        ["rds_proxy_arn is set", "role mlops.mlflow_aws.rds", "rds_known_variables"],
        ["iam_tgas is set", "iam_tags?"],
        ["validation_ulr is set", "validation_url?"],
    ]
    calm.page("calls", "DELETE")
    played = _play_roles(calm, tasks)
    for number, parts in enumerate(expected):
        assert_clear(played.problem(f"task{number}"), parts)
    assert_nothing_done(calm, played)
    groups = calm.home / "group_vars"
    groups.mkdir(exist_ok=True)
    (groups / "all.yml").write_text("mlflow_db_mutli_az: true\n", encoding="utf-8")
    try:
        played = calm.play("deploy", hosts={"grouped": {}})
    finally:
        (groups / "all.yml").unlink()
    assert_clear(played.problem("grouped"), ["mlflow_db_mutli_az is set", "mlflow_db_multi_az?"])


def test_a_name_too_long_for_the_bucket_in_this_account_and_region(calm: LocalAws) -> None:
    played = calm.play("deploy", {"mlflow_name": "n" * 40})
    assert_clear(played.problem(), ["mlflow_name", f"-artifacts-123456789012-{REGION}", "at most 30 characters"])
    assert_nothing_done(calm, played)


@pytest.mark.parametrize("case", CREDENTIALS)
def test_credentials_and_region(calm: LocalAws, case: str) -> None:
    environment, parts = CREDENTIALS[case]
    played = calm.play("deploy", environment=environment)
    assert_clear(played.problem(), parts)
    assert_nothing_done(calm, played)


def test_an_expired_token(calm: LocalAws) -> None:
    message = "The security token included in the request is expired"
    calm.order_fault("sts:GetCallerIdentity", code="ExpiredToken", message=message, status=403, times=0)
    played = calm.play("deploy")
    assert_clear(played.problem(), ["credentials", "expired"])
    assert_nothing_done(calm, played)


def test_no_way_to_aws(calm: LocalAws) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"https://127.0.0.1:{closed.getsockname()[1]}"
        played = calm.play("deploy", environment={"AWS_URL": nowhere, "AWS_ENDPOINT_URL": nowhere})
    assert_clear(played.problem(), ["cannot be reached", nowhere])
    assert_nothing_done(calm, played)


def _subnets_in_one_zone(aws: LocalAws) -> list[str]:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    zone = {"VpcId": vpc, "AvailabilityZone": f"{REGION}a"}
    return [ec2.create_subnet(CidrBlock=f"10.7.{number}.0/24", **zone)["Subnet"]["SubnetId"] for number in (1, 2)]


def test_subnets_and_buckets(aws: LocalAws) -> None:
    in_one_zone = _subnets_in_one_zone(aws)
    default = aws.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    theirs = "somebody-elses-bucket-7c1d"
    unknown = ["subnet-00000000000000001", default[0]["SubnetId"]]
    [first] = [one for one in default if one["AvailabilityZone"] == f"{REGION}a"]
    second = aws.client("ec2").create_subnet(
        VpcId=first["VpcId"], CidrBlock="172.31.240.0/24", AvailabilityZone=f"{REGION}a"
    )
    same_zone = [first["SubnetId"], second["Subnet"]["SubnetId"]]
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {
        "unknown": ({"mlflow_subnet_ids": unknown}, ["mlflow_subnet_ids", unknown[0], "AWS_REGION"]),
        "one_zone": ({"mlflow_subnet_ids": in_one_zone}, ["mlflow_subnet_ids", f"{REGION}a only", "two availability"]),
        "two_vpcs": (
            {"mlflow_subnet_ids": [in_one_zone[0], default[0]["SubnetId"]]},
            ["mlflow_subnet_ids", "one VPC"],
        ),
        "missing": (
            {"mlflow_bucket_name": "not-there-7c1d", "mlflow_bucket_adopt": True},
            ["mlflow_bucket_name", "not-there-7c1d", "does not exist", "mlflow_bucket_adopt"],
        ),
        "db_unknown": (
            {"mlflow_db_subnet_ids": [unknown[0], default[1]["SubnetId"]]},
            ["mlflow_db_subnet_ids", unknown[0], "AWS_REGION"],
        ),
        "db_one_zone": (
            {"mlflow_db_subnet_ids": same_zone},
            ["mlflow_db_subnet_ids", f"{REGION}a only", "two availability"],
        ),
        "db_two_vpcs": (
            {"mlflow_db_subnet_ids": [in_one_zone[0], default[1]["SubnetId"]]},
            ["mlflow_db_subnet_ids", in_one_zone[0], "of the tasks"],
        ),
        "log_bucket": (
            {"mlflow_bucket_access_log_bucket": "not-there-7c1d"},
            ["mlflow_bucket_access_log_bucket", "not-there-7c1d", "does not exist"],
        ),
        "theirs": ({"mlflow_bucket_name": theirs}, ["mlflow_bucket_name", theirs, "another AWS account"]),
        "theirs_adopted": (
            {"mlflow_bucket_name": theirs, "mlflow_bucket_adopt": True},
            ["mlflow_bucket_name", theirs, "another AWS account"],
        ),
    }
    aws.page("calls", "DELETE")
    # So does S3 answer about a bucket of somebody else. HeadBucket has no body, and hence no other code.
    aws.order_fault("s3:HeadBucket", code="403", message="Forbidden", status=403, times=0)
    played = aws.play("deploy", hosts={name: case[0] for name, case in cases.items() if "theirs" in name})
    aws.page("faults", "DELETE")
    rest = aws.play("deploy", hosts={name: case[0] for name, case in cases.items() if "theirs" not in name})
    for name, (_unused, parts) in cases.items():
        assert_clear((played if "theirs" in name else rest).problem(name), parts)
    assert_nothing_done(aws, played)
    assert_nothing_done(aws, rest)


def _private_subnets(aws: LocalAws, network: str = "10.8", size: int = 24) -> list[str]:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=f"{network}.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{network}.{number}.0/{size}", AvailabilityZone=f"{REGION}{zone}")[
            "Subnet"
        ]["SubnetId"]
        for number, zone in enumerate("ab")
    ]


def test_a_public_server_without_login_takes_a_second_word(calm: LocalAws) -> None:
    """The reason is said before anything is made. Private subnets, or the second word, are enough.

    Variables of one's own are accepted: of this role's prefix those that are listed, of other roles' all others.
    And text, which is what ``-e name=value`` gives, is taken for what it stands for.
    """
    own = {"mlflow_team": "vision", "mlflow_cost_1": 1, "mlflow_known_variables": ["mlflow_team", "mlflow_cost_*"]}
    others = {"network_cidr": "10.0.0.0/8", "rds_proxy_arn": "x", "iam_users": ["ana"], "bucket_policy_file": "x"}
    private = _private_subnets(calm)
    text = {
        "mlflow_subnet_ids": json.dumps(private),
        "mlflow_service_ingress_cidrs": "10.0.0.0/8, 192.168.0.0/16",
        "mlflow_tags": "team=vision",
        "mlflow_extra_env": '{"LEVEL": "1"}',
        "mlflow_extra_args": '["--expose-prometheus", "/x"]',
        "mlflow_db_multi_az": "false",
        "mlflow_db_deletion_protection": "no",
        "mlflow_db_allocated_storage": "25",
        "mlflow_workers": "2",
    }
    calm.page("calls", "DELETE")
    played = calm.play("deploy", {"mlflow_auth": "none"})
    assert_clear(played.problem(), ["mlflow_auth", "internet", "mlflow_allow_public_without_login"])
    assert_nothing_done(calm, played)
    hosts = {
        "private": calm.small(mlflow_name="private", mlflow_auth="none", mlflow_ingress="private", **own) | text,
        "meant": calm.small(
            mlflow_name="meant", mlflow_auth="none", mlflow_allow_public_without_login="true", **others
        ),
    }
    played = calm.play("deploy", hosts=hosts, check=True, arguments=["-vv"]).succeeded()
    shown = r"^changed: \[private\](?: => \(item=.*?\))? => (\{.*\})$"
    done = "\n".join(re.findall(shown, played.output, re.M))
    wanted = [
        '"multi_az": false',
        '"deletion_protection": false',
        '"allocated_storage": 25',
        f'"subnets": {json.dumps(sorted(private))}',
        '"team": "vision"',
        '"LEVEL": "1"',
        "--workers 2 ",
        "--expose-prometheus /x ",
    ]
    assert [one for one in wanted if one not in done] == [], done
    # What else lets traffic in without encryption is said, and nothing of those who do not ask for it.
    warning = r'^ok: \[(\w+)\] => \{[^{}]*"msg": "WARNING: mlflow_service_ingress_cidrs lets (.+?) reach .*plain HTTP'
    assert re.findall(warning, played.output, re.M) == [("private", "10.0.0.0/8, 192.168.0.0/16")]


def test_subnets_that_are_not_as_public_or_private_as_was_said(calm: LocalAws) -> None:
    """The route tables decide on AWS, so what they decide must be what was meant."""
    private = _private_subnets(calm, "10.9")
    [default, *_unused] = calm.client("ec2").describe_subnets(
        Filters=[
            {"Name": "default-for-az", "Values": ["true"]},
            {"Name": "availability-zone", "Values": [f"{REGION}c"]},
        ]
    )["Subnets"]
    mixed = calm.client("ec2").create_subnet(
        VpcId=default["VpcId"], CidrBlock="172.31.250.0/24", AvailabilityZone=f"{REGION}b"
    )["Subnet"]["SubnetId"]
    table = calm.client("ec2").create_route_table(VpcId=default["VpcId"])["RouteTable"]["RouteTableId"]
    calm.client("ec2").associate_route_table(RouteTableId=table, SubnetId=mixed)
    both = [default["SubnetId"], mixed]
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {
        "not-public": ({"mlflow_subnet_ids": private}, ["'public'", *private, "no route to an internet gateway"]),
        "default": ({"mlflow_ingress": "private"}, ["'private'", "mlflow_subnet_ids is empty", "NAT gateway"]),
        "mixed-public": ({"mlflow_subnet_ids": both}, ["'public'", mixed, "no route to an internet gateway"]),
        "mixed-private": (
            {"mlflow_subnet_ids": both, "mlflow_ingress": "private"},
            ["'private'", default["SubnetId"], "lead to an internet gateway"],
        ),
    }
    calm.page("calls", "DELETE")
    played = calm.play("deploy", hosts={name: case[0] for name, case in cases.items()})
    for name, (_unused, parts) in cases.items():
        assert_clear(played.problem(name), parts)
    assert_nothing_done(calm, played)


def test_subnets_that_are_full_stop_a_new_deployment_only(calm: LocalAws) -> None:
    """A deployment that is there took some of the addresses itself, so that they may be fewer when it is run again."""
    private = _private_subnets(calm, "10.10", 28)
    ec2 = calm.client("ec2")
    for _unused in range(4):
        ec2.create_network_interface(SubnetId=private[1])
    variables = calm.small(mlflow_name="crowded", mlflow_subnet_ids=private, mlflow_ingress="private")
    calm.page("calls", "DELETE")
    played = calm.play("deploy", variables)
    assert_clear(played.problem(), [f"{private[1]} has 7", "8 free addresses", "mlflow_subnet_ids"])
    assert private[0] not in played.problem()
    assert_nothing_done(calm, played)
    [vpc] = {one["VpcId"] for one in ec2.describe_subnets(SubnetIds=private)["Subnets"]}
    tags = [{"Key": "ManagedBy", "Value": "mlops.mlflow_aws"}, {"Key": "MlflowName", "Value": "crowded"}]
    specification = [{"ResourceType": "security-group", "Tags": tags}]
    ec2.create_security_group(
        GroupName="crowded-service",
        Description="MLflow server crowded: the tasks",
        VpcId=vpc,
        TagSpecifications=specification,
    )
    calm.play("deploy", variables, check=True).succeeded()


def test_certificates_of_rds_that_cannot_be_fetched(calm: LocalAws) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost"}
    played = calm.play("deploy", {"mlflow_name": "apart"}, environment=nowhere)
    bundle = f"https://truststore.pki.rds.amazonaws.com/{REGION}/{REGION}-bundle.pem"
    assert_clear(played.problem(), [bundle, "mlflow_db_ca_path", "mlflow_db_sslmode to require"])
    assert_nothing_done(calm, played)


def test_an_old_image_without_what_the_login_needs(calm: LocalAws) -> None:
    played = calm.play("deploy", {"mlflow_version": "3.13.0", "mlflow_pip_install": False})
    assert_clear(played.problem(), ["mlflow_pip_install", "3.13.0", "Flask-WTF", "3.14.0"])
    assert_nothing_done(calm, played)


def test_a_region_without_default_vpc(calm: LocalAws) -> None:
    region = "eu-west-3"
    ec2 = calm.client("ec2", region)
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    for subnet in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for gateway in ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]:
        ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc["VpcId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    calm.page("calls", "DELETE")
    played = calm.play("deploy", environment={"AWS_REGION": region})
    assert_clear(played.problem(), ["no default VPC", "mlflow_subnet_ids"])
    assert_nothing_done(calm, played)


def test_destroying_takes_the_name_twice_and_losing_data_too(calm: LocalAws) -> None:
    sure = {"mlflow_name": "kept", "mlflow_confirm_destroy": "kept"}
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {
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
    played = calm.play("destroy", hosts={name: case[0] for name, case in cases.items()})
    for name, (_unused, parts) in cases.items():
        assert_clear(played.problem(name), parts)
    assert_nothing_done(calm, played)
    # Nobody is there to answer the question either.
    played = calm.play("destroy", {"mlflow_name": "kept"})
    assert_clear(played.problem(), ["Nothing was destroyed", "mlflow_confirm_destroy=kept"])
    assert_nothing_done(calm, played)
