# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/modules/ from what ansible-doc says of the modules and filters; with --check, only compare."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "modules"
COLLECTION = "mlops.mlflow_aws"
KINDS = {"module": "modules", "filter": "filter"}
Doc = dict[str, Any]

_MARKS = (
    (re.compile(r"\b[OCVE]\(((?:[^)\\]|\\.)*)\)"), r"`\1`"),
    (re.compile(r"\bRV\(((?:[^)\\]|\\.)*)\)"), r"`\1`"),
    (re.compile(r"\bB\(([^)]*)\)"), r"**\1**"),
    (re.compile(r"\bI\(([^)]*)\)"), r"*\1*"),
    (re.compile(r"\bL\(([^,)]*),\s*([^)]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^)]*)\)"), r"<\1>"),
    (re.compile(rf"\bM\({re.escape(COLLECTION)}\.([^)]*)\)"), r"[\1](\1.md)"),
    (re.compile(r"\bM\(([^)]*)\)"), r"`\1`"),
    (re.compile(r"\bP\(([^)#]*)#[^)]*\)"), r"`\1`"),
)


def markdown(text: Any) -> str:
    """Turn Ansible's markup (https://docs.ansible.com/ansible/latest/dev_guide/ansible_markup.html) into Markdown."""
    whole = " ".join(text) if isinstance(text, list) else str(text or "")
    for pattern, replacement in _MARKS:
        whole = pattern.sub(replacement, whole)
    return " ".join(whole.split())


def cell(text: str) -> str:
    """Text within a table."""
    return text.replace("|", "\\|")


def as_yaml(value: Any) -> str:
    """A value as it would be written."""
    shown = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return "`" + shown.removesuffix("...\n").strip() + "`"


def rows(options: Doc, sub: str, base: str = "") -> Iterator[tuple[str, Doc]]:
    """Options or return values with those below them, named by their path."""
    for name in options if sub == "contains" else sorted(options):
        path = f"{base}{name}"
        yield path, options[name]
        yield from rows(options[name].get(sub) or {}, sub, f"{path}.")


def option_table(options: Doc) -> str:
    """The parameters."""
    lines = ["| parameter | type | default | meaning |", "|---|---|---|---|"]
    for path, option in rows(options, "suboptions"):
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        default = "**required**" if option.get("required") else ""
        if option.get("default") is not None:
            default = as_yaml(option["default"])
        text = markdown(option.get("description"))
        if option.get("choices"):
            text += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
        if option.get("aliases"):
            text += f" Alias: {', '.join(f'`{alias}`' for alias in option['aliases'])}."
        lines.append(f"| `{path}` | {kind} | {cell(default)} | {cell(text)} |")
    return "\n".join(lines)


def return_table(values: Doc) -> str:
    """The return values."""
    lines = ["| key | type | returned | meaning |", "|---|---|---|---|"]
    for path, value in rows(values, "contains"):
        kind = value.get("type", "") + (f" of {value['elements']}" if value.get("elements") else "")
        text = markdown(value.get("description"))
        if value.get("sample") is not None:
            text += f" Example: {as_yaml(value['sample'])}"
        lines.append(f"| `{path}` | {kind} | {cell(markdown(value.get('returned')))} | {cell(text)} |")
    return "\n".join(lines)


def attribute_table(attributes: Doc) -> str:
    """What of Ansible's modes is supported."""
    lines = ["| attribute | support | meaning |", "|---|---|---|"]
    for name, attribute in sorted(attributes.items()):
        text = f"{markdown(attribute.get('description'))} {markdown(attribute.get('details'))}".strip()
        support = attribute.get("support") or attribute.get("membership") or ""
        lines.append(f"| `{name}` | {cell(markdown(support))} | {cell(text)} |")
    return "\n".join(lines)


def neighbour(item: Doc) -> str:
    """One entry of seealso."""
    if "link" in item:
        what = f"[{item['name']}]({item['link']})"
    else:
        what = markdown(f"M({item['module']})") if "module" in item else f"`{item['plugin']}`"
    return f"{what}: {markdown(item['description'])}" if item.get("description") else what


def page(name: str, kind: str, entry: Doc) -> str:
    """One page."""
    doc = entry["doc"]
    parts = [f"# {COLLECTION}.{name} ({kind})", markdown(doc["short_description"]) + "."]
    description = doc["description"] if isinstance(doc["description"], list) else [doc["description"]]
    parts.append("\n".join(f"- {markdown(item)}" for item in description))
    needs = doc.get("requirements") or []
    if needs:
        parts.append("Needs " + ", ".join(markdown(item) for item in needs) + ".")
    if doc.get("options"):
        parts += ["## Parameters", option_table(doc["options"])]
    if doc.get("attributes"):
        parts += ["## Attributes", attribute_table(doc["attributes"])]
    if doc.get("notes"):
        parts += ["## Notes", "\n".join(f"- {markdown(note)}" for note in doc["notes"])]
    if doc.get("seealso"):
        parts += ["## See also", "\n".join(f"- {neighbour(item)}" for item in doc["seealso"])]
    if entry.get("examples"):
        parts += ["## Examples", f"```yaml\n{entry['examples'].strip()}\n```"]
    if entry.get("return"):
        parts += ["## Return values", return_table(entry["return"])]
    return "\n\n".join(parts) + "\n"


def ansible_doc(kind: str) -> dict[str, Doc]:
    """What ansible-doc says of all plugins of a kind, by short name."""
    folder = ROOT / "plugins" / KINDS[kind]
    names = sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-doc"),
            "-t",
            kind,
            "-j",
            *(f"{COLLECTION}.{name}" for name in names),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Doc] = json.loads(done.stdout)
    return {name: found[f"{COLLECTION}.{name}"] for name in names}


def all_pages() -> dict[str, str]:
    """File names and contents."""
    index = [
        f"# Modules and filters of {COLLECTION}",
        "Written by `make generate` from the plugins' own documentation.",
    ]
    pages: dict[str, str] = {}
    for kind in KINDS:
        lines = [f"| {kind} | |", "|---|---|"]
        for name, entry in ansible_doc(kind).items():
            pages[f"{name}.md"] = page(name, kind, entry)
            lines.append(f"| [{name}]({name}.md) | {cell(markdown(entry['doc']['short_description']))} |")
        index.append("\n".join(lines))
    pages["README.md"] = "\n\n".join(index) + "\n"
    return pages


def main() -> int:
    """Write or compare."""
    pages = all_pages()
    stale = {path.name for path in PAGES.glob("*.md")} - pages.keys()
    if "--check" in sys.argv[1:]:
        differ = [name for name, text in pages.items() if not _same(PAGES / name, text)]
        for name in sorted({*differ, *stale}):
            print(f"docs/modules/{name} is not what the plugins' documentation says: run make generate")
        return 1 if differ or stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    for name in stale:
        (PAGES / name).unlink()
    return 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
