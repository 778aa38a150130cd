# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve what is installed anew, and write it down with hashes. Needs the network (make lock).

lock.py files
    The requirements of the development tools, of the tests and of the local AWS: one line per package.

lock.py client
    MLflow's client, for each version that is offered, into plugins/module_utils/_mlflow/client_pins.py: wheels alone.

lock.py hashes
    The hashes of what the files have, without another version of anything.

One resolution for all Pythons and platforms (uv pip compile --universal). What is younger than a week is left out: a
package that was taken over is mostly found out within days.
"""

from __future__ import annotations

import datetime
import itertools
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "plugins/module_utils/_mlflow/client_pins.py"
# Every release from the oldest that is supported to the newest that is tested.
VERSIONS = (
    *("3.10.0", "3.10.1", "3.11.1", "3.12.0", "3.13.0", "3.14.0", "3.15.0", "3.15.1", "3.15.2", "3.16.0", "3.16.1"),
    *("3.17.0", "3.17.1", "3.17.2"),
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Not musl, for which scikit-learn has no wheels, and not Intel's Macs, for which cryptography has none any more.
MACHINES = {"linux": ("x86_64", "aarch64"), "darwin": ("arm64",)}
# What is resolved from a file beside it, and what is pinned by hand or was resolved elsewhere and only gets hashes.
RESOLVED = (
    *("requirements-dev", "tests/tools/uv", "local_aws/requirements", "local_aws/tests/requirements"),
    *("tests/versions/requirements", "tests/browser/requirements"),
    *(f".github/requirements/ansible-core-{version}" for version in ("2.19", "2.20", "2.21")),
)
FROZEN = ("tests/importer/requirements", "tests/site/requirements", "tests/tools/collections")
COOLDOWN = datetime.timedelta(days=7)
HEAD = '''# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The packages of MLflow's client by its version, with the SHA-256 of each wheel (tests/tools/lock.py).

For CPython 3.11 to 3.14 on Linux (glibc; x86_64, aarch64) and macOS (arm64), as PyPI had them on {date}.
"""

from __future__ import annotations

from .client_pins_a_to_l import PINS as A_TO_L
from .client_pins_m_to_o import PINS as M_TO_O
from .client_pins_p_to_z import PINS as P_TO_Z

VERSIONS = (
{versions}
)

# Of each package, the versions of MLflow that it is for if not for all, and the hashes of its wheels.
PINS = A_TO_L + M_TO_O + P_TO_Z
'''
# The packages of a file, by their first letters.
PARTS = (("a", "l"), ("m", "o"), ("p", "z"))
PART = '''# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private: the pins of client_pins.py whose names begin with {first} to {last} (tests/tools/lock.py)."""

from __future__ import annotations

PINS = """\\
{pins}"""
'''


def environments() -> Iterator[dict[str, str]]:
    """What markers ask for, on each Python and platform."""
    for python, (system, machines) in itertools.product(PYTHONS, MACHINES.items()):
        for machine in machines:
            yield {
                "python_version": python,
                "python_full_version": f"{python}.0",
                "sys_platform": system,
                "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
                "platform_machine": machine,
                "os_name": "posix",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
            }


def fits(tag: Tag, everywhere: bool = False) -> bool:
    """Whether a wheel is for one of the Pythons and platforms, or for any Linux and any Mac."""
    major = tag.interpreter.startswith("cp3") and tag.interpreter[3:].isdigit()
    minor = int(tag.interpreter[3:]) if major else 0
    exact = f"3.{minor}" in PYTHONS and tag.abi in ("none", tag.interpreter)
    python = tag.interpreter == "py3" or exact or (tag.abi == "abi3" and minor <= 14)
    if everywhere and ("linux" in tag.platform or tag.platform.startswith("macosx")):
        return python
    linux = tag.platform.startswith("manylinux") and tag.platform.endswith(MACHINES["linux"])
    mac = tag.platform.startswith("macosx") and tag.platform.endswith((*MACHINES["darwin"], "universal2"))
    return python and (tag.platform == "any" or linux or mac)


def marker_of(package: dict[str, Any]) -> str | None:
    """Its marker, nothing if it is for all of these; None if it is for none of them."""
    text = str(package.get("marker", ""))
    if not text:
        return ""
    answers = {Marker(text).evaluate(environment) for environment in environments()}
    if answers == {True}:
        return ""
    return text.replace('"', "'") if True in answers else None


def resolve(wanted: str, *options: str, everywhere: bool = False) -> dict[str, list[str]]:
    """The packages that some requirements come to, and their hashes: an archive's only where there is no wheel."""
    with tempfile.TemporaryDirectory() as folder:
        file, found = Path(folder) / "wanted.in", Path(folder) / "pylock.toml"
        file.write_text(wanted, encoding="utf-8")
        uv = Path(sys.executable).parent / "uv"
        command = [str(uv), "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0], *options]
        subprocess.run([*command, "--format", "pylock.toml", "--output-file", str(found), str(file)], check=True)
        packages = tomllib.loads(found.read_text(encoding="utf-8"))["packages"]
    pins = {}
    for package in packages:
        marker = marker_of(package)
        if marker is None:
            continue
        wheels = [
            (str(wheel.get("url") or wheel["path"]).rpartition("/")[2], wheel["hashes"]["sha256"])
            for wheel in package.get("wheels", [])
        ]
        hashes = sorted(
            digest for name, digest in wheels if any(fits(tag, everywhere) for tag in parse_wheel_filename(name)[3])
        )
        if not hashes and everywhere and "sdist" in package:
            hashes = [package["sdist"]["hashes"]["sha256"]]
        if not hashes:
            sys.exit(f"{package['name']} {package['version']} has no wheel for any of these platforms.")
        pins[f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else "")] = hashes
    return pins


def write(path: Path, pins: dict[str, list[str]]) -> None:
    """Write a requirements file, under the comments that it begins with."""
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = [" ".join([package, *(f"--hash=sha256:{digest}" for digest in pins[package])]) for package in sorted(pins)]
    path.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


def without_hashes(path: Path) -> str:
    """What a requirements file has."""
    return re.sub(r" +--hash=\S+", "", path.read_text(encoding="utf-8"))


def files(until: str | None) -> None:
    """Write the requirements, those that are resolved as of a day; without one, nothing but the hashes changes."""
    for name in (*RESOLVED, *FROZEN):
        path = ROOT / f"{name}.txt"
        if until and name in RESOLVED:
            wanted = path.with_suffix(".in").read_text(encoding="utf-8")
            write(path, resolve(wanted, "--exclude-newer", until, everywhere=True))
        else:
            write(path, resolve(without_hashes(path), "--no-deps", everywhere=True))


def client(until: str) -> None:
    """Write the packages of the client."""
    options = ("--only-binary", ":all:", "--exclude-newer", until)
    resolved = {version: resolve(f"mlflow=={version}\n", *options) for version in VERSIONS}
    rows = [f"    *({', '.join(f'{chr(34)}{version}{chr(34)}' for version in VERSIONS[:8])}),"]
    rows.append(f"    *({', '.join(f'{chr(34)}{version}{chr(34)}' for version in VERSIONS[8:])}),")
    TARGET.write_text(HEAD.format(date=until[:10], versions="\n".join(rows)), encoding="utf-8")
    packages = sorted({package for pins in resolved.values() for package in pins})
    for first, last in PARTS:
        text = ""
        for package in packages:
            if not first <= package[0] <= last:
                continue
            holders = [version for version, pins in resolved.items() if package in pins]
            text += f"{package}\n" + (f" for {' '.join(holders)}\n" if len(holders) < len(VERSIONS) else "")
            text += "".join(f" {digest}\n" for digest in resolved[holders[0]][package])
        path = TARGET.with_name(f"client_pins_{first}_to_{last}.py")
        path.write_text(PART.format(first=first, last=last, pins=text), encoding="utf-8")


def main() -> None:
    until = (datetime.datetime.now(tz=datetime.UTC) - COOLDOWN).strftime("%Y-%m-%dT00:00:00Z")
    {"files": lambda: files(until), "client": lambda: client(until), "hashes": lambda: files(None)}[sys.argv[1]]()


if __name__ == "__main__":
    main()
