# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what the EXAMPLES returned into the samples of RETURN, for all modules and filters.

Only samples that are missing or unlike what was returned are written; all of them with --all. --recorded FILE takes
what tests/end_to_end/examples.py wrote before instead of running the examples.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))

from examples import ACTIONS  # noqa: E402
from examples import COLLECTION  # noqa: E402
from examples import names  # noqa: E402
from shapes import ELSEWHERE  # noqa: E402
from shapes import UNSEEN  # noqa: E402
from shapes import agrees  # noqa: E402
from shapes import best  # noqa: E402
from shapes import leaves  # noqa: E402
from test_examples import results  # noqa: E402

Doc = dict[str, Any]
# Characters of a text or list, its lines or members beyond that, and the columns of such a line and of any line.
LONG, LONGEST, SHORT, WIDTH = 400, 3, 100, 116
# What a local AWS cannot name as AWS does.
AS_AT_AWS = (
    (re.compile(r"https://(?:tr-[0-9a-f]{32}\.ecs\.eu-central-1\.)?localhost:\d+(?=$|/)"), "https://{ecs}"),
    (re.compile(r"^(?:tr-[0-9a-f]{32}\.ecs\.eu-central-1\.)?localhost:\d+$"), "{ecs}"),
    (re.compile(r"^localhost$"), "mlflow.abcdefghijkl.eu-central-1.rds.amazonaws.com"),
    (re.compile(r"127\.0\.0\.1:\d+"), "mlflow.example.org"),
)
ECS = "tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws"
EXACTLY = {"instance.endpoint.port": 5432}


def readable(value: Any) -> Any:
    """A value as AWS would have returned it; long texts and lists of texts are cut."""
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, list):
        long = len(json.dumps(value)) > LONG
        if long and all(isinstance(item, str) for item in value):
            value = [item for item in value if 0 < len(item) < SHORT][:LONGEST]
        return [readable(item) for item in value]
    if isinstance(value, str):
        for pattern, text in AS_AT_AWS:
            value = pattern.sub(text.format(ecs=ECS), value)
        text = value.encode("ascii", "ignore").decode()
        return "\n".join(line.rstrip() for line in text.splitlines()[:LONGEST]) if len(text) > LONG else text
    return value


class Indented(yaml.SafeDumper):
    """Lists are indented below their key, as everywhere in the documentation."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never indentless."""
        super().increase_indent(flow, False)


def rendered(value: Any, indent: int) -> list[str]:
    """The lines of a sample: one, if it fits."""
    settings: Doc = {"Dumper": Indented, "sort_keys": False, "allow_unicode": True}
    flow = yaml.dump(value, default_flow_style=True, width=10_000, **settings).removesuffix("...\n").rstrip()
    if "\n" not in flow and len(f"sample: {flow}") + indent <= WIDTH:
        return [" " * indent + f"sample: {flow}"]
    if isinstance(value, str):
        lines = value.splitlines() if "\n" in value else textwrap.wrap(value, WIDTH - indent, break_long_words=False)
        style = "|-" if "\n" in value else ">-"
        return [" " * indent + f"sample: {style}", *(" " * (indent + 2) + line for line in lines)]
    block = yaml.dump({"sample": value}, default_flow_style=False, width=SHORT, **settings).rstrip()
    return [" " * indent + item for item in block.splitlines()]


def node(tree: yaml.MappingNode, key: str) -> Any:
    """What stands at a key of a mapping."""
    return next((item for name, item in tree.value if name.value == key), None)


def entry_of(tree: yaml.MappingNode, path: str) -> yaml.MappingNode:
    """The documentation of a return value."""
    first, *rest = path.split(".")
    found = node(tree, first)
    for key in rest:
        found = node(node(found, "contains"), key)
    return found


def place(text: str, path: str, value: Any) -> str:
    """RETURN with a sample written, and nothing else changed."""
    entry = entry_of(yaml.compose(text), path)
    lines = text.splitlines()
    indent = entry.start_mark.column
    found = [(name, item) for name, item in entry.value if name.value == "sample"]
    begin = found[0][0].start_mark.line if found else _last(entry) + 1
    end = _last(found[0][1]) + 1 if found else begin
    return "\n".join([*lines[:begin], *rendered(value, indent), *lines[end:]]) + "\n"


def _last(item: yaml.Node) -> int:
    """The last line of a node; a block's end is where the next thing begins."""
    if isinstance(item, yaml.MappingNode) and item.value and not item.flow_style:
        return _last(item.value[-1][1])
    if isinstance(item, yaml.SequenceNode) and item.value and not item.flow_style:
        return _last(item.value[-1])
    mark = item.end_mark
    return mark.line - 1 if mark.column == 0 and mark.line > item.start_mark.line else mark.line


def write(kind: str, name: str, runs: list[Doc], everything: bool) -> bool:
    """Write the samples of one plugin; whether there was something to write."""
    path = ROOT / "plugins" / kind / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split('RETURN = r"""\n', 1)
    returned, after = rest.split('"""', 1)
    changed = False
    for where, entry, seen in leaves(yaml.safe_load(returned), runs):
        if entry.get("contains") or not seen or where.endswith(UNSEEN):
            continue
        if "sample" in entry and agrees(entry, seen) and not everything:
            continue
        returned = place(returned, where, EXACTLY.get(where, readable(best(seen))))
        changed = True
    if changed:
        path.write_text(f'{before}RETURN = r"""\n{returned}"""{after}', encoding="utf-8")
    return changed


def run_examples() -> list[Doc]:
    """Run them; what came of each."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, str(ROOT / "tests/end_to_end/examples.py"), folder]
        subprocess.run(program, check=True)
        return list(json.loads((Path(folder) / "recorded.json").read_text(encoding="utf-8")))


def main() -> int:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--recorded", type=Path)
    given = parser.parse_args()
    recorded = json.loads(given.recorded.read_text(encoding="utf-8")) if given.recorded else run_examples()
    for name in names("modules"):
        if name not in ACTIONS:
            runs = [*results(recorded, name), *(ELSEWHERE[name](recorded, results) if name in ELSEWHERE else [])]
            if write("modules", name, runs, given.all):
                print(f"{COLLECTION}.{name}")
    for name in names("filter"):
        values = [{"_value": one["value"]} for one in recorded if one["example_of"] == name and one.get("value")]
        if write("filter", name, values, given.all):
            print(f"{COLLECTION}.{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
