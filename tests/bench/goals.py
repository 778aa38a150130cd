# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the figures are meant to be: ratios of figures of one run, with the goal beside each."""

from __future__ import annotations

from dataclasses import dataclass

from results import Measured

#: Peak of ansible-playbook with ten deployments, in MiB (PSS), as the page of 2026-11-23 had it, before modules ran in
#: Ansible's worker processes.
FORMER_MEMORY_MIB = 863
MIB = 2**20


@dataclass(frozen=True)
class Ratio:
    """A goal for the ratio of two wall times, medians of one run.

    :arg of: section and name of what is measured.
    :arg to: section and name of what it is measured by.
    :arg goal: 0: none yet.
    :arg aim: better than the goal; 0: none.
    """

    title: str
    of: tuple[str, str]
    to: tuple[str, str]
    goal: float
    aim: float = 0


TERRAFORM = ("contestants", "terraform")
RATIOS = (
    Ratio("`deploy`, nothing to do / `terraform plan`", ("contestants", "converge"), TERRAFORM, 0.45, aim=0.3),
    Ratio("the same, without the fingerprint / `terraform plan`", ("contestants", "full"), TERRAFORM, 0.9),
    Ratio("`make rehearse` again / `terraform plan`", ("contestants", "rehearse"), TERRAFORM, 0.9),
    Ratio("`plan`, one attribute changed by hand / `terraform plan`", ("contestants", "plan"), TERRAFORM, 0.9),
    Ratio("`status` / `terraform plan`", ("contestants", "status"), TERRAFORM, 0.3),
    Ratio("`drill` / first `deploy`", ("verbs", "drill"), ("verbs", "first deploy"), 0),
    Ratio("`deploy` of ten, nothing to do / of one", ("ten", "ten"), ("ten", "one of ten"), 2.5),
)
CALLS_GOAL = 30


def rows(results: Measured, missing: dict[str, str]) -> list[list[str]]:
    """Title, goal, measured value, and when it was measured or why it was not."""
    ratios = [_ratio(results, missing, ratio) for ratio in RATIOS]
    return [*ratios, _downtime(results), _calls(results), _memory(results)]


def _ratio(results: Measured, missing: dict[str, str], ratio: Ratio) -> list[str]:
    goal = f"≤ {ratio.goal:g}" + (f", aim {ratio.aim:g}" if ratio.aim else "") if ratio.goal else "-"
    value, why = "-", ""
    of, to = results.figures(*ratio.of), results.figures(*ratio.to)
    runs = {(results.entry(*place) or {}).get("run") for place in (ratio.of, ratio.to)}
    absent = [missing[name] for _section, name in (ratio.of, ratio.to) if name in missing]
    if of is None or to is None:
        why = f"not measured: {absent[0]}" if absent else "not measured"
    elif len(runs) > 1:
        why = "not measured in one run"
    else:
        value, why = f"{of.wall / to.wall:.2f}", str(runs.pop())
    return [ratio.title, goal, value, why]


def _downtime(results: Measured) -> list[str]:
    """Seconds, as they do not grow with anything else that is measured."""
    title = "Seconds without a server in an `upgrade`, beyond AWS's own waits"
    found = results.entry("verbs", "downtime")
    if not found:
        return [title, "-", "-", "not measured"]
    return [title, "-", f"{found['values']['beyond them']:.1f}", found["run"]]


def _calls(results: Measured) -> list[str]:
    title = "AWS calls of `deploy`, nothing to do"
    found = results.entry("contestants", "converge") or results.entry("contestants", "full")
    if not found:
        return [title, f"≤ {CALLS_GOAL}", "-", "not measured"]
    return [title, f"≤ {CALLS_GOAL}", str(found["calls"]), found["run"]]


def _memory(results: Measured) -> list[str]:
    title = "Memory of `ansible-playbook`, `deploy` of ten, MiB (PSS)"
    found = results.entry("memory", "ten")
    if not found:
        return [title, f"≤ {FORMER_MEMORY_MIB}", "-", "not measured"]
    return [title, f"≤ {FORMER_MEMORY_MIB}", f"{found['values']['Ansible'] / MIB:.0f}", found["run"]]
