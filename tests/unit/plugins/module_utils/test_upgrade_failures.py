# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade or a rollback that fails, or that another run overtakes, leaves, and what it says of that."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Upgrade
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.test_upgrade_rollback import roll_back
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.test_upgrade_rollback import upgraded
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.test_upgrade_steps import upgrade
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
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

COPY, REPLACED = "mlflow_before_3_17_2", "mlflow_replaced_261202075600"


def test_a_copy_that_cannot_be_dropped_does_not_keep_users_away() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: _raise(UserError("No capacity.")) if name in ("copy", "drop") else None
    with pytest.raises(UserError, match=f"Kept: .*perhaps the database {COPY}, which could not be dropped") as failed:
        upgrade(aws)
    assert (aws.image, aws.tasks, aws.tags) == (OLD, 1, {}) and aws.serves()
    assert "Undoing" not in str(failed.value) and f"{OLD} serves now, with 1 task." in str(failed.value)


def test_a_digest_that_cannot_be_read_takes_no_upgrade_back() -> None:
    aws = Aws()
    aws.describe_service_revisions = lambda **_sent: _raise(error("AccessDeniedException"))  # type: ignore[method-assign]
    upgrade(aws)
    assert (aws.image, aws.tasks, aws.tags) == (NEW, 1, {}) and aws.serves()


def test_a_rollback_that_fails_names_the_databases_as_they_are_called_then() -> None:
    aws = upgraded()
    answers: list[int] = []

    def at(_call: int, name: str, done: bool) -> None:
        if name == "answer" and not done:
            answers.append(1)
            if len(answers) == 1:
                raise UserError("The server does not answer.")

    aws.at = at
    with pytest.raises(UserError, match=r"Kept: the database mlflow_before_3_17_2 of before the upgrade") as failed:
        roll_back(aws)
    lost = aws.acknowledged - set(aws.databases["mlflow"].runs)
    assert lost <= set(aws.databases[COPY].runs) and f"has {len(lost)} runs that users wrote" in str(failed.value)
    assert REPLACED not in aws.databases and REPLACED not in str(failed.value)


@pytest.mark.parametrize("what", ["image", "note"])
def test_what_another_run_has_done_since_the_preflight_ends_it(what: str) -> None:
    aws = Aws()
    run = Upgrade(make_tools(aws), Request("3.17.2", NEW, "tracking", COMMANDS, DESCRIBED), wall=lambda: BEGUN)
    run.preflight()
    if what == "image":
        aws.image = "ghcr.io/mlflow/mlflow:v3.17.0-full"
    else:
        aws.tags["mlops.mlflow_aws:upgrade"] = "verb=upgrade to=3.17.2 from=3.16.1 begun=1 state=back"
    before = dict(aws.tags)
    with pytest.raises(UserError, match="has changed since this run looked"):
        run_steps(run.verb(), _lock(aws), Progress("tracking", path=""))
    assert aws.log == [] and aws.tags == before


def test_the_tag_of_a_stopped_server_says_that_an_upgrade_keeps_users_away() -> None:
    aws = Aws()
    aws.at = lambda _call, name, done: _raise(CutOff()) if name == "migrate" and done else None
    with pytest.raises(CutOff):
        upgrade(aws)
    stopped = markers.stopped(aws.tags)
    assert stopped and stopped.verb == "upgrade" and (stopped.least, stopped.most) == (1, 1)


def _lock(aws: Aws) -> lock.Lock:
    identity = lock.Identity("tracking", "upgrade", WHO, "unlock: true")
    return lock.Lock(aws, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]


def _raise(problem: BaseException) -> Any:
    raise problem
