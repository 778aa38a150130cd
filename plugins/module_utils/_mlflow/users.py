# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Users of MLflow's basic authentication, over REST (mlflow/server/auth/routes.py of 3.10.0 to 3.17.2).

C(users/create|get|update-password|update-admin|delete) are the same in all these versions. C(users/current) and the
rule that users who change their own password must give the present one came with 3.13.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from dataclasses import field

from .readiness import refusal
from .rest import Answer
from .rest import Client
from .rest import Connection
from .rest import MlflowError

USERS = "api/2.0/mlflow/users"
# mlflow/utils/validation.py: _validate_password.
SHORTEST_PASSWORD = 12


def ask(client: Client, method: str, path: str, **arguments: typing.Any) -> Answer:
    """Send a request about users or permissions.

    Returns:
        The answer, of a status below 400, or with an error code of MLflow's own that is left to the caller.

    Raises:
        MlflowError: no server answers, or it refuses, or it is no MLflow with users.
    """
    answer = client.call(method, path, **arguments)
    problem = refusal(answer, client.connection)
    if problem and problem.reason == "permission_denied":
        who = f"User {client.connection.username}" if client.connection.username else "This login"
        problem.message = (
            f"{who} may not manage users and permissions on {client.connection.host}: log in as an administrator"
            f" ({answer.summary(80)})."
        )
    if problem:
        raise problem
    if answer.status >= 500:
        raise MlflowError(
            "server_error",
            f"MLflow at {client.connection.tracking_uri} runs but fails (HTTP {answer.status}): {answer.summary()}",
            waiting_helps=True,
        )
    return answer


def content(answer: Answer, what: str) -> dict[str, typing.Any]:
    """Return the body of a success."""
    if answer.status >= 300:
        raise MlflowError("refused", f"MLflow refuses to {what} (HTTP {answer.status}): {answer.summary()}")
    return answer.json()


def is_missing(answer: Answer) -> bool:
    """Return whether MLflow reports that the resource does not exist."""
    return answer.status == 404 and answer.error_code == "RESOURCE_DOES_NOT_EXIST"


def _explain_no_users(client: Client) -> MlflowError:
    anonymous = Client(dataclasses.replace(client.connection, username=None, password=None, token=None))
    uri = client.connection.tracking_uri
    if anonymous.call("GET", "version").status == 200:
        return MlflowError(
            "no_users",
            f"{uri} has no users: it runs without authentication, so every client may do everything. Deploy it with"
            " basic authentication first.",
        )
    return MlflowError(
        "no_users",
        f"{uri} does not keep its users in MLflow's basic authentication. With OpenID Connect, users and groups are"
        " managed at the identity provider.",
    )


def get_user(client: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the server's data about a user (id, username, is_admin, …); None when there is no such user."""
    answer = ask(client, "GET", f"{USERS}/get", query={"username": name})
    if is_missing(answer):
        return None
    if answer.status in (404, 405):
        raise _explain_no_users(client)
    user = content(answer, f"tell of user {name}").get("user")
    if not isinstance(user, dict):
        raise _explain_no_users(client)
    return user


def can_log_in(connection: Connection, name: str, password: str) -> bool:
    """Return whether this password is the user's. Users may read their own account."""
    client = Client(dataclasses.replace(connection, username=name, password=password, token=None))
    try:
        ask(client, "GET", f"{USERS}/get", query={"username": name})
    except MlflowError as error:
        if error.reason == "login_rejected":
            return False
        raise
    return True


@dataclass(frozen=True)
class WantedUser:
    """The requested user.

    Attributes:
        name: of the user.
        present: whether the user is to exist.
        password: None leaves that of an existing user alone.
        password_unknown: in check mode, the password comes from a secret that does not exist yet.
        update_password: whether an existing user's password is changed too.
        is_admin: None leaves an existing user's rights alone.
    """

    name: str
    present: bool = True
    password: str | None = field(default=None, repr=False)
    password_unknown: bool = False
    update_password: bool = True
    is_admin: bool | None = None


@dataclass
class UserResult:
    """The result."""

    before: dict[str, typing.Any] = field(default_factory=dict)
    after: dict[str, typing.Any] = field(default_factory=dict)
    user: dict[str, typing.Any] = field(default_factory=dict)
    password_changed: bool = False

    @property
    def changed(self) -> bool:
        return self.before != self.after


# Passwords in a diff.
_OTHER, _GIVEN = "(another one)", "(the given one)"


def check_wanted(desired: WantedUser, connection: Connection) -> None:
    """Refuse impossible requests before anything is changed."""
    if not desired.name or ":" in desired.name:
        raise MlflowError(
            "bad_user", f"name {desired.name!r} cannot log in: it must not be empty and must not hold a colon."
        )
    if desired.present and desired.password is not None and len(desired.password) < SHORTEST_PASSWORD:
        raise MlflowError(
            "bad_password",
            f"The password for {desired.name} has {len(desired.password)} characters: MLflow wants at least"
            f" {SHORTEST_PASSWORD}.",
        )
    if desired.name == connection.username and not desired.present:
        raise MlflowError("own_login", f"User {desired.name} cannot be removed with its own login: use another's.")


def ensure_user(connection: Connection, desired: WantedUser, check_mode: bool) -> UserResult:
    """Ensure that the user exists as requested, or does not exist.

    A user may change their own password. Then the login holds the old password or already the new one: the one that the
    server accepts is used, so a run that was cut off after the change can be repeated.
    """
    check_wanted(desired, connection)
    connection = _working_login(connection, desired)
    client = Client(connection)
    found = get_user(client, desired.name)
    if not desired.present:
        return _remove(client, desired, found, check_mode)
    if found is None:
        return _create(client, desired, check_mode)
    return _change(client, desired, found, check_mode)


def _working_login(connection: Connection, desired: WantedUser) -> Connection:
    """Return the login with the password that is valid by now, if users change their own password."""
    if desired.name != connection.username or not desired.password or not desired.update_password:
        return connection
    try:
        get_user(Client(connection), desired.name)
    except MlflowError as error:
        if error.reason == "login_rejected" and can_log_in(connection, desired.name, desired.password):
            return dataclasses.replace(connection, password=desired.password)
        raise
    return connection


def _shape(user: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {"id": user.get("id"), "username": user.get("username"), "is_admin": bool(user.get("is_admin"))}


def _remove(client: Client, desired: WantedUser, found: dict[str, typing.Any] | None, check_mode: bool) -> UserResult:
    if found is None:
        return UserResult()
    if not check_mode:
        answer = ask(client, "DELETE", f"{USERS}/delete", body={"username": desired.name})
        if not is_missing(answer):
            content(answer, f"remove user {desired.name}")
    return UserResult(before={"username": desired.name, "is_admin": bool(found.get("is_admin"))})


def _create(client: Client, desired: WantedUser, check_mode: bool) -> UserResult:
    if desired.password is None and not desired.password_unknown:
        raise MlflowError(
            "bad_password",
            f"User {desired.name} does not exist yet and needs a password: give user_password or"
            " user_password_secret_arn.",
        )
    is_admin = bool(desired.is_admin)
    after = {"username": desired.name, "is_admin": is_admin, "password": _GIVEN}
    user = {"id": None, "username": desired.name, "is_admin": is_admin}
    if not check_mode:
        body = {"username": desired.name, "password": desired.password}
        answer = ask(client, "POST", f"{USERS}/create", body=body)
        if answer.error_code == "RESOURCE_ALREADY_EXISTS":
            # Created meanwhile, by another caller or by a request whose answer was lost.
            return _change(client, desired, get_user(client, desired.name) or {}, check_mode)
        user = {**_shape(content(answer, f"create user {desired.name}").get("user") or {}), "is_admin": is_admin}
        if is_admin:
            _set_admin(client, desired.name, True)
    return UserResult(after=after, user=user, password_changed=True)


def _change(client: Client, desired: WantedUser, found: dict[str, typing.Any], check_mode: bool) -> UserResult:
    user = _shape(found)
    before = {"username": desired.name, "is_admin": user["is_admin"]}
    after = dict(before)
    if desired.is_admin is not None and desired.is_admin != user["is_admin"]:
        if desired.name == client.connection.username and not desired.is_admin:
            raise MlflowError(
                "own_login",
                f"User {desired.name} cannot give up its rights with its own login: use another administrator's.",
            )
        after["is_admin"] = user["is_admin"] = desired.is_admin
    new_password = False
    if desired.password and desired.update_password:
        new_password = not can_log_in(client.connection, desired.name, desired.password)
    if new_password:
        before["password"], after["password"] = _OTHER, _GIVEN
    if not check_mode:
        # The rights go first: with the password, the login that does this may change.
        if after["is_admin"] != before["is_admin"]:
            _set_admin(client, desired.name, after["is_admin"])
        if new_password:
            _set_password(client, desired)
    return UserResult(before=before, after=after, user=user, password_changed=new_password)


def _set_admin(client: Client, name: str, is_admin: bool) -> None:
    answer = ask(client, "PATCH", f"{USERS}/update-admin", body={"username": name, "is_admin": is_admin})
    content(answer, f"change the rights of user {name}")


def _set_password(client: Client, desired: WantedUser) -> None:
    body = {"username": desired.name, "password": desired.password}
    if desired.name == client.connection.username:
        # mlflow/server/auth/__init__.py: update_user_password wants it of users who change their own, from 3.13 on.
        body["current_password"] = client.connection.password
    answer = ask(client, "PATCH", f"{USERS}/update-password", body=body)
    content(answer, f"change the password of user {desired.name}")
    if not can_log_in(client.connection, desired.name, desired.password or ""):
        raise MlflowError(
            "password_unchanged", f"MLflow took the new password of user {desired.name}, but does not let it log in."
        )
