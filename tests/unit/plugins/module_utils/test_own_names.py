# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private code of the modules names the modules' own options, and no variable of a role."""

from __future__ import annotations

import re
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
MODULE_UTILS = PLUGINS / "module_utils"
MODULES = {path.stem for path in (PLUGINS / "modules").glob("*.py")}
# A variable of the role mlflow; not the collection, a fragment of documentation, or a member of MLflow's own API.
VARIABLE = re.compile(r"(?<![\w./-])mlflow_(?!aws\b|connection\b|experiment\b)[a-z]\w*")


def test_no_variable_of_a_role_is_named() -> None:
    files = [path for path in MODULE_UTILS.rglob("*.py") if path.parent.name != "_inputs"]
    assert len(files) > 50
    found = {
        f"{path.relative_to(MODULE_UTILS)}: {match.group()}"
        for path in files
        for match in VARIABLE.finditer(path.read_text(encoding="utf-8"))
        if match.group() not in MODULES
    }
    assert found == set()
