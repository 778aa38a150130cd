# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release, made in a copy of the checkout: all of it, or nothing.

MLFLOW_AWS_TREE: the checkout's files, as make tree has them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TREE = Path(os.environ.get("MLFLOW_AWS_TREE", ROOT))
VERSION = "99.0.0"


def git(checkout: Path, *arguments: str) -> str:
    """Ask git."""
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(
        ["git", *who, *arguments], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout.strip()


def release(checkout: Path, verb: str = "prepare", version: str = VERSION) -> subprocess.CompletedProcess[str]:
    """Run the tool of that checkout."""
    tool, folder = str(checkout / "tests/tools/release.py"), str(checkout.parent / "release")
    command = [sys.executable, tool, verb, version, folder]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with all files committed."""
    folder = tmp_path_factory.mktemp("release") / "checkout"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TREE,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in files.split("\0"):
        if name and (TREE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")
    return folder


def test_what_is_wrong_is_said_and_nothing_changes(checkout: Path) -> None:
    (checkout / "README.md").write_text("changed")
    for version, sentence in ((VERSION, "Not everything is committed: README.md."), ("1.0", "not a semantic version")):
        done = release(checkout, version=version)
        assert done.returncode == 1
        assert "No release was made, and nothing was changed:" in done.stderr
        assert sentence in done.stderr
    git(checkout, "checkout", "--quiet", "README.md")
    assert git(checkout, "status", "--porcelain") == ""


def test_a_commit_that_is_no_release_is_not_taken_for_one(checkout: Path) -> None:
    done = release(checkout, "released")
    assert done.returncode == 1
    assert f"not {VERSION}" in done.stderr
    assert "which no release tells of" in done.stderr


def test_a_failure_in_the_middle_changes_nothing(checkout: Path) -> None:
    fragment = checkout / "changelogs/fragments/wrong.yml"
    fragment.write_text("no_such_section: [something]\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "A fragment that no changelog has a place for")
    done = release(checkout)
    assert done.returncode == 1
    assert "no_such_section" in done.stderr
    assert git(checkout, "status", "--porcelain") == ""
    git(checkout, "rm", "--quiet", str(fragment))
    git(checkout, "commit", "--quiet", "--message", "Without it")


def test_a_release_is_made_and_is_one(checkout: Path) -> None:
    done = release(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"git tag -a {VERSION}" in done.stdout
    assert git(checkout, "tag") == ""
    changed = {line.split()[-1].split("/")[0] for line in git(checkout, "status", "--porcelain").splitlines()}
    assert (
        {"CHANGELOG.md", "changelogs", "galaxy.yml"}
        <= changed
        <= {
            "CHANGELOG.md",
            "changelogs",
            "docs",
            "galaxy.yml",
            "plugins",
            "roles",
        }
    )
    assert not list((checkout / "changelogs/fragments").glob("*.yml"))
    assert yaml.safe_load((checkout / "galaxy.yml").read_text())["version"] == VERSION
    with tarfile.open(checkout.parent / f"release/mlops-mlflow_aws-{VERSION}.tar.gz") as tar:
        modules = [name for name in tar.getnames() if re.fullmatch(r"plugins/modules/\w+\.py", name)]
        for name in modules:
            assert f"version_added: {VERSION}" in tar.extractfile(name).read().decode()  # type: ignore[union-attr]
        assert modules
        assert b"## Release Summary" in tar.extractfile("CHANGELOG.md").read()  # type: ignore[union-attr]
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", f"Release {VERSION}")
    done = release(checkout, "released")
    assert done.returncode == 0, done.stderr
    assert "Release Summary\n\n" in (checkout.parent / "release/notes.md").read_text()
    again = release(checkout)
    assert again.returncode == 1
    assert f"is not greater than {VERSION}" in again.stderr
