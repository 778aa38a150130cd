# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Tags of the service that say what else a deployment has, so that it is found where no variable asks for it."""

from __future__ import annotations

import typing
from collections.abc import Callable
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target


def keep(
    module: typing.Any, key: str, option: str, read: Callable[[Mapping[str, str]], str], *, what: str
) -> tuple[str, str]:
    """Set or remove a tag, as the option O(state) of a module asks for; return its value before and after.

    Args:
        module: with the options name, cluster, state, and the one that is named.
        key: of the tag.
        option: the module's option with the tag's value.
        read: returns the value that the tags of a service have.
        what: what the tag says that the deployment has, for messages.

    Raises:
        UserError: there is no such service.
    """
    params = module.params
    clients = make_clients(module)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    service = target.describe(clients, deployment)
    wanted = str(params[option]) if params["state"] == "present" else ""
    if service is None and wanted and not module.check_mode:
        raise UserError(
            f"There is no service '{deployment.name}' in cluster '{deployment.cluster}' of this account and region,"
            f" so there is nothing that could have {what}."
        )
    current = read(target.tags(service))
    if current != wanted and not module.check_mode:
        if wanted:
            api.tag(clients("ecs"), deployment.arn, {key: wanted})
        else:
            api.untag(clients("ecs"), deployment.arn, [key])
    return current, wanted
