# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tags that this collection keeps for itself: locks and notes of verbs, and the record of what was deployed last.

They are neither the user's nor compared. Pure Python, private to the collection.
"""

from __future__ import annotations

#: With which their keys begin. ECS takes letters, digits, spaces and ``_.:/=+-@`` (botocore's model of ecs, TagKey).
INTERNAL_PREFIX = "mlops.mlflow_aws:"
#: With which the key of a verb's lock begins.
LOCK_PREFIX = f"{INTERNAL_PREFIX}run:"
#: How many tags a resource may have: "Tags per resource", https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
MOST_TAGS = 50
#: What verbs may need at once on a service, by the beginnings of the keys: the lock of a run and of the one that it
#: takes over, that the server has no task, that it has alarms and schedules, and an upgrade's note with two images.
VERB_TAGS = {"run:": 2, "stopped": 1, "monitored": 1, "maintained": 1, "upgrade": 3}
#: Which is why users may set fewer than AWS takes. The record takes what is free, and gives it to a verb.
INTERNAL_TAGS = sum(VERB_TAGS.values())


def is_internal(key: str) -> bool:
    """Return whether a tag is one that this collection keeps for itself."""
    return key.lower().startswith(INTERNAL_PREFIX)
