# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a benchmark, each on a local AWS of its own, which is taken down again whatever happens."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timeline
import yaml
from aws import LocalAws
from contestants import Contestant
from contestants import contestants
from contestants import whole_converge
from memory import Memory
from results import Figures
from results import Measured

from playbooks import Playbooks
from playbooks import Run
from playbooks import waits

#: The settings in which ten deployments fit on one small machine; the defaults are four workers and jobs on.
SMALL = {"mlflow_workers": 1, "mlflow_job_execution": False}
TEN = 10
CHECK_BEFORE, DEPLOY, CHECK_AFTER, DESTROY = ("--check on nothing", "first deploy", "--check", "destroy")
OPERATIONS = (CHECK_BEFORE, DEPLOY, CHECK_AFTER, DESTROY)


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    """Where and how it is measured.

    :arg home: folder for the local AWSs' state, inventories and logs.
    :arg software: folder with the local AWS's software.
    :arg rounds: how often each contestant runs.
    :arg providers: the folder with Terraform's provider, None if Terraform finds it by itself.
    """

    home: Path
    software: Path
    scale: float
    rounds: int
    providers: Path | None = None

    @contextlib.contextmanager
    def local_aws(self, *versions: str) -> Iterator[LocalAws]:
        """A fresh one.

        :arg versions: of MLflow that it can run, besides the present one.
        """
        aws = LocalAws(self.home / "local_aws", self.software, self.scale)
        try:
            aws.up(*versions)
            yield aws
        finally:
            aws.down()

    def playbooks(self, aws: LocalAws, hosts: list[str], variables: dict[str, Any]) -> Playbooks:
        """Ansible, with one deployment for each host."""
        common = {
            "mlflow_name": "{{ inventory_hostname }}",
            "mlflow_ca_path": aws.info["ca_bundle"],
            "mlflow_db_ca_path": aws.info["rds_ca_bundle"],
            "mlflow_express_domain": aws.info["domain"],
            "mlflow_poll_seconds": 1,
            "mlflow_confirm_destroy": "{{ mlflow_name }}",
            **variables,
        }
        path = self.home / "inventory.yml"
        document = {"all": {"hosts": {host: {} for host in hosts}, "vars": common}}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return Playbooks(aws, path, hosts)


@contextlib.contextmanager
def _memory(aws: LocalAws, peaks: dict[str, int]) -> Iterator[None]:
    memory = Memory(aws.info["pid"])
    memory.start()
    try:
        yield
    finally:
        peaks.update(memory.stop())


def measure_one(bench: Bench, selected: set[str], results: Measured) -> None:
    """One deployment with the default settings: its life, if "life" is selected, and the contestants in turn."""
    say("==> One deployment, default settings: a fresh local AWS")
    with bench.local_aws() as aws:
        playbooks = bench.playbooks(aws, ["mlflow"], {})
        first = _first_deploy(playbooks, results) if "life" in selected else None
        if first is None:
            say("    (a deployment to measure with)")
            playbooks.run("deploy", changes=True)
        chosen = contestants(playbooks, bench.home, selected, bench.providers)
        for contestant in chosen:
            say(f"    (preparing {contestant.name})")
            contestant.prepare()
        runs = _in_turn(chosen, bench.rounds)
        for contestant in chosen:
            results.put("contestants", contestant.name, Figures.of(runs[contestant.name]), title=contestant.title)
        if first is not None:
            again = playbooks.run("deploy", *whole_converge(), changes=False)
            results.put_values("waits", "one", waits(first, again), share_of=first.wall)
            results.put_operations("one", first.calls, again.calls)
            _operate(playbooks, results, CHECK_AFTER)
            _operate(playbooks, results, DESTROY)


def _first_deploy(playbooks: Playbooks, results: Measured) -> Run:
    _operate(playbooks, results, CHECK_BEFORE)
    peaks: dict[str, int] = {}
    with _memory(playbooks.aws, peaks):
        first = _operate(playbooks, results, DEPLOY)
    results.put_values("memory", "one", peaks)
    spans = timeline.steps(first.tasks) + timeline.processes(playbooks.aws, "mlflow", first)
    results.put_timeline(spans)
    return first


def _operate(playbooks: Playbooks, results: Measured, operation: str) -> Run:
    run = {
        CHECK_BEFORE: lambda: playbooks.run("deploy", "--check", changes=True),
        DEPLOY: lambda: playbooks.run("deploy", changes=True),
        CHECK_AFTER: lambda: playbooks.run("deploy", "--check", changes=False),
        DESTROY: lambda: playbooks.run("destroy", changes=True),
    }[operation]()
    say(f"    {operation}: {run.wall:.1f} s, {run.cpu:.1f} s of CPU, {run.calls.total()} AWS calls")
    results.put("life", operation, Figures.of([run]))
    return run


def _in_turn(chosen: list[Contestant], rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in chosen}
    for number in range(1, rounds + 1):
        for contestant in chosen:
            run = contestant.once()
            runs[contestant.name].append(run)
            text = f"{run.wall:.1f} s, {run.cpu:.1f} s of CPU, {run.calls.total()} AWS calls"
            say(f"    round {number}, {contestant.name}: {text}")
    return runs


def measure_ten(bench: Bench, results: Measured) -> None:
    """Ten deployments side by side, and in turn with them one of the ten alone."""
    say(f"==> Ten deployments, {settings(SMALL)}: a fresh local AWS")
    hosts = [f"bench{number:02}" for number in range(1, TEN + 1)]
    peaks: dict[str, int] = {}
    with bench.local_aws() as aws:
        playbooks = bench.playbooks(aws, hosts, SMALL)
        with _memory(aws, peaks):
            first = playbooks.run("deploy", changes=True)
        say(f"    first deploy: {first.wall:.1f} s, {first.cpu:.1f} s of CPU, {first.calls.total()} AWS calls")
        results.put("ten", "first deploy of ten", Figures.of([first]))
        converge = [
            Contestant("one of ten", "", lambda: playbooks.run("deploy", changes=False, limit=hosts[0])),
            Contestant("ten", "", lambda: playbooks.run("deploy", changes=False)),
        ]
        converging: dict[str, int] = {}
        with _memory(aws, converging):
            runs = _in_turn(converge, max(1, bench.rounds - 1))
        whole = playbooks.run("deploy", *whole_converge(), changes=False)
    for name, found in runs.items():
        results.put("ten", name, Figures.of(found))
    results.put("ten", "ten, without the fingerprint", Figures.of([whole]))
    results.put_values("waits", "ten", waits(first, whole), share_of=first.wall)
    results.put_operations("ten", first.calls, whole.calls)
    results.put_values("memory", "ten", peaks)
    results.put_values("memory", "ten, converge", converging)


def settings(variables: dict[str, Any]) -> str:
    """Variables as they are shown."""
    return " ".join(f"`{name}={str(value).lower()}`" for name, value in variables.items())
