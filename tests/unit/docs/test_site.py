# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site and README promise to list is listed, and the guides' links are the site's."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "tests" / "site"))

import build  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
INDEX = (DOCS / "README.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_index_once() -> None:
    pages = {path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    guides = {path.as_posix() for path in pages if path.parts[0] not in build.ELSEWHERE} - {"README.md"}
    listed = re.findall(r"^- \[[^]]+\]\(([^):]+\.md)\)", INDEX, flags=re.M)
    assert sorted(listed) == sorted({*guides, "modules/README.md"})


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Roles", {path.parents[1].name for path in (ROOT / "roles").glob("*/meta/main.yml")}),
        ("Modules", {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}),
        ("Playbooks", {path.stem for path in (ROOT / "playbooks").glob("*.yml")}),
    ],
)
def test_readme_lists_all(heading: str, names: set[str]) -> None:
    rows = README.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    first = " ".join(row.split("|")[1] for row in rows if row.startswith("|"))
    assert set(re.findall(r"[a-z]\w+", re.sub(r"\([^)]*\)", "", first))) - {"role", "module", "playbook"} == names


@pytest.mark.parametrize(
    ("page", "target", "anchor", "wanted"),
    [
        ("login.md", "modules/mlflow_user.md", "", "reference/mlflow_user_module.rst"),
        ("guides/validate.md", "../modules/mlflow_health.md", "", "../reference/mlflow_health_module.rst"),
        ("login.md", "modules/arn_problem.md", "", "reference/arn_problem_filter.rst"),
        ("README.md", "modules/README.md", "", "reference/index.rst"),
        ("guides/rehearse.md", "../../roles/local_aws/README.md", "", "../reference/local_aws_role.rst"),
        ("guides/rehearse.md", "../local-aws.md", "#faults-to-order", "../local-aws.md#faults-to-order"),
        ("README.md", "../README.md", "", f"{build.REPOSITORY}/README.md"),
        ("login.md", "https://example.com/a", "#b", "https://example.com/a#b"),
    ],
)
def test_links_of_the_site(page: str, target: str, anchor: str, wanted: str) -> None:
    assert build.site_link(DOCS / page, target, anchor) == wanted


def test_sections_of_the_index_are_tables_of_contents() -> None:
    text = "# A\n\n## B\n\n- [C](c.md): d\n- [E](https://example.com)\n\n## F\n\nNo list.\n"
    assert build.toctrees(text) == f"{text}\n```{{toctree}}\n:hidden:\n:caption: B\n\nC <c.md>\n```\n"
