# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``local-aws up|down|status|faults|calls|env|prepare|serve``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import __version__
from . import control
from .launch import serve
from .settings import SettingsError

# What stays on this machine does not go through the user's proxy. Programs differ in which of the two they read first.
_NO_PROXY = (
    'no_proxy="${no_proxy:-${NO_PROXY:-}}"',
    'export no_proxy="${no_proxy:+$no_proxy,}localhost,.localhost,127.0.0.1,::1"',
    'export NO_PROXY="$no_proxy"',
)


def default_home() -> Path:
    """``$LOCAL_AWS_HOME``, or ``local-aws`` in the user's folder for data."""
    if home := os.environ.get("LOCAL_AWS_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "local-aws"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local-aws", description="An AWS on this machine.")
    parser.add_argument("--version", action="version", version=f"local-aws {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--home",
        type=Path,
        default=default_home(),
        metavar="DIR",
        help="the folder that holds all state; default: $LOCAL_AWS_HOME, or ~/.local/share/local-aws",
    )

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", parents=[common])

    up = add("up", "start it, if it does not run; prints what a client needs")
    _add_settings(up)
    down = add("down", "stop it")
    down.add_argument("--wipe", action="store_true", help="delete the state, too (not the runtimes)")
    add("status", "say what runs")
    _add_fault_options(add("faults", "list the ordered faults and the events to order; order and cancel faults"))
    calls = add("calls", "list the API calls so far, newest last")
    calls.add_argument("--clear", action="store_true", help="forget them")
    add("env", "print the shell commands that point AWS clients at it")
    prepare = add("prepare", "bring the software of a container image here")
    prepare.add_argument("image", metavar="IMAGE", help="as in a task definition")
    add("serve", "run in the foreground")
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scale", type=float, help="AWS seconds in one second; default 60, or as the last time")
    command.add_argument("--region", help="default us-east-1, or as the last time")
    command.add_argument("--account", dest="account_id", help="default 123456789012, or as the last time")
    command.add_argument("--port", type=int, help="of the API on 127.0.0.1; default: a free one, kept over restarts")
    command.add_argument("--endpoints", choices=("auto", "names", "ports"), help="how services are reached")
    command.add_argument("--runtimes", help="the cache of task runtimes; default: runtimes/ in the home")


def _add_fault_options(command: argparse.ArgumentParser) -> None:
    one = command.add_mutually_exclusive_group()
    one.add_argument("--order", type=_json, metavar="JSON", help='such as \'{"what": "tasks:Capacity", "times": 2}\'')
    one.add_argument("--cancel", metavar="ID", help="the id of an ordered fault")
    one.add_argument("--cancel-all", action="store_true")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error


def _up(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    names = ("scale", "region", "account_id", "port", "endpoints", "runtimes")
    wanted = {name: getattr(options, name) for name in names}
    if wanted["runtimes"]:
        wanted["runtimes"] = str(Path(wanted["runtimes"]).expanduser().absolute())
    with control.one_at_a_time(home):
        return control.up(home, wanted)


def _down(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    with control.one_at_a_time(home):
        return control.down(home, wipe=options.wipe)


def _status(home: Path, _options: argparse.Namespace) -> dict[str, Any]:
    return control.status(home)


def _faults(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    if options.order is not None:
        return control.order_fault(home, options.order)
    if options.cancel is not None or options.cancel_all:
        return control.cancel_faults(home, options.cancel or "")
    return control.faults(home)


def _calls(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    return control.calls(home, clear=options.clear)


def _env(home: Path, _options: argparse.Namespace) -> str:
    """Exports for a POSIX shell. Keys stay in their file: an environment is shown more easily than one thinks."""
    exported = (f"export {name}={shlex.quote(value)}" for name, value in control.client_environment(home).items())
    return "\n".join(("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN", *exported, *_NO_PROXY))


def _prepare(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    return control.prepare(home, options.image)


_COMMANDS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any] | str]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "faults": _faults,
    "calls": _calls,
    "env": _env,
    "prepare": _prepare,
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0, or 1 with a sentence on standard error."""
    options = _parser().parse_args(arguments)
    home = options.home.expanduser().absolute()
    if options.command == "serve":
        return serve(home)
    try:
        result = _COMMANDS[options.command](home, options)
    except (control.CommandError, SettingsError) as error:
        control.say(str(error))
        return 1
    # One line for programs; people get it laid out.
    text = result if isinstance(result, str) else json.dumps(result, indent=2 if sys.stdout.isatty() else None)
    print(text, flush=True)
    return 0
