# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade that fails, or is cut off, at every single call that changes something: undone, or gone on with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Upgrade
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import BEGUN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import COMMANDS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import DESCRIBED
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import GIB
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import NEW
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import OLD
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import WHO
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import CutOff
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.upgrade_fake import make_tools
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting

COPY = "mlflow_before_3_17_2"
SNAPSHOT = "tracking-before-3-17-2-261201075600"


def upgrade(aws: Aws, version: str = "3.17.2", image: str = NEW, instance: str = "tracking", day: int = 0) -> str:
    """Upgrade it; return what the version was compared with the one that ran."""
    request = Request(version, image, instance, COMMANDS, DESCRIBED)
    run = Upgrade(make_tools(aws), request, wall=lambda: BEGUN + timedelta(days=day))
    found = run.preflight()
    if found != note.SAME:
        identity = lock.Identity("tracking", "upgrade", WHO, "unlock: true")
        run_lock = lock.Lock(aws, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]
        run_steps(run.verb(), run_lock, Progress("tracking", path=""), lift=True)
    return found


def assert_upgraded(aws: Aws, about: object = "") -> None:
    """The new version serves everything that was acknowledged, and nothing is left of the run but what is kept."""
    assert (aws.image, aws.tasks, aws.tags) == (NEW, 1, {}), about
    assert aws.serves() and aws.acknowledged <= set(aws.databases["mlflow"].runs), about
    assert aws.databases[COPY].image == OLD, about


def assert_as_before(aws: Aws, about: object = "") -> None:
    """The old version serves on its tables, and nothing is marked."""
    assert (aws.image, aws.tasks, aws.tags) == (OLD, 1, {}), about
    assert aws.serves() and COPY not in aws.databases, about


def whole() -> int:
    """How many calls an upgrade makes that nothing disturbs."""
    aws = Aws()
    upgrade(aws)
    return aws.calls


def test_the_new_version_serves_all_that_was_written_and_the_former_tables_are_kept() -> None:
    aws = Aws()
    assert upgrade(aws) == note.NEWER
    assert_upgraded(aws)
    assert aws.databases[COPY].facts == {
        "stamp": "261201075600",
        "version": "3.16.1",
        "image": OLD,
        "revision": "0",
        "to": "3.17.2",
    }
    assert aws.snapshots[SNAPSHOT] == aws.databases[COPY].runs
    calls = aws.calls
    assert upgrade(aws) == note.SAME and aws.calls == calls


def test_a_command_that_the_variables_do_not_describe_stops_it_before_anything_is_changed() -> None:
    aws = Aws()
    aws.command = ["serve", "with OpenID Connect"]
    with pytest.raises(
        UserError, match=r"another command .* than 3\.16\.1 does.* the variables that it was deployed with"
    ):
        upgrade(aws)
    assert aws.log == [] and aws.tags == {}


def test_a_revision_that_ecs_has_forgotten_leaves_the_image_to_go_back_to() -> None:
    aws = Aws()
    aws.at = _fail_at_name("answer", False)
    aws.describe_service_revisions = lambda **_sent: {"serviceRevisions": []}  # type: ignore[method-assign]
    with pytest.raises(UserError, match="failed at step"):
        upgrade(aws)
    assert aws.image == OLD and aws.tasks == 1


def test_a_database_of_the_users_own_has_the_copy_only() -> None:
    aws = Aws()
    upgrade(aws, instance="")
    assert_upgraded(aws)
    assert aws.snapshots == {}


def test_a_failure_of_any_call_brings_the_old_version_back_and_the_next_run_succeeds() -> None:
    for number in range(1, whole() + 1):
        aws = Aws()
        aws.at = _fail_at(number)
        with pytest.raises(UserError, match="failed at step") as failure:
            upgrade(aws)
        assert_as_before(aws, (number, aws.log))
        assert f"{OLD} serves now, with 1 task." in str(failure.value)
        lost = aws.acknowledged - set(aws.databases["mlflow"].runs)
        # Only what was written to the new version itself, and that is kept and said.
        aside = next((one for name, one in aws.databases.items() if name.startswith("mlflow_failed_")), None)
        assert not lost or (aside and lost <= set(aside.runs) and f"{len(lost)} runs" in str(failure.value)), number
        upgrade(aws, day=1)
        assert aws.image == NEW and aws.serves() and aws.tags == {}, number


def test_before_users_are_let_in_a_failure_loses_nothing_at_all() -> None:
    steps = [name for name in _log() if name in ("snapshot", "copy", "migrate")]
    assert steps == ["snapshot", "copy", "migrate"]
    for step in steps:
        for when in (False, True):
            aws = Aws()
            aws.at = _fail_at_name(step, when)
            with pytest.raises(UserError):
                upgrade(aws)
            assert_as_before(aws, (step, when))
            assert aws.acknowledged <= set(aws.databases["mlflow"].runs), (step, when)


@pytest.mark.parametrize("done", [False, True])
def test_a_run_that_was_cut_off_anywhere_is_completed(done: bool) -> None:
    for number in range(1, whole() + 1):
        aws = Aws()
        aws.at = _cut_off_at(number, done)
        with pytest.raises(CutOff):
            upgrade(aws)
        upgrade(aws, day=1)
        if COPY in aws.databases or aws.image != NEW:
            assert_upgraded(aws, (number, aws.log))


def test_a_way_back_that_was_cut_off_is_completed_and_the_upgrade_begun_anew() -> None:
    for number in range(1, whole() + 1):
        for later in range(1, 12):
            aws = Aws()
            failing = _fail_at(number)

            def at(call: int, name: str, done: bool, failing: Any = failing, last: int = number + later) -> None:
                failing(call, name, done)
                if call == last and not done:
                    raise CutOff

            aws.at = at
            with pytest.raises((CutOff, UserError)):
                upgrade(aws)
            aws.at = lambda *_what: None
            upgrade(aws, day=1)
            assert_upgraded_but_for_what_the_new_version_lost(aws, (number, later, aws.log))


def assert_upgraded_but_for_what_the_new_version_lost(aws: Aws, about: object) -> None:
    """All that was acknowledged is in the live database, or in one that was put aside."""
    assert (aws.image, aws.tasks, aws.tags) == (NEW, 1, {}), about
    kept = {run for name, one in aws.databases.items() if name != COPY for run in one.runs}
    assert aws.serves() and aws.acknowledged <= kept, about


def test_a_new_version_that_does_not_start_leaves_the_old_one_serving_everything() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: aws.starts.discard(NEW) if name == "migrate" and done else None
    with pytest.raises(UserError, match="The server does not answer"):
        upgrade(aws)
    assert_as_before(aws)
    assert aws.acknowledged <= set(aws.databases["mlflow"].runs)
    assert aws.databases["mlflow_failed_261201075600"].image == NEW


def test_an_image_that_cannot_work_stops_it_before_the_server_does() -> None:
    aws = Aws()
    aws.starts = {OLD}
    with pytest.raises(UserError, match="The task did not start"):
        upgrade(aws)
    assert aws.log == ["answer"] or "update service" not in aws.log


def test_too_little_storage_stops_it_before_the_server_does() -> None:
    aws = Aws()
    aws.size = 8 * GIB
    with pytest.raises(UserError, match="give it 23 GiB or more"):
        upgrade(aws)
    assert "update service" not in aws.log and aws.tags == {}


def test_a_full_quota_of_snapshots_stops_it_before_the_server_does() -> None:
    aws = Aws()
    aws.quota = 99
    with pytest.raises(UserError, match=r"has 99 manual snapshots .* its quota is 99"):
        upgrade(aws)
    assert aws.log == [] and aws.tags == {}
    aws.quota = 100
    upgrade(aws)
    assert_upgraded(aws)


def test_a_database_of_the_users_own_needs_no_quota_of_snapshots() -> None:
    aws = Aws()
    aws.quota = 0
    upgrade(aws, instance="")
    assert_upgraded(aws)


def test_a_server_that_this_machine_does_not_reach_stops_it_before_anything_is_begun() -> None:
    aws = Aws()
    aws.is_reachable = False
    with pytest.raises(UserError, match="does not answer to this machine"):
        upgrade(aws)
    assert aws.log == [] and aws.tags == {}


def test_an_upgrade_that_was_cut_off_is_completed_though_the_server_does_not_answer() -> None:
    aws = Aws()
    aws.at = _cut_off_at_name("copy")
    with pytest.raises(CutOff):
        upgrade(aws)
    aws.at, aws.is_reachable = lambda *_what: None, False
    upgrade(aws, day=1)
    assert_upgraded(aws)


def test_a_downgrade_is_refused_with_the_way_out() -> None:
    aws = Aws()
    aws.image = NEW
    with pytest.raises(UserError, match=r"runs MLflow 3\.17\.2, which is newer than 3\.16\.1.*run rollback"):
        upgrade(aws, "3.16.1", OLD)
    assert aws.log == []


def test_another_upgrade_waits_for_one_that_was_cut_off() -> None:
    aws = Aws()
    aws.at = _cut_off_at_name("migrate")
    with pytest.raises(CutOff):
        upgrade(aws)
    with pytest.raises(UserError, match=r"Complete it first, with upgrade to 3\.17\.2"):
        upgrade(aws, "3.18.0", "ghcr.io/mlflow/mlflow:v3.18.0-full")


def test_a_deployment_that_began_just_before_the_lock_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws()
    written = aws.set_tags

    def write(new: dict[str, str]) -> None:
        written(new)
        aws.deployment = "IN_PROGRESS"

    monkeypatch.setattr(aws, "set_tags", write)
    with pytest.raises(UserError, match="A deployment of the service 'tracking' is IN_PROGRESS"):
        upgrade(aws)
    assert aws.log == [] and aws.tags == {}


def test_a_deployment_that_was_stopped_is_left_alone() -> None:
    aws = Aws()
    aws.tags["mlops.mlflow_aws:stopped"] = "since=2026-11-23T07:00:00Z min=1 max=1"
    with pytest.raises(UserError, match="start it first"):
        upgrade(aws)
    assert aws.log == []


@pytest.mark.parametrize(
    ("running", "wanted", "found"),
    [
        ("3.16.1", "3.17.2", note.NEWER),
        ("3.9.0", "3.17.2", note.NEWER),
        ("3.17.2", "3.17.2", note.SAME),
        ("3.17.2", "3.9.9", note.OLDER),
        ("", "3.17.2", note.UNKNOWN),
    ],
)
def test_versions_are_compared_as_numbers(running: str, wanted: str, found: str) -> None:
    assert note.compare(running, wanted) == found


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/mlflow/mlflow:v3.17.2-full", "3.17.2"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/ghcr/mlflow/mlflow:v3.17.2", "3.17.2"),
        ("registry.example.com/own-mlflow:v3.17.2", ""),
        ("ghcr.io/mlflow/mlflow:latest", ""),
    ],
)
def test_only_the_tag_of_mlflows_own_image_is_a_version(image: str, version: str) -> None:
    assert note.version_of_image(image) == version


def test_a_note_is_what_its_tags_say() -> None:
    one = note.Note("3.17.2", "3.16.1", OLD, "261201075600", note.MIGRATING, from_revision="4980306466373577095")
    other = note.Note("3.16.1", "3.17.2", NEW, "261201075600", note.BACK, note.ROLLBACK, OLD, "49", "48")
    assert note.note_of(one.tags()) == one and note.note_of(other.tags()) == other and note.note_of({}) is None
    assert set(other.tags()) == set(note.KEYS)


def _log() -> list[str]:
    aws = Aws()
    upgrade(aws)
    return aws.log


def _fail_at(number: int) -> Any:
    def at(call: int, _name: str, done: bool) -> None:
        if call == number and not done:
            raise error_of_a_test()

    return at


def _fail_at_name(wanted: str, when: bool) -> Any:
    def at(_call: int, name: str, done: bool) -> None:
        if name == wanted and done is when:
            raise error_of_a_test()

    return at


def _cut_off_at(number: int, wanted: bool) -> Any:
    def at(call: int, _name: str, done: bool) -> None:
        if call == number and done is wanted:
            raise CutOff

    return at


def _cut_off_at_name(wanted: str) -> Any:
    def at(_call: int, name: str, done: bool) -> None:
        if name == wanted and done:
            raise CutOff

    return at


def error_of_a_test() -> UserError:
    """What any call may answer with."""
    return UserError("A failure of a test.")
