# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose certificates the server trusts for its database, and what a task does with them before its server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import ROLES
from plays import play_of
from plays import playbook
from plays import run
from plays import shown_in

Bundle = dict[str, str]

AWS = "https://truststore.pki.rds.amazonaws.com"
GOVERNMENT = "https://truststore.pki.us-gov-west-1.rds.amazonaws.com"
CHINA = "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn"
ONE = "-----BEGIN CERTIFICATE-----\nTUFERSBVUA==\n-----END CERTIFICATE-----"


def context(partition: str, region: str) -> dict[str, Any]:
    return {"rds_context": {"partition": partition, "region": region}}


# name: what is given, and the mode and the address that must come of it.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "own": (context("aws", "eu-central-1"), "verify-full", f"{AWS}/eu-central-1/eu-central-1-bundle.pem"),
    "government": (
        context("aws-us-gov", "us-gov-east-1"),
        "verify-full",
        f"{GOVERNMENT}/us-gov-east-1/us-gov-east-1-bundle.pem",
    ),
    "china": (context("aws-cn", "cn-northwest-1"), "verify-full", f"{CHINA}/cn-northwest-1/cn-northwest-1-bundle.pem"),
    "unknown_partition": (context("aws-eusc", "eusc-de-east-1"), "verify-full", ""),
    "another_region": (
        {**context("aws", "eu-central-1"), "rds_existing_host": "db.abc123.eu-west-3.rds.amazonaws.com"},
        "verify-full",
        f"{AWS}/eu-west-3/eu-west-3-bundle.pem",
    ),
    "theirs_in_china": (
        {**context("aws-cn", "cn-north-1"), "rds_existing_host": "db.abc123.cn-north-1.rds.amazonaws.com.cn"},
        "verify-full",
        f"{CHINA}/cn-north-1/cn-north-1-bundle.pem",
    ),
    "proxy": (
        {**context("aws", "eu-central-1"), "rds_existing_host": "db.proxy-abc123.eu-west-3.rds.amazonaws.com"},
        "require",
        "",
    ),
    "elsewhere": ({**context("aws", "eu-central-1"), "rds_existing_host": "db.example.com"}, "require", ""),
    "lookalike": (
        {**context("aws", "eu-central-1"), "rds_existing_host": "db.abc.eu-west-3.rds.amazonaws.com.example.com"},
        "require",
        "",
    ),
    "elsewhere_with_a_file": (
        {**context("aws", "eu-central-1"), "rds_existing_host": "db.example.com", "rds_ca_path": "company.pem"},
        "verify-full",
        "",
    ),
    "said": (
        {**context("aws", "eu-central-1"), "rds_sslmode": "require"},
        "require",
        f"{AWS}/eu-central-1/eu-central-1-bundle.pem",
    ),
    "in_the_image": (
        {
            **context("aws", "eu-central-1"),
            "rds_existing_host": "db.example.com",
            "rds_ca_in_image": True,
        },
        "verify-full",
        "",
    ),
}


def play(folder: Path, role: str, show: str, cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What an expression over a role's variables gives for some cases, by one playbook."""
    tasks = [
        {**shown_in(f"{{{{ ({show}) | to_json }}}}", str(folder / f"{name}.json")), "vars": case}
        for name, case in cases.items()
    ]
    files = (ROLES / role / part / "main.yml" for part in ("defaults", "vars"))
    run(folder, play_of(tasks, *files), extra={"role_path": str(ROLES / role)})
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in cases}


def test_whose_certificates_are_trusted(tmp_path: Path) -> None:
    found = play(
        tmp_path,
        "rds",
        "[__rds_findings.sslmode, __rds_findings.bundle_url]",
        {name: case[0] for name, case in CASES.items()},
    )
    assert found == {name: [mode, url] for name, (_unused, mode, url) in CASES.items()}


def test_nothing_but_certificates_is_taken_from_a_file(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n"
    (tmp_path / "both.pem").write_text(f"comment\n{ONE}\n{key}{ONE}\n", encoding="utf-8")
    case = {**context("aws", "eu-central-1"), "rds_ca_path": str(tmp_path / "both.pem")}
    assert play(tmp_path, "rds", "__rds_findings.certificates", {"both": case}) == {"both": [ONE, ONE]}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The service's command and environment, with certificates and without."""
    given = {
        "ecs_express_context": {"region": "eu-central-1", "partition": "aws", "dns_suffix": "amazonaws.com"},
        "ecs_express_database_host": "database.example.com",
        "ecs_express_database_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow-AbCdEf",
        "ecs_express_bucket": "mlflow-artifacts",
    }
    trusting = {"ecs_express_database_ca_certificates": f"{ONE}\n{ONE}", "ecs_express_database_sslmode": "verify-full"}
    show = "{'command': __ecs_express_command, 'environment': __ecs_express_environment}"
    names = yaml.safe_load((ROLES / "mlflow/vars/main.yml").read_text(encoding="utf-8"))["__mlflow_variable_names"]
    cases = {"with": {**given, **trusting, "ecs_express_variable_names": names}, "alone": {**given, **trusting}}
    return play(tmp_path_factory.mktemp("commands"), "ecs_express", show, {**cases, "without": given})


Task = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def task(commands: dict[str, Any], tmp_path: Path) -> Task:
    """Run the command as a container does, with a driver and a server that are made up."""

    def go(connect: str, case: str = "with") -> subprocess.CompletedProcess[str]:
        programs = tmp_path / "programs"
        programs.mkdir(exist_ok=True)
        (programs / "psycopg2.py").write_text(
            "class OperationalError(Exception): pass\n"
            "class Connection:\n    def close(self): pass\n"
            f"def connect(dsn):\n    print('connects to', dsn)\n    {connect}\n    return Connection()\n",
            encoding="utf-8",
        )
        server = '#!/bin/sh\necho "serves $1"\ncat "$PGSSLROOTCERT"\nstat -c %a "$PGSSLROOTCERT"\n'
        (programs / "mlflow").write_text(server, encoding="utf-8")
        (programs / "mlflow").chmod(0o755)
        (programs / "python").symlink_to(sys.executable)
        return subprocess.run(
            commands[case]["command"],
            env={
                **commands[case]["environment"],
                "PATH": f"{programs}:/usr/bin:/bin",
                "PYTHONPATH": str(programs),
                "TMPDIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return go


def test_without_certificates_no_connection_is_tried_before_the_server(commands: dict[str, Any]) -> None:
    assert "PGSSLROOTCERT" in commands["with"]["command"][2]
    assert "PGSSLROOTCERT" not in commands["without"]["command"][2]
    assert "DATABASE_CA_CERTIFICATES" not in commands["without"]["environment"]


def test_the_server_finds_the_certificates_in_a_file(task: Task) -> None:
    done = task("pass")
    assert done.returncode == 0, done.stderr
    connects, serves, *rest = done.stdout.splitlines()
    assert connects == "connects to postgresql://mlflow@database.example.com:5432/mlflow"
    assert serves == "serves server"
    assert "\n".join(rest) == f"{ONE}\n{ONE}\n600"


def test_a_certificate_that_is_not_trusted_ends_the_task_with_a_sentence(task: Task) -> None:
    done = task("raise OperationalError('connection failed: SSL error:\\n certificate verify failed')")
    assert done.returncode == 1
    assert "serves" not in done.stdout
    assert done.stderr.startswith("The database could not prove who it is")
    assert "mlflow_db_ca_path" in done.stderr
    assert "SSL error: certificate verify failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("case", "certificates", "host"),
    [
        ("alone", "ecs_express_database_ca_certificates", "ecs_express_database_host"),
        ("with", "mlflow_db_ca_path", "mlflow_db_host"),
    ],
)
def test_the_sentence_names_the_variables_that_the_user_sets(
    task: Task, case: str, certificates: str, host: str
) -> None:
    done = task("raise OperationalError('certificate verify failed')", case=case)
    assert f"the authorities given ({certificates}), or is for another name ({host})." in done.stderr


@pytest.mark.parametrize("connect", ["raise OperationalError('timeout expired')", "raise ImportError"])
def test_what_may_pass_is_left_to_the_server(task: Task, connect: str) -> None:
    done = task(connect)
    assert done.returncode == 0, done.stderr
    assert "serves server" in done.stdout


def test_a_key_in_the_file_is_not_shown(tmp_path: Path) -> None:
    """Not with -v either, with which Ansible shows what a task keeps."""
    key = "-----BEGIN PRIVATE KEY-----\nVE9QU0VDUkVU\n-----END PRIVATE KEY-----\n"
    both = tmp_path / "both.pem"
    both.write_text(f"{key}{ONE}\n", encoding="utf-8")
    tasks = yaml.safe_load((ROLES / "rds/tasks/preflight.yml").read_text(encoding="utf-8"))
    [reads] = [task for task in tasks if "rds_ca_certificates" in task.get("ansible.builtin.set_fact", {})]
    play = play_of([reads], *(ROLES / "rds" / part / "main.yml" for part in ("defaults", "vars")))
    given = {**context("aws", "eu-central-1"), "rds_ca_path": str(both)}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    shown = playbook(tmp_path, "-v", "-i", "localhost,", "-e", json.dumps(given), str(tmp_path / "play.yml"))
    assert "BEGIN CERTIFICATE" in shown
    assert "VE9QU0VDUkVU" not in shown
