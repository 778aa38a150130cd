# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore that fails leaves: no write is lost, and no snapshot, image or broken instance is in the way."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.removal import Removal
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import NEW
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import OLD
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import CutOff
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import HINTS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import make_tools
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import restore
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

REPLACED = "tracking-replaced-261123075600"
COPY = "tracking-restoring-261123075600"


def test_what_users_wrote_to_the_restored_database_outlives_the_undo() -> None:
    aws = Aws()
    reads = [aws.calls]

    def at(_call: int, name: str, done: bool) -> None:
        if name == "read" and not done and len(reads) == 2:
            raise error("InternalFailureOfATest")
        if name == "answer" and done:
            reads.append(0)

    aws.at = at
    with pytest.raises(UserError, match=r"failed at step 8 of 9, 'Count the rows behind the server'") as failed:
        restore(aws)
    served = f"{REPLACED}-served-261123075600"
    assert aws.snapshots == {served: {"Status": "available", "of": "db-COPY1"}}
    assert f"is kept in the snapshot {served}, which" in str(failed.value)
    assert f" restore -e mlflow_restore_snapshot={served} restores." in str(failed.value)
    assert aws.databases["tracking"]["DbiResourceId"] == "db-LIVE" and aws.tasks == 1


def test_a_snapshot_that_is_still_being_taken_does_not_keep_the_server_away() -> None:
    aws = Aws()
    aws.slow_snapshots = True
    aws.at = lambda _call, name, done: _raise(error("InternalFailureOfATest")) if name == "snapshot" and done else None
    with pytest.raises(UserError, match="failed at step 4 of 9") as failed:
        restore(aws)
    assert "Undoing" not in str(failed.value) and "Tasks of the server that run: 1." in str(failed.value)
    assert aws.snapshots == {} and list(aws.state()["databases"]) == ["tracking"]


@pytest.mark.parametrize("done", [False, True])
def test_the_final_snapshot_is_never_older_than_what_users_wrote_last(done: bool) -> None:
    """Whatever an undo that was cut off has left of the former attempt."""
    aws = Aws()
    restore(aws)
    for number in range(1, aws.calls):
        aws = Aws()

        def at(call: int, name: str, is_done: bool, last: int = number) -> None:
            if name == "rename" and not is_done:
                raise error("InternalFailureOfATest")
            if call == last and is_done is done:
                raise CutOff

        aws.at = at
        with pytest.raises((CutOff, UserError)):
            restore(aws)
        aws.at = lambda *_what: None
        restore(aws)
        before = aws.writes - 1  # the last time was after it
        assert aws.snapshots[REPLACED]["writes"] == before, (number, aws.log)


def test_a_resumed_run_that_fails_gives_the_server_its_own_image_back() -> None:
    aws = Aws(image=NEW, backup_image=OLD)
    aws.at = lambda _call, name, done: _raise(CutOff()) if done and aws.image == OLD else None
    with pytest.raises(CutOff):
        restore(aws)
    assert aws.image == OLD
    aws.at, aws.healthy = lambda *_what: None, False
    with pytest.raises(UserError, match="The server does not answer"):
        restore(aws)
    assert aws.image == NEW and aws.databases["tracking"]["DbiResourceId"] == "db-LIVE" and aws.tasks == 1


def test_a_live_instance_that_has_failed_is_replaced() -> None:
    aws = Aws()
    aws.live["DBInstanceStatus"] = "failed"
    restore(aws)
    assert aws.databases["tracking"]["DbiResourceId"] == "db-COPY1"
    assert aws.databases[REPLACED]["DbiResourceId"] == "db-LIVE" and aws.snapshots == {}


def test_a_live_instance_that_has_failed_and_that_rds_does_not_rename_ends_it_at_once() -> None:
    aws = Aws()
    aws.live["DBInstanceStatus"], aws.may_rename = "failed", False
    with pytest.raises(UserError, match=r"failed at step 5 .*InvalidDBInstanceState"):
        restore(aws)
    assert list(aws.state()["databases"]) == ["tracking"] and aws.tasks == 1


@pytest.mark.parametrize(("status", "said"), [("stopped", "is stopped: start it"), ("", "deploy first")])
def test_a_live_instance_that_is_stopped_or_gone_stops_it_before_anything_is_made(status: str, said: str) -> None:
    aws = Aws()
    if status:
        aws.live["DBInstanceStatus"] = status
    else:
        del aws.databases["tracking"]
    with pytest.raises(UserError, match=said):
        restore(aws)
    assert aws.log == [] and aws.tags == {}


def test_a_copy_that_rds_cannot_bring_up_is_deleted() -> None:
    aws = Aws()

    def at(_call: int, name: str, done: bool) -> None:
        if name == "restore" and done:
            aws.databases[COPY]["DBInstanceStatus"] = "insufficient-capacity"

    aws.at = at
    with pytest.raises(UserError, match="insufficient-capacity") as failed:
        restore(aws)
    assert "Undoing" not in str(failed.value) and list(aws.state()["databases"]) == ["tracking"]


def test_what_is_replaced_stays_until_the_restore_is_completed() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: _raise(CutOff()) if name == "answer" and not done else None
    with pytest.raises(CutOff):
        restore(aws)
    aws.at = lambda *_what: None
    with pytest.raises(UserError, match=r"complete it first, with restore .*=first. Nothing was removed"):
        run(aws, Removal(make_tools(aws), REPLACED, HINTS))
    assert aws.databases[REPLACED]["DbiResourceId"] == "db-LIVE"
    restore(aws)
    assert run(aws, Removal(make_tools(aws), REPLACED, HINTS))


def _raise(problem: BaseException) -> None:
    raise problem
