# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/variables.md and of the roles' READMEs; with --check, only compare.

They are made of meta/argument_specs.yml (what goes in), meta/facts.yml (what comes out) and defaults/main.yml. The
specifications' defaults are held against the latter, since Ansible applies nothing else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

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
    "mlflow_monitoring": "Alarms and a dashboard",
    "mlflow_maintenance": "Maintenance on a schedule",
    "mlflow_demo": "Validation",
    "mlflow_backup_name": "Backups and locks",
    "mlflow_confirm_destroy": "Destroying",
    "mlflow_known_variables": "Variables of your own",
}
# The one role whose variables fill a page of their own.
MAIN_ROLE = "mlflow"
# They differ from machine to machine, so that the specification describes them and gives none.
OF_THE_MACHINE = {"local_aws_home", "local_aws_software", "local_aws_python"}


def load(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def plain(text: str) -> str:
    """Turn Ansible's semantic markup into Markdown."""
    text = re.sub(r"[OC]\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"V\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"M\((?:mlops\.mlflow_aws\.)?([^)]*)\)", r"`\1`", text)
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


def written(role: Path) -> dict[str, Any]:
    """A role's defaults as they are written."""
    return DataLoader().load_from_file(str(role / "defaults" / "main.yml"), trusted_as_template=True) or {}


def effective(role: Path) -> dict[str, Any]:
    """A role's defaults as they come out where nothing else is set."""
    defaults = written(role)
    templar = Templar(loader=DataLoader(), variables=defaults)
    return {name: templar.template(value) for name, value in defaults.items() if name not in OF_THE_MACHINE}


def source(value: Any) -> str:
    """The variable that a default is taken from, where there is one."""
    text = value if isinstance(value, str) else ""
    match = re.fullmatch(r"\{\{ (\w+)(?: \| default\(.*\))? \}\}|\{\{ \[(\w+)\] if \2 is defined else \[\] \}\}", text)
    return (match[1] or match[2]) if match else ""


def interface(role: Path) -> str:
    """Render what goes into a role and what comes out."""
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    lines = ["## Inbound variables", "", "| variable | type | default | meaning |", "|---|---|---|---|"]
    defaults = written(role)
    for name, option in options.items():
        default = shown(option["default"]) if "default" in option else "the machine's own"
        if taken := source(defaults[name]):
            default = f"`{taken}`, else {default}" if "default" in option else f"`{taken}`"
        meaning = plain(option["description"])
        if "choices" in option:
            meaning += f" One of {', '.join(shown(choice) for choice in option['choices'])}."
        lines.append(f"| `{name}` | {option['type']} | {default} | {meaning} |")
    lines += ["", "## Outbound variables", "", "| fact | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in load(role / "meta" / "facts.yml")["facts"].items()]
    return "\n".join([*lines, ""])


def differences(role: Path) -> list[str]:
    """Compare a role's specification with its defaults."""
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = effective(role)
    where = f"{role.name}: meta/argument_specs.yml and defaults/main.yml"
    problems = [f"{where} do not both know {name}" for name in options.keys() ^ written(role).keys()]
    for name in options.keys() & defaults.keys():
        if "default" not in options[name]:
            problems.append(f"{role.name}: meta/argument_specs.yml gives no default of {name}")
        elif options[name]["default"] != defaults[name] or _plain(options[name]["default"]) != _plain(defaults[name]):
            problems.append(f"{where} disagree on {name}: {options[name]['default']!r} and {defaults[name]!r}")
    return sorted(problems)


def _plain(value: Any) -> type:
    """The type of a value, whatever Ansible has made of it."""
    return next(kind for kind in (bool, int, float, str, list, dict) if isinstance(value, kind))


def filled(path: Path, tables_of: str) -> tuple[str, str]:
    """A page's text as it is, and as it should be."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return text, f"{before}{BEGIN}\n{tables_of}\n{END}{rest.split(END)[1]}"


def main() -> int:
    """Return the exit code."""
    init_plugin_loader([])
    roles = [spec.parents[1] for spec in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))]
    problems = [problem for role in roles for problem in differences(role)]
    options = load(ROOT / "roles/mlflow/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    pages = {PAGE: tables(options)}
    pages |= {role / "README.md": f"\n{interface(role)}" for role in roles if role.name != MAIN_ROLE}
    problems += [
        f"{Path(__file__).name}: there is no {name} for a section to begin with" for name in SECTIONS.keys() - options
    ]
    rehearse = (ROOT / "playbooks/rehearse.yml").read_text(encoding="utf-8")
    if f"default('{options['mlflow_version']['default']}')" not in rehearse:
        problems.append("playbooks/rehearse.yml: the image is not that of mlflow_version's default")
    for page, wanted_tables in pages.items():
        text, wanted = filled(page, wanted_tables)
        if "--check" not in sys.argv[1:]:
            page.write_text(wanted, encoding="utf-8")
        elif wanted != text:
            problems.append(f"{page.relative_to(ROOT)}: the tables are out of date: make generate")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
