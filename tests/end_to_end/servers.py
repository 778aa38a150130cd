# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real MLflow servers on this machine, without AWS, for what a module says to a server."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args
from harness import ROOT
from harness import eventually
from harness import runtime

INI = """[mlflow]
default_permission = {default_permission}
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
admin_password = {password}
"""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """One server with a SQLite database.

    Args:
        folder: of its own.
        version: of MLflow, whose software the local AWS has brought here.
        auth: whether it has basic authentication.
        options: further ones of C(mlflow server).
        more_packages: folder of further Python packages.
        default_permission: of users who have none of their own.
        database_options: what the database's URI ends with.
        environment: further variables.
    """

    def __init__(
        self,
        folder: Path,
        version: str,
        more_packages: str,
        *,
        auth: bool = True,
        options: tuple[str, ...] = (),
        default_permission: str = "READ",
        database_options: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.version = folder, version
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_urlsafe(24)
        self.config = folder / "auth.ini"
        text = INI.format(folder=folder, password=self.password, default_permission=default_permission)
        self.config.write_text(text, encoding="utf-8")
        command = [str(runtime(version) / "bin/mlflow"), "server", *(["--app-name", "basic-auth"] if auth else [])]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db{database_options}"]
        command += ["--artifacts-destination", str(folder / "artifacts"), *options]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
        self.environment = {
            **kept,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONPATH": more_packages,
            **(environment or {}),
        }
        self.command, self.log = command, folder / "server.log"
        self.start()

    def start(self) -> None:
        """Start it, with its present configuration and its data."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)

    def wait(self) -> None:
        """Until it answers."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            try:
                return bool(self.call("GET", "/health", login=None))
            except OSError:
                return False

        eventually(answers, f"MLflow {self.version}")

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, method: str, path: str, body: Any = None, login: tuple[str, str] | None = ("admin", "")) -> int:
        """One request; returns the status."""
        return self.ask(method, path, body, login)[0]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        login: tuple[str, str] | None = ("admin", ""),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """One request; returns the status and what was answered. The administrator's password may be left out."""
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers=headers or {})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if login:
            pair = f"{login[0]}:{login[1] or self.password}"
            request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=1800) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode()


# A password's check takes a fifth of a second by default, on every request.
_CHEAP_PASSWORDS = """
import functools
import werkzeug.security
werkzeug.security.generate_password_hash = functools.partial(
    werkzeug.security.generate_password_hash, method="pbkdf2:sha256:1"
)
"""


def packages(folder: Path) -> str:
    """A folder for PYTHONPATH: what images before 3.14 lack for basic authentication, and passwords that are cheap."""
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(folder)]
    subprocess.run([*command, "Flask-WTF==1.3.0", "WTForms==3.3.2"], check=True, timeout=1800)
    (folder / "sitecustomize.py").write_text(_CHEAP_PASSWORDS, encoding="utf-8")
    return str(folder)


def sqlalchemy_plugin(name: str, plugin: str, folder: Path) -> None:
    """Install a file of the role ecs_express as a plugin of SQLAlchemy's, as a task does."""
    text = (ROOT / f"roles/ecs_express/files/{name}.py").read_text(encoding="utf-8")
    (folder / f"{name}.py").write_text(re.sub(r"(?m)^#.*\n", "", text), encoding="utf-8")
    about = folder / f"{name}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", encoding="utf-8")
    entry_points = f"[sqlalchemy.plugins]\n{name} = {name}:{plugin}\n"
    (about / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def run_module(capsys: Any, module: Any, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run a module as Ansible does, and return what it says, without the arguments that it echoes."""
    with (
        contextlib.suppress(SystemExit),
        # Else, where another test of this process has brought the controller in, warnings are shown and not returned.
        patch.object(_internal, "is_controller", False),
        patch.dict(warnings._global_warnings, clear=True),
        patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}),
    ):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    result.pop("invocation", None)
    return result
