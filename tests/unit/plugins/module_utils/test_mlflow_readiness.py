# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a server ready, and how long each cause is waited for."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import PROBE_FOLDER
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import Questions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import Waiting
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import check_server
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import wait_until_ready
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import ARTIFACTS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import INVALID_HOST
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import FakeMlflow
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import reply

SERVER_INFO = ("GET", "/api/3.0/mlflow/server-info")
SEARCH = ("GET", "/api/2.0/mlflow/experiments/search")
HTML = (200, {"Content-Type": "text/html"}, b"<html>Welcome to nginx!</html>")
FORBIDDEN_HOST: tuple[int, dict[str, str], bytes] = (403, {}, INVALID_HOST.encode())


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    server = FakeMlflow()
    yield server
    server.close()


def check(fake: FakeMlflow, questions: Questions | None = None, **login: str) -> dict[str, Any]:
    return check_server(Client(Connection(fake.url, **login)), questions or Questions())  # type: ignore[arg-type]


def reason(fake: FakeMlflow, questions: Questions | None = None, **login: str) -> tuple[str, bool]:
    with pytest.raises(MlflowError) as caught:
        check(fake, questions, **login)
    assert caught.value.message.strip()
    return caught.value.reason, caught.value.waiting_helps


def test_ready(fake: FakeMlflow) -> None:
    result = check(fake, Questions(artifacts=True, expected_version="3.17.2"))
    assert result["version"] == "3.17.2"
    assert result["latency_ms"] > 0
    assert result["database_ok"] is result["artifacts_ok"] is True
    assert result["store_type"] == "SqlStore"
    assert fake.artifacts == {}


def test_the_body_of_health_does_not_count(fake: FakeMlflow) -> None:
    fake.canned["GET", "/health"] = reply({"status": "ok"})
    assert check(fake)["version"] == "3.17.2"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_balancer_without_a_server(fake: FakeMlflow, status: int) -> None:
    fake.canned["GET", "/health"] = (status, {"Server": "awselb/2.0"}, b"<html>Service Temporarily Unavailable</html>")
    assert reason(fake) == ("balancer_unavailable", True)


@pytest.mark.parametrize("status", [404, 500])
def test_health_that_is_not_200(fake: FakeMlflow, status: int) -> None:
    fake.canned["GET", "/health"] = (status, {}, b"")
    assert reason(fake) == ("unhealthy", True)


def test_login_page_in_front(fake: FakeMlflow) -> None:
    fake.canned["GET", "/health"] = (302, {"Location": "https://login.example.org"}, b"")
    assert reason(fake) == ("redirected", False)


def test_host_not_allowed_although_health_and_version_answer(fake: FakeMlflow) -> None:
    # MLflow exempts /health and /version from the host check.
    fake.canned[SERVER_INFO] = fake.canned[SEARCH] = FORBIDDEN_HOST
    assert reason(fake) == ("host_not_allowed", False)
    assert reason(fake, Questions(database=False)) == ("host_not_allowed", False)


def test_without_a_login_health_is_enough_if_nobody_asks_for_more(fake: FakeMlflow) -> None:
    # With OpenID Connect there may be no login at hand, and every path but /health wants one.
    fake.login = ("admin", "a-long-password-nobody-uses")
    assert check(fake, Questions(database=False))["version"] == ""
    for more in ({"database": True}, {"artifacts": True}, {"expected_version": "3.17.2"}):
        assert reason(fake, Questions(**{"database": False, **more})) == ("login_required", False)


def test_login_missing_and_wrong(fake: FakeMlflow) -> None:
    fake.login = ("admin", "a-long-password-nobody-uses")
    assert reason(fake) == ("login_required", False)
    assert reason(fake, username="admin", password="wrong") == ("login_rejected", False)
    assert reason(fake, token="wrong") == ("login_rejected", False)
    assert check(fake, username="admin", password="a-long-password-nobody-uses")["version"] == "3.17.2"


def test_wrong_login_shows_where_version_and_server_info_are_public(fake: FakeMlflow) -> None:
    fake.canned["GET", "/version"] = (200, {}, b"3.17.2")
    fake.canned[SERVER_INFO] = reply({"store_type": "SqlStore"})
    fake.login = ("admin", "a-long-password-nobody-uses")
    assert reason(fake, username="admin", password="wrong") == ("login_rejected", False)


def test_user_without_permission(fake: FakeMlflow) -> None:
    fake.canned[SEARCH] = reply({"error_code": "PERMISSION_DENIED", "message": "Permission denied"}, 403)
    assert reason(fake, username="reader", password="x") == ("permission_denied", False)


def test_another_service(fake: FakeMlflow) -> None:
    fake.canned["GET", "/health"] = fake.canned["GET", "/version"] = fake.canned[SERVER_INFO] = HTML
    assert reason(fake) == ("wrong_service", False)


def test_version_that_is_hidden_but_server_info_that_is_not(fake: FakeMlflow) -> None:
    fake.canned["GET", "/version"] = (404, {}, b"")
    assert check(fake)["version"] == ""


def test_another_version_is_waited_for(fake: FakeMlflow) -> None:
    assert reason(fake, Questions(expected_version="3.18.0")) == ("unexpected_version", True)


def test_database_down_although_health_is_fine(fake: FakeMlflow) -> None:
    fake.database_up = False
    assert reason(fake) == ("database_unavailable", True)
    assert check(fake, Questions(database=False))["database_ok"] is None


def test_database_down_in_older_versions_is_a_500(fake: FakeMlflow) -> None:
    fake.canned[SEARCH] = reply({"error_code": "INTERNAL_ERROR", "message": "psycopg2.OperationalError"}, 500)
    assert reason(fake) == ("database_unavailable", True)


def test_database_without_a_free_connection_is_explained(fake: FakeMlflow) -> None:
    message = "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"
    fake.canned[SEARCH] = reply({"error_code": "TEMPORARILY_UNAVAILABLE", "message": message}, 503)
    with pytest.raises(MlflowError, match=r"max_connections.*fewer.*larger instance class"):
        check(fake)


def test_a_balancer_503_is_not_taken_for_the_database(fake: FakeMlflow) -> None:
    fake.canned[SEARCH] = (503, {}, b"<html>Service Temporarily Unavailable</html>")
    assert reason(fake) == ("balancer_unavailable", True)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("PUT", "artifacts_write"),
        ("GET", "artifacts_read"),
        ("LIST", "artifacts_unreadable"),
        ("DELETE", "artifacts_delete"),
    ],
)
def test_artifact_store_that_fails(fake: FakeMlflow, method: str, expected: str) -> None:
    fake.artifact_status[method] = 500
    assert reason(fake, Questions(artifacts=True)) == (expected, True)
    if method != "DELETE":
        assert fake.artifacts == {}  # the probe is deleted on failure, too
        assert fake.calls[-1][0] == "DELETE"


@pytest.mark.parametrize("method", ["PUT", "GET", "LIST"])
def test_bucket_is_named_where_it_is_known(fake: FakeMlflow, method: str) -> None:
    fake.artifact_status[method] = 500
    with pytest.raises(MlflowError, match="its task role on vision-artifacts"):
        check(fake, Questions(artifacts=True, read_only=method == "LIST", bucket="vision-artifacts"))


def test_artifact_left_behind_is_named(fake: FakeMlflow) -> None:
    fake.artifact_status.update(GET=500, DELETE=500)
    with pytest.raises(MlflowError) as caught:
        check(fake, Questions(artifacts=True))
    (left,) = fake.artifacts
    assert caught.value.reason == "artifacts_read"
    assert left in caught.value.message


def test_artifact_that_comes_back_different(fake: FakeMlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FakeMlflow.artifact

    def corrupt(self: FakeMlflow, method: str, name: str, query: Any, body: bytes) -> Any:
        return real(self, method, name, query, b"something else" if method == "PUT" else body)

    monkeypatch.setattr(FakeMlflow, "artifact", corrupt)
    assert reason(fake, Questions(artifacts=True)) == ("artifacts_read", False)


def test_artifact_serving_switched_off(fake: FakeMlflow) -> None:
    fake.canned["GET", ARTIFACTS] = (503, {}, b"Endpoint disabled due to the mlflow server running with ...")
    assert reason(fake, Questions(artifacts=True, read_only=True)) == ("endpoint_disabled", False)


def test_read_only_stores_nothing(fake: FakeMlflow) -> None:
    assert check(fake, Questions(artifacts=True, read_only=True))["probe"] is None
    assert {method for method, _path in fake.calls} == {"GET"}


def test_the_probe_is_looked_up_while_it_exists_and_deleted_when_it_is_elsewhere(fake: FakeMlflow) -> None:
    seen = []

    def find(name: str) -> None:
        seen.append((name, name in fake.artifacts))
        raise MlflowError("artifacts_elsewhere", "Not in this bucket.")

    assert reason(fake, Questions(artifacts=True, find_object=find)) == ("artifacts_elsewhere", False)
    ((name, there),) = seen
    assert there
    assert name.startswith(f"{PROBE_FOLDER}/")
    assert fake.artifacts == {}


class Time:
    """A clock that only advances by sleep()."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(attempt: Callable[[], dict[str, Any]], waiting: Waiting, timeout: float = 60) -> dict[str, Any]:
    time = Time()
    return wait_until_ready(
        attempt, waiting, Waiter(timeout, 5, sleep=time.sleep, clock=lambda: time.now), tolerance=15
    )


def attempts(*outcomes: MlflowError | None) -> Callable[[], dict[str, Any]]:
    """Raises each in turn, the last one for ever; None is success."""
    left = list(outcomes)

    def attempt() -> dict[str, Any]:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if outcome:
            raise outcome
        return {"version": "3.17.2"}

    return attempt


DNS = MlflowError("dns", "No name.", waiting_helps=True)
REFUSED = MlflowError("connection_refused", "Nobody there.", waiting_helps=True)
WRONG = MlflowError("login_rejected", "Wrong password.")
BUCKET = MlflowError("artifacts_write", "No bucket.", True, at_most=30)


def test_waits_and_tells_the_history() -> None:
    waiting = Waiting()
    assert wait(attempts(DNS, DNS, REFUSED, None), waiting)["version"] == "3.17.2"
    assert [(entry["after"], entry["reason"]) for entry in waiting.history] == [(0, "dns"), (10, "connection_refused")]
    assert (waiting.attempts, waiting.elapsed) == (4, 15)


@pytest.mark.parametrize(
    ("outcomes", "timeout", "reason_", "elapsed", "count"),
    [
        pytest.param([DNS], 60, "dns", 60, 13, id="until the deadline"),
        pytest.param([DNS], 0, "dns", 0, 1, id="once"),
        pytest.param([WRONG], 60, "login_rejected", 15, 4, id="not in vain"),
        pytest.param([WRONG, DNS, WRONG], 60, "login_rejected", 25, 6, id="the limit starts anew"),
        pytest.param([BUCKET], 60, "artifacts_write", 30, 7, id="permissions settle"),
        pytest.param([BUCKET, BUCKET, WRONG], 60, "login_rejected", 25, 6, id="another limit"),
        pytest.param([WRONG], 5, "login_rejected", 5, 2, id="the deadline comes first"),
    ],
)
def test_gives_up(outcomes: list[MlflowError], timeout: float, reason_: str, elapsed: float, count: int) -> None:
    waiting = Waiting()
    with pytest.raises(MlflowError) as caught:
        wait(attempts(*outcomes), waiting, timeout)
    assert (caught.value.reason, waiting.elapsed, waiting.attempts) == (reason_, elapsed, count)


def test_a_short_wrong_login_is_tolerated() -> None:
    waiting = Waiting()
    assert wait(attempts(WRONG, WRONG, None), waiting)["version"] == "3.17.2"
