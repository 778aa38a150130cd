# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md beside this file and docs/local-aws.md promise tests and faults: they exist."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path

import pytest

from local_aws import faults

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "local-aws.md"
ITEMS = 20
# Nothing of AWS's API is asked in these.
INTERNAL = {
    "test_balancer_data_plane.py",
    "test_balancer_models.py",
    "test_express_logic.py",
    "test_core_protocol.py",
    "test_core_stop.py",
}


@functools.cache
def known_tests() -> dict[str, str]:
    """All test functions and their files."""
    return {
        node.name: path.name
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows(text: str) -> dict[str, str]:
    """The tables' rows: first cell → all the rest."""
    found = re.findall(r"^\| ([^|]+?) \| (.+) \|$", text, re.MULTILINE)
    return dict(found)


README = (HERE / "README.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", README))
    assert named
    assert named - set(known_tests()) == set()


@pytest.mark.parametrize("item", range(1, ITEMS + 1))
def test_every_item_has_a_test_through_boto3(item: int) -> None:
    named = re.findall(r"`(test_[a-z0-9_]+)`", rows(README)[str(item)])
    assert [name for name in named if known_tests()[name] not in INTERNAL]


@pytest.mark.parametrize("event", sorted(faults.EVENTS))
def test_every_fault_has_a_test_and_is_documented_with_its_fields(event: str) -> None:
    assert re.findall(r"`(test_[a-z0-9_]+)`", rows(README)[f"`{event}`"])
    row = rows(DOCS.read_text(encoding="utf-8"))[f"`{event}`"]
    for member in faults.EVENTS[event][2]:
        assert f"`{member}`" in row


def orders() -> list[str]:
    """The orders in the documentation's examples."""
    return re.findall(r"faults -d '(\{.+?\})'$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_examples_can_be_ordered_and_there_is_one_for_each_fault() -> None:
    ordered = [json.loads(order) for order in orders()]
    (mistake,) = [order for order in ordered if order["what"] == "task:Capacity"]
    with pytest.raises(ValueError, match="task:Capacity never happens"):
        faults.Fault.parse(mistake)
    ordered.remove(mistake)
    for order in ordered:
        faults.Fault.parse(order)
    assert set(faults.EVENTS) <= {order["what"] for order in ordered}


def test_the_fields_of_an_order_are_documented() -> None:
    cells = " ".join(rows(DOCS.read_text(encoding="utf-8")))
    known = {item for item in faults.Fault.__dataclass_fields__ if item not in ("id", "happened")}
    assert {name for name in known if f"`{name}`" not in cells} == set()
