# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A cached virtual environment with exactly one version of the MLflow client, with pinned and hashed packages."""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .client_pins import VERSIONS
from .client_requirements import requirements
from .rest import MlflowError
from .runner import Log
from .runner import Result
from .runner import installer_environment
from .runner import run

_BUILDING = ".building-"
# pip's option, uv's variable (docs.astral.sh/uv/reference/environment).
_PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
}
_UV_INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
)


def default_root() -> Path:
    """C($XDG_CACHE_HOME/mlops.mlflow_aws/mlflow), or below C(~/.cache)."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "mlops.mlflow_aws" / "mlflow"


@dataclass(frozen=True)
class Packages:
    """The packages of a client.

    Attributes:
        version: of MLflow.
        pinned: the text of a requirements file, each package with its hashes; empty: unpinned.
    """

    version: str
    pinned: str

    @property
    def folder(self) -> str:
        """The name of the environment, which depends on the packages."""
        return f"{self.version}-{hashlib.sha256(self.pinned.encode()).hexdigest()[:12] if self.pinned else 'unpinned'}"

    @property
    def arguments(self) -> list[str]:
        """The arguments for pip and uv. Only wheels, since a build runs the package's code."""
        if not self.pinned:
            return ["--only-binary", ":all:", f"mlflow=={self.version}"]
        return ["--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", "requirements.txt"]


def choose_packages(version: str, own: str | None = None, allow_unpinned: bool = False) -> Packages:
    """Return the packages of a client of this version.

    Args:
        version: of MLflow.
        own: the user's requirements file, which replaces the collection's.
        allow_unpinned: whether a version of which nothing is pinned may be installed.

    Raises:
        MlflowError: C(bad_requirements) where that file cannot be used, C(unpinned) where nothing is pinned.
    """
    if own:
        try:
            text = Path(own).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MlflowError("bad_requirements", f"requirements {own} cannot be read: {error}.") from error
        if "--hash=" not in text:
            raise MlflowError(
                "bad_requirements",
                f"requirements {own} has no hashes: write it with `uv pip compile --generate-hashes`.",
            )
        return Packages(version, text)
    text = requirements(version)
    if not text and not allow_unpinned:
        raise MlflowError(
            "unpinned",
            f"The collection knows the packages of MLflow's client, and their hashes, for {VERSIONS[0]} to"
            f" {VERSIONS[-1]}, and not for {version}. Give a file of your own as requirements"
            " (`uv pip compile --generate-hashes`), or such a client as executable, or, to install whatever the package"
            " index has, set allow_unpinned.",
        )
    return Packages(version, text)


def find_client(root: Path, name: str) -> list[str] | None:
    """Return the command of a client in the cache; None if there is none that can run.

    The command is C(python -m mlflow): scripts of an environment hold its first path, and it was renamed since.
    """
    python = _interpreter(root, name)
    # Not Path.is_file(), which raises where the way to the interpreter is closed to this user.
    if os.path.isfile(python) and os.access(python, os.X_OK):
        return [str(python), "-m", "mlflow"]
    return None


def _interpreter(root: Path, name: str) -> Path:
    return root / name / "bin" / "python"


def ensure_client(root: Path, packages: Packages, python: str | None, log: Log, time_limit: float) -> list[str]:
    """Return the command of the MLflow client of these packages, installed when it is missing.

    The environment is built under another name and renamed when it is complete, so a cut-off build is never used, and
    what is there can be used by those who may not write. Two runs at the same time wait for each other.

    Args:
        root: folder of the cache; one environment per version and set of packages in it.
        packages: of the client.
        python: interpreter to build with; default is the one that runs this.
        log: gets the installer's output.
        time_limit: seconds.

    Raises:
        MlflowError: C(timeout) where the time is over, C(install_failed) for everything else.
    """
    deadline = time.monotonic() + time_limit
    name = packages.folder
    command = find_client(root, name)
    if command:
        return command
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{name}.lock", deadline, log):
            return find_client(root, name) or _install(root, packages, python or sys.executable, log, deadline)
    except OSError as error:
        text = f"No client can be kept in virtualenv_root {root}: {error.strerror} ({error.filename})."
        raise MlflowError("install_failed", f"{text} Give a folder that this user may write to.") from error


def _install(root: Path, packages: Packages, python: str, log: Log, deadline: float) -> list[str]:
    name = packages.folder
    for remnant in [*root.glob(f"{_BUILDING}{name}-*"), root / name]:
        shutil.rmtree(remnant, ignore_errors=True)
    if os.path.lexists(root / name):
        raise MlflowError(
            "install_failed",
            f"The environment in {root / name} is of no use to this user, who may not run its interpreter"
            f" ({os.path.realpath(_interpreter(root, name))}), nor remove it: give another virtualenv_root.",
        )
    folder = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{name}-", dir=root))
    try:
        _build(folder / "venv", packages, python, log, deadline)
        (folder / "venv").rename(root / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    command = find_client(root, name)
    if not command:
        raise MlflowError(
            "install_failed",
            f"The environment in {root / name} was made with {python}, but its interpreter"
            f" ({os.path.realpath(_interpreter(root, name))}) is not there or may not be run by this user: give"
            " another one as virtualenv_python.",
        )
    return command


@contextlib.contextmanager
def _locked(path: Path, deadline: float, log: Log) -> Iterator[None]:
    with path.open("w") as file:
        began = time.monotonic()
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise MlflowError(
                        "timeout",
                        f"Another run has been installing the same MLflow client for {time.monotonic() - began:.0f} s"
                        f" ({path} is locked), and time_limit is over; raise time_limit, or stop that run.",
                    ) from None
                if not said:
                    log.write("waiting for another run that installs the same client")
                    said = True
                time.sleep(0.2)
        yield


def _build(venv: Path, packages: Packages, python: str, log: Log, deadline: float) -> None:
    folder = str(venv.parent)
    version = packages.version
    (venv.parent / "requirements.txt").write_text(packages.pinned, encoding="utf-8")
    began = time.monotonic()
    log.write(f"installing the client of MLflow {version} with {python}; this happens once per version")
    uv = find_uv()
    if uv:
        environment = {**installer_environment(), **uv_settings(os.environ)}
        steps = [
            [uv, "venv", "--quiet", "--python", python, str(venv)],
            [uv, "pip", "install", "--python", str(venv / "bin" / "python"), *packages.arguments],
        ]
        result = _steps(steps, environment, folder, log, deadline)
        if result.rc == 0:
            return
        log.write("uv could not do it; trying pip")
        shutil.rmtree(venv, ignore_errors=True)
    steps = [
        [python, "-m", "venv", str(venv)],
        [
            str(venv / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            *packages.arguments,
        ],
    ]
    result = _steps(steps, installer_environment(), folder, log, deadline)
    if result.timed_out:
        raise MlflowError(
            "timeout",
            f"Installing the client of MLflow {version} was stopped after {time.monotonic() - began:.0f} s, when"
            " time_limit was over; raise time_limit.",
        )
    if result.rc:
        raise MlflowError(
            "install_failed",
            f"The client of MLflow {version} cannot be installed with {python}{_needed(packages)}: {result.tail()}."
            " Give one that exists as executable instead.",
        )


def _needed(packages: Packages) -> str:
    if not packages.pinned:
        return " (Python 3.10 or newer is needed)"
    return " (Python 3.11 to 3.14 on Linux with glibc or a Mac with Apple silicon, and PyPI's own wheels, are needed)"


def _steps(steps: list[list[str]], environment: Mapping[str, str], folder: str, log: Log, deadline: float) -> Result:
    result = Result()
    for argv in steps:
        left = max(1.0, deadline - time.monotonic())
        try:
            result = run(argv, environment=environment, folder=folder, time_limit=left, log=log)
        except OSError as error:
            return Result(rc=127, stderr=[f"{argv[0]} cannot be started: {error.strerror}"])
        if result.rc or result.timed_out:
            result.rc = result.rc or 124
            break
    return result


def find_uv() -> str | None:
    """Return uv on the PATH, or next to the interpreter."""
    beside = Path(sys.executable).parent / "uv"
    return shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)


def uv_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the machine's settings for pip as settings for uv, unless uv has its own."""
    home = Path(environment.get("HOME") or os.path.expanduser("~"))
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    own = [config / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    if any(environment.get(name) for name in _UV_INDEX_VARIABLES) or any(path.exists() for path in own):
        return {}
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    extra = environment.get("PIP_CONFIG_FILE")
    if extra == os.devnull:  # pip's own way of saying that no file counts
        files = []
    elif extra:
        files.append(Path(extra))
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        parser.read(files)
    settings = {}
    for option, variable in _PIP_TO_UV.items():
        value = environment.get(f"PIP_{option.upper().replace('-', '_')}")
        for section in ("install", "global"):
            if not value and parser.has_option(section, option):
                value = parser.get(section, option)
        if value:
            settings[variable] = ("," if option == "find-links" else " ").join(value.split())
    if settings:
        # pip takes the best version of all indexes, uv that of the first index which knows the name.
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return settings
