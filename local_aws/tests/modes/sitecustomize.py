# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported by every interpreter of the local AWS that test_core_modes.py starts: notes what is made open to others.

The umask hides nothing: what a file is made with is what it has. A file or a folder counts as open if at the moment
at which it is made others could read it: its own mode lets them, and no folder on the way from the home bars them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HOME = os.environ.get("WATCHED_HOME", "")


def _bars(folder: Path) -> bool:
    return folder.exists() and not folder.stat().st_mode & 0o077


def _note(what: str, name: Any) -> None:
    path = Path(os.path.abspath(os.fsdecode(name)))
    home = Path(HOME)
    if home not in path.parents or path.exists():
        return
    way = [path.parent, *path.parent.parents]
    if not any(_bars(folder) for folder in way[: way.index(home) + 1]):
        descriptor = _open(os.environ["WATCHED_REPORT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{what} {path.relative_to(home)}\n".encode())
        os.close(descriptor)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        name, mode, flags = arguments
        # A mode in letters: open() and whatever is built on it, which gives a new file 0666 less the umask. os.open()
        # has none here; it is replaced below.
        if isinstance(mode, str) and isinstance(name, (str, bytes)) and flags & os.O_CREAT:
            _note("file", name)
    elif event == "os.mkdir":
        name, mode, _unused = arguments
        if mode & 0o077:
            _note("folder", name)


def _open_watched(name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    if flags & os.O_CREAT and mode & 0o077 and dir_fd is None and name != os.environ["WATCHED_REPORT"]:
        _note("file", name)
    return _open(name, flags, mode, dir_fd=dir_fd)


if HOME:
    _open = os.open
    os.umask(0)
    os.open = _open_watched
    sys.addaudithook(_watch)
