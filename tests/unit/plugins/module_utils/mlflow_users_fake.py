# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracking server with basic authentication, whose permissions have either of MLflow's two interfaces.

Its answers are those of MLflow 3.10.0 and 3.17.2 (tests/end_to_end/test_users.py asks the real ones the same).
"""

from __future__ import annotations

import base64
import json
from typing import Any

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import FakeMlflow
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import reply

ADMIN = ("admin", "a-long-password-nobody-uses")
NOT_FOUND = 404, {"Content-Type": "text/html"}, b"<!doctype html><h1>Not Found</h1>"
DENIED = 403, {"Content-Type": "text/html"}, b"Permission denied"
UNKNOWN_USER = "User with username={} not found"


def missing(message: str = "not found") -> Any:
    return reply({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": message}, 404)


class FakeUsers(FakeMlflow):
    """The server.

    Attributes:
        old: whether it has the interface up to 3.12.
        users: name to password, rights and number.
        grants: (user, kind, id) to permission.
        writes: what was changed, one line each.
        workspaces: which one each request was about.
    """

    def __init__(self, old: bool = False) -> None:
        self.old = old
        self.users: dict[str, dict[str, Any]] = {}
        self.grants: dict[tuple[str, str, str], str] = {}
        self.experiments = {"Default": "0", "churn": "1"}
        self.models: dict[str, list[dict[str, str]]] = {"model": []}
        self.models["prompt"] = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
        self.secrets = {"key": "s-1"}
        self.writes: list[str] = []
        self.workspaces: list[str] = []
        self.who = ""
        self.add(*ADMIN, is_admin=True)
        super().__init__()
        self.login = ADMIN

    def add(self, name: str, password: str, is_admin: bool = False) -> None:
        self.users[name] = {"id": len(self.users) + 1, "password": password, "is_admin": is_admin}

    def authorized(self, header: str) -> bool:
        if not header.startswith("Basic "):
            return False
        self.who, _colon, password = base64.b64decode(header[6:]).decode().partition(":")
        return self.who in self.users and self.users[self.who]["password"] == password

    def answer(self, method: str, path: str, query: dict[str, list[str]], request: Any, body: bytes) -> Any:
        place = path.partition("/mlflow/")[2]
        self.workspaces.append(request.headers.get("X-MLFLOW-WORKSPACE", ""))
        welcome = self.authorized(request.headers.get("Authorization", ""))
        given = json.loads(body) if method != "PUT" and body else {key: values[0] for key, values in query.items()}
        ours = (method, path) not in self.canned and welcome
        if ours and (place.startswith("users/") or "permissions" in place):
            return self.managed(method, place, given)
        found = self.resource(place, given) if ours else None
        if not found and place.startswith("users/") and (method, path) not in self.canned:
            return 401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, b"You are not authenticated."
        return found or super().answer(method, path, query, request, body)

    def managed(self, method: str, place: str, given: dict[str, Any]) -> Any:
        """Users and permissions."""
        own = given.get("username") == self.who and place in ("users/get", "users/update-password")
        if not self.users[self.who]["is_admin"] and not own:
            return DENIED
        if method != "GET":
            self.writes.append(f"{method} {place}")
        if place in ("users/create", "users/get", "users/update-password", "users/update-admin", "users/delete"):
            return self.user(place.removeprefix("users/"), given)
        old = place.endswith(("/create", "/get", "/update", "/delete")) and not place.startswith(("users/", "roles/"))
        if self.old:
            return self.old_permission(place, given) if old else NOT_FOUND
        return NOT_FOUND if old else self.new_permission(place, given)

    def user(self, verb: str, given: dict[str, Any]) -> Any:
        name = given["username"]
        if verb == "create":
            if name in self.users:
                return reply({"error_code": "RESOURCE_ALREADY_EXISTS", "message": "already exists"}, 400)
            self.add(name, given["password"])
        if name not in self.users:
            return missing(UNKNOWN_USER.format(name))
        user = self.users[name]
        if verb == "update-admin":
            user["is_admin"] = given["is_admin"]
        elif verb == "update-password":
            if not self.old and name == self.who and given.get("current_password") != user["password"]:
                return reply({"error_code": "INVALID_PARAMETER_VALUE", "message": "Current password is required"}, 400)
            user["password"] = given["password"]
        elif verb == "delete":
            del self.users[name]
            return reply({})
        return reply({"user": {"id": user["id"], "username": name, "is_admin": user["is_admin"]}})

    def resource(self, place: str, given: dict[str, str]) -> Any:
        """Experiments, models and secrets of the gateway."""
        if place == "experiments/get-by-name" and given["experiment_name"] != "MLflow Demo":
            found = self.experiments.get(given["experiment_name"])
        elif place == "experiments/get":
            found = given["experiment_id"] if given["experiment_id"] in self.experiments.values() else None
        elif place == "registered-models/get":
            tags = self.models.get(given["name"])
            return missing() if tags is None else reply({"registered_model": {"name": given["name"], "tags": tags}})
        elif place == "scorers/get":
            return reply({"scorer": {}}) if given == {"experiment_id": "1", "name": "sco/rer"} else missing()
        elif place == "gateway/secrets/list":
            return reply({"secrets": [{"secret_id": i, "secret_name": name} for name, i in self.secrets.items()]})
        else:
            return None
        return reply({"experiment": {"experiment_id": found}}) if found else missing()

    def old_permission(self, place: str, given: dict[str, Any]) -> Any:
        kind, _slash, verb = place.partition("/permissions/")
        kind = {"experiments": "experiment", "registered-models": "registered_model", "scorers": "scorer"}.get(
            kind, "gateway_secret"
        )
        ident = "/".join(
            str(given[key]) for key in ("experiment_id", "scorer_name", "name", "secret_id") if key in given
        )
        key = given["username"], kind, ident
        if verb == "create":
            if key in self.grants:
                return reply({"error_code": "RESOURCE_ALREADY_EXISTS"}, 400)
            self.grants[key] = given["permission"]
        if key not in self.grants:
            return missing("permission not found")
        if verb == "update":
            self.grants[key] = given["permission"]
        if verb == "delete":
            del self.grants[key]
            return reply({})
        return reply({f"{kind}_permission": {"permission": self.grants[key]}})

    def new_permission(self, place: str, given: dict[str, Any]) -> Any:
        key = given.get("username", ""), given.get("resource_type", ""), given.get("resource_id", "")
        if place == "users/permissions/list":
            mine = [(k, value) for k, value in self.grants.items() if k[0] == given["username"]]
            name = f"__user_{self.users[given['username']]['id']}__"
            rows = [self.row(k, value, name) for k, value in mine]
            # The same by another role, which is not the user's own.
            return reply({"is_admin": False, "permissions": [self.row(("", "experiment", "1"), "USE", "team"), *rows]})
        if place == "roles/permissions/list":
            rows = [{"id": n, **self.row(k, value, "")} for n, (k, value) in enumerate(self.grants.items())]
            return reply({"role_permissions": rows})
        answer = reply({})
        if place == "roles/permissions/update":
            self.grants[list(self.grants)[given["role_permission_id"]]] = given["permission"]
        elif place == "users/permissions/grant":
            if given["permission"] == "NO_PERMISSIONS":
                answer = reply({"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid permission"}, 400)
            elif key in self.grants:
                answer = reply({"error_code": "RESOURCE_ALREADY_EXISTS"}, 400)
            else:
                self.grants[key] = given["permission"]
        elif place != "users/permissions/revoke":
            answer = NOT_FOUND
        elif self.grants.pop(key, None) is None:
            answer = missing()
        return answer

    @staticmethod
    def row(key: tuple[str, str, str], permission: str, role: str) -> dict[str, Any]:
        return {
            "role_id": 7,
            "role_name": role,
            "workspace": "default",
            "resource_type": key[1],
            "resource_pattern": key[2],
            "permission": permission,
        }
