# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release, as far as that goes without a network; or prove that a commit is one.

release.py prepare VERSION FOLDER
    Checks everything, makes the release in a copy below FOLDER, builds its tarball there, and only then changes the
    checkout: version, changelog, version_added of what is new. Whatever is wrong is said before anything is changed.

release.py released VERSION FOLDER
    Whether galaxy.yml and the changelog are those of VERSION; its notes go into FOLDER/notes.md. For a tag's commit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# https://semver.org, without build metadata: Galaxy takes no two versions that differ in nothing else.
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")
ADDED = re.compile(r"(version_added: *[\"']?)([0-9][\w.-]*)")
# What speaks of the collection's own versions.
ADDED_IN = ("plugins/**/*.py", "roles/*/meta/argument_specs.yml")


def order(version: str) -> tuple[Any, ...]:
    """What versions are compared by: a pre-release comes before its release, numbers before words."""
    found = SEMVER.fullmatch(version)
    assert found, version
    parts = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in (found[4] or "").split(".")]
    return (*map(int, found.groups()[:3]), found[4] is None, parts)


def releases(root: Path) -> list[str]:
    """The versions in the changelog, oldest first."""
    changelog = yaml.safe_load((root / "changelogs/changelog.yaml").read_text(encoding="utf-8"))
    return sorted(changelog["releases"] or {}, key=order)


def described(root: Path) -> str:
    """The version in galaxy.yml."""
    return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def fragments(root: Path) -> dict[str, dict[str, Any]]:
    """The changes since the last release."""
    folder = root / "changelogs/fragments"
    return {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) or {} for path in sorted(folder.glob("*.y*ml"))}


def added(root: Path) -> dict[Path, list[str]]:
    """The versions in which options, modules and so on say that they came."""
    paths = [path for pattern in ADDED_IN for path in sorted(root.glob(pattern))]
    return {path: [found[2] for found in ADDED.finditer(path.read_text(encoding="utf-8"))] for path in paths}


def version_problems(version: str, root: Path) -> list[str]:
    """What is wrong with the version."""
    if not SEMVER.fullmatch(version):
        return [f"VERSION={version!r} is not a semantic version: three numbers such as 1.2.3 (https://semver.org)."]
    known, now = releases(root), described(root)
    problems = []
    if known and order(version) <= order(known[-1]):
        problems.append(f"VERSION={version} is not greater than {known[-1]}, the last release in the changelog.")
    if order(version) < order(now):
        problems.append(f"VERSION={version} is less than {now}, which galaxy.yml has.")
    return problems


def change_problems(version: str, root: Path) -> list[str]:
    """What is wrong with the changes since the last release, for a version that is well formed."""
    changes, known, now = fragments(root), releases(root), described(root)
    problems = []
    if not any("release_summary" in change for change in changes.values()):
        problems.append(
            "No fragment has a release_summary: add one to changelogs/fragments, a sentence for who has two minutes."
        )
    kinds = {kind for change in changes.values() for kind in change}
    last = order(known[-1]) if known else None
    if last and last[0] > 0 and order(version)[0] == last[0]:
        if kinds & {"breaking_changes", "removed_features"}:
            problems.append(f"Something breaks or goes: that is the major version {last[0] + 1}.0.0, not {version}.")
        elif kinds & {"minor_changes", "deprecated_features"} and order(version)[1] == last[1]:
            problems.append(
                f"Something is new or deprecated: at least {last[0]}.{last[1] + 1}.0 is due, not {version}."
            )
    for path, versions in added(root).items():
        for strange in sorted(set(versions) - {*known, now, version}):
            problems.append(
                f"{path.relative_to(root)} has version_added: {strange}, neither a release nor {now}, the next one."
            )
    return problems


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command; leave with what it says if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(str(word) for word in command)}:\n{done.stdout}")
    return done.stdout


def git_problems(version: str, root: Path) -> list[str]:
    """What is wrong with the checkout."""
    problems = []
    if changed := run("git", "status", "--porcelain", cwd=root).splitlines():
        problems.append(f"Not everything is committed: {', '.join(line[3:] for line in changed[:5])}.")
    if run("git", "tag", "--list", version, cwd=root).strip():
        problems.append(f"There is a tag {version} already.")
    return problems


def copy(folder: Path) -> tuple[Path, dict[str, str]]:
    """A clone of the checkout where Ansible looks for collections, and the environment in which it does."""
    shutil.rmtree(folder, ignore_errors=True)
    collections = folder / "ansible_collections"
    clone = collections / "mlops/mlflow_aws"
    clone.parent.mkdir(parents=True)
    run("git", "clone", "--quiet", "--shared", ROOT, clone, cwd=ROOT)
    [amazon_aws] = BIN.parent.glob("lib/python*/site-packages/ansible_collections/amazon")
    (collections / "amazon").symlink_to(amazon_aws)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    # antsibull-changelog looks for ansible-doc on the path.
    path = f"{BIN}:{os.environ['PATH']}"
    return clone, {
        **kept,
        "PATH": path,
        "ANSIBLE_COLLECTIONS_PATH": str(folder),
        "ANSIBLE_HOME": str(folder / "ansible"),
    }


def date_of_added(clone: Path, version: str) -> None:
    """What says that it came with a version that never was comes with this one."""
    known = releases(clone)
    for path in added(clone):
        text = path.read_text(encoding="utf-8")
        path.write_text(ADDED.sub(lambda found: found[1] + (found[2] if found[2] in known else version), text))


def notes(root: Path, version: str) -> str:
    """What CHANGELOG.md says of a version."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    # antsibull-changelog writes an anchor before each heading, and a backslash before each point.
    heading = re.escape(version).replace(r"\.", r"\\?\.")
    found = re.search(rf"^## v{heading}\n(.*?)(?=^<a id=\"v\d[\w-]*\"></a>\n## |\Z)", text, re.M | re.S)
    return found[1].strip() + "\n" if found else ""


def prepare(version: str, folder: Path) -> None:
    """Make a release."""
    problems = version_problems(version, ROOT)
    problems = problems or [*git_problems(version, ROOT), *change_problems(version, ROOT)]
    if problems:
        sys.exit("No release was made, and nothing was changed:\n- " + "\n- ".join(problems))
    clone, environment = copy(folder)
    manifest = clone / "galaxy.yml"
    manifest.write_text(re.sub(r"(?m)^version: .*$", f"version: {version}", manifest.read_text(encoding="utf-8")))
    date_of_added(clone, version)
    run(BIN / "antsibull-changelog", "lint", cwd=clone, env=environment)
    run(BIN / "antsibull-changelog", "release", "--version", version, cwd=clone, env=environment)
    run(sys.executable, "tests/tools/module_pages.py", cwd=clone, env=environment)
    if not notes(clone, version):
        sys.exit(f"antsibull-changelog wrote nothing about {version} into CHANGELOG.md. Nothing was changed here.")
    galaxy = BIN / "ansible-galaxy"
    run(galaxy, "collection", "build", clone, "--output-path", folder, "--force", cwd=folder, env=environment)
    run("git", "add", "--all", cwd=clone)
    patch = folder / "release.patch"
    patch.write_text(run("git", "diff", "--cached", "--binary", "HEAD", cwd=clone))
    (folder / "notes.md").write_text(notes(clone, version))
    # All of it or none: git apply changes nothing if a single hunk does not fit.
    run("git", "apply", patch, cwd=ROOT)
    tarball = folder / f"mlops-mlflow_aws-{version}.tar.gz"
    print(f"""The release {version} is made; nothing is published.

Changed here: galaxy.yml, CHANGELOG.md, changelogs/ and version_added of what is new (git diff).
Built from that: {tarball}

What remains:
  git diff                                          # read it
  make test                                         # on just what is released
  git add --all && git commit -m 'Release {version}'
  git tag -a {version} -m 'Release {version}'
  git push origin main {version}                    # .github/workflows/release.yml builds from the tag and publishes
Without that workflow:
  make released importer checksum VERSION={version} # on the tag's commit; SHA256SUMS belongs on the release's page
  ansible-galaxy collection publish .cache/artifact/{tarball.name}
Then raise the version in galaxy.yml to the next one.
To take it back before the commit: git restore --staged --worktree . && git clean -f CHANGELOG.md""")


def released(version: str, folder: Path) -> None:
    """Prove that the checkout is a release."""
    problems = []
    if not SEMVER.fullmatch(version):
        problems.append(f"VERSION={version!r} is not a semantic version.")
    if described(ROOT) != version:
        problems.append(f"galaxy.yml has version {described(ROOT)}, not {version}.")
    if version not in releases(ROOT):
        problems.append(f"changelogs/changelog.yaml knows no release {version}: make release VERSION={version}.")
    if left := list(fragments(ROOT)):
        problems.append(f"changelogs/fragments still has {', '.join(left)}, which no release tells of.")
    if problems:
        sys.exit("This is not that release:\n- " + "\n- ".join(problems))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "notes.md").write_text(notes(ROOT, version))
    print(f"This is {version}; its notes are in {folder / 'notes.md'}.")


def main() -> None:
    verb, version, folder = sys.argv[1:]
    {"prepare": prepare, "released": released}[verb](version, Path(folder).resolve())


if __name__ == "__main__":
    main()
