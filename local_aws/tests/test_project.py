# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""pyproject.toml, the requirements and the package agree."""

from __future__ import annotations

import importlib
import re
import tomllib

from packaging.requirements import Requirement
from running import PACKAGE

import local_aws

PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines(name: str) -> list[str]:
    """The requirements in a file, without comments and hashes."""
    text = (PACKAGE / name).read_text(encoding="utf-8")
    return [line.split(" --hash")[0] for line in text.splitlines() if not line.startswith("#")]


def test_the_pinned_versions_are_in_the_ranges_of_the_dependencies() -> None:
    ranges = [Requirement(line) for line in PROJECT["dependencies"]]
    assert all(one.specifier for one in ranges)
    assert sorted(one.name for one in ranges) == sorted(Requirement(line).name for line in lines("requirements.in"))
    pinned = dict(re.split("==", line.split(" ;")[0]) for line in lines("requirements.txt"))
    outside = [str(one) for one in ranges if not one.specifier.contains(pinned[one.name])]
    assert not outside


def test_the_console_script_is_there() -> None:
    assert list(PROJECT["scripts"]) == ["local-aws"]
    module, _colon, function = PROJECT["scripts"]["local-aws"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_version_is_the_packages() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", local_aws.__version__)
