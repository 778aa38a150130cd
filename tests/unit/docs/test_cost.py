# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums in docs/cost.md are those of its lines, at its prices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import PRICES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cost.md").read_text(encoding="utf-8")
HOURS = 730


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its own two lines."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"][
        2:
    ]


def money(cell: str) -> float:
    """The first amount in a cell."""
    return float(re.findall(r"\d+\.\d+", cell)[0])


LINES = rows("Line by line, running")
# Of one unit, in a month.
VCPU, GIGABYTE, BALANCER, ADDRESS, DATABASE = (round(money(line[1]) * HOURS, 4) for line in LINES[:5])
STORAGE, SECRET = (money(line[1]) for line in LINES[5:7])


def test_the_prices_are_those_of_the_plan() -> None:
    known = PRICES["us-east-1"]
    shown = [money(line[1]) for line in LINES[:7]]
    instance, storage = known.instance_hour["db.t4g.micro"], known.storage_gb_month["gp3"]
    hours = [known.vcpu_hour, known.memory_gb_hour, known.balancer_hour, known.address_hour, instance]
    assert shown == [*hours, storage, known.secret_month]
    assert f"collected on {known.as_of}" in PAGE
    assert all(f"| {region} |" in PAGE for region in PRICES)


def test_each_line_is_price_times_amount() -> None:
    amounts = (VCPU, 4 * GIGABYTE, BALANCER, 3 * ADDRESS, DATABASE, 20 * STORAGE, 3 * SECRET)
    for line, amount in zip(LINES, amounts, strict=False):
        assert money(line[2]) == pytest.approx(amount, abs=0.006), line[0]


def test_the_sum() -> None:
    shown = [money(line[2]) for line in LINES[:7]]
    assert money(LINES[-1][2]) == pytest.approx(sum(shown), abs=0.001)
    assert f"that is {4 * ADDRESS:.2f} a month more" in PAGE


def test_the_sizes() -> None:
    lines = [money(line[2]) for line in LINES[:7]]
    _vcpu, memory, balancer, _addresses, database, storage, secrets = lines
    stopped = balancer + 2 * ADDRESS + storage + secrets
    twice = 4 * DATABASE - database + storage
    wanted = {
        "small": (sum(lines) - memory / 2, stopped),
        "default:": (sum(lines), stopped),
        "default with": (sum(lines) + twice, stopped + storage),
        "a second": (sum(lines) - balancer - 2 * ADDRESS, storage + secrets),
    }
    for line in rows("Per size"):
        [(running, idle)] = [sums for name, sums in wanted.items() if line[0].startswith(name)]
        assert money(line[1]) == pytest.approx(running, abs=0.02), line[0]
        assert money(line[2]) == pytest.approx(idle, abs=0.02), line[0]
