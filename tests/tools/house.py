# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of this project that no other tool knows.

    house.py lengths     no file of more than 400 lines, no class of more than 300, no function of more than 60
    house.py words       the field's words, in names and in prose, and not this project's former ones
    house.py unused      no function, method or class of the plugins and of the local AWS that nothing uses (vulture)
    house.py variables   no child role and no module_utils names a variable of the role mlflow

Each prints its findings, one a line, and exits with 1 if there are any. None of them has a list of exceptions.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from vulture import Vulture

ROOT = Path(__file__).resolve().parents[2]

LONGEST_FILE, LONGEST_CLASS, LONGEST_FUNCTION = 400, 300, 60

# The role that alone knows the others, and what its variables begin with.
PARENT = "mlflow"


@dataclass(frozen=True)
class Word:
    """What is not to be written.

    :arg pattern: of what is not written.
    :arg instead: what is.
    :arg where: "names": parts of identifiers and of files' names; "classes": whole identifiers; "prose": these, and
        comments, docstrings, messages and documents.
    """

    pattern: str
    instead: str
    where: str = "names"


WORDS = (
    Word("rooms?", "service, handlers", "prose"),
    Word("keepers?", "shim, supervisor", "prose"),
    Word("front|Front|guard|Guard|door|Door", "tls_proxy, task_listener, port", "classes"),
    Word("wire", "protocol"),
    Word("ordinary|fleet", "classic_api, task_set"),
    Word("flying|wedged", "in_flight, ProvisioningError"),
    Word("looks?|bear|bears|borne|disturbed", "polls, tolerate_outage, unreachable"),
    Word("patience|farewell", "WaitOptions, DeleteOptions", "prose"),
    Word("Problem|Outcome|Wanted|Usual|Follower|Wedged|Manners", "UserError, ModuleResult, DesiredState", "classes"),
    Word("who_am_i|is_passing", "caller_identity, is_transient", "classes"),
    Word("story|stories|naps?", "scenario, sleeps", "prose"),
    Word("traps?|readers", "known issue, docs tests"),
    Word("leftovers?", "retained"),
)
_SENTENCES = (
    (r"[Oo]ther than M\(", "Unlike M("),
    ("nobody's business", "what the code does"),
    ("gave him|let him|He is [a-z]+ed|that he may", "they, for a user"),
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# A name of the plugins that is meant as such: after the collection's name, or in a sentence, as code.
_OF_A_MODULE = re.compile(r"\bmlops\.mlflow_aws\.(\w+)|[`\"](\w+)[`\"]")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def tracked(*patterns: str) -> list[Path]:
    """The files of the project, as git has them."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in sorted(filter(None, names.split("\0"))) if (ROOT / name).is_file()]


def shown(path: Path) -> str:
    """A path as findings name it."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text and nothing else: a docstring, documentation, data."""
    value = getattr(node, "value", None)
    return isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign) and (
        isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str))
    )


def _lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def too_long(path: Path) -> Iterator[str]:
    """What is too long in a Python file; a module's texts do not count: documentation blocks, docstring, data."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.count("\n") - sum(_lines(node) for node in tree.body if _is_text(node))
    if lines > LONGEST_FILE:
        yield f"{shown(path)}: {lines} lines without documentation, {LONGEST_FILE} at most: give its parts files"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _lines(node) > LONGEST_CLASS:
            yield f"{shown(path)}:{node.lineno}: class {node.name} has {_lines(node)} lines, {LONGEST_CLASS} at most"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > LONGEST_FUNCTION:
            yield f"{shown(path)}:{node.lineno}: {node.name}() has {_lines(node)} lines, {LONGEST_FUNCTION} at most"


def lengths() -> Iterator[str]:
    """What is too long in all Python files."""
    for path in tracked("*.py"):
        yield from too_long(path)


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that a file gives: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def _unwanted(name: str, words: tuple[Word, ...]) -> Iterator[Word]:
    parts = [part.lower() for part in _PART.findall(name)]
    for word in words:
        if re.fullmatch(word.pattern, name.strip("_")) or (
            word.where != "classes" and any(re.fullmatch(word.pattern, part) for part in parts)
        ):
            yield word


def options() -> set[str]:
    """The options of the modules: public names, which stay whatever they are."""
    found: set[str] = set()
    for path in (ROOT / "plugins/modules").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
                found |= set(yaml.safe_load(ast.literal_eval(node.value)).get("options") or {})
    return found


@cache
def _options_as_code() -> re.Pattern[str]:
    """Where an option is named as such: in quotes, backticks or markup, as a key, as an argument."""
    names = "|".join(sorted(options()))
    return re.compile(rf"""[`"'(](?:{names})[`"')]|^\s*(?:{names}):|\b(?:{names})=""")


def wrong_words(path: Path, words: tuple[Word, ...] = WORDS) -> Iterator[str]:
    """The words in a file, and in its name, for which the field has others; an option named as one is no such word."""
    for part in Path(shown(path)).parts:
        for word in _unwanted(Path(part).stem, words):
            yield f"{shown(path)}: the name {part}: write {word.instead}"
    text = path.read_text(encoding="utf-8")
    names = _names(ast.parse(text)) if path.suffix == ".py" else ()
    for line, name in dict.fromkeys(names):
        for word in _unwanted(name, words):
            yield f"{shown(path)}:{line}: the name {name}: write {word.instead}"
    spoken = [(re.compile(rf"\b(?:{word.pattern})\b", re.I), word.instead) for word in words if word.where == "prose"]
    spoken += [(re.compile(rf"\b(?:{found})"), better) for found, better in _SENTENCES]
    for number, row in enumerate(text.splitlines(), 1):
        said = _options_as_code().sub("", row)
        for pattern, better in spoken:
            if found := pattern.search(said):
                yield f"{shown(path)}:{number}: {found[0]}: write {better}"


def words() -> Iterator[str]:
    """The words in all files that people read; changelogs say what once was, and this file has the list."""
    for path in tracked("*.py", "*.yml", "*.yaml", "*.md", "*.j2", "Makefile"):
        if path != Path(__file__).resolve() and path.relative_to(ROOT).parts[0] != "changelogs":
            yield from wrong_words(path)


def variables_of_the_parent() -> set[str]:
    """The variables of the role mlflow."""
    role = ROOT / "roles" / PARENT
    specifications = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    known: set[str] = set()
    for entry in specifications.values():
        known |= set(entry.get("options") or {})
    for facts in yaml.safe_load((role / "meta/facts.yml").read_text(encoding="utf-8")).values():
        known |= set(facts)
    return {name for name in known if name.startswith(f"{PARENT}_")}


def modules() -> set[str]:
    """The names of the modules."""
    return {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}


def foreign_variables(path: Path, known: set[str]) -> Iterator[str]:
    """The variables of the role mlflow that a file names; a module may have the same name as one of them."""
    own = modules()
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        rest = _OF_A_MODULE.sub(lambda found: "" if (found[1] or found[2]) in own else found[0], row)
        for name in dict.fromkeys(_IDENTIFIER.findall(rest)):
            if name in known:
                yield f"{shown(path)}:{number}: {name}, a variable of the role {PARENT}: take an input of its own"


def variables() -> Iterator[str]:
    """Where a child role or module_utils know the role mlflow. A role's page may show how both are used together."""
    known = variables_of_the_parent()
    for path in tracked("roles", "plugins/module_utils"):
        parts = path.relative_to(ROOT).parts
        if parts[1] != PARENT and path.suffix in (".py", ".yml", ".j2"):
            yield from foreign_variables(path, known)


def unused() -> Iterator[str]:
    """What neither the project, its tests nor amazon.aws, whose hooks are overridden here, uses of the two products."""
    paths = [str(path) for path in tracked("*.py")]
    installed = Path(sysconfig.get_path("purelib")) / "ansible_collections/amazon/aws/plugins/module_utils"
    finder = Vulture()
    finder.scavenge([*paths, str(installed)])
    for item in finder.get_unused_code(min_confidence=60):
        found = Path(item.filename).resolve()
        product = found.is_relative_to(ROOT / "plugins") or found.is_relative_to(ROOT / "local_aws/local_aws")
        if product and item.typ in ("function", "method", "class", "property", "import", "unreachable_code"):
            yield f"{shown(found)}:{item.first_lineno}: {item.typ} {item.name} is not used"


CHECKS = {"lengths": lengths, "words": words, "unused": unused, "variables": variables}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in CHECKS:
        print(__doc__, file=sys.stderr)
        return 2
    findings = list(CHECKS[arguments[0]]())
    for finding in findings:
        print(finding)
    if findings:
        print(f"{arguments[0]}: {len(findings)} findings", file=sys.stderr)
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
