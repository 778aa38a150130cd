# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writable layer of a container: what a task installs is seen by that task alone, and goes with it.

A runtime (see runtimes.py) is shared by all tasks of its image, and must stay as the image is. So each task gets a
virtual environment of its own, whose packages come before those of the runtime. pip is in it, as it is in the images
of Python: there, ``pip install`` in a container's command changes that container only.
"""

from __future__ import annotations

import ensurepip
import os
import re
import shlex
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

# What stands for the network that a container has at AWS: how the user of this machine reaches a package index.
_OF_PIP = ("PIP_",)
_OF_THE_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
# These would install somewhere else.
_NEVER = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV")
# "#!", the interpreter and the end of line have 128 bytes before Linux 5.1 (execve(2)).
_LONGEST_INTERPRETER = 125
# How installers begin a script: in one line, or where the interpreter does not fit there, with a line of shell that is
# a string to Python (distlib/scripts.py: _build_shebang).
_DIRECT = re.compile(rb"#!/.*/(?P<name>python[0-9.]*)(?P<options>( -\S+)*)\n")
_BY_SHELL = re.compile(
    rb"#!/bin/sh\n'''exec' .*/(?P<name>python[0-9.]*)[\"']?(?P<options>( -\S+)*) \"\$0\" \"\$@\"\n' '''\n"
)
_PIP_SCRIPT = """import os
import sys

for name, value in {settings!r}.items():
    os.environ.setdefault(name, value)
from pip._internal.cli.main import main

sys.exit(main())
"""


def make(runtime: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Makes the layer of one task; takes a few milliseconds.

    :arg runtime: the virtual environment that the image is.
    :arg folder: where the layer goes; must not exist.
    :arg environment: of the user who runs the local AWS (default: this process's).
    :returns: the folder of its programs, for PATH.
    """
    programs = folder / "bin"
    [packages] = (runtime / "lib").glob("python3.*/site-packages")
    own_packages = folder / packages.relative_to(runtime)
    own_packages.mkdir(parents=True)
    programs.mkdir()
    shutil.copyfile(runtime / "pyvenv.cfg", folder / "pyvenv.cfg")
    for program in (runtime / "bin").iterdir():
        _take_over(program, runtime / "bin", programs)
    # site and not a path alone: the runtime has such files too, and the network hook is in one.
    (own_packages / "_image.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
    wheel = _pip_wheel()
    if wheel is not None:
        (own_packages / "_pip.pth").write_text(f"{wheel}\n")
        settings = _settings_of_pip(os.environ if environment is None else environment)
        for name in ("pip", "pip3"):
            script = programs / name
            script.write_bytes(_head(programs / "python") + _PIP_SCRIPT.format(settings=settings).encode())
            script.chmod(0o700)
    return programs


def _take_over(program: Path, source: Path, target: Path) -> None:
    """A program of the runtime, run by the layer's interpreter: a script names its interpreter by path."""
    own = target / program.name
    if program.is_symlink():
        # Python itself: "python" leads out of the runtime, its other names to "python".
        own.symlink_to(os.readlink(program))
    elif program.stat().st_mode & 0o100:
        content = program.read_bytes()
        if content.startswith(b"#!"):
            own.write_bytes(_with_interpreter(content, target).replace(bytes(source) + b"/", bytes(target) + b"/"))
            own.chmod(0o700)
        else:
            own.symlink_to(program)


def _with_interpreter(script: bytes, programs: Path) -> bytes:
    """A Python script, run by the interpreter in a folder, whichever it was installed for; others as they are."""
    found = _BY_SHELL.match(script) or _DIRECT.match(script)
    if found is None:
        return script
    return _head(programs / os.fsdecode(found["name"]), found["options"]) + script[found.end() :]


def _head(python: Path, options: bytes = b"") -> bytes:
    """The first lines of a script, by which the system finds its interpreter."""
    interpreter = os.fsencode(python)
    if b" " not in interpreter and len(interpreter + options) <= _LONGEST_INTERPRETER:
        return b"#!" + interpreter + options + b"\n"
    quoted = os.fsencode(shlex.quote(str(python)))
    return b"#!/bin/sh\n'''exec' " + quoted + options + b' "$0" "$@"\n' + b"' '''\n"


def _settings_of_pip(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith(_OF_PIP) or name.upper() in _OF_THE_NETWORK) and name not in _NEVER
    }


def _pip_wheel() -> Path | None:
    """The pip that Python brings along; some distributions keep it elsewhere."""
    folders = [Path(ensurepip.__file__).parent / "_bundled", Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/none")]
    return next((wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))), None)
