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
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients = make_clients(module)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    service = target.describe(clients, deployment)
    wanted = str(params["schedule_group"]) if params["state"] == "present" else ""
    if service is None and wanted and not module.check_mode:
        raise UserError(
            f"There is no service '{deployment.name}' in cluster '{deployment.cluster}' of this account and region,"
            " so there is nothing that could have schedules."
        )
    current = markers.schedule_group(target.tags(service))
    if current != wanted and not module.check_mode:
        if wanted:
            api.tag(clients("ecs"), deployment.arn, {markers.MAINTAINED_KEY: wanted})
        else:
            api.untag(clients("ecs"), deployment.arn, [markers.MAINTAINED_KEY])
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
