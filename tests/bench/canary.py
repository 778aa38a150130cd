# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure which updates of an MLflow server the rollback alarm takes back; print it and write it into a document.

A deployment of the playbook on a local AWS of its own gets an ordinary update (one more environment variable) again and
again while it is used: by MLflow's client, by browsers with and without a login, by a health checker. What the load
balancer answered is read from the local AWS, minute by minute. Times are AWS's, divided by the scale.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))

from harness import SOFTWARE  # noqa: E402
from harness import LocalAws  # noqa: E402
from harness import eventually  # noqa: E402

NAME = "mlflow"
BEGIN, END = "<!-- measured: begin (written by make canary) -->", "<!-- measured: end -->"
IN_FLIGHT = ("PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "STOP_REQUESTED")
QUIET_MINUTES = 4
MLFLOW = "3.17.2"
IMAGE = f"ghcr.io/mlflow/mlflow:v{MLFLOW}-full"
CLIENTS = Path(__file__).with_name("canary_clients.py")

# A small team: four runs, some pages and a health checker in a minute, about sixty requests.
TEAM = {"runs": 4, "pages": 20, "health": 4}
# The same, and monitors that ask for more than anybody else.
BUSY = {**TEAM, "health": 250}


@dataclass(frozen=True)
class Scenario:
    """One update.

    :arg title: for the table.
    :arg usual: what happens in each AWS minute, before and during the update.
    :arg more: what comes to it when the new server starts.
    :arg alarm: whether the alarm rolls back, as ECS has it.
    """

    title: str
    usual: Mapping[str, float]
    more: Mapping[str, float] = field(default_factory=dict)
    alarm: bool = True


BURST = "26 requests a minute without a login, from the update on"
SCANNER = "night: a scanner with 8 requests a minute and nobody else, from the update on"
SCENARIOS = [
    Scenario("MLflow's client and logged-in browsers alone", TEAM),
    Scenario("… and 3 questions a minute for runs that are not there", {**TEAM, "missing": 3}),
    Scenario("… and 10 such questions a minute, from the update on", TEAM, {"missing": 10}),
    Scenario("a request without a login every three minutes", {**TEAM, "strangers": 0.3}),
    Scenario("a request without a login every 50 seconds", {**TEAM, "strangers": 1.2}),
    Scenario("busy server: 300 requests a minute, 6.5 without a login, from the update on", BUSY, {"strangers": 6.5}),
    Scenario(BURST, TEAM, {"strangers": 26}),
    Scenario("26 requests a minute without a login, all the time", {**TEAM, "strangers": 26}),
    Scenario("night: 3 requests a minute without a login and nobody else", {"health": 2, "strangers": 3}),
    Scenario(SCANNER, {"health": 2}, {"strangers": 8}),
    Scenario(BURST, TEAM, {"strangers": 26}, alarm=False),
    Scenario(SCANNER, {"health": 2}, {"strangers": 8}, alarm=False),
]


@dataclass
class Measured:
    """What came of it.

    :ivar minutes: answers in each minute of the update: per target group, by the hundreds of their status.
    """

    scenario: Scenario
    status: str = ""
    before: str = ""
    alarm: str = ""
    length: float = 0.0
    minutes: list[dict[str, Counter[str]]] = field(default_factory=list)

    def totals(self) -> Counter[str]:
        """All answers during the update."""
        result: Counter[str] = Counter()
        for minute in self.minutes:
            for counts in minute.values():
                result += counts
        return result

    def worst(self) -> list[float]:
        """The alarm's datapoints: per minute the worse group's share of errors, up to four 4xx overlooked."""
        points = []
        for minute in self.minutes:
            shares = []
            for counts in minute.values():
                refused = counts["4xx"] if counts["4xx"] >= 5 else 0
                shares.append(100 * (refused + counts["5xx"]) / max(1, sum(counts.values())))
            points.append(max(shares, default=0.0))
        return points


class Clients:
    """A process with clients of one kind or another."""

    def __init__(self, bench: Bench, minute: Mapping[str, float]) -> None:
        self.process = subprocess.Popen(
            [str(SOFTWARE / f"runtimes/mlflow-{MLFLOW}-full/bin/python"), str(CLIENTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.complaints: Counter[str] = Counter()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {**bench.who, "minute": minute, "seconds": bench.minute, "seconds_per_run": {"runs": 0.6}}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout.readline().strip() == "working"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints[line.strip()] += 1

    def stop(self) -> None:
        """Let them finish what they are at."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)
        self._reader.join(5)
        for line, times in self.complaints.most_common(3):
            print(f"  a client said {times} times: {line}", file=sys.stderr)


@contextlib.contextmanager
def clients(bench: Bench, minute: Mapping[str, float]) -> Iterator[None]:
    """Clients for as long as the block lasts."""
    if not minute:
        yield
        return
    working = Clients(bench, minute)
    try:
        yield
    finally:
        working.stop()


class Bench:
    """A deployment on a local AWS of its own."""

    def __init__(self, aws: LocalAws, scale: float) -> None:
        self.aws = aws
        self.minute = 60 / scale
        self.ecs = aws.client("ecs")
        aws.play("deploy", aws.small(mlflow_version=MLFLOW)).succeeded()
        secret = aws.client("secretsmanager").get_secret_value(SecretId=f"{NAME}/login")["SecretString"]
        login = json.loads(secret)
        self.arn = str(self.service()["serviceArn"])
        (configuration, *_others) = self.ecs.describe_express_gateway_service(serviceArn=self.arn)["service"][
            "activeConfigurations"
        ]
        endpoint = configuration["ingressPaths"][0]["endpoint"]
        self.who = {
            "url": f"https://{endpoint}",
            "user": login["username"],
            "password": login["password"],
            "ca": aws.info["ca_bundle"],
        }
        self.answers: dict[int, dict[str, Counter[str]]] = {}

    def service(self) -> dict[str, Any]:
        """The service as ECS's classic calls show it."""
        return dict(self.ecs.describe_services(services=[NAME])["services"][0])

    def newest(self) -> dict[str, Any]:
        """The newest deployment."""
        found = self.ecs.list_service_deployments(service=NAME)["serviceDeployments"][0]["serviceDeploymentArn"]
        return dict(self.ecs.describe_service_deployments(serviceDeploymentArns=[found])["serviceDeployments"][0])

    def alarm(self) -> str:
        """The state of the rollback alarm."""
        found = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[f"default/{NAME}/RollbackAlarm"])
        return str(found["MetricAlarms"][0]["StateValue"])

    def now(self) -> int:
        """The number of the present minute; what was answered in those before is remembered."""
        page = self.aws.page("status")["balancer"]
        for group, numbers in page["minutes"].items():
            for number, counts in numbers.items():
                if int(number) < page["now"]:
                    self.answers.setdefault(int(number), {})[group] = Counter(counts)
        return int(page["now"])

    def wait_minutes(self, minutes: int) -> None:
        """Let AWS minutes pass."""
        until = self.now() + minutes
        eventually(lambda: self.now() >= until, f"{minutes} minutes", 10 * (minutes + 1) * self.minute)

    def set_alarm(self, on: bool) -> None:
        """The setting of the role, as it sets it."""
        shown = self.service()["deploymentConfiguration"]
        names = [f"default/{NAME}/RollbackAlarm"] if on else []
        shown["alarms"] = {"alarmNames": names, "enable": on, "rollback": on}
        self.ecs.update_service(service=NAME, deploymentConfiguration=shown)

    def update(self, text: str) -> None:
        """An ordinary update."""
        found = self.ecs.describe_express_gateway_service(serviceArn=self.arn)["service"]["activeConfigurations"][0]
        container = found["primaryContainer"]
        kept = [item for item in container["environment"] if item["name"] != "CANARY"]
        container["environment"] = [*kept, {"name": "CANARY", "value": text}]
        self.ecs.update_express_gateway_service(serviceArn=self.arn, primaryContainer=container)

    def measure(self, number: int, scenario: Scenario) -> Measured:
        """One scenario, from quiet to the end of its update."""
        result = Measured(scenario)
        self.set_alarm(scenario.alarm)
        self.wait_minutes(QUIET_MINUTES)
        with clients(self, scenario.usual):
            self.wait_minutes(QUIET_MINUTES)
            result.before = self.alarm()
            begun = time.monotonic()
            first = self.now()
            self.update(str(number))
            eventually(lambda: self.newest().get("lifecycleStage") == "SCALE_UP", "the new server's start", 120)
            with clients(self, scenario.more):
                while self.newest()["status"] in IN_FLIGHT:
                    self.now()
                    time.sleep(self.minute / 4)
                result.length = (time.monotonic() - begun) / self.minute
        ended = self.newest()
        result.status, result.alarm = ended["status"], ended["alarms"]["status"]
        last = self.now()
        result.minutes = [self.answers.get(minute, {}) for minute in range(first, last)]
        return result


def bring_software(home: Path) -> None:
    """The server's software, brought here by whom the folder belongs to: who deploys may not write to it."""
    owner = LocalAws(home, present_user=True)
    owner.up(60)
    try:
        owner.prepare(IMAGE)
    finally:
        owner.down()


def row(result: Measured) -> str:
    """One line of the table."""
    totals, points = result.totals(), result.worst()
    count = sum(totals.values())
    per_minute = statistics.median(sum(sum(c.values()) for c in minute.values()) for minute in result.minutes)
    above = sum(point > 1 for point in points)
    cells = [
        result.scenario.title,
        "on" if result.scenario.alarm else "**off**",
        f"{per_minute:.0f}",
        f"{100 * totals['4xx'] / max(1, count):.1f} %",
        f"{100 * (totals['5xx'] + totals['balancer']) / max(1, count):.1f} %",
        f"{max(points, default=0):.1f} %, {above} of {len(points)}",
        result.before,
        result.alarm,
        {"SUCCESSFUL": "updated"}.get(
            result.status, "**rolled back**" if "ROLLBACK" in result.status else result.status
        ),
        f"{result.length:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


OUTCOMES = {"SUCCESSFUL": "updated", "ROLLBACK_SUCCESSFUL": "**rolled back**"}
HEAD = [
    "clients",
    "roll-back by alarm",
    "requests a minute",
    "4xx",
    "5xx",
    "worst minute, minutes above 1 %",
    "alarm before",
    "alarm in the deployment",
    "outcome",
    "AWS minutes",
]


def document(results: list[Measured], scale: float) -> str:
    """The part of the document that is written here."""
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"MLflow {MLFLOW} with basic authentication, one worker, scale {scale:g} (an AWS minute is {60 / scale:g} s),",
        f"on {psutil.cpu_count()} CPUs and {memory:.0f} GiB, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}. `make canary` measures again.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|" + "---|" * len(HEAD),
        *(row(result) for result in results),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=15, help="AWS seconds in a second")
    parser.add_argument("--write", type=Path, help="the document to write the table into")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of scenarios, from 0")
    given = parser.parse_args()
    chosen = [(n, s) for n, s in enumerate(SCENARIOS) if given.only is None or n in given.only]
    results = []
    with tempfile.TemporaryDirectory(prefix="mlflow-aws-") as folder:
        Path(folder).chmod(0o755)
        bring_software(Path(folder) / "owner")
        aws = LocalAws(Path(folder) / "user")
        try:
            aws.up(given.scale)
            bench = Bench(aws, given.scale)
            for number, scenario in chosen:
                print(f"{number}: {scenario.title}", file=sys.stderr, flush=True)
                results.append(bench.measure(number, scenario))
                print(row(results[-1]), file=sys.stderr, flush=True)
        finally:
            aws.down()
    text = document(results, given.scale)
    print(text)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        head, _unused, rest = page.partition(BEGIN)
        tail = rest.partition(END)[2]
        given.write.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
