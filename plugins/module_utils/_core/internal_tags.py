# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tags that this collection keeps for itself: locks, and the record of what was deployed last.

They are neither the user's nor compared. Pure Python, private to the collection.
"""

from __future__ import annotations

#: With which their keys begin. ECS takes letters, digits, spaces and ``_.:/=+-@`` (botocore's model of ecs, TagKey).
INTERNAL_PREFIX = "mlops.mlflow_aws:"
#: How many of them a resource may get, which is why users may set fewer than the 50 that AWS takes.
INTERNAL_TAGS = 7


def is_internal(key: str) -> bool:
    """Return whether a tag is one that this collection keeps for itself."""
    return key.lower().startswith(INTERNAL_PREFIX)
