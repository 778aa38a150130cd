# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: one line of JSON, idempotent, leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from running import PACKAGE
from running import LocalAws
from running import eventually
from running import marked_processes

Maker = Callable[..., LocalAws]
NOBODY = 65534


def test_up_says_everything_in_one_line(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    info = aws.up()
    assert set(info) >= {
        "changed",
        "pid",
        "endpoint_url",
        "region",
        "account_id",
        "access_key_id",
        "secret_access_key",
        "ca_bundle",
        "home",
        "version",
    }
    assert info["changed"] is True
    assert info["endpoint_url"].startswith("https://127.0.0.1:")
    assert Path(info["ca_bundle"]).read_text(encoding="ascii").startswith("-----BEGIN CERTIFICATE-----")
    assert aws.client("sts").get_caller_identity()["Account"] == info["account_id"]


def test_a_second_up_changes_nothing(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    first = aws.up()
    second = aws.json("up")
    assert second == {**first, "changed": False}


def test_a_daemon_of_other_code_is_started_anew_and_keeps_its_state(new_local_aws: Maker) -> None:
    """An update of the package under a daemon that runs: it would look for its own files where they were."""
    aws = new_local_aws()
    first = aws.up()
    aws.client("s3").create_bucket(Bucket="kept")
    (aws.home / "daemon.source").write_text("of another version", encoding="utf-8")
    second = aws.up()
    assert second["changed"] is True
    assert second["pid"] != first["pid"]
    assert [one["Name"] for one in aws.client("s3").list_buckets()["Buckets"]] == ["kept"]
    assert aws.up()["changed"] is False
    # A daemon from before there was this file.
    (aws.home / "daemon.source").unlink()
    assert aws.up()["changed"] is True


def test_down_leaves_no_process_and_no_port(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    aws.up()
    assert aws.json("status")["running"] is True
    assert aws.down() == {"changed": True}
    aws.assert_gone()
    assert aws.json("status")["running"] is False
    assert aws.down() == {"changed": False}


def test_a_home_keeps_its_port_settings_and_credentials(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    first = aws.up("--region", "eu-central-1", "--account", "210987654321")
    aws.down()
    second = aws.json("up")
    for name in ("endpoint_url", "region", "account_id", "access_key_id", "secret_access_key", "changed"):
        assert second[name] == first[name]
    assert aws.json("status")["scale"] == 600


def test_wipe_deletes_the_state_but_not_the_runtimes(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    aws.up()
    aws.client("s3").create_bucket(Bucket="to-be-wiped")
    (aws.home / "runtimes").mkdir(exist_ok=True)
    (aws.home / "runtimes" / "kept").write_text("kept", encoding="ascii")
    (aws.home / "not-ours").write_text("kept", encoding="ascii")
    assert aws.down("--wipe") == {"changed": True}
    left = {path.name for path in aws.home.iterdir()} - {"command.lock", "daemon.lock"}
    assert left == {"runtimes", "not-ours"}
    assert aws.down("--wipe") == {"changed": False}
    aws.up()
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_credentials_are_readable_by_their_owner_alone_and_in_no_log(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    info = aws.up()
    mode = stat.S_IMODE((aws.home / "credentials.json").stat().st_mode)
    assert mode == 0o600
    assert info["secret_access_key"] not in aws.log()
    for process in marked_processes(aws.home):
        assert info["secret_access_key"] not in " ".join(process.cmdline())
    others = new_local_aws().up()
    assert others["secret_access_key"] != info["secret_access_key"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--account", "12"], "--account"),
        (["--region", "nowhere"], "--region"),
        (["--scale", "0"], "--scale"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_starts_nothing(
    new_local_aws: Maker, arguments: list[str], named: str
) -> None:
    aws = new_local_aws()
    done = aws.run("up", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not marked_processes(aws.home)


def test_another_account_is_refused_as_long_as_there_is_state(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    aws.up()
    aws.down()
    done = aws.run("up", "--account", "999999999999")
    assert done.returncode == 1
    assert "holds the state of account 123456789012" in done.stderr


def test_the_users_own_aws_environment_and_proxy_do_not_matter(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    dead = "http://127.0.0.1:9"
    foreign = {
        "AWS_ACCESS_KEY_ID": "AKIAFOREIGNFOREIGN00",
        "AWS_SESSION_TOKEN": "foreign",
        "AWS_PROFILE": "no-such-profile",
        "AWS_ENDPOINT_URL": dead,
        "HTTP_PROXY": dead,
        "http_proxy": dead,
        "HTTPS_PROXY": dead,
        "LOCALSTACK_PERSISTENCE": "1",
    }
    aws.up(environment=foreign)
    assert aws.client("sts").get_caller_identity()["Arn"].endswith(":root")
    assert aws.json("status", environment=foreign)["running"] is True


def test_a_daemon_that_cannot_start_says_why(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    aws.up()
    other = new_local_aws()
    done = other.run("up", "--port", str(aws.port))
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert not marked_processes(other.home)


def test_faults_are_ordered_listed_and_cancelled(local_aws: LocalAws) -> None:
    ordered = local_aws.json("faults", "--order", '{"what": "sqs:ListQueues", "times": 2}')["faults"][-1]
    assert ordered["what"] == "sqs:ListQueues"
    listed = local_aws.json("faults")
    assert ordered in listed["faults"]
    assert "tasks:Capacity" in listed["events"]
    assert ordered not in local_aws.json("faults", "--cancel", ordered["id"])["faults"]
    local_aws.json("faults", "--order", '{"what": "sqs:ListQueues"}')
    assert local_aws.json("faults", "--cancel-all")["faults"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--order", '{"what": "task:Capacity"}'], 1, "task:Capacity never happens"),
        (["--order", "tasks:Capacity"], 2, "is not JSON"),
        (["--cancel", "nothing"], 1, "No fault nothing is ordered"),
        (["--cancel", "one", "--cancel-all"], 2, "not allowed with argument"),
    ],
)
def test_a_wrong_order_is_refused_with_a_reason(
    local_aws: LocalAws, arguments: list[str], code: int, said: str
) -> None:
    done = local_aws.run("faults", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_calls_are_listed_until_they_are_cleared(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    aws.up()
    aws.client("sqs").list_queues()
    told = aws.json("calls")
    assert told["counts"]["sqs:ListQueues"] == 1
    assert told["calls"][-1]["api"] == "sqs:ListQueues"
    assert aws.json("calls", "--clear") == {"counts": {}, "calls": []}


def test_commands_that_need_a_daemon_say_so(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    for verb in ("faults", "calls", "env"):
        done = aws.run(verb)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"No local AWS runs in {aws.home}: start it first.\n"


_CALLER = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'], boto3.client('s3').meta.region_name)"


def test_a_shell_that_evaluates_env_reaches_it_without_keys_in_its_environment(local_aws: LocalAws) -> None:
    exported = local_aws.run("env").stdout
    assert local_aws.info["secret_access_key"] not in exported
    foreign = {
        "AWS_ACCESS_KEY_ID": "AKIAFOREIGNFOREIGN00",
        "AWS_SECRET_ACCESS_KEY": "foreign",
        "AWS_SESSION_TOKEN": "foreign",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "example.org",
    }
    script = f'{exported}\necho "$NO_PROXY"; "$0" -c "$1"'
    done = subprocess.run(
        ["sh", "-euc", script, sys.executable, _CALLER],
        env={**os.environ, **foreign},
        capture_output=True,
        text=True,
        check=True,
    )
    proxies, caller = done.stdout.splitlines()
    assert proxies == "example.org,localhost,.localhost,127.0.0.1,::1"
    assert caller == f"arn:aws:iam::{local_aws.account_id}:root {local_aws.info['region']}"


def test_the_home_has_a_command_that_needs_neither_its_path_nor_an_installation(
    new_local_aws: Maker, tmp_path: Path
) -> None:
    aws = new_local_aws(tmp_path / "it's $HOME; a folder")
    info = aws.up()
    assert info["command"] == str(aws.home / "local-aws")

    def told(*arguments: str) -> dict[str, object]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [info["command"], *arguments], env=kept, cwd="/", capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    assert told("status")["pid"] == info["pid"]
    assert told("down") == {"changed": True}
    assert told("up") == {**info, "pid": told("status")["pid"]}


def test_two_ups_at_once_start_one_daemon(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    python = os.environ.get("LOCAL_AWS_PYTHON", sys.executable)
    arguments = [python, "-m", "local_aws", "up", "--home", str(aws.home)]
    package = str(PACKAGE)
    both = [
        subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": package}, stdout=subprocess.PIPE, text=True)
        for _unused in range(2)
    ]
    answers = [json.loads(process.communicate(timeout=1800)[0]) for process in both]
    assert {answer["changed"] for answer in answers} == {True, False}
    assert answers[0]["pid"] == answers[1]["pid"]


def test_kill_9_is_noticed_and_state_and_objects_survive(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    first = aws.up()
    aws.client("s3").create_bucket(Bucket="survives-a-kill")
    aws.client("s3").put_object(Bucket="survives-a-kill", Key="folder/ä.txt", Body=b"still here")
    aws.client("secretsmanager").create_secret(Name="survives", SecretString="quiet")
    aws.client("iam").create_user(UserName="survivor")
    # One file per service, written one after the other: each is waited for.
    eventually(lambda: "survivor" in _saved(aws, "iam"), what="the users on disk")
    eventually(lambda: "survives" in _saved(aws, "secretsmanager"), what="the secrets on disk")
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: not marked_processes(aws.home), what="the end of all processes")
    second = aws.up()
    assert second["changed"] is True
    assert second["pid"] != first["pid"]
    assert second["endpoint_url"] == first["endpoint_url"]
    assert aws.client("s3").get_object(Bucket="survives-a-kill", Key="folder/ä.txt")["Body"].read() == b"still here"
    assert aws.client("secretsmanager").get_secret_value(SecretId="survives")["SecretString"] == "quiet"
    assert aws.client("iam").get_user(UserName="survivor")["User"]["UserName"] == "survivor"
    assert Path(second["ca_bundle"]).read_bytes() == Path(first["ca_bundle"]).read_bytes()


def _saved(aws: LocalAws, service: str) -> str:
    path = aws.home / "state" / "ministack" / f"{service}.json"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_an_orphan_is_swept_at_the_next_up(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    aws.up()
    orphan = subprocess.Popen(
        ["sleep", "600"], env={"LOCAL_AWS_OWNER": f"{aws.home}#task/orphan", "PATH": os.environ["PATH"]}
    )
    aws.kill()
    aws.up()
    assert orphan.wait(timeout=1800) == -signal.SIGKILL


def _as_nobody() -> tuple[list[str], dict[str, str]]:
    """How nobody runs this interpreter; where it lies in a folder that is closed to others, the system's instead."""
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    wanted = os.environ.get("LOCAL_AWS_PYTHON", sys.executable)
    libraries = sysconfig.get_path("purelib")
    # Once more below itself: the daemon is started by the command, shims by the daemon.
    again = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'import ministack, uv']))"
    for python in (wanted, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        environment = {"PYTHONPATH": f"{PACKAGE}:{libraries}"}
        if (
            python
            and not subprocess.run(
                [*drop, python, "-c", again],
                env={**os.environ, **environment},
                cwd="/",
                capture_output=True,
                check=False,
            ).returncode
        ):
            return [*drop, python], environment
    pytest.fail(f"Nobody can run {wanted} or the system's {version}: make the folder readable for others.")


@pytest.mark.skipif(sys.platform != "linux", reason="setpriv is Linux's")
def test_it_works_without_root(new_local_aws: Maker) -> None:
    if os.geteuid() != 0:
        aws = new_local_aws()
        aws.up()
        assert aws.json("status")["running"] is True
        return
    command, environment = _as_nobody()
    home = Path(tempfile.mkdtemp(prefix="local-aws-nobody-"))
    os.chown(home, NOBODY, NOBODY)
    aws = new_local_aws(home / "home", command=command, environment=environment)
    try:
        info = aws.up()
        assert os.stat(f"/proc/{info['pid']}").st_uid == NOBODY
        aws.client("s3").create_bucket(Bucket="owned-by-nobody")
        assert aws.down("--wipe") == {"changed": True}
        aws.assert_gone()
    finally:
        shutil.rmtree(home)
