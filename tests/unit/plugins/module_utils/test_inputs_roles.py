# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of roles that are used alone, and names of databases."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import roles
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import ROLES
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import problems_of
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of


@pytest.mark.parametrize("word", ["user", "Select", "table"])
def test_words_that_postgresql_keeps_for_itself(word: str) -> None:
    for name in ("mlflow_db_name", "mlflow_db_username"):
        [problem] = problems_of(**{name: word})
        assert problem.startswith(f"{name} is {word!r}, a word that PostgreSQL keeps for itself")
    existing = {"mlflow_db_host": "db.example.com", "mlflow_db_secret_arn": SECRET}
    assert problems_of(**{"mlflow_db_name": word, **existing}) == []
    assert len(said_of(roles.role_violations, {"rds_username": word})) == 1


def test_every_variable_that_is_checked_is_one_of_a_role() -> None:
    known: set[str] = set()
    for path in ROLES.glob("*/meta/argument_specs.yml"):
        known |= yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"].keys()
    assert set(roles.CHECKS_OF_ROLES) <= known
    assert {one for one in known if one.endswith("_tags")} - {"mlflow_tags"} <= set(roles.CHECKS_OF_ROLES)


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        ({"bucket_tags": {"Owner": None}}, "bucket_tags['Owner'] is null"),
        ({"rds_tags": {"rds:x": "y"}}, "AWS's own"),
        ({"ecs_express_extra_env": {"A": [1]}}, "ecs_express_extra_env['A'] is a list"),
        (
            {"ecs_express_extra_env": {"A": 1}, "ecs_express_extra_secrets": {"A": SECRET}},
            "A is in ecs_express_extra_env and in ecs_express_extra_secrets",
        ),
        ({"ecs_express_extra_args": ["--port", 1]}, "ecs_express_extra_args[0]"),
        ({"ecs_express_cpu": 256, "ecs_express_memory": 4096}, "ecs_express_memory is 4096"),
        ({"rds_name": "Bad_Name"}, "rds_name is 'Bad_Name'"),
        ({"iam_name": "n" * 45}, "up to 44"),
        ({"iam_secret_arns": [None]}, "iam_secret_arns[0] is null"),
        ({"network_service_ingress_cidrs": ["10.0.0.1"]}, "network_service_ingress_cidrs[0]"),
        ({"ecs_express_task_role_arn": "role"}, "ecs_express_task_role_arn is 'role'"),
    ],
)
def test_variables_of_roles(given_value: dict[str, Any], words: str) -> None:
    [problem] = said_of(roles.role_violations, given_value)
    assert words in problem


def test_good_variables_of_roles() -> None:
    good = {
        "bucket_tags": {"CostCentre": 4711},
        "rds_name": "mlflow-2",
        "auth_name": "team/mlflow",
        "iam_secret_arns": [SECRET, "arn:aws:ssm:eu-central-1:123456789012:parameter/x"],
        "iam_bucket_arn": "arn:aws-cn:s3:::our-models",
        "iam_log_group_arn": "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/default/mlflow",
        "ecs_express_tags": {},
        "ecs_express_extra_env": {"LEVEL": 1},
    }
    assert said_of(roles.role_violations, good) == []
