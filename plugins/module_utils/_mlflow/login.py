# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Logins and passwords in AWS Secrets Manager, which the module reads itself, so that no variable holds them.

Every value that is read here is hidden in the module's output.
"""

from __future__ import annotations

import contextlib
import json
import typing

with contextlib.suppress(ImportError):  # Told by check_sdk_version_supported.
    import botocore.exceptions

from ansible.module_utils.common.warnings import warn

from ansible_collections.amazon.aws.plugins.module_utils.botocore import check_sdk_version_supported
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import clients as aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import connection_error

from .rest import Connection
from .rest import MlflowError
from .rest import parse_connection

if typing.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

CURRENT = "AWSCURRENT"


class MissingSecret(MlflowError):
    """The secret, or its version with the staging label, does not exist."""


def connect(module: AnsibleAWSModule) -> Connection:
    """Create the connection from the module's options, with the login from a secret if one is named.

    Raises:
        MlflowError: the options or the secret are invalid.
    """
    params = dict(module.params)
    secret = params.get("login_secret_arn")
    if secret:
        # Other mistakes are reported first, without calling AWS.
        parse_connection(params)
        members = _members(read_text(module, secret, "login_secret_arn"), secret, "login_secret_arn")
        names = ("token",) if "token" in members else ("username", "password")
        for name in names:
            if not isinstance(members.get(name), str) or not members[name]:
                raise MlflowError("bad_secret", f"The secret {secret} (login_secret_arn) has no member {name}.")
            params[name] = members[name]
        module.no_log_values.add(params[names[-1]])
    return parse_connection(params)


def read_member(module: AnsibleAWSModule, secret: str, key: str, option: str, stage: str = CURRENT) -> str:
    """Return one member of a secret that holds a JSON object, or with an empty key the whole text.

    Args:
        module: has the AWS options.
        secret: ARN or name.
        key: name of the member.
        option: that names the secret, for messages.
        stage: staging label of the version.

    Raises:
        MissingSecret: it, or that version, does not exist.
        MlflowError: it cannot be read, or has no such member.
    """
    text = read_text(module, secret, option, stage)
    if key:
        value = _members(text, secret, option).get(key)
        if not isinstance(value, str) or not value:
            raise MlflowError("bad_secret", f"The secret {secret} ({option}) has no member {key}.")
        text = value
    module.no_log_values.add(text)
    return text


def read_text(module: AnsibleAWSModule, secret: str, option: str, stage: str = CURRENT) -> str:
    """Return the text of a secret's version."""
    try:
        check_sdk_version_supported(warn=warn)
    except AnsibleBotocoreError as error:
        raise MlflowError("bad_secret", f"{option} needs boto3: {error}") from error
    # A pending version was perhaps just created, and is not visible everywhere yet.
    codes = () if stage == CURRENT or module.check_mode else ("ResourceNotFoundException",)
    if problem := connection_error(module.params):
        raise MlflowError("bad_secret", problem)
    client = aws.Client(module.client("secretsmanager"), codes, attempts=6, max_delay=5)
    try:
        answer = client.get_secret_value(SecretId=secret, VersionStage=stage)
    except botocore.exceptions.ClientError as error:
        details = error.response.get("Error", {})
        text = f"{details.get('Code', '')}: {details.get('Message', '')}"
        kind = MissingSecret if details.get("Code") == "ResourceNotFoundException" else MlflowError
        raise kind("bad_secret", f"The secret {secret} ({option}) cannot be read: {text}") from error
    except botocore.exceptions.BotoCoreError as error:
        raise MlflowError("bad_secret", f"The secret {secret} ({option}) cannot be read: {error}") from error
    if not answer.get("SecretString"):
        raise MlflowError("bad_secret", f"The secret {secret} ({option}) holds no text.")
    return str(answer["SecretString"])


def _members(text: str, secret: str, option: str) -> dict[str, typing.Any]:
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise MlflowError("bad_secret", f"The secret {secret} ({option}) does not hold a JSON object.")
    return members
