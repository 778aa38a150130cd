# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for EventBridge Scheduler and SQS."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

Params = typing.Any


class Scheduler(Fake):
    """Schedules and groups, which take some reads to be deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, dict] = {}
        self.schedules: dict[tuple[str, str], dict] = {}
        self.reads_until_gone = 2

    def call_create_schedule_group(self, Name: str, Tags: list[dict]) -> dict:
        arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{Name}"
        tags = {one["Key"]: one["Value"] for one in Tags}
        self.groups[Name] = {"Arn": arn, "Name": Name, "State": "ACTIVE", "tags": tags}
        return {"ScheduleGroupArn": arn}

    def call_get_schedule_group(self, Name: str) -> dict:
        if Name in self.groups and self.groups[Name]["State"] == "DELETING":
            self.reads_until_gone -= 1
            if self.reads_until_gone < 0:
                del self.groups[Name]
        if Name not in self.groups:
            raise error("ResourceNotFoundException")
        return dict(self.groups[Name])

    def call_delete_schedule_group(self, Name: str) -> dict:
        self.groups[Name]["State"] = "DELETING"
        return {}

    def _of(self, arn: str) -> dict:
        return self.groups[arn.rpartition("/")[2]]["tags"]

    def call_list_tags_for_resource(self, ResourceArn: str) -> dict:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._of(ResourceArn).items()]}

    def call_tag_resource(self, ResourceArn: str, Tags: list[dict]) -> dict:
        self._of(ResourceArn).update({one["Key"]: one["Value"] for one in Tags})
        return {}

    def call_untag_resource(self, ResourceArn: str, TagKeys: list[str]) -> dict:
        for key in TagKeys:
            del self._of(ResourceArn)[key]
        return {}

    def call_get_schedule(self, Name: str, GroupName: str) -> dict:
        if (GroupName, Name) not in self.schedules:
            raise error("ResourceNotFoundException")
        return dict(self.schedules[GroupName, Name])

    def call_create_schedule(self, **given: Params) -> dict:
        self.schedules[given["GroupName"], given["Name"]] = given
        return {}

    def call_update_schedule(self, **given: Params) -> dict:
        return self.call_create_schedule(**given)

    def call_delete_schedule(self, Name: str, GroupName: str) -> dict:
        del self.schedules[GroupName, Name]
        return {}


class Sqs(Fake):
    """Queues, of which none can be made again at once."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, dict] = {}
        self.deleted: set[str] = set()

    @staticmethod
    def url(name: str) -> str:
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"

    def _queue(self, url: str) -> dict:
        return self.queues[url.rpartition("/")[2]]

    def call_get_queue_url(self, QueueName: str) -> dict:
        if QueueName not in self.queues:
            raise error("AWS.SimpleQueueService.NonExistentQueue")
        return {"QueueUrl": self.url(QueueName)}

    def call_create_queue(self, QueueName: str, Attributes: dict, tags: dict) -> dict:
        if QueueName in self.deleted:
            raise error("AWS.SimpleQueueService.QueueDeletedRecently")
        self.queues[QueueName] = {"attributes": dict(Attributes), "tags": dict(tags)}
        return {"QueueUrl": self.url(QueueName)}

    def call_delete_queue(self, QueueUrl: str) -> dict:
        name = QueueUrl.rpartition("/")[2]
        del self.queues[name]
        self.deleted.add(name)
        return {}

    def call_get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict:
        return {"Attributes": {name: self._queue(QueueUrl)["attributes"][name] for name in AttributeNames}}

    def call_set_queue_attributes(self, QueueUrl: str, Attributes: dict) -> dict:
        self._queue(QueueUrl)["attributes"].update(Attributes)
        return {}

    def call_list_queue_tags(self, QueueUrl: str) -> dict:
        return {"Tags": dict(self._queue(QueueUrl)["tags"])}

    def call_tag_queue(self, QueueUrl: str, Tags: dict) -> dict:
        self._queue(QueueUrl)["tags"].update(Tags)
        return {}

    def call_untag_queue(self, QueueUrl: str, TagKeys: list[str]) -> dict:
        for key in TagKeys:
            del self._queue(QueueUrl)["tags"][key]
        return {}
