# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which wheels make lock writes down the hashes of. That PyPI has them: tests/end_to_end/test_pins.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
import lock  # noqa: E402


@pytest.mark.parametrize(
    ("name", "client", "tools"),
    [
        ("a-1-py3-none-any.whl", True, True),
        ("a-1-py2.py3-none-any.whl", True, True),
        ("a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", True, True),
        ("a-1-cp314-cp314-manylinux_2_28_aarch64.whl", True, True),
        ("a-1-cp39-abi3-manylinux_2_34_x86_64.whl", True, True),
        ("a-1-py3-none-manylinux_2_17_x86_64.whl", True, True),
        ("a-1-cp312-cp312-macosx_11_0_arm64.whl", True, True),
        ("a-1-cp312-cp312-macosx_10_13_universal2.whl", True, True),
        ("a-1-cp312-cp312-macosx_10_13_x86_64.whl", False, True),
        ("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", False, True),
        ("a-1-cp312-cp312-manylinux_2_17_s390x.whl", False, True),
        ("a-1-cp310-cp310-manylinux_2_28_x86_64.whl", False, False),
        ("a-1-cp314-cp314t-manylinux_2_28_x86_64.whl", False, False),
        ("a-1-pp311-pypy311_pp73-manylinux_2_28_x86_64.whl", False, False),
        ("a-1-cp312-cp312-win_amd64.whl", False, False),
        ("a-1-cp313-cp313-android_24_x86_64.whl", False, False),
    ],
)
def test_wheels_of_the_supported_pythons_and_platforms(name: str, client: bool, tools: bool) -> None:
    tags = parse_wheel_filename(name)[3]
    assert any(lock.fits(tag) for tag in tags) is client
    assert any(lock.fits(tag, everywhere=True) for tag in tags) is tools


@pytest.mark.parametrize(
    ("marker", "kept"),
    [
        ("python_full_version >= '3.11' and platform_python_implementation != 'PyPy'", ""),
        ("sys_platform == 'win32'", None),
        ("python_full_version == '3.11.*'", "python_full_version == '3.11.*'"),
        ("", ""),
    ],
)
def test_markers_that_say_nothing_here_are_left_out(marker: str, kept: str | None) -> None:
    assert lock.marker_of({"marker": marker}) == kept


def test_hashes_are_left_out_of_what_is_resolved_again(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# made\nold==1 --hash=sha256:00\n", encoding="utf-8")
    lock.write(path, {"b==2 ; python_version < '3.12'": ["11", "22"], "a==1": ["33"]})
    assert path.read_text() == (
        "# made\na==1 --hash=sha256:33\nb==2 ; python_version < '3.12' --hash=sha256:11 --hash=sha256:22\n"
    )
    assert lock.without_hashes(path) == "# made\na==1\nb==2 ; python_version < '3.12'\n"
