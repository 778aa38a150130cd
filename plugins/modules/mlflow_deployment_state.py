#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_state
short_description: Compare an MLflow deployment with what was deployed last
version_added: 0.1.0
description:
  - Reads all resources of a deployment with all their attributes, at the same time, and returns them in a form in which
    the same state always looks the same.
  - Compares them with a record of what was deployed last, short hashes in tags of the service whose names begin with
    C(mlops.mlflow_aws:). The other modules ignore these tags.
  - The record is advisory. If it is missing, or if a request fails because the caller lacks a permission, RV(unchanged)
    is V(false), and RV(reasons) says why.
  - Reads no value of a secret.
options:
  collection_version:
    description: Version of the collection, as C(role_variables) returns it.
    type: str
    default: ''
  collection_hash:
    description: Short hash of the collection's files, as C(role_variables) returns it.
    type: str
    default: ''
  variables_hash:
    description: Short hash of the variables, as C(role_variables) returns it.
    type: str
    default: ''
  read:
    description:
      - V(always) reads everything.
      - V(if_recorded) reads the service alone where its tags show that everything must be converged anyway. Then
        RV(resources) is empty.
    type: str
    choices: [always, if_recorded]
    default: always
  record:
    description: Whether to record the deployment as it is now as what was deployed last.
    type: bool
    default: false
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_deployment_status
    description: Tells whether the deployment is well.
  - module: mlops.mlflow_aws.ecs_express_service_info
    description: Tells all about the service.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.mlflow_deployment.resources
"""

EXAMPLES = r"""
- name: Read the deployment
  mlops.mlflow_aws.mlflow_deployment_state:
    deployment:
      name: tracking
      bucket: tracking-artifacts-123456789012-eu-central-1
      database: tracking
      parameter_group: tracking-postgres16
  register: tracking

- name: Show what was changed by hand since it was deployed
  ansible.builtin.debug:
    msg: "{{ tracking.changed_by_hand }}"

- name: Record the deployment as it is now
  mlops.mlflow_aws.mlflow_deployment_state:
    deployment:
      name: tracking
      bucket: tracking-artifacts-123456789012-eu-central-1
      database: tracking
      parameter_group: tracking-postgres16
    collection_version: 0.1.0
    collection_hash: 5f0c1d2e3a4b
    variables_hash: 9a8b7c6d5e4f
    record: true
"""

RETURN = r"""
applied:
  description: The record of what was deployed last. Empty if there is none.
  returned: success
  type: dict
  contains:
    collection_version:
      description: Version of the collection.
      returned: if there is a record
      type: str
      sample: 0.1.0
    collection_hash:
      description: Short hash of the collection's files.
      returned: if there is a record
      type: str
      sample: 5f0c1d2e3a4b
    variables_hash:
      description: Short hash of the variables.
      returned: if there is a record
      type: str
      sample: 9a8b7c6d5e4f
    time:
      description: When the deployment was recorded.
      returned: if there is a record
      type: str
      sample: '2026-11-23T08:02:41Z'
    resources:
      description: Short hash of each resource.
      returned: if there is a record
      type: dict
      sample: {bucket: 0a1b2c3d4e5f, database: 6a7b8c9d0e1f}
changed_by_hand:
  description: Resources that are not as they were left. Empty without a record.
  returned: success
  type: list
  elements: str
  sample: []
reasons:
  description: Why the deployment has to be converged, in words. Empty if RV(unchanged).
  returned: success
  type: list
  elements: str
  sample: [there is no record of what was applied last]
recorded:
  description: Whether a new record was written, or in check mode would be.
  returned: success
  type: bool
  sample: false
resources:
  description:
    - The resources with their attributes, in snake case and sorted. Left out are attributes that change by themselves,
      such as the time up to which the database can be restored. What does not exist is not there.
    - Values of environment variables that look like secrets are hidden.
  returned: success
  type: dict
  sample:
    log_group:
      log_group_name: /ecs/default/tracking
      creation_time: 1796075199127
      retention_in_days: 30
      metric_filter_count: 0
      arn: arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/default/tracking:*
      log_group_class: STANDARD
      log_group_arn: arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/default/tracking
      tags: {}
unchanged:
  description: Whether the deployment is as it was left, healthy, and as the variables ask for.
  returned: success
  type: bool
  sample: false
unknown:
  description: Questions that AWS did not answer, with the reason.
  returned: success
  type: dict
  sample: {}
variables_changed:
  description: Whether O(variables_hash) is another than the recorded one. V(true) without a record.
  returned: success
  type: bool
  sample: true
"""

from datetime import UTC
from datetime import datetime

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import observation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import state
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.options import DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.options import scope_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Inputs


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    inputs = Inputs(params["collection_version"], params["collection_hash"], params["variables_hash"])
    scope, clients = scope_of(module), make_clients(module)
    if params["record"]:
        found = observation.observe_exactly(clients, scope, inputs)
        recorded = state.write(clients("ecs"), found, datetime.now(UTC), module.check_mode)
        return _result(found, recorded=recorded)
    if_recorded = params["read"] == "if_recorded"
    found = observation.observe(clients, scope, inputs, if_recorded=if_recorded)
    return _result(found, shows_resources=not (if_recorded and found.differs_by_record))


def _result(found: state.State, *, recorded: bool = False, shows_resources: bool = True) -> ModuleResult:
    values = {**state.as_result(found), "recorded": recorded}
    if not shows_resources:
        values |= {"resources": {}, "changed_by_hand": []}
    return ModuleResult(recorded, {}, {}, values, [], has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "deployment": DEPLOYMENT,
            "collection_version": {"type": "str", "default": ""},
            "collection_hash": {"type": "str", "default": ""},
            "variables_hash": {"type": "str", "default": ""},
            "read": {"type": "str", "choices": ["always", "if_recorded"], "default": "always"},
            "record": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, f"Deployment {module.params['deployment']['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
