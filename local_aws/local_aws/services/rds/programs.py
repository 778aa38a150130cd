# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs, and the user and the files that they need."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
from pathlib import Path


class ClusterError(Exception):
    """PostgreSQL refused something; the message is its own."""


def unprivileged(argv: list[str]) -> list[str]:
    """The command for a user other than root, as which PostgreSQL refuses to run.

    Root's processes are run as nobody, with the one capability to pass folders that only root may enter: the programs
    and the data may lie below such a folder. PostgreSQL asks access(2) about its programs, which ignores capabilities
    of users other than root unless SECBIT_NO_SETUID_FIXUP is set (Linux, fs/open.c, access_override_creds).
    """
    if os.geteuid() != 0:
        return argv
    nobody = pwd.getpwnam("nobody")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ClusterError("PostgreSQL cannot run as root, and setpriv (package util-linux) is not installed.")
    return [
        setpriv,
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
        "--bounding-set=-all,+dac_override",
        "--securebits=+no_setuid_fixup",
        "--",
        *argv,
    ]


def give_away(folder: Path) -> None:
    """Makes a folder and all in it the server's, where the server is another user."""
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(root) / name, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


async def run(
    command: list[str], environment: dict[str, str], folder: Path, text: str, descriptors: tuple[int, ...]
) -> str:
    """Run a program to its end, and return what it printed.

    :arg text: what it reads.
    :arg descriptors: those that it inherits.
    :raises ClusterError: it failed; the message is its own.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=descriptors,
    )
    try:
        output, errors = await process.communicate(text.encode())
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise ClusterError(errors.decode(errors="replace").strip() or f"{command[0]} ended with {process.returncode}")
    return output.decode().strip()


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, atomically."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    new.replace(path)
