# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployed server with a login, asked as anybody may ask, and what can be seen of it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.parse import urlsplit

import psutil
from harness import ROOT
from harness import SOFTWARE
from harness import LocalAws
from harness import Played
from harness import eventually

NEW, OLD = "3.17.2", "3.10.0"
NAMES = {NEW: "login", OLD: "login-old"}
SEARCH = "/api/2.0/mlflow/experiments/search"
LISTED = f"{SEARCH}?max_results=1"
ASSISTANT = "/ajax-api/3.0/mlflow/assistant/config"

# All that the server answers without a login, and why it may. docs/security.md lists them for the user.
OPEN = {
    "/health": "the load balancer has no login; it says OK",
    "/static-files/<path:path>": "the program of MLflow's pages, which everybody can have from PyPI",
    "/static/<path:filename>": "the same, by the name that Flask gives it; MLflow has no such files",
    # mlflow/server/auth/__init__.py, is_unprotected_route: "Keep the payload free of secrets".
    "/api/3.0/mlflow/server-info": "what the server can do, for clients that log in afterwards; since 3.11",
    "/ajax-api/3.0/mlflow/server-info": "the same, for MLflow's pages",
}


class Server:
    """A deployed server, asked as anybody may ask."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.aws, self.name = aws, name
        [service] = [
            one
            for arn in aws.client("ecs").list_services()["serviceArns"]
            if (one := aws.client("ecs").describe_express_gateway_service(serviceArn=arn)["service"])["serviceName"]
            == name
        ]
        self.service = service
        self.url = f"https://{service['activeConfigurations'][0]['ingressPaths'][0]['endpoint']}"
        self._context = ssl.create_default_context(cafile=aws.info["ca_bundle"])

    @property
    def secrets(self) -> dict[str, str]:
        """All secret values of the deployment, from <secret>.<member>."""
        client = self.aws.client("secretsmanager")
        values = {}
        for kind, members in {
            "database": ["password"],
            "login": ["password"],
            "server": ["flask_secret_key", "webhook_encryption_key", "crypto_kek_passphrase", "session_secret_key"],
        }.items():
            text = json.loads(client.get_secret_value(SecretId=f"{self.name}/{kind}")["SecretString"])
            values.update({f"{kind}.{member}": text[member] for member in members})
        return values

    @property
    def admin(self) -> tuple[str, str]:
        """The administrator's login."""
        return "admin", self.secrets["login.password"]

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPSConnection]:
        """A connection to the server's URL."""
        address = urlsplit(self.url)
        opened = http.client.HTTPSConnection("localhost", address.port, context=self._context, timeout=1800)
        try:
            yield opened
        finally:
            opened.close()

    def ask(
        self,
        method: str,
        path: str,
        login: tuple[str, str] | None = None,
        body: Any = None,
        **headers: str,
    ) -> tuple[int, Any]:
        """One request; returns the status and what was answered."""
        headers.setdefault("Host", urlsplit(self.url).netloc)
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        with self.connection() as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            text = answer.read()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, text.decode()

    def tasks(self) -> list[str]:
        """The running tasks."""
        return self.aws.client("ecs").list_tasks(serviceName=self.name, desiredStatus="RUNNING")["taskArns"]

    def restart(self) -> None:
        """End its task, and wait until another one answers."""
        [before] = self.tasks()
        self.aws.client("ecs").stop_task(task=before, reason="a test")
        eventually(lambda: self.tasks() not in ([], [before]), "another task")
        eventually(lambda: self.ask("GET", LISTED, self.admin)[0] == 200, "an answer")


class CommandLines:
    """Reads the command lines of all processes as long as it is open, as everybody on a machine can."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.seen.add(path.read_bytes())

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._stop.set()
        self._thread.join()


def forms(value: str) -> set[str]:
    """A secret as it may be written."""
    login = base64.b64encode(f"admin:{value}".encode()).decode()
    return {value, quote(value, safe=""), json.dumps(value)[1:-1], login, base64.b64encode(value.encode()).decode()}


def deploy(aws: LocalAws, version: str = NEW, **options: Any) -> Played:
    """Deploy the version's deployment."""
    variables = {"mlflow_name": NAMES[version], "mlflow_version": version, **options.pop("variables", {})}
    return aws.play("deploy", aws.small(**variables), **options)


def routes(version: str) -> list[tuple[str, str]]:
    """All routes of that MLflow with its login, method and path."""
    interpreter = SOFTWARE / f"runtimes/mlflow-{version}-full/bin/python"
    done = subprocess.run(
        [str(interpreter), str(ROOT / "tests/end_to_end/routes.py")], capture_output=True, text=True, check=True
    )
    pairs: list[tuple[str, str]] = [tuple(pair) for pair in json.loads(done.stdout)]
    return pairs


def walk(server: Server, version: str) -> None:
    """Ask for each route without a login: all but the open ones answer 401."""
    found = routes(version)
    paths = {path for _unused, path in found}
    for part in ("/gateway/", "/graphql", "/api/2.0/mlflow-artifacts/artifacts", "/v1/traces", "/ajax-api/3.0/", "/"):
        assert [path for path in paths if path.startswith(part)], part
    said = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert f"{len(found)} in {version}" in said, "the page says how many routes are asked"
    wrong = []
    with server.connection() as connection:
        for method, path in found:
            real = re.sub(r"<[^>]*>|\{[^}]*\}", "1", path)
            body = b"{}" if method in ("POST", "PUT", "PATCH", "DELETE") else None
            headers = {"Host": urlsplit(server.url).netloc, "Content-Type": "application/json"}
            connection.request(method, real, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 401 and path not in OPEN:
                wrong.append((method, path, answer.status))
    assert not wrong, wrong


def of_the_server(aws: LocalAws) -> list[psutil.Process]:
    """The server's processes in the tasks; a checkout may be called mlflow, too."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            owner = process.environ().get("LOCAL_AWS_OWNER", "")
            line = " ".join(process.cmdline())
            if owner.startswith(str(aws.home)) and "#task/" in owner and re.search(r"\bmlflow[ .]server\b", line):
                found.append(process)
    return found


def places(aws: LocalAws, server: Server) -> dict[str, str]:
    """What others than the server can see of it, from the place's name to all that stands there."""
    ecs, logs = aws.client("ecs"), aws.client("logs")
    definitions = {
        task["taskDefinitionArn"]: ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])
        for task in ecs.describe_tasks(tasks=server.tasks())["tasks"]
    }
    assert definitions
    group = f"/ecs/default/{server.name}"
    streams = [one["logStreamName"] for one in logs.describe_log_streams(logGroupName=group)["logStreams"]]
    events = [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    ]
    assert any("Uvicorn running" in event for event in events)
    return {
        "the task definition": json.dumps(definitions, default=str, ensure_ascii=False),
        "the service": json.dumps(server.service, default=str, ensure_ascii=False),
        "the logs": "\n".join(events),
    }
