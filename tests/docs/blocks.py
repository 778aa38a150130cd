# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of code in the documentation.

A block that a reader would type or copy is run by the tests here, unless a comment right before it says otherwise:

    <!-- needs AWS: why -->                  only what can be known without running it is checked
    <!-- needs the internet: why -->         likewise
    <!-- run by: make target, what of it --> a target of `make test` or `make nightly` runs it already
    <!-- from here on run by: make … -->     the same for all blocks, down to the next heading of that level
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
SHELL = {"shell", "sh", "bash"}
DATA = {"yaml", "yml", "json"}
# Not to be copied and run, or checked by other tests here.
OTHER = {"console", "text", "python", "dockerfile", "ini", "toml", "mermaid", "html"}
PLAYS = {"hosts", "import_playbook", "ansible.builtin.import_playbook"}
MARK = re.compile(r"<!-- (from here on )?(needs AWS|needs the internet|run by): (.+?) -->", re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: relative to the repository.
        line: of its fence, from 1.
        language: after the fence.
        text: what is in it.
        mark: ``needs AWS``, ``needs the internet``, ``run by``, or empty.
        why: what the mark says.
        name: of the file that it is, if the paragraph before it names one.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str = ""
    why: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def document(self) -> Any:
        """What a block of data holds."""
        return json.loads(self.text) if self.language == "json" else yaml.safe_load(self.text)

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, each with its continuations; of a console block those after the prompt."""
        text = self.text
        if self.language == "console":
            text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
        lines = re.sub(r"\\\n\s*", "", text).splitlines()
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def pages() -> list[Path]:
    """Whatever a reader reads."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [*found, *sorted((ROOT / "roles").glob("*/README.md")), ROOT / "local_aws" / "README.md"]


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """The blocks of a page."""
    scope: tuple[int, str, str] | None = None
    mark, why, name, level = "", "", "", 0
    for token in _tokens(text):
        if token.type == "heading_open":
            level = int(token.tag[1])
            if scope and level <= scope[0]:
                scope = None
        elif token.type == "html_block":
            for onwards, kind, text_of_it in MARK.findall(token.content):
                reason = " ".join(text_of_it.split())
                if onwards:
                    scope = (level, kind, reason)
                else:
                    mark, why = kind, reason
            continue
        elif token.type == "inline":
            named = re.findall(r"`([\w./-]+\.(?:ya?ml|json|ini|txt|py))`", token.content)
            name = named[-1] if named else ""
        elif token.type == "fence":
            effective = (mark, why) if mark else (scope[1], scope[2]) if scope else ("", "")
            language = (token.info.split() or [""])[0]
            yield Block(page, (token.map or [0])[0] + 1, language, token.content, *effective, name)
        if token.type not in {"paragraph_open", "paragraph_close", "list_item_open", "bullet_list_open"}:
            mark, why = "", ""


def _tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").parse(text)


@cache
def all_blocks() -> tuple[Block, ...]:
    """Those of all pages."""
    return tuple(
        block for page in pages() for block in blocks_of(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
    )


def shell_blocks() -> list[Block]:
    """What is typed."""
    return [block for block in all_blocks() if block.language in SHELL | {"console"}]


def data_blocks() -> list[Block]:
    """What is copied into a file."""
    return [block for block in all_blocks() if block.language in DATA]


def kind(document: Any) -> str:
    """What a document is: playbook, tasks, inventory, variables, policy, or one of the files of some tool."""
    if isinstance(document, list):
        is_play = all(isinstance(one, dict) and (PLAYS & set(one)) for one in document)
        tasks = all(isinstance(one, dict) and any("." in str(key) or key == "block" for key in one) for one in document)
        return "playbook" if is_play else "tasks" if tasks else ""
    if not isinstance(document, dict) or not document:
        return ""
    names = set(document)
    known = {
        "policy": {"Version", "Statement"},
        "execution environment": {"version", "dependencies"},
        "workflow": {"jobs"},
        "navigator": {"ansible-navigator"},
        "collections": {"collections"},
    }
    for what, wanted in known.items():
        if wanted <= names:
            return what
    if all(isinstance(one, dict) and {"hosts", "children", "vars"} & set(one) for one in document.values()):
        return "inventory"
    variables = all(re.fullmatch(r"[a-z_]+", str(name)) for name in names)
    return "variables" if variables else ""
