# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local AWS, and a user who types ansible-playbook.

Where the tests run as root, local AWS and user are "nobody", who may read every file (the virtual environments may lie
in a folder that is closed to others) but write only into a home of their own.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
SOFTWARE = Path(os.environ.get("MLFLOW_AWS_SOFTWARE", ROOT / ".cache" / "local_aws")).resolve()
REGION = "us-east-1"

NOBODY = 65534
# Without the last one, access(2), with which PostgreSQL looks for its programs, ignores the capability (Linux,
# fs/open.c, access_override_creds).
_AS_NOBODY = (
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    "--securebits=+no_setuid_fixup",
)
_READS = ("Describe", "List", "Get", "Head", "BatchGet", "Simulate")
# Whatever is longer than these hangs, also on a machine of a fraction of the speed: no test waits for one of them.
_PLAY_SECONDS = 3600
_ANSWER_SECONDS = 600
_EVENT_SECONDS = 1800
_SESSION = boto3.session.Session()
# Clients may be used by many threads at once, but not created (boto3's guide, "Multithreading").
_CREATING = threading.Lock()
_OTHERS = ("AWS_", "BOTO_", "ANSIBLE_", "LOCAL_AWS_", "XDG_", "PYTHON")


@functools.cache
def becomes_nobody() -> bool:
    """Whether there is need and a way to be somebody else than root."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    probe = [*_AS_NOBODY, sys.executable, "-c", "import ansible"]
    return subprocess.run(probe, cwd="/", capture_output=True, check=False).returncode == 0


def as_user() -> list[str]:
    """What a command line begins with."""
    return list(_AS_NOBODY) if becomes_nobody() else []


def has_ended(pid: int) -> bool:
    """Whether a process has ended; who adopted it may reap it late, or never."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def runtime(version: str) -> Path:
    """The folder of the software of an image of MLflow."""
    return SOFTWARE / "runtimes" / f"mlflow-{version}-full"


def is_prepared(version: str) -> bool:
    """Whether an MLflow image's software is here, with bytecode and the present network hook.

    The user nobody may not write to it.
    """
    folder = runtime(version)
    hook = (ROOT / "local_aws/local_aws/services/ecs_tasks/network_hook.py").read_bytes()
    found = list(folder.glob("lib/python3.*/site-packages/_local_aws_task_network.py"))
    compiled = list(folder.glob("lib/python3.*/site-packages/mlflow/server/__pycache__/*.pyc"))
    return (folder / "complete.json").exists() and bool(compiled) and [path.read_bytes() for path in found] == [hook]


def eventually(check: Callable[[], Any], what: str, seconds: float = _EVENT_SECONDS) -> Any:
    """Poll until the check gives something true; return that."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"Waited {seconds} s for {what} in vain."
        time.sleep(0.05)
    return found


def create_client(service: str, **options: Any) -> Any:
    """A boto3 client of the one session, which reads each service's model only once: nearly all that a client costs."""
    with _CREATING:
        return _SESSION.client(service, **options)


def _by_aws(call: dict[str, str]) -> bool:
    """Whether a service made a call, or a server with its role."""
    return call["user_agent"].endswith((".amazonaws.com", "AWS Internal")) or ":assumed-role/" in call["principal"]


class LocalAws:
    """A local AWS with a home of its own, and its user's environment."""

    def __init__(self, home: Path, *, present_user: bool = False) -> None:
        self.home = home
        self.info: dict[str, Any] = {}
        self.as_user = [] if present_user else as_user()
        home.mkdir(parents=True, exist_ok=True)
        if self.as_user:
            os.chown(home, NOBODY, NOBODY)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
        return {**kept, "HOME": str(self.home), "TMPDIR": str(self.home)}

    def _run(self, verb: str, *arguments: str) -> dict[str, Any]:
        program = [*self.as_user, str(SOFTWARE / "venv/bin/python"), "-m", "local_aws"]
        done = subprocess.run(
            [*program, verb, "--home", str(self.home / "aws"), *arguments],
            env={**self._environment(), "PYTHONPATH": str(ROOT / "local_aws")},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=_PLAY_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def prepare(self, image: str) -> None:
        """Bring an image's software here, if it is not."""
        self._run("prepare", image)

    def up(self, scale: float) -> None:
        """Start it."""
        self.info = self._run("up", "--scale", str(scale), "--runtimes", str(SOFTWARE / "runtimes"))

    def kill(self) -> None:
        """End the daemon as a power cut would."""
        os.kill(self.info["pid"], signal.SIGKILL)
        eventually(lambda: has_ended(self.info["pid"]), "the daemon's end")

    def down(self) -> None:
        """Stop it."""
        self._run("down", "--wipe")

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of the account's root."""
        return create_client(
            service,
            region_name=region,
            endpoint_url=self.info["endpoint_url"],
            verify=self.info["ca_bundle"],
            aws_access_key_id=self.info["access_key_id"],
            aws_secret_access_key=self.info["secret_access_key"],
            config=Config(proxies={}),
        )

    def page(self, path: str, method: str = "GET", document: Any = None) -> Any:
        """One of the local AWS's own pages."""
        body = None if document is None else json.dumps(document).encode()
        token = Path(self.info["token_file"]).read_text(encoding="ascii").strip()
        request = urllib.request.Request(
            f"{self.info['endpoint_url']}/_local_aws/{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {token}"},
        )
        trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.info["ca_bundle"]))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted)
        with opener.open(request, timeout=_ANSWER_SECONDS) as answer:
            return json.load(answer)

    def order_fault(self, what: str, **fields: Any) -> str:
        """Let something go wrong; the fault's id."""
        return self.page("faults", "POST", {"what": what, **fields})["faults"][-1]["id"]

    @contextlib.contextmanager
    def held(self, what: str, **fields: Any) -> Iterator[None]:
        """Let something wait for the end of the block, for an hour at most, so that there is time to inspect it."""
        fault = self.order_fault(what, times=0, delay=3600 * self.page("status")["scale"], **fields)
        try:
            yield
        finally:
            self.page(f"faults/{fault}", "DELETE")

    def writes(self) -> list[str]:
        """The operations since the last reset that change something, without those of AWS itself and of servers."""
        calls = [call for call in self.page("calls")["calls"] if not _by_aws(call)]
        return sorted({call["api"] for call in calls if not call["api"].partition(":")[2].startswith(_READS)})

    def user_environment(self) -> dict[str, str]:
        """What a user exports."""
        return {
            "AWS_ENDPOINT_URL": self.info["endpoint_url"],
            "AWS_URL": self.info["endpoint_url"],
            "AWS_ACCESS_KEY_ID": self.info["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.info["secret_access_key"],
            "AWS_REGION": self.info["region"],
            "AWS_CA_BUNDLE": self.info["ca_bundle"],
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def small(self, **variables: Any) -> dict[str, Any]:
        """The variables of a deployment that starts soon, on this local AWS."""
        return {
            "mlflow_workers": 1,
            "mlflow_job_execution": False,
            "mlflow_memory": 2048,
            "mlflow_ca_path": self.info["ca_bundle"],
            "mlflow_db_ca_path": self.info["rds_ca_bundle"],
            "mlflow_express_domain": self.info["domain"],
            "mlflow_poll_seconds": 1,
            "mlflow_wait_timeout": _EVENT_SECONDS,
            **variables,
        }

    def play(
        self,
        playbook: str,
        variables: Mapping[str, Any] | None = None,
        *,
        hosts: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str | None] | None = None,
        check: bool = False,
        arguments: Sequence[str] = (),
        at: str = "",
        then: Callable[[subprocess.Popen], None] | None = None,
    ) -> Played:
        """Run one of the collection's playbooks to its end.

        Args:
            playbook: deploy, validate or destroy, or the path of another one.
            variables: for ``-e``.
            hosts: an inventory, from host to variables; none: there is no inventory.
            environment: differs from what a user exports on this local AWS; None takes a variable away.
            check: whether to run in check mode.
            arguments: more ones of ansible-playbook.
            at: part of a task's name, or of a line that shows a verb's step, which begins with "step".
            then: called as soon as that task begins, or that line is shown.
        """
        command = self._command(playbook, variables, hosts, [*["--check"] * check, *arguments])
        process = subprocess.Popen(
            command,
            env=self._exported(environment),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return follow(process, at, then)

    def _exported(self, environment: Mapping[str, str | None] | None) -> dict[str, str]:
        """The environment of a playbook: what a user exports, and what differs from that."""
        exported = {**self._environment(), **self.user_environment(), "NO_COLOR": "1"}
        exported["ANSIBLE_REMOTE_TEMP"] = str(self.home / ".ansible/tmp")
        for name, value in (environment or {}).items():
            exported.pop(name, None)
            if value is not None:
                exported[name] = value
        return exported

    def _command(
        self,
        playbook: str,
        variables: Mapping[str, Any] | None,
        hosts: Mapping[str, Mapping[str, Any]] | None,
        arguments: Sequence[str],
    ) -> list[str]:
        """The command line of a playbook; writes its inventory."""
        name = playbook if playbook.endswith(".yml") else f"mlops.mlflow_aws.{playbook}"
        command = [*self.as_user, str(Path(sys.executable).parent / "ansible-playbook"), name]
        command += ["--extra-vars", json.dumps(dict(variables or {}))]
        command += arguments
        if hosts is not None:
            inventory = self.home / f"inventory-{time.monotonic_ns()}.json"
            inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
            command += ["--inventory", str(inventory), "--forks", "2"]
        return command


def follow(process: subprocess.Popen, at: str, then: Callable[[subprocess.Popen], None] | None) -> Played:
    """Read what a playbook shows until it ends; call then() as soon as a task begins whose name has that part.

    Where that begins with "step", it is a line of a verb's progress.
    """
    alarm = threading.Timer(_PLAY_SECONDS, process.kill)
    alarm.start()
    lines, happened = [], False
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.append(line)
            if then and not happened and line.startswith("TASK [" * (not at.startswith("step"))) and at in line:
                happened = True
                then(process)
        process.wait()
    finally:
        alarm.cancel()
        process.kill()
    assert happened or not then, f"There was no task {at}:\n{''.join(lines)}"
    return Played(process.returncode, "".join(lines))


def prepare_software(version: str, folder: Path) -> None:
    """Bring the software of an image of MLflow here, if it is not, as the user that the folder of runtimes belongs to.

    With the bytecode of what a server imports, as in an image: a server that is run by nobody could not keep it, and
    compile two thousand files at each start, which is half of its CPU time.
    """
    if is_prepared(version):
        return
    owner = LocalAws(folder, present_user=True)
    owner.up(60)
    try:
        owner.prepare(f"ghcr.io/mlflow/mlflow:v{version}-full")
    finally:
        owner.down()
    # 3.10.0 lacks Flask-WTF, without which its login cannot be imported.
    imports = (
        "import contextlib, mlflow.server.fastapi_app\nwith contextlib.suppress(ImportError): import mlflow.server.auth"
    )
    command = [str(runtime(version) / "bin/python"), "-W", "ignore", "-c", imports]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
    subprocess.run(command, env=environment, cwd="/", check=True, timeout=_PLAY_SECONDS)


@dataclass
class Played:
    """How a playbook ended."""

    code: int
    output: str
    failures: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ended = r"^(?:fatal: \[(\S+)\]: \S+!|failed: \[(\S+)\] \(item=.*?\)) => (\{.*\})$"
        for one, other, result in re.findall(ended, self.output, re.M):
            host = one or other
            self.failures.setdefault(host, []).append(json.loads(result).get("msg", ""))
        for host, number in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", self.output, re.M):
            self.changed[host] = int(number)

    def succeeded(self) -> Played:
        """Assert that it did."""
        assert self.code == 0, self.output
        return self

    def problem(self, host: str = "localhost") -> str:
        """The sentence with which it ended; there must be just one."""
        assert self.code != 0, self.output
        assert len(self.failures.get(host, [])) == 1, self.output
        return self.failures[host][0]


def interrupt(process: subprocess.Popen) -> None:
    """Press Ctrl-C until it helps: Ansible may be forking at that moment, and miss it."""

    def press() -> None:
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)

    threading.Thread(target=press, daemon=True).start()
