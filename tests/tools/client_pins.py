# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve MLflow's client anew, for each version that is offered, into plugins/module_utils/_mlflow/client_pins.py.

One resolution per version for all Pythons and platforms (uv pip compile --universal), of wheels alone. What is younger
than a week is left out: a package that was taken over is mostly found out within days. Needs the network; part of
make lock.
"""

from __future__ import annotations

import datetime
import itertools
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
COOLDOWN = datetime.timedelta(days=7)
HEAD = '''# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The packages of MLflow's client by its version, with the SHA-256 of each wheel (tests/tools/client_pins.py).

For CPython 3.11 to 3.14 on Linux (glibc; x86_64, aarch64) and macOS (arm64), as PyPI had them on {date}.
"""

from __future__ import annotations

VERSIONS = (
{versions}
)


def requirements(version: str) -> str:
    """Return a requirements file of pip with hashes, complete; empty for a version that is not among these."""
    lines: list[str] = []
    if version not in VERSIONS:
        return ""
    wanted = True
    for line in _PINS.splitlines():
        word = line.strip()
        if line == word:
            wanted = True
            lines.append(word)
        elif word.startswith("for "):
            wanted = version in word.split()
            if not wanted:
                lines.pop()
        elif wanted:
            lines[-1] += f" --hash=sha256:{{word}}"
    return "".join(f"{{line}}\\n" for line in lines)


# A package, the versions of MLflow that it is for if not for all, and the hashes of its wheels.
_PINS = """\\
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


def fits(tag: Tag) -> bool:
    """Whether a wheel is for one of the Pythons and platforms."""
    major = tag.interpreter.startswith("cp3") and tag.interpreter[3:].isdigit()
    minor = int(tag.interpreter[3:]) if major else 0
    exact = f"3.{minor}" in PYTHONS and tag.abi in ("none", tag.interpreter)
    python = tag.interpreter == "py3" or exact or (tag.abi == "abi3" and minor <= 14)
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


def resolve(version: str, until: str, folder: Path) -> dict[str, list[str]]:
    """The packages of one version, and their wheels' hashes."""
    wanted, found = folder / "wanted.in", folder / "pylock.toml"
    wanted.write_text(f"mlflow=={version}\n", encoding="utf-8")
    found.unlink(missing_ok=True)
    uv = Path(sys.executable).parent / "uv"
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0], "--only-binary", ":all:"]
    date = ["--exclude-newer", until]
    subprocess.run([*command, *date, "--format", "pylock.toml", "--output-file", found, wanted], check=True)
    pins = {}
    for package in tomllib.loads(found.read_text(encoding="utf-8"))["packages"]:
        marker = marker_of(package)
        if marker is None:
            continue
        wheels = [(str(wheel["url"]).rpartition("/")[2], wheel["hashes"]["sha256"]) for wheel in package["wheels"]]
        hashes = sorted(digest for name, digest in wheels if any(map(fits, parse_wheel_filename(name)[3])))
        if not hashes:
            sys.exit(f"{package['name']} {package['version']} has no wheel for any of these platforms.")
        pins[f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else "")] = hashes
    return pins


def main() -> None:
    """Write the file."""
    until = (datetime.datetime.now(tz=datetime.UTC) - COOLDOWN).strftime("%Y-%m-%dT00:00:00Z")
    with tempfile.TemporaryDirectory() as folder:
        resolved = {version: resolve(version, until, Path(folder)) for version in VERSIONS}
    rows = [f"    *({', '.join(f'{chr(34)}{version}{chr(34)}' for version in VERSIONS[:8])}),"]
    rows.append(f"    *({', '.join(f'{chr(34)}{version}{chr(34)}' for version in VERSIONS[8:])}),")
    text = HEAD.format(date=until[:10], versions="\n".join(rows))
    for package in sorted({package for pins in resolved.values() for package in pins}):
        holders = [version for version, pins in resolved.items() if package in pins]
        text += f"{package}\n" + (f" for {' '.join(holders)}\n" if len(holders) < len(VERSIONS) else "")
        text += "".join(f" {digest}\n" for digest in resolved[holders[0]][package])
    TARGET.write_text(text + '"""\n', encoding="utf-8")


if __name__ == "__main__":
    main()
