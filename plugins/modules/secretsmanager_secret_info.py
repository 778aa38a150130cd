#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secretsmanager_secret_info
short_description: Read a secret, and its value if that is asked for
version_added: 0.1.0
description:
  - Reads a secret of AWS Secrets Manager.
  - Its value is returned with O(show_value=true) only. Such a task needs C(no_log=true), lest Ansible shows it.
options:
  name:
    description:
      - Name or ARN of the secret.
    type: str
    required: true
  show_value:
    description:
      - Whether to return the value too.
    type: bool
    default: false
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.secretsmanager_secret
    description: Makes and changes secrets.
  - name: AWS Secrets Manager
    description: The user guide.
    link: https://docs.aws.amazon.com/secretsmanager/latest/userguide/intro.html
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
- name: Read the login
  mlops.mlflow_aws.secretsmanager_secret_info:
    name: mlflow/login
    show_value: true
  register: login
  no_log: true

- name: Show it
  ansible.builtin.debug:
    msg: "{{ login.secrets[0].members.username }} {{ login.secrets[0].members.password }}"
"""

RETURN = r"""
secrets:
  description:
    - The secret, or an empty list if there is none of that name. One that is scheduled for deletion is none.
  returned: success
  type: list
  elements: dict
  contains:
    arn:
      description: ARN of the secret.
      type: str
      returned: always
      sample: arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow/login-b76c67
    name:
      description: Name of the secret.
      type: str
      returned: always
      sample: mlflow/login
    version_id:
      description: Id of the current version.
      type: str
      returned: always
      sample: 8dc00472-767b-4ee6-94b7-81fee38d9ef2
    description:
      description: Description.
      type: str
      returned: always
      sample: The administrator's login
    kms_key_id:
      description: The KMS key, empty for the account's default.
      type: str
      returned: always
      sample: ''
    tags:
      description: Tags.
      type: dict
      returned: always
      sample: {Project: mlflow}
    created_date:
      description: When the secret was created.
      type: str
      returned: always
      sample: '2026-11-23T07:55:06+00:00'
    members:
      description: The members of its value, empty where the value is no JSON object.
      returned: with O(show_value=true)
      type: dict
      sample: {username: admin, password: a-made-up-password}
    value:
      description: Its value as it is.
      returned: with O(show_value=true)
      type: str
      sample: '{"username": "admin", "password": "a-made-up-password"}'
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.read import find_secrets


def _work(module: AnsibleAWSModule) -> ModuleResult:
    client = make_client(module, "secretsmanager")
    found = find_secrets(client, module.params["name"], module.params["show_value"])
    return ModuleResult(False, {}, {}, found, [], has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "show_value": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, f"Secret {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
