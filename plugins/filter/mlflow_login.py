# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(mlflow_login)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mlflow_login
short_description: Tell what a login needs in the task of an MLflow server
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - Tells for each kind of login the packages that the task installs and the commands that it runs before the server, by
    MLflow's version, and what is wrong with the login.
positional: _input, files
options:
  _input:
    description:
      - The login's settings, as C(vars/main.yml) of the role P(mlops.mlflow_aws.auth#role) lists them.
    type: dict
    required: true
  files:
    description:
      - Folder of the scripts and of the pinned packages.
    type: path
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show what each kind of login needs
  ansible.builtin.debug:
    msg: "{{ settings | mlops.mlflow_aws.mlflow_login(files) }}"
  vars:
    files: /usr/share/ansible/collections/ansible_collections/mlops/mlflow_aws/roles/auth/files
    settings:
      mode: basic
      public: true
      allow_public_without_login: false
      version: 3.17.2
      image: ''
      pip_install: true
      default_permission: READ
      bootstrap_admin: true
      oidc_plugin_version: ''
      oidc_plugin_requirements: []
      oidc_ca_path: ''
      variables:
        oidc_discovery_url: auth_oidc_discovery_url
"""

RETURN = r"""
_value:
  description:
    - C(basic) and C(oidc), each with C(packages) and C(boot).
    - C(violations) and C(warnings), and C(unguarded), what MLflow's own login does not guard.
  type: dict
  sample:
    basic:
      settings:
        - default_permission=READ
        - auth_cache_ttl_seconds=60
      boot:
        - export MLFLOW_AUTH_CONFIG_PATH="$(mktemp)"
        - "python -c 'import configparser …"
      packages: []
    oidc:
      plugin: 10.1.3
      packages:
        - "asgiref==3.13.0 --hash=sha256:f9596a2434512686473d50f96ff …"
        - "authlib==1.9.9 --hash=sha256:0199649865fefb4304fc57683eae …"
      boot:
        - "auth_settings=\"$(python -c 'import importlib …"
        - eval "$auth_settings"
      certificates: []
    unguarded: []
    violations: []
    warnings: []
"""

from pathlib import Path
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import as_data
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import login


def mlflow_login(value: dict[str, Any], files: str) -> dict[str, Any]:
    """Return what each kind of login needs, and what is wrong."""
    folder = Path(files)
    return as_data(
        {
            "basic": login.basic(value, folder),
            "oidc": login.oidc(value, folder),
            "unguarded": login.unguarded(value["version"]),
            "violations": list(login.violations(value, folder)),
            "warnings": list(login.warnings(value)),
        }
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"mlflow_login": mlflow_login}
