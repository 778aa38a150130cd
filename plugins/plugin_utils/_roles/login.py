# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Packages and commands of a login in the server's task, by MLflow's version, and checks of the login."""

from __future__ import annotations

import shlex
import typing
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import version_at_least
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import certificates
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import requirements
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import script
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import variable

Settings = Mapping[str, typing.Any]

# What each user may do with what is others', whatever the permissions say, before the version named
# (mlflow/server/auth/__init__.py; the places are in docs/security.md). What the server's guard closes is not here.
_UNGUARDED_BEFORE: dict[str, tuple[str, ...]] = {
    "3.11.1": ("webhooks", "files of logged models"),
    "3.13.0": ("traces and their assessments",),
    "3.15.0": ("inputs and outputs of runs",),
    "3.16.0": ("evaluation datasets", "issues", "background jobs", "the gateway's lists"),
    "3.17.0": ("scorers", "artifacts by paths that are encoded twice"),
}
SAFEST_VERSION = list(_UNGUARDED_BEFORE)[-1]

# mlflow-oidc-auth by the MLflow version from which on it is taken; each was run with its MLflow: started, code flow
# with PKCE, bearer tokens, the gate of the groups. What it needs is in files/image: every package with its hashes, so
# that a start tomorrow installs what one today does. Not here: 7.3.1, the last for MLflow before 3.14, which lets in
# every bearer token of the provider whatever its groups are, and uses no PKCE; 10.2.0 and newer, which do not start on
# the Python 3.11 of MLflow's images.
_OIDC_PLUGINS = {"3.18.0": "", "3.16.0": "10.1.3", "3.14.0": "8.4.0"}

# A task definition has 64 KiB for everything.
MOST_CERTIFICATES = 16384


def unguarded(version: str) -> list[str]:
    """Return what MLflow's own login does not protect in a version."""
    return [one for fixed, found in _UNGUARDED_BEFORE.items() if not version_at_least(version, fixed) for one in found]


def of_mlflow(image: str) -> bool:
    """Return whether an image is MLflow's own; since 3.14.0, -full ones have Flask-WTF (mlflow/mlflow, pull 23892)."""
    return not image or "/mlflow/mlflow:v" in f"/{image}"


def lacks_flask_wtf(settings: Settings) -> bool:
    """Return whether MLflow's image lacks a package that its own login needs."""
    return not version_at_least(settings["version"], "3.14.0")


def basic(settings: Settings, files: Path) -> dict[str, typing.Any]:
    """Return the packages and the commands for MLflow's own login.

    Its settings are read from a file alone (mlflow/server/auth/config.py), which the task writes when it starts, for
    itself to read. With the default file, users would lie in an SQLite file that is gone with the task.
    """
    version, bootstrap = settings["version"], settings["bootstrap_admin"]
    config = [f"default_permission={settings['default_permission']}"]
    if version_at_least(version, "3.12.0"):
        # Without the cache, which is off by default, each request derives a key from the password: `mlflow demo` takes
        # four times as long. A worker that did not make a change of a password notices it within this time.
        config.append("auth_cache_ttl_seconds=60")
    if not bootstrap:
        config += ["bootstrap_admin=false", f"bootstrap_admin_variable={variable(settings, 'bootstrap_admin')}"]
    written = " ".join(shlex.quote(one) for one in config)
    boot = [
        'export MLFLOW_AUTH_CONFIG_PATH="$(mktemp)"',
        f"python -c {shlex.quote(script(files / 'basic_config.py'))} {written}",
    ]
    if not version_at_least(version, "3.16.1"):
        # Each worker creates the tables of users, which fails if several do it at once on an empty database.
        boot.append('python -m mlflow.server.auth db upgrade --url "$MLFLOW_BACKEND_STORE_URI"')
    if bootstrap:
        boot.append("unset MLFLOW_AUTH_ADMIN_USERNAME MLFLOW_AUTH_ADMIN_PASSWORD")
    installs = lacks_flask_wtf(settings) and settings["pip_install"]
    return {"settings": config, "boot": boot, "packages": requirements(files / "image/basic.txt") if installs else []}


def oidc(settings: Settings, files: Path) -> dict[str, typing.Any]:
    """Return the plugin, the packages, the commands and the authorities for a login by OpenID Connect."""
    plugin = settings["oidc_plugin_version"] or _tested_plugin(settings["version"])
    code, name = script(files / "oidc_boot.py", indented=True), variable(settings, "oidc_discovery_url")
    return {
        "plugin": plugin,
        "packages": _oidc_packages(settings, plugin, files),
        "boot": [
            f'auth_settings="$(python -c {shlex.quote(code)} {shlex.quote(name)})"',
            'eval "$auth_settings"',
        ],
        # Only the certificates: they become a plain variable, which must not contain a private key from the file.
        "certificates": _authorities(settings["oidc_ca_path"]),
    }


def _tested_plugin(version: str) -> str:
    return next((plugin for first, plugin in _OIDC_PLUGINS.items() if version_at_least(version, first)), "")


def _installs_plugin(settings: Settings) -> bool:
    return bool(settings["pip_install"]) and of_mlflow(settings["image"])


def _oidc_packages(settings: Settings, plugin: str, files: Path) -> list[str]:
    """Return the packages for pip, without their dependencies: newer plugins would install a newer MLflow."""
    if not _installs_plugin(settings):
        return []
    if settings["oidc_plugin_requirements"]:
        return list(settings["oidc_plugin_requirements"])
    pinned = files / "image" / f"oidc-{plugin}.txt"
    return requirements(pinned) if pinned.is_file() else []


def _authorities(path: str) -> list[str]:
    file = Path(path).expanduser()
    return certificates(file.read_text(encoding="utf-8", errors="replace")) if path and file.is_file() else []


def violations(settings: Settings, files: Path) -> list[Violation]:
    """Return violations of a login, before anything is created."""
    mode = settings["mode"]
    if mode == "none":
        return _open_to_everybody(settings)
    return _oidc_violations(settings, oidc(settings, files)) if mode == "oidc" else _basic_violations(settings)


def warnings(settings: Settings) -> list[Violation]:
    """Return what MLflow's own login does not guard in the version."""
    found = unguarded(settings["version"]) if settings["mode"] == "basic" else []
    if not found:
        return []
    return [
        Violation(
            "auth_mlflow_version",
            f"is {settings['version']}, whose login lets every user read or change what is others', whatever the"
            f" permissions say: {', '.join(found)}; set auth_mlflow_version to {SAFEST_VERSION} or newer"
            " (docs/security.md)",
        )
    ]


def _open_to_everybody(settings: Settings) -> list[Violation]:
    if not settings["public"] or settings["allow_public_without_login"]:
        return []
    return [
        Violation(
            "auth_mode",
            "is 'none' and the subnets have a route to an internet gateway, so anyone on the internet could read,"
            " change and delete all that is on the server",
            "set auth_mode to basic, or auth_subnet_ids to private subnets, or, if you mean it,"
            " auth_allow_public_without_login to true",
        )
    ]


def _basic_violations(settings: Settings) -> list[Violation]:
    """Flask-WTF protects the form with which an administrator adds users; without it the server does not start."""
    if not of_mlflow(settings["image"]) or not lacks_flask_wtf(settings) or settings["pip_install"]:
        return []
    return [
        Violation(
            "auth_pip_install",
            f"is false, but MLflow's image of version {settings['version']} lacks Flask-WTF, without which the"
            " server does not start with a login (auth_mode is 'basic')",
            "set auth_mlflow_version to 3.14.0 or newer, or auth_image to an image of your own that has it, or"
            " auth_pip_install to true",
        )
    ]


def _oidc_violations(settings: Settings, found: Mapping[str, typing.Any]) -> list[Violation]:
    version, path = settings["version"], settings["oidc_ca_path"]
    if not found["plugin"]:
        older = (
            ""
            if version_at_least(version, "3.14.0")
            else ", and the last one made for it, 7.3.1, lets in every bearer token of the provider, whatever its"
            " groups are, and uses no PKCE"
        )
        return [
            Violation(
                "auth_mode",
                f"is 'oidc', but no version of mlflow-oidc-auth was tested with MLflow {version}{older}",
                "set auth_mlflow_version to one from 3.14.0 to 3.17.2, or auth_oidc_plugin_version to the one that you"
                " have tested",
            )
        ]
    if _installs_plugin(settings) and not found["packages"]:
        return [
            Violation(
                "auth_oidc_plugin_version",
                f"is {found['plugin']}, for which this collection knows no hashes, and a task installs nothing without",
                "list the plugin and what it needs in auth_oidc_plugin_requirements, each as name==version"
                " --hash=sha256:…, or set auth_image to an image of your own that has them (docs/oidc.md)",
            )
        ]
    if path and not found["certificates"]:
        holds = "that file holds no PEM certificate (-----BEGIN CERTIFICATE-----)"
        exists = Path(path).expanduser().is_file()
        return [Violation("auth_oidc_ca_path", f"is {path}, but {holds if exists else 'there is no such file'}")]
    if sum(map(len, found["certificates"])) > MOST_CERTIFICATES:
        return [
            Violation(
                "auth_oidc_ca_path",
                f"is {path}, but its certificates have more than the {MOST_CERTIFICATES} characters that fit into a"
                " task definition",
                "name a file with the authorities of your provider alone",
            )
        ]
    return []
