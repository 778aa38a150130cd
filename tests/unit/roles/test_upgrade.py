# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mlflow tells an upgrade: what the server is run with by both versions, of which the rest is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from plays import ROLES
from plays import play_of
from plays import run
from plays import shown_in

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import Described
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import upgraded

Container = dict[str, Any]
# Each login is a host: the version that runs, and what the server is known to run with.
FORMER = {"basic": "3.13.0", "oidc": "3.15.2"}
TASKS = ROLES / "mlflow/tasks"
VARIABLES = {
    "mlflow_name": "tracking",
    "mlflow_version": "3.17.2",
    "mlflow_workers": 2,
    "mlflow_auth": "{{ inventory_hostname }}",
    "mlflow_oidc_discovery_url": "https://login.example.com/.well-known/openid-configuration",
    "mlflow_oidc_client_id": "made-up-client",
    "mlflow_oidc_client_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:idp-AbCdEf",
    "mlflow_context": {"region": "eu-central-1", "partition": "aws", "account_id": "123456789012"},
    "mlflow_upgraded": {
        "changed": True,
        "running": {
            "version": "{{ former[inventory_hostname] }}",
            "image": "ghcr.io/mlflow/mlflow:v{{ former[inventory_hostname] }}-full",
            "database_host": "db.example.com",
            "database_port": 5432,
            "database_username": "mlflow",
            "database_ca_certificates": "-----BEGIN CERTIFICATE-----",
        },
    },
    "former": FORMER,
    # As where the role's tasks play it.
    "role_path": str(ROLES / "mlflow"),
}


def asked(name: str) -> list[Any]:
    """The tasks of a file, up to the one that calls the module, which is replaced by one that keeps what it is told."""
    tasks = yaml.safe_load((TASKS / name).read_text(encoding="utf-8"))
    [at] = [index for index, task in enumerate(tasks) if "newer.yml" in str(task)]
    given = {one: tasks[at]["vars"][f"__mlflow_{one}"] for one in ("container", "former_container")}
    for task in tasks[:at]:
        if "ansible.builtin.import_tasks" in task:
            task["ansible.builtin.import_tasks"] = str(TASKS / task["ansible.builtin.import_tasks"])
    told = "{{ {'wanted': container, 'former': former_container} }}"
    return [*tasks[:at], {**shown_in(told, "{{ folder }}/{{ inventory_hostname }}.json"), "vars": given}]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Container]]:
    """What the module is told, by login."""
    folder = tmp_path_factory.mktemp("upgrade")
    [block] = [
        one for one in yaml.safe_load((TASKS / "upgrade.yml").read_text(encoding="utf-8")) if "server.yml" in str(one)
    ]
    facts, login, _server = block["block"]
    login["ansible.builtin.import_tasks"] = str(TASKS / "login_settings.yml")
    play = play_of(
        [{"vars": block["vars"], "block": [facts, login, *asked("server.yml")]}],
        ROLES / "mlflow/vars/main.yml",
        **{**yaml.safe_load((ROLES / "mlflow/defaults/main.yml").read_text(encoding="utf-8")), **VARIABLES},
        folder=str(folder),
    )
    run(folder, play, hosts=",".join(FORMER))
    return {login: json.loads((folder / f"{login}.json").read_text(encoding="utf-8")) for login in FORMER}


def test_the_login_is_tried_as_validation_does_before_the_server_is_changed() -> None:
    tasks = yaml.safe_load((TASKS / "upgrade.yml").read_text(encoding="utf-8"))
    [reach, change, validate] = [
        number
        for number, task in enumerate(tasks)
        if any(f"/{name}.yml" in str(task) for name in ("reach", "server", "validate"))
    ]
    assert reach < change < validate
    # A check run reads no secret, and a server that an upgrade was cut off at need not answer.
    assert {"not ansible_check_mode", "mlflow_upgraded.running.url | length > 0"} <= set(tasks[reach]["when"])
    [tried] = yaml.safe_load((TASKS / "reach.yml").read_text(encoding="utf-8"))
    given = tried["block"][0]["vars"]
    [later] = [
        task["vars"]
        for task in yaml.safe_load((TASKS / "validate.yml").read_text(encoding="utf-8"))
        if "validation_login_secret_arn" in task.get("vars", {})
    ]
    for name in ("validation_ca_path", "validation_request_timeout"):
        assert given[name] == later[name]
    for name in ("login_secret_arn", "token_secret_arn"):
        assert (
            later[f"validation_{name}"]
            .replace(" and not ansible_check_mode", "")
            .replace(" if not ansible_check_mode else ''", "")
            == given[f"validation_{name}"]
        )
    assert "Nothing was changed" in str(tried["rescue"])


def test_openid_connect_gets_the_plugin_of_the_new_version(told: dict[str, dict[str, Container]]) -> None:
    former, wanted = told["oidc"]["former"], told["oidc"]["wanted"]
    assert "mlflow-oidc-auth==8.4.0" in former["command"][-1] and "mlflow-oidc-auth==10.1.3" in wanted["command"][-1]
    assert "postgresql+psycopg2://mlflow@db.example.com:5432/mlflow" in wanted["command"][-1]
    assert former["environment"] == wanted["environment"] and former["secrets"] == wanted["secrets"]


def test_the_login_of_mlflow_no_longer_installs_what_the_new_image_has(told: dict[str, dict[str, Container]]) -> None:
    former, wanted = told["basic"]["former"], told["basic"]["wanted"]
    assert "flask-wtf==" in former["command"][-1].lower() and "flask-wtf==" not in wanted["command"][-1].lower()


@pytest.mark.parametrize("login", FORMER)
def test_what_runs_keeps_all_that_no_version_changes(login: str, told: dict[str, dict[str, Container]]) -> None:
    former, wanted = told[login]["former"], told[login]["wanted"]
    # As deployed: with the true secrets, subnets and certificates, which the upgrade does not know.
    running = {**former, "environment": {**former["environment"], "FORWARDED_ALLOW_IPS": "10.0.0.0/24", "OWN": "1"}}
    running["secrets"] = {"PGPASSWORD": "arn:true", "SECRET_KEY": "arn:key"}
    found = upgraded(running, "image", Described(wanted, former))
    assert found["command"] == wanted["command"] and found["secrets"] == running["secrets"]
    assert found["environment"].items() >= {"FORWARDED_ALLOW_IPS": "10.0.0.0/24", "OWN": "1"}.items()
