# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topics of SNS and their subscriptions. Private to the collection.

Facts: SNS API Reference, CreateTopic (returns the ARN of a topic that is there), SetTopicAttributes, Subscribe,
Unsubscribe and ListSubscriptionsByTopic, where a subscription without confirmation has C(PendingConfirmation) in
place of its ARN, and cannot be removed: "if you don't confirm it, SNS deletes it after 48 hours" (SNS Developer Guide).
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws

Topic = dict[str, typing.Any]

PENDING = "PendingConfirmation"
_NOT_FOUND = ("NotFound", "NotFoundException", "ResourceNotFoundException")


@dataclass(frozen=True)
class DesiredState:
    """The user's request; None leaves a setting alone.

    Attributes:
        arn: of the topic.
        name: of the topic.
        policy: its resource policy.
        subscriptions: pairs of protocol and endpoint.
    """

    arn: str
    name: str
    policy: Mapping[str, typing.Any] | None = None
    subscriptions: Sequence[tuple[str, str]] | None = None
    tags: Tags | None = None
    purge_tags: bool = True


@dataclass(frozen=True)
class _Current:
    """A topic in the module's format, and the ARNs of its subscriptions by protocol and endpoint."""

    topic: Topic
    arns: dict[tuple[str, str], str]


def find(sns: Client, arn: str) -> Topic | None:
    """Return a topic with its settings, subscriptions and tags, None if there is none."""
    current = _find(sns, arn)
    return current.topic if current else None


def ensure_present(sns: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create the topic, or change what differs."""
    current = _find(sns, desired.arn)
    before = current.topic if current else {}
    after = _predict(before, desired)
    pending = [key for key, arn in (current.arns if current else {}).items() if arn == PENDING]
    values = {"topic_arn": desired.arn, "subscriptions": _listed(after["subscriptions"], pending)}
    outcome = ModuleResult(before != after, before, after, values, [])
    if check_mode or not outcome.changed:
        return outcome
    if current is None:
        sns.create_topic(Name=desired.name, Tags=tags_to_aws(after["tags"]))
        current = _find(sns, desired.arn) or _Current(after, {})
    _update(sns, desired.arn, current, after)
    left = _find(sns, desired.arn)
    if left is not None:
        pending = [key for key, arn in left.arns.items() if arn == PENDING]
        outcome.values["subscriptions"] = _listed(after["subscriptions"], pending)
    return outcome


def ensure_absent(sns: Client, arn: str, check_mode: bool) -> ModuleResult:
    """Delete the topic with its subscriptions."""
    current = find(sns, arn)
    if current is not None and not check_mode:
        sns.delete_topic(TopicArn=arn)
    return ModuleResult(current is not None, current or {}, {}, {"topic_arn": arn, "subscriptions": []}, [])


def _find(sns: Client, arn: str) -> _Current | None:
    try:
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    except ClientError as e:
        if error_code(e) in _NOT_FOUND:
            return None
        raise
    listed = sns.pages("list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
    arns = {(str(one["Protocol"]), str(one["Endpoint"])): str(one["SubscriptionArn"]) for one in listed}
    topic = {
        "policy": _document(attributes.get("Policy")),
        "subscriptions": _texts(arns),
        "tags": tags_from_aws(sns.list_tags_for_resource(ResourceArn=arn).get("Tags")),
    }
    return _Current(topic, arns)


def _predict(current: Topic, desired: DesiredState) -> Topic:
    base = current or {"policy": {}, "subscriptions": [], "tags": {}}
    after = {**base, "tags": predict_tags(base["tags"], desired.tags, desired.purge_tags)}
    if desired.policy is not None:
        after["policy"] = dict(desired.policy)
    if desired.subscriptions is not None:
        after["subscriptions"] = _texts(desired.subscriptions)
    return after


def _update(sns: Client, arn: str, current: _Current, after: Topic) -> None:
    before = current.topic
    if after["policy"] and after["policy"] != before["policy"]:
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(after["policy"]))
    for key, subscription in current.arns.items():
        # One that waits for its confirmation has no ARN, and ends by itself.
        if " ".join(key) not in after["subscriptions"] and subscription != PENDING:
            sns.unsubscribe(SubscriptionArn=subscription)
    for text in after["subscriptions"]:
        protocol, _space, endpoint = text.partition(" ")
        if (protocol, endpoint) not in current.arns:
            sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
    to_set, to_remove = compare_tags(before["tags"], after["tags"])
    if to_remove:
        sns.untag_resource(ResourceArn=arn, TagKeys=to_remove)
    if to_set:
        sns.tag_resource(ResourceArn=arn, Tags=tags_to_aws(to_set))


def _texts(subscriptions: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(" ".join(one) for one in subscriptions)


def _listed(texts: Iterable[str], pending: Sequence[tuple[str, str]]) -> list[Topic]:
    listed = []
    for text in texts:
        protocol, _space, endpoint = text.partition(" ")
        waits = (protocol, endpoint) in pending
        listed.append({"protocol": protocol, "endpoint": endpoint, "pending": waits})
    return listed


def _document(text: typing.Any) -> Topic:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
