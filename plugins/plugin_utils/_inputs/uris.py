# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Prefixes of artifact locations and model sources that a deployment allows besides MLflow's own.

Pure Python, private to the collection.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import is_true
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# Prefixes that are always allowed for a model version's source: _roles/server_environment.py.
OWN_SOURCES = ("mlflow-artifacts:/", "runs:/", "models:/")
_DEFAULT_ROOT = "--default-artifact-root"


def _prefix_problem(name: str, value: typing.Any) -> Violation | None:
    right = "the beginning of a URI, such as s3://shared-models/"
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]+:/[!-~]*", value):
        return Violation(name, f"is {shown(value)}, but must be {right}")
    if value.startswith("file:"):
        return Violation(name, f"is {value!r}: files of the task end with it, and hold its passwords; name {right}")
    if re.search(r"[?#%\\]|/\.{1,2}(/|$)", value):
        return Violation(name, f"is {value!r}, but must be {right}, without ? # % \\ and without dots between slashes")
    if not value.endswith("/"):
        return Violation(name, f"is {value!r}, which others begin with too", f"end it with a slash, {value + '/'!r}")
    return None


def sources(name: str, value: typing.Any) -> Problems:
    """Check a prefix of model sources."""
    if problem := _prefix_problem(name, value):
        return [problem]
    if value.startswith(OWN_SOURCES):
        return [Violation(name, f"is {value!r}, which is allowed where the caller may read it", "leave it out")]
    return []


def locations(name: str, value: typing.Any) -> Problems:
    """Check a prefix of artifact locations."""
    if problem := _prefix_problem(name, value):
        return [problem]
    if value.startswith(("runs:", "models:")):
        return [Violation(name, f"is {value!r}, which is no place that files can be stored in", "leave it out")]
    if value.startswith("mlflow-artifacts:") and not re.match(r"mlflow-artifacts:/[A-Za-z_][^/]*/", value):
        # mlflow-artifacts:/<ID of an experiment>/ is where MLflow puts the files of each; after // is a host.
        return [
            Violation(
                name,
                f"is {value!r}, which is where the files of others are; name a folder that begins with a letter, such"
                " as mlflow-artifacts:/team/",
            )
        ]
    return []


def root_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check that models below the user's artifact root can be registered."""
    if not is_true(inputs.get("mlflow_uri_guard", True)):
        return []
    allowed = inputs.get("mlflow_allowed_model_sources")
    begins = (*OWN_SOURCES, *(map(str, allowed) if isinstance(allowed, (list, tuple)) else ()))
    name, where, root = _default_root(inputs)
    if empty(root) or f"{root.rstrip('/')}/".startswith(begins):
        return []
    return [
        Violation(
            name,
            f"is {root!r}, below which no model could be registered",
            "add it to mlflow_allowed_model_sources ([s3://bucket/prefix/]), or set mlflow_uri_guard to false",
            subject=f"{where} in {name}",
        )
    ]


def _default_root(inputs: Mapping[str, typing.Any]) -> tuple[str, str, str]:
    """Return the variable that sets MLflow's artifact root, the setting in it, and the root; or None."""
    arguments, env = inputs.get("mlflow_extra_args"), inputs.get("mlflow_extra_env")
    if isinstance(arguments, (list, tuple)):
        given = [str(one) for one in arguments]
        for index, one in enumerate(given):
            option, equals, root = one.partition("=")
            if option == _DEFAULT_ROOT:
                return "mlflow_extra_args", _DEFAULT_ROOT, root if equals else "".join(given[index + 1 : index + 2])
    # mlflow/cli/__init__.py, `server`.
    name = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
    if isinstance(env, Mapping) and name in env:
        return "mlflow_extra_env", name, str(env[name])
    return "", "", ""
