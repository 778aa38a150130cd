# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that fails, or is cut off, at every single call that changes something: undone, or gone on with."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Deleted
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.removal import Removal
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import NEW
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import OLD
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import CutOff
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import BACKUP
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import HINTS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import make_tools
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import restore
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

NOON = copies.parse_time("2026-11-22T12:00:00Z")
REPLACED = "tracking-replaced-261123075600"
COPY = "tracking-restoring-261123075600"


def finished(image: str = NEW, source: copies.Source = BACKUP) -> tuple[dict[str, Any], int]:
    """What a restore leaves that nothing has disturbed, and how many calls it makes."""
    aws = Aws(backup_image=image)
    restore(aws, source)
    return aws.state(), aws.calls


def test_the_copy_takes_the_place_of_the_live_one_with_its_settings_and_its_password() -> None:
    aws = Aws()
    before = aws.state()["databases"]["tracking"]
    restore(aws)
    after = aws.state()
    live, replaced = after["databases"]["tracking"], after["databases"][REPLACED]
    assert (live["origin"], replaced["origin"]) == ("copy", "live")
    assert (
        live["tags"].pop(copies.RESTORED_KEY)
        == "from=backup=first begun=261123075600 state=done served=yes revision=0 image=mlflow:v3.17.2"
    )
    assert live == {**before, "origin": "copy"}
    assert after["snapshots"][REPLACED]["of"] == "db-LIVE"
    assert after["service"] == ({"minTaskCount": 1, "maxTaskCount": 2}, NEW, 1) and after["tags"] == {}


def test_a_second_run_changes_nothing() -> None:
    aws = Aws()
    restore(aws)
    calls = aws.calls
    assert restore(aws) is None and aws.calls == calls


def test_a_backup_of_an_older_server_brings_its_image_back_with_what_it_was_run_with() -> None:
    aws = Aws(image=NEW, backup_image=OLD)
    restored = restore(aws)
    assert aws.image == OLD and aws.tasks == 1 and restored and restored.proof.notes == []
    assert aws.given["command"] == ["serve", OLD, "https://tr-1.example.com"], "with the host name of now"
    assert aws.given["environment"] == [{"name": "PLUGIN", "value": OLD}]
    secrets = {one["name"]: one["valueFrom"] for one in aws.given["secrets"]}
    assert secrets == {"PGPASSWORD": f"{SECRET}:password::", "KEY": "arn:key"}


def test_a_backup_of_before_the_record_brings_the_image_back_and_says_what_is_missing() -> None:
    aws = Aws(image=NEW, backup_image=OLD)
    del aws.backup["server"]
    restored = restore(aws)
    assert aws.image == OLD and aws.given["command"] == ["serve", NEW] and aws.tasks == 1
    assert restored and "does not record what its server was run with" in " ".join(restored.proof.notes)


def test_read_replicas_are_named_before_anything_is_created() -> None:
    aws = Aws()
    aws.live["ReadReplicaDBInstanceIdentifiers"] = ["reports", "exports"]
    with pytest.raises(UserError, match=r"reports, exports, which would stay .* -e mlflow_restore_leave_replicas=true"):
        restore(aws)
    assert aws.log == [] and aws.tags == {}
    assert restore(aws, leave_replicas=True)
    assert aws.databases["tracking"]["DbiResourceId"] == "db-COPY1"


def test_a_time_is_restored_from_the_instance_that_reaches_back_so_far() -> None:
    aws = Aws()
    restore(aws, NOON)
    assert aws.databases["tracking"]["DbiResourceId"] == "db-COPY1"
    for when in ("2026-11-19T12:00:00Z", "2026-11-23T07:51:00Z"):
        with pytest.raises(UserError, match="from 2026-11-20T00:00:00Z to 2026-11-23T07:50:00Z"):
            restore(Aws(), copies.parse_time(when))


@pytest.mark.parametrize(("image", "source"), [(NEW, BACKUP), (OLD, BACKUP), (NEW, NOON)], ids=str)
def test_a_failure_of_any_call_is_undone_and_the_next_run_succeeds(image: str, source: copies.Source) -> None:
    whole, calls = finished(image, source)
    for number in range(1, calls + 1):
        aws = Aws(backup_image=image)
        before = aws.state()
        aws.at = _fail_at(number)
        with pytest.raises(UserError, match="failed at step"):
            restore(aws, source)
        after = aws.state()
        assert _without_tags(after) == _without_tags(before), (number, aws.log)
        assert after["databases"]["tracking"]["origin"] == "live" and aws.tasks == 1 and aws.tags == {}, number
        restore(aws, source)
        assert _comparable(aws.state()) == _comparable(whole), number


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("image", "source"), [(NEW, BACKUP), (OLD, BACKUP), (NEW, NOON)], ids=str)
def test_a_run_that_was_cut_off_anywhere_is_completed(image: str, source: copies.Source, done: bool) -> None:
    whole, calls = finished(image, source)
    for number in range(1, calls + 1):
        aws = Aws(backup_image=image)
        aws.at = _cut_off_at(number, done)
        with pytest.raises(CutOff):
            restore(aws, source)
        restore(aws, source)
        assert _comparable(aws.state()) == _comparable(whole), (number, aws.log)


def test_an_undo_that_was_cut_off_is_completed_too() -> None:
    whole, calls = finished()
    for number in range(1, calls + 1):
        for later in range(1, 12):
            aws = Aws()
            failing = _fail_at(number)

            def at(call: int, name: str, done: bool, failing: Any = failing, last: int = number + later) -> None:
                failing(call, name, done)
                if call == last and not done:
                    raise CutOff

            aws.at = at
            with pytest.raises((CutOff, UserError)):
                restore(aws)
            aws.at = lambda *_what: None
            restore(aws)
            assert _comparable(aws.state()) == _comparable(whole), (number, later, aws.log)


def test_what_is_wrong_with_the_copy_stops_it_before_the_server_does() -> None:
    for counts, lost, said in (({"runs": 4}, 0, "has 4 rows, and had 10"), ({"runs": 10}, 1, "1 of 2 secrets of webh")):
        aws = Aws()
        aws.counts, aws.lost = counts, lost
        with pytest.raises(UserError, match=said):
            restore(aws)
        assert "update service" not in aws.log and "snapshot" not in aws.log
        assert restore(aws, accept=True)


def test_a_server_that_does_not_answer_gets_its_database_back() -> None:
    aws = Aws()
    aws.healthy = False
    with pytest.raises(UserError, match="The server does not answer"):
        restore(aws)
    assert list(aws.state()["databases"]) == ["tracking"] and aws.databases["tracking"]["DbiResourceId"] == "db-LIVE"


def test_a_restore_of_something_else_waits_for_one_that_is_between_names() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: _raise(CutOff()) if name == "rename" and done else None
    with pytest.raises(CutOff):
        restore(aws)
    aws.at = lambda *_what: None
    with pytest.raises(UserError, match="complete it first, with restore -e mlflow_restore_backup=first"):
        restore(aws, NOON)


def test_deleted_artifacts_come_back_before_the_server_stops_and_when_all_else_is_restored_already() -> None:
    aws = Aws()
    aws.deleted = [Deleted("1/a", "v1", ("d1",)), Deleted("1/b", "v2", ())]
    restored = restore(aws, artifacts=True)
    assert restored and "brought back: 2." in " ".join(restored.proof.notes) and aws.deleted == []
    assert aws.log.index("artifact") < aws.log.index("update service")
    assert restore(aws, artifacts=True) is None
    aws.deleted = [Deleted("1/c", "v1", ("d1",))]
    assert restore(aws) is None
    before = len(aws.log)
    assert restore(aws, artifacts=True)
    assert aws.deleted == [] and "update service" not in aws.log[before:] and "rename" not in aws.log[before:]


def test_artifacts_that_cannot_be_brought_back_stop_it_before_the_server_does() -> None:
    aws = Aws()
    aws.deleted = [Deleted("1/a", "v1", ("d1",)), Deleted("1/b", "v2", ())]
    aws.at = lambda _call, name, _done: _raise(error("AccessDenied")) if name == "artifact" else None
    with pytest.raises(
        UserError, match="Next: restore -e mlflow_restore_backup=first -e mlflow_restore_artifacts=true"
    ):
        restore(aws, artifacts=True)
    assert "update service" not in aws.log and list(aws.state()["databases"]) == ["tracking"]


def test_a_copy_that_another_restore_has_left_is_deleted() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: _raise(CutOff()) if name == "read" and not done else None
    with pytest.raises(CutOff):
        restore(aws)
    aws.at = lambda *_what: None
    aws.databases["tracking-restoring-1"] = aws.databases.pop(COPY)
    aws.databases["tracking-restoring-1"]["DBInstanceIdentifier"] = "tracking-restoring-1"
    tags = copies.Copy(BACKUP, "1", copies.COPIED).tags()
    aws.databases["tracking-restoring-1"]["TagList"][-1]["Value"] = tags[copies.RESTORED_KEY]
    restore(aws, NOON)
    assert sorted(aws.state()["databases"]) == ["tracking", REPLACED]


def test_a_deployment_that_began_just_before_the_lock_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws()
    written = aws.set_tags

    def write(new: dict[str, str]) -> None:
        written(new)
        aws.deployment = "IN_PROGRESS"

    monkeypatch.setattr(aws, "set_tags", write)
    with pytest.raises(UserError, match="A deployment of the service 'tracking' is IN_PROGRESS"):
        restore(aws)
    assert aws.log == [] and aws.tags == {}


def test_a_deployment_that_was_stopped_is_left_alone() -> None:
    aws = Aws()
    aws.tags["mlops.mlflow_aws:stopped"] = "since=2026-11-23T07:00:00Z min=1 max=1"
    with pytest.raises(UserError, match="start it first"):
        restore(aws)
    assert aws.log == []


def test_what_was_replaced_is_removed_by_its_name_and_a_second_time_nothing_is() -> None:
    aws = Aws()
    restore(aws)
    assert run(aws, Removal(make_tools(aws), REPLACED, HINTS))
    assert list(aws.state()["databases"]) == ["tracking"] and list(aws.snapshots) == [REPLACED]
    assert not run(aws, Removal(make_tools(aws), REPLACED, HINTS))


@pytest.mark.parametrize("name", ["tracking", "others", "tracking-replaced-2"])
def test_nothing_else_is_removed(name: str) -> None:
    aws = Aws()
    restore(aws)
    with pytest.raises(UserError, match=f"There is {REPLACED}. Nothing was removed."):
        Removal(make_tools(aws), name, HINTS).preflight()


def _fail_at(number: int) -> Any:
    def at(call: int, _name: str, done: bool) -> None:
        if call == number and not done:
            raise error("InternalFailureOfATest")

    return at


def _cut_off_at(number: int, wanted: bool) -> Any:
    def at(call: int, _name: str, done: bool) -> None:
        if call == number and done is wanted:
            raise CutOff

    return at


def _raise(problem: BaseException) -> None:
    raise problem


def _without_tags(state: dict[str, Any]) -> dict[str, Any]:
    """Without the tags of this collection's own, which say nothing as long as there is no copy."""
    databases = {name: _without_own(one) for name, one in state["databases"].items()}
    return {**state, "databases": databases, "snapshots": _taken(state)}


def _without_own(one: dict[str, Any]) -> dict[str, Any]:
    tags = {key: value for key, value in one["tags"].items() if not key.startswith("mlops.mlflow_aws:")}
    return {**one, "tags": tags}


def _comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Return it without the number of the service's revision, which an attempt that was undone makes higher."""
    databases = {
        name: {**one, "tags": {key: re.sub(r" revision=\d+", "", value) for key, value in one["tags"].items()}}
        for name, one in state["databases"].items()
    }
    return {**state, "databases": databases, "snapshots": _taken(state)}


def _taken(state: dict[str, Any]) -> dict[str, Any]:
    """Return what each snapshot is of, but for those of copies that users have written to."""
    return {name: one["of"] for name, one in state["snapshots"].items() if "-served-" not in name}
