# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The plain environment of the server's container."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import variable
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.server_command import database_uri

# Prefixes that are always allowed for a model version's source. No second slash follows, since that would be a host,
# which gets the login of the user who loads the model. Prompts have one of two words as source
# (mlflow/prompt/constants.py).
_OWN_SOURCES = "(?:mlflow-artifacts|runs|models):/(?!/)"
_OTHER_SOURCES = "prompt-template|dummy-source"
_URI_REST = r"[^?#\\\x00-\x1f]*"
_ON_THIS_MACHINE = ("localhost:*", "127.0.0.1:*")


def server_environment(settings: Mapping[str, typing.Any]) -> dict[str, str]:
    """Return the environment, in which the user's variables override the roles'.

    Args:
        settings: the server's, see the filter C(mlflow_server_environment).
    """
    presigned = _switch(settings["artifact_transfers"] == "presigned")
    certificates = settings["database_ca_certificates"]
    return {
        "AWS_DEFAULT_REGION": settings["region"],
        "PGSSLMODE": settings["database_sslmode"],
        # Where a security group drops packets, each of the server's attempts would hang for minutes.
        "PGCONNECT_TIMEOUT": "5",
        # uvicorn reads its options from there too; older ones do not know this one. Its supervisor kills a worker that
        # does not answer it within 5 s, and on a busy processor one that only imports MLflow does not.
        "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "60",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": _switch(settings["job_execution"]),
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": presigned,
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": presigned,
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(settings["db_pool_size"]),
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(settings["db_pool_max_overflow"]),
        "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": str(settings["db_pool_recycle_seconds"]),
        **(uri_environment(settings) if settings["uri_guard"] else {}),
        **({} if settings["disable_security_middleware"] else _security(settings)),
        # For the login's commands: users are kept in the same database.
        **({"MLFLOW_BACKEND_STORE_URI": database_uri(settings)} if settings["boot"] else {}),
        **({"DATABASE_CA_CERTIFICATES": certificates} if certificates else {}),
        **settings["login_environment"],
        **settings["extra_env"],
    }


def _switch(on: bool) -> str:
    return "true" if on else "false"


def uri_environment(settings: Mapping[str, typing.Any]) -> dict[str, str]:
    """Return the variables that limit the model sources and artifact locations of users."""
    sources = "|".join([_OWN_SOURCES, *map(re.escape, settings["allowed_model_sources"])])
    found = {
        "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": f"^(?:(?:{sources}){_URI_REST}|{_OTHER_SOURCES})\\Z"
    }
    # For the plugin mlflow_uri_guard, which names it in a message.
    found["ARTIFACT_LOCATIONS_VARIABLE"] = variable(settings, "allowed_artifact_locations")
    locations = "|".join(map(re.escape, settings["allowed_artifact_locations"]))
    if locations:
        found["ARTIFACT_LOCATION_VALIDATION_REGEX"] = rf"(?!.*/\.\.?(?:/|\Z))(?:{locations}){_URI_REST}"
    return found


def _security(settings: Mapping[str, typing.Any]) -> dict[str, str]:
    """Return the host names and origins that the server answers to. A custom domain is added to both.

    AWS's names are <first two characters of the service's name>-<32 hexadecimal digits>.ecs.<region>.on.aws; in China,
    on.amazonwebservices.com.cn takes the place of on.aws.
    """
    pattern = f"{settings['service_name'][:2]}-*.{settings['domain']}"
    hosts = settings["allowed_hosts"] or [pattern, *_ON_THIS_MACHINE]
    origins = settings["cors_allowed_origins"] or settings["known_origins"] or [f"https://{pattern}"]
    if custom := settings["custom_domain"]:
        hosts, origins = [*hosts, custom], [*origins, f"https://{custom}"]
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),
    }
