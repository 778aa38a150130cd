# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_health as Ansible runs it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import botocore.stub
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_health
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import FakeMlflow
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import reply


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    server = FakeMlflow()
    yield server
    server.close()


def run(
    capsys: pytest.CaptureFixture[str],
    check_mode: bool = False,
    make_waiter: Callable[..., Waiter] = Waiter,
    **arguments: Any,
) -> dict[str, Any]:
    arguments.setdefault("delay", 1)
    with (
        patch_module_args({**arguments, "_ansible_check_mode": check_mode}),
        pytest.raises(SystemExit),
    ):
        mlflow_health.main(make_waiter)
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_ready(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, tracking_uri=fake.url + "/", check_artifacts=True, expected_version="v3.17.2")
    assert result["reason"] == "ready"
    assert result["changed"] is False
    assert result["version"] == "3.17.2"
    assert result["attempts"] == 1
    assert result["probe"].startswith("_probe/")
    assert fake.artifacts == {}


def test_check_mode_stores_nothing(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, True, tracking_uri=fake.url, check_artifacts=True, artifact_bucket="bucket")
    assert result["reason"] == "ready"
    assert result["artifacts_ok"] is True
    assert {method for method, _path in fake.calls} == {"GET"}


def test_failure_tells_reason_and_time(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    # A clock that only the pauses move, so that it does not count how slow this machine is.
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    make_waiter = functools.partial(Waiter, clock=lambda: now[0], sleep=sleep)
    fake.canned["GET", "/health"] = (503, {}, b"")
    result = run(capsys, make_waiter=make_waiter, tracking_uri=fake.url, wait_timeout=2)
    assert result["failed"]
    assert result["reason"] == "balancer_unavailable"
    assert result["attempts"] == 3
    assert f"MLflow at {fake.url} is not ready after 2 s (3 attempts)." in result["msg"]
    assert "no healthy server" in result["msg"]
    assert "The wait ended with wait_timeout, 2 s." in result["msg"]
    assert [entry["reason"] for entry in result["history"]] == ["balancer_unavailable"]


def test_not_waiting_in_vain(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake.login = ("admin", "a-long-password-nobody-uses")
    secret = "wrong-but-secret-all-the-same"
    result = run(capsys, tracking_uri=fake.url, username="admin", password=secret, patience=0, wait_timeout=600)
    assert result["reason"] == "login_rejected"
    assert result["attempts"] == 1
    assert "Waiting longer does not help" in result["msg"]
    assert secret not in json.dumps({key: value for key, value in result.items() if key != "invocation"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tracking_uri": "sqlite:///mlflow.db"}, "tracking_uri"),
        ({"ca_path": "/does/not/exist.pem"}, "ca_path"),
        ({"delay": 0}, "delay must be at least 1"),
        ({"wait_timeout": -1}, "wait_timeout must be"),
        ({"artifact_bucket": "bucket"}, "check_artifacts"),
        ({"username": "admin"}, "password"),
        ({"username": "admin", "password": "a-password", "token": "a-token"}, "mutually exclusive"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], words: str) -> None:
    result = run(capsys, **{"tracking_uri": "http://127.0.0.1:1", **arguments})
    assert result["failed"]
    assert words in result["msg"]


def s3(method: str, **arguments: Any) -> tuple[Any, botocore.stub.Stubber]:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a" * 20, aws_secret_access_key="b" * 40)
    stubber = botocore.stub.Stubber(client)
    if "service_error_code" in arguments:
        stubber.add_client_error("head_object", **arguments)
    else:
        stubber.add_response("head_object", {}, **arguments)
    stubber.activate()
    return client, stubber


@pytest.mark.parametrize(
    ("prefix", "key"), [("", "_probe/x"), ("mlflow", "mlflow/_probe/x"), ("/a/b/", "a/b/_probe/x")]
)
def test_probe_in_the_bucket(prefix: str, key: str) -> None:
    client, stubber = s3("head_object", expected_params={"Bucket": "bucket", "Key": key})
    mlflow_health.find_in_bucket(client, "bucket", prefix, "_probe/x")
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("status", "reason", "waiting_helps"),
    [(404, "artifacts_elsewhere", False), (403, "bucket_forbidden", True), (400, "bucket_error", True)],
)
def test_probe_not_in_the_bucket(status: int, reason: str, waiting_helps: bool) -> None:
    client, _stubber = s3("head_object", service_error_code=str(status), http_status_code=status)
    with pytest.raises(MlflowError) as caught:
        mlflow_health.find_in_bucket(client, "bucket", "", "_probe/x")
    assert (caught.value.reason, caught.value.waiting_helps) == (reason, waiting_helps)


def test_without_credentials() -> None:
    class Client:
        def head_object(self, **_arguments: Any) -> None:
            raise botocore.exceptions.NoCredentialsError

    with pytest.raises(MlflowError) as caught:
        mlflow_health.find_in_bucket(Client(), "bucket", "", "_probe/x")
    assert caught.value.reason == "bucket_error"


def test_the_bucket_is_asked_while_the_probe_is_there(
    fake: FakeMlflow, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    def find(_client: Any, bucket: str, prefix: str, name: str) -> None:
        seen.append((bucket, prefix, name in fake.artifacts))

    monkeypatch.setattr(mlflow_health, "find_in_bucket", find)
    result = run(
        capsys,
        tracking_uri=fake.url,
        check_artifacts=True,
        artifact_bucket="bucket",
        artifact_prefix="mlflow",
        region="us-east-1",
        access_key="AKIAMADEUPMADEUPMADE",
        secret_key="made-up-made-up-made-up-made-up-made-up-",
    )
    assert result["reason"] == "ready"
    assert seen == [("bucket", "mlflow", True)]


def uris(fake: FakeMlflow, location: str, source: str) -> None:
    """Tell what the server answers to the two attempts."""
    fake.canned["GET", "/api/2.0/mlflow/experiments/search"] = reply(
        {
            "experiments": [
                {"name": "Default", "experiment_id": "0", "artifact_location": "mlflow-artifacts:/0"},
                {"name": "odd", "experiment_id": "7", "artifact_location": "/etc"},
                {"name": "team", "experiment_id": "8", "artifact_location": "s3://team/x"},
            ]
        }
    )
    fake.canned["POST", "/api/2.0/mlflow/experiments/create"] = reply({"error_code": location}, 400)
    fake.canned["POST", "/api/2.0/mlflow/model-versions/create"] = reply({"error_code": source}, 400)
    run = "0123456789abcdef" * 2
    versions = [
        {"name": "good", "version": "1", "source": "models:/m-1", "run_id": ""},
        {"name": "good", "version": "2", "source": f"mlflow-artifacts:/1/{run}/artifacts/m", "run_id": run},
        {"name": "prompt", "version": "1", "source": "dummy-source"},
        {"name": "stolen", "version": "3", "source": f"mlflow-artifacts:/1/{run}/artifacts/m", "run_id": "other"},
        {"name": "bucket", "version": "4", "source": "s3://other/x"},
        {"name": "shared", "version": "5", "source": "s3://shared/x"},
    ]
    fake.canned["GET", "/api/2.0/mlflow/model-versions/search"] = reply({"model_versions": versions})


def test_what_users_named_before_is_found(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    uris(fake, "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE")
    allowed: dict[str, Any] = {"allowed_artifact_locations": ["s3://team/"], "allowed_model_sources": ["s3://shared/"]}
    result = run(capsys, tracking_uri=fake.url, check_uris=True, **allowed)
    assert [(one["kind"], one["name"]) for one in result["foreign_uris"]] == [
        ("experiment", "odd"),
        ("model version", "stolen 3"),
        ("model version", "bucket 4"),
    ]


@pytest.mark.parametrize(
    ("location", "source", "words"),
    [
        ("RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "accepts an experiment with any artifact_location, so"),
        ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "accepts a model version with any source, so"),
    ],
)
def test_a_server_that_accepts_any_place_fails(
    fake: FakeMlflow, capsys: pytest.CaptureFixture[str], location: str, source: str, words: str
) -> None:
    uris(fake, location, source)
    result = run(capsys, tracking_uri=fake.url, check_uris=True)
    assert result["reason"] == "uris_accepted"
    assert words in result["msg"]


def test_a_login_that_may_not_try_finds_nothing_out(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    uris(fake, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert run(capsys, tracking_uri=fake.url, check_uris=True)["reason"] == "ready"
    fake.calls.clear()
    assert run(capsys, True, tracking_uri=fake.url, check_uris=True)["reason"] == "ready"
    assert {method for method, _path in fake.calls} == {"GET"}


def test_the_default_administrator_is_refused_with_any_other_login(
    fake: FakeMlflow, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.login = ("ours", "a-made-up-password")
    login: dict[str, Any] = {"username": "ours", "password": "a-made-up-password"}
    assert run(capsys, tracking_uri=fake.url, check_default_login=True, **login)["reason"] == "ready"


def test_a_server_that_lets_the_default_administrator_in_fails(
    fake: FakeMlflow, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(capsys, tracking_uri=fake.url, check_default_login=True)
    assert result["reason"] == "default_login_accepted"
    assert result["msg"].startswith(f"{fake.url} lets in MLflow's public default administrator, admin with")


def test_an_answer_to_the_default_administrator_that_tells_nothing_fails(
    fake: FakeMlflow, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.canned["GET", "/api/2.0/mlflow/experiments/search"] = reply({"message": "later"}, 500)
    result = run(capsys, tracking_uri=fake.url, check_default_login=True, check_database=False, wait_timeout=0)
    assert (result["reason"], "answers HTTP 500" in result["msg"]) == ("unexpected_answer", True)
