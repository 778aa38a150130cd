# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/variables.md from the role's argument specification; with --check, only compare.

It also holds the specification's defaults against roles/*/defaults/main.yml, since Ansible applies only the latter.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "variables.md"
BEGIN = "<!-- variables: begin (written by make generate) -->"
END = "<!-- variables: end -->"
# The variable that each section of the page begins with, in the specification's order.
SECTIONS = {
    "mlflow_name": "The deployment",
    "mlflow_subnet_ids": "Network",
    "mlflow_bucket_name": "Artifacts: the bucket",
    "mlflow_db_host": "Metadata: the database",
    "mlflow_iam_path": "IAM roles",
    "mlflow_auth": "Login",
    "mlflow_oidc_discovery_url": "Login by OpenID Connect",
    "mlflow_cluster": "The server and its size",
    "mlflow_express_domain": "Host names and origins",
    "mlflow_wait_timeout": "Waiting and updating",
    "mlflow_demo": "Validation",
    "mlflow_confirm_destroy": "Destroying",
}


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


def tables(options: dict[str, Any]) -> str:
    """Render the options as Markdown tables, one for each section."""
    lines: list[str] = []
    for name, option in options.items():
        if name in SECTIONS:
            lines += ["", f"## {SECTIONS[name]}", "", "| variable | type | default | meaning |", "|---|---|---|---|"]
        meaning = plain(option["description"])
        lines.append(f"| `{name}` | {option['type']} | {shown(option['default'])} | {meaning} |")
    return "\n".join([*lines, ""])


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
    text = PAGE.read_text(encoding="utf-8")
    options = load(ROOT / "roles/mlflow/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = f"{before}{BEGIN}\n{tables(options)}\n{END}{after}"
    problems += [
        f"{Path(__file__).name}: there is no {name} for a section to begin with" for name in SECTIONS.keys() - options
    ]
    rehearse = (ROOT / "playbooks/rehearse.yml").read_text(encoding="utf-8")
    if f"default('{options['mlflow_version']['default']}')" not in rehearse:
        problems.append("playbooks/rehearse.yml: the image is not that of mlflow_version's default")
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        problems.append("docs/variables.md: the tables are out of date: make generate")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
