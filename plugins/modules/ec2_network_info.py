#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_network_info
short_description: Read subnets and the route tables of their VPC in one step
version_added: 0.1.0
description:
  - Reads what decides whether a server and its database can use some subnets, their zones, their free addresses, and
    the routes that make them public or private.
  - Requests that do not depend on each other are made at the same time.
options:
  subnet_ids:
    description:
      - Ids of subnets. One that does not exist is left out.
      - Without any, the default subnets of the region's default VPC are read.
    type: list
    elements: str
    default: []
  other_subnet_ids:
    description:
      - Ids of further subnets, such as those of a database. One that does not exist is left out.
    type: list
    elements: str
    default: []
  group_name:
    description:
      - Name of a security group to look for in the VPC of the subnets, if one of them has fewer than eight free
        addresses. It shows whether something that needs them is there already.
    type: str
    default: ""
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.ec2_vpc_subnet_info
    description: All attributes of subnets.
  - module: amazon.aws.ec2_vpc_route_table_info
    description: All attributes of route tables.
  - name: Configure route tables
    description: What makes a subnet public.
    link: https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Read two subnets
  mlops.mlflow_aws.ec2_network_info:
    subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
  register: network

- name: Show how many addresses are free
  ansible.builtin.debug:
    msg: "{{ network.subnets | items2dict(key_name='subnet_id', value_name='available_ip_address_count') }}"
"""

RETURN = r"""
subnets:
  description: The subnets.
  returned: success
  type: list
  elements: dict
  contains:
    subnet_id:
      description: Id of the subnet.
      returned: always
      type: str
      sample: subnet-0123456789abcdef0
    vpc_id:
      description: Id of its VPC.
      returned: always
      type: str
      sample: vpc-0123456789abcdef0
    availability_zone:
      description: Availability zone.
      returned: always
      type: str
      sample: eu-central-1a
    available_ip_address_count:
      description: Number of free addresses.
      returned: always
      type: int
      sample: 4091
    cidr_block:
      description: IPv4 addresses.
      returned: always
      type: str
      sample: 172.31.0.0/20
other_subnets:
  description: The subnets of O(other_subnet_ids), with the same keys.
  returned: success
  type: list
  elements: dict
  sample: []
default_vpcs:
  description:
    - The region's default VPC, if O(subnet_ids) is empty and there is no default subnet. A VPC without subnets is told
      from no VPC at all in this way. It has the key RV(ignore:vpc_id).
  returned: success
  type: list
  elements: dict
  sample: []
route_tables:
  description: The route tables of the VPC of the first subnet.
  returned: success
  type: list
  elements: dict
  contains:
    route_table_id:
      description: Id of the route table.
      returned: always
      type: str
      sample: rtb-0123456789abcdef0
    vpc_id:
      description: Id of the VPC.
      returned: always
      type: str
      sample: vpc-0123456789abcdef0
    associations:
      description: The subnets that have it; C(main) is true for the one that all others have.
      returned: always
      type: list
      elements: dict
      sample: [{main: true}]
    routes:
      description: Its routes, as far as they lead to IPv4 addresses.
      returned: always
      type: list
      elements: dict
      sample: [{destination_cidr_block: 0.0.0.0/0, gateway_id: igw-0123456789abcdef0}]
security_groups:
  description:
    - The security group called O(group_name), where it was looked for, with RV(ignore:group_id) and
      RV(ignore:group_name).
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ec2 import network


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    ec2 = make_client(module, "ec2")
    found = network.read(ec2, params["subnet_ids"], params["other_subnet_ids"], params["group_name"])
    return ModuleResult(False, {}, {}, found, [], has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "subnet_ids": {"type": "list", "elements": "str", "default": []},
            "other_subnet_ids": {"type": "list", "elements": "str", "default": []},
            "group_name": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, "Subnets and route tables", lambda: _work(module))


if __name__ == "__main__":
    main()
