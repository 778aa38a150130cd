# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writable layer of a container: what is installed there is used there, and the runtime stays as it was."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.services.ecs_tasks import layer


def wheel(folder: Path, version: str) -> Path:
    """A package "greeting" with a program of that name, both of which say their version."""
    path = folder / f"greeting-{version}-py3-none-any.whl"
    info = f"greeting-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeting.py", f"def main():\n    print('greeting {version}')\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: greeting\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngreeting = greeting:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def run(*command: str | Path) -> str:
    """The output of a program."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A runtime that holds version 1; it is the same afterwards, whatever was done in layers."""
    folder = tmp_path_factory.mktemp("runtime") / "image"
    venv.create(folder, symlinks=True)
    first = layer.make(folder, folder.with_name("first"), {})
    run(first / "pip", "install", "--quiet", "--no-index", "--prefix", folder, wheel(folder.parent, "1.0"))
    program = folder / "bin" / "greeting"
    program.write_text(program.read_text().replace(str(first), str(folder / "bin")))
    before = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    yield folder
    assert sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts) == before
    assert run(program) == "greeting 1.0\n"


def test_a_container_has_what_its_image_has(runtime: Path, tmp_path: Path) -> None:
    programs = layer.make(runtime, tmp_path / "layer", {})
    assert run(programs / "greeting") == "greeting 1.0\n"
    assert run(programs / "python", "-c", "import greeting; greeting.main()") == "greeting 1.0\n"
    assert "greeting" in run(programs / "pip", "list")


def test_what_a_container_installs_is_its_own(runtime: Path, tmp_path: Path) -> None:
    changed = layer.make(runtime, tmp_path / "changed", {})
    other = layer.make(runtime, tmp_path / "other", {})
    run(changed / "pip", "install", "--quiet", "--no-index", wheel(tmp_path, "2.0"))
    assert run(changed / "greeting") == "greeting 2.0\n"
    assert run(other / "greeting") == "greeting 1.0\n"


def test_pip_leaves_alone_what_the_image_has(runtime: Path, tmp_path: Path) -> None:
    programs = layer.make(runtime, tmp_path / "layer", {})
    wheel(tmp_path, "2.0")
    said = run(programs / "pip", "install", "--no-index", "--find-links", tmp_path, "greeting==1.0")
    assert "Requirement already satisfied" in said


def test_pip_reaches_the_index_as_the_user_does_and_the_container_does_not(runtime: Path, tmp_path: Path) -> None:
    settings = {"PIP_INDEX_URL": "https://index.example/simple", "PIP_TARGET": "/elsewhere", "AWS_REGION": "x"}
    programs = layer.make(runtime, tmp_path / "layer", settings)
    assert "index.example" in run(programs / "pip", "config", "list")
    assert "/elsewhere" not in (programs / "pip").read_text()
    environment = run(programs / "python", "-c", "import os; print(os.environ)")
    assert "index.example" not in environment


def test_a_layer_is_a_virtual_environment_of_the_same_python(runtime: Path, tmp_path: Path) -> None:
    programs = layer.make(runtime, tmp_path / "layer", {})
    prefix, version = run(programs / "python", "-c", "import sys; print(sys.prefix); print(sys.version)").split("\n", 1)
    assert Path(prefix) == tmp_path / "layer"
    assert version.strip() == sys.version


@pytest.mark.parametrize("name", ["a b", "it's x%2Fy", "long/Müller/" * 15])
def test_programs_run_in_a_folder_that_fits_into_no_first_line(runtime: Path, tmp_path: Path, name: str) -> None:
    programs = layer.make(runtime, tmp_path / name / "layer", {})
    assert run(programs / "greeting") == "greeting 1.0\n"
    assert run(programs / "pip", "--version").startswith("pip ")


def test_programs_run_that_were_installed_by_another_name_of_the_folder(runtime: Path, tmp_path: Path) -> None:
    # As uv and pip do it where the name is long: the second daemon knows the same cache by another name.
    program = runtime / "bin" / "greeting"
    before = program.read_bytes()
    for head in ("#!/gone/bin/python3\n", "#!/bin/sh\n'''exec' '/go ne/bin/python' \"$0\" \"$@\"\n' '''\n"):
        program.write_bytes(head.encode() + before.partition(b"\n")[2])
        try:
            programs = layer.make(runtime, tmp_path / str(len(head)), {})
        finally:
            program.write_bytes(before)
        assert run(programs / "greeting") == "greeting 1.0\n"
