# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading values from AWS Secrets Manager, for modules that get a secret's ARN. Private to the collection."""

from __future__ import annotations

import json
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code


def read_value(client: Client, name: str) -> str | None:
    """Return the current value, or None if the secret has none yet.

    Raises:
        UserError: the value is binary.
    """
    try:
        answer = client.get_secret_value(SecretId=name)
    except ClientError as e:
        if error_code(e) == "ResourceNotFoundException":
            return None
        raise
    if "SecretString" not in answer:
        raise UserError(f"The secret {name} holds binary data; a JSON text was expected.")
    return str(answer["SecretString"])


def read_members(client: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the members of a secret that holds a JSON object, or None if it has no value yet.

    Raises:
        UserError: the value is something else. The sentence does not show it.
    """
    text = read_value(client, name)
    if text is None:
        return None
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise UserError(f'The secret {name} does not hold a JSON object such as {{"username": …, "password": …}}.')
    return members
