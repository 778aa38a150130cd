# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of the connection options before the first AWS call. Private to the collection."""

from __future__ import annotations

import contextlib
import typing

with contextlib.suppress(ImportError):  # Handled by AnsibleAWSModule.
    from botocore.session import Session

_BOTH = (
    "Both a profile and access keys are given, of which amazon.aws takes only one: unset AWS_PROFILE (option profile),"
    " or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (access_key, secret_key and session_token)."
)


def connection_problem(params: dict[str, typing.Any]) -> str:
    """Return what is wrong with the options or their environment variables; empty if nothing is.

    The messages of the SDK and of amazon.aws name neither.
    """
    access_key, secret_key, profile = (params.get(name) for name in ("access_key", "secret_key", "profile"))
    if profile and (access_key or secret_key or params.get("session_token")):
        return _BOTH
    if bool(access_key) != bool(secret_key):
        given, lacking = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        given, lacking = (given, lacking) if access_key else (lacking, given)
        return f"No AWS credentials: {given} is set without {lacking}; set both, or AWS_PROFILE."
    if profile and profile not in Session().available_profiles:
        return f"There is no AWS profile '{profile}': set AWS_PROFILE to one that the AWS configuration files hold."
    return ""
