# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients at once get an answer each, and the server opens no more database connections than it is allowed to."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from burst import Burst
from conftest import QUICK
from harness import ROOT
from harness import LocalAws
from harness import runtime

PLUGINS = ROOT / "roles/ecs_express/files"
NAME = "burst"


@pytest.mark.usefixtures("software")
def test_the_pools_of_a_process_share_a_limit_and_no_thread_waits_for_itself(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(runtime("3.17.2") / "bin/python"), str(Path(__file__).with_name("bounded_pool_session.py"))],
        env={"PYTHONPATH": str(PLUGINS), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" of 7\n")


class Peak:
    """The most connections to a port that processes of this machine had, and those of each process at that moment."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.most: dict[int, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._end.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._end.wait(0.05):
            found: dict[int, int] = {}
            for one in psutil.net_connections("tcp"):
                if one.raddr and one.raddr.port == self.port and one.status == "ESTABLISHED" and one.pid:
                    found[one.pid] = found.get(one.pid, 0) + 1
            for pid, number in found.items():
                self.most[pid] = max(self.most.get(pid, 0), number)


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, software: None) -> Iterator[dict[str, Any]]:
    """A deployment of the default size, but for its demo data."""
    aws.up(QUICK)
    sizes = ("mlflow_workers", "mlflow_job_execution", "mlflow_memory")
    variables = {name: value for name, value in aws.small(mlflow_name=NAME).items() if name not in sizes}
    output = aws.play("deploy", variables).succeeded().output
    found = re.search(r"answers at (https://[^\s'\"]+)", output)
    assert found
    secret = aws.client("secretsmanager").get_secret_value(SecretId=f"{NAME}/login")["SecretString"]
    [instance] = aws.client("rds").describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    yield {"url": found[1], "login": json.loads(secret), "port": instance["Endpoint"]["Port"]}


@pytest.mark.long
@pytest.mark.parametrize("clients", [60, 200])
def test_each_of_many_clients_gets_its_answers(aws: LocalAws, deployed: dict[str, Any], clients: int) -> None:
    login = (deployed["login"]["username"], deployed["login"]["password"])
    with Peak(deployed["port"]) as peak:
        answers = Burst(deployed["url"], aws.info["ca_bundle"], login).run(clients)
    assert answers == {"200": 5 * clients}
    # Four for the main process, seven for each of the workers.
    assert max(peak.most.values()) <= 7, peak.most
    assert sum(peak.most.values()) <= 37, peak.most
