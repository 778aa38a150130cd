# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(retained_resources)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: retained_resources
short_description: Report what is left after a deployment was destroyed
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - Says of each thing that is left why, and how to delete it.
positional: _input
options:
  _input:
    description:
      - Variables and answers of AWS, as C(tasks/report_retained.yml) of P(mlops.mlflow_aws.mlflow#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show what is left
  ansible.builtin.debug:
    msg: "{{ answers | mlops.mlflow_aws.retained_resources }}"
  vars:
    answers:
      name: tracking
      context:
        account_id: '123456789012'
        region: eu-central-1
      cluster: default
      check_mode: false
      own_database: true
      foreign_instance: false
      final_snapshot: tracking-final
      snapshots: []
      other_region: ''
      bucket: tracking-artifacts-123456789012-eu-central-1
      bucket_kept: true
      bucket_adopted: false
      buckets:
        - name: tracking-artifacts-123456789012-eu-central-1
      log_group: /ecs/default/tracking
      log_groups:
        - log_group_name: /ecs/default/tracking
      logs_deleted: false
      log_retention_days: 30
"""

RETURN = r"""
_value:
  description: The report, a line for each thing.
  type: list
  elements: str
  sample:
    - 'The deployment ''tracking'' is gone from account 123456789012, region eu-central-1. Left there:'
    - 'Bucket tracking-artifacts-123456789012-eu-central-1, with the artifacts: they outlive a deployment. To delete
      it too: -e mlflow_delete_artifacts=true -e mlflow_confirm_data_loss=tracking'
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import retained


def retained_resources(value: dict[str, Any]) -> list[str]:
    """Return the report."""
    return retained.report(value)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"retained_resources": retained_resources}
