# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(monitoring_subscriptions)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: monitoring_subscriptions
short_description: Return endpoints as the subscriptions of a topic
version_added: 0.1.0
description:
  - It is of use to this collection's roles. Finds the protocol of each endpoint by its form.
positional: _input
options:
  _input:
    description:
      - E-mail addresses, URLs, telephone numbers, ARNs of SQS queues and of Lambda functions.
    type: list
    elements: str
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the subscriptions
  ansible.builtin.debug:
    msg: "{{ ['mlops@example.com', 'https://hooks.example.com/mlflow'] | mlops.mlflow_aws.monitoring_subscriptions }}"
"""

RETURN = r"""
_value:
  description: The subscriptions, as M(mlops.mlflow_aws.sns_topic) takes them.
  type: list
  elements: dict
  sample:
    - protocol: email
      endpoint: mlops@example.com
    - protocol: https
      endpoint: https://hooks.example.com/mlflow
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.monitoring import protocol_of


def monitoring_subscriptions(value: list[str]) -> list[dict[str, str]]:
    """Return the subscriptions."""
    return [{"protocol": protocol_of(endpoint), "endpoint": endpoint} for endpoint in value]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"monitoring_subscriptions": monitoring_subscriptions}
