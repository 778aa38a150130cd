# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment whose verbs are run, interrupted and watched, and somebody who writes to it all the time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from harness import LocalAws
from harness import Played
from harness import eventually

NAME = "verbs"
BUCKET = f"{NAME}-artifacts-123456789012-us-east-1"
MODULES = "ansible_collections.mlops.mlflow_aws.plugins.modules"
OPTIONS: dict[str, dict[str, Any]] = {
    "stop": {"module": "mlflow_deployment_power", "state": "stopped"},
    "start": {"module": "mlflow_deployment_power", "state": "started"},
    "backup": {"module": "mlflow_backup", "bucket": BUCKET},
    "restore": {"module": "mlflow_restore", "bucket": BUCKET},
    "drill": {"module": "mlflow_drill", "bucket": BUCKET},
    "gc": {"module": "mlflow_gc", "bucket": BUCKET},
}


class VerbsDeployment:
    """The deployment, and its verbs, as playbooks and as the modules that they run."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.ecs, self.rds = aws.client("ecs"), aws.client("rds")

    def play(self, playbook: str, **variables: Any) -> Played:
        """Run a playbook."""
        given = {"mlflow_name": NAME, "mlflow_confirm_destroy": NAME, **variables}
        return self.aws.play(playbook, self.aws.small(**given))

    @contextlib.contextmanager
    def begun(self, verb: str, **options: Any) -> Iterator[tuple[subprocess.Popen, Path]]:
        """Begin a verb's module, which is ended with the block; its process, and the file of its progress."""
        given = {"name": NAME, "database": NAME, "wait_delay": 1, "again": "again", **OPTIONS[verb], **options}
        module = given.pop("module")
        progress = self.aws.home / f"progress-{time.monotonic_ns()}"
        progress.touch(mode=0o666)
        environment = {**os.environ, **self.aws.user_environment(), "MLOPS_MLFLOW_AWS_PROGRESS_FILE": str(progress)}
        process = subprocess.Popen(
            [sys.executable, "-m", f"{MODULES}.{module}"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        process.stdin.close()
        process.stdin = None
        try:
            yield process, progress
        finally:
            process.kill()
            process.wait()

    def run(self, verb: str, **options: Any) -> dict[str, Any]:
        """Run a verb's module to its end; what it returns."""
        with self.begun(verb, **options) as (process, _progress):
            return result_of(process)

    def kill_at(self, verb: str, step: str, **options: Any) -> None:
        """Begin a verb's module, and end it with kill -9 as soon as it has come to a step."""
        with self.begun(verb, **options) as (process, progress):
            eventually(
                lambda: step in progress.read_text(encoding="utf-8") or process.poll() is not None,
                f"{verb}, {step}",
            )
            assert process.poll() is None, process.communicate()

    def url(self) -> str:
        """Where it answers."""
        service = self.service()
        return f"https://{service['activeConfigurations'][0]['ingressPaths'][0]['endpoint']}"

    def service(self) -> dict[str, Any]:
        """The service, as ECS describes it."""
        found: dict[str, Any] = self.ecs.describe_express_gateway_service(serviceArn=self.arn, include=["TAGS"])[
            "service"
        ]
        return found

    @property
    def arn(self) -> str:
        return f"arn:aws:ecs:us-east-1:123456789012:service/default/{NAME}"

    def tags(self) -> dict[str, str]:
        """The tags of the service that verbs write."""
        tags = {one["key"]: one["value"] for one in self.service()["tags"]}
        kept = ("mlops.mlflow_aws:run:", "mlops.mlflow_aws:stopped")
        return {key: value for key, value in tags.items() if key.startswith(kept)}

    def tasks(self) -> int:
        """How many of the server's should run."""
        return len(self.ecs.list_tasks(serviceName=NAME)["taskArns"])

    def database(self) -> str:
        """The status of the instance."""
        [instance] = self.rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
        return str(instance["DBInstanceStatus"])

    def state(self) -> tuple[Any, ...]:
        """What counts of it: tasks, database, what verbs have left in the tags."""
        return self.tasks(), self.database(), sorted(key.rpartition(":")[2] for key in self.tags())

    def session(self) -> requests.Session:
        """The administrator's."""
        text = self.aws.client("secretsmanager").get_secret_value(SecretId=f"{NAME}/login")["SecretString"]
        session = requests.Session()
        session.auth = (json.loads(text)["username"], json.loads(text)["password"])
        session.trust_env, session.verify = False, self.aws.info["ca_bundle"]
        return session


RUNNING: tuple[Any, ...] = (1, "available", [])
STOPPED: tuple[Any, ...] = (0, "stopped", ["stopped"])


def result_of(process: subprocess.Popen) -> dict[str, Any]:
    """What a module returns."""
    output = process.communicate()[0]
    found: dict[str, Any] = json.loads(output[output.index("{") : output.rindex("}") + 1])
    return found


class Writer:
    """Makes runs with a metric and an artifact, one after the other, and keeps what the server has acknowledged.

    Args:
        deployment: whose server.
    """

    def __init__(self, deployment: VerbsDeployment) -> None:
        self._url, self._session = deployment.url(), deployment.session()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.runs: list[str] = []
        self.metrics: list[tuple[str, float]] = []
        self.artifacts: list[tuple[str, str]] = []
        #: Statuses of refusals, and how often the connection broke, after which nobody knows.
        self.refused: list[int] = []
        self.broken = 0

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_given: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            if self._write_one(number) is None:
                time.sleep(0.2)

    def _write_one(self, number: int) -> bool | None:
        """Make one run; None if the server has refused it."""
        made = self._send("POST", "api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
        if made is None:
            return None
        info = made.json()["run"]["info"]
        run = info["run_id"]
        self.runs.append(run)
        metric = {"run_id": run, "key": "number", "value": number, "timestamp": 1}
        if self._send("POST", "api/2.0/mlflow/runs/log-metric", json=metric) is not None:
            self.metrics.append((run, number))
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        if self._send("PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/n.txt", data=run.encode()) is not None:
            self.artifacts.append((run, folder))
        return True

    def _send(self, method: str, path: str, **sent: Any) -> requests.Response | None:
        try:
            answer = self._session.request(method, f"{self._url}/{path}", timeout=120, **sent)
        except requests.ConnectionError:
            self.broken += 1
            return None
        if answer.status_code != 200:
            self.refused.append(answer.status_code)
            return None
        return answer

    def assert_kept(self) -> None:
        """All that was acknowledged is there, and no more than that and what nobody knows of."""
        there = self._found()
        assert set(self.runs) <= there.keys()
        assert len(there) - len(set(self.runs)) <= self.broken, "a run that was refused is there"
        for run, value in self.metrics:
            assert there[run]["data"]["metrics"][0]["value"] == value
        for run, folder in self.artifacts:
            path = f"{self._url}/api/2.0/mlflow-artifacts/artifacts/{folder}/n.txt"
            assert self._session.get(path, timeout=120).content == run.encode()

    def _found(self) -> dict[str, Any]:
        """The runs that the server has."""
        found: dict[str, Any] = {}
        token = ""
        while True:
            body: dict[str, Any] = {"experiment_ids": ["0"], "max_results": 1000, "page_token": token}
            answer = self._session.post(f"{self._url}/api/2.0/mlflow/runs/search", json=body, timeout=120)
            answer.raise_for_status()
            found |= {one["info"]["run_id"]: one for one in answer.json().get("runs", [])}
            token = answer.json().get("next_page_token", "")
            if not token:
                return found
