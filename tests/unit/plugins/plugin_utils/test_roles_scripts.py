# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts and lists of packages that a task gets on its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import scripts

IMAGES = Path(__file__).resolve().parents[4] / "roles/auth/files/image"


@pytest.mark.parametrize("path", sorted(IMAGES.glob("*.txt")), ids=lambda path: path.stem)
def test_every_package_of_a_file_is_installed(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if line.strip() and not line.startswith("#")]
    assert listed
    assert scripts.requirements(path) == listed


def test_a_script_loses_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("# a comment\nfirst()\n    # inside\nsecond('# no comment')\n", encoding="utf-8")
    assert scripts.script(path) == "first()\n    # inside\nsecond('# no comment')"
    assert scripts.script(path, indented=True) == "first()\nsecond('# no comment')"


def test_only_certificates_are_taken_from_a_text() -> None:
    one = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
    assert scripts.certificates(f"text\n{one}\n-----BEGIN PRIVATE KEY-----\ny\n-----END PRIVATE KEY-----\n") == [one]
