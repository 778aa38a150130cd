# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Check what users add to `mlflow server`: arguments, environment variables and secrets.

A contradiction to a variable, or to the deployment itself, would otherwise be noticed when the server does not start,
after everything else was created. Pure Python, private to the collection.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import as_text
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import member_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import within

_HEALTH = "the load balancer asks for /health, which a server with a prefix does not have"
_UVICORN = "MLflow takes one of uvicorn, gunicorn and waitress, and the roles set up uvicorn"

# Options of `mlflow server` that the roles set: what to do instead.
# mlflow/cli/__init__.py, `server`; mlflow/utils/cli_args.py.
OPTIONS: dict[str, str] = {
    "--backend-store-uri": "set mlflow_db_host and mlflow_db_secret_arn",
    "--artifacts-destination": "set mlflow_bucket_name",
    "--host": "leave it out, since the load balancer must reach the server",
    "--port": "leave it out, since the load balancer must reach the server",
    "--workers": "set mlflow_workers",
    "--app-name": "set mlflow_auth",
    "--uvicorn-opts": "set mlflow_keep_alive_seconds, or UVICORN_… variables in mlflow_extra_env",
    "--gunicorn-opts": f"leave it out, since {_UVICORN}",
    "--waitress-opts": f"leave it out, since {_UVICORN}",
    "--dev": f"leave it out, since {_UVICORN}",
    "--static-prefix": f"leave it out, since {_HEALTH}",
    "--artifacts-only": "leave it out, since such a server has no experiments",
    "--allowed-hosts": "set mlflow_allowed_hosts",
    "--cors-allowed-origins": "set mlflow_cors_allowed_origins",
    "--disable-security-middleware": "set mlflow_disable_security_middleware",
}
_SHORT = {"-h": "--host", "-p": "--port", "-w": "--workers"}

# Further options, so that none is taken for an abbreviation of another.
_OTHER_OPTIONS = (
    *("--default-artifact-root", "--disable-workspaces", "--enable-workspaces", "--expose-prometheus", "--help"),
    *("--no-serve-artifacts", "--read-replica-backend-store-uri", "--registry-store-uri", "--secrets-cache-max-size"),
    *("--secrets-cache-ttl", "--serve-artifacts", "--trace-archival-config", "--workspace-store-uri"),
    "--x-frame-options",
)

# Environment variables that the roles set, or that stand for an option of theirs: what to do instead. Nothing: the
# user's value is taken in place of the roles'.
ENVIRONMENT: dict[str, str] = {
    "AWS_DEFAULT_REGION": "",
    "PGCONNECT_TIMEOUT": "",
    "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "",
    "PGSSLMODE": "set mlflow_db_sslmode",
    "DATABASE_CA_CERTIFICATES": "set mlflow_db_ca_path",
    "MLFLOW_BACKEND_STORE_URI": OPTIONS["--backend-store-uri"],
    "MLFLOW_ARTIFACTS_DESTINATION": OPTIONS["--artifacts-destination"],
    "MLFLOW_ARTIFACTS_ONLY": OPTIONS["--artifacts-only"],
    "MLFLOW_HOST": OPTIONS["--host"],
    "MLFLOW_PORT": OPTIONS["--port"],
    "MLFLOW_WORKERS": OPTIONS["--workers"],
    "MLFLOW_UVICORN_OPTS": OPTIONS["--uvicorn-opts"],
    "MLFLOW_GUNICORN_OPTS": OPTIONS["--gunicorn-opts"],
    "MLFLOW_STATIC_PREFIX": OPTIONS["--static-prefix"],
    "MLFLOW_SERVER_ALLOWED_HOSTS": OPTIONS["--allowed-hosts"],
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": OPTIONS["--cors-allowed-origins"],
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": OPTIONS["--disable-security-middleware"],
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "set mlflow_job_execution",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "set mlflow_artifact_transfers",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "set mlflow_artifact_transfers",
    "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": "set mlflow_allowed_model_sources",
    "ARTIFACT_LOCATION_VALIDATION_REGEX": "set mlflow_allowed_artifact_locations",
    "ARTIFACT_LOCATIONS_VARIABLE": "",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "set mlflow_db_pool_size",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "set mlflow_db_pool_max_overflow",
    "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": "set mlflow_db_pool_recycle_seconds",
}
SECRETS: dict[str, str] = {
    "PGPASSWORD": "set mlflow_db_secret_arn",
    "PGUSER": "set mlflow_db_username",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": "",
}

# Variables of the login modes.
_LOGIN = "leave it out, since mlflow_auth sets it up"
LOGIN_ENVIRONMENT: dict[str, dict[str, str]] = {
    "none": {},
    "basic": {"MLFLOW_AUTH_CONFIG_PATH": _LOGIN},
    "oidc": {
        "OIDC_DISCOVERY_URL": "set mlflow_oidc_discovery_url",
        "OIDC_CLIENT_ID": "set mlflow_oidc_client_id",
        "OIDC_SCOPE": "set mlflow_oidc_scope",
        "OIDC_GROUPS_ATTRIBUTE": "set mlflow_oidc_groups_attribute",
        "OIDC_GROUP_NAME": "set mlflow_oidc_group_name",
        "OIDC_ADMIN_GROUP_NAME": "set mlflow_oidc_admin_group_name",
        "OIDC_REDIRECT_URI": "set mlflow_oidc_redirect_uri",
        "OIDC_AUDIENCE": "set mlflow_oidc_audience",
        "OIDC_PROVISION_ON_BEARER_AUTH": "set mlflow_oidc_provision_on_bearer",
        "OIDC_TRUST_BEARER_GROUP_CLAIMS": "set mlflow_oidc_trust_bearer_groups",
        "OIDC_CA_CERTIFICATES": "set mlflow_oidc_ca_path",
        "DEFAULT_MLFLOW_PERMISSION": "set mlflow_default_permission",
        "OIDC_CODE_CHALLENGE": "",
        "OIDC_ALEMBIC_VERSION_TABLE": "",
        "SESSION_COOKIE_SECURE": "",
        "SESSION_COOKIE_SAMESITE": "",
        "ENABLE_API_DOCS": "",
        "FORWARDED_ALLOW_IPS": "",
        "TRUSTED_PROXIES": "",
    },
}
LOGIN_SECRETS: dict[str, dict[str, str]] = {
    "none": {},
    "basic": {
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "",
        "MLFLOW_AUTH_ADMIN_USERNAME": "set mlflow_admin_username",
        "MLFLOW_AUTH_ADMIN_PASSWORD": _LOGIN,
    },
    "oidc": {"OIDC_CLIENT_SECRET": "set mlflow_oidc_client_secret_arn", "SECRET_KEY": ""},
}


def arguments(name: str, value: typing.Any) -> Problems:
    """Check further arguments of `mlflow server`: each a text, and none set by the roles.

    Args:
        name: the variable.
        value: the user's value.
    """
    if problems := text_list(name, value):
        return problems
    return within(
        name,
        (
            problem
            for index, one in enumerate(value)
            for problem in _argument_problems(f"{name}[{index}]", str(as_text(one)))
        ),
    )


def text_list(name: str, value: typing.Any) -> Problems:
    """Check a list of texts, numbers and booleans, none of them empty."""
    if not isinstance(value, (list, tuple)):
        return [Violation(name, f"is {shown(value)}, but must be a list")]
    problems = member_problems(name, list(value))
    return problems + [
        Violation(name, f"is {one!r}, but must not be empty", subject=f"{name}[{index}]")
        for index, one in enumerate(value)
        if isinstance(one, str) and not one.strip()
    ]


def _argument_problems(where: str, given: str) -> Problems:
    # Values, such as that of --expose-prometheus, do not begin with a hyphen.
    option = given.split("=", 1)[0].strip()
    if re.match(r"-[a-z]", option):
        option = _SHORT.get(option[:2], option)
    elif not option.startswith("--"):
        return []
    if re.search(r"\s", option):
        return [
            Violation(where, f"is {shown(given)}, an option and its value in one", "make them two members of the list")
        ]
    if option in OPTIONS:
        return [Violation(where, f"is {shown(given)}, which contradicts what the roles set", OPTIONS[option])]
    known = (*OPTIONS, *_OTHER_OPTIONS)
    begun = [one for one in known if one.startswith(option)]
    if option not in known and begun:
        # click knows no abbreviations: "No such option".
        return [
            Violation(where, f"is {shown(given)}, which mlflow server takes for no option", f"did you mean {begun[0]}?")
        ]
    return []


def clashes(given: typing.Any, own: Mapping[str, str], name: str, what: str, override: bool) -> Problems:
    """Check that the user sets no variable that the roles set.

    Args:
        given: environment variables or secrets of the user's.
        own: those of the roles, with the remedy.
        name: the variable that holds them.
        what: "environment variable" or "secret".
        override: whether users may override those without a remedy.
    """
    if not isinstance(given, Mapping):
        return []
    problems = []
    for key in (one for one in given if one in own and not (override and not own[one])):
        instead = own[key] or "leave it out"
        problems.append(Violation(name, f"has {key}, which the roles set as {what}", instead))
    return problems


def merged(*parts: Mapping[str, str]) -> dict[str, str]:
    """Merge dictionaries."""
    return {key: one for part in parts for key, one in part.items()}


def extra_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check mlflow_extra_env and mlflow_extra_secrets against what the roles set in the login's mode."""
    mode = inputs.get("mlflow_auth") or "basic"
    if mode not in LOGIN_SECRETS:
        return []
    env, hidden = inputs.get("mlflow_extra_env"), inputs.get("mlflow_extra_secrets")
    environment = merged(ENVIRONMENT, LOGIN_ENVIRONMENT[mode])
    if inputs.get("mlflow_pip_index_url"):
        environment["PIP_INDEX_URL"] = "set mlflow_pip_index_url"
    secrets = merged(SECRETS, LOGIN_SECRETS[mode])
    plain, secret = "an environment variable", "a secret"
    problems = clashes(env, environment, "mlflow_extra_env", plain, override=True)
    problems += clashes(env, secrets, "mlflow_extra_env", secret, override=False)
    problems += clashes(hidden, environment, "mlflow_extra_secrets", plain, override=False)
    return problems + clashes(hidden, secrets, "mlflow_extra_secrets", secret, override=True)
