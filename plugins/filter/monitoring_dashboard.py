# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(monitoring_dashboard)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: monitoring_dashboard
short_description: Return the dashboard of a deployment
version_added: 0.1.0
description:
  - It is of use to this collection's roles. Asks AWS for nothing.
positional: _input
options:
  _input:
    description:
      - Variables and answers of AWS, as C(vars/main.yml) of the role P(mlops.mlflow_aws.monitoring#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the dashboard
  ansible.builtin.debug:
    msg: "{{ answers | mlops.mlflow_aws.monitoring_dashboard }}"
  vars:
    answers:
      cluster: default
      service_name: tracking
      alarm_prefix: mlflow.tracking/
      topic_name: mlflow-tracking
      context:
        account_id: "123456789012"
        partition: aws
        region: eu-central-1
      database: tracking
      instance_class: db.t4g.micro
      allocated_storage: 20
"""

RETURN = r"""
_value:
  description: The dashboard, as M(mlops.mlflow_aws.cloudwatch_dashboard) takes it.
  type: dict
  sample:
    start: -PT24H
    periodOverride: inherit
    widgets:
    - type: text
      properties:
        markdown: |-
            # MLflow: tracking
            What the server and its database do, and which alarms fire.
        background: transparent
      x: 0
      y: 0
      width: 24
      height: 2
    - type: alarm
      properties:
        title: Alarms
        alarms:
        - arn:aws:cloudwatch:eu-central-1:123456789012:alarm:mlflow.tracking/certificate
      x: 0
      y: 2
      width: 24
      height: 3
    - type: metric
      properties:
        title: Requests
        region: eu-central-1
        view: singleValue
        stacked: false
        period: 300
        metrics:
        - - expression: SUM([a0, a1])
            id: a
            label: requests
            color: '#1f77b4'
        - - AWS/ApplicationELB
          - id: a0
            stat: Sum
            period: 300
            visible: false
      x: 0
      y: 5
      width: 6
      height: 4
    - type: metric
      properties:
        title: 'Tasks: memory and CPU (%)'
        region: eu-central-1
        view: timeSeries
        stacked: false
        period: 300
        metrics:
        - - AWS/ECS
          - id: a0
            stat: Average
            period: 300
            label: memory
            color: '#9467bd'
        annotations:
          horizontal:
          - label: alarm
            value: 90.0
            color: '#d62728'
      x: 16
      y: 9
      width: 8
      height: 6
    - type: metric
      properties:
        title: 'Database: latency (s)'
        region: eu-central-1
        view: timeSeries
        stacked: false
        period: 300
        metrics:
        - - AWS/RDS
          - id: a0
            stat: Average
            period: 300
            label: read
            color: '#1f77b4'
      x: 0
      y: 21
      width: 8
      height: 6
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring_dashboard as dashboard


def monitoring_dashboard(value: dict[str, Any]) -> dict[str, Any]:
    """Return the dashboard."""
    return dashboard.body(monitoring.subject(value))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"monitoring_dashboard": monitoring_dashboard}
