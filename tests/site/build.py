# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site: the guides of docs/ (Markdown) and what antsibull-docs says of modules, filters and roles.

build.py FOLDER writes FOLDER/html. Whatever Sphinx warns of is an error. Nothing is fetched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
COLLECTION = "mlops.mlflow_aws"
REPOSITORY = "https://github.com/mlops-mlflow-aws/mlops.mlflow_aws/blob/main"
# docs/modules is for readers of the repository; the site has antsibull-docs' pages instead.
ELSEWHERE = {"modules", "docsite"}
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def reference(folder: Path) -> None:
    """The pages of modules, filters and roles."""
    # antsibull-docs wants a folder that others cannot write to.
    folder.mkdir(parents=True, mode=0o755)
    command = [BIN / "antsibull-docs", "--config-file", HERE / "antsibull-docs.cfg", "collection", "--use-current"]
    command += ["--squash-hierarchy", "--fail-on-error", "--dest-dir", folder, COLLECTION]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def site_link(page: Path, target: str, anchor: str) -> str:
    """Where a relative link of a guide leads on the site."""
    if re.match(r"[a-z]+:", target):
        return target + anchor
    up = "../" * (len(page.relative_to(DOCS).parts) - 1)
    there = (page.parent / target).resolve()
    path = there.relative_to(ROOT).as_posix()
    if path in {"docs/modules", "docs/modules/README.md"}:
        return f"{up}reference/index.rst"
    if found := re.fullmatch(r"docs/modules/(\w+)\.md", path):
        kind = "filter" if (ROOT / "plugins" / "filter" / f"{found[1]}.py").exists() else "module"
        return f"{up}reference/{found[1]}_{kind}.rst"
    if found := re.fullmatch(r"roles/(\w+)(/README\.md)?", path):
        return f"{up}reference/{found[1]}_role.rst"
    if there.is_relative_to(DOCS):
        return target + anchor
    return f"{REPOSITORY}/{path}{anchor}"


def guide(page: Path) -> str:
    """A guide's text with the links that the site needs."""
    text = page.read_text(encoding="utf-8")
    return LINK.sub(lambda found: site_link(page, found[1], found[2] or ""), text)


def toctrees(text: str) -> str:
    """Make a table of contents of each section of the index that lists pages, with the names that they have there."""
    hidden = []
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        pages = re.findall(r"^- \[([^]]+)\]\(([^):]+\.(?:md|rst))\)", section, flags=re.M)
        if any(page == "reference/index.rst" for _name, page in pages):
            pages.append(("Environment variables", "reference/environment_variables.rst"))
        if pages:
            entries = [f"{name} <{page}>" for name, page in pages]
            lines = [":hidden:", f":caption: {section.splitlines()[0]}", "", *entries]
            hidden.append("\n".join(["```{toctree}", *lines, "```"]))
    return "\n\n".join([text.rstrip(), *hidden]) + "\n"


def main() -> int:
    """Return the exit code."""
    folder = Path(sys.argv[1]).resolve()
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(folder / "html", ignore_errors=True)
    reference(source / "reference")
    for path in sorted(DOCS.rglob("*")):
        relative = path.relative_to(DOCS)
        if path.is_dir() or relative.parts[0] in ELSEWHERE:
            continue
        there = source / ("index.md" if relative.name == "README.md" else relative)
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md":
            shutil.copyfile(path, there)
        else:
            text = guide(path)
            there.write_text(toctrees(text) if there.name == "index.md" else text, encoding="utf-8")
    command = [BIN / "sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "-c", HERE, "-d", folder / "doctrees"]
    return subprocess.run([*command, source, folder / "html"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
