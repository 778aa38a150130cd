# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON documents that users give. Private to the collection."""

from __future__ import annotations

import json
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError


def json_document(value: typing.Any, where: str) -> dict[str, typing.Any]:
    """Return a JSON object given as a dictionary or as text.

    Args:
        value: dictionary, or JSON text.
        where: the option, for the sentence.

    Raises:
        UserError: it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as e:
            raise UserError(f"{where} is not valid JSON: {e}.") from e
    if not isinstance(value, dict):
        raise UserError(f"{where} must be a JSON object, not a {type(value).__name__}.")
    return value
