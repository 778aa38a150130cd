# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.filter.input_problems import input_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import connections

ROLES = Path(__file__).parents[4] / "roles"
DEFAULTS = yaml.safe_load((ROLES / "mlflow/defaults/main.yml").read_text(encoding="utf-8"))


def fit(**given):
    found = connections.connection_fit({**DEFAULTS, **given})
    return {**found, "problem": str(found["problem"] or ""), "warning": str(found["warning"] or "")}


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("db.t4g.micro", 1),
        ("db.t3.medium", 4),
        ("db.m7g.large", 8),
        ("db.r6i.xlarge", 32),
        ("db.x2g.large", None),
        ("db.t4g.nonsense", None),
        ("db.m6gd.large", 8),
        ("db.serverless", None),
        ("", None),
    ],
)
def test_memory_of_a_class(name, memory):
    assert connections.class_memory(name) == memory


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("db.t4g.micro", 84, 112),
        # What users read from instances of 2, 4 and 8 GiB.
        ("db.t4g.small", 168, 198),
        ("db.t4g.medium", 337, 413),
        ("db.m7g.large", 675, 856),
        ("db.r7g.16xlarge", 5000, 5000),
    ],
)
def test_max_connections_are_estimated_carefully(name, least, most):
    assert connections.max_connections(name) == least <= most
    assert connections.max_connections(name, share=1.0) >= most


def test_the_defaults_fit_in_every_mode():
    for auth in ("basic", "oidc", "none"):
        found = fit(mlflow_auth=auth)
        assert found["needed"] <= found["available"]
        assert (found["problem"], found["warning"]) == ("", "")


def test_the_sum_counts_two_servers_their_processes_and_what_else_connects():
    found = fit(mlflow_workers=3, mlflow_db_pool_size=4, mlflow_db_pool_max_overflow=3)
    assert found["needed"] == 2 * (3 * 7 + 4 + 5) + 4
    assert fit(mlflow_workers=3, mlflow_job_execution=False)["needed"] == 2 * (3 * 7 + 4) + 4
    assert found["available"] == 84 - 5


def test_what_cannot_fit_is_a_problem_with_the_numbers():
    found = fit(mlflow_workers=8)
    parts = ("mlflow_workers", "db.t4g.micro", "8 workers x 7", ": 134;", "84 - 5 reserved = 79", "no more than 107")
    for part in parts:
        assert part in found["problem"]
    assert found["warning"] == ""


def test_what_may_fit_is_a_warning():
    found = fit(mlflow_workers=5)
    assert (found["needed"], found["problem"]) == (92, "")
    assert "mlflow_workers" in found["warning"]


@pytest.mark.parametrize(
    "given",
    [
        {"mlflow_db_host": "database.example.com"},
        {"mlflow_db_instance_class": "db.x2g.large"},
        {"mlflow_db_instance_class": "db.t4g.large"},
        # Another check says what is wrong with it.
        {"mlflow_workers": "many"},
    ],
)
def test_what_is_not_known_is_not_refused(given):
    found = fit(**{"mlflow_workers": 8, **given})
    assert (found["problem"], found["warning"]) == ("", "")


def test_text_of_the_command_line_is_taken_for_numbers():
    assert fit(mlflow_workers="8", mlflow_job_execution="false")["needed"] == 2 * (8 * 7 + 4) + 4


def test_a_worker_needs_the_connections_of_one_request():
    [problem] = input_problems({"mlflow_db_pool_size": 1, "mlflow_db_pool_max_overflow": "2"})
    assert "3 database connections" in problem
    assert input_problems({"mlflow_db_pool_size": 1, "mlflow_db_pool_max_overflow": 3}) == []
    # MLflow takes 0 for not set, which means 10 (mlflow/store/db/utils.py, create_sqlalchemy_engine).
    assert "mlflow_db_pool_max_overflow" in input_problems({"mlflow_db_pool_max_overflow": 0})[0]


def test_the_server_counts_in_the_same_way():
    module = (ROLES / "ecs_express/files/mlflow_bounded_pool.py").read_text(encoding="utf-8")
    assert f"\nDEPTH = {connections.LEAST_PER_WORKER}\n" in module
