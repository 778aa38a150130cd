# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Space for a verb's tags on a service, which has up to 50. Pure Python.

A verb must be able to write all that it may have to, up to its very end: so the record of what was deployed last, which
the next deployment writes anew, is removed before it begins.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_TAGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import MOST_TAGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import is_internal
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import record


def make(tags: Iterable[str], deployment: str) -> list[str]:
    """Return the keys of the tags to remove before a verb begins.

    Args:
        tags: keys of all tags of the service.
        deployment: its name.

    Raises:
        UserError: the other ones leave too little space.
    """
    # AWS's own do not count: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
    counted = [key for key in tags if not key.startswith("aws:")]
    others = len([key for key in counted if not is_internal(key)])
    surplus = others + INTERNAL_TAGS - MOST_TAGS
    if surplus > 0:
        raise UserError(
            f"The service '{deployment}' has {others} tags, and this needs up to {INTERNAL_TAGS} more of the"
            f" {MOST_TAGS} that AWS takes: deploy it with {surplus} tags less, or remove them from the service. Nothing"
            " was changed."
        )
    recorded = sorted(record.keys(counted))
    return recorded if len(recorded) + surplus > 0 else []
