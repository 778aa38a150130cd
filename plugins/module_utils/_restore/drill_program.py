# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of the server's image runs in a drill: starts the server against a copy, reads through its API.

It is sent to the task as text, so it imports nothing of this collection. The server gets its own command, environment
and secrets, and listens on 127.0.0.1 alone. It runs no jobs, so that no webhook is called twice.

What is printed goes to the log, so it is never a value of the database.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import socket
import subprocess
import sys
import time
import typing
import urllib.error
import urllib.parse
import urllib.request

Found = dict[str, typing.Any]

API = "api/2.0/mlflow"
# How many runs are looked at for an artifact.
RUNS = 50
# Prompts are models too, and shown only to who asks for them (mlflow.prompt.registry_utils, add_prompt_filter_string).
PROMPTS = "tag.`mlflow.prompt.is_prompt` = 'true'"
_LOOPBACK = "127.0.0.1"


class Unusable(Exception):
    """The server does not do what it should."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_LOOPBACK, 0))
        return int(listener.getsockname()[1])


def login(environment: typing.Mapping[str, str]) -> str:
    """Return the header with which the administrator logs in; empty if the task has no login."""
    user, password = (environment.get(f"MLFLOW_AUTH_ADMIN_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if not user or not password:
        return ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def command(given: list[str], port: int, *, with_login: bool) -> list[str]:
    """Return the server's command for this machine alone; without the login's app, where nobody could log in."""
    changed = [text.replace("--host 0.0.0.0 --port 5000", f"--host {_LOOPBACK} --port {port}") for text in given]
    if changed == given:
        raise Unusable("the server's command does not say where it listens")
    if not with_login:
        for app in ("basic-auth", "oidc-auth"):
            changed = [text.replace(f"--app-name {app} ", "") for text in changed]
    return changed


class Server:
    """The server, as its administrator calls it."""

    def __init__(self, port: int, authorization: str, host: str) -> None:
        self._base = f"http://{_LOOPBACK}:{port}"
        self._headers = {"Content-Type": "application/json", "Host": host or f"{_LOOPBACK}:{port}"}
        if authorization:
            self._headers["Authorization"] = authorization
        # A proxy of the task's cannot reach this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def read(self, path: str, body: Found | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._base}/{path}", data=data, headers=self._headers)
        with self._opener.open(request, timeout=300) as answer:
            return bytes(answer.read())

    def call(self, path: str, body: Found | None = None) -> Found:
        found: Found = json.loads(self.read(path, body))
        return found

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Wait until it answers: restored volumes are slow at first."""
        deadline = time.monotonic() + seconds
        while True:
            if process.poll() is not None:
                raise Unusable(f"the server ended with {process.returncode}")
            try:
                self.read("health")
                return
            except OSError as problem:
                if time.monotonic() > deadline:
                    raise Unusable(f"the server does not answer after {seconds:g} seconds ({problem})") from problem
            time.sleep(0.5)


def pages(server: Server, path: str, key: str, body: Found) -> typing.Iterator[Found]:
    token = ""
    while True:
        found = server.call(path, {**body, "page_token": token})
        yield from found.get(key, [])
        token = found.get("next_page_token", "")
        if not token:
            return


def listed(server: Server, path: str, key: str) -> typing.Iterator[Found]:
    token = ""
    while True:
        query = urllib.parse.urlencode({"max_results": 100, **({"page_token": token} if token else {})})
        found = server.call(f"{path}?{query}")
        yield from found.get(key, [])
        token = found.get("next_page_token", "")
        if not token:
            return


def read_all(server: Server) -> Found:
    """Return what the API shows: numbers, and one of each kind."""
    body = {"max_results": 1000, "view_type": "ALL"}
    experiments = [one["experiment_id"] for one in pages(server, f"{API}/experiments/search", "experiments", body)]
    models = [one["name"] for one in listed(server, f"{API}/registered-models/search", "registered_models")]
    found: Found = {"experiments": len(experiments), "registered_models": len(models)}
    runs = read_runs(server, experiments)
    found["run"] = runs[0] if runs else ""
    found["trace"] = read_trace(server, experiments)
    found["model_version"], of_model = read_model_version(server)
    # The newest runs may have no artifacts; that of a model most likely has.
    found["artifact"] = read_artifact(server, [*of_model, *runs])
    return found


def read_runs(server: Server, experiments: list[str]) -> list[str]:
    """Return the ids of the newest runs, after one of them was read by its id."""
    found: list[str] = []
    for start in range(0, len(experiments), 100):
        part = experiments[start : start + 100]
        body = {"experiment_ids": part, "max_results": RUNS, "run_view_type": "ALL"}
        found += [one["info"]["run_id"] for one in server.call(f"{API}/runs/search", body).get("runs", [])]
        if len(found) >= RUNS:
            break
    if found:
        shown = server.call(f"{API}/runs/get?run_id={found[0]}")["run"]["info"]["run_id"]
        if shown != found[0]:
            raise Unusable(f"run {found[0]} is shown as {shown}")
    return found


def read_trace(server: Server, experiments: list[str]) -> str:
    """Return the id of a trace; empty if there is none."""
    for start in range(0, len(experiments), 100):
        locations = [
            {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one}}
            for one in experiments[start : start + 100]
        ]
        traces = server.call("api/3.0/mlflow/traces/search", {"locations": locations, "max_results": 1}).get("traces")
        if traces:
            trace = str(traces[0]["trace_id"])
            server.call(f"api/3.0/mlflow/traces/{trace}")
            return trace
    return ""


def read_model_version(server: Server) -> tuple[str, list[str]]:
    """Return name and number of a version of a model, empty if there is none; and the id of its run, if it has one."""
    versions = search_model_versions(server) or search_model_versions(server, PROMPTS)
    if not versions:
        return "", []
    name, version = str(versions[0]["name"]), str(versions[0]["version"])
    server.call(f"{API}/model-versions/get?{urllib.parse.urlencode({'name': name, 'version': version})}")
    run = str(versions[0].get("run_id") or "")
    return f"{name}/{version}", [run] if run else []


def search_model_versions(server: Server, chosen: str = "") -> list[Found]:
    query = urllib.parse.urlencode({"max_results": 1, **({"filter": chosen} if chosen else {})})
    found: list[Found] = server.call(f"{API}/model-versions/search?{query}").get("model_versions", [])
    return found


def read_artifact(server: Server, runs: list[str]) -> str:
    """Return run and path of an artifact that could be read; empty if the first of the runs have none."""
    for run in runs[:RUNS]:
        path = find_file(server, run, "")
        if path:
            query = urllib.parse.urlencode({"path": path, "run_uuid": run})
            server.read(f"get-artifact?{query}")
            return f"{run}/{path}"
    return ""


def find_file(server: Server, run: str, folder: str) -> str:
    query = urllib.parse.urlencode({"run_id": run, **({"path": folder} if folder else {})})
    for one in server.call(f"{API}/artifacts/list?{query}").get("files", []):
        path = find_file(server, run, one["path"]) if one.get("is_dir") else str(one["path"])
        if path:
            return path
    return ""


def main() -> None:
    given = json.loads(os.environ.pop("SERVER_COMMAND"))
    authorization = login(os.environ)
    hosts = os.environ.get("MLFLOW_SERVER_ALLOWED_HOSTS", "")
    host = hosts.partition(",")[0].replace("*", "drill")
    port = free_port()
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    begun = time.monotonic()
    process = subprocess.Popen(command(given, port, with_login=bool(authorization)), env=environment)
    server = Server(port, authorization, host)
    try:
        server.wait(process, float(os.environ.get("START_SECONDS", "900")))
        found = {**read_all(server), "login": bool(authorization)}
    except urllib.error.HTTPError as problem:
        raise Unusable(f"{problem.geturl().partition('?')[0]} was answered with {problem.code}") from problem
    finally:
        process.terminate()
        process.wait()
    found["seconds"] = round(time.monotonic() - begun, 1)
    body = json.dumps(found).encode()
    s3 = importlib.import_module("boto3").client("s3")
    s3.put_object(Bucket=os.environ["REPORT_BUCKET"], Key=os.environ["REPORT_KEY"], Body=body)
    sys.stdout.write("The report was written.\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as trouble:
        first = str(trouble).splitlines()[0] if str(trouble) else ""
        sys.stderr.write(f"{type(trouble).__name__}: {first}\n")
        raise SystemExit(1) from None
