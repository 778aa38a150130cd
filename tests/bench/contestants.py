# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment with nothing to do is compared with: each is set up once, and then run again and again, in turn."""

from __future__ import annotations

import functools
import json
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws import ROOT
from aws import LocalAws
from aws import defaults
from aws import environment
from command import BenchError
from command import run

from playbooks import Playbooks
from playbooks import Run

HERE = Path(__file__).resolve().parent
LOG_GROUP = "/ecs/default/mlflow"


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Contestant:
    """One way to find out that there is nothing to do.

    :arg title: for the tables.
    :arg once: runs it, and checks what it did.
    :arg prepare: makes what it finds; not measured.
    """

    name: str
    title: str
    once: Callable[[], Run]
    prepare: Callable[[], None] = _nothing


#: The names that may be asked for; not all of them exist everywhere.
NAMES = ("terraform", "amazon_aws", "converge", "full", "ordinary", "plan", "status", "rehearse")


def has_fingerprint() -> bool:
    """Whether a converge of this version may end early, and can be told not to."""
    return "mlflow_full_converge" in defaults("mlflow")


def whole_converge() -> tuple[str, ...]:
    """The arguments with which a converge does not end early."""
    return ("-e", "mlflow_full_converge=true") if has_fingerprint() else ()


def missing(providers: Path | None = None) -> dict[str, str]:
    """Those that cannot be measured here, and why.

    :arg providers: see Terraform.
    """
    found = {}
    if reason := _no_terraform(providers):
        found["terraform"] = reason
    if not has_fingerprint():
        found["converge"] = "this version has no fingerprint"
    if not (ROOT / "playbooks" / "plan.yml").exists():
        found["plan"] = "this version has no playbook `plan`"
    return found


def contestants(
    playbooks: Playbooks, home: Path, selected: set[str], providers: Path | None = None
) -> list[Contestant]:
    """Those that were selected and exist.

    :arg playbooks: on one deployment with the default settings.
    :arg providers: see Terraform.
    """
    whole = whole_converge()
    rehearsal = Rehearsal(playbooks, home)
    terraform = Terraform(playbooks.aws, home / "terraform", providers)
    plain = Plain(playbooks)
    everybody = [
        Contestant("terraform", "`terraform plan`, 20 resources", terraform.plan, terraform.apply),
        Contestant("amazon_aws", "plain tasks of `amazon.aws`, without the server", plain.again, plain.create),
        Contestant("converge", "`deploy`", lambda: playbooks.run("deploy", changes=False)),
        Contestant("full", "`deploy`, without the fingerprint", lambda: playbooks.run("deploy", *whole, changes=False)),
        Contestant(
            "ordinary",
            "`deploy`, without the fingerprint and without direct execution",
            lambda: playbooks.run("deploy", *whole, "-e", "mlflow_direct_execution=false", changes=False),
        ),
        Contestant("plan", "`plan`, one attribute changed by hand", lambda: _plan(playbooks)),
        Contestant("status", "`status`", lambda: playbooks.run("status", changes=False)),
        Contestant("rehearse", "`make rehearse` again", rehearsal.again, rehearsal.first),
    ]
    return [one for one in everybody if one.name in selected - missing(providers).keys()]


def _plan(playbooks: Playbooks) -> Run:
    """A plan for a log group that keeps its logs for a week, which is put right again afterwards."""
    logs = playbooks.aws.client("logs")
    logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=7)
    try:
        return playbooks.run("plan", changes=None)
    finally:
        days = defaults("mlflow")["mlflow_log_retention_days"]
        logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=days)


def _engine_version() -> str:
    return str(defaults("mlflow")["mlflow_db_engine_version"]).partition(".")[0]


def _init_command(providers: Path | None) -> list[str]:
    command = ["terraform", "init", "-input=false", "-no-color"]
    return [*command, f"-plugin-dir={providers.absolute()}"] if providers else command


def terraform_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables without one that names a configuration of Terraform which does not exist."""
    kept = dict(variables)
    named = kept.get("TF_CLI_CONFIG_FILE")
    if named and not Path(named).exists():
        del kept["TF_CLI_CONFIG_FILE"]
    return kept


@functools.cache
def _no_terraform(providers: Path | None) -> str:
    """Return why Terraform cannot be had, empty if it can: without its provider it is of no use."""
    if not shutil.which("terraform"):
        return "there is no `terraform` on the path"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "terraform" / "main.tf", folder)
        done = run(_init_command(providers), cwd=Path(folder), env=terraform_environment(environment()))
    if done.code:
        return "`terraform init` does not get its provider (`--terraform-providers` names a folder that holds it)"
    return ""


class Terraform:
    """A stack of the same resources.

    :arg folder: for its state.
    :arg providers: the folder with its providers, laid out as a mirror; None to take them from where Terraform does.
    """

    def __init__(self, aws: LocalAws, folder: Path, providers: Path | None) -> None:
        self._aws = aws
        self._folder = folder
        self._providers = providers
        self._password = secrets.token_hex(16)

    def apply(self) -> None:
        """Create it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        shutil.copy(HERE / "terraform" / "main.tf", self._folder)
        self._terraform(*_init_command(self._providers)[1:])
        self._terraform("apply", "-auto-approve", "-input=false", "-no-color")

    def plan(self) -> Run:
        """Find out that nothing is to be done."""
        return self._terraform("plan", "-detailed-exitcode", "-input=false", "-no-color")

    def _terraform(self, *arguments: str) -> Run:
        self._aws.forget_calls()
        variables = {
            "TF_VAR_endpoint": self._aws.info["endpoint_url"],
            "TF_VAR_engine_version": _engine_version(),
            "TF_VAR_password": self._password,
        }
        env = terraform_environment({**self._aws.environment(), **variables})
        done = run(["terraform", *arguments], cwd=self._folder, env=env)
        if done.code:
            raise BenchError(f"terraform {arguments[0]} ended with {done.code}:\n{done.output}")
        return Run(done.wall, done.cpu, self._aws.counts())


class Plain:
    """A play of amazon.aws's own tasks."""

    def __init__(self, playbooks: Playbooks) -> None:
        self._playbooks = playbooks

    def create(self) -> None:
        """Run it until there is nothing to do any more."""
        for _attempt in range(3):
            if not self._played(changes=None).calls.keys() & {"rds:CreateDBInstance", "rds:ModifyDBInstance"}:
                return

    def again(self) -> Run:
        """Run it with nothing to do."""
        return self._played(changes=False)

    def _played(self, *, changes: bool | None) -> Run:
        path = str(HERE / "amazon_aws.yml")
        return self._playbooks.run(path, "-e", f"bench_engine_version={_engine_version()}", changes=changes)


class Rehearsal:
    """`make rehearse`, on the benchmark's own local AWS and deployment."""

    def __init__(self, playbooks: Playbooks, home: Path) -> None:
        self._playbooks = playbooks
        self._variables = home / "rehearsal.json"

    def first(self) -> None:
        """Add what a first rehearsal adds to a deployment: the demo data."""
        variables: dict[str, Any] = self._playbooks.aws.variables()
        self._variables.write_text(json.dumps(variables), encoding="utf-8")
        self._make(changes=None)

    def again(self) -> Run:
        """Run it with nothing to do."""
        return self._make(changes=False)

    def _make(self, *, changes: bool | None) -> Run:
        # make hands ARGS to a shell.
        arguments = f"-e {shlex.quote(f'@{self._variables}')}"
        command = ["make", "--no-print-directory", "rehearse", f"ARGS={arguments}"]
        return self._playbooks.command(command, "make rehearse", hosts=["localhost"], changes=changes)
