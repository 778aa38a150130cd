# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each mistake in a variable that can be known without asking AWS ends in one clear sentence.

That the playbooks say these sentences, for each deployment, and before anything is asked of AWS: tests/end_to_end,
test_bad_input.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.action.sentences import assert_clear
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.action.test_role_variables_action import problem

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
    "tags_too_many": ({"mlflow_tags": {f"k{number}": 1 for number in range(48)}}, ["48 tags", "40 are allowed"]),
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


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_variable(name: str) -> None:
    variables, parts = MISTAKES[name]
    assert_clear(problem("mlflow", **variables), parts)
