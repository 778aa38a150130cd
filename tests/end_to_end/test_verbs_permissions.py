# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the policies of a verb that takes minutes can do what they are for, and no action is there in vain."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import QUICK
from harness import LocalAws
from permitted import NAME
from permitted import OWN_IMAGE
from permitted import check_what_was_asked
from permitted import instances
from permitted import play
from permitted import take_back
from permitted import upgrade_with_a_fault
from policies import VERBS
from policies import rendered
from principals import User

pytestmark = pytest.mark.long


@pytest.fixture
def own(software: None) -> Iterator[LocalAws]:
    """A local AWS in which nobody has deployed anything."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        yield aws
    finally:
        aws.down()
        shutil.rmtree(home)


def test_the_driller_and_the_collector_need_all_that_they_may(own: LocalAws, tmp_path: Path) -> None:
    written = rendered(tmp_path)
    documents = {verb: [written[file] for file in VERBS[verb]] for verb in ("deploy", "backup", "drill", "gc")}
    deployer, backuper, driller, collector = (User(own, f"{verb}er", parts) for verb, parts in documents.items())
    play(deployer, "deploy").succeeded()
    play(backuper, "backup", mlflow_backup_name="first").succeeded()
    assert f"Drill of '{NAME}': backup 'first' can be restored" in play(driller, "drill").succeeded().output
    assert instances(own) == [NAME]
    assert "there is nothing to delete for good" in play(collector, "gc", mlflow_gc_delete=True).succeeded().output
    check_what_was_asked({"drill": driller, "gc": collector}, documents)


def test_the_upgrader_upgrades_takes_it_back_and_needs_all_of_it(own: LocalAws, tmp_path: Path) -> None:
    written = rendered(tmp_path)
    documents = {verb: [written[file] for file in VERBS[verb]] for verb in ("deploy", "upgrade")}
    deployer, upgrader = (User(own, f"{verb}er", parts) for verb, parts in documents.items())
    play(deployer, "deploy", mlflow_image=OWN_IMAGE).succeeded()
    upgrade_with_a_fault(upgrader)
    take_back(upgrader)
    check_what_was_asked({"upgrade": upgrader}, documents)
