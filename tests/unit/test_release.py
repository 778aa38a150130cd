# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What make release refuses; that it makes one is tested in tests/artifact."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
import release  # noqa: E402

SUMMARY = {"summary.yml": "release_summary: All that there is.\n"}


def tree(
    folder: Path, *, now: str = "1.2.0", known: tuple[str, ...] = ("1.0.0", "1.1.0"), **files: dict[str, str]
) -> Path:
    """A collection with a version, releases, fragments and plugins."""
    (folder / "changelogs/fragments").mkdir(parents=True)
    (folder / "plugins/modules").mkdir(parents=True)
    (folder / "galaxy.yml").write_text(f"version: {now}\n")
    listed = "".join(f"  {version}: {{}}\n" for version in known) or "  {}\n"
    (folder / "changelogs/changelog.yaml").write_text(f"releases:\n{listed}")
    for name, text in files.get("fragments", SUMMARY).items():
        (folder / "changelogs/fragments" / name).write_text(text)
    for name, text in files.get("modules", {}).items():
        (folder / "plugins/modules" / name).write_text(text)
    return folder


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3.4", "01.2.3", "", "1.2.3+build", "latest"])
def test_what_is_no_semantic_version(tmp_path: Path, version: str) -> None:
    [problem] = release.version_problems(version, tree(tmp_path))
    assert "is not a semantic version" in problem


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("1.1.0", "is not greater than 1.1.0"),
        ("1.0.9", "is not greater than 1.1.0"),
        ("1.1.5", "is less than 1.2.0, which galaxy.yml has"),
        ("1.2.0-beta.1", "is less than 1.2.0"),
    ],
)
def test_what_is_not_greater_than_before(tmp_path: Path, version: str, sentence: str) -> None:
    assert sentence in " ".join(release.version_problems(version, tree(tmp_path)))


@pytest.mark.parametrize("version", ["1.2.0", "1.10.0", "2.0.0-rc.1", "10.0.0"])
def test_what_is_greater(tmp_path: Path, version: str) -> None:
    assert release.version_problems(version, tree(tmp_path)) == []


def test_versions_are_ordered_as_semver_says() -> None:
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0",
        "1.0.1",
        "1.10.0",
    ]
    mixed = [*ordered[1::2], *ordered[::2]]
    assert sorted(mixed, key=release.order) == ordered


def test_a_release_has_a_summary(tmp_path: Path) -> None:
    [problem] = release.change_problems("1.2.0", tree(tmp_path, fragments={"x.yml": "bugfixes: [mended]\n"}))
    assert "release_summary" in problem


@pytest.mark.parametrize(
    ("kind", "version", "wanted"),
    [
        ("breaking_changes", "1.2.0", "2.0.0"),
        ("removed_features", "1.2.0", "2.0.0"),
        ("minor_changes", "1.1.1", "1.2.0"),
    ],
)
def test_a_version_says_what_changed(tmp_path: Path, kind: str, version: str, wanted: str) -> None:
    changes = {**SUMMARY, "x.yml": f"{kind}: [something]\n"}
    root = tree(tmp_path, now=version, fragments=changes)
    [problem] = release.change_problems(version, root)
    assert wanted in problem
    assert release.change_problems(wanted, root) == []


def test_nothing_comes_from_a_version_that_never_was(tmp_path: Path) -> None:
    modules = {
        "old.py": "version_added: 1.0.0\n",
        "new.py": "version_added: 1.2.0\n",
        "odd.py": "version_added: '1.1.5'\n",
    }
    [problem] = release.change_problems("1.3.0", tree(tmp_path, modules=modules))
    assert problem == "plugins/modules/odd.py has version_added: 1.1.5, neither a release nor 1.2.0, the next one."


def test_what_is_new_comes_with_the_release(tmp_path: Path) -> None:
    modules = {"old.py": "version_added: 1.0.0\n", "new.py": 'version_added: "1.2.0"\n'}
    root = tree(tmp_path, modules=modules)
    release.date_of_added(root, "2.0.0")
    assert [(root / "plugins/modules" / name).read_text() for name in modules] == [
        "version_added: 1.0.0\n",
        'version_added: "2.0.0"\n',
    ]


def test_uncommitted_changes_and_tags_are_seen(tmp_path: Path) -> None:
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(tmp_path))
    (tmp_path / "a").write_text("1")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "x"), ("tag", "1.0.0")):
        subprocess.run([*git, *command], check=True)
    assert release.git_problems("1.1.0", tmp_path) == []
    (tmp_path / "b").write_text("1")
    assert release.git_problems("1.0.0", tmp_path) == [
        "Not everything is committed: b.",
        "There is a tag 1.0.0 already.",
    ]


def test_the_notes_are_those_of_one_version(tmp_path: Path) -> None:
    sections = [
        f'<a id="v{name.replace(".", "-")}"></a>\n## v{name.replace(".", chr(92) + ".")}\n\n'
        f'<a id="bugfixes"></a>\n### Bugfixes\n\n* What {name} mended\\.\n'
        for name in ("1.10.0", "1.1.0", "1.0.0")
    ]
    (tmp_path / "CHANGELOG.md").write_text("# Release Notes\n\n**Topics**\n\n" + "\n".join(sections))
    notes = release.notes(tmp_path, "1.1.0")
    assert "What 1.1.0 mended" in notes
    assert "1.0.0" not in notes
    assert "1.10.0" not in notes
    assert release.notes(tmp_path, "2.0.0") == ""
