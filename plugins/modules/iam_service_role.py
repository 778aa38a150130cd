#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iam_service_role
short_description: Manage an IAM role that an AWS service assumes
version_added: 0.1.0
description:
  - Creates, changes and deletes a role together with its trust policy, its managed and inline policies, permissions
    boundary and tags, in one task.
  - Waits until IAM shows the changes.
  - Unlike M(amazon.aws.iam_role) with M(amazon.aws.iam_policy), it shows a diff, predicts the ARN in check mode on a
    first run, and does wait.
options:
  name:
    description:
      - Name of the role, up to 64 characters.
    type: str
    required: true
    aliases: [role_name]
  state:
    description:
      - V(absent) takes the role out of its instance profiles, detaches its managed policies, deletes its inline
        policies and the role. The managed policies themselves stay.
      - V(settled) changes nothing. It waits for what is left of O(settle_time) since O(changed_at), as O(wait) does, so
        that a playbook can create roles with O(wait=false), go on with what needs none of them, and wait where one is
        needed. It returns at once, without a request, once that time is over.
    type: str
    choices: [present, absent, settled]
    default: present
  path:
    description:
      - Path of the role. Starts and ends with a slash.
      - A new role gets V(/) by default. The path of an existing role cannot be changed; a different one is an error.
    type: str
  description:
    description:
      - Description of the role.
    type: str
  service:
    description:
      - The service that may assume the role, such as V(ecs-tasks.amazonaws.com). The trust policy is made from it.
      - One of O(service) and O(assume_role_policy_document) is needed for a new role.
    type: str
  condition:
    description:
      - Condition of the trust policy that is made from O(service).
    type: dict
  assume_role_policy_document:
    description:
      - The whole trust policy, where O(service) is not enough.
    type: json
  permissions_boundary:
    description:
      - ARN of the managed policy that is the role's permissions boundary. An empty string removes it.
    type: str
  managed_policies:
    description:
      - ARNs of managed policies to attach.
    type: list
    elements: str
  purge_managed_policies:
    description:
      - Whether to detach the managed policies that are not in O(managed_policies), if O(managed_policies) is given.
    type: bool
    default: false
  inline_policies:
    description:
      - Inline policies, from the name of each to its document, as a dictionary or as JSON text.
    type: dict
  purge_inline_policies:
    description:
      - Whether to delete the inline policies that are not in O(inline_policies), if O(inline_policies) is given.
    type: bool
    default: false
  max_session_duration:
    description:
      - Longest session, in seconds, from 3600 to 43200.
    type: int
  wait:
    description:
      - Whether to wait, after a change or if the role is younger than O(settle_time), for three reads in a row that
        show role, trust, policies and tags as asked for, then for O(simulate_actions), then for the rest of
        O(settle_time).
      - The reads prove that IAM's own API shows the change, the simulation proves that IAM evaluates the policies to
        "allowed". Neither proves that the services of a region, which keep copies of IAM's data, know the change.
        They cannot be queried, and only the trusted service can assume the role. O(settle_time) makes it likely.
        Code that passes the role to a service still has to retry a refusal.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait for the reads, and again for the simulation, in seconds.
    type: int
    default: 60
  settle_time:
    description:
      - After a change, so many seconds pass before the module returns. Where nothing is changed, it returns once the
        role is that old, which is at once for an old one.
      - With several roles, set O(wait=false) on all but the last one, or on all of them and wait with O(state=settled).
    type: int
    default: 10
  changed_at:
    description:
      - With O(state=settled), when the role was changed, as RV(changed_at) of the task that changed it.
      - Without it, or if it is empty, the time at which the role was created counts.
    type: str
  simulate_actions:
    description:
      - Actions, such as V(s3:PutObject), which C(iam:SimulatePrincipalPolicy) must find allowed before the module
        returns.
      - The simulator does not know the values of conditions, nor policies of buckets and organisations.
    type: list
    elements: str
    default: []
  simulate_resources:
    description:
      - ARNs on which O(simulate_actions) must be allowed; all resources if empty.
    type: list
    elements: str
    default: []
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.iam_role
    description: Makes roles of all kinds, without a diff.
  - module: mlops.mlflow_aws.iam_service_linked_role
    description: Makes the roles that belong to a service.
  - name: Changes are not always immediately visible
    description: What IAM promises about the time until a change is effective.
    link: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
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
  - amazon.aws.tags
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Role of the tasks
  mlops.mlflow_aws.iam_service_role:
    name: mlflow-task-role
    description: Role of the MLflow tasks
    service: ecs-tasks.amazonaws.com
    inline_policies:
      MLflowArtifacts:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: [s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload]
            Resource: arn:aws:s3:::mlflow-artifacts-123456789012-eu-central-1/*
    wait: false
  register: task_role

- name: Execution role, and wait for it
  mlops.mlflow_aws.iam_service_role:
    name: mlflow-execution-role
    service: ecs-tasks.amazonaws.com
    condition:
      StringEquals:
        aws:SourceAccount: "123456789012"
    managed_policies:
      - arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy
    tags:
      Project: mlflow

- name: Wait, where the task role is needed, until its change has settled
  mlops.mlflow_aws.iam_service_role:
    name: mlflow-task-role
    state: settled
    changed_at: "{{ task_role.changed_at }}"

- name: Delete a role with all its policies
  mlops.mlflow_aws.iam_service_role:
    name: mlflow-task-role
    state: absent
"""

RETURN = r"""
changed_at:
  description:
    - When the role was changed, if O(settle_time) is not over yet; otherwise an empty string, as in check mode.
    - Of a role that this task left as it was, the time at which it was created.
  returned: when state is V(present)
  type: str
  sample: '2026-11-23T07:55:32.118042+00:00'
iam_role:
  description:
    - The role, in check mode as it would be.
    - Without RV(iam_role.role_id) and RV(iam_role.create_date) if it does not exist yet.
  returned: when state is V(present)
  type: dict
  contains:
    arn:
      description: ARN of the role.
      type: str
      returned: always
      sample: arn:aws:iam::123456789012:role/mlflow-task-role
    name:
      description: Name of the role.
      type: str
      returned: always
      sample: mlflow-task-role
    role_name:
      description: Name of the role, as M(amazon.aws.iam_role) calls it.
      type: str
      returned: always
      sample: mlflow-task-role
    role_id:
      description: Unique id.
      type: str
      returned: when the role exists
      sample: AROAF4041709F1CA4A89A
    create_date:
      description: When the role was created.
      type: str
      returned: when the role exists
      sample: '2026-11-23T07:55:32+00:00'
    path:
      description: Path of the role.
      type: str
      returned: always
      sample: /
    description:
      description: Description.
      type: str
      returned: always
      sample: Role of the MLflow tasks
    max_session_duration:
      description: Longest session in seconds.
      type: int
      returned: always
      sample: 3600
    permissions_boundary:
      description: ARN of the permissions boundary, or an empty string.
      type: str
      returned: always
      sample: ''
    assume_role_policy_document:
      description: Trust policy.
      type: dict
      returned: always
      sample:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal:
              Service: ecs-tasks.amazonaws.com
            Action: sts:AssumeRole
    managed_policies:
      description: ARNs of the attached policies, sorted.
      type: list
      elements: str
      returned: always
      sample: ['arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy']
    inline_policies:
      description: Inline policies, name to document.
      type: dict
      returned: always
      sample:
        MLflowArtifacts:
          Version: '2012-10-17'
          Statement:
            - Effect: Allow
              Action:
                - s3:GetObject
                - s3:PutObject
                - s3:DeleteObject
                - s3:AbortMultipartUpload
              Resource: arn:aws:s3:::mlflow-artifacts-123456789012-eu-central-1/*
    tags:
      description: Tags.
      type: dict
      returned: always
      sample: {Project: mlflow}
"""

from datetime import datetime
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.documents import json_document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import IAM
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam import roles
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.propagation import PropagationOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import trust_policy


def _desired(params: dict[str, Any]) -> DesiredState:
    trust = None
    if params["service"]:
        trust = trust_policy(params["service"], params["condition"])
    elif params["assume_role_policy_document"]:
        trust = json_document(params["assume_role_policy_document"], "assume_role_policy_document")
    inline = params["inline_policies"]
    if inline is not None:
        inline = {name: json_document(value, f"inline_policies.{name}") for name, value in inline.items()}
    return DesiredState(
        name=params["name"],
        path=params["path"],
        description=params["description"],
        max_session_duration=params["max_session_duration"],
        permissions_boundary=params["permissions_boundary"],
        trust=trust,
        managed_policies=params["managed_policies"],
        purge_managed_policies=params["purge_managed_policies"],
        inline_policies=inline,
        purge_inline_policies=params["purge_inline_policies"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )


def _point_in_time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UserError(
            f"changed_at is {text!r}, which is not a time in ISO 8601 with its offset from UTC: give what the task that"
            " changed the role returned as changed_at."
        )
    return found


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    iam = make_client(module, "iam")
    if params["state"] == "absent":
        return roles.ensure_absent(iam, params["name"], module.check_mode)
    wait_options = PropagationOptions(
        wait=params["wait"],
        timeout=params["wait_timeout"],
        settle=params["settle_time"],
        report=Progress(f"IAM role {params['name']}", hidden=module.no_log_values).report,
        simulate_actions=params["simulate_actions"],
        simulate_resources=params["simulate_resources"],
    )
    if params["state"] == "settled":
        changed_at = _point_in_time(params["changed_at"])
        return roles.ensure_settled(iam, params["name"], changed_at, wait_options, module.check_mode)
    sts = make_client(module, "sts")
    return roles.ensure_present(iam, sts, _desired(params), wait_options, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True, "aliases": ["role_name"]},
            "state": {"type": "str", "choices": ["present", "absent", "settled"], "default": "present"},
            "path": {"type": "str"},
            "description": {"type": "str"},
            "service": {"type": "str"},
            "condition": {"type": "dict"},
            "assume_role_policy_document": {"type": "json"},
            "permissions_boundary": {"type": "str"},
            "managed_policies": {"type": "list", "elements": "str"},
            "purge_managed_policies": {"type": "bool", "default": False},
            "inline_policies": {"type": "dict"},
            "purge_inline_policies": {"type": "bool", "default": False},
            "max_session_duration": {"type": "int"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 60},
            "settle_time": {"type": "int", "default": 10},
            "changed_at": {"type": "str"},
            "simulate_actions": {"type": "list", "elements": "str", "default": []},
            "simulate_resources": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("service", "assume_role_policy_document")],
        required_by={"condition": "service"},
        supports_check_mode=True,
    )
    run(module, f"IAM role {module.params['name']}", lambda: _work(module), IAM)


if __name__ == "__main__":
    main()
