# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(ingress_rules)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ingress_rules
short_description: Make security group rules of networks
version_added: 0.1.0
description:
  - Returns a rule for each network, as O(mlops.mlflow_aws.ec2_security_group#module:ip_permissions) takes it.
positional: _input, rule
options:
  _input:
    description:
      - Networks in CIDR notation, of IPv4 or IPv6.
    type: list
    required: true
    elements: str
  rule:
    description:
      - What all rules have, such as port, protocol and description.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the rules
  ansible.builtin.debug:
    msg: "{{ ['10.0.0.0/8', 'fd00::/8'] | mlops.mlflow_aws.ingress_rules({'from_port': 5000}) }}"
"""

RETURN = r"""
_value:
  description: The rules, those of IPv4 first.
  type: list
  elements: dict
  sample:
    - {cidr_ip: 10.0.0.0/8, from_port: 5000}
    - {cidr_ipv6: "fd00::/8", from_port: 5000}
"""

from typing import Any


def ingress_rules(value: list[str], rule: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a rule for each network."""
    version_4 = [{"cidr_ip": one, **rule} for one in value if ":" not in one]
    return version_4 + [{"cidr_ipv6": one, **rule} for one in value if ":" in one]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"ingress_rules": ingress_rules}
