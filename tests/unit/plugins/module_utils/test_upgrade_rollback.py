# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade that is taken back after users have written since: said first, confirmed, and undone where it fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import upgrade as upgrading
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.rollback import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.rollback import Rollback
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import BEGUN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import COMMANDS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import DESCRIBED
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import NEW
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import OLD
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import WHO
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import CutOff
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import make_tools
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting

COPY, REPLACED = "mlflow_before_3_17_2", "mlflow_replaced_261202075600"


def run(aws: Aws, name: str, verb: Verb) -> None:
    """Take the steps under the lock, whoever had it."""
    identity = lock.Identity("tracking", name, WHO, "unlock: true")
    run_lock = lock.Lock(aws, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]
    run_steps(verb, run_lock, Progress("tracking", path=""), lift=True)


def upgraded() -> Aws:
    """A deployment that was upgraded, and that users have written to since."""
    aws = Aws()
    one = upgrading.Upgrade(
        make_tools(aws), upgrading.Request("3.17.2", NEW, "tracking", COMMANDS, DESCRIBED), wall=lambda: BEGUN
    )
    one.preflight()
    run(aws, "upgrade", one.verb())
    aws.write()
    aws.log.clear()
    aws.calls = 0
    return aws


def roll_back(aws: Aws, *, confirm: bool = True, remove: str = "") -> Rollback:
    """Take it back, a day later."""
    request = Request("3.17.2", confirm, remove, COMMANDS)
    rollback = Rollback(make_tools(aws), request, wall=lambda: BEGUN + timedelta(days=1))
    rollback.preflight()
    run(aws, "rollback", rollback.verb())
    return rollback


def assert_back(aws: Aws, about: object = "") -> None:
    """The old version serves on the old tables, and all that it lacks is in the database that was replaced."""
    assert (aws.image, aws.tasks, aws.tags) == (OLD, 1, {}) and aws.serves(), about
    assert aws.acknowledged <= {*aws.databases["mlflow"].runs, *aws.databases[REPLACED].runs}, about
    assert COPY not in aws.databases, about


def test_without_confirmation_it_says_what_would_be_lost_and_changes_nothing() -> None:
    aws = upgraded()
    lost = len(aws.databases["mlflow"].runs) - len(aws.databases[COPY].runs) + 1
    lines = roll_back(aws, confirm=False).lines()
    assert f"from MLflow 3.17.2 to MLflow 3.16.1 would lose {lost} runs" in lines[0]
    assert "rollback confirmed" in lines[1] and COPY in lines[2]
    assert aws.log == ["compare"] and aws.image == NEW


def test_confirmed_the_old_version_serves_and_what_was_replaced_is_kept() -> None:
    aws = upgraded()
    lines = roll_back(aws).lines()
    assert_back(aws)
    assert "Ask for 3.16.1 from now on" in lines[0] and f"rollback remove={REPLACED}" in lines[2]


def test_an_image_that_does_not_say_its_version_is_called_by_its_name() -> None:
    aws = Aws()
    own = aws.image = aws.databases["mlflow"].image = "registry.example.com/tracking:7"
    aws.starts.add(own)
    aws.command = []
    one = upgrading.Upgrade(make_tools(aws), upgrading.Request("3.17.2", NEW, "tracking", COMMANDS), wall=lambda: BEGUN)
    one.preflight()
    run(aws, "upgrade", one.verb())
    lines = [*report.upgraded("tracking", one, "rollback"), *roll_back(aws, confirm=False).lines()]
    lines += roll_back(aws).lines()
    said = [line.partition(". ")[0] for line in lines if "tracking'" in line]
    assert said == [
        f"'tracking' is upgraded from the image {own} to 3.17.2.",
        f"A rollback of 'tracking' from MLflow 3.17.2 to the image {own} would lose 6 runs, written since the upgrade",
        f"'tracking' is back at the image {own}, as it was before the upgrade to MLflow 3.17.2",
    ]
    assert aws.image == own and aws.serves()


def test_there_is_one_way_back_only() -> None:
    aws = upgraded()
    roll_back(aws)
    with pytest.raises(
        UserError, match=r"There is no copy mlflow_before_3_16_1.*There is mlflow_replaced_261202075600\. .*is complete"
    ):
        roll_back(aws)
    assert_back(aws)


def test_a_failure_of_any_call_is_undone_and_the_next_run_succeeds() -> None:
    aws = upgraded()
    roll_back(aws)
    for number in range(1, aws.calls + 1):
        aws = upgraded()
        aws.at = _at(number, False, UserError("A failure of a test."))
        with pytest.raises(UserError, match="failed at step"):
            roll_back(aws)
        if aws.image == NEW:
            assert aws.serves() and aws.tags == {} and aws.databases[COPY].facts["image"] == OLD, number
        roll_back(aws)
        assert_back_with_what_was_written_meanwhile(aws, number)


@pytest.mark.parametrize("done", [False, True])
def test_a_run_that_was_cut_off_anywhere_is_completed(done: bool) -> None:
    aws = upgraded()
    roll_back(aws)
    for number in range(1, aws.calls + (not done)):
        aws = upgraded()
        aws.at = _at(number, done, CutOff())
        with pytest.raises(CutOff):
            roll_back(aws)
        roll_back(aws)
        assert_back(aws, number)


def assert_back_with_what_was_written_meanwhile(aws: Aws, about: object) -> None:
    """As assert_back; what users wrote to the old version before it failed is in a copy that was put aside."""
    assert (aws.image, aws.tasks, aws.tags) == (OLD, 1, {}) and aws.serves(), about
    kept = {run for one in aws.databases.values() for run in one.runs}
    assert len(aws.acknowledged - kept) == 0, about


def test_an_upgrade_that_was_cut_off_is_completed_first() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: _raise() if name == "migrate" and done else None
    one = upgrading.Upgrade(make_tools(aws), upgrading.Request("3.17.2", NEW, "tracking", COMMANDS, DESCRIBED))
    one.preflight()
    with pytest.raises(CutOff):
        run(aws, "upgrade", one.verb())
    with pytest.raises(UserError, match=r"Complete it first, with upgrade to 3\.17\.2"):
        roll_back(aws)


def test_only_what_was_kept_is_dropped() -> None:
    aws = upgraded()
    for name in ("mlflow", "postgres", "mlflow_before_3_0_0"):
        with pytest.raises(UserError, match=f"{name} is no database.*There is {COPY}"):
            roll_back(aws, remove=name)
    aws.may_drop = True
    assert "is dropped" in roll_back(aws, remove=COPY).lines()[0]
    assert list(aws.databases) == ["mlflow"] and aws.image == NEW


def _raise() -> None:
    raise CutOff


def _at(number: int, wanted: bool, problem: BaseException) -> Any:
    def at(call: int, _name: str, done: bool) -> None:
        if call == number and done is wanted:
            raise problem

    return at
