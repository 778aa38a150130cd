# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The command line of the server's container: preparation, and the server itself."""

from __future__ import annotations

import shlex
import typing
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import version_at_least
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import script
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import variable

PORT = 5000

# The environment of pip: settings of the index, and no password, key or token of the server. Names only, since values
# on the command line of `env` would be visible.
_PIP_ENVIRONMENT = (
    "PATH|HOME|TMPDIR|LANG|LC_ALL|LD_LIBRARY_PATH",
    "HTTP_PROXY|HTTPS_PROXY|ALL_PROXY|NO_PROXY|http_proxy|https_proxy|all_proxy|no_proxy",
    "SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE",
    "PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|PIP_NO_INDEX|PIP_FIND_LINKS|PIP_TRUSTED_HOST|PIP_CERT|PIP_CLIENT_CERT|PIP_PROXY"
    "|PIP_CONFIG_FILE",
    "PIP_TIMEOUT|PIP_DEFAULT_TIMEOUT|PIP_RETRIES",
)
_PIP = (
    "pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore --no-input"
    ' --require-hashes --no-deps --only-binary :all: --requirement "$PINNED"'
)
_ENTRY_POINTS = {
    "sqlalchemy.plugins": {
        "mlflow_bounded_pool": "mlflow_bounded_pool:BoundedPoolPlugin",
        "mlflow_uri_guard": "mlflow_uri_guard:UriGuardPlugin",
    },
    "mlflow.artifact_repository": {"s3": "mlflow_proxied_s3:ProxiedS3ArtifactRepository"},
}


def database_uri(settings: Mapping[str, typing.Any]) -> str:
    """Return the database's URI, without a password, and without a user where libpq has one from PGUSER.

    It begins with postgresql+psycopg2, since SQLAlchemy 2.1 reads plain postgresql as psycopg 3, which not every image
    holds.
    """
    user, name = (quote(str(settings[part]), safe="/") for part in ("database_username", "database_name"))
    login = f"{user}@" if user else ""
    return f"postgresql+psycopg2://{login}{settings['database_host']}:{settings['database_port']}/{name}"


def sqlalchemy_plugins(settings: Mapping[str, typing.Any]) -> list[str]:
    """Return the plugins that limit the server's connections and check the URIs that users store."""
    return ["mlflow_bounded_pool", *(["mlflow_uri_guard"] if settings["uri_guard"] else [])]


def server_command(settings: Mapping[str, typing.Any], files: Path) -> list[str]:
    """Return the container's command.

    Args:
        settings: the server's, see the filter C(mlflow_server_command).
        files: folder of the scripts that the task runs.
    """
    uri = f"{database_uri(settings)}?plugin={'&plugin='.join(sqlalchemy_plugins(settings))}"
    commands = ["umask 077"]
    if settings["database_ca_certificates"]:
        commands += _trust_certificates(settings, files)
    if settings["pip_packages"]:
        commands += _install(settings["pip_packages"])
    commands += _add_plugins(settings, uri, files)
    commands += [*settings["boot"], _start(settings, uri)]
    return ["bash", "-c", " && ".join(commands)]


def _trust_certificates(settings: Mapping[str, typing.Any], files: Path) -> list[str]:
    """Write the certificates from a plain variable, as they are public, to a file for libpq."""
    libpq = database_uri(settings).replace("postgresql+psycopg2:", "postgresql:", 1)
    names = [variable(settings, name) for name in ("database_ca_certificates", "database_host")]
    return [
        'PGSSLROOTCERT="$(mktemp)"',
        'printf \'%s\\n\' "$DATABASE_CA_CERTIFICATES" > "$PGSSLROOTCERT"',
        "export PGSSLROOTCERT",
        f"python -c {shlex.quote(script(files / 'check_certificate.py'))} {_quoted([libpq, *names])}",
    ]


def _install(packages: Sequence[str]) -> list[str]:
    """Return commands that install only wheels with one of the hashes, which runs no code of the packages.

    pip keeps packages that are installed in the right version, without a request to the index.
    """
    return [
        'PINNED="$(mktemp)"',
        f"printf '%s\\n' {_quoted(packages)} > \"$PINNED\"",
        f'(exported="$(compgen -e)" && for name in $exported; do case "$name" in {"|".join(_PIP_ENVIRONMENT)}) ;;'
        f' *) unset "$name" ;; esac; done && exec {_PIP})',
        'rm "$PINNED"',
    ]


def _add_plugins(settings: Mapping[str, typing.Any], uri: str, files: Path) -> list[str]:
    """Put the collection's plugins of SQLAlchemy and of MLflow on the path, with the metadata of a Python package."""
    modules = sqlalchemy_plugins(settings)
    groups = ["sqlalchemy.plugins"]
    if _needs_proxied_s3(settings):
        modules = [*modules, "mlflow_proxied_s3"]
        groups = [*groups, "mlflow.artifact_repository"]
    lines = [
        line
        for group in groups
        for line in (f"[{group}]", *(f"{name} = {point}" for name, point in _ENTRY_POINTS[group].items()))
    ]
    return [
        'PLUGINS="$(mktemp -d)"',
        'mkdir "$PLUGINS/mlflow_plugins-1.dist-info"',
        'printf "%s\\\\n" "Metadata-Version: 2.1" "Name: mlflow-plugins" "Version: 1"'
        ' > "$PLUGINS/mlflow_plugins-1.dist-info/METADATA"',
        f'printf "%s\\\\n" {_quoted(lines)} > "$PLUGINS/mlflow_plugins-1.dist-info/entry_points.txt"',
        *(f"printf '%s\\n' {shlex.quote(script(files / f'{name}.py'))} > \"$PLUGINS/{name}.py\"" for name in modules),
        'export PYTHONPATH="$PLUGINS${PYTHONPATH:+:$PYTHONPATH}"',
        f"export MLFLOW_BACKEND_STORE_URI={shlex.quote(uri)}",
    ]


def _needs_proxied_s3(settings: Mapping[str, typing.Any]) -> bool:
    """Return whether a plugin must make clients transfer artifacts through the server.

    From 3.18.0 on, variables decide what it tells its clients (mlflow/environment_variables.py); from 3.15.0 to 3.17.2,
    the capabilities of its artifact repository, whatever the variables say. Older ones tell nothing.
    """
    version = settings["version"]
    told_by_repository = version_at_least(version, "3.15.0") and not version_at_least(version, "3.18.0")
    return told_by_repository and settings["artifact_transfers"] != "presigned"


def _start(settings: Mapping[str, typing.Any], uri: str) -> str:
    """Return the command that starts the server, with exec, so that it and not bash gets SIGTERM.

    The keep-alive time is above the 60 s after which the load balancer closes an idle connection: with uvicorn's 5 s,
    requests now and then meet a closed one (502).
    """
    arguments = [
        *("--backend-store-uri", uri),
        *("--workers", str(settings["workers"])),
        *("--uvicorn-opts", f"--timeout-keep-alive {settings['keep_alive_seconds']}"),
        *settings["server_args"],
        *(["--disable-security-middleware"] if settings["disable_security_middleware"] else []),
        *settings["extra_args"],
        *("--artifacts-destination", f"s3://{settings['bucket']}/"),
        *("--host", "0.0.0.0", "--port", str(PORT)),
    ]
    return f"exec mlflow server {_quoted(arguments)}"


def _quoted(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
