# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""MLflow's public default administrator, whom a server must not let in."""

from __future__ import annotations

from dataclasses import replace

from .readiness import EXPERIMENTS
from .rest import Client
from .rest import Connection
from .rest import MlflowError

# Versions before 3.16.1 create this administrator (CVE-2026-2635), and an older database may hold the account.
_USERNAME, _PASSWORD = "admin", "password1234"
ACCEPTED = "default_login_accepted"


def check_default_login(connection: Connection) -> None:
    """Try the login of the public default administrator.

    Raises:
        MlflowError: the server accepts it, or its answer tells nothing.
    """
    client = Client(replace(connection, username=_USERNAME, password=_PASSWORD, token=None))
    answer = client.call("GET", f"{EXPERIMENTS}/search", query={"max_results": 1})
    uri = connection.tracking_uri
    if answer.status == 200:
        raise MlflowError(
            ACCEPTED,
            f"{uri} lets in MLflow's public default administrator, {_USERNAME} with the password {_PASSWORD}: give this"
            " user another password at once (module mlflow_user).",
        )
    if answer.status not in (401, 403):
        raise MlflowError(
            "unexpected_answer",
            f"{uri} answers HTTP {answer.status} to the login of MLflow's public default administrator, where 401 or"
            f" 403 would be right: {answer.summary()}",
        )
