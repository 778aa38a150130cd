# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure deployments on the local AWS: time, AWS calls, time spent waiting, memory; print it and write a document.

Every scenario runs the collection's own playbooks (deploy, destroy) against a local AWS of its own, in a fresh home,
which is stopped and wiped at the end, however the scenario ends. A run that fails, a converge that changes something,
or a check that does not tell the truth ends the benchmark: its figures would mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import machine
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PACKAGE = ROOT / "local_aws"

#: The settings in which ten deployments fit on one small machine; the defaults are four workers and jobs on.
SMALL = {"mlflow_workers": 1, "mlflow_job_execution": False}

#: The tasks of a deploy that wait for AWS, by the end of their names, and what they wait for.
WAITS = {
    "Create the roles for the tasks and for ECS": "IAM roles to settle",
    "available | Wait until the instance is available": "RDS instance",
    "Create or update the MLflow server as an Express Mode service": "Express Mode service, and MLflow to start in it",
    "server | Wait until the server, its database and its bucket answer": "first answers of the server",
}

CHECK_BEFORE, DEPLOY, CONVERGE, CHECK_AFTER, DESTROY = (
    "--check on nothing",
    "first deploy",
    "converge",
    "--check",
    "destroy",
)
OPERATIONS = (CHECK_BEFORE, DEPLOY, CONVERGE, CHECK_AFTER, DESTROY)

#: The memory groups, by the name that the local AWS gives its processes.
GROUPS = {"daemon": "local AWS", "db": "PostgreSQL", "task": "MLflow"}
ANSIBLE = "Ansible"

#: What the local AWS calls itself where it is one service that calls another.
_OWN_AGENTS = ("AWS Internal", "ecs.amazonaws.com", "ecs-tasks.amazonaws.com")
#: Sampling takes at most this share of one core.
_SAMPLING_SHARE = 0.05
_STOP_SECONDS = 60


class BenchError(Exception):
    """The benchmark cannot go on; the message is for the user."""


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class Run:
    """One run of a playbook.

    :arg seconds: wall time of ansible-playbook, its own start included.
    :arg calls: the deployer's AWS calls, by operation.
    :arg tasks: seconds per task, by name; a task that runs more than once is summed up.
    :arg others: how many calls the services and the server made meanwhile.
    """

    seconds: float
    calls: Counter[str]
    tasks: dict[str, float]
    others: int


@dataclass
class Scenario:
    """What was measured of so many deployments side by side.

    :arg memory: peak in bytes, by group of processes.
    """

    label: str
    count: int
    variables: dict[str, Any]
    runs: dict[str, Run] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def waits(self) -> dict[str, float]:
        """Seconds of the first deploy spent waiting: what a waiting task took beyond its time in the converge."""
        first, again = self.runs[DEPLOY].tasks, self.runs[CONVERGE].tasks
        return {text: max(0.0, _task(first, end) - _task(again, end)) for end, text in WAITS.items()}


def _task(tasks: dict[str, float], end: str) -> float:
    found = [seconds for name, seconds in tasks.items() if name.endswith(end)]
    if not found:
        raise BenchError(f"No task ends in {end!r} any more: correct WAITS in {Path(__file__).name}.")
    return sum(found)


# --- memory ---------------------------------------------------------------------------------------------------------


class Memory(threading.Thread):
    """Samples the memory of the local AWS's processes, and of those below this one, in the background.

    A process's share (PSS) is counted where the system tells it, else what belongs to it alone (USS).
    """

    def __init__(self, daemon_pid: int) -> None:
        super().__init__(daemon=True)
        self.peaks: Counter[str] = Counter()
        self._daemon_process = psutil.Process(daemon_pid)
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._groups: dict[int, str] = {}

    def run(self) -> None:
        """Samples until stop()."""
        took = 0.0
        while not self._ending.wait(max(1.0, took / _SAMPLING_SHARE)):
            begun = time.monotonic()
            self.sample()
            took = time.monotonic() - begun

    def stop(self) -> dict[str, int]:
        """Ends it; the peaks."""
        self._ending.set()
        self.join()
        return dict(self.peaks)

    def sample(self) -> None:
        """Once, now; also at moments that the benchmark picks."""
        with self._lock, contextlib.suppress(psutil.NoSuchProcess):
            now: Counter[str] = Counter()
            now[GROUPS["daemon"]] += footprint(self._daemon_process)
            for shim in self._daemon_process.children():
                now[GROUPS["daemon"]] += footprint(shim)
                group = self._group(shim)
                for process in _below(shim):
                    now[group] += footprint(process)
            for process in _below(psutil.Process()):
                now[ANSIBLE] += footprint(process)
            for name, size in now.items():
                self.peaks[name] = max(self.peaks[name], size)
            everything = sum(size for name, size in now.items() if name != ANSIBLE)
            self.peaks["together"] = max(self.peaks["together"], everything)

    def _group(self, shim: psutil.Process) -> str:
        """What a shim keeps, by the marker in its environment: <home>#<kind>/<name>."""
        if shim.pid not in self._groups:
            try:
                marker = shim.environ().get("LOCAL_AWS_OWNER", "")
            except psutil.Error:
                return GROUPS["daemon"]
            kind = marker.rpartition("#")[2].partition("/")[0]
            self._groups[shim.pid] = GROUPS.get(kind, GROUPS["daemon"])
        return self._groups[shim.pid]


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def footprint(process: psutil.Process) -> int:
    """Bytes of memory of one process; 0 where it has ended."""
    try:
        full = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(full, "pss", full.uss))


# --- the local AWS and the playbooks ----------------------------------------------------------------------------------


class LocalAws:
    """A local AWS of its own, in a fresh home."""

    def __init__(self, home: Path, software: Path, scale: float) -> None:
        self.home = home
        self.software = software
        self.scale = scale
        self.info: dict[str, Any] = {}

    def up(self) -> None:
        """Installs what is missing, brings MLflow's software, starts it."""
        variables = {
            "local_aws_home": str(self.home),
            "local_aws_software": str(self.software),
            "local_aws_scale": self.scale,
            "local_aws_images": [f"ghcr.io/mlflow/mlflow:v{mlflow_version()}-full"],
        }
        if (self.software / "venv" / "bin" / "python").exists():
            self._program("down", "--wipe")
        command = [str(BIN / "ansible-playbook"), "mlops.mlflow_aws.rehearse_up", "-e", json.dumps(variables)]
        done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise BenchError(f"The local AWS did not start:\n{done.stdout}")
        self.info = self._program("up")

    def down(self) -> None:
        """Stops it and removes its state."""
        if self.info:
            self._program("down", "--wipe")

    def _program(self, verb: str, *arguments: str) -> dict[str, Any]:
        python = self.software / "venv" / "bin" / "python"
        command = [str(python), "-m", "local_aws", verb, "--home", str(self.home), *arguments]
        done = subprocess.run(
            command, env=environment(PYTHONPATH=str(PACKAGE)), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"local_aws {verb} failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def environment(self) -> dict[str, str]:
        """What points Ansible at it, as a user points at AWS."""
        return environment(
            AWS_URL=self.info["endpoint_url"],
            AWS_ACCESS_KEY_ID=self.info["access_key_id"],
            AWS_SECRET_ACCESS_KEY=self.info["secret_access_key"],
            AWS_REGION=self.info["region"],
            AWS_CA_BUNDLE=self.info["ca_bundle"],
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
            AWS_EC2_METADATA_DISABLED="true",
        )

    def calls(self, method: str = "GET") -> tuple[Counter[str], int]:
        """The deployer's calls by operation, and how many others there were; DELETE forgets them."""
        context = ssl.create_default_context(cafile=self.info["ca_bundle"])
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        token = Path(self.info["token_file"]).read_text(encoding="ascii").strip()
        request = urllib.request.Request(
            f"{self.info['endpoint_url']}/_local_aws/calls",
            method=method,
            headers={"Authorization": f"Bearer {token}"},
        )
        with opener.open(request, timeout=60) as answer:
            page = json.load(answer)
        if sum(page["counts"].values()) != len(page["calls"]):
            raise BenchError(
                "There were more AWS calls than the local AWS remembers: raise _MAX_CALLS in its context.py."
            )
        root = f"arn:aws:iam::{self.info['account_id']}:root"
        deployer = Counter(
            call["api"]
            for call in page["calls"]
            if call["principal"] == root and not call["user_agent"].startswith(_OWN_AGENTS)
        )
        return deployer, len(page["calls"]) - deployer.total()


def environment(**more: str) -> dict[str, str]:
    """This process's environment without anything of AWS's, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_"))}
    return {**kept, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def playbook(aws: LocalAws, inventory: Path, name: str, *arguments: str, changes: bool) -> Run:
    """Runs one of the collection's playbooks on all hosts.

    :arg changes: whether it is to change something (in check mode: to say so) on every host, or nothing on any.
    :raises BenchError: it failed, with what the failed tasks said; or it did not keep to that.
    """
    forks = len(yaml.safe_load(inventory.read_text(encoding="utf-8"))["all"]["hosts"])
    command = [str(BIN / "ansible-playbook"), f"mlops.mlflow_aws.{name}", "-i", str(inventory), "--forks", str(forks)]
    aws.calls("DELETE")
    begun = time.monotonic()
    # What the modules say while they wait goes to a file: with ten hosts it is hundreds of lines.
    with open(inventory.with_name("progress.log"), "a", encoding="utf-8") as progress:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env={**aws.environment(), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=progress,
            text=True,
        )
    try:
        output = process.communicate()[0]
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_STOP_SECONDS)
    seconds = time.monotonic() - begun
    calls, others = aws.calls()
    document = json.loads(output[output.index("{") :]) if "{" in output else {"plays": [], "stats": {}}
    if process.returncode:
        said = _failures(document) or output
        raise BenchError(f"{name} failed (see also progress.log beside {inventory}):\n{said}")
    changed = {host: stats["changed"] for host, stats in document["stats"].items()}
    if len(changed) != forks or any((count > 0) != changes for count in changed.values()):
        wanted = "something on every host" if changes else "nothing"
        raise BenchError(f"{' '.join((name, *arguments))} should have changed {wanted}; it changed: {changed}")
    return Run(seconds, calls, _durations(document), others)


def _failures(document: dict[str, Any]) -> str:
    return "\n".join(
        f"{host}: {task['task']['name']}: {result.get('msg', '')}"
        for play in document["plays"]
        for task in play["tasks"]
        for host, result in task["hosts"].items()
        if result.get("failed") and not result.get("ignored")
    )


def _durations(document: dict[str, Any]) -> dict[str, float]:
    durations: dict[str, float] = {}
    for play in document["plays"]:
        for item in play["tasks"]:
            span = item["task"]["duration"]
            if "end" in span:
                begun, ended = (datetime.fromisoformat(span[edge].rstrip("Z")) for edge in ("start", "end"))
                name = item["task"]["name"]
                durations[name] = durations.get(name, 0.0) + (ended - begun).total_seconds()
    return durations


# --- scenarios --------------------------------------------------------------------------------------------------------


def measure(scenario: Scenario, home: Path, software: Path, scale: float, operations: tuple[str, ...]) -> None:
    """Runs the operations on a fresh local AWS, and takes it down again, whatever happens."""
    say(f"==> {scenario.label}, {_settings(scenario.variables)}: a fresh local AWS")
    aws = LocalAws(home / "local_aws", software, scale)
    try:
        aws.up()
        inventory = _inventory(scenario, home, aws)
        memory = Memory(aws.info["pid"])
        memory.start()
        try:
            for operation in operations:
                say(f"    {operation} …")
                run = scenario.runs[operation] = _operate(operation, aws, inventory)
                memory.sample()
                say(f"    {operation}: {run.seconds:.1f} s, {run.calls.total()} AWS calls")
        finally:
            scenario.memory = memory.stop()
    finally:
        aws.down()


def _operate(operation: str, aws: LocalAws, inventory: Path) -> Run:
    if operation == CHECK_BEFORE:
        return playbook(aws, inventory, "deploy", "--check", changes=True)
    if operation == DEPLOY:
        return playbook(aws, inventory, "deploy", changes=True)
    if operation == CONVERGE:
        return playbook(aws, inventory, "deploy", changes=False)
    if operation == CHECK_AFTER:
        return playbook(aws, inventory, "deploy", "--check", changes=False)
    return playbook(aws, inventory, "destroy", changes=True)


def _inventory(scenario: Scenario, home: Path, aws: LocalAws) -> Path:
    names = [f"bench{number:02}" for number in range(1, scenario.count + 1)]
    variables = {
        "mlflow_name": "{{ inventory_hostname }}",
        "mlflow_ca_path": aws.info["ca_bundle"],
        "mlflow_db_ca_path": aws.info["rds_ca_bundle"],
        "mlflow_express_domain": aws.info["domain"],
        "mlflow_poll_seconds": 1,
        "mlflow_confirm_destroy": "{{ mlflow_name }}",
        **scenario.variables,
    }
    path = home / "inventory.yml"
    document = {"all": {"hosts": {name: {} for name in names}, "vars": variables}}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


# --- the document -----------------------------------------------------------------------------------------------------


def mlflow_version() -> str:
    """The version that is deployed by default."""
    defaults = ROOT / "roles" / "mlflow" / "defaults" / "main.yml"
    return str(yaml.safe_load(defaults.read_text(encoding="utf-8"))["mlflow_version"])


def report(scenarios: list[Scenario], scale: float, load: float, speeds: list[machine.Speed]) -> str:
    """The document, in Markdown.

    :arg load: the load average before the first scenario.
    :arg speeds: the machine's, before the first scenario and after the last one.
    """
    timed = [scenario for scenario in scenarios if len(scenario.runs) == len(OPERATIONS)]
    parts = [
        _introduction(scale, load),
        _speed(speeds),
        _ratios(timed, speeds),
        _times(timed),
        _waiting(timed),
        _operations(timed),
        _memory(scenarios),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(scale: float, load: float) -> str:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    requirements = (PACKAGE / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(line.split()[0].split("==") for line in requirements.splitlines() if "==" in line)
    memory = psutil.virtual_memory().total / 2**30
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    machine = f"{psutil.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}"
    versions = ", ".join(
        (
            f"mlops.mlflow_aws {galaxy['version']}",
            f"MLflow {mlflow_version()}",
            f"Python {platform.python_version()}",
            f"ansible-core {version('ansible-core')}",
            f"botocore {version('botocore')}",
            f"ministack {pins['ministack']}",
        )
    )
    return f"""# Benchmarks

Written by `make bench` on {today}; do not edit. These are figures from one run on one machine, against the
local AWS. Compare ratios and numbers of AWS calls; the seconds are those of a machine as fast as this one was.

- Machine: {machine}; load average at the start {load:.1f}. Other work on
  the machine lengthens the seconds, and with them the number of calls made while waiting.
- Versions: {versions}.
- Scale: 1:{scale:g}. The local AWS compresses {scale:g} AWS seconds into one: the six minutes of a new RDS instance are
  {360 / scale:.0f} s. The work itself (Ansible, the modules, PostgreSQL, the start of MLflow) is real, not scaled, so
  waiting weighs far more at AWS than here.
- Deployments: one inventory host, and ten in parallel (`--forks 10`), with {_settings(SMALL)},
  so that ten servers fit on one machine.
- While waiting, it polls once a second (`mlflow_poll_seconds: 1`; the default is 10), which is every
  {scale:g} AWS seconds. At AWS, polling adds calls in proportion to the time waited.
- Every run was checked: no failure, a converge without changes, a `--check` that announces changes before the
  first deploy and none after it."""


def _speed(speeds: list[machine.Speed]) -> str:
    times = [("before", speeds[0]), ("after", speeds[-1])]
    rows = [
        ["Python, a loop of 20 million steps", *(f"{speed.loop:.2f}" for _when, speed in times)],
        ["`ansible-playbook` with one debug task", *(f"{speed.ansible:.2f}" for _when, speed in times)],
    ]
    return f"""## How fast the machine was

Seconds for two fixed pieces of work, each the median of three, before the first deployment and after the last one. If
the two columns differ, other work went on beside the benchmark.

{_table(["Work", *(f"{when}: seconds" for when, _speed_then in times)], rows)}"""


def _settings(variables: dict[str, Any]) -> str:
    return " ".join(f"`{name}={str(value).lower()}`" for name, value in variables.items()) or "defaults"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _times(scenarios: list[Scenario]) -> str:
    head = ["Operation"]
    for scenario in scenarios:
        head += [f"{scenario.label}: seconds", "AWS calls"]
    rows = []
    for operation in OPERATIONS:
        row = [_named(operation)]
        for scenario in scenarios:
            run = scenario.runs[operation]
            row += [f"{run.seconds:.1f}", str(run.calls.total())]
        rows.append(row)
    return f"""## Time and AWS calls

Seconds are the wall time of `ansible-playbook`, including its start. AWS calls are the deployer's, of all hosts
together; calls by AWS's services themselves and by the MLflow servers are not counted.

{_table(head, rows)}"""


def _named(operation: str) -> str:
    return operation.replace("--check", "`--check`")


def _ratios(scenarios: list[Scenario], speeds: list[machine.Speed]) -> str:
    rows = []
    unit = sum(speed.ansible for speed in speeds) / len(speeds)
    for operation in OPERATIONS:
        ratio = scenarios[0].runs[operation].seconds / unit
        rows.append([f"{scenarios[0].label}: {_named(operation)} / Ansible with one debug task", f"{ratio:.1f}"])
    for scenario in scenarios:
        first = scenario.runs[DEPLOY].seconds
        for operation in (CONVERGE, CHECK_AFTER):
            ratio = scenario.runs[operation].seconds / first
            rows.append([f"{scenario.label}: {_named(operation)} / first deploy", f"{ratio:.2f}"])
    for many in scenarios[1:]:
        for operation in OPERATIONS:
            ratio = many.runs[operation].seconds / scenarios[0].runs[operation].seconds
            rows.append([f"{_named(operation)}: {many.label} / {scenarios[0].label}", f"{ratio:.2f}"])
    return f"""## Ratios of wall times

"`--check` on nothing" and "`--check`" are `deploy` in check mode, before the first deploy and after the converge;
"converge" is `deploy` with nothing to do; "destroy" keeps the bucket and a final snapshot, as it does by default.

{_table(["Ratio", "Value"], rows)}"""


def _waiting(scenarios: list[Scenario]) -> str:
    rows = []
    for text in WAITS.values():
        rows.append([text, *(f"{scenario.waits()[text]:.1f}" for scenario in scenarios)])
    sums = [sum(scenario.waits().values()) for scenario in scenarios]
    rows.append(["all of them", *(f"{seconds:.1f}" for seconds in sums)])
    shares = [
        f"{100 * seconds / scenario.runs[DEPLOY].seconds:.0f} %"
        for seconds, scenario in zip(sums, scenarios, strict=True)
    ]
    rows.append(["share of the first deploy", *shares])
    return f"""## Where a first deploy waits

Seconds that a waiting task took in the first deploy beyond what the same task took in the converge (0 if the
converge skips it). The wait for the Express Mode service includes the real start of MLflow (its imports, and creating
the tables), which depends on the machine's cores, not on AWS.

{_table(["Waiting for", *(f"{scenario.label}: seconds" for scenario in scenarios)], rows)}"""


def _operations(scenarios: list[Scenario]) -> str:
    first = scenarios[0]
    top = [api for api, _count in first.runs[DEPLOY].calls.most_common(10)]
    rows = []
    for api in top:
        rows.append(
            [f"`{api}`", *(str(s.runs[operation].calls[api]) for s in scenarios for operation in (DEPLOY, CONVERGE))]
        )
    head = ["Operation", *(f"{s.label}: {operation}" for s in scenarios for operation in (DEPLOY, CONVERGE))]
    return f"""## AWS calls by operation

The ten most frequent of the first deploy.

{_table(head, rows)}"""


def _memory(scenarios: list[Scenario]) -> str:
    groups = [*GROUPS.values(), "together", ANSIBLE]
    rows = []
    for group in groups:
        rows.append([group, *(f"{scenario.memory.get(group, 0) / 2**20:.0f}" for scenario in scenarios)])
    counts = [scenario.label if scenario.variables else f"{scenario.label} ({_settings({})})" for scenario in scenarios]
    counted = "proportional set size (PSS: memory that processes share is divided among them)"
    if not hasattr(psutil.Process().memory_full_info(), "pss"):
        counted = "unique set size (USS: memory that processes share is not counted)"
    return f"""## Peak memory

MiB, {counted},
sampled once a second, or less often where sampling would take more than a twentieth of a core; each row has its own
peak. "local AWS" is its daemon with the small processes that keep the others; "together" is the peak of local AWS,
PostgreSQL and MLflow at one moment. Ansible runs beside it.

{_table(["Processes", *counts], rows)}"""


def _raw(scenarios: list[Scenario]) -> str:
    """Everything that was measured, as JSON."""
    return json.dumps(
        [
            {
                "label": scenario.label,
                "variables": scenario.variables,
                "memory": scenario.memory,
                "runs": {name: vars(run) for name, run in scenario.runs.items()},
            }
            for scenario in scenarios
        ],
        indent=1,
    )


# --- the command line -------------------------------------------------------------------------------------------------


def scenarios_of(options: argparse.Namespace) -> list[tuple[Scenario, tuple[str, ...]]]:
    """What is to be measured, and by which operations."""
    labels = {1: "one", 10: "ten"}
    chosen: list[tuple[Scenario, tuple[str, ...]]] = [
        (Scenario(labels.get(count, str(count)), count, SMALL), OPERATIONS) for count in sorted(options.deployments)
    ]
    if not options.quick:
        chosen.append((Scenario("one", 1, {}), (DEPLOY, DESTROY)))
    return chosen


def _counts(text: str) -> set[int]:
    return {int(part) for part in text.split(",")}


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: with everything taken down."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _measure_machine() -> machine.Speed:
    speed = machine.measure(environment())
    say(f"==> This machine: a Python loop {speed.loop:.2f} s, Ansible with one debug task {speed.ansible:.2f} s")
    return speed


def main() -> int:
    """Runs the scenarios; 0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="folder for the local AWS's state and the raw figures")
    parser.add_argument(
        "--software", type=Path, required=True, help="folder with the local AWS's software; filled if empty"
    )
    parser.add_argument("--deployments", type=_counts, default={1, 10}, help="how many side by side; default 1,10")
    parser.add_argument("--quick", action="store_true", help="without the deployment in the default size")
    parser.add_argument("--scale", type=float, default=60, help="AWS seconds in one second; default 60")
    parser.add_argument("--write", type=Path, help="write the document to this file, too")
    options = parser.parse_args()
    home = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    done: list[Scenario] = []
    speeds: list[machine.Speed] = []
    try:
        with _ending_in_order():
            speeds.append(_measure_machine())
            for scenario, operations in scenarios_of(options):
                measure(scenario, home, options.software.absolute(), options.scale, operations)
                done.append(scenario)
            speeds.append(_measure_machine())
    except BenchError as error:
        say(str(error))
        return 1
    finally:
        shutil.rmtree(home / "local_aws", ignore_errors=True)
        (home / "results.json").write_text(_raw(done), encoding="utf-8")
    document = report(done, options.scale, load, speeds)
    print(document, end="")
    if options.write:
        options.write.write_text(document, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
