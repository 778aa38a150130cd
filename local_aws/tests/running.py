# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real local AWS for the tests, in a temporary home, and how to talk to it.

LOCAL_AWS_PYTHON: the interpreter that runs the daemon (default: the one that runs the tests).
LOCAL_AWS_RUNTIMES: a cache of task runtimes that outlives the test run (default: inside the temporary home).
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import psutil
import strict
from botocore.config import Config

PACKAGE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACKAGE))

# High, so that AWS's minutes take milliseconds.
SCALE = 600
#: Real seconds that no test waits for, however slow the machine is: whatever takes longer hangs.
HANGS = 1800
#: AWS seconds that no test waits for.
HELD = HANGS * SCALE

_SESSION = boto3.session.Session()
# Clients may be used by many threads at once, but not created (boto3's guide, "Multithreading").
_CREATING = threading.Lock()


def eventually(check: Callable[[], Any], seconds: float = HANGS, what: str = "it") -> Any:
    """Polls until the check gives something true; returns that."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {seconds} s for {what} in vain.")
        time.sleep(0.05)


def create_client(service: str, **options: Any) -> Any:
    """A boto3 client of the one session, which reads each service's model only once: nearly all that a client costs."""
    with _CREATING:
        return _SESSION.client(service, **options)


def marked_processes(home: Path | str) -> list[psutil.Process]:
    """All processes that carry the marker of a home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LOCAL_AWS_OWNER", "").startswith(f"{home}#"):
                found.append(process)
        except psutil.Error:
            continue
    return found


class LocalAws:
    """One home and the commands on it."""

    def __init__(
        self, home: Path, *, command: list[str] | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.home = home
        self.command = command or [os.environ.get("LOCAL_AWS_PYTHON", sys.executable)]
        self.environment = {"PYTHONPATH": str(PACKAGE), **(environment or {})}
        self.info: dict[str, Any] = {}

    def run(self, verb: str, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        """Runs one verb of the command line."""
        return subprocess.run(
            [*self.command, "-m", "local_aws", verb, "--home", str(self.home), *arguments],
            env={**os.environ, **self.environment, **(environment or {})},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )

    def json(self, verb: str, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
        """Runs a verb that must succeed, and reads the one line that it prints."""
        done = self.run(verb, *arguments, environment=environment)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log()}"
        assert done.stdout.count("\n") == 1, done.stdout
        return json.loads(done.stdout)

    def up(self, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
        """Starts it; what it printed is kept as info."""
        if "LOCAL_AWS_RUNTIMES" in os.environ and "--runtimes" not in arguments:
            arguments = (*arguments, "--runtimes", os.environ["LOCAL_AWS_RUNTIMES"])
        self.info = self.json("up", "--scale", str(SCALE), *arguments, environment=environment)
        return self.info

    def down(self, *arguments: str) -> dict[str, Any]:
        """Stops it."""
        return self.json("down", *arguments)

    def kill(self) -> None:
        """Ends the daemon as a power cut would; before it has ended, another one takes it for running."""
        daemon = psutil.Process(self.info["pid"])
        daemon.kill()
        daemon.wait(HANGS)

    def log(self) -> str:
        """The daemon's log."""
        path = self.home / "daemon.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def port(self) -> int:
        """The port of the API."""
        return int(self.info["endpoint_url"].rpartition(":")[2])

    @property
    def account_id(self) -> str:
        """The account."""
        return self.info["account_id"]

    def client(self, service: str, key: str = "", secret: str = "", token: str | None = None, **config: Any) -> Any:
        """A boto3 client; root's, unless other credentials are given. It does not retry, and believes no answer."""
        client = create_client(
            service,
            region_name=self.info["region"],
            endpoint_url=self.info["endpoint_url"],
            verify=self.info["ca_bundle"],
            aws_access_key_id=key or self.info["access_key_id"],
            aws_secret_access_key=secret or self.info["secret_access_key"],
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
        )
        return strict.watch(client)

    def opener(self) -> urllib.request.OpenerDirector:
        """For plain requests to the API: trusts its certificate, uses no proxy."""
        trusted = ssl.create_default_context(cafile=self.info["ca_bundle"])
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )

    def open_group(self) -> str:
        """A security group of the default VPC that admits programs on this machine, as a user's own network."""
        ec2 = self.client("ec2")
        named = [{"Name": "group-name", "Values": ["this-machine"]}]
        for group in ec2.describe_security_groups(Filters=named)["SecurityGroups"]:
            return group["GroupId"]
        group = ec2.create_security_group(GroupName="this-machine", Description="tests")["GroupId"]
        from_here = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[from_here])
        return group

    def page(self, path: str, method: str = "GET", document: Any = None, headers: dict[str, str] | None = None) -> Any:
        """One of the local AWS's own pages (``calls``, ``faults``, ``status``), with the token if no other is given."""
        body = None if document is None else json.dumps(document).encode()
        url = f"{self.info['endpoint_url']}/_local_aws/{path}"
        token = Path(self.info["token_file"]).read_text(encoding="ascii").strip()
        shown = {"Authorization": f"Bearer {token}", **(headers or {})}
        request = urllib.request.Request(url, data=body, method=method, headers=shown)
        with self.opener().open(request, timeout=HANGS) as answer:
            return json.load(answer)

    def order_fault(self, what: str, **fields: Any) -> str:
        """Orders a fault; its id."""
        return self.page("faults", "POST", {"what": what, **fields})["faults"][-1]["id"]

    def hold(self, what: str, **fields: Any) -> str:
        """Orders that a call gets no answer until release(): tests that look meanwhile may take their time."""
        return self.order_fault(what, delay=HELD, **fields)

    def await_held(self, fault: str) -> None:
        """Waits until a call is being held."""
        eventually(
            lambda: any(item["id"] == fault and item["happened"] for item in self.page("faults")["faults"]),
            what="a call that is held",
        )

    def release(self, *faults: str) -> None:
        """Takes faults back, and lets go what they hold; all of them, if none is named."""
        for fault in faults:
            self.page(f"faults/{fault}", "DELETE")
        if not faults:
            self.page("faults", "DELETE")

    def assert_gone(self) -> None:
        """No process, so no port either: what listens on its former port by now is another test's."""
        left = [(process.pid, process.cmdline()) for process in marked_processes(self.home)]
        assert not left, left
