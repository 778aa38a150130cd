# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands do: start and stop the daemon of a home, and ask the pages of one that runs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import settings as settings_module
from .files import make_home
from .files import make_private_folders
from .files import write_atomically
from .launch import is_locked
from .runtime import supervisor

_PROFILE = "local-aws"
_PROFILE_FILE = "aws-credentials"
_COMMAND_FILE = "local-aws"
_SOURCE_FILE = "daemon.source"
# Seconds; what takes longer hangs. Under way is shown every so often.
_START_SECONDS = 900.0
_STOP_SECONDS = 600.0
_ANSWER_SECONDS = 300.0
_REPORT_SECONDS = 15.0
_PREPARE_SECONDS = 3600.0
#: What lies in a home besides the cache of runtimes: all that ``down --wipe`` removes.
_STATE = (
    "state",
    "s3",
    "db",
    "snapshots",
    "backups",
    "tasks",
    "ca",
    "ca.pem",
    "rds-ca.pem",
    "settings.json",
    "credentials.json",
    _PROFILE_FILE,
    _COMMAND_FILE,
    settings_module.TOKEN_FILE,
    "daemon.log",
)


class CommandError(Exception):
    """The command cannot be done; the message is for the user."""


def say(text: str) -> None:
    """Tells the user something on standard error; standard output is for the result."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """Two commands on one home follow each other."""
    make_home(home)
    with open(home / "command.lock", "a", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _running_pid(home: Path) -> int | None:
    """The daemon's pid; None where none runs. Its lock tells, not a pid that another process may have by now."""
    if not is_locked(home / "daemon.lock"):
        return None
    with contextlib.suppress(OSError, ValueError):
        return int((home / "daemon.pid").read_text(encoding="ascii"))
    return None


def up(home: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Starts the daemon if it does not run, or runs other code than this; see the README for the line it prints."""
    pid = _running_pid(home)
    if pid is not None and _source_of_daemon(home) != _source():
        # It would look for files of its own that an update has moved.
        say("The local AWS was started by another version of its code, so it is started anew.")
        down(home, wipe=False)
        pid = None
    changed = pid is None
    if pid is None:
        killed = supervisor.sweep(home)
        if killed:
            say(f"Ended {killed} process(es) that an earlier daemon left behind.")
        chosen = settings_module.choose(home, wanted)
        make_private_folders(home)
        (home / "settings.json").write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
        _start(home)
    elif any(value is not None for value in wanted.values()):
        say("The local AWS runs already; options take effect after the next down.")
    ready = _await_ready(home)
    loaded = settings_module.load(home)
    _write_profile(home / _PROFILE_FILE, loaded)
    _write_command(home)
    return {
        "changed": changed,
        **ready,
        "access_key_id": loaded.access_key_id,
        "secret_access_key": loaded.secret_access_key,
        "ca_bundle": str(home / "ca.pem"),
        "rds_ca_bundle": str(home / "rds-ca.pem"),
        "credentials_file": str(home / _PROFILE_FILE),
        "profile": _PROFILE,
        "command": str(home / _COMMAND_FILE),
        "token_file": str(home / settings_module.TOKEN_FILE),
        "home": str(home),
    }


def _write_profile(path: Path, settings: settings_module.Settings) -> None:
    """The root user's credentials as a profile in a file like ``~/.aws/credentials``."""
    content = (
        f"[{_PROFILE}]\n"
        f"aws_access_key_id = {settings.access_key_id}\n"
        f"aws_secret_access_key = {settings.secret_access_key}\n"
    ).encode()
    if not path.exists() or path.read_bytes() != content or path.stat().st_mode & 0o077:
        write_atomically(path, content)


def _write_command(home: Path) -> None:
    """The console script of this home: wherever the package lies, and without a pip that installs it."""
    package = Path(__file__).resolve().parent.parent
    content = (
        "#!/bin/sh\n"
        f"export PYTHONPATH={shlex.quote(str(package))} LOCAL_AWS_HOME={shlex.quote(str(home))}\n"
        f'exec {shlex.quote(sys.executable)} -m local_aws "$@"\n'
    ).encode()
    path = home / _COMMAND_FILE
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content, 0o700)


def _source() -> str:
    """The SHA-256 of this package's files, with their names."""
    package = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _source_of_daemon(home: Path) -> str:
    """That of the code by which the daemon was started; empty if it is not known."""
    with contextlib.suppress(FileNotFoundError):
        return (home / _SOURCE_FILE).read_text(encoding="utf-8")
    return ""


def _start(home: Path) -> None:
    say(f"Starting the local AWS in {home}.")
    (home / "daemon.json").unlink(missing_ok=True)
    (home / _SOURCE_FILE).write_text(_source(), encoding="utf-8")
    settings_module.load(home)
    environment = dict(os.environ)
    package = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH", "")]))
    environment[supervisor.MARKER] = f"{home}#daemon"
    command = [sys.executable, "-m", "local_aws", "serve", "--home", str(home)]
    log = os.open(home / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(log)
    for in_time in _polls(_START_SECONDS, "The local AWS is still starting"):
        if (home / "daemon.json").exists():
            break
        if started.poll() is not None:
            raise CommandError(f"The local AWS ended while it started; the end of {home}/daemon.log:\n{_tail(home)}")
        if not in_time:
            started.terminate()
            raise CommandError(f"The local AWS is not ready after {_START_SECONDS:.0f} s; see {home}/daemon.log.")
    say("The local AWS is ready.")


def _polls(limit: float, doing: str) -> Iterator[bool]:
    """Yields again and again, with a pause between; false says that the time is over.

    :arg limit: seconds.
    :arg doing: is said every so often, with the seconds so far.
    """
    began = said = time.monotonic()
    while True:
        now = time.monotonic()
        yield now - began < limit
        if now - said >= _REPORT_SECONDS:
            say(f"{doing}, {now - began:.0f} of at most {limit:.0f} s.")
            said = now
        time.sleep(0.05)


def _tail(home: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join((home / "daemon.log").read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
    return ""


def _await_ready(home: Path) -> dict[str, Any]:
    for in_time in _polls(_START_SECONDS, "The local AWS is still starting"):
        with contextlib.suppress(OSError, ValueError):
            ready: dict[str, Any] = json.loads((home / "daemon.json").read_text(encoding="utf-8"))
            return ready
        if not in_time:
            break
    raise CommandError(
        f"The local AWS in {home} is running, but not ready after {_START_SECONDS:.0f} s; see {home}/daemon.log."
    )


def down(home: Path, *, wipe: bool) -> dict[str, Any]:
    """Stops the daemon and everything that belongs to this home."""
    pid = _running_pid(home)
    changed = pid is not None
    if pid is not None:
        say("Stopping the local AWS.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _await_end(home, pid)
    if supervisor.sweep(home):
        changed = True
    for name in ("daemon.json", "daemon.pid", _SOURCE_FILE):
        (home / name).unlink(missing_ok=True)
    if wipe:
        changed = _wipe(home) or changed
    return {"changed": changed}


def _await_end(home: Path, pid: int) -> None:
    killed = False
    for in_time in _polls(_STOP_SECONDS, "The local AWS is still stopping"):
        if _running_pid(home) is None:
            return
        if not in_time and not killed:
            say(f"It does not stop within {_STOP_SECONDS:.0f} s; killing it.")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed = True


def _wipe(home: Path) -> bool:
    """Removes the state, and nothing that is not ours."""
    removed = False
    for path in (home / name for name in _STATE):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            removed = True
        elif path.exists() or path.is_symlink():
            path.unlink()
            removed = True
    return removed


def status(home: Path) -> dict[str, Any]:
    """What the daemon says of itself."""
    pid = _running_pid(home)
    if pid is None:
        return {"running": False, "home": str(home)}
    return {"running": True, "home": str(home), "pid": pid, **_page(home, "status")}


def client_environment(home: Path) -> dict[str, str]:
    """The variables that point AWS clients at a running local AWS, without the keys themselves."""
    _assert_running(home)
    loaded = settings_module.load(home)
    return {
        "AWS_ENDPOINT_URL": _await_ready(home)["endpoint_url"],
        "AWS_REGION": loaded.region,
        "AWS_DEFAULT_REGION": loaded.region,
        "AWS_CA_BUNDLE": str(home / "ca.pem"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": str(home / _PROFILE_FILE),
        "AWS_PROFILE": _PROFILE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def prepare(home: Path, image: str) -> dict[str, Any]:
    """Lets the daemon bring the software of an image here, so that the first task need not wait for it."""
    _assert_running(home)
    say(f"Bringing the software of {image}; the first time, it is downloaded.")
    return _page(home, "images", "POST", {"image": image}, limit=_PREPARE_SECONDS)


def calls(home: Path, *, clear: bool = False) -> dict[str, Any]:
    """The API calls so far, and how many there were of each operation.

    :arg clear: forget them, and return what is left.
    """
    _assert_running(home)
    return _page(home, "calls", "DELETE" if clear else "GET")


def faults(home: Path) -> dict[str, Any]:
    """The ordered faults, how often each happened, and the events that can be ordered."""
    _assert_running(home)
    return _page(home, "faults")


def order_fault(home: Path, order: Any) -> dict[str, Any]:
    """Orders a fault.

    :arg order: its members, see ``faults.Fault``.
    :returns: as ``faults()``; the new one is the last.
    """
    _assert_running(home)
    return _page(home, "faults", "POST", order)


def cancel_faults(home: Path, fault_id: str = "") -> dict[str, Any]:
    """Cancels one fault, or all of them.

    :returns: as ``faults()``: those that are left.
    """
    ordered = {fault["id"] for fault in faults(home)["faults"]}
    if fault_id and fault_id not in ordered:
        known = ", ".join(sorted(ordered)) or "none"
        raise CommandError(f"No fault {fault_id} is ordered in {home}; ordered are: {known}.")
    return _page(home, f"faults/{fault_id}" if fault_id else "faults", "DELETE")


def _assert_running(home: Path) -> None:
    if _running_pid(home) is None:
        raise CommandError(f"No local AWS runs in {home}: start it first.")


def _page(
    home: Path, page: str, method: str = "GET", document: Any = None, *, limit: float = _ANSWER_SECONDS
) -> dict[str, Any]:
    """Asks one of the daemon's own pages.

    :arg limit: seconds.
    """
    request = urllib.request.Request(
        f"{_await_ready(home)['endpoint_url']}/_local_aws/{page}",
        data=None if document is None else json.dumps(document).encode(),
        method=method,
        headers={"content-type": "application/json", **_authorization(home)},
    )
    with _answered(home, limit), _opener(home).open(request, timeout=limit) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


@contextlib.contextmanager
def _answered(home: Path, limit: float) -> Iterator[None]:
    """Tells a daemon that gives no answer in time from one that is gone."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise CommandError(json.load(error)["error"]) from error
    except OSError as error:  # URLError is one, and wraps what happened before the answer
        if isinstance(getattr(error, "reason", error), TimeoutError):
            text = f"The local AWS in {home} gives no answer within {limit:.0f} s; see {home}/daemon.log."
            raise CommandError(text) from error
        raise CommandError(f"The local AWS in {home} cannot be asked: {error}; see {home}/daemon.log.") from error


def _authorization(home: Path) -> dict[str, str]:
    """The header that proves to a daemon that the client may read the files in its home."""
    return {"authorization": f"Bearer {settings_module.token(home)}"}


def _opener(home: Path) -> urllib.request.OpenerDirector:
    trusted = ssl.create_default_context(cafile=str(home / "ca.pem"))
    # The user's proxy has no business on this machine.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted))
