#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cloudwatch_alarms
short_description: Manage the CloudWatch alarms whose names begin alike
version_added: 0.1.0
description:
  - Creates and changes a set of alarms on metrics, and deletes the alarms of the same prefix that are not in the set.
  - Unlike M(amazon.aws.cloudwatch_metric_alarm), it sees the metric queries of an alarm, shows a diff, and needs one
    request to compare all of them.
  - It switches on the actions of alarms that were muted.
options:
  prefix:
    description:
      - With which the names of all alarms of the set begin. Whatever else begins so is deleted.
    type: str
    required: true
  state:
    description:
      - V(absent) deletes all alarms of the prefix.
    type: str
    choices: [present, absent]
    default: present
  alarms:
    description:
      - The alarms, each on one metric, or on what is calculated of several.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the alarm, without O(prefix).
        type: str
        required: true
      alarm_description:
        description: What it means and what to do, for those who get its messages.
        type: str
      namespace:
        description: Namespace of the metric, such as V(AWS/RDS).
        type: str
      metric_name:
        description: Name of the metric.
        type: str
      dimensions:
        description: Names and values of the metric's dimensions.
        type: dict
      statistic:
        description: What is made of the values of a period.
        type: str
        choices: [SampleCount, Average, Sum, Minimum, Maximum]
      period:
        description: Seconds of a period, a multiple of 60.
        type: int
      metrics:
        description: Metrics and expressions, of which one returns data.
        type: list
        elements: dict
        suboptions:
          id:
            description: Its name in expressions.
            type: str
            required: true
          expression:
            description: Metric math. Otherwise it is a metric.
            type: str
          label:
            description: What people read of an expression.
            type: str
          return_data:
            description: Whether the alarm is on this one.
            type: bool
            default: false
          namespace:
            description: Namespace of the metric, such as V(AWS/RDS).
            type: str
          metric_name:
            description: Name of the metric.
            type: str
          dimensions:
            description: Names and values of the metric's dimensions.
            type: dict
          statistic:
            description: What is made of the values of a period.
            type: str
            choices: [SampleCount, Average, Sum, Minimum, Maximum]
          period:
            description: Seconds of a period, a multiple of 60.
            type: int
      threshold:
        description: The value that it is compared with.
        type: float
        required: true
      comparison_operator:
        description: How it is compared.
        type: str
        required: true
        choices:
          - GreaterThanOrEqualToThreshold
          - GreaterThanThreshold
          - LessThanThreshold
          - LessThanOrEqualToThreshold
      evaluation_periods:
        description: How many periods are looked at.
        type: int
        required: true
      datapoints_to_alarm:
        description: In how many of these it must be so. Without it, in all.
        type: int
      treat_missing_data:
        description: What a period without data means.
        type: str
        choices: [breaching, notBreaching, ignore, missing]
  actions:
    description:
      - ARNs of what is told when an alarm fires and when it recovers, such as topics of SNS.
    type: list
    elements: str
    default: []
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.cloudwatch_metric_alarm
    description: Manages one alarm on one metric.
  - module: mlops.mlflow_aws.sns_topic
    description: Manages a topic that alarms are sent to.
  - module: mlops.mlflow_aws.cloudwatch_dashboard
    description: Manages a dashboard.
  - name: Using Amazon CloudWatch alarms
    description: The user guide.
    link: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Alarm on a database that runs full
  mlops.mlflow_aws.cloudwatch_alarms:
    prefix: tracking/
    alarms:
      - name: database-storage
        alarm_description: Give the database more storage.
        namespace: AWS/RDS
        metric_name: FreeStorageSpace
        dimensions:
          DBInstanceIdentifier: tracking
        statistic: Average
        period: 300
        threshold: 2147483648
        comparison_operator: LessThanThreshold
        evaluation_periods: 3
    tags:
      Project: mlflow

- name: Delete all of them
  mlops.mlflow_aws.cloudwatch_alarms:
    prefix: tracking/
    state: absent
"""

RETURN = r"""
alarm_names:
  description: Names of the alarms, in check mode of those that there would be.
  returned: success
  type: list
  elements: str
  sample: [tracking/database-storage]
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._cloudwatch import alarms
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run

_METRIC: dict[str, Any] = {
    "namespace": {"type": "str"},
    "metric_name": {"type": "str"},
    "dimensions": {"type": "dict"},
    "statistic": {"type": "str", "choices": ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]},
    "period": {"type": "int"},
}
_COMPARISONS = [
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
]
_ALARM: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "alarm_description": {"type": "str"},
    **_METRIC,
    "metrics": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "str", "required": True},
            "expression": {"type": "str"},
            "label": {"type": "str"},
            "return_data": {"type": "bool", "default": False},
            **_METRIC,
        },
        "required_one_of": [("expression", "metric_name")],
        "mutually_exclusive": [("expression", "metric_name")],
        "required_together": [("namespace", "metric_name", "statistic", "period")],
    },
    "threshold": {"type": "float", "required": True},
    "comparison_operator": {"type": "str", "required": True, "choices": _COMPARISONS},
    "evaluation_periods": {"type": "int", "required": True},
    "datapoints_to_alarm": {"type": "int"},
    "treat_missing_data": {"type": "str", "choices": ["breaching", "notBreaching", "ignore", "missing"]},
}
ARGUMENT_SPEC: dict[str, Any] = {
    "prefix": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "alarms": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": _ALARM,
        "required_one_of": [("metric_name", "metrics")],
        "mutually_exclusive": [("metric_name", "metrics")],
        "required_together": [("namespace", "metric_name", "statistic", "period")],
    },
    "actions": {"type": "list", "elements": "str", "default": []},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
}


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    cloudwatch = make_client(module, "cloudwatch")
    if params["state"] == "absent":
        return alarms.ensure_absent(cloudwatch, params["prefix"], module.check_mode)
    desired = alarms.DesiredState(
        prefix=params["prefix"],
        alarms=params["alarms"],
        actions=params["actions"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return alarms.ensure_present(cloudwatch, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run(module, f"Alarms {module.params['prefix']}*", lambda: _work(module))


if __name__ == "__main__":
    main()
