#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: resource_references
short_description: Fail if resources that settings refer to do not exist or cannot be used
version_added: 0.1.0
description:
  - Asks AWS for KMS keys, secrets and IAM policies, before something that needs them is created, and fails
    with one sentence for each that does not exist or cannot be used.
  - What the caller is not allowed to ask for is returned in RV(unknown), and is no failure.
  - Changes nothing, and reads no secret's value.
options:
  kms_keys:
    description:
      - Settings that hold the ARN of a KMS key, or a list or dictionary of ARNs. Empty values are ignored.
      - Each key must be enabled, and be one for symmetric encryption.
    type: dict
    default: {}
  secrets:
    description:
      - Settings that hold the ARN of a secret that the server's tasks read, or a list or dictionary of ARNs. What ECS
        takes after the ARN, a key, a version's stage and its id, may follow.
      - A secret under a customer managed KMS key needs that key among O(usable_kms_key_arns).
    type: dict
    default: {}
  caller_secrets:
    description: Settings that hold the ARN of a secret that the caller reads.
    type: dict
    default: {}
  policies:
    description: Settings that hold the ARN of an IAM policy.
    type: dict
    default: {}
  usable_kms_key_arns:
    description: The customer managed KMS keys with which the server's tasks may decrypt secrets.
    type: list
    elements: str
    default: []
  usable_kms_keys_setting:
    description: The setting to which another key can be added, for the sentence.
    type: str
    default: usable_kms_key_arns
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.resource_ownership
    description: Tells whether what exists is the deployment's own.
  - name: DescribeKey
    description: What AWS tells of a key.
    link: https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
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
- name: Fail if the permissions boundary does not exist
  mlops.mlflow_aws.resource_references:
    policies:
      iam_permissions_boundary_arn: arn:aws:iam::aws:policy/PowerUserAccess
"""

RETURN = r"""
unknown:
  description: The settings of which the caller is not allowed to know whether their resource exists.
  returned: success
  type: list
  elements: str
  sample: []
"""

import functools

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._preflight import references


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    wanted = [
        *references.references("kms_key", params["kms_keys"]),
        *references.references("secret", params["secrets"], by_server=True),
        *references.references("secret", params["caller_secrets"]),
        *references.references("policy", params["policies"]),
    ]
    usable = references.Usable(frozenset(params["usable_kms_key_arns"]), params["usable_kms_keys_setting"])
    clients = functools.cache(lambda service, region: make_client(module, service, region))
    problems, unknown = references.problems(clients, str(module.region or ""), wanted, usable)
    if problems:
        raise UserError(" ".join(problems))
    return ModuleResult(False, {}, {}, {"unknown": unknown}, [], has_diff=False)


def main() -> None:
    # Names of resources, no secrets.
    settings = {"type": "dict", "default": {}, "no_log": False}
    module = AnsibleAWSModule(
        argument_spec={
            "kms_keys": settings,
            "secrets": settings,
            "caller_secrets": settings,
            "policies": settings,
            "usable_kms_key_arns": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "usable_kms_keys_setting": {"type": "str", "default": "usable_kms_key_arns", "no_log": False},
        },
        supports_check_mode=True,
    )
    run(module, "Resources that settings refer to", lambda: _work(module))


if __name__ == "__main__":
    main()
