# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(monitoring_alarms)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: monitoring_alarms
short_description: Return the alarms of a deployment
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
- name: Show the first alarm
  ansible.builtin.debug:
    msg: "{{ (answers | mlops.mlflow_aws.monitoring_alarms)[:1] }}"
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
  description: The alarms, as M(mlops.mlflow_aws.cloudwatch_alarms) takes them.
  type: list
  elements: dict
  sample:
    - name: certificate
      alarm_description: The certificate of the server tracking was not renewed. ACM's page on it says why.
      namespace: AWS/CertificateManager
      metric_name: DaysToExpiry
      dimensions:
        CertificateArn: to-be-created
      statistic: Minimum
      period: 86400
      comparison_operator: LessThanThreshold
      threshold: 30.0
      datapoints_to_alarm: 1
      evaluation_periods: 1
      treat_missing_data: ignore
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring


def monitoring_alarms(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alarms."""
    return monitoring.alarms(monitoring.subject(value))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"monitoring_alarms": monitoring_alarms}
