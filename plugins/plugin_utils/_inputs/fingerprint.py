# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Short hashes of what a deployment is made of on this side: the variables that say what it is, and the collection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import typing
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import WrongTypeError
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import as_type

#: Variables that say how a run works, or what another verb does: whatever they are, the same is deployed.
STEERING = frozenset(
    {
        "mlflow_backup_keep",
        "mlflow_backup_name",
        "mlflow_backup_portable",
        "mlflow_ca_path",
        "mlflow_client_executable",
        "mlflow_client_requirements",
        "mlflow_client_root",
        "mlflow_client_unpinned",
        "mlflow_confirm_data_loss",
        "mlflow_confirm_destroy",
        "mlflow_delete_artifacts",
        "mlflow_delete_logs",
        "mlflow_demo",
        "mlflow_demo_time_limit",
        "mlflow_direct_execution",
        "mlflow_full_converge",
        "mlflow_gc_delete",
        "mlflow_gc_older_than",
        "mlflow_known_variables",
        "mlflow_live_progress",
        "mlflow_login_hint",
        "mlflow_plan_fail_on_change",
        "mlflow_plan_path",
        "mlflow_poll_seconds",
        "mlflow_recreate_stuck",
        "mlflow_request_timeout",
        "mlflow_restore_accept",
        "mlflow_restore_artifacts",
        "mlflow_restore_backup",
        "mlflow_restore_confirm",
        "mlflow_restore_leave_replicas",
        "mlflow_restore_snapshot",
        "mlflow_restore_time",
        "mlflow_rollback_confirm",
        "mlflow_rollback_remove",
        "mlflow_rolled_back",
        "mlflow_skip_final_snapshot",
        "mlflow_stall_timeout",
        "mlflow_unlock",
        "mlflow_upgrade",
        "mlflow_wait_timeout",
    }
)
#: Of these files the contents count.
FILES = frozenset({"mlflow_db_ca_path", "mlflow_oidc_ca_path"})
#: Roles that change nothing at AWS.
_OTHER_ROLES = ("validation", "local_aws")
# What a deployment is made with. local_aws is another product.
_FOLDERS = ("meta", "plugins", "roles")
_VERSION = re.compile(r"""^version: *["']?([^\s"']+)|"version": *"([^"]+)\"""", re.M)
_LENGTH = 12


def variables_hash(
    values: Mapping[str, Mapping[str, typing.Any]], options: Mapping[str, Mapping[str, typing.Any]], scope: Scope
) -> str:
    """Return the short hash of the variables that say what is deployed.

    Left at their defaults they do not count, so that a new variable is no change. Text counts as what it stands for.

    Args:
        values: those of each role.
        options: each role's options, by its argument specification.
        scope: where the deployment is.
    """
    taken = {
        name: _content(value) if name in FILES else value
        for role in sorted(set(values).difference(_OTHER_ROLES))
        for name, value in _set(values[role], options[role])
    }
    return _hash(json.dumps([scope.partition, scope.region, scope.account_id, taken], sort_keys=True, default=str))


def _set(values: Mapping[str, typing.Any], options: Mapping[str, typing.Any]) -> Iterator[tuple[str, typing.Any]]:
    for name, value in values.items():
        if name in STEERING:
            continue
        option = options[name]
        taken = _taken(value, option)
        if taken != _taken(option.get("default"), option):
            yield name, taken


def _taken(value: typing.Any, option: Mapping[str, typing.Any]) -> typing.Any:
    with contextlib.suppress(WrongTypeError):
        return as_type(value, option.get("type", "str"))
    return value


def _content(path: typing.Any) -> str:
    """Return the hash of a file's content; of its name where it cannot be read, which is refused elsewhere."""
    with contextlib.suppress(OSError):
        return _hash(Path(str(path)).expanduser().read_bytes())
    return str(path)


def collection_version(root: Path) -> str:
    """Return the version of the collection, from what Galaxy installs or a checkout has; empty if neither says it."""
    for name in ("MANIFEST.json", "galaxy.yml"):
        with contextlib.suppress(OSError):
            if found := _VERSION.search((root / name).read_text(encoding="utf-8")):
                return found[1] or found[2]
    return ""


def collection_hash(root: Path) -> str:
    """Return the short hash of the collection's files: what is installed from git changes without its version."""
    found = hashlib.sha256()
    for folder in _FOLDERS:
        for where, folders, files in os.walk(root / folder):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            inside = where[len(str(root)) + 1 :]
            for name in sorted(files):
                with open(os.path.join(where, name), "rb") as file:
                    content = hashlib.sha256(file.read()).digest()
                found.update(os.path.join(inside, name).encode() + b"\0" + content)
    return found.hexdigest()[:_LENGTH]


def _hash(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:_LENGTH]
