# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unit tests are run once more with other versions of amazon.aws and boto3."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import aws_tests


def write(root: Path, name: str, text: str) -> None:
    """Write a file of a made-up collection."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_imports_are_followed_through_the_collection(tmp_path: Path) -> None:
    plugins = f"{aws_tests.COLLECTION}plugins.module_utils"
    write(tmp_path, "plugins/module_utils/_core/clients.py", "import boto3")
    write(tmp_path, "plugins/module_utils/_core/arns.py", "import re")
    write(tmp_path, "plugins/module_utils/_core/errors.py", "def f():\n    from botocore.exceptions import ClientError")
    write(tmp_path, "plugins/module_utils/_rds/wait.py", f"from {plugins}._core import clients")
    write(tmp_path, "plugins/module_utils/_rds/names.py", "from .._core import arns")
    write(tmp_path, "plugins/module_utils/_rds/relative.py", "from .._core.errors import f")
    for name in ("_rds.wait", "_rds.names", "_rds.relative", "_core.arns"):
        write(tmp_path, f"tests/unit/plugins/test_{name.split('.')[1]}.py", f"from {plugins}.{name} import x")
    write(tmp_path, "tests/unit/plugins/test_theirs.py", "from ansible_collections.amazon.aws.plugins import x")
    names = [Path(path).stem for path in aws_tests.chosen(tmp_path)]
    assert names == ["test_relative", "test_theirs", "test_wait"]


def test_modules_of_aws_are_among_them_and_rules_of_variables_are_not() -> None:
    found = {Path(path).name for path in aws_tests.chosen()}
    assert {"test_logs_log_group.py", "test_rds_postgresql_instance_create.py", "test_iam_service_role.py"} <= found
    assert not {"test_mistakes.py", "test_inputs_specification.py"} & found
