# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jinja says what, Python says how: expressions of roles and playbooks are short.

Anything longer is a filter plugin with unit tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment
from jinja2 import nodes

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(
    path
    for pattern in ("roles/*/*/*.yml", "roles/*/templates/*", "playbooks/*.yml", "playbooks/templates/**/*")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.parent.name != "files"
)
MOST_CHARACTERS = 160
MOST_FILTERS = 3
# Their values are expressions without braces.
BARE = {"when", "that", "until", "changed_when", "failed_when", "break_when"}


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text in a YAML document, with the key above it."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from texts(one, str(name))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one, key)
    elif isinstance(value, str):
        yield key, value


def expressions(text: str) -> Iterator[str]:
    """Yield the expressions of a template, each in one line."""
    begun: list[str] | None = None
    for _line, kind, token in Environment().lex(text):
        if kind in ("variable_begin", "block_begin"):
            begun = []
        elif kind in ("variable_end", "block_end"):
            yield " ".join("".join(begun or []).split())
            begun = None
        elif begun is not None:
            begun.append(token)


def filters(expression: str) -> int:
    """Return how many filters an expression chains or nests."""
    tree = Environment().parse(f"{{{{ {expression} }}}}")
    return len(list(tree.find_all(nodes.Filter)))


def problems(text: str, key: str = "") -> Iterator[str]:
    """Yield what is wrong with the expressions of a text."""
    bare = key in BARE
    for expression in [" ".join(text.split())] if bare else expressions(text):
        if len(expression) > MOST_CHARACTERS:
            yield f"{len(expression)} characters: {expression}"
        # What begins a block, such as an if or a for, is no expression by itself.
        word = expression.partition(" ")[0]
        code = expression.partition(" ")[2] if word in ("if", "elif") else expression
        if word in ("for", "set"):
            code = expression.partition(" in " if word == "for" else "=")[2]
        if word in ("else", "endif", "endfor", "endset"):
            continue
        if (found := filters(code)) > MOST_FILTERS:
            yield f"{found} filters: {expression}"


def read(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts of a file that may hold expressions."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".yml", ".yaml"):
        yield from texts(yaml.safe_load(text))
    else:
        yield "", text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_expressions_are_short(path: Path) -> None:
    assert [problem for key, text in read(path) for problem in problems(text, key)] == []


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("{{ a | b | c | d }}", "", ""),
        ("{{ a | b | c | d | e }}", "", "4 filters"),
        ("{{ (a | b) + (c | d) + (e | f(g | h)) }}", "", "4 filters"),
        ("a | b | c | d | e", "when", "4 filters"),
        ("a | b | c | d | e", "name", ""),
        ("{% for a in b | c | d | e | f %}{{ a }}{% endfor %}", "", "4 filters"),
        (f"{{{{ '{'x' * 160}' }}}}", "", "162 characters"),
    ],
)
def test_long_ones_are_found(text: str, key: str, said: str) -> None:
    found = list(problems(text, key))
    assert len(found) == bool(said)
    assert all(problem.startswith(said) for problem in found)
