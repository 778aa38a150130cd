# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(monitoring_topic_policy)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: monitoring_topic_policy
short_description: Return the policy of the topic that a deployment's alarms are sent to
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
- name: Show the policy
  ansible.builtin.debug:
    msg: "{{ answers | mlops.mlflow_aws.monitoring_topic_policy }}"
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
  description: The policy, as M(mlops.mlflow_aws.sns_topic) takes it.
  type: dict
  sample:
    Version: '2012-10-17'
    Statement:
      - Sid: Alarms
        Effect: Allow
        Principal:
          Service: cloudwatch.amazonaws.com
        Action: sns:Publish
        Resource: arn:aws:sns:eu-central-1:123456789012:mlflow-tracking
        Condition:
          StringEquals:
            aws:SourceAccount: '123456789012'
          ArnLike:
            aws:SourceArn: arn:aws:cloudwatch:eu-central-1:123456789012:alarm:mlflow.tracking/*
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring


def monitoring_topic_policy(value: dict[str, Any]) -> dict[str, Any]:
    """Return the policy."""
    return monitoring.topic_policy(value)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"monitoring_topic_policy": monitoring_topic_policy}
