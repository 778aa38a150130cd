# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the unit tests of the plugins that depend on the versions of amazon.aws, boto3 and botocore.

They are the files whose imports lead there, directly or through files of the collection. All other tests are the same
with other versions of these, so make ansible-test-units leaves them to make units.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.mlops.mlflow_aws."
_VERSIONED = ("ansible_collections.amazon.", "boto3", "botocore")


def imports(path: Path, root: Path) -> Iterator[str]:
    """The dotted names that a file may import; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if node.level:
                package = ".".join(path.relative_to(root).parts[: -node.level])
                name = COLLECTION + ".".join(filter(None, (package, name)))
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def file_of(name: str, root: Path) -> Path | None:
    """The file of the collection that a dotted name stands for."""
    if not name.startswith(COLLECTION):
        return None
    place = root / name.removeprefix(COLLECTION).replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def is_versioned(path: Path, root: Path) -> bool:
    """Whether a file's imports lead to amazon.aws, boto3 or botocore."""
    waiting, seen = [path], {path}
    while waiting:
        current = waiting.pop()
        for name in imports(current, root):
            if name.startswith(_VERSIONED):
                return True
            found = file_of(name, root)
            if found is not None and found not in seen:
                seen.add(found)
                waiting.append(found)
    return False


def chosen(root: Path = ROOT) -> list[str]:
    """The paths of these tests below the root."""
    tests = sorted((root / "tests/unit/plugins").rglob("test_*.py"))
    return [str(path.relative_to(root)) for path in tests if is_versioned(path, root)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(chosen()) + "\n")
