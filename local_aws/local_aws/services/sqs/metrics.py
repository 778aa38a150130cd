# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many messages wait in a queue.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from ...context import Context

NAMESPACE = "AWS/SQS"
_ATTRIBUTES = {
    "ApproximateNumberOfMessagesVisible": "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed": "ApproximateNumberOfMessagesDelayed",
}


class QueueMetrics:
    """The numbers of messages, as the queue tells them."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def read(self, metric: str, dimensions: dict[str, str], _stat: str, minutes: int) -> list[float | None]:
        """The number now, for so many minutes; none of a queue that is not there.

        :raises ValueError: a metric that there is none of here.
        """
        if metric not in _ATTRIBUTES or set(dimensions) != {"QueueName"}:
            raise ValueError(f"A metric that is not imitated here: {metric}")
        name = _ATTRIBUTES[metric]
        try:
            url = (await self._ctx.aws("sqs", "GetQueueUrl", QueueName=dimensions["QueueName"]))["QueueUrl"]
            found = await self._ctx.aws("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=[name])
        except ClientError:
            return [None] * minutes
        return [float(found["Attributes"][name])] * minutes
