#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_maintenance
short_description: Say that an MLflow deployment has schedules
version_added: 0.1.0
description:
  - Keeps a tag of the service that names the group of the deployment's schedules, so that destroying the deployment
    deletes them, also where no variable asks for them any more.
  - Does nothing if there is no such service, but in check mode says that it would.
options:
  state:
    description:
      - Whether the deployment has schedules.
    type: str
    choices: [present, absent]
    default: present
  schedule_group:
    description:
      - Name of the group of its schedules. Required with O(state=present).
    type: str
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.scheduler_schedule_group
    description: Manages the group.
  - module: mlops.mlflow_aws.mlflow_deployment_lock
    description: Returns what this module keeps.
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
  - mlops.mlflow_aws.mlflow_deployment
"""

EXAMPLES = r"""
- name: The deployment has schedules
  mlops.mlflow_aws.mlflow_deployment_maintenance:
    name: tracking
    schedule_group: mlflow-tracking

- name: The deployment has no schedules any more
  mlops.mlflow_aws.mlflow_deployment_maintenance:
    name: tracking
    state: absent
"""

RETURN = r"""
schedule_group:
  description: Name of the group of the deployment's schedules, in check mode as it would be.
  returned: success
  type: str
  sample: mlflow-tracking
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import deployment_mark
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers


def _work(module: AnsibleAWSModule) -> ModuleResult:
    key, read = markers.MAINTAINED_KEY, markers.schedule_group
    current, wanted = deployment_mark.keep(module, key, "schedule_group", read, what="schedules")
    before, after = ({"schedule_group": one} if one else {} for one in (current, wanted))
    return ModuleResult(current != wanted, before, after, {"schedule_group": wanted}, [])


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "schedule_group": {"type": "str"},
        },
        required_if=[("state", "present", ["schedule_group"])],
        supports_check_mode=True,
    )
    run(module, f"Deployment {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
