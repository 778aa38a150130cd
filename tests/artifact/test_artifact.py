# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the tarball, and that the collection is whole without what stands around it.

MLFLOW_AWS_TARBALL: the tarball that ansible-galaxy collection build made.
MLFLOW_AWS_INSTALLED: the folder above ansible_collections, into which install.py installed it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARBALL = Path(os.environ.get("MLFLOW_AWS_TARBALL", ROOT / ".cache/artifact/none.tar.gz"))
INSTALLED = Path(os.environ.get("MLFLOW_AWS_INSTALLED", ROOT / ".cache/artifact/installed"))

# The only ones: pictures that README shows. (Collection requirements: no binaries, 20 MB at most.)
PICTURES = {".png", ".svg"}
MEBIBYTE = 1024 * 1024
# Nothing here is of use to who installs it.
TOP = {
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "LICENSES",
    "MAINTAINERS.md",
    "MANIFEST.json",
    "README.md",
    "REUSE.toml",
    "SECURITY.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "local_aws",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "requirements.yml",
    "roles",
    "test-requirements.txt",
    "tests",
}


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    """The files of the tarball."""
    with tarfile.open(TARBALL) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def test_it_is_small() -> None:
    assert TARBALL.stat().st_size < 20 * MEBIBYTE


def test_it_has_no_binaries(content: dict[str, bytes]) -> None:
    binary = [name for name, data in content.items() if b"\0" in data and Path(name).suffix not in PICTURES]
    assert not binary


def test_it_has_no_links() -> None:
    with tarfile.open(TARBALL) as tar:
        assert not [entry.name for entry in tar if not (entry.isfile() or entry.isdir())]


def test_it_has_what_is_meant_to_be_there_and_nothing_else(content: dict[str, bytes]) -> None:
    there = {name.split("/")[0] for name in content}
    assert there <= TOP
    assert {"LICENSE", "MANIFEST.json", "README.md", "local_aws", "meta", "playbooks", "plugins", "roles"} <= there
    assert not [name for name in content if "__pycache__" in name or name.endswith((".pyc", ".retry", ".tar.gz"))]
    assert not [name for name in content if name.startswith(("tests/output/", "local_aws/tests/"))]


def test_its_manifest_says_what_galaxy_asks_for(content: dict[str, bytes]) -> None:
    info = json.loads(content["MANIFEST.json"])["collection_info"]
    assert (info["namespace"], info["name"]) == ("mlops", "mlflow_aws")
    assert all(info[key] for key in ("version", "authors", "readme", "repository", "description", "tags"))
    assert bool(info["license"]) != bool(info["license_file"])


def test_modules_and_roles_are_found_without_the_rest() -> None:
    folder = INSTALLED / "ansible_collections/mlops/mlflow_aws"
    assert {entry.name for entry in folder.iterdir()} == {"local_aws", "meta", "playbooks", "plugins", "roles"}
    modules = sorted(path.stem for path in (folder / "plugins/modules").glob("*.py"))
    roles = sorted(path.name for path in (folder / "roles").iterdir())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    # amazon.aws is found in Python's own folder, as it is in the package "ansible".
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(INSTALLED)
    for kind, names in (("module", modules), ("role", roles)):
        command = [str(Path(sys.executable).parent / "ansible-doc"), "--type", kind, "--json"]
        full = [f"mlops.mlflow_aws.{name}" for name in names]
        done = subprocess.run(
            [*command, *full], env=environment, cwd=INSTALLED, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert sorted(told) == full
        if kind == "module":
            assert {Path(told[name]["doc"]["filename"]).parents[2] for name in full} == {folder}
