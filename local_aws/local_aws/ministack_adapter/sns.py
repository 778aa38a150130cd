# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""SNS: subscriptions by e-mail wait for their confirmation, and messages find subscribers on this machine."""

from __future__ import annotations

import ssl
import urllib.request
from typing import Any

from ministack.services import sns

from .hooks import Hooks
from .patch import Patch
from .patch import Target

_EMAIL = ("email", "email-json")
_TIMEOUT_SECONDS = 5


def _confirm_subscriptions(_hooks: Hooks) -> None:
    subscribe, listed, single = sns._subscribe, sns._list_subscriptions_by_topic, sns._xml

    def subscribe_first(params: Any) -> Any:
        answer = subscribe(params)
        topic = sns._topic_by_arn_any_scope(sns._normalize_arn(sns._p(params, "TopicArn")))
        if answer[0] != 200 or topic is None or sns._p(params, "Protocol") not in _EMAIL:
            return answer
        endpoint = sns._p(params, "Endpoint")
        for one in topic["subscriptions"]:
            if one["protocol"] in _EMAIL and one["endpoint"] == endpoint and one["token"] is None:
                one.update(confirmed=False, token=sns.new_uuid())
                one["attributes"]["PendingConfirmation"] = "true"
                sns._refresh_subscription_counts(topic)
                result = "<SubscribeResult><SubscriptionArn>pending confirmation</SubscriptionArn></SubscribeResult>"
                return single(200, "SubscribeResponse", result)
        return answer

    def list_by_topic(params: Any) -> Any:
        status, headers, body = listed(params)
        topic = sns._topic_by_arn_any_scope(sns._normalize_arn(sns._p(params, "TopicArn"))) or {}
        for one in topic.get("subscriptions", []):
            if not one["confirmed"]:
                shown = f"<SubscriptionArn>{one['arn']}</SubscriptionArn>".encode()
                body = body.replace(shown, b"<SubscriptionArn>PendingConfirmation</SubscriptionArn>")
        return status, headers, body

    sns._subscribe, sns._list_subscriptions_by_topic = subscribe_first, list_by_topic


CONFIRM_SUBSCRIPTIONS = Patch(
    name="confirm_subscriptions",
    reason="ministack takes a subscription by e-mail for confirmed, and shows ARNs of those that are not.",
    source="https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html",
    targets=(
        Target("services.sns", "_subscribe", "params"),
        Target("services.sns", "_list_subscriptions_by_topic", "params"),
        Target("services.sns", "_xml", "status root_tag inner"),
        Target("services.sns", "_p", "params key default"),
        Target("services.sns", "_normalize_arn", "arn"),
        Target("services.sns", "_topic_by_arn_any_scope", "topic_arn"),
        Target("services.sns", "_refresh_subscription_counts", "topic"),
        Target("services.sns", "new_uuid", ""),
    ),
    apply=_confirm_subscriptions,
)


def _deliver(hooks: Hooks) -> None:
    def post(endpoint: str, payload: str, sns_message_type: str) -> int:
        own, trusted = hooks.subscribers()
        body = payload.replace(f"http://{sns._HOST}:{sns._PORT}/", f"{own}/")
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": sns_message_type}
        request = urllib.request.Request(endpoint, body.encode(), headers, method="POST")
        context = ssl.create_default_context()
        context.load_verify_locations(trusted)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return int(answer.status)

    sns._http_post_sync = post


DELIVER = Patch(
    name="deliver",
    reason="ministack names an address of its own where nothing listens, and trusts no certificate of this machine.",
    source="https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html",
    targets=(
        Target("services.sns", "_http_post_sync", "endpoint payload sns_message_type"),
        Target("services.sns", "_HOST"),
        Target("services.sns", "_PORT"),
    ),
    apply=_deliver,
)
