# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_monitoring import CloudWatch
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

BODY = {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 6, "height": 2, "properties": {"markdown": "# Here"}}]}
GIVEN = {"dashboard_name": "mlflow-tracking", "dashboard_body": BODY}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.cloudwatch = CloudWatch()
    return cloud


def test_four_steps(cloud):
    cloud.cycle("cloudwatch_dashboard", cloud.cloudwatch, **GIVEN)
    assert json.loads(cloud.cloudwatch.dashboards["mlflow-tracking"]) == BODY


def test_a_change_is_shown_widget_by_widget(cloud):
    cloud.run("cloudwatch_dashboard", **GIVEN)
    other = {"widgets": [*BODY["widgets"], {"type": "metric", "properties": {"title": "CPU", "metrics": []}}]}
    check, *_others = cloud.cycle("cloudwatch_dashboard", cloud.cloudwatch, **{**GIVEN, "dashboard_body": other})
    assert list(check["diff"]["before"]["widgets"]) == ["01 text"]
    assert list(check["diff"]["after"]["widgets"]) == ["01 text", "02 CPU"]


def test_a_body_that_is_none_is_replaced(cloud):
    cloud.cloudwatch.dashboards["mlflow-tracking"] = "{"
    cloud.cycle("cloudwatch_dashboard", cloud.cloudwatch, **GIVEN)


def test_absent(cloud):
    cloud.run("cloudwatch_dashboard", **GIVEN)
    cloud.cycle("cloudwatch_dashboard", cloud.cloudwatch, dashboard_name="mlflow-tracking", state="absent")
    assert cloud.cloudwatch.dashboards == {}


def test_gone_meanwhile(cloud):
    cloud.run("cloudwatch_dashboard", **GIVEN)
    cloud.cloudwatch.faults["delete_dashboards"] = [error("ResourceNotFound")]
    assert cloud.run("cloudwatch_dashboard", dashboard_name="mlflow-tracking", state="absent")["changed"]


def test_what_cloudwatch_says_of_a_body_is_a_warning(cloud):
    told = {"DashboardValidationMessages": [{"DataPath": "/widgets/0", "Message": "Odd"}]}
    cloud.cloudwatch.call_put_dashboard = lambda **_params: told
    assert cloud.run("cloudwatch_dashboard", **GIVEN)["warnings"] == ["/widgets/0: Odd"]
