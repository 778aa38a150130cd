# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who use an MLflow server while it is updated: run by canary.py, with the Python that has MLflow's client.

Reads one JSON document from standard input: where and as whom, how long an AWS minute is, and what is to happen how
often in each. Ends with its standard input.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Let everybody work until standard input is closed."""
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    os.environ.update(
        {
            "MLFLOW_TRACKING_URI": asked["url"],
            "MLFLOW_TRACKING_USERNAME": asked["user"],
            "MLFLOW_TRACKING_PASSWORD": asked["password"],
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "REQUESTS_CA_BUNDLE": asked["ca"],
            "NO_PROXY": "localhost,.localhost,127.0.0.1",
            "GIT_PYTHON_REFRESH": "quiet",
        }
    )
    over = threading.Event()
    threads = []
    for kind, times in asked["minute"].items():
        # A single client is never so fast that it does the work of a whole team.
        hands = 1 + int(times * asked["seconds_per_run"].get(kind, 0.05) / asked["seconds"])
        for hand in range(hands):
            work = KINDS[kind](asked, f"{kind}-{hand}")
            pace = (over, hands * asked["seconds"] / times, work)
            threads.append(threading.Thread(target=repeat, args=pace, daemon=True))
    for thread in threads:
        thread.start()
    print("working", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join(30)


def repeat(over: threading.Event, pause: float, work: Callable[[], None]) -> None:
    """Do something at a steady pace; who is late does not make up for it."""
    due = time.monotonic()
    while not over.wait(max(0.0, due - time.monotonic())):
        due = max(due + pause, time.monotonic())
        try:
            work()
        except Exception as error:
            print(f"{type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)


def runs(_asked: dict[str, Any], name: str) -> Callable[[], None]:
    """A training: a run with parameters, metrics and an artifact, by MLflow's own client."""
    import mlflow  # noqa: PLC0415 - its settings come first

    client = mlflow.MlflowClient()
    number = itertools.count()

    def work() -> None:
        run = client.create_run("0", run_name=name).info.run_id
        client.log_param(run, "rate", next(number))
        for step in range(3):
            client.log_metric(run, "loss", 1 / (step + 1), step=step)
        client.log_text(run, "weights", "model.txt")
        client.set_terminated(run)

    return work


def missing(_asked: dict[str, Any], _name: str) -> Callable[[], None]:
    """A client that asks for a run that was deleted for good."""
    import mlflow  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    client = mlflow.MlflowClient()

    def work() -> None:
        try:
            client.get_run("0" * 32)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    return work


def session(path: str, *, login: bool) -> Callable[[dict[str, Any], str], Callable[[], None]]:
    """A browser that asks for one thing again and again."""

    def make(asked: dict[str, Any], _name: str) -> Callable[[], None]:
        import requests  # noqa: PLC0415 - MLflow's client brings it

        browser = requests.Session()
        browser.trust_env = False
        browser.verify = asked["ca"]
        browser.headers["User-Agent"] = "Mozilla/5.0"
        if login:
            browser.auth = (asked["user"], asked["password"])

        def work() -> None:
            browser.get(asked["url"] + path, timeout=20)

        return work

    return make


KINDS: dict[str, Callable[[dict[str, Any], str], Callable[[], None]]] = {
    "runs": runs,
    "missing": missing,
    "pages": session("/ajax-api/2.0/mlflow/experiments/search?max_results=5", login=True),
    "strangers": session("/", login=False),
    "health": session("/health", login=False),
}


if __name__ == "__main__":
    main()
