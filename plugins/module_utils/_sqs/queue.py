# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard queues of SQS. Private to the collection.

Facts: SQS API Reference, CreateQueue (a queue of a name can be made again 60 seconds after it was deleted:
QueueDeletedRecently), GetQueueUrl, SetQueueAttributes, TagQueue.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags

Queue = dict[str, typing.Any]

_NOT_FOUND = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_DELETED_RECENTLY = ("AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently")
_RETENTION = "MessageRetentionPeriod"


@dataclass(frozen=True)
class DesiredState:
    """The user's request; None leaves a setting alone.

    Attributes:
        arn: of the queue.
        name: of the queue.
        retention: seconds for which a message is kept.
    """

    arn: str
    name: str
    retention: int | None = None
    tags: Tags | None = None
    purge_tags: bool = True


def find(sqs: Client, name: str) -> Queue | None:
    """Return a queue with its URL, its settings and its tags, None if there is none."""
    try:
        url = str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[_RETENTION])["Attributes"]
        tags = dict(sqs.list_queue_tags(QueueUrl=url).get("Tags") or {})
    except ClientError as e:
        if error_code(e) in _NOT_FOUND:
            return None
        raise
    return {"url": url, "message_retention_period": int(attributes[_RETENTION]), "tags": tags}


def ensure_present(sqs: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create the queue, or change what differs."""
    found = find(sqs, desired.name)
    url = found.pop("url") if found else ""
    before = found or {}
    after: Queue = {
        # SQS API Reference, CreateQueue: four days, unless it is told otherwise.
        "message_retention_period": desired.retention or before.get("message_retention_period", 345_600),
        "tags": predict_tags(before.get("tags", {}), desired.tags, desired.purge_tags),
    }
    outcome = ModuleResult(before != after, before, after, {"queue_arn": desired.arn, "queue_url": url}, [])
    if check_mode or not outcome.changed:
        return outcome
    attributes = {_RETENTION: str(after["message_retention_period"])}
    if not before:
        outcome.values["queue_url"] = _create(sqs, desired.name, attributes, after["tags"])
        return outcome
    if before["message_retention_period"] != after["message_retention_period"]:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    to_set, to_remove = compare_tags(before["tags"], after["tags"])
    if to_remove:
        sqs.untag_queue(QueueUrl=url, TagKeys=to_remove)
    if to_set:
        sqs.tag_queue(QueueUrl=url, Tags=to_set)
    return outcome


def ensure_absent(sqs: Client, arn: str, name: str, check_mode: bool) -> ModuleResult:
    """Delete the queue with its messages."""
    found = find(sqs, name)
    url = found.pop("url") if found else ""
    if found is not None and not check_mode:
        sqs.delete_queue(QueueUrl=url)
    return ModuleResult(found is not None, found or {}, {}, {"queue_arn": arn, "queue_url": url}, [])


def _create(sqs: Client, name: str, attributes: dict[str, str], tags: Tags) -> str:
    try:
        return str(sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags)["QueueUrl"])
    except ClientError as e:
        if error_code(e) in _DELETED_RECENTLY:
            raise UserError(
                f"The queue {name} was deleted less than 60 seconds ago, and SQS makes no new one of its name before:"
                " run this again in a minute."
            ) from e
        raise
