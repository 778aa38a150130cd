#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_monitoring
short_description: Say that an MLflow deployment has alarms
version_added: 0.1.0
description:
  - Keeps a tag of the service that says with what the names of the deployment's alarms begin. A verb such as
    M(mlops.mlflow_aws.mlflow_backup) mutes these alarms as long as it works on the deployment, and destroying the
    deployment deletes them.
  - Does nothing if there is no such service, but in check mode says that it would.
options:
  state:
    description:
      - Whether the deployment has alarms.
    type: str
    choices: [present, absent]
    default: present
  alarm_prefix:
    description:
      - With what the names of the alarms begin. Required with O(state=present).
    type: str
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.cloudwatch_alarms
    description: Manages the alarms.
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
- name: Let verbs mute the alarms of the deployment
  mlops.mlflow_aws.mlflow_deployment_monitoring:
    name: tracking
    alarm_prefix: mlflow.tracking/

- name: The deployment has no alarms any more
  mlops.mlflow_aws.mlflow_deployment_monitoring:
    name: tracking
    state: absent
"""

RETURN = r"""
alarm_prefix:
  description: With what the names of the deployment's alarms begin, in check mode as it would be.
  returned: success
  type: str
  sample: mlflow.tracking/
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import deployment_mark
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers


def _work(module: AnsibleAWSModule) -> ModuleResult:
    key, read = markers.MONITORED_KEY, markers.alarm_prefix
    current, wanted = deployment_mark.keep(module, key, "alarm_prefix", read, what="alarms")
    before, after = ({"alarm_prefix": one} if one else {} for one in (current, wanted))
    return ModuleResult(current != wanted, before, after, {"alarm_prefix": wanted}, [])


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "alarm_prefix": {"type": "str"},
        },
        required_if=[("state", "present", ["alarm_prefix"])],
        supports_check_mode=True,
    )
    run(module, f"Deployment {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
