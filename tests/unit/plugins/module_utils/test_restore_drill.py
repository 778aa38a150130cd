# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill leaves nothing and touches nothing, whatever happens; and what its program makes of the server's command."""

from __future__ import annotations

import json
import shlex
import urllib.parse
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import drill
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import drill_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import backup_source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import BEGUN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import OLD
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import WHO
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import Aws
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import CutOff
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake import manifest
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.restore_fake_tools import make_tools
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import no_waiting
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

BACKUP = backup_source("first", "tracking")
COPY = "tracking-drill-261123075600"
SERVER = (
    "umask 077 && exec mlflow server --backend-store-uri postgresql+psycopg2://mlflow@tracking.example.com:5432/mlflow"
    " --workers 1 --app-name basic-auth --artifacts-destination s3://bucket/ --host 0.0.0.0 --port 5000"
)


class DrilledAws(Aws):
    """One whose tasks are not run, but kept."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Any] = []
        self.server = SERVER

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        found = super().describe_express_gateway_service(serviceArn, include)
        container = found["service"]["activeConfigurations"][0]["primaryContainer"]
        container |= {
            "command": ["bash", "-c", self.server],
            "environment": [{"name": "PGSSLMODE", "value": "verify-full"}],
        }
        return found


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> DrilledAws:
    """A deployment."""
    made = DrilledAws()

    def start(_clients: Any, _deployment: Any, _service: Any, task: Any, _wait: Any) -> None:
        made.change("server", lambda: made.started.append(task))

    monkeypatch.setattr(drill.one_off_task, "run", start)
    return made


def run(aws: Aws) -> drill.Drill:
    """Drill it, under the lock, whoever had it."""
    one = drill.Drill(make_tools(aws), BACKUP, "tracking", "again", wall=lambda: BEGUN)
    identity = lock.Identity("tracking", drill.VERB, WHO, "unlock: true")
    run_lock = lock.Lock(aws, ARN, identity, make_waiter=no_waiting())  # type: ignore[arg-type]
    prepare(one.preflight, run_lock, lift=True)
    run_steps(one.verb(), run_lock, Progress("tracking", path=""), lift=True)
    return one


def test_a_backup_of_another_version_is_started_with_what_its_server_was_run_with(aws: DrilledAws) -> None:
    aws.backup = manifest(OLD)
    aws.backup["server"]["command"] = ["bash", "-c", SERVER.replace("--workers 1", "--old-option")]
    run(aws)
    [task] = [one for one in aws.started if one.purpose == "start the server"]
    assert task.image == OLD and task.environment["PLUGIN"] == OLD and "KEY" in task.secrets
    command = task.environment["SERVER_COMMAND"]
    assert "--old-option" in command and "tracking-drill-" in command and "@tracking.example.com" not in command


def reset(aws: DrilledAws) -> None:
    """Begin anew."""
    aws.__dict__.update(DrilledAws().__dict__)


def test_the_server_is_started_with_the_copy_and_nothing_else_is_touched(aws: DrilledAws) -> None:
    before, seen = aws.state(), {}

    def at(_call: int, name: str, done: bool) -> None:
        if name == "server" and done:
            seen.update(aws.databases[COPY])

    aws.at = at
    one = run(aws)
    assert aws.state() == before
    [task] = aws.started
    [_bash, _c, command] = json.loads(task.environment["SERVER_COMMAND"])
    assert f"@{COPY}.example.com:5432/mlflow" in command and "tracking.example.com" not in command
    assert task.environment["PGSSLMODE"] == "verify-full" and "PGPASSWORD" in task.secrets
    small = (False, False, 0, "a-made-up-present-password-0001")
    names = ("MultiAZ", "DeletionProtection", "BackupRetentionPeriod", "_password")
    assert tuple(seen[name] for name in names) == small
    assert "r1, no trace, no model version, no artifact" in drill.lines(one, "tracking", BACKUP)[3]


def test_whatever_fails_nothing_is_left(aws: DrilledAws) -> None:
    run(aws)
    for number in range(1, aws.calls + 1):
        reset(aws)
        before = aws.state()

        def at(call: int, _name: str, done: bool, last: int = number) -> None:
            if call == last and not done:
                raise error("InternalFailureOfATest")

        aws.at = at
        with pytest.raises(UserError, match="failed at step"):
            run(aws)
        assert aws.state() == before, (number, aws.log)


def test_what_a_killed_drill_has_left_is_deleted_by_the_next_one(aws: DrilledAws) -> None:
    run(aws)
    for number in range(1, aws.calls + 1):
        reset(aws)
        before = aws.state()

        def at(call: int, _name: str, done: bool, last: int = number) -> None:
            if call == last and done:
                raise CutOff

        aws.at = at
        with pytest.raises(CutOff):
            run(aws)
        aws.at = lambda *_what: None
        run(aws)
        assert aws.state() == before, (number, aws.log)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"experiments": 0}, "The server shows 0 experiments, and the table has 1 rows"),
        ({"run": ""}, "The server shows no run, and the table runs has some"),
    ],
)
def test_a_server_that_shows_less_than_there_is_fails_the_drill(
    aws: DrilledAws, shown: dict[str, Any], said: str
) -> None:
    aws.shown |= shown
    with pytest.raises(UserError, match=said):
        run(aws)
    assert list(aws.state()["databases"]) == ["tracking"]


def test_versions_that_were_deleted_are_mentioned(aws: DrilledAws) -> None:
    aws.counts["model_versions"] = 1
    assert "those in the table model_versions are deleted" in " ".join(run(aws).notes)


def test_a_server_that_does_not_name_its_database_is_not_started(aws: DrilledAws) -> None:
    aws.server = SERVER.replace("@tracking.example.com:5432/", "@elsewhere.example.com:5432/")
    with pytest.raises(UserError, match="does not name its database as tracking"):
        run(aws)
    assert aws.calls == 0


def test_keys_that_do_not_decrypt_fail_the_drill(aws: DrilledAws) -> None:
    aws.lost = 1
    with pytest.raises(UserError, match="1 of 2 secrets of webhooks cannot be decrypted"):
        run(aws)


def test_the_program_lets_the_server_listen_for_itself_alone() -> None:
    [_bash, _c, command] = drill_program.command(["bash", "-c", SERVER], 7001, with_login=True)
    words = shlex.split(command)
    assert words[-4:] == ["--host", "127.0.0.1", "--port", "7001"] and "basic-auth" in words
    [*_bash, command] = drill_program.command(["bash", "-c", SERVER], 7001, with_login=False)
    assert "--app-name" not in command and "--artifacts-destination s3://bucket/" in command
    with pytest.raises(drill_program.Unusable):
        drill_program.command(["bash", "-c", "exec mlflow server"], 7001, with_login=True)


class SeenServer(drill_program.Server):
    """Has sixty runs without artifacts, and a model whose run has one in a folder, or a prompt alone."""

    def __init__(self, has_model: bool = True) -> None:
        super().__init__(1, "", "")
        self.has_model = has_model

    def versions(self, chosen: str) -> list[dict[str, Any]]:
        """Prompts are left out unless they are asked for."""
        if "is_prompt" in chosen:
            return [{"name": "greeting", "version": "1"}]
        return [{"name": "churn", "version": "2", "run_id": "seed"}] if self.has_model else []

    def read(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        """What such a server answers."""
        what, _question, query = path.partition("?")
        given = dict(urllib.parse.parse_qsl(query))
        answers: dict[str, Any] = {
            "experiments/search": {"experiments": [{"experiment_id": "1"}]},
            "registered-models/search": {"registered_models": [{"name": "churn"}]},
            "runs/search": {"runs": [{"info": {"run_id": f"r{number}"}} for number in range(60)]},
            "runs/get": {"run": {"info": {"run_id": given.get("run_id")}}},
            "traces/search": {"traces": []},
            "model-versions/search": {"model_versions": self.versions(given.get("filter", ""))},
            "model-versions/get": {},
        }
        if what.endswith("artifacts/list"):
            in_folder = given.get("path") == "model"
            file = {"path": "model/MLmodel", "is_dir": False} if in_folder else {"path": "model", "is_dir": True}
            return json.dumps({"files": [file]} if given["run_id"] == "seed" else {}).encode()
        if what == "get-artifact":
            assert given == {"path": "model/MLmodel", "run_uuid": "seed"}
            return b"flavors: {}"
        return json.dumps(answers["/".join(what.split("/")[-2:])]).encode()


def test_the_program_reads_a_prompt_where_there_is_no_model() -> None:
    found = drill_program.read_all(SeenServer(has_model=False))
    assert (found["model_version"], found["artifact"]) == ("greeting/1", "")


def test_the_program_finds_the_artifact_of_a_model_whose_run_is_old() -> None:
    assert drill_program.read_all(SeenServer()) == {
        "experiments": 1,
        "registered_models": 1,
        "run": "r0",
        "trace": "",
        "model_version": "churn/2",
        "artifact": "seed/model/MLmodel",
    }
