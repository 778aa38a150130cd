# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The tags that distinguish a deployment's resources from others."""

from __future__ import annotations

import typing
from collections.abc import Mapping

OWNER = "mlops.mlflow_aws"


def owner_tags(tags: Mapping[str, typing.Any], name: str) -> dict[str, str]:
    """Return the owner tags of a deployment.

    Args:
        tags: of the role's resources. Without the two owner tags, only resources of other deployments are refused.
        name: of the deployment.
    """
    own = {"ManagedBy": OWNER, "MlflowName": name}
    return own | {key: str(value) for key, value in tags.items() if key in own}
