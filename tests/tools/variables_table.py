# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the table of all variables into README.md, from the role's argument specification; with --check, only compare.

It also holds the specification's defaults against roles/*/defaults/main.yml, since Ansible applies only the latter.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "<!-- variables: begin (written by make docs) -->"
END = "<!-- variables: end -->"


def load(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def plain(text: str) -> str:
    """Turn Ansible's semantic markup into Markdown."""
    text = re.sub(r"[OC]\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"V\(([^)]*)\)", r"`\1`", text)
    return " ".join(text.split()).replace("|", "\\|")


def shown(value: Any) -> str:
    """Show a default as it would be written in YAML."""
    if value == "":
        return '`""`'
    return f"`{yaml.safe_dump(value, default_flow_style=True).splitlines()[0].strip()}`"


def table(options: dict[str, Any]) -> str:
    """Render the options as a Markdown table."""
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {option['type']} | {shown(option['default'])} | {plain(option['description'])} |"
        for name, option in options.items()
    ]
    return "\n".join(rows)


def differences(role: Path) -> list[str]:
    """Compare a role's specification with its defaults."""
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(role / "defaults" / "main.yml") or {}
    where = f"{role.name}: meta/argument_specs.yml and defaults/main.yml"
    problems = [f"{where} do not both know {name}" for name in options.keys() ^ defaults.keys()]
    for name in options.keys() & defaults.keys():
        given = defaults[name]
        computed = isinstance(given, str) and "{{" in given
        if not computed and "default" in options[name] and options[name]["default"] != given:
            problems.append(f"{where} disagree on {name}: {options[name]['default']!r} and {given!r}")
    return sorted(problems)


def main() -> int:
    """Return the exit code."""
    roles = [spec.parents[1] for spec in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))]
    problems = [problem for role in roles for problem in differences(role)]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    options = load(ROOT / "roles/mlflow/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = f"{before}{BEGIN}\n{table(options)}\n{END}{after}"
    rehearse = (ROOT / "playbooks/rehearse.yml").read_text(encoding="utf-8")
    if f"default('{options['mlflow_version']['default']}')" not in rehearse:
        problems.append("playbooks/rehearse.yml: the image is not that of mlflow_version's default")
    if "--check" not in sys.argv[1:]:
        readme.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        problems.append("README.md: the table of variables is out of date: make docs")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
