# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests go to the same of pytest-xdist's workers (--dist loadgroup).

pytest-xdist 3.8 hands its own groups over in the node IDs, which pytest 9.2 does not let it change: without the class
here, each test would be a group of its own.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_GROUP = re.compile(r'^GROUP = "(\w+)"$', re.M)


@functools.cache
def group_of(path: Path) -> str:
    """The GROUP that a file of tests names, else the file itself."""
    named = _GROUP.search(path.read_text(encoding="utf-8"))
    return named[1] if named else path.stem


class GroupScheduling(LoadScopeScheduling):
    """Gives all tests of a group to one worker, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """Give all tests of a file to the same worker, as those of files that share a GROUP."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None
