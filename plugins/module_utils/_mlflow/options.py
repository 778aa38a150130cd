# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Module options that describe a connection; documented in the fragment mlflow_connection."""

from __future__ import annotations

import typing

CONNECTION_RULES: dict[str, typing.Any] = {
    "mutually_exclusive": [
        ("token", "username"),
        ("token", "password"),
        ("login_secret_arn", "username"),
        ("login_secret_arn", "password"),
        ("login_secret_arn", "token"),
    ],
    "required_together": [("username", "password")],
}


def connection_argument_spec() -> dict[str, dict[str, typing.Any]]:
    return {
        "tracking_uri": {"type": "str", "required": True},
        "ca_path": {"type": "path"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "token": {"type": "str", "no_log": True},
        "login_secret_arn": {"type": "str", "no_log": False},
        "request_timeout": {"type": "int", "default": 60},
    }
