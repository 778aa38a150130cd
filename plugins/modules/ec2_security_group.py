#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_security_group
short_description: Manage a security group with its rules
version_added: 0.1.0
description:
  - Creates, changes and deletes a security group of a VPC together with its rules and tags, in one task.
  - Rules that are added are added before others are removed.
  - Unlike M(amazon.aws.ec2_security_group), its diff shows each rule with its ports as numbers and its own description,
    in check mode as it would be, and it does not wait for the rule that AWS gives a new group.
options:
  group_name:
    description:
      - Name of the group.
      - Not needed with O(state=absent) and O(group_id).
    type: str
    aliases: [name]
  group_id:
    description:
      - With O(state=absent), id of the group, instead of O(group_name) and O(vpc_id).
    type: str
  vpc_id:
    description:
      - Id of the VPC.
    type: str
  state:
    description:
      - V(absent) deletes the group, and waits for it while something still uses it.
    type: str
    choices: [present, absent]
    default: present
  description:
    description:
      - Description of the group, needed with O(state=present). AWS cannot change it; another one is an error.
    type: str
  ip_permissions:
    description:
      - Who may come in. Without it, the rules are left alone.
    type: list
    elements: dict
    suboptions: &rule
      ip_protocol:
        description:
          - Protocol, by name or number. V(all), as V(-1), stands for all of them, with all ports.
        type: str
        default: tcp
      from_port:
        description:
          - First port. Needed unless the rule is for all protocols.
        type: int
      to_port:
        description:
          - Last port. By default the first one.
        type: int
      cidr_ip:
        description:
          - IPv4 network in CIDR notation. Each rule has one of these four.
        type: str
      cidr_ipv6:
        description:
          - IPv6 network in CIDR notation.
        type: str
      prefix_list_id:
        description:
          - Id of a prefix list.
        type: str
      group_id:
        description:
          - Id of a security group.
        type: str
      description:
        description:
          - Description of the rule. Without it, that of an existing rule is left alone.
        type: str
  ip_permissions_egress:
    description:
      - Where one may go out to. Without it, the rules are left alone; AWS gives a new group one that lets everything
        out.
    type: list
    elements: dict
    suboptions: *rule
  purge_ip_permissions:
    description:
      - Whether to remove the rules that are not in O(ip_permissions), if O(ip_permissions) is given.
    type: bool
    default: true
  purge_ip_permissions_egress:
    description:
      - Whether to remove the rules that are not in O(ip_permissions_egress), if O(ip_permissions_egress) is given.
    type: bool
    default: true
  wait_timeout:
    description:
      - With O(state=absent), how long to wait for what still uses the group, in seconds.
    type: int
    default: 300
  wait_delay:
    description:
      - Polling interval in seconds.
    type: int
    default: 10
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.ec2_security_group
    description: Manages security groups with rules in more ways of writing.
  - module: mlops.mlflow_aws.rds_postgresql_instance
    description: Manages a database with security groups.
  - name: Security group rules
    description: The user guide.
    link: https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
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
- name: Group of the server
  mlops.mlflow_aws.ec2_security_group:
    group_name: experiments-service
    description: The tasks
    vpc_id: vpc-0123456789abcdef0
    ip_permissions:
      - from_port: 5000
        cidr_ip: 10.0.0.0/16
        description: direct access to the tasks
    tags:
      Project: mlflow
  register: service

- name: Group of the database, which admits the server only
  mlops.mlflow_aws.ec2_security_group:
    group_name: experiments-database
    description: The database
    vpc_id: vpc-0123456789abcdef0
    ip_permissions:
      - from_port: 5432
        group_id: "{{ service.security_group.group_id }}"
        description: PostgreSQL from the tasks
    ip_permissions_egress: []

- name: Delete the group
  mlops.mlflow_aws.ec2_security_group:
    group_name: experiments-database
    vpc_id: vpc-0123456789abcdef0
    state: absent
"""

RETURN = r"""
security_group:
  description: The group, in check mode as it would be.
  returned: when state is V(present)
  type: dict
  contains:
    group_id:
      description: Id of the group.
      type: str
      returned: when the group exists
      sample: sg-0123456789abcdef0
    group_name:
      description: Name of the group.
      type: str
      returned: always
      sample: experiments-service
    description:
      description: Description.
      type: str
      returned: always
      sample: The tasks
    vpc_id:
      description: Id of the VPC.
      type: str
      returned: always
      sample: vpc-0123456789abcdef0
    ip_permissions:
      description: Who may come in, one entry for each other side, with the members of O(ip_permissions) that apply.
      type: list
      elements: dict
      returned: always
      sample:
        - cidr_ip: 10.0.0.0/16
          description: direct access to the tasks
          from_port: 5000
          ip_protocol: tcp
          to_port: 5000
    ip_permissions_egress:
      description: Where one may go out to, likewise.
      type: list
      elements: dict
      returned: always
      sample:
        - cidr_ip: 0.0.0.0/0
          ip_protocol: '-1'
    tags:
      description: Tags.
      type: dict
      returned: always
      sample: {Project: mlflow}
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ec2 import security_group

RULE = {
    "ip_protocol": {"type": "str", "default": "tcp"},
    "from_port": {"type": "int"},
    "to_port": {"type": "int"},
    "cidr_ip": {"type": "str"},
    "cidr_ipv6": {"type": "str"},
    "prefix_list_id": {"type": "str"},
    "group_id": {"type": "str"},
    "description": {"type": "str"},
}


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    ec2 = make_client(module, "ec2")
    if params["state"] == "absent":
        named = {"group_name": params["group_name"], "vpc_id": params["vpc_id"]}
        return security_group.ensure_absent(
            ec2,
            {"group_id": params["group_id"]} if params["group_id"] else named,
            timeout=params["wait_timeout"],
            delay=params["wait_delay"],
            check_mode=module.check_mode,
        )
    desired = security_group.DesiredState(
        name=params["group_name"],
        vpc_id=params["vpc_id"],
        description=params["description"],
        ingress=security_group.flat_rules(params["ip_permissions"], "ip_permissions"),
        egress=security_group.flat_rules(params["ip_permissions_egress"], "ip_permissions_egress"),
        purge_ingress=params["purge_ip_permissions"],
        purge_egress=params["purge_ip_permissions_egress"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return security_group.ensure_present(ec2, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "group_name": {"type": "str", "aliases": ["name"]},
            "group_id": {"type": "str"},
            "vpc_id": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str"},
            "ip_permissions": {"type": "list", "elements": "dict", "options": RULE},
            "ip_permissions_egress": {"type": "list", "elements": "dict", "options": RULE},
            "purge_ip_permissions": {"type": "bool", "default": True},
            "purge_ip_permissions_egress": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 300},
            "wait_delay": {"type": "int", "default": 10},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ("group_name", "vpc_id", "description"))],
        required_one_of=[("group_name", "group_id")],
        required_together=[("group_name", "vpc_id")],
        mutually_exclusive=[("group_name", "group_id")],
        supports_check_mode=True,
    )
    name = module.params["group_name"] or module.params["group_id"]
    run(module, f"Security group {name}", lambda: _work(module))


if __name__ == "__main__":
    main()
