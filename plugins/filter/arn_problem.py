# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that looks at an ARN."""

from __future__ import annotations

DOCUMENTATION = r"""
name: arn_problem
short_description: Say what is wrong with an ARN
version_added: 0.1.0
description:
  - Checks that an ARN is one of a certain service and type of resource.
positional: _input, service, resource_type
options:
  _input:
    description: The ARN.
    type: str
    required: true
  service:
    description: The service, such as V(iam).
    type: str
    required: true
  resource_type:
    description: The type of resource, such as V(role).
    type: str
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show that this is the ARN of a user
  ansible.builtin.debug:
    msg: "{{ 'arn:aws:iam::123456789012:user/me' | mlops.mlflow_aws.arn_problem('iam', 'role') }}"
"""

RETURN = r"""
_value:
  description: What is wrong, the rest of a sentence that begins with a variable's name; empty if nothing is.
  type: str
  sample: >-
    is the ARN of a user of iam (arn:aws:iam::123456789012:user/me), but must be an ARN such as
    arn:aws:iam::123456789012:role/name
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import arns


def arn_problem(value: Any, service: str, resource_type: str) -> str:
    """Return what is wrong, or an empty text."""
    return arns.arn_problem(value, service, resource_type) or ""


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"arn_problem": arn_problem}
