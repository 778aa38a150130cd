# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the figures, in Markdown: nothing stands in it that was not measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import drawing
import goals
import lifecycle_verbs as verbs
from contestants import NAMES
from memory import ANSIBLE
from memory import ANSIBLE_RESIDENT
from memory import GROUPS
from memory import TOGETHER
from results import Figures
from results import Measured
from scenarios import OPERATIONS
from scenarios import SMALL
from scenarios import settings

PICTURE = "first-deploy.svg"


def page(results: Measured, missing: dict[str, str]) -> str:
    """The whole page."""
    sections: tuple[Callable[[Measured], str], ...] = (
        _contestants,
        _ten,
        _life,
        _verbs,
        _timeline,
        _waits,
        _operations,
        _memory,
    )
    parts = [_introduction(results, missing), *(section(results) for section in sections)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """A table; its first columns are texts, the others numbers."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def _introduction(results: Measured, missing: dict[str, str]) -> str:
    runs = results.runs()
    head = ["Run", "measured", "load at its start", "Python loop, s", "Ansible, one debug task, s", "after it, s"]
    rows = [
        [
            name,
            ", ".join(results.parts_of(name)),
            f"{run['load']:.1f}",
            f"{run['before']['loop']:.2f}",
            f"{run['before']['ansible']:.2f}",
            f"{run['after']['loop']:.2f}, {run['after']['ansible']:.2f}" if "after" in run else "-",
        ]
        for name, run in runs.items()
    ]
    machines = [f"- {name}: {run['machine']}; {run['versions']}." for name, run in runs.items()]
    newest = next(reversed(runs.values())) if runs else {"scale": 60}
    scale = newest["scale"]
    rds = 360 / scale
    listed = "\n".join(machines)
    return f"""# Benchmarks

Written by `make bench`; do not edit. Each figure is from one run on one machine, against the local AWS, and names
its run. Only figures of the same run are compared. Compare ratios and numbers of AWS calls; the seconds are those
of the machine.

## What it is meant to be, and what it is

Ratios of wall times, medians of what was run in turn.

{table(["Figure", "goal", "measured", "run"], goals.rows(results, missing), texts=1)}

## The runs

The Python loop has 20 million steps; both pieces of work are the median of three, before the first part and after
the last one. If the two differ, other work went on beside the benchmark. A load of more than about 0.5 at the start
says so too: then trust the CPU seconds more than the wall seconds.

{table(head, rows, texts=2)}

{listed}

- Scale: 1:{scale:g}. The local AWS compresses {scale:g} AWS seconds into one: the six minutes of a new RDS instance
  are {rds:.0f} s. The work itself (Ansible, the modules, PostgreSQL, the start of MLflow) is real, not scaled, so
  waiting weighs far more at AWS than here.
- While waiting, it polls once a second (`mlflow_poll_seconds: 1`; the default is 10), which is every {scale:g} AWS
  seconds.
- Every run was checked: no failure, a converge without changes, a `--check` that announces changes before the first
  deploy and none after it."""


def _row(title: str, figures: Figures, run: str, rounds: bool = True) -> list[str]:
    many = f"{min(figures.walls):.1f} to {max(figures.walls):.1f}" if rounds and len(figures.walls) > 1 else "-"
    return [title, run, f"{figures.wall:.1f}", many, f"{figures.cpu:.1f}", str(figures.calls)]


def _contestants(results: Measured) -> str:
    rows = []
    for name in NAMES:
        figures, entry = results.figures("contestants", name), results.entry("contestants", name)
        if figures and entry:
            terraform = results.entry("contestants", "terraform")
            is_comparable = terraform and terraform["run"] == entry["run"]
            base = results.figures("contestants", "terraform") if is_comparable else None
            ratio = f"{figures.wall / base.wall:.2f}" if base else "-"
            rows.append([*_row(entry["title"], figures, entry["run"]), ratio])
    if not rows:
        return ""
    head = ["What was run", "run", "seconds", "from, to", "CPU seconds", "AWS calls", "ratio to Terraform"]
    return f"""## Nothing to do

One deployment with the default settings, and beside it the same resources, but for the server, made by Terraform
(provider hashicorp/aws 5.100.0, `tests/bench/terraform`) and by plain tasks of `amazon.aws`
(`tests/bench/amazon_aws.yml`). They were run in turn. Seconds are the median of the wall times, from the start of
the program to its end; CPU seconds include all processes that it started. Of AWS calls, those of the program's user
are counted, not those of AWS's services and of MLflow.

{table(head, rows, texts=2)}"""


def _ten(results: Measured) -> str:
    rows = []
    for name in ("one of ten", "ten", "ten, without the fingerprint", "first deploy of ten"):
        figures, entry = results.figures("ten", name), results.entry("ten", name)
        if figures and entry:
            rows.append(_row(name, figures, entry["run"]))
    if not rows:
        return ""
    return f"""## Ten deployments in one inventory

Ten hosts (`--forks 10`), with {settings(SMALL)}, so that ten servers fit on one machine. "ten" and "one of ten" are
`deploy` with nothing to do, for all and for one of them (`--limit`), in turn.

{table(["What was run", "run", "seconds", "from, to", "CPU seconds", "AWS calls"], rows, texts=2)}"""


def _life(results: Measured) -> str:
    rows = []
    for operation in OPERATIONS:
        figures, entry = results.figures("life", operation), results.entry("life", operation)
        if figures and entry:
            rows.append(_row(operation.replace("--check", "`--check`"), figures, entry["run"], rounds=False))
    if not rows:
        return ""
    shown = [[*row[:3], *row[4:]] for row in rows]
    return f"""## The life of one deployment

"`--check` on nothing" and "`--check`" are `deploy` in check mode, before the first deploy and after the last
converge; "destroy" keeps the bucket and a final snapshot, as it does by default.

{table(["Operation", "run", "seconds", "CPU seconds", "AWS calls"], shown, texts=2)}"""


def _verbs(results: Measured) -> str:
    rows = []
    for operation in verbs.OPERATIONS:
        figures, entry = results.figures("verbs", operation), results.entry("verbs", operation)
        if figures and entry:
            row = _row(operation, figures, entry["run"], rounds=False)
            rows.append([*row[:3], *row[4:]])
    down = results.entry("verbs", "downtime")
    if not rows or not down:
        return ""
    seconds = [[what, down["run"], f"{number:.1f}"] for what, number in down["values"].items()]
    return f"""## Verbs

One deployment of MLflow {verbs.FORMER} with {settings(SMALL)}: deployed, upgraded, backed up and drilled.

{table(["Operation", "run", "seconds", "CPU seconds", "AWS calls"], rows, texts=2)}

The downtime of the upgrade is from the first request for `/health` that failed to the first one that was answered
again, five a second. AWS's own waits are those for tasks that start or stop, for the snapshot, and for
deployments without a task; the rest is the work of the verb, of PostgreSQL and of MLflow's migration and start.

{table(["Upgrade", "run", "seconds"], seconds, texts=2)}"""


def _timeline(results: Measured) -> str:
    spans = results.spans()
    if not spans:
        return ""
    run = (results.entry("timeline", "one") or {})["run"]
    return f"""## When what goes on in a first deploy

One deployment with the default settings, run {run}. Above, what Ansible does, step by step; below, what goes on at
AWS meanwhile. Slow things are started early and waited for late: the roles settle while the database is created.
AWS's times are divided by the scale, the ten seconds of the roles and the start of MLflow are not: at AWS the first
bar of AWS is minutes long.

![{drawing.describe(spans)}]({PICTURE})"""


def _waits(results: Measured) -> str:
    entries = {name: entry for name in ("one", "ten") if (entry := results.entry("waits", name))}
    if not entries:
        return ""
    texts = list(next(iter(entries.values()))["values"])
    rows = [[text, *(f"{entry['values'][text]:.1f}" for entry in entries.values())] for text in texts]
    sums = [sum(entry["values"].values()) for entry in entries.values()]
    rows.append(["all of them", *(f"{seconds:.1f}" for seconds in sums)])
    shares = [f"{100 * total / entry['share_of']:.0f} %" for total, entry in zip(sums, entries.values(), strict=True)]
    rows.append(["share of the first deploy", *shares])
    rows.append(["run", *(entry["run"] for entry in entries.values())])
    return f"""## Where a first deploy waits

Seconds that a waiting task took in the first deploy beyond what the same task took in a converge (0 if the converge
skips it). The wait for the Express Mode service includes the real start of MLflow (its imports, and creating the
tables), which depends on the machine's cores, not on AWS.

{table(["Waiting for", *(f"{name}: seconds" for name in entries)], rows)}"""


def _operations(results: Measured) -> str:
    entries = {name: entry for name in ("one", "ten") if (entry := results.entry("operations", name))}
    if not entries:
        return ""
    apis = list(next(iter(entries.values()))["values"])
    rows = [
        [f"`{api}`", *(str(count) for entry in entries.values() for count in entry["values"].get(api, ["-", "-"]))]
        for api in apis
    ]
    rows.append(["run", *(entry["run"] for entry in entries.values() for _column in range(2))])
    head = ["Operation", *(f"{name}: {what}" for name in entries for what in ("first deploy", "converge"))]
    return f"""## AWS calls by operation

The ten most frequent of the first deploy, and how often a converge makes them that does not end early.

{table(head, rows)}"""


def _memory(results: Measured) -> str:
    entries = {name: entry for name in ("one", "ten", "ten, converge") if (entry := results.entry("memory", name))}
    if not entries:
        return ""

    def size(entry: dict[str, Any], group: str) -> str:
        return f"{entry['values'].get(group, 0) / goals.MIB:.0f}"

    groups = [*GROUPS.values(), TOGETHER, ANSIBLE, ANSIBLE_RESIDENT]
    rows = [[group, *(size(entry, group) for entry in entries.values())] for group in groups]
    rows.append(["run", *(entry["run"] for entry in entries.values())])
    return f"""## Peak memory

MiB, proportional set size (PSS: memory that processes share is divided among them; unique set size where the system
does not tell it), sampled once a second, or less often where sampling would take more than a twentieth of a core;
each row has its own peak. "local AWS" is its daemon with the small processes that keep the others; "together" is
the peak of local AWS, PostgreSQL and MLflow at one moment. Ansible runs beside it. "one" is a first deploy with the
default settings, "ten" a first deploy of ten, "ten, converge" the same ten with nothing to do.

{table(["Processes", *entries], rows)}"""
