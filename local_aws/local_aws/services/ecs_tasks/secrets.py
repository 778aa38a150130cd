# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `secrets` of a task, resolved as ECS's agent does it: through the API, with the execution role.

The wording of the errors follows the stopped reasons in AWS's guide "Amazon ECS stopped tasks error messages",
ResourceInitializationError.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError

from ...service import TrustError

_PREFIX = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "

# (service, operation, parameters, region) → output
Caller = Callable[[str, str, dict[str, Any], str], Awaitable[dict[str, Any]]]


class SecretsError(Exception):
    """A secret cannot be had; the message is ECS's stoppedReason."""


async def resolve(secrets: dict[str, str], caller: Caller, region: str) -> dict[str, str]:
    """The values of a container's secrets by name.

    :arg secrets: environment variable → valueFrom.
    :arg caller: makes one API call as the execution role.
    :arg region: where an SSM parameter given by name is looked for.
    :raises SecretsError: the first one that cannot be had.
    """
    values: dict[str, str] = {}
    cache: dict[tuple[str, str, str], str] = {}
    for name, source in secrets.items():
        parts = source.split(":")
        if source.startswith("arn:") and len(parts) > 6 and parts[2] == "secretsmanager":
            values[name] = await _from_secrets_manager(source, parts, caller, cache)
        else:
            values[name] = await _from_parameter_store(source, parts, caller, region)
    return values


async def _from_secrets_manager(
    source: str, parts: list[str], caller: Caller, cache: dict[tuple[str, str, str], str]
) -> str:
    # arn:aws:secretsmanager:region:account:secret:name-AbCdEf[:json-key:version-stage:version-id]
    arn = ":".join(parts[:7])
    key, stage, version = ([*parts[7:], "", "", ""])[:3]
    where = (arn, stage, version)
    if where not in cache:
        parameters: dict[str, Any] = {"SecretId": arn}
        if stage:
            parameters["VersionStage"] = stage
        if version:
            parameters["VersionId"] = version
        failed = (
            f"{_PREFIX}unable to retrieve secret from asm: service call has been retried 1 time(s): "
            f"failed to fetch secret {arn} from secrets manager: "
        )
        try:
            output = await caller("secretsmanager", "get_secret_value", parameters, parts[3])
        except (ClientError, BotoCoreError, TrustError) as error:
            raise SecretsError(failed + describe(error)) from error
        if "SecretString" not in output:
            raise SecretsError(f"{failed}the secret holds binary data, which cannot be an environment variable")
        cache[where] = output["SecretString"]
    if not key:
        return cache[where]
    return _json_member(cache[where], key, source)


def _json_member(text: str, key: str, source: str) -> str:
    failed = f"{_PREFIX}unable to retrieve secret from asm: service call has been retried 1 time(s): "
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise SecretsError(
            f"{failed}invalid character in the secret's value: {source} asks for a key of a value that is not JSON"
        )
    if key not in data:
        raise SecretsError(f"{failed}retrieved secret from Secrets Manager did not contain json key {key}")
    value = data[key]
    return value if isinstance(value, str) else json.dumps(value)


async def _from_parameter_store(source: str, parts: list[str], caller: Caller, region: str) -> str:
    name = source
    if source.startswith("arn:"):
        # arn:aws:ssm:region:account:parameter/path/of/name: a path begins with a slash, a plain name does not
        region = parts[3]
        path = ":".join(parts[5:]).removeprefix("parameter/")
        name = f"/{path}" if "/" in path else path
    failed = f"{_PREFIX}unable to retrieve secrets from ssm: service call has been retried 1 time(s): "
    try:
        output = await caller("ssm", "get_parameters", {"Names": [name], "WithDecryption": True}, region)
    except (ClientError, BotoCoreError, TrustError) as error:
        raise SecretsError(failed + describe(error)) from error
    if not output.get("Parameters"):
        raise SecretsError(f"{failed}invalid ssm parameters: {name}")
    return str(output["Parameters"][0]["Value"])


def describe(error: Exception) -> str:
    """An API's refusal as ECS puts it into a stopped reason."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        request = error.response.get("ResponseMetadata", {}).get("RequestId", "")
        return f"{details.get('Code')}: {details.get('Message')} status code: {status}, request id: {request}"
    return str(error)
