#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: resource_ownership
short_description: Fail if resources with a deployment's names are not the deployment's own
version_added: 0.1.0
description:
  - Reads the tags of resources before a later task changes or deletes them, and fails if an existing one does not
    carry the tags in O(owner_tags). Names alone prove nothing, as they are shared by all users of the
    account.
  - With O(look_elsewhere) it also looks for resources with these tags that have another name or place.
  - Changes nothing.
options:
  owner_tags:
    description:
      - The tags that all resources of the deployment carry, C(ManagedBy) and C(MlflowName).
    type: dict
    required: true
  check_region:
    description:
      - Whether a resource with the tag C(MlflowRegion) of another region, which IAM roles have, is another
        deployment's.
    type: bool
    default: true
  resources:
    description:
      - The resources to check. Those that do not exist are no problem.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description: Type of the resource.
        type: str
        required: true
        choices:
          - db_instance
          - db_parameter_group
          - db_subnet_group
          - ecs_service
          - iam_role
          - log_group
          - s3_bucket
          - secret
          - security_group
      name:
        description: Name of the resource; that of a service is V(cluster/name).
        type: str
        required: true
      vpc_id:
        description: Of a security group, the VPC. Without it the first one of that name is taken.
        type: str
  look_elsewhere:
    description:
      - Types of resources to look for by O(owner_tags) in the whole region. If no V(ecs_service) is found by its tags,
        each cluster is asked for a service of the deployment's name.
      - Fails if an V(ecs_service) or V(s3_bucket) of O(resources) does not exist but one of another name does, or a
        V(security_group) in another VPC.
    type: list
    elements: str
    choices: [db_instance, db_parameter_group, ecs_service, s3_bucket, security_group]
    default: []
  take_over:
    description:
      - Resources without O(owner_tags) that belong to the deployment all the same, for example
        V(iam_role/mlflow-task-role).
      - A resource with the tags of another deployment cannot be taken over.
    type: list
    elements: str
    default: []
  refuse_untagged:
    description:
      - Whether to refuse resources without the tags of any deployment.
      - V(false) refuses only those of other deployments.
    type: bool
    default: true
  purpose:
    description:
      - The operation that follows, for error messages.
    type: str
    choices: [change, delete, read]
    default: change
  variables:
    description:
      - Names of the user's settings, for error messages. V(name) and V(take_over), and by type of resource the setting
        that locates it.
    type: dict
    default: {}
  values:
    description:
      - Values of the settings that locate resources, by type of resource, for error messages.
    type: dict
    default: {}
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.ec2_tag_info
    description: Reads tags of EC2's resources.
  - name: GetResources
    description: How resources are found by their tags.
    link: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
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
"""

EXAMPLES = r"""
- name: Refuse to change a role and a bucket of another owner
  mlops.mlflow_aws.resource_ownership:
    owner_tags:
      ManagedBy: mlops.mlflow_aws
      MlflowName: tracking
    resources:
      - type: iam_role
        name: tracking-task-role
      - type: s3_bucket
        name: tracking-artifacts-123456789012-eu-central-1

- name: Find out in which cluster the service is, and what the bucket is called
  mlops.mlflow_aws.resource_ownership:
    owner_tags:
      ManagedBy: mlops.mlflow_aws
      MlflowName: tracking
    look_elsewhere:
      - ecs_service
      - s3_bucket
"""

RETURN = r"""
resources:
  description: What exists of O(resources), in the same order.
  returned: success
  type: list
  elements: dict
  contains: &resource
    type:
      description: Type of the resource.
      type: str
      returned: always
      sample: iam_role
    name:
      description: Name of the resource.
      type: str
      returned: always
      sample: tracking-task-role
    arn:
      description: ARN of the resource, empty if AWS does not report it.
      type: str
      returned: always
      sample: arn:aws:iam::123456789012:role/tracking-task-role
    tags:
      description: Tags of the resource.
      type: dict
      returned: always
      sample: {ManagedBy: mlops.mlflow_aws, MlflowName: tracking}
    owner:
      description:
        - The owner according to the resource's tags.
        - V(ours) for this deployment, V(others) for another one, V(unowned) for none.
      type: str
      returned: always
      sample: ours
    vpc_id:
      description: VPC of a security group, otherwise empty.
      type: str
      returned: always
      sample: ''
elsewhere:
  description: What was found by tag, of the types in O(look_elsewhere), whether it is among O(resources) or not.
  returned: success
  type: list
  elements: dict
  contains: *resource
"""

import functools

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import dictionary_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import texts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import sentences
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership import lookup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership import ownership

_NOTHING_WAS_DONE = {"change": ["Nothing was changed."], "delete": ["Nothing was deleted."]}


def _shown(one: ownership.Resource, identity: ownership.Identity) -> dict[str, object]:
    return {
        "type": one.kind,
        "name": one.name,
        "arn": one.arn,
        "tags": dict(one.tags),
        "owner": ownership.owner(one.tags, identity),
        "vpc_id": one.vpc_id,
    }


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    if violations := dictionary_problems("owner_tags", params["owner_tags"]):
        raise UserError(sentences(violations))
    tags = texts(params["owner_tags"])
    if not tags:
        raise UserError("owner_tags is empty: without tags, the owner of a resource cannot be determined.")
    region = str(module.region or "") if params["check_region"] else ""
    identity = ownership.Identity(tags, region)
    words = ownership.Wording(params["purpose"], params["variables"], params["values"])
    clients = functools.cache(functools.partial(make_client, module))
    desired = [ownership.Resource(one["type"], one["name"], vpc_id=one["vpc_id"] or "") for one in params["resources"]]
    found = lookup.read_all(clients, desired)
    tagged = lookup.search(clients, params["look_elsewhere"], identity)
    taken = params["take_over"] if params["refuse_untagged"] else [one.key for one in found]
    services = [one for one in (*found, *tagged) if one.kind == "ecs_service"]
    if "ecs_service" in params["look_elsewhere"] and not services:
        tagged += lookup.search_clusters(clients, identity)
    if params["purpose"] == "change" and any(
        ownership.owner(one.tags, identity) == ownership.OURS for one in (*found, *tagged)
    ):
        # An earlier run was interrupted right after it had created the bucket.
        found = [one for one in found if not lookup.is_unused_bucket(clients("s3"), one)]
    problems = ownership.foreign(found, identity, taken, words)
    problems += ownership.misplaced(found, tagged, desired, identity, words)
    if problems:
        raise UserError(" ".join([*_NOTHING_WAS_DONE.get(params["purpose"], []), *problems]))
    shown = {
        "resources": [_shown(one, identity) for one in found],
        "elsewhere": [_shown(one, identity) for one in tagged],
    }
    return ModuleResult(False, {}, {}, shown, [], has_diff=False)


def main() -> None:
    resource = {
        "type": {"type": "str", "required": True, "choices": sorted(ownership.NOUNS)},
        "name": {"type": "str", "required": True},
        "vpc_id": {"type": "str"},
    }
    module = AnsibleAWSModule(
        argument_spec={
            "owner_tags": {"type": "dict", "required": True},
            "check_region": {"type": "bool", "default": True},
            "resources": {"type": "list", "elements": "dict", "default": [], "options": resource},
            "look_elsewhere": {
                "type": "list",
                "elements": "str",
                "default": [],
                "choices": sorted(lookup.SEARCHED),
            },
            "take_over": {"type": "list", "elements": "str", "default": []},
            "refuse_untagged": {"type": "bool", "default": True},
            "purpose": {"type": "str", "choices": ["change", "delete", "read"], "default": "change"},
            "variables": {"type": "dict", "default": {}},
            "values": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run(module, "Tags of the deployment's resources", lambda: _work(module))


if __name__ == "__main__":
    main()
