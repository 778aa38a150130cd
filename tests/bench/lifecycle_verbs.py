# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs on one deployment: how long an upgrade leaves users without a server, what of it is AWS's, and a drill."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aws import LocalAws
from aws import mlflow_version
from results import Figures
from results import Measured
from scenarios import SMALL
from scenarios import Bench
from scenarios import say

from playbooks import Run

#: The version that is upgraded.
FORMER = "3.16.1"
DEPLOY, UPGRADE, BACKUP, DRILL = "first deploy", "upgrade", "backup", "drill"
OPERATIONS = (DEPLOY, UPGRADE, BACKUP, DRILL)
DOWNTIME, AWS_WAITS, BEYOND = "without a server", "of that, AWS's own waits", "beyond them"
_NAME = "mlflow"
_SECONDS_BETWEEN_REQUESTS = 0.2
#: Seconds since the epoch, from and to.
Interval = tuple[float, float]


def downtime(requests: Iterable[tuple[float, bool]]) -> Interval:
    """From the first request that failed to the first one after the last failure.

    :arg requests: when each began, in their order, and whether it was answered.
    """
    begun = ended = 0.0
    is_down = False
    for moment, is_answered in requests:
        if not is_answered:
            begun, is_down = begun or moment, True
        elif is_down:
            ended, is_down = moment, False
    return (begun, ended) if begun and ended and not is_down else (0.0, 0.0)


def covered(window: Interval, waits: Iterable[Interval]) -> float:
    """How many seconds of a window at least one of some waits went on."""
    seconds, reached = 0.0, window[0]
    for begun, ended in sorted(waits):
        first, last = max(begun, reached), min(ended, window[1])
        if last > first:
            seconds, reached = seconds + last - first, last
    return seconds


class Watcher:
    """Asks a server for /health all the time.

    :arg url: of the server.
    :arg ca_bundle: file with the authorities that signed its certificate.
    """

    def __init__(self, url: str, ca_bundle: str) -> None:
        self._url = f"{url}/health"
        context = ssl.create_default_context(cafile=ca_bundle)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.requests: list[tuple[float, bool]] = []

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_REQUESTS):
            self.requests.append((time.time(), self._is_answered()))

    def _is_answered(self) -> bool:
        try:
            with self._opener.open(self._url, timeout=10) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def aws_waits(aws: LocalAws) -> list[Interval]:
    """When AWS did something that nothing else could go on with.

    Tasks that start and that stop, snapshots, and deployments that start no task. The start of MLflow in a task, and
    the work of the tasks that copy and migrate the database, are not AWS's.
    """
    return [*_of_tasks(aws), *_of_snapshots(aws), *_of_empty_deployments(aws)]


def _tasks(aws: LocalAws) -> list[dict[str, Any]]:
    ecs = aws.client("ecs")
    arns = [
        arn
        for status in ("RUNNING", "STOPPED")
        for arn in ecs.list_tasks(cluster="default", desiredStatus=status)["taskArns"]
    ]
    return list(ecs.describe_tasks(cluster="default", tasks=arns)["tasks"]) if arns else []


def _interval(one: dict[str, Any], begun: str, ended: str) -> list[Interval]:
    """The interval between two times of an answer; none if it has not both."""
    if not (one.get(begun) and one.get(ended)):
        return []
    return [(one[begun].timestamp(), one[ended].timestamp())]


def _of_tasks(aws: LocalAws) -> list[Interval]:
    parts = (("createdAt", "startedAt"), ("stoppingAt", "stoppedAt"))
    return [found for task in _tasks(aws) for part in parts for found in _interval(task, *part)]


def _of_snapshots(aws: LocalAws) -> list[Interval]:
    events = aws.client("rds").describe_events(SourceType="db-snapshot", Duration=1440)["Events"]
    times: dict[str, list[datetime]] = {}
    for one in events:
        times.setdefault(one["SourceIdentifier"], []).append(one["Date"])
    return [(min(found).timestamp(), max(found).timestamp()) for found in times.values()]


def _of_empty_deployments(aws: LocalAws) -> list[Interval]:
    started = [task["startedAt"].timestamp() for task in _tasks(aws) if task.get("startedAt") and _is_servers(task)]
    ecs = aws.client("ecs")
    [service] = ecs.describe_services(cluster="default", services=[_NAME])["services"]
    deployments = ecs.list_service_deployments(cluster="default", service=service["serviceArn"])["serviceDeployments"]
    found = [span for one in deployments for span in _interval(one, "startedAt", "finishedAt")]
    return [(begun, ended) for begun, ended in found if not any(begun <= moment <= ended for moment in started)]


def _is_servers(task: dict[str, Any]) -> bool:
    return str(task.get("group", "")).startswith("service:")


def _url(aws: LocalAws) -> str:
    ecs = aws.client("ecs")
    [service] = ecs.describe_services(cluster="default", services=[_NAME])["services"]
    found = ecs.describe_express_gateway_service(serviceArn=service["serviceArn"])["service"]
    [path] = found["activeConfigurations"][0]["ingressPaths"]
    return f"https://{path['endpoint'].removeprefix('https://')}"


def measure_verbs(bench: Bench, results: Measured) -> None:
    """Upgrade, back up and drill one deployment of an older MLflow."""
    say(f"==> Verbs on one deployment of MLflow {FORMER}: a fresh local AWS")
    with bench.local_aws(FORMER) as aws:
        playbooks = bench.playbooks(aws, [_NAME], SMALL)

        def put(operation: str, run: Run) -> None:
            say(f"    {operation}: {run.wall:.1f} s, {run.cpu:.1f} s of CPU, {run.calls.total()} AWS calls")
            results.put("verbs", operation, Figures.of([run]))

        put(DEPLOY, playbooks.run("deploy", "-e", f"mlflow_version={FORMER}", changes=True))
        with Watcher(_url(aws), aws.info["ca_bundle"]) as watcher:
            put(UPGRADE, playbooks.run("upgrade", "-e", f"mlflow_version={mlflow_version()}", changes=True))
            # The first answer after it.
            time.sleep(2)
        window = downtime(watcher.requests)
        whole, waiting = window[1] - window[0], covered(window, aws_waits(aws))
        say(f"    {DOWNTIME}: {whole:.1f} s, {AWS_WAITS}: {waiting:.1f} s")
        results.put_values("verbs", "downtime", {DOWNTIME: whole, AWS_WAITS: waiting, BEYOND: whole - waiting})
        put(BACKUP, playbooks.run("backup", changes=True))
        put(DRILL, playbooks.run("drill", changes=True))
