# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Permissions of users on resources, over REST.

MLflow has had two interfaces for that: one per kind of resource up to 3.12, and one for all of them from 3.13 on, which
keeps a user's own grants in a hidden role C(__user_<id>__). Neither knows the other's addresses, so the server is
asked which one it has. (mlflow/server/auth/routes.py in the wheels of 3.10.0, 3.10.1, 3.11.1, 3.12.0, 3.13.0, 3.14.0,
3.15.2, 3.16.0, 3.16.1 and 3.17.2.)
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from dataclasses import field
from urllib.parse import quote

from .readiness import EXPERIMENTS
from .rest import Client
from .rest import MlflowError
from .users import ask
from .users import content
from .users import get_user
from .users import is_missing

ALL = "*"
DEFAULT_WORKSPACE = "default"
PERMISSIONS = ("READ", "USE", "EDIT", "MANAGE", "DENY", "NO_PERMISSIONS")

_MODELS = "api/2.0/mlflow/registered-models"
_SCORERS = "api/3.0/mlflow/scorers"
_GATEWAY = "api/3.0/mlflow/gateway"
_GRANTS = "api/3.0/mlflow/users/permissions"
_ROLE_GRANTS = "api/3.0/mlflow/roles/permissions"
# mlflow/prompt/constants.py: IS_PROMPT_TAG_KEY.
_PROMPT_TAG = "mlflow.prompt.is_prompt"


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    Attributes:
        word: its name in messages.
        old_path: below which permissions are kept up to 3.12; empty: there are none.
        old_key: name of the resource's id in those requests.
        old_answer: member of the answer to C(get).
        listing: address, member, id and name of what lists all of them, where that is how a name is found.
    """

    word: str
    old_path: str = ""
    old_key: str = ""
    old_answer: str = ""
    listing: tuple[str, str, str, str] | None = None


KINDS: dict[str, Kind] = {
    "experiment": Kind("experiment", EXPERIMENTS, "experiment_id", "experiment_permission"),
    "registered_model": Kind("registered model", _MODELS, "name", "registered_model_permission"),
    # Up to 3.12 a prompt is a registered model in this respect too.
    "prompt": Kind("prompt", _MODELS, "name", "registered_model_permission"),
    "scorer": Kind("scorer", _SCORERS, "", "scorer_permission"),
    "gateway_secret": Kind(
        "gateway secret",
        f"{_GATEWAY}/secrets",
        "secret_id",
        "gateway_secret_permission",
        (f"{_GATEWAY}/secrets/list", "secrets", "secret_id", "secret_name"),
    ),
    "gateway_endpoint": Kind(
        "gateway endpoint",
        f"{_GATEWAY}/endpoints",
        "endpoint_id",
        "gateway_endpoint_permission",
        (f"{_GATEWAY}/endpoints/list", "endpoints", "endpoint_id", "name"),
    ),
    "gateway_model_definition": Kind(
        "gateway model definition",
        f"{_GATEWAY}/model-definitions",
        "model_definition_id",
        "gateway_model_definition_permission",
        (f"{_GATEWAY}/model-definitions/list", "model_definitions", "model_definition_id", "name"),
    ),
    "mcp_server": Kind("MCP server"),
}


@dataclass(frozen=True)
class WantedPermission:
    """The requested permission.

    Attributes:
        user: name of the user.
        kind: key of KINDS.
        name: name of the resource, or
        resource_id: its id.
        experiment, experiment_id: name or id of a scorer's experiment.
        permission: one of PERMISSIONS; None: no grant.
    """

    user: str
    kind: str
    name: str | None = None
    resource_id: str | None = None
    experiment: str | None = None
    experiment_id: str | None = None
    permission: str | None = None

    @property
    def described(self) -> str:
        word = KINDS[self.kind].word
        if self.name == ALL:
            return f"all of kind {word}"
        text = f"{word} {self.name}" if self.name else f"{word} with id {self.resource_id}"
        if self.experiment or self.experiment_id:
            text += f" of experiment {self.experiment or self.experiment_id}"
        return text


@dataclass
class PermissionOutcome:
    """The result; None stands for no grant."""

    before: str | None = None
    after: str | None = None
    resource_id: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.before != self.after


class _Missing(MlflowError):
    """The user or the resource does not exist."""


class _Old:
    """The interface up to 3.12."""

    def __init__(self, client: Client, desired: WantedPermission, resource_id: str) -> None:
        kind = KINDS[desired.kind]
        self.client, self.kind, self.desired = client, kind, desired
        if not kind.old_path or resource_id == ALL:
            what = "permissions on everything of a kind" if resource_id == ALL else f"permissions on {kind.word}s"
            raise MlflowError(
                "unsupported_version",
                f"{client.connection.tracking_uri} runs an MLflow before 3.13, which has no {what}.",
            )
        self.body: dict[str, typing.Any] = {"username": desired.user, kind.old_key: resource_id}
        if desired.kind == "scorer":
            experiment, _slash, name = resource_id.partition("/")
            self.body = {"username": desired.user, "experiment_id": experiment, "scorer_name": name}

    def _ask(self, method: str, verb: str, **arguments: typing.Any) -> typing.Any:
        return ask(self.client, method, f"{self.kind.old_path}/permissions/{verb}", **arguments)

    def read(self) -> str | None:
        answer = self._ask("GET", "get", query=self.body)
        if is_missing(answer):
            return None
        found = content(answer, f"tell the permission on {self.desired.described}").get(self.kind.old_answer) or {}
        return str(found.get("permission") or "") or None

    def write(self, before: str | None, permission: str) -> None:
        method, verb = ("PATCH", "update") if before else ("POST", "create")
        answer = self._ask(method, verb, body={**self.body, "permission": permission})
        content(answer, f"grant {permission} on {self.desired.described} to {self.desired.user}")

    def delete(self) -> None:
        answer = self._ask("DELETE", "delete", body=self.body)
        if not is_missing(answer):
            content(answer, f"take the permission on {self.desired.described} from {self.desired.user}")


class _New:
    """The interface from 3.13 on."""

    def __init__(
        self,
        client: Client,
        desired: WantedPermission,
        resource_id: str,
        user_id: typing.Any,
        grants: list[dict[str, typing.Any]],
    ) -> None:
        self.client, self.desired = client, desired
        if desired.kind == "scorer":
            # mlflow/server/auth/sqlalchemy_store.py: _scorer_pattern.
            experiment, slash, name = resource_id.partition("/")
            resource_id = f"{experiment}{slash}{quote(name, safe='')}"
        self.body = {"username": desired.user, "resource_type": desired.kind, "resource_id": resource_id}
        self.pattern = {"resource_type": desired.kind, "resource_pattern": resource_id}
        workspace = client.connection.workspace or DEFAULT_WORKSPACE
        # Grants of other roles are not the user's own.
        mine = {"role_name": f"__user_{user_id}__", "workspace": workspace, **self.pattern}
        self.grant = next((grant for grant in grants if _fits(grant, mine)), None)

    def read(self) -> str | None:
        return str(self.grant["permission"]) if self.grant else None

    def write(self, before: str | None, permission: str) -> None:
        what = f"grant {permission} on {self.desired.described} to {self.desired.user}"
        if before and self.grant:
            # In one step: between a revocation and a new grant the user would have the default permission.
            rows = ask(self.client, "GET", f"{_ROLE_GRANTS}/list", query={"role_id": self.grant["role_id"]})
            found = content(rows, what).get("role_permissions") or []
            for row in found:
                if _fits(row, self.pattern):
                    body = {"role_permission_id": row["id"], "permission": permission}
                    content(ask(self.client, "PATCH", f"{_ROLE_GRANTS}/update", body=body), what)
                    return
        answer = ask(self.client, "POST", f"{_GRANTS}/grant", body={**self.body, "permission": permission})
        content(answer, what)

    def delete(self) -> None:
        answer = ask(self.client, "POST", f"{_GRANTS}/revoke", body=self.body)
        if not is_missing(answer):
            content(answer, f"take the permission on {self.desired.described} from {self.desired.user}")


def _fits(row: dict[str, typing.Any], desired: dict[str, str]) -> bool:
    return all(row.get(key) == value for key, value in desired.items())


def ensure_permission(client: Client, desired: WantedPermission, check_mode: bool) -> PermissionOutcome:
    """Ensure the user's own grant on the resource.

    Permissions from roles and the default permission are left alone.
    """
    try:
        user = get_user(client, desired.user)
        if user is None:
            raise _Missing("no_user", f"There is no user {desired.user} on {client.connection.host}.")
        resource_id = _find(client, desired)
    except _Missing as error:
        if desired.permission is None:
            # There is no permission on a resource that does not exist.
            return PermissionOutcome()
        if not check_mode:
            raise
        # In check mode, an earlier task may be about to create it.
        return PermissionOutcome(after=desired.permission, warnings=[error.message])
    answer = ask(client, "GET", f"{_GRANTS}/list", query={"username": desired.user})
    interface: _Old | _New
    if answer.status == 404 and not answer.error_code:
        interface = _Old(client, desired, resource_id)
    else:
        grants = content(answer, f"tell the permissions of {desired.user}").get("permissions") or []
        interface = _New(client, desired, resource_id, user.get("id"), grants)
    outcome = PermissionOutcome(before=interface.read(), after=desired.permission, resource_id=resource_id)
    if outcome.changed and not check_mode:
        if desired.permission is None:
            interface.delete()
        else:
            interface.write(outcome.before, desired.permission)
    return outcome


def _find(client: Client, desired: WantedPermission) -> str:
    """Return the id under which MLflow keeps permissions on the resource."""
    if desired.name == ALL:
        return ALL
    if desired.kind == "experiment":
        return _experiment(client, desired.name, desired.resource_id)
    if desired.kind == "scorer":
        return _scorer(client, desired)
    if desired.kind in ("registered_model", "prompt"):
        return _model(client, desired)
    listing = KINDS[desired.kind].listing
    if listing:
        return _listed(client, desired, listing)
    # An MCP server's id is its name.
    return desired.name or desired.resource_id or ""


def _experiment(client: Client, name: str | None, experiment_id: str | None) -> str:
    if name:
        answer = ask(client, "GET", f"{EXPERIMENTS}/get-by-name", query={"experiment_name": name})
        called = name
    else:
        answer = ask(client, "GET", f"{EXPERIMENTS}/get", query={"experiment_id": experiment_id})
        called = f"with id {experiment_id}"
    if is_missing(answer):
        raise _Missing("no_resource", f"There is no experiment {called} on {client.connection.host}.")
    found = content(answer, f"tell of experiment {called}").get("experiment") or {}
    return str(found.get("experiment_id") or experiment_id)


def _scorer(client: Client, desired: WantedPermission) -> str:
    experiment_id = _experiment(client, desired.experiment, desired.experiment_id)
    name = desired.name or desired.resource_id or ""
    answer = ask(client, "GET", f"{_SCORERS}/get", query={"experiment_id": experiment_id, "name": name})
    if is_missing(answer):
        raise _Missing("no_resource", f"There is no {desired.described} on {client.connection.host}.")
    content(answer, f"tell of {desired.described}")
    return f"{experiment_id}/{name}"


def _model(client: Client, desired: WantedPermission) -> str:
    name = desired.name or desired.resource_id or ""
    answer = ask(client, "GET", f"{_MODELS}/get", query={"name": name})
    if is_missing(answer):
        raise _Missing("no_resource", f"There is no {desired.described} on {client.connection.host}.")
    model = content(answer, f"tell of {desired.described}").get("registered_model") or {}
    tags = {str(tag.get("key")): str(tag.get("value")) for tag in model.get("tags") or []}
    kind = "prompt" if tags.get(_PROMPT_TAG, "").lower() == "true" else "registered_model"
    if kind != desired.kind:
        # From 3.13 on each has grants of its own; one on the wrong kind would be taken and have no effect.
        raise MlflowError("wrong_kind", f"{name} is a {KINDS[kind].word}: give it as resource_type {kind}.")
    return name


def _listed(client: Client, desired: WantedPermission, listing: tuple[str, str, str, str]) -> str:
    path, member, id_key, name_key = listing
    answer = ask(client, "GET", path)
    if answer.status == 404 and not answer.error_code:
        raise MlflowError(
            "unsupported_version",
            f"{client.connection.tracking_uri} has no {KINDS[desired.kind].word}s: its MLflow is older.",
        )
    for entry in content(answer, f"list its {KINDS[desired.kind].word}s").get(member) or []:
        if (desired.name and entry.get(name_key) == desired.name) or entry.get(id_key) == desired.resource_id:
            return str(entry[id_key])
    raise _Missing("no_resource", f"There is no {desired.described} on {client.connection.host}.")
