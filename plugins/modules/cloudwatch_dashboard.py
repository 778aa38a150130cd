#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cloudwatch_dashboard
short_description: Manage a CloudWatch dashboard
version_added: 0.1.0
description:
  - Creates, changes and deletes a dashboard. It shows a diff, widget by widget.
options:
  dashboard_name:
    description:
      - Name of the dashboard, of letters, digits, hyphens and underscores.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - Whether there is to be such a dashboard.
    type: str
    choices: [present, absent]
    default: present
  dashboard_body:
    description:
      - What is on it, as CloudWatch describes it. Required with O(state=present).
    type: dict
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.cloudwatch_alarms
    description: Manages alarms.
  - name: Dashboard body structure and syntax
    description: What a dashboard consists of.
    link: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
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
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Dashboard with a graph
  mlops.mlflow_aws.cloudwatch_dashboard:
    dashboard_name: tracking
    dashboard_body:
      widgets:
        - type: metric
          x: 0
          y: 0
          width: 12
          height: 6
          properties:
            title: Free storage
            region: eu-central-1
            metrics:
              - [AWS/RDS, FreeStorageSpace, DBInstanceIdentifier, tracking]

- name: Delete the dashboard
  mlops.mlflow_aws.cloudwatch_dashboard:
    dashboard_name: tracking
    state: absent
"""

RETURN = r"""
dashboard_name:
  description: Name of the dashboard.
  returned: success
  type: str
  sample: tracking
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._cloudwatch import dashboard
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    cloudwatch = make_client(module, "cloudwatch")
    if params["state"] == "absent":
        return dashboard.ensure_absent(cloudwatch, params["dashboard_name"], module.check_mode)
    return dashboard.ensure_present(cloudwatch, params["dashboard_name"], params["dashboard_body"], module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "dashboard_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "dashboard_body": {"type": "dict"},
        },
        required_if=[("state", "present", ["dashboard_body"])],
        supports_check_mode=True,
    )
    run(module, f"Dashboard {module.params['dashboard_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
