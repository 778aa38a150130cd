# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short and plain names for folders that have none, for the programs that run in tasks.

In a container MLflow lies in /usr/local, and it is untested elsewhere. What does not work with every path:

- The first line of a script names its interpreter: without a space, and in 127 bytes before Linux 5.1 (execve(2)).
- alembic reads its settings with configparser, to which ``%`` is a sign of its own, and MLflow gives it the folder of
  its migrations as it is (mlflow/store/db/utils.py: ``_get_alembic_config``).
- PATH separates folders by ``:``.
- The path of a Unix socket has 107 bytes at most (unix(7)); Python's multiprocessing makes them in TMPDIR.

So where a path is long, or has other characters than letters, digits and a few signs, the tasks see the folder through
a symbolic link in /tmp.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from .settings import Settings
from .settings import SettingsError

# Not tempfile.gettempdir(): TMPDIR may be just such a folder.
_LINKS = Path("/tmp")
_PLAIN = re.compile(r"[A-Za-z0-9._/+@-]+")
# Leaves space in a script's first line for what is below it: /tasks/123456789012/layer/bin/python3.11.
_LONGEST = 80


def is_plain(folder: Path) -> bool:
    """Whether every program can be in this folder under its own name."""
    return len(os.fsencode(folder)) <= _LONGEST and _PLAIN.fullmatch(str(folder)) is not None


@contextlib.contextmanager
def provide(settings: Settings) -> Iterator[Settings]:
    """The settings with plain names for the folders that tasks see; links are removed in the end.

    :raises SettingsError: a link is needed and cannot be made.
    """
    folders = {"tasks": settings.tasks, "runtimes": settings.runtimes}
    awkward = {name: folder for name, folder in folders.items() if not is_plain(folder)}
    if not awkward:
        yield settings
        return
    own = _LINKS / f"local-aws-{os.geteuid()}"
    # The same name at each start: a daemon that was killed leaves its links to the next one on this home.
    links = own / hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:12]
    try:
        _make_private(own)
        _make_private(links)
        for name, folder in awkward.items():
            _link(links / name, folder)
        descriptor = os.open(links, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SettingsError(
            f"The path {settings.home} is too long, or has characters that not every program can take, and no link"
            f" to it can be made in {links}: {error.strerror}. Choose another home, such as /opt/local-aws."
        ) from error
    try:
        # systemd-tmpfiles removes what is old in /tmp, but not from a folder that is locked (tmpfiles.d(5)).
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        seen = {name: links / name if name in awkward else folder for name, folder in folders.items()}
        yield dataclasses.replace(settings, tasks=seen["tasks"], runtimes=seen["runtimes"])
    finally:
        os.close(descriptor)
        shutil.rmtree(links, ignore_errors=True)
        with contextlib.suppress(OSError):
            own.rmdir()


def _make_private(folder: Path) -> None:
    """A folder that this user alone may write to; all users may write to /tmp, so it may exist already."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(0, "it is there already, and not this user's alone", str(folder))


def _link(link: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(folder, target_is_directory=True)
