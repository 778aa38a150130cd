# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders that are their owner's alone from the moment they are there, whatever the umask."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

#: What is below a home and may hold secrets: each is closed to others before anything is in it.
PRIVATE_FOLDERS = ("state", "s3", "db", "snapshots", "tasks", "ca")
_OTHERS = 0o077


def make_home(home: Path) -> None:
    """Makes a home, closed to others.

    One that is there already may be a folder of the user's with more in it, such as software that others use: it is
    left as open as it is, which is why what is private in it is closed by itself.

    :raises OSError: it cannot be made.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        home.mkdir(mode=0o700)


def make_private_folders(home: Path) -> None:
    """Makes the folders in a home that may hold secrets, closed to others.

    :raises OSError: a folder cannot be made or closed.
    """
    for name in PRIVATE_FOLDERS:
        folder = home / name
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        # Made by a version that did not close it.
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & _OTHERS:
            folder.chmod(mode & ~_OTHERS)


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """The whole file or the old one, also after a power cut; its owner's alone until it is whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
