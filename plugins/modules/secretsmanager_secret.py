#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secretsmanager_secret
short_description: Manage a secret whose value no user needs to see
version_added: 0.1.0
description:
  - Creates a secret in AWS Secrets Manager, with a value that the module generates itself or that is given.
  - The value of an existing secret is never changed, unless O(rotate=true) asks for it.
  - A secret that is scheduled for deletion is restored with its value.
  - The value is never returned. There is no option that would.
options:
  name:
    description:
      - Name of the secret.
    type: str
    required: true
  state:
    description:
      - V(absent) schedules the secret for deletion, or with O(force=true) deletes it at once.
    type: str
    choices: [present, absent]
    default: present
  description:
    description:
      - Description of the secret.
    type: str
  kms_key_id:
    description:
      - ARN, id or alias of the KMS key that encrypts the secret. Without it, a new secret uses the account's
        C(aws/secretsmanager) key.
    type: str
  generate:
    description:
      - Makes the value inside the module, a JSON object with a random password, random keys, or both.
      - One of O(generate) and O(value) is needed for a new secret.
      - An existing secret must have all members of O(generate.template), O(generate.key) and O(generate.keys); it is an
        error if one is missing.
    type: dict
    suboptions:
      template:
        description:
          - The other members.
        type: dict
        default: {}
      key:
        description:
          - Name of the member that is a random password. Empty means that there is none.
        type: str
        default: password
      keys:
        description:
          - Names of members that are random keys, 32 random bytes in URL-safe Base64 each, as a Fernet key is.
        type: list
        elements: str
        default: []
      length:
        description:
          - Number of characters of the random password, at least 12.
        type: int
        default: 32
      exclude_characters:
        description:
          - Characters that it must not contain. All other printable ASCII characters but the space may appear.
          - The default leaves out what RDS refuses in a master password, which is the slash, the quotation mark, the at
            sign and the space, and the single quote, which its console refuses too.
        type: str
        default: "/\"@' "
  value:
    description:
      - The value of a new secret, as text or as a dictionary that becomes JSON.
      - Ansible hides each member of a dictionary from all output, short ones like a user name included, wherever they
        appear. Convert it with P(ansible.builtin.to_json#filter) to hide only the whole.
    type: json
  rotate:
    description:
      - Whether to give an existing secret a new value. With O(generate), the members O(generate.key) and
        O(generate.keys) are replaced on every run, and all other members stay. With O(value), it is written if it
        differs.
      - The caller has to update whatever uses the old value, such as a database.
    type: bool
    default: false
  pending:
    description:
      - Gives an existing secret a new value in two steps; between them, whatever uses the secret can learn of it.
        Nothing else of the secret is changed then.
      - V(create) keeps a second value beside the current one, with the staging label V(AWSPENDING). It is made as with
        O(rotate=true), and one that is there already is kept.
      - V(promote) makes that value the current one. The one before stays readable as V(AWSPREVIOUS).
      - V(discard) forgets it.
      - Each can be repeated. With no value pending, V(promote) and V(discard) do nothing.
    type: str
    choices: [create, promote, discard]
  recovery_window_in_days:
    description:
      - With O(state=absent), for how long the secret can be restored, 7 to 30 days. Its name is taken until then.
    type: int
    default: 7
  force:
    description:
      - With O(state=absent), whether to delete at once, without any way back.
    type: bool
    default: false
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.secretsmanager_secret_info
    description: Reads a secret.
  - module: mlops.mlflow_aws.rds_postgresql_instance
    description: Reads its master password from such a secret.
  - module: mlops.mlflow_aws.mlflow_user
    description: Reads passwords from such secrets.
  - name: AWS Secrets Manager
    description: The user guide, on versions and staging labels.
    link: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
attributes:
  check_mode:
    support: partial
    details:
      - A value that is to be generated is not read, so that C(secretsmanager:DescribeSecret) is enough. That a member
        is missing in an existing value is therefore said by a run only.
  diff_mode:
    support: partial
    details: The value is never shown; a new version stands for a new value.
  idempotent:
    support: partial
    details: Not with O(generate) and O(rotate=true), which makes a new value on every run.
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
- name: Master password of the database, made once
  mlops.mlflow_aws.secretsmanager_secret:
    name: mlflow/database
    description: Master user of the database
    tags:
      Project: mlflow
    generate:
      template:
        username: mlflow
        engine: postgres
        dbname: mlflow
      key: password
  register: database_secret

- name: Two keys, made once
  mlops.mlflow_aws.secretsmanager_secret:
    name: mlflow/server
    generate:
      key: ""
      keys: [flask_secret_key, webhook_encryption_key]

- name: A new password for Ana, which is not the current one yet
  mlops.mlflow_aws.secretsmanager_secret:
    name: mlflow/users/ana
    generate:
      key: password
    pending: create

- name: MLflow takes it
  mlops.mlflow_aws.mlflow_user:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    name: ana
    user_password_secret_arn: mlflow/users/ana
    user_password_secret_stage: AWSPENDING

- name: Now it is the current one
  mlops.mlflow_aws.secretsmanager_secret:
    name: mlflow/users/ana
    pending: promote

- name: Schedule the secret for deletion
  mlops.mlflow_aws.secretsmanager_secret:
    name: mlflow/database
    state: absent
"""

RETURN = r"""
secret:
  description: The secret without its value.
  returned: when state is V(present)
  type: dict
  contains:
    arn:
      description: ARN of the secret. For a new one in check mode it ends with V(-??????).
      type: str
      returned: always
      sample: arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow/users/ana-da7933
    name:
      description: Name of the secret.
      type: str
      returned: always
      sample: mlflow/users/ana
    version_id:
      description: Id of the current version.
      type: str
      returned: always
      sample: 57a22b7e-f3a0-4358-a94f-f7832e19981b
    pending_version_id:
      description: Id of the version that is about to become the current one, empty if there is none.
      type: str
      returned: with O(pending)
      sample: 8c68db5e-936e-440a-ae08-28062aa92074
    description:
      description: Description.
      type: str
      returned: always
      sample: Master user of the database
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
      returned: when it existed before
      sample: '2026-11-23T07:55:59+00:00'
generated:
  description: Whether a value was generated.
  returned: when state is V(present)
  type: bool
  sample: true
restored:
  description: Whether the secret was scheduled for deletion and is no longer.
  returned: when state is V(present)
  type: bool
  sample: false
rotated:
  description: Whether an existing value was replaced.
  returned: when state is V(present)
  type: bool
  sample: false
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.generate import GenerateOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.secret import ensure_absent
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.secret import ensure_present
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import DesiredState


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    if params["pending"] and (params["rotate"] or params["state"] == "absent"):
        raise UserError("pending is for a secret with state present, and excludes rotate.")
    client = make_client(module, "secretsmanager")
    if params["state"] == "absent":
        return ensure_absent(
            client,
            params["name"],
            recovery_days=params["recovery_window_in_days"],
            force=params["force"],
            check_mode=module.check_mode,
        )
    generate_options = GenerateOptions(**params["generate"]) if params["generate"] else None
    desired = DesiredState(
        name=params["name"],
        description=params["description"],
        kms_key_id=params["kms_key_id"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
        generate_options=generate_options,
        value=params["value"],
        rotate=params["rotate"],
        pending=params["pending"],
    )
    return ensure_present(client, make_client(module, "sts"), desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str"},
            "kms_key_id": {"type": "str"},
            "generate": {
                "type": "dict",
                # The template holds user and database names, which must stay readable in other output.
                "no_log": False,
                "options": {
                    "template": {"type": "dict", "default": {}},
                    "key": {"type": "str", "default": "password", "no_log": False},
                    "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
                    "length": {"type": "int", "default": 32},
                    "exclude_characters": {"type": "str", "default": "/\"@' "},
                },
            },
            "value": {"type": "json", "no_log": True},
            "rotate": {"type": "bool", "default": False},
            "pending": {"type": "str", "choices": ["create", "promote", "discard"]},
            "recovery_window_in_days": {"type": "int", "default": 7},
            "force": {"type": "bool", "default": False},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("generate", "value")],
        supports_check_mode=True,
    )
    run(module, f"Secret {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
