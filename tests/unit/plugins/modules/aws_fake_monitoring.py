# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for CloudWatch and SNS."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

Params = typing.Any


class CloudWatch(Fake):
    """Alarms and dashboards."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: dict[str, dict] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.dashboards: dict[str, str] = {}

    @staticmethod
    def arn(name: str) -> str:
        return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"

    def call_describe_alarms(self, AlarmNamePrefix: str) -> dict:
        found = [one for name, one in self.alarms.items() if name.startswith(AlarmNamePrefix)]
        return {"MetricAlarms": found}

    def call_put_metric_alarm(self, AlarmName: str, Tags: Params = None, **alarm: Params) -> dict:
        arn = self.arn(AlarmName)
        if AlarmName not in self.alarms:
            self.tags[arn] = {one["Key"]: one["Value"] for one in Tags or []}
        self.alarms[AlarmName] = {"AlarmName": AlarmName, "AlarmArn": arn, "StateValue": "OK", **alarm}
        return {}

    def call_delete_alarms(self, AlarmNames: list[str]) -> dict:
        for name in AlarmNames:
            del self.alarms[name]
        return {}

    def call_enable_alarm_actions(self, AlarmNames: list[str]) -> dict:
        return self._switch(AlarmNames, True)

    def call_disable_alarm_actions(self, AlarmNames: list[str]) -> dict:
        return self._switch(AlarmNames, False)

    def _switch(self, names: list[str], on: bool) -> dict:
        for name in names:
            self.alarms[name]["ActionsEnabled"] = on
        return {}

    def call_list_tags_for_resource(self, ResourceARN: str) -> dict:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags[ResourceARN].items()]}

    def call_tag_resource(self, ResourceARN: str, Tags: list[dict]) -> dict:
        self.tags[ResourceARN].update({one["Key"]: one["Value"] for one in Tags})
        return {}

    def call_untag_resource(self, ResourceARN: str, TagKeys: list[str]) -> dict:
        for key in TagKeys:
            del self.tags[ResourceARN][key]
        return {}

    def call_get_dashboard(self, DashboardName: str) -> dict:
        if DashboardName not in self.dashboards:
            raise error("ResourceNotFound")
        return {"DashboardBody": self.dashboards[DashboardName]}

    def call_put_dashboard(self, DashboardName: str, DashboardBody: str) -> dict:
        self.dashboards[DashboardName] = DashboardBody
        return {"DashboardValidationMessages": []}

    def call_delete_dashboards(self, DashboardNames: list[str]) -> dict:
        for name in DashboardNames:
            del self.dashboards[name]
        return {}


class Sns(Fake):
    """Topics and their subscriptions, of which those by e-mail wait for a confirmation."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: dict[str, dict] = {}

    def _topic(self, arn: str) -> dict:
        if arn not in self.topics:
            raise error("NotFound")
        return self.topics[arn]

    def call_create_topic(self, Name: str, Tags: list[dict]) -> dict:
        arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{Name}"
        tags = {one["Key"]: one["Value"] for one in Tags}
        self.topics[arn] = {"attributes": {"Policy": '{"Id": "default"}'}, "subscriptions": [], "tags": tags}
        return {"TopicArn": arn}

    def call_delete_topic(self, TopicArn: str) -> dict:
        del self.topics[TopicArn]
        return {}

    def call_get_topic_attributes(self, TopicArn: str) -> dict:
        return {"Attributes": self._topic(TopicArn)["attributes"]}

    def call_set_topic_attributes(self, TopicArn: str, AttributeName: str, AttributeValue: str) -> dict:
        self._topic(TopicArn)["attributes"][AttributeName] = AttributeValue
        return {}

    def call_list_subscriptions_by_topic(self, TopicArn: str) -> dict:
        return {"Subscriptions": self._topic(TopicArn)["subscriptions"]}

    def call_subscribe(self, TopicArn: str, Protocol: str, Endpoint: str) -> dict:
        listed = self._topic(TopicArn)["subscriptions"]
        waits = Protocol in ("email", "email-json", "http", "https")
        arn = "PendingConfirmation" if waits else f"{TopicArn}:{len(listed)}"
        listed.append({"SubscriptionArn": arn, "Protocol": Protocol, "Endpoint": Endpoint})
        return {"SubscriptionArn": "pending confirmation" if waits else arn}

    def call_unsubscribe(self, SubscriptionArn: str) -> dict:
        for topic in self.topics.values():
            topic["subscriptions"] = [
                one for one in topic["subscriptions"] if one["SubscriptionArn"] != SubscriptionArn
            ]
        return {}

    def call_list_tags_for_resource(self, ResourceArn: str) -> dict:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._topic(ResourceArn)["tags"].items()]}

    def call_tag_resource(self, ResourceArn: str, Tags: list[dict]) -> dict:
        self._topic(ResourceArn)["tags"].update({one["Key"]: one["Value"] for one in Tags})
        return {}

    def call_untag_resource(self, ResourceArn: str, TagKeys: list[str]) -> dict:
        for key in TagKeys:
            del self._topic(ResourceArn)["tags"][key]
        return {}
