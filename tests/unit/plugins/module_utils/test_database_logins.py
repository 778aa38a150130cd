# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation lets every task log in at any time, whatever fails, and wherever it is cut off."""

from __future__ import annotations

import copy
import itertools
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins import login_secret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import LoginSecret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import Note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import names_for
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.master_rotation import MasterRotation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Preparation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation import Rotation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.logins_fake import LOGIN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.logins_fake import MASTER
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.logins_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import Unhurried
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting

WHO = "arn:aws:iam::123456789012:user/ana"
OPTIONS: WaitOptions = Unhurried(timeout=100, delay=1)
REQUEST = Request("tracking", "mlflow", LOGIN, MASTER)


class CutOff(BaseException):
    """The process is gone: nothing is undone."""


def rotate(aws: Aws, kind: type[Rotation] | type[MasterRotation] = Rotation) -> Any:
    """Run the verb under the lock, which any run may have had."""
    clients: Any = lambda _service: aws  # noqa: E731
    identity = lock.Identity("tracking", "rotate_database_password", WHO, "unlock: true")
    run_lock = lock.Lock(aws, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]
    secret, master = (LoginSecret(aws, name, lambda _password: None) for name in (LOGIN, MASTER))  # type: ignore[arg-type]
    rotation = kind(
        clients,
        Target("tracking", "default", ARN, WHO),
        REQUEST,
        secret=secret,
        master=master,
        tasks=aws,  # type: ignore[arg-type]
        wait_options=OPTIONS,
        left=lambda: run_lock.left_behind(True),
    )
    prepare(rotation.preflight, run_lock, lift=True)
    run_steps(rotation.verb("again"), run_lock, Progress("tracking", path=""), lift=True)
    return rotation


def assert_rotated(aws: Aws, former: str = "mlflow_a", new: str = "mlflow_b") -> None:
    aws.check()
    assert aws.secrets[LOGIN].value()["username"] == new
    assert former not in aws.passwords and [one["login"]["username"] for one in aws.tasks] == [new]
    note = login_secret.note_of(aws.secrets[LOGIN].tags)
    assert note and note.state == login_secret.DONE and aws.tags == {}
    assert "AWSPENDING" not in aws.secrets[LOGIN].labels


def test_logins_take_turns() -> None:
    aws = Aws()
    aws.drains = 7
    before = aws.secrets[LOGIN].value()["password"]
    assert rotate(aws).is_done
    assert_rotated(aws)
    assert aws.secrets[LOGIN].value()["password"] != before
    assert rotate(aws).is_done
    assert_rotated(aws, "mlflow_b", "mlflow_a")


def test_former_password_is_taken_only_when_the_old_tasks_are_gone() -> None:
    aws = Aws()
    aws.drains = 9

    def assert_gone(_call: int, name: str, done: bool) -> None:
        if name == "retire" and not done:
            assert [one["login"]["username"] for one in aws.tasks] == ["mlflow_b"]
            assert aws.passwords["mlflow_a"] == "first-made-up-password"

    aws.at = assert_gone
    rotate(aws)
    assert aws.log.index("deploy") < aws.log.index("retire")


def calls(kind: type[Rotation] | type[MasterRotation]) -> range:
    aws = Aws()
    rotate(aws, kind)
    return range(1, aws.calls + 1)


PLACES = list(itertools.product(calls(Rotation), (False, True)))
PLACES_OF_MASTER = list(itertools.product(calls(MasterRotation), (False, True)))


@pytest.mark.parametrize(("call", "done"), PLACES)
def test_rotation_that_is_cut_off_is_completed_by_the_next_run(call: int, done: bool) -> None:
    aws = Aws()

    def cut(number: int, _name: str, is_done: bool) -> None:
        if (number, is_done) == (call, done):
            raise CutOff

    aws.at = cut
    with pytest.raises(CutOff):
        rotate(aws)
    aws.check()
    before = copy.deepcopy(aws.secrets[LOGIN].versions)
    aws.at = lambda _call, _name, _done: None
    rotate(aws)
    assert_rotated(aws)
    # A new password only where the run was cut off before the first was kept.
    assert len(aws.secrets[LOGIN].versions) == 2 or len(before) == 1


@pytest.mark.parametrize(("call", "done"), PLACES)
def test_rotation_that_fails_leaves_a_server_that_can_log_in(call: int, done: bool) -> None:
    aws = Aws()

    def fail(number: int, _name: str, is_done: bool) -> None:
        if (number, is_done) == (call, done):
            raise UserError("a test")

    aws.at = fail
    with pytest.raises(UserError, match="a test"):
        rotate(aws)
    aws.check()
    aws.at = lambda _call, _name, _done: None
    rotate(aws)
    aws.check()
    assert len({one["login"]["username"] for one in aws.tasks}) == 1 and len(aws.passwords) == 2


def test_failed_deployment_puts_the_secret_back() -> None:
    aws = Aws()
    aws.fails_to_deploy = True
    with pytest.raises(UserError, match="ended with ROLLBACK_SUCCESSFUL: a test") as error:
        rotate(aws)
    assert "The login mlflow_a is the current one, and works." in str(error.value)
    assert aws.secrets[LOGIN].value()["username"] == "mlflow_a"
    aws.fails_to_deploy = False
    rotate(aws)
    assert_rotated(aws)


def test_run_that_was_killed_at_its_very_end_leaves_nothing_to_do() -> None:
    aws = Aws()

    def cut(_call: int, name: str, done: bool) -> None:
        note = login_secret.note_of(aws.secrets[LOGIN].tags)
        if name == "note" and done and note and note.state == login_secret.DONE:
            raise CutOff

    aws.at = cut
    with pytest.raises(CutOff):
        rotate(aws)
    aws.at = lambda _call, _name, _done: None
    calls_before = aws.calls
    assert not rotate(aws).is_done and aws.calls == calls_before
    assert_rotated(aws)


def test_server_that_is_the_master_user_is_refused() -> None:
    aws = Aws()
    aws.own_login = False
    for kind in (Rotation, MasterRotation):
        with pytest.raises(UserError, match="as the master user"):
            rotate(aws, kind)
    assert aws.calls == 0


def test_secret_of_another_user_is_refused() -> None:
    aws = Aws()
    aws.secrets[LOGIN].versions["v0"]["username"] = "ana"
    with pytest.raises(UserError, match="names the user ana, which is neither of mlflow_a and mlflow_b"):
        rotate(aws)
    assert aws.calls == 0


# ---- the master user


@pytest.mark.parametrize(("call", "done"), PLACES_OF_MASTER)
@pytest.mark.parametrize("problem", [CutOff, UserError])
def test_master_password_is_rotated_whatever_happens(call: int, done: bool, problem: type[BaseException]) -> None:
    aws = Aws()

    def stop(number: int, _name: str, is_done: bool) -> None:
        if (number, is_done) == (call, done):
            raise problem("a test")

    aws.at = stop
    with pytest.raises(problem):
        rotate(aws, MasterRotation)
    aws.at = lambda _call, _name, _done: None
    rotate(aws, MasterRotation)
    master = aws.secrets[MASTER].value()
    assert aws.passwords["mlflow"] == master["password"] != "master-made-up-password"
    assert aws.secrets[LOGIN].value()["username"] == "mlflow_a" and len(aws.tasks) == 1


def test_rotations_do_not_overtake_each_other() -> None:
    aws = Aws()
    aws.secrets[LOGIN].tags[login_secret.NOTE_KEY] = Note(login_secret.DEPLOYING, "v1", "v0").text()
    with pytest.raises(UserError, match="complete it first, with the playbook rotate_database_password"):
        rotate(aws, MasterRotation)
    other = Aws()
    other.secrets[MASTER].versions["v1"] = {"username": "mlflow", "password": "another-made-up-password"}
    other.secrets[MASTER].labels["AWSPENDING"] = "v1"
    with pytest.raises(UserError, match="with the playbook rotate_database_master_password"):
        rotate(other)
    assert aws.calls == other.calls == 0


# ---- the first time


def test_logins_are_made_once() -> None:
    aws = Aws()
    aws.own_login = False
    aws.passwords.pop("mlflow_a")
    aws.tasks = []
    aws.secrets[LOGIN].versions["v0"].pop("username")
    clients: Any = lambda _service: aws  # noqa: E731

    def preparation() -> Preparation:
        secrets = [LoginSecret(aws, name, lambda _password: None) for name in (LOGIN, MASTER)]  # type: ignore[arg-type]
        where = Target("tracking", "default", ARN, WHO)
        return Preparation(clients, where, REQUEST, *secrets, tasks=aws)  # type: ignore[arg-type]

    assert preparation().is_needed()
    aws.check = lambda: None  # type: ignore[method-assign]
    preparation().run()
    del aws.check
    aws.check()
    assert aws.secrets[LOGIN].value()["username"] == "mlflow_a"
    preparation().run()
    assert len(aws.secrets[LOGIN].versions) == 2
    aws.own_login = True
    assert not preparation().is_needed()


# ---- names and notes


def test_note_survives_the_tag() -> None:
    note = Note(login_secret.DEPLOYING, "v1" * 18, "v0" * 18, "9876543210", datetime(2026, 12, 1, 8, 0, 1, tzinfo=UTC))
    assert login_secret.note_of({login_secret.NOTE_KEY: note.text()}) == note and len(note.text()) <= 256
    assert login_secret.note_of({}) is None
    damaged = login_secret.note_of({login_secret.NOTE_KEY: "state=done at=never"})
    assert damaged and damaged.at.year == 1970


def test_names_fit_into_postgresql() -> None:
    names = names_for("mlflow")
    assert (names.owner, names.logins) == ("mlflow_owner", ("mlflow_a", "mlflow_b"))
    assert names.other("mlflow_b") == "mlflow_a"
    names_for("x" * 57)
    with pytest.raises(UserError, match="too long a name"):
        names_for("x" * 58)
