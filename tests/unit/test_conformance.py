# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What collections are judged by, as far as files alone can show it; docs/conformance.md lists the rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFORMANCE = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
# https://docs.ansible.com/projects/ansible/devel/dev_guide/developing_collections_structure.html
FOLDERS = [
    "action",
    "become",
    "cache",
    "callback",
    "cliconf",
    "connection",
    "doc_fragments",
    "filter",
    "httpapi",
    "inventory",
    "lookup",
    "module_utils",
    "modules",
    "netconf",
    "plugin_utils",
    "shell",
    "strategy",
    "terminal",
    "test",
    "vars",
]
NAME = re.compile(r"^(?!.*__)[a-z][0-9a-z_]*$")
# galaxy_importer/constants.py
FIXED_TAGS = {
    "application",
    "cloud",
    "database",
    "eda",
    "infrastructure",
    "linux",
    "monitoring",
    "networking",
    "security",
    "storage",
}


def load(path: str) -> Any:
    """A YAML file of the checkout."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def roles() -> list[Path]:
    """The folders of the roles."""
    return sorted(path for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())


def modules() -> list[Path]:
    """The files of the modules."""
    return sorted((ROOT / "plugins/modules").glob("*.py"))


def rules() -> dict[str, list[str]]:
    """The Makefile's targets, each with the targets that it needs or calls."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for name, first, body in re.findall(r"^([a-z-]+):([^=#\n]*)[^\n]*\n((?:\t[^\n]*\n)*)", text, re.M):
        called = " ".join(re.findall(r"\$\((?:MAKE\)|call part,)([^\n]*)", body))
        found[name] = re.findall(r"(?<![\w=/-])[a-z][a-z-]*(?![\w=/])", f"{first} {called}")
    return found


def run_by(target: str) -> set[str]:
    """All targets that a target runs."""
    known, reached, waiting = rules(), set(), [target]
    while waiting:
        name = waiting.pop()
        if name in known and name not in reached:
            reached.add(name)
            waiting += known[name]
    return reached


def shown_by() -> list[str]:
    """The last cell of each row of docs/conformance.md."""
    found = re.findall(r"^\| (?!asked for|---)[^\n]*\| ([^|\n]*) \|$", CONFORMANCE, re.M)
    assert found
    return found


def test_make_test_runs_each_command_that_is_named() -> None:
    there = run_by("test")
    assert {"lint-files", "units", "sanity"} <= there
    for cell in shown_by():
        command = re.fullmatch(r"`(?:make ([a-z-]+)|(tests/unit/test_\w+\.py))`", cell)
        assert command, f"Neither a target nor a unit test: {cell}"
        if command[1]:
            assert command[1] in there, f"make test does not run make {command[1]}"
        else:
            assert (ROOT / command[2]).exists()


def test_plugins_are_where_ansible_finds_them() -> None:
    there = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert there <= set(FOLDERS)


def test_utils_are_private_and_say_so() -> None:
    for kind in ("module_utils", "plugin_utils"):
        for path in (ROOT / "plugins" / kind).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert path.relative_to(ROOT / "plugins" / kind).parts[0].startswith("_"), path
            assert not text or "private" in text.lower(), f"{path} does not say that it is private"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_modules_ask_or_change(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    states = set(re.findall(r"^      - (\w+)$", text.split("EXAMPLES")[0], re.M)) if "state:" in text else set()
    assert not states & {"get", "list", "query", "info"}
    assert NAME.match(path.stem)
    if path.stem.endswith("_info"):
        assert "supports_check_mode=True" in text


def test_names_are_names() -> None:
    for path in (*roles(), *(ROOT / "playbooks").glob("*.yml")):
        assert NAME.match(path.stem), path


def test_each_role_says_what_it_is() -> None:
    for role in roles():
        assert (role / "README.md").read_text(encoding="utf-8").strip()
        meta = yaml.safe_load((role / "meta/main.yml").read_text(encoding="utf-8"))
        assert meta["galaxy_info"]["description"], role


def test_galaxy_yml() -> None:
    galaxy = load("galaxy.yml")
    assert all(NAME.match(galaxy[key]) for key in ("namespace", "name"))
    assert 0 < len(galaxy["tags"]) <= 20
    assert all(re.fullmatch(r"[a-z0-9_]+", tag) for tag in galaxy["tags"])
    assert set(galaxy["tags"]) & FIXED_TAGS
    assert ("license" in galaxy) != ("license_file" in galaxy)
    assert set(galaxy["dependencies"]) == {"amazon.aws"}
    assert all(galaxy[key].startswith("https://") for key in ("repository", "documentation", "homepage", "issues"))


def test_readme_has_its_sections() -> None:
    sections = {title.lower() for title in re.findall(r"^## (.*)$", README, re.M)}
    wanted = ["requirements", "installation", "testing", "communication", "support", "license"]
    assert {*wanted, "use cases", "release notes", "code of conduct"} <= sections
    assert "semantic versioning" in README
    assert "pip install ansible" not in README
    assert re.match(r"# mlops\.mlflow_aws\n\n\w", README), "Its purpose comes first"


def test_readme_has_absolute_urls_alone() -> None:
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    targets = re.findall(r"\]\(([^)\s]+)", prose) + re.findall(r"(?:src|href)=[\"']([^\"']+)", prose)
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []


def test_files_that_people_expect_are_there() -> None:
    for name in ("CONTRIBUTING", "MAINTAINERS", "CODE_OF_CONDUCT", "SECURITY"):
        assert (ROOT / f"{name}.md").read_text(encoding="utf-8").startswith("# ")
    assert len(list((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))) >= 3
    assert (ROOT / ".github/PULL_REQUEST_TEMPLATE.md").exists()


def test_dependencies() -> None:
    for name in ("requirements.txt", "meta/ee-requirements.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        for line in (line for line in lines if line and not line.startswith("#")):
            assert re.fullmatch(r"[A-Za-z][\w.-]*(>=[\d.]+)?", line), f"{name}: {line}"
            assert not line.startswith("ansible")
    assert (ROOT / "test-requirements.txt").exists()
    files = load("meta/execution-environment.yml")["dependencies"]
    assert all((ROOT / "meta" / Path(path).name).exists() for path in files.values() if isinstance(path, str))
    assert load("tests/config.yml")["modules"]["python_requires"] == ">=3.11"


def test_nothing_is_ignored() -> None:
    assert not list((ROOT / "tests").glob("sanity/ignore*"))
    lint = load(".ansible-lint")
    assert lint["profile"] == "production"
    assert not {"skip_list", "warn_list", "exclude_paths"} & set(lint)
    assert not (ROOT / ".ansible-lint-ignore").exists()


def test_workflows_run_what_is_asked_for() -> None:
    checks = load(".github/workflows/checks.yml")
    text = (ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8")
    assert all(word in text for word in ("ansible-test sanity", "ansible-test units", "make check", "make importer"))
    cores = {row["core"] for row in checks["jobs"]["matrix"]["strategy"]["matrix"]["include"]}
    assert cores == {"2.19", "2.20", "2.21", "devel"}
    assert "schedule" in load(".github/workflows/nightly.yml")["on"]
    for name in ("nightly", "release"):
        jobs = load(f".github/workflows/{name}.yml")["jobs"]
        assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert load(".github/workflows/release.yml")["jobs"]["publish"]["needs"] == "checks"
