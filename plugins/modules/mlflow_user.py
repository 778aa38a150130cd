#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_user
short_description: Manage a user of an MLflow tracking server
version_added: 0.1.0
description:
  - Creates, changes and removes users of MLflow's basic authentication, over its REST API.
  - Whether a user has the wanted password is found out by logging in as that user, so an unchanged password is no
    change.
  - Works with MLflow 3.10 and newer. A server behind OpenID Connect has its users elsewhere.
options:
  name:
    description:
      - Name of the user.
    type: str
    required: true
    aliases: [user]
  state:
    description:
      - Whether the user shall be. With the user go its permissions, but not what it has made.
    type: str
    choices: [present, absent]
    default: present
  is_admin:
    description:
      - Whether the user is an administrator, who may do everything. A new user is not, unless this is V(true), and
        without this option an existing one is left as it is.
    type: bool
  user_password:
    description:
      - Password of the user called O(name), of at least 12 characters. (The option O(password) is that of the login.)
      - This or O(user_password_secret_arn) is needed for a new user.
    type: str
  user_password_secret_arn:
    description:
      - ARN or name of a secret in AWS Secrets Manager that holds the password of the user. The module reads it itself,
        so that no variable ever holds the password. M(mlops.mlflow_aws.secretsmanager_secret) makes such secrets.
      - Needs C(boto3) and the permission C(secretsmanager:GetSecretValue).
    type: str
  user_password_secret_key:
    description:
      - Member of the secret's JSON object that is the password. If empty, the secret's whole text is.
    type: str
    default: password
  user_password_secret_stage:
    description:
      - Staging label of the secret's version to read. V(AWSPENDING) is a password that is about to become the current
        one, see O(mlops.mlflow_aws.secretsmanager_secret#module:pending).
    type: str
    default: AWSCURRENT
  update_password:
    description:
      - Whether an existing user gets the password too, or only a new one.
    type: str
    choices: [always, on_create]
    default: always
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_permission
    description: Says what the user may do.
  - module: mlops.mlflow_aws.secretsmanager_secret
    description: Makes the password.
  - name: MLflow's basic authentication
    description: How users log in.
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
      - A secret that does not exist yet counts as one that holds the password of today.
  diff_mode:
    support: full
    details:
      - Passwords are not shown, only that another one is set.
  idempotent:
    support: full
notes:
  - A user's own password can be changed with its own login, O(username) being the same as O(name). It does not matter
    then whether O(password) is still the old one or already the new one, so that a run can be repeated.
  - Where the server caches logins (C(auth_cache_ttl_seconds)), an old password may be taken for that long by those of
    its processes that have seen it.
  - The AWS options serve the secrets only. They have nothing to do with O(tracking_uri).
requirements:
  - python >= 3.11
  - boto3 and botocore, with O(login_secret_arn) and O(user_password_secret_arn) only
"""

EXAMPLES = r"""
- name: A password for Ana, made once
  mlops.mlflow_aws.secretsmanager_secret:
    name: mlflow/users/ana
    generate:
      template:
        username: ana
  register: ana_secret

- name: Ana may log in
  mlops.mlflow_aws.mlflow_user:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    name: ana
    user_password_secret_arn: "{{ ana_secret.secret.arn }}"

- name: A second administrator, who keeps the password that they choose
  mlops.mlflow_aws.mlflow_user:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    name: bob
    is_admin: true
    user_password: "{{ bobs_first_password }}"
    update_password: on_create

- name: Carl has left
  mlops.mlflow_aws.mlflow_user:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    name: carl
    state: absent
"""

RETURN = r"""
user:
  description: The user.
  returned: success, when O(state=present)
  type: dict
  contains:
    id:
      description: Number of the user on the server, V(none) for one that check mode would create.
      type: int
      returned: always
      sample: 3
    username:
      description: Name.
      type: str
      returned: always
      sample: ana
    is_admin:
      description: Whether the user is an administrator.
      type: bool
      returned: always
      sample: false
password_changed:
  description: Whether the user got another password, or its first one.
  returned: success
  type: bool
  sample: true
reason:
  description:
    - "The cause of a failure. V(login_rejected) and V(login_required) (the login, not the server, is what is wrong),
      V(permission_denied) (the login is no administrator's), V(no_users) (the server has no basic authentication),
      V(database_unavailable) and V(server_error) (the server runs, but cannot answer), V(bad_user), V(bad_password),
      V(bad_secret), V(own_login), V(refused) (by MLflow, for the reason it gives), V(password_unchanged)."
    - Where the server cannot be reached, those of M(mlops.mlflow_aws.mlflow_health).
  returned: failure
  type: str
  sample: connection_refused
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.login import MissingSecret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.login import connect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.login import read_member
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import CONNECTION_RULES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import connection_argument_spec
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.users import WantedUser
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.users import ensure_user


def wanted_password(module: AnsibleAWSModule) -> tuple[str | None, bool]:
    """Return the password, and whether it is one that cannot be known yet."""
    params = module.params
    secret = params["user_password_secret_arn"]
    if not secret or params["state"] == "absent":
        return params["user_password"], False
    try:
        text = read_member(
            module,
            secret,
            params["user_password_secret_key"],
            "user_password_secret_arn",
            params["user_password_secret_stage"],
        )
    except MissingSecret:
        if not module.check_mode:
            raise
        return None, True
    return text, False


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **connection_argument_spec(),
            "name": {"type": "str", "required": True, "aliases": ["user"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "is_admin": {"type": "bool"},
            "user_password": {"type": "str", "no_log": True},
            "user_password_secret_arn": {"type": "str", "no_log": False},
            "user_password_secret_key": {"type": "str", "default": "password", "no_log": False},
            "user_password_secret_stage": {"type": "str", "default": "AWSCURRENT", "no_log": False},
            "update_password": {
                "type": "str",
                "choices": ["always", "on_create"],
                "default": "always",
                "no_log": False,
            },
        },
        supports_check_mode=True,
        check_boto3=False,
        mutually_exclusive=[
            *CONNECTION_RULES["mutually_exclusive"],
            ("user_password", "user_password_secret_arn"),
        ],
        required_together=CONNECTION_RULES["required_together"],
    )
    params = module.params
    try:
        connection = connect(module)
        password, unknown = wanted_password(module)
        desired = WantedUser(
            name=params["name"],
            present=params["state"] == "present",
            password=password,
            password_unknown=unknown,
            update_password=params["update_password"] == "always",
            is_admin=params["is_admin"],
        )
        outcome = ensure_user(connection, desired, module.check_mode)
    except MlflowError as error:
        module.fail_json(msg=error.message, reason=error.reason)
    result: dict[str, typing.Any] = {"user": outcome.user} if outcome.user else {}
    module.exit_json(
        changed=outcome.changed,
        password_changed=outcome.password_changed,
        diff={"before": outcome.before, "after": outcome.after},
        **result,
    )


if __name__ == "__main__":
    main()
