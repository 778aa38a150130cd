# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``python -m local_aws up|down|status|prepare|serve --home DIR``."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
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

from . import processes
from . import settings as settings_module
from .files import make_home
from .files import make_private_folders
from .files import write_atomically
from .launch import is_locked
from .launch import serve

_PROFILE = "local-aws"
_PROFILE_FILE = "aws-credentials"
_ROOMS = ",".join(
    (
        *("databases", "tasks", "balancer", "account_attributes", "certificates", "express", "resource_tags"),
        *("secretsmanager", "encrypted_values", "log_group_keys"),
    )
)
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
    "tasks",
    "ca",
    "ca.pem",
    "rds-ca.pem",
    "settings.json",
    "credentials.json",
    _PROFILE_FILE,
    settings_module.TOKEN_FILE,
    "daemon.log",
)


class CommandError(Exception):
    """The command cannot be done; the message is for the user."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Two commands on one home follow each other."""
    make_home(home)
    with open(home / "command.lock", "a", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _running_pid(home: Path) -> int | None:
    """The daemon's pid; None where none runs. Its lock tells, not a pid that may be somebody else's by now."""
    if not is_locked(home / "daemon.lock"):
        return None
    with contextlib.suppress(OSError, ValueError):
        return int((home / "daemon.pid").read_text(encoding="ascii"))
    return None


def up(home: Path, wanted: dict[str, Any], rooms: str) -> dict[str, Any]:
    """Starts the daemon if it does not run; see the README for the line that is printed."""
    pid = _running_pid(home)
    changed = pid is None
    if pid is None:
        killed = processes.sweep(home)
        if killed:
            _say(f"Ended {killed} process(es) that an earlier daemon left behind.")
        chosen = settings_module.choose(home, wanted)
        make_private_folders(home)
        (home / "settings.json").write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
        _start(home, rooms)
    elif any(value is not None for value in wanted.values()):
        _say("The local AWS runs already; options take effect after the next down.")
    ready = _await_ready(home)
    loaded = settings_module.load(home)
    _write_profile(home / _PROFILE_FILE, loaded)
    return {
        "changed": changed,
        **ready,
        "access_key_id": loaded.access_key_id,
        "secret_access_key": loaded.secret_access_key,
        "ca_bundle": str(home / "ca.pem"),
        "rds_ca_bundle": str(home / "rds-ca.pem"),
        "credentials_file": str(home / _PROFILE_FILE),
        "profile": _PROFILE,
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


def _start(home: Path, rooms: str) -> None:
    _say(f"Starting the local AWS in {home}.")
    (home / "daemon.json").unlink(missing_ok=True)
    settings_module.load(home)
    environment = dict(os.environ)
    package = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH", "")]))
    environment[processes.MARKER] = f"{home}#daemon"
    command = [sys.executable, "-m", "local_aws", "serve", "--home", str(home), "--rooms", rooms]
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
    _say("The local AWS is ready.")


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
            _say(f"{doing}, {now - began:.0f} of at most {limit:.0f} s.")
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
        _say("Stopping the local AWS.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _await_end(home, pid)
    if processes.sweep(home):
        changed = True
    for name in ("daemon.json", "daemon.pid"):
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
            _say(f"It does not stop within {_STOP_SECONDS:.0f} s; killing it.")
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
    endpoint = _await_ready(home)["endpoint_url"]
    request = urllib.request.Request(f"{endpoint}/_local_aws/status", headers=_authorization(home))
    with _answered(home, _ANSWER_SECONDS), _opener(home).open(request, timeout=_ANSWER_SECONDS) as answer:
        return {"running": True, "home": str(home), "pid": pid, **json.load(answer)}


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


def prepare(home: Path, image: str) -> dict[str, Any]:
    """Lets the daemon bring the software of an image here, so that the first task need not wait for it."""
    if _running_pid(home) is None:
        raise CommandError(f"No local AWS runs in {home}: start it first.")
    _say(f"Bringing the software of {image}; the first time, it is downloaded.")
    request = urllib.request.Request(
        f"{_await_ready(home)['endpoint_url']}/_local_aws/images",
        data=json.dumps({"image": image}).encode(),
        headers={"content-type": "application/json", **_authorization(home)},
    )
    with _answered(home, _PREPARE_SECONDS), _opener(home).open(request, timeout=_PREPARE_SECONDS) as answer:
        prepared: dict[str, Any] = json.load(answer)
        return prepared


def _authorization(home: Path) -> dict[str, str]:
    """The header by which a daemon knows that somebody may read the files in its home."""
    return {"authorization": f"Bearer {settings_module.token(home)}"}


def _opener(home: Path) -> urllib.request.OpenerDirector:
    trusted = ssl.create_default_context(cafile=str(home / "ca.pem"))
    # The user's proxy has no business on this machine.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="An AWS on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("up", "start it, if it does not run; prints one line of JSON"),
        ("down", "stop it"),
        ("status", "say what runs"),
        ("prepare", "bring the software of an image here"),
        ("serve", "run in the foreground"),
    ):
        command = verbs.add_parser(verb, help=text)
        command.add_argument("--home", required=True, type=Path, help="the folder that holds all state")
        if verb in ("up", "serve"):
            command.add_argument("--rooms", default=_ROOMS, help=argparse.SUPPRESS)
        if verb == "up":
            _add_settings(command)
        if verb == "prepare":
            command.add_argument("image", help="as in a task definition")
        if verb == "down":
            command.add_argument("--wipe", action="store_true", help="delete the state, too (not the runtimes)")
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scale", type=float, help="AWS seconds in one second; default 60, or as the last time")
    command.add_argument("--region", help="default us-east-1, or as the last time")
    command.add_argument("--account", dest="account_id", help="default 123456789012, or as the last time")
    command.add_argument("--port", type=int, help="of the API on 127.0.0.1; default: a free one, kept over restarts")
    command.add_argument("--endpoints", choices=("auto", "names", "ports"), help="how services are reached")
    command.add_argument("--runtimes", help="the cache of task runtimes; default: runtimes/ in the home")


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb; 0, or 1 with a sentence on standard error."""
    options = vars(_parser().parse_args(arguments))
    verb, home = options.pop("verb"), options.pop("home").expanduser().absolute()
    if verb == "serve":
        return serve(home, [name for name in options["rooms"].split(",") if name])
    try:
        if verb == "status":
            result = status(home)
        elif verb == "prepare":
            result = prepare(home, options["image"])
        else:
            with _one_at_a_time(home):
                rooms = options.pop("rooms", "")
                if options.get("runtimes"):
                    options["runtimes"] = str(Path(options["runtimes"]).expanduser().absolute())
                result = up(home, options, rooms) if verb == "up" else down(home, wipe=options["wipe"])
    except (CommandError, settings_module.SettingsError) as error:
        _say(str(error))
        return 1
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
