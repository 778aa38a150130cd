# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Whether the server answers over HTTPS."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow import readiness
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client as MlflowClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource

#: Seconds for which a server that is to be upgraded may fail to answer, such as for a request that got lost.
_REACHABLE_SECONDS = 60.0


def require_reachable(service: Resource, ca_path: str, request_timeout: float, wait_options: WaitOptions) -> None:
    """Fail if this machine does not get an answer of the server, for which the end of an upgrade waits.

    Raises:
        UserError: it does not, with the way out.
    """
    if not (host := transformations.endpoint(service)):
        return
    url = transformations.url(host)
    client = MlflowClient(Connection(url, ca_path or None, timeout=min(request_timeout, _REACHABLE_SECONDS)))
    try:
        readiness.wait_until_ready(
            lambda: {"latency": readiness.check_health(client)},
            readiness.Waiting(report=wait_options.report),
            wait_options.waiter().within(_REACHABLE_SECONDS, 5),
            tolerance=0,
        )
    except MlflowError as e:
        raise UserError(
            f"The server at {url} does not answer to this machine, and the end of an upgrade waits until it does:"
            f" {e.message} If it is private, run this where it can be reached, such as on a machine in its VPC; if its"
            " certificate is one of your own authority, name its file with ca_path; if it answers"
            " nowhere, deploy it first. Nothing was changed."
        ) from e


def wait_for_server(service: Resource, ca_path: str, request_timeout: float, wait_options: WaitOptions) -> None:
    """Wait until the server answers.

    Raises:
        UserError: it does not.
    """
    url = transformations.url(transformations.endpoint(service))
    client = MlflowClient(Connection(url, ca_path or None, timeout=request_timeout))
    try:
        readiness.wait_until_ready(
            lambda: {"latency": readiness.check_health(client)},
            readiness.Waiting(report=wait_options.report),
            wait_options.waiter(),
            tolerance=wait_options.timeout,
        )
    except MlflowError as e:
        raise UserError(f"The server at {url} does not answer: {e.message}") from e
