#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_permission
short_description: Manage what a user may do with a resource of an MLflow tracking server
version_added: 0.1.0
description:
  - Grants one user one permission on an experiment, a registered model, a prompt, or another resource of a server with
    MLflow's basic authentication, or takes it away, over MLflow's REST API.
  - Only the user's own grant on the very resource is looked at and changed. What the user may do by being an
    administrator, by a role, or by the server's C(default_permission) is left alone, and holds where there is no grant.
  - Works with MLflow 3.10 and newer, by the interface that the server has. MLflow replaced it in 3.13.
options:
  user:
    description:
      - Name of the user, who must exist.
    type: str
    required: true
  resource_type:
    description:
      - Kind of the resource.
      - V(mcp_server) needs MLflow 3.15 or newer.
    type: str
    choices:
      - experiment
      - registered_model
      - prompt
      - scorer
      - gateway_secret
      - gateway_endpoint
      - gateway_model_definition
      - mcp_server
    default: experiment
  resource:
    description:
      - Name of the resource, which must exist.
      - V(*) stands for all resources of the kind, from MLflow 3.13 on.
      - One of O(resource) and O(resource_id) is needed.
    type: str
  resource_id:
    description:
      - Id of the resource, instead of its name. Registered models, prompts, scorers and MCP servers have only a name.
    type: str
  experiment:
    description:
      - Name of the experiment that a scorer belongs to.
    type: str
  experiment_id:
    description:
      - Id of the experiment that a scorer belongs to, instead of O(experiment).
    type: str
  permission:
    description:
      - What the user may do. V(READ), V(USE), V(EDIT) and V(MANAGE) each include those before.
      - V(NO_PERMISSIONS) takes away what the server's C(default_permission) gives. MLflow 3.13 to 3.16 know nothing
        that does so for one resource.
      - V(DENY) is what MLflow 3.17 and newer have in its place.
      - Needed with O(state=present).
    type: str
    choices: [READ, USE, EDIT, MANAGE, DENY, NO_PERMISSIONS]
  state:
    description:
      - V(absent) takes the user's own grant away.
    type: str
    choices: [present, absent]
    default: present
  workspace:
    description:
      - Workspace of the resource, on a server with workspaces. By default that is the one called V(default).
    type: str
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_user
    description: Makes the user.
  - name: MLflow's basic authentication
    description: What each permission allows.
    link: https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/
extends_documentation_fragment:
  - mlops.mlflow_aws.mlflow_connection
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - A user or a resource that does not exist yet causes a warning, as an earlier task may be going to make it.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - The AWS options serve O(login_secret_arn) only. They have nothing to do with O(tracking_uri).
requirements:
  - python >= 3.11
  - boto3 and botocore, with O(login_secret_arn) only
"""

EXAMPLES = r"""
- name: Ana may change what is in the experiment
  mlops.mlflow_aws.mlflow_permission:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    user: ana
    resource: churn
    permission: EDIT

- name: Ana may hand out the model
  mlops.mlflow_aws.mlflow_permission:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    user: ana
    resource_type: registered_model
    resource: churn-classifier
    permission: MANAGE

- name: Remove Bob's own permission
  mlops.mlflow_aws.mlflow_permission:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    user: bob
    resource_id: "3"
    state: absent
"""

RETURN = r"""
permission:
  description: The user's own permission on the resource, V(none) if there is none.
  returned: success
  type: str
  sample: EDIT
previous:
  description: That before the task, V(none) if there was none.
  returned: success
  type: str
  sample: READ
resource_id:
  description: Id by which MLflow keeps it. Empty when there is no such resource.
  returned: success
  type: str
  sample: '2'
reason:
  description:
    - "The cause of a failure. Those of M(mlops.mlflow_aws.mlflow_user), and V(no_user), V(no_resource), V(wrong_kind)
      (a prompt was given as a registered model, or the other way round), V(unsupported_version) (the server's MLflow
      has no such permissions)."
  returned: failure
  type: str
  sample: connection_refused
"""

from ansible.module_utils.common.warnings import warn

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.login import connect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import CONNECTION_RULES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import connection_argument_spec
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.permissions import ALL
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.permissions import KINDS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.permissions import PERMISSIONS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.permissions import WantedPermission
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.permissions import ensure_permission
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **connection_argument_spec(),
            "user": {"type": "str", "required": True},
            "resource_type": {"type": "str", "choices": list(KINDS), "default": "experiment"},
            "resource": {"type": "str"},
            "resource_id": {"type": "str"},
            "experiment": {"type": "str"},
            "experiment_id": {"type": "str"},
            "permission": {"type": "str", "choices": list(PERMISSIONS)},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "workspace": {"type": "str"},
        },
        supports_check_mode=True,
        check_boto3=False,
        mutually_exclusive=[
            *CONNECTION_RULES["mutually_exclusive"],
            ("resource", "resource_id"),
            ("experiment", "experiment_id"),
        ],
        required_one_of=[("resource", "resource_id")],
        required_if=[("state", "present", ["permission"])],
        required_together=CONNECTION_RULES["required_together"],
    )
    params = module.params
    one_scorer = params["resource_type"] == "scorer" and params["resource"] != ALL
    if one_scorer and not params["experiment"] and not params["experiment_id"]:
        module.fail_json(msg="A scorer belongs to an experiment: give experiment or experiment_id too.")
    try:
        desired = WantedPermission(
            user=params["user"],
            kind=params["resource_type"],
            name=params["resource"],
            resource_id=params["resource_id"],
            experiment=params["experiment"],
            experiment_id=params["experiment_id"],
            permission=params["permission"] if params["state"] == "present" else None,
        )
        outcome = ensure_permission(Client(connect(module)), desired, module.check_mode)
    except MlflowError as error:
        module.fail_json(msg=error.message, reason=error.reason)
    for warning in outcome.warnings:
        # Not module.warn(): that of amazon.aws 10 makes core 2.19 print a deprecation notice beside each warning.
        warn(warning)
    module.exit_json(
        changed=outcome.changed,
        permission=outcome.after,
        previous=outcome.before,
        resource_id=outcome.resource_id,
        diff={
            "before": {"permission": outcome.before},
            "after": {"permission": outcome.after},
            "before_header": f"{desired.user} on {desired.described}",
            "after_header": f"{desired.user} on {desired.described}",
        },
    )


if __name__ == "__main__":
    main()
