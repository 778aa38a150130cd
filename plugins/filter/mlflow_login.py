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
- name: Show what is wrong with the login
  ansible.builtin.debug:
    msg: "{{ (settings | mlops.mlflow_aws.mlflow_login(role_path ~ '/files')).violations }}"
"""

RETURN = r"""
_value:
  description:
    - C(basic) and C(oidc), each with C(packages) and C(boot).
    - C(violations) and C(warnings), and C(unguarded), what MLflow's own login does not guard.
  type: dict
  sample: {unguarded: [], violations: []}
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import login


def mlflow_login(value: dict[str, Any], files: str) -> dict[str, Any]:
    """Return what each kind of login needs, and what is wrong."""
    folder = Path(files)
    return {
        "basic": login.basic(value, folder),
        "oidc": login.oidc(value, folder),
        "unguarded": login.unguarded(value["version"]),
        "violations": [asdict(one) for one in login.violations(value, folder)],
        "warnings": [asdict(one) for one in login.warnings(value)],
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"mlflow_login": mlflow_login}
