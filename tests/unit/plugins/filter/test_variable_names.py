# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter variable_names: the names by which the user of an including role knows the variables."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.filter.variable_names import variable_names

OWN = {"cpu": "ecs_express_cpu", "host": "ecs_express_database_host", "role": "ecs_express_task_role_arn"}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({}, OWN),
        ({"rds_": "team_"}, OWN),
        (
            {"ecs_express_": "team_"},
            {"cpu": "team_cpu", "host": "team_database_host", "role": "team_task_role_arn"},
        ),
        (
            {"ecs_express_": "team_", "ecs_express_database_": "db_", "ecs_express_task_role_arn": ""},
            {"cpu": "team_cpu", "host": "db_host"},
        ),
        ({"ecs_express_cpu": "vcpus"}, {**OWN, "cpu": "vcpus"}),
    ],
)
def test_the_longest_beginning_counts(names: dict[str, str], found: dict[str, str]) -> None:
    assert variable_names(OWN, names) == found
