# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients that begin at the same moment, and try nothing twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import requests

API = "/api/2.0/mlflow"
# An answer is waited for as long as it takes: none is late, some are wrong.
_SECONDS = 900


class Burst:
    """What a number of clients do at once.

    Args:
        url: of the server.
        ca_path: its certificate authority.
        login: user name and password.
    """

    def __init__(self, url: str, ca_path: str, login: tuple[str, str]) -> None:
        self.url, self.ca_path, self.login = url, ca_path, login
        self.answers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run(self, clients: int) -> Counter[str]:
        """Let them log a run each; return how often each answer came: 200, or what another one says."""
        name = f"burst of {clients} at {time.monotonic_ns()}"
        experiment = self._call(self._session(), "POST", "experiments/create", {"name": name})["experiment_id"]
        self.answers.clear()
        start = threading.Barrier(clients)
        threads = [threading.Thread(target=self._client, args=(experiment, start)) for _n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.answers

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env, session.verify, session.auth = False, self.ca_path, self.login
        return session

    def _call(self, session: requests.Session, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {"params": document} if method == "GET" else {"json": document}
        try:
            answer = session.request(method, f"{self.url}{API}/{path}", timeout=_SECONDS, **given)
        except requests.RequestException as e:
            self._count(f"{path}: {type(e).__name__}")
            return {}
        self._count("200" if answer.status_code == 200 else f"{path}: {answer.status_code} {answer.text[:200]}")
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found

    def _count(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1

    def _client(self, experiment: str, start: threading.Barrier) -> None:
        session = self._session()
        start.wait()
        run = self._call(session, "POST", "runs/create", {"experiment_id": experiment, "start_time": 1}).get("run", {})
        run_id = run.get("info", {}).get("run_id", "none")
        # Sessions within sessions: of the batch, its tags, the run's name, the run.
        batch = {
            "run_id": run_id,
            "params": [{"key": "p", "value": "1"}],
            "metrics": [{"key": "m", "value": 1.0, "timestamp": 1, "step": 1}],
            "tags": [{"key": "t", "value": "1"}, {"key": "mlflow.runName", "value": "named"}],
        }
        self._call(session, "POST", "runs/log-batch", batch)
        self._call(session, "GET", "runs/get", {"run_id": run_id})
        self._call(session, "GET", "registered-models/search", {"max_results": 1})
        self._call(session, "POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 2})
