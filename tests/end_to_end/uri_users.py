# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with two users, Vera and Mallory, and what is Vera's on it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from servers import MlflowServer

API = "/api/2.0/mlflow"
SECRET = "for Vera's eyes only"


@dataclass
class Person:
    """A user of a server."""

    server: MlflowServer
    name: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request."""
        return self.server.ask(method, path, body, (self.name, self.password))

    def made(self, path: str, **body: Any) -> Any:
        """What the server answers to what it must accept."""
        status, answer = self.ask("POST", f"{API}/{path}", body)
        assert status == 200, answer
        return answer


@dataclass
class Stage:
    """A server with two users; run and logged model are Vera's, and hold her secret."""

    server: MlflowServer
    vera: Person
    mallory: Person
    experiment_id: str = ""
    run_id: str = ""
    model_id: str = ""
    trace_id: str = f"tr-{secrets.token_hex(16)}"

    @property
    def artifacts(self) -> str:
        """Path of the run's artifacts, within those of the server."""
        return f"{self.experiment_id}/{self.run_id}/artifacts"

    def set(self) -> Stage:
        """Create what is Vera's."""
        for one in (self.vera, self.mallory):
            body = {"username": one.name, "password": one.password}
            assert self.server.call("POST", f"{API}/users/create", body) == 200
        self.experiment_id = self.vera.made("experiments/create", name=f"vera-{secrets.token_hex(4)}")["experiment_id"]
        self.run_id = self.vera.made("runs/create", experiment_id=self.experiment_id)["run"]["info"]["run_id"]
        model = self.vera.made("logged-models", experiment_id=self.experiment_id, name="m", source_run_id=self.run_id)
        self.model_id = model["model"]["info"]["model_id"]
        self.vera.made("registered-models/create", name="vera")
        version = self.vera.made(
            "model-versions/create", name="vera", source=f"models:/{self.model_id}", model_id=self.model_id
        )
        assert version["model_version"]["source"]
        self.trace(self.vera, self.experiment_id, self.trace_id)
        artifacts = self.server.folder / "artifacts" / self.experiment_id
        for place in (
            f"{self.run_id}/artifacts/secret.txt",
            f"models/{self.model_id}/artifacts/secret.txt",
            f"traces/{self.trace_id}/artifacts/traces.json",
        ):
            (artifacts / place).parent.mkdir(parents=True, exist_ok=True)
            (artifacts / place).write_text(f'{{"spans": [], "secret": "{SECRET}"}}', encoding="utf-8")
        return self

    def trace(self, who: Person, experiment_id: str, trace_id: str, tags: dict[str, str] | None = None) -> int:
        """Start a trace; returns the status."""
        info = {
            "trace_id": trace_id,
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}},
            "request_time": "2026-01-01T00:00:00Z",
            "state": "OK",
            "tags": tags or {},
        }
        return who.ask("POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})[0]

    def registered(self, source: str, **more: Any) -> tuple[str, int]:
        """Mallory registers a model version of a source; returns the model's name and the status."""
        name = f"mallory-{secrets.token_hex(6)}"
        self.mallory.made("registered-models/create", name=name, tags=more.get("tags", []))
        status, _answer = self.mallory.ask(
            "POST", f"{API}/model-versions/create", {"name": name, "source": source, **more}
        )
        return name, status

    def leaks(self, name: str) -> bool:
        """Whether the secret comes out of Mallory's model."""
        got = [
            self.mallory.ask("GET", f"/model-versions/get-artifact?name={name}&version=1&path={path}")[1]
            for path in ("secret.txt", "traces.json", "artifacts/secret.txt")
        ]
        return any(SECRET in str(one) for one in got)
