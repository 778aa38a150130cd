# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection's playbooks: what they took, what they called, and that they did what they were meant to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from aws import BIN
from aws import ROOT
from aws import LocalAws
from command import BenchError
from command import Finished
from command import run

#: The tasks of a deploy that wait for AWS, by the end of their names, and what they wait for.
WAITS = {
    "available | Wait until the instance is available": "RDS instance",
    "settled | Wait until the changes of the roles have settled": "IAM roles to settle",
    "Create or update the MLflow server as an Express Mode service": "Express Mode service, and MLflow to start in it",
    "server | Wait until the server, its database and its bucket answer": "first answers of the server",
}


@dataclass(frozen=True)
class Task:
    """A task of a playbook: its name, with its role, and when it ran, in seconds since the epoch."""

    name: str
    begun: float
    ended: float


@dataclass(frozen=True)
class Run:
    """One run of a command against a local AWS.

    :arg wall: seconds, its own start included.
    :arg cpu: seconds of processor time.
    :arg calls: the deployer's AWS calls, by operation.
    :arg tasks: Ansible's, in the order in which they ran; none of another program.
    """

    wall: float
    cpu: float
    calls: Counter[str]
    tasks: list[Task] = field(default_factory=list)

    def seconds_of(self, end: str) -> float:
        """What the tasks took together whose names end so."""
        found = [task.ended - task.begun for task in self.tasks if task.name.endswith(end)]
        if not found:
            raise BenchError(f"No task ends in {end!r} any more: correct WAITS in {Path(__file__).name}.")
        return sum(found)


def waits(first: Run, again: Run) -> dict[str, float]:
    """Seconds that a first deploy spent waiting: what a waiting task took beyond its time in a converge."""
    return {text: max(0.0, first.seconds_of(end) - again.seconds_of(end)) for end, text in WAITS.items()}


class Playbooks:
    """Ansible's side of a benchmark: an inventory, and runs of playbooks on its hosts.

    :arg inventory: the file.
    :arg hosts: the names of its hosts.
    """

    def __init__(self, aws: LocalAws, inventory: Path, hosts: list[str]) -> None:
        self.aws = aws
        self._inventory = inventory
        self._hosts = hosts

    def run(self, name: str, *arguments: str, changes: bool | None, limit: str = "") -> Run:
        """Run a playbook of the collection.

        :arg name: such as deploy; a path of a playbook's file is taken as it is.
        :arg changes: whether it is to change something (in check mode: to say so) on every host, or nothing on any;
            None: either.
        :arg limit: a host that it runs on alone.
        :raises BenchError: it failed, with what the failed tasks said; or it did not keep to that.
        """
        command = [str(BIN / "ansible-playbook"), name if "/" in name else f"mlops.mlflow_aws.{name}"]
        command += ["-i", str(self._inventory), "--forks", str(len(self._hosts)), *arguments]
        if limit:
            command += ["--limit", limit]
        hosts = [limit] if limit else self._hosts
        return self.command(command, name, hosts=hosts, changes=changes)

    def command(self, command: list[str], name: str, *, hosts: list[str], changes: bool | None) -> Run:
        """Run a command that ends in one ansible-playbook."""
        self.aws.forget_calls()
        env = {**self.aws.environment(), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "NO_COLOR": "1"}
        # What the modules say while they wait goes to a file: with ten hosts it is hundreds of lines.
        with open(self._inventory.with_name("progress.log"), "a", encoding="utf-8") as progress:
            done = run(command, cwd=ROOT, env=env, errors=progress)
        document = _document(done)
        if done.code:
            said = _failures(document) or done.output
            raise BenchError(f"{name} failed (see also progress.log beside {self._inventory}):\n{said}")
        changed = {host: stats["changed"] for host, stats in document["stats"].items()}
        wrong = changes is not None and any((count > 0) != changes for count in changed.values())
        if len(changed) != len(hosts) or wrong:
            wanted = "something on every host" if changes else "nothing"
            raise BenchError(f"{' '.join(command[1:])} should have changed {wanted}; it changed: {changed}")
        return Run(done.wall, done.cpu, self.aws.counts(), _tasks(document))


def _document(done: Finished) -> dict[str, Any]:
    found = done.output.find("{")
    document: dict[str, Any] = json.loads(done.output[found:]) if found >= 0 else {"plays": [], "stats": {}}
    return document


def _failures(document: dict[str, Any]) -> str:
    return "\n".join(
        f"{host}: {task['task']['name']}: {result.get('msg', '')}"
        for play in document["plays"]
        for task in play["tasks"]
        for host, result in task["hosts"].items()
        if result.get("failed") and not result.get("ignored")
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=UTC).timestamp()


def _tasks(document: dict[str, Any]) -> list[Task]:
    return [
        Task(item["task"]["name"], _seconds(span["start"]), _seconds(span["end"]))
        for play in document["plays"]
        for item in play["tasks"]
        if "end" in (span := item["task"]["duration"])
    ]
