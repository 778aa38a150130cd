# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server gets logins of its own in its database, and other passwords, while users go on sending requests.

One deployment goes through all tests here, in their order. That each single call may fail or be the last one is shown
with stand-ins (test_database_logins.py of the unit tests).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import verbs
import yaml
from botocore.exceptions import ClientError
from conftest import QUICK
from examples import documented
from harness import SOFTWARE
from harness import LocalAws
from harness import eventually
from shapes import problems
from verbs import NAME
from verbs import RUNNING
from verbs import VerbsDeployment

pytestmark = pytest.mark.long
OWN = {"mlflow_db_alternating_logins": True}
LOGINS = {"secret": f"{NAME}/database-login", "master_secret": f"{NAME}/database"}
verbs.OPTIONS["rotate"] = {"module": "mlflow_database_logins", "state": "rotated", **LOGINS}
verbs.OPTIONS["rotate_master"] = {"module": "mlflow_database_logins", "state": "master_rotated", **LOGINS}
STEPS = ("step 1 of", "step 2 of", "step 3 of", "step 4 of", "step 5 of", "step 6 of")


class Requests:
    """Asks the server for what is in its database, all the time, and keeps what was no answer.

    Args:
        deployment: whose server.
    """

    def __init__(self, deployment: VerbsDeployment) -> None:
        self._url, self._session = deployment.url(), deployment.session()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answered = 0
        self.failed: list[str] = []

    def __enter__(self) -> Requests:
        self._thread.start()
        eventually(lambda: self.answered or self.failed, "an answer")
        return self

    def __exit__(self, *_given: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.is_set():
            try:
                made = self._session.post(
                    f"{self._url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, timeout=600
                )
                if made.status_code != 200:
                    self.failed.append(f"{made.status_code} {made.text[:200]}")
            except OSError as error:
                self.failed.append(str(error))
            self.answered += 1
            time.sleep(0.1)


class Database:
    """The instance, as seen with a password.

    Args:
        deployment: whose instance.
    """

    def __init__(self, deployment: VerbsDeployment) -> None:
        self.deployment = deployment
        self.manager = deployment.aws.client("secretsmanager")
        self._ec2 = deployment.aws.client("ec2")

    def login(self, secret: str = "database-login", stage: str = "AWSCURRENT") -> dict[str, str]:
        """A user and a password."""
        text = self.manager.get_secret_value(SecretId=f"{NAME}/{secret}", VersionStage=stage)["SecretString"]
        found: dict[str, str] = json.loads(text)
        return found

    def ask(self, login: dict[str, str], query: str) -> Any:
        """The rows, or the refusal as text."""
        [instance] = self.deployment.rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
        code = (
            "import json, psycopg2\ntry:\n c = psycopg2.connect('')\nexcept psycopg2.OperationalError as e:\n"
            " print(json.dumps(str(e)))\nelse:\n u = c.cursor()\n"
            f" u.execute({query!r})\n print(json.dumps(u.fetchall()))"
        )
        [python] = (SOFTWARE / "runtimes").glob("mlflow-3.17.2-full/bin/python")
        done = subprocess.run(
            [str(python), "-c", code],
            env={
                "PGHOST": instance["Endpoint"]["Address"],
                "PGPORT": str(instance["Endpoint"]["Port"]),
                "PGUSER": login["username"],
                "PGPASSWORD": login["password"],
                "PGDATABASE": "mlflow",
                "PGSSLMODE": "require",
                "PGCONNECT_TIMEOUT": "600",
            },
            capture_output=True,
            text=True,
            timeout=900,
            check=True,
        )
        return json.loads(done.stdout)

    def admits(self, login: dict[str, str]) -> bool:
        """Whether the password is the user's."""
        found = self.ask(login, "SELECT 1")
        assert found == [[1]] or "password authentication failed" in found, found
        return found == [[1]]

    def sessions(self) -> set[str]:
        """The users with other sessions in the server's database."""
        query = (
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'mlflow' AND usename IS NOT NULL"
            " AND pid <> pg_backend_pid()"
        )
        return {name for (name,) in self.ask(self.login("database"), query)}

    def owners(self) -> set[str]:
        """Of the tables."""
        query = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        return {name for (name,) in self.ask(self.login("database"), query)}

    def open(self) -> None:
        """Let this machine in, so that the tests can try passwords."""
        if not self._is_open():
            with contextlib.suppress(ClientError):  # the rule outlives the instance of a restore
                self._ec2.authorize_security_group_ingress(**self._rule())
            self._make_public(True)

    def close(self) -> None:
        """Leave the database as the roles have made it."""
        self._ec2.revoke_security_group_ingress(**self._rule())
        self._make_public(False)

    def _rule(self) -> dict[str, Any]:
        [group] = [one["VpcSecurityGroupId"] for one in self._instance()["VpcSecurityGroups"]]
        rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}
        return {"GroupId": group, "IpPermissions": [rule]}

    def _instance(self) -> dict[str, Any]:
        [found] = self.deployment.rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
        return dict(found)

    def _is_open(self) -> bool:
        return bool(self._instance()["PubliclyAccessible"]) and self._instance()["DBInstanceStatus"] == "available"

    def _make_public(self, public: bool) -> None:
        modify = self.deployment.rds.modify_db_instance
        modify(DBInstanceIdentifier=NAME, PubliclyAccessible=public, ApplyImmediately=True)

        def is_done() -> bool:
            found = self._instance()
            return found["PubliclyAccessible"] is public and found["DBInstanceStatus"] == "available"

        eventually(is_done, "the instance")


def came_to(process: subprocess.Popen, progress: Path, step: str) -> bool:
    """Whether a verb has come to a step, or to its end."""
    return step in progress.read_text(encoding="utf-8") or process.poll() is not None


@pytest.fixture(scope="module")
def deployment(software: None) -> Iterator[VerbsDeployment]:
    """A deployment whose server logs in as the master user."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        made = VerbsDeployment(aws)
        made.play("deploy").succeeded()
        yield made
    finally:
        aws.down()
        shutil.rmtree(home)


@pytest.fixture
def database(deployment: VerbsDeployment) -> Database:
    """Its database."""
    found = Database(deployment)
    found.open()
    return found


def test_server_without_logins_of_its_own_is_left_alone(deployment: VerbsDeployment) -> None:
    played = deployment.play("rotate_database_password")
    assert "There is no secret" in played.problem() or "as the master user" in played.problem()
    assert deployment.state() == RUNNING


def test_deployment_is_moved_over_while_it_serves(deployment: VerbsDeployment, database: Database) -> None:
    assert database.sessions() == database.owners() == {"mlflow"}
    given = deployment.aws.small(mlflow_name=NAME, **OWN)
    checked = deployment.aws.play("deploy", given, check=True).succeeded()
    assert checked.changed["localhost"] > 0 and database.owners() == {"mlflow"}
    database.close()
    with Requests(deployment) as requests:
        moved = deployment.play("deploy", **OWN).succeeded()
    assert requests.failed == [] and requests.answered > 0
    assert database.login()["password"] not in moved.output
    assert deployment.aws.play("deploy", given, check=True).succeeded().changed == {"localhost": 0}
    assert deployment.play("deploy", mlflow_full_converge=True, **OWN).succeeded().changed == {"localhost": 0}
    database.open()
    assert database.sessions() == {"mlflow_a"} and database.owners() == {"mlflow_owner"}


def test_password_is_rotated_without_a_failed_request(deployment: VerbsDeployment, database: Database) -> None:
    before = database.login()
    seen: list[bool] = []
    with Requests(deployment) as requests, deployment.begun("rotate") as (process, progress):
        for step in STEPS[1:5]:
            eventually(partial(came_to, process, progress, step), step)
            # The last look may come after the fifth step has ended.
            if step != STEPS[4]:
                seen.append(database.admits(before))
        result = verbs.result_of(process)
    assert result["changed"] and result["login"] == "mlflow_b", result
    assert seen == [True, True, True], "the former password works until no task uses it"
    assert requests.failed == []
    documentation = yaml.safe_load(documented("mlflow_database_logins", "RETURN"))
    assert list(problems(documentation, {key: one for key, one in result.items() if key != "invocation"})) == []
    after = database.login()
    assert after["username"] == "mlflow_b" and after["password"] != before["password"]
    assert (database.admits(before), database.admits(after)) == (False, True)
    assert database.sessions() == {"mlflow_b"}
    database.close()
    assert deployment.play("deploy", mlflow_full_converge=True, **OWN).succeeded().changed == {"localhost": 0}
    assert deployment.state() == RUNNING


@pytest.mark.parametrize("step", STEPS)
def test_rotation_that_was_killed_is_completed_by_the_next_run(
    deployment: VerbsDeployment, database: Database, step: str
) -> None:
    before = database.login()
    with Requests(deployment) as requests:
        deployment.kill_at("rotate", step)
        assert database.admits(database.login()), "a task that starts now can log in"
        completed = deployment.run("rotate")
        # The last step may be over by the time of the kill: the next run then has nothing left to do, or rotates again.
        assert completed["changed"] or step == STEPS[-1], completed
    after = database.login()
    assert after["username"] != before["username"] or step == STEPS[-1]
    assert after["password"] != before["password"]
    assert (database.admits(before), database.admits(after)) == (False, True)
    assert requests.failed == [] and deployment.state() == RUNNING


def test_master_user_gets_another_password(deployment: VerbsDeployment, database: Database) -> None:
    before, own = database.login("database"), database.login()
    with Requests(deployment) as requests:
        assert deployment.run("rotate_master")["changed"]
    after = database.login("database")
    assert (database.admits(before), database.admits(after)) == (False, True)
    assert database.login() == own and requests.failed == []


def test_playbooks_rotate_and_hide_passwords(deployment: VerbsDeployment, database: Database) -> None:
    for playbook, secret in (
        ("rotate_database_password", "database-login"),
        ("rotate_database_master_password", "database"),
    ):
        given = deployment.aws.small(mlflow_name=NAME)
        before = database.login(secret)
        checked = deployment.aws.play(playbook, given, check=True).succeeded()
        assert checked.changed["localhost"] == 1 and database.login(secret) == before
        played = deployment.aws.play(playbook, given).succeeded()
        after = database.login(secret)
        assert after != before and database.admits(after) and not database.admits(before)
        assert not [one for one in (before, after) if one["password"] in played.output]


def test_older_backup_is_restored_with_the_present_login(deployment: VerbsDeployment, database: Database) -> None:
    assert deployment.run("backup", backup_name="older")["changed"]
    of_then = database.login()
    assert deployment.run("rotate")["changed"]
    master = {"master_secret": f"{NAME}/database", "ca_path": deployment.aws.info["ca_bundle"]}
    restored = deployment.run("restore", backup="older", **master)
    assert restored["changed"], restored
    database.open()
    assert database.admits(database.login()) and not database.admits(of_then)
    assert database.sessions() == {database.login()["username"]}
    assert deployment.run("rotate")["changed"]


def test_nothing_is_left_after_destroy(deployment: VerbsDeployment) -> None:
    for one in deployment.rds.describe_db_instances()["DBInstances"]:
        if "-replaced-" in (name := one["DBInstanceIdentifier"]):
            confirmed = {"confirm": name, "ca_path": deployment.aws.info["ca_bundle"]}
            assert deployment.run("restore", **confirmed)["changed"]
    deployment.play("destroy").succeeded()
    found = deployment.aws.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    left = {one["Name"] for one in found if "DeletedDate" not in one}
    assert not {name for name in left if name.startswith(f"{NAME}/database")}
