# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the table of docs/local-aws.md that lists what is only recorded; with --check, only compare."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COVERAGE = ROOT / "local_aws" / "local_aws" / "coverage.toml"
PAGE = ROOT / "docs" / "local-aws.md"
BEGIN = "<!-- records only: begin (written by make generate) -->"
END = "<!-- records only: end -->"


def table() -> str:
    """Render the services with their recorded operations."""
    rows = ["| service | operations | what does not happen |", "|---|---|---|"]
    for service, lists in sorted(tomllib.loads(COVERAGE.read_text(encoding="utf-8")).items()):
        if "records_only" in lists:
            rows.append(f"| `{service}` | {', '.join(lists['records_only'])} | {lists['effect']} |")
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    """Write the page, or say that it is out of date."""
    text = PAGE.read_text(encoding="utf-8")
    before, _begin, rest = text.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
    if arguments == ["--check"]:
        if wanted != text:
            print(
                f"{PAGE.relative_to(ROOT)} does not list what coverage.toml says. Run: make generate", file=sys.stderr
            )
            return 1
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
