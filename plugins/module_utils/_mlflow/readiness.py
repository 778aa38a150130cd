# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The checks that decide whether a tracking server is ready, each of them a real operation.

C(/health) stays 200 while the database is down and while every host name is refused (mlflow/server/security_utils.py
exempts C(/health) and C(/version)), so it is the first check and never the last.
"""

from __future__ import annotations

import re
import typing
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter

from .rest import Answer
from .rest import Client
from .rest import Connection
from .rest import MlflowError

EXPERIMENTS = "api/2.0/mlflow/experiments"
ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"
SERVER_INFO = "api/3.0/mlflow/server-info"
PROBE_FOLDER = "_probe"

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?[0-9A-Za-z.+-]*\Z")
# Permissions of a new role take a while to reach every front end of S3, but not longer than this, in seconds.
PERMISSIONS_SETTLE = 180.0
_BALANCER_STATUSES = (502, 503, 504)
# mlflow/server/security_utils.py: INVALID_HOST_MSG.
_INVALID_HOST = "invalid host header"
# mlflow/store/db/utils.py: what an OperationalError of SQLAlchemy becomes.
_DATABASE_DOWN = "TEMPORARILY_UNAVAILABLE"
# PostgreSQL, src/backend/utils/init/postinit.c: what a client is told when max_connections are open.
_NO_CONNECTION_LEFT = re.compile(
    r"remaining connection slots are reserved|too many clients already|too many connections for (role|database)"
)


@dataclass(frozen=True)
class Questions:
    """The requirements for a server to count as ready.

    Attributes:
        database: the server reads its database.
        artifacts: the server stores, shows and deletes an artifact.
        read_only: artifacts are only listed, nothing is stored.
        expected_version: the version that has to answer.
        find_object: called with the name of the stored probe artifact; raises MlflowError unless the object is in the
            expected bucket.
        bucket: name of that bucket, for the sentence.
    """

    database: bool = True
    artifacts: bool = False
    read_only: bool = False
    expected_version: str | None = None
    find_object: Callable[[str], None] | None = None
    bucket: str = ""


def refusal(answer: Answer, connection: Connection) -> MlflowError | None:
    """Return the reason if an answer cannot be that of a working MLflow; None otherwise."""
    if answer.status in _BALANCER_STATUSES and not answer.error_code:
        return _explain_unavailable(answer, connection)
    if answer.error_code == _DATABASE_DOWN:
        # Where there are logins every path asks the database for them, /version too.
        return _explain_database(answer)
    if 300 <= answer.status < 400:
        target = answer.headers.get("location", "somewhere else")
        return MlflowError(
            "redirected",
            f"{connection.tracking_uri} redirects to {target}; tracking_uri must be the address where MLflow itself"
            " answers, without a login page in front.",
        )
    if answer.status == 401:
        return _explain_login(answer, connection)
    if answer.status == 403:
        return _explain_forbidden(answer, connection)
    return None


def _explain_database(answer: Answer) -> MlflowError:
    why = ""
    if _NO_CONNECTION_LEFT.search(answer.text):
        why = (
            "all connections that the database accepts (max_connections) are open; let the server open fewer (fewer"
            " workers, a smaller connection pool), or take a larger instance class: "
        )
    return MlflowError(
        "database_unavailable",
        f"MLflow runs but cannot use its database (HTTP {answer.status}): {why}{answer.summary()}",
        waiting_helps=True,
    )


def _explain_unavailable(answer: Answer, connection: Connection) -> MlflowError:
    if "disabled due to the mlflow server" in answer.text:
        return MlflowError("endpoint_disabled", f"The server refuses by its own settings: {answer.summary()}")
    text = f"The load balancer of {connection.host} has no healthy server to ask (HTTP {answer.status})."
    return MlflowError("balancer_unavailable", text, waiting_helps=True)


def _explain_login(answer: Answer, connection: Connection) -> MlflowError:
    scheme = answer.headers.get("www-authenticate", "").split(" ")[0]
    desired = f" ({scheme})" if scheme else ""
    if not connection.has_login:
        return MlflowError(
            "login_required",
            f"{connection.tracking_uri} asks for a login{desired}; give username and password, or token.",
        )
    given = f"user {connection.username}" if connection.username else "the token"
    return MlflowError("login_rejected", f"{connection.tracking_uri} rejects the login of {given}{desired}.")


def _explain_forbidden(answer: Answer, connection: Connection) -> MlflowError:
    if _INVALID_HOST in answer.text.lower():
        return MlflowError(
            "host_not_allowed",
            f"MLflow does not accept the host name {connection.host}: it is missing among the server's allowed hosts"
            " (MLFLOW_SERVER_ALLOWED_HOSTS, which must name the host as clients write it).",
        )
    if answer.error_code or connection.has_login:
        who = f"User {connection.username}" if connection.username else "This login"
        return MlflowError("permission_denied", f"{who} may not do this on {connection.host}: {answer.summary()}")
    return MlflowError("forbidden", f"{connection.tracking_uri} answers 403: {answer.summary()}")


def check_health(client: Client) -> float:
    """Ask C(/health), as a balancer does; only the status counts. Returns the latency in milliseconds."""
    answer = client.call("GET", "health")
    problem = refusal(answer, client.connection)
    if problem:
        raise problem
    if answer.status != 200:
        # 404 may be a balancer without a rule for this host yet, 500 a server that is starting.
        raise MlflowError(
            "unhealthy",
            f"{client.connection.tracking_uri}/health answers {answer.status}, not 200: {answer.summary(120)}",
            waiting_helps=True,
        )
    return answer.seconds * 1000


def read_server_info(client: Client) -> dict[str, typing.Any]:
    """Return the server's information about itself; empty if it does not have this endpoint.

    It is the cheapest request that the host name check applies to.
    """
    answer = client.call("GET", SERVER_INFO)
    if answer.status == 200:
        return answer.json()
    if answer.status == 401:
        # Public in current versions, not in older ones and not behind OIDC; the login is judged by read_version.
        return {}
    problem = refusal(answer, client.connection)
    if problem:
        raise problem
    return {}


def read_version(client: Client, info: dict[str, typing.Any] | None = None) -> str:
    """Return the server's MLflow version, empty if hidden; raise if it is not MLflow."""
    answer = client.call("GET", "version")
    problem = refusal(answer, client.connection)
    if problem:
        raise problem
    text = answer.text.strip()
    if answer.status == 200 and _VERSION.match(text):
        return text
    if answer.status >= 500:
        raise MlflowError(
            "server_error",
            f"{client.connection.tracking_uri} runs but fails (/version gave HTTP {answer.status}):"
            f" {answer.summary(120)}",
            waiting_helps=True,
        )
    if info and "store_type" in info:
        return ""
    raise MlflowError(
        "wrong_service",
        f"{client.connection.tracking_uri} answers, but is not an MLflow tracking server:"
        f" /version gave HTTP {answer.status} {answer.summary(80)!r}.",
    )


def check_database(client: Client) -> None:
    """Make the server read its database."""
    answer = client.call("GET", f"{EXPERIMENTS}/search", query={"max_results": 1})
    problem = refusal(answer, client.connection)
    if problem:
        raise problem
    if answer.status == 200:
        return
    if answer.status >= 500:
        raise _explain_database(answer)
    raise MlflowError("unexpected_answer", f"experiments/search gave HTTP {answer.status}: {answer.summary()}")


def list_artifacts(client: Client, path: str = "", bucket: str = "") -> list[str]:
    """Return the names in a folder of the artifact store; MLflow omits the key if there are none."""
    answer = client.call("GET", ARTIFACTS, query={"path": path} if path else None)
    _expect_artifact_answer(answer, client, "artifacts_unreadable", "list", bucket)
    files = answer.json().get("files") or []
    return [str(entry.get("path", "")).rsplit("/", maxsplit=1)[-1] for entry in files]


def probe_artifacts(client: Client, find_object: Callable[[str], None] | None = None, bucket: str = "") -> str:
    """Store, read, list and delete one small artifact with a random name. Returns that name.

    The artifact is deleted in any case; if that fails, the error names it.
    """
    name = f"{uuid.uuid4().hex}.txt"
    path = f"{PROBE_FOLDER}/{name}"
    content = f"Readiness probe {name}; may be deleted.\n".encode()
    stored = False
    try:
        answer = client.call("PUT", f"{ARTIFACTS}/{path}", data=content)
        _expect_artifact_answer(answer, client, "artifacts_write", "store", bucket)
        stored = True
        if find_object:
            find_object(path)
        answer = client.call("GET", f"{ARTIFACTS}/{path}")
        _expect_artifact_answer(answer, client, "artifacts_read", "read", bucket)
        if answer.body != content:
            raise MlflowError("artifacts_read", "The artifact store gave back something else than was stored.")
        if name not in list_artifacts(client, PROBE_FOLDER, bucket):
            raise MlflowError(
                "artifacts_list",
                f"The artifact store does not list {path}, which was just stored.",
                True,
                at_most=PERMISSIONS_SETTLE,
            )
    except MlflowError as error:
        left = _delete_probe(client, path)
        if stored and left:
            error.message = f"{error.message} Besides, {left}"
        raise
    left = _delete_probe(client, path)
    if left:
        raise MlflowError("artifacts_delete", f"{left[0].upper()}{left[1:]}", True, at_most=PERMISSIONS_SETTLE)
    return path


def _delete_probe(client: Client, path: str) -> str:
    """Delete the probe; return a sentence on failure."""
    try:
        answer = client.call("DELETE", f"{ARTIFACTS}/{path}")
    except MlflowError as error:
        return f"the probe artifact {path} could not be deleted: {error.message}"
    if answer.status >= 300:
        return f"the probe artifact {path} could not be deleted (HTTP {answer.status}): {answer.summary()}"
    return ""


def _expect_artifact_answer(answer: Answer, client: Client, reason: str, verb: str, bucket: str) -> None:
    problem = refusal(answer, client.connection)
    if problem:
        raise problem
    if answer.status != 200:
        raise MlflowError(
            reason,
            f"MLflow cannot {verb} artifacts (HTTP {answer.status}: {answer.summary()}); see the server's log, its"
            f" --artifacts-destination, and the permissions of its task role on {bucket or 'the bucket'}.",
            waiting_helps=True,
            at_most=PERMISSIONS_SETTLE,
        )


def read_about(client: Client, questions: Questions) -> tuple[dict[str, typing.Any], str]:
    """Return what the server says of itself, and its version; nothing if that needs a login and no check does."""
    try:
        info = read_server_info(client)
        return info, read_version(client, info)
    except MlflowError as error:
        insists = questions.database or questions.artifacts or questions.expected_version
        if error.reason != "login_required" or insists:
            raise
        return {}, ""


def check_server(client: Client, questions: Questions) -> dict[str, typing.Any]:
    """Run each check once, cheapest first.

    Returns:
        C(version), C(latency_ms), C(store_type), C(workspaces_enabled), C(database_ok), C(artifacts_ok), C(probe).
    """
    latency = check_health(client)
    info, version = read_about(client, questions)
    if questions.expected_version and version != questions.expected_version:
        raise MlflowError(
            "unexpected_version",
            f"{client.connection.tracking_uri} runs MLflow {version or 'of unknown version'},"
            f" expected {questions.expected_version}.",
            waiting_helps=True,
        )
    probe = None
    if questions.database:
        check_database(client)
    if questions.artifacts and questions.read_only:
        list_artifacts(client, bucket=questions.bucket)
    elif questions.artifacts:
        probe = probe_artifacts(client, questions.find_object, questions.bucket)
    return {
        "version": version,
        "latency_ms": round(latency, 1),
        "store_type": info.get("store_type"),
        "workspaces_enabled": info.get("workspaces_enabled"),
        "database_ok": True if questions.database else None,
        "artifacts_ok": True if questions.artifacts else None,
        "probe": probe,
    }


@dataclass
class Waiting:
    """The course of a wait.

    Attributes:
        elapsed: seconds.
        attempts: number of attempts.
        history: every change of reason: C(after) in seconds, C(reason), C(message).
        report: gets the message at each change of reason, to show it to the user.
    """

    elapsed: float = 0.0
    attempts: int = 0
    history: list[dict[str, typing.Any]] = field(default_factory=list)
    report: Callable[[str], None] | None = None

    def note(self, error: MlflowError) -> None:
        if not self.history or self.history[-1]["reason"] != error.reason:
            self.history.append({"after": round(self.elapsed, 1), "reason": error.reason, "message": error.message})
            if self.report:
                self.report(error.message)


def wait_until_ready(
    attempt: Callable[[], dict[str, typing.Any]], waiting: Waiting, waiter: Waiter, *, tolerance: float
) -> dict[str, typing.Any]:
    """Repeat C(attempt) until it succeeds.

    Args:
        attempt: raises MlflowError as long as the server is not ready.
        waiting: is kept up to date, also when this raises.
        waiter: bounds the wait; a time limit of 0 makes exactly one attempt.
        tolerance: seconds for which errors are tolerated that waiting rarely fixes.

    Raises:
        MlflowError: the last one.
    """
    limit: float | None = None
    limited_since = 0.0
    last: MlflowError | None = None
    for _poll in waiter.polls():
        waiting.attempts += 1
        try:
            result = attempt()
            waiting.elapsed = waiter.elapsed
            return result
        except MlflowError as error:
            last = error
            waiting.elapsed = waiter.elapsed
            waiting.note(error)
            previous, limit = limit, error.at_most if error.waiting_helps else tolerance
            if limit != previous:
                limited_since = waiting.elapsed
            if limit is not None and waiting.elapsed - limited_since >= limit:
                raise
    raise last or AssertionError("there is at least one poll")
