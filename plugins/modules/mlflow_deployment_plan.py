#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_plan
short_description: Make a plan of what a deployment would change
version_added: 0.1.0
description:
  - Turns what the modules of this collection return in check mode into a plan, which shows each attribute from its old
    to its new value, whether it was changed by hand at AWS, how long applying takes, what is away meanwhile, and what a
    month costs before and after.
  - The entry point C(plan) of P(mlops.mlflow_aws.mlflow#role) calls it before and after the deployment's tasks. It is
    of no use anywhere else.
  - It runs on the controller, asks AWS for nothing, and shows no secret.
options:
  step:
    description:
      - V(begin) forgets the results that an earlier plan has kept, and fails if O(path) cannot be written to.
      - V(end) makes the plan of the results that were kept since.
    type: str
    required: true
    choices: [begin, end]
  name:
    description: Name of the deployment.
    type: str
  context:
    description: Account and region, as M(mlops.mlflow_aws.aws_caller_context) returns them.
    type: dict
    default: {}
  availability_zones:
    description: The availability zones of the load balancer, each of which has an address.
    type: list
    elements: str
    default: []
  public:
    description: Whether load balancer and tasks have public addresses.
    type: bool
    default: true
  deployment_state:
    description:
      - What M(mlops.mlflow_aws.mlflow_deployment_state) returned, together with RV(ignore:collection_version) and
        RV(ignore:collection_hash) of this collection, as M(mlops.mlflow_aws.role_variables) returns them.
      - It tells who asks for a change. Without it that is said not to be known.
    type: dict
    default: {}
  path:
    description: File to which the plan is written as JSON, also in check mode. Only its owner may read it.
    type: str
    default: ''
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_deployment_state
    description: Tells what was changed by hand.
  - plugin: mlops.mlflow_aws.plan_table
    plugin_type: filter
    description: Shows several plans side by side.
extends_documentation_fragment:
  - mlops.mlflow_aws.attributes
attributes:
  action_group:
    description: It asks AWS for nothing, so it is in no action group.
    support: none
    membership: []
  check_mode:
    support: full
    details: The plan is made and written, since nothing else is changed.
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Begin to plan
  mlops.mlflow_aws.mlflow_deployment_plan:
    step: begin

- name: Make the plan
  mlops.mlflow_aws.mlflow_deployment_plan:
    step: end
    name: tracking
    context:
      account_id: '123456789012'
      region: us-east-1
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.lines }}"
"""

RETURN = r"""
name:
  description: Name of the deployment.
  returned: when O(step) is V(end)
  type: str
  sample: tracking
account_id:
  description: The AWS account.
  returned: when O(step) is V(end)
  type: str
  sample: '123456789012'
region:
  description: AWS region.
  returned: when O(step) is V(end)
  type: str
  sample: us-east-1
changes:
  description: Whether there is something to change.
  returned: when O(step) is V(end)
  type: bool
  sample: false
create:
  description: How many resources would be created.
  returned: when O(step) is V(end)
  type: int
  sample: 0
change:
  description: How many resources would be changed.
  returned: when O(step) is V(end)
  type: int
  sample: 0
replace:
  description: How many resources would be deleted and created again.
  returned: when O(step) is V(end)
  type: int
  sample: 0
delete:
  description: How many resources would be deleted.
  returned: when O(step) is V(end)
  type: int
  sample: 0
resources:
  description: What would change, in the order in which it does.
  returned: when O(step) is V(end)
  type: list
  elements: dict
  contains:
    action:
      description: One of V(create), V(change), V(replace) and V(delete).
      returned: always
      type: str
      sample: change
    module:
      description: The module that changes it.
      returned: always
      type: str
      sample: logs_log_group
    kind:
      description: What AWS calls such a resource.
      returned: always
      type: str
      sample: log group
    name:
      description: Name of the resource.
      returned: always
      type: str
      sample: /ecs/default/tracking
    cause:
      description:
        - V(by_hand) if it was changed at AWS, V(variables) if the variables have changed, V(either) if both have,
          V(collection) if another version of this collection asks for it, V(unknown) if that cannot be told.
      returned: always
      type: str
      sample: by_hand
    attributes:
      description: What would change; of what is created, all that is known before.
      returned: always
      type: list
      elements: dict
      contains:
        attribute:
          description: Name of the attribute, with dots for what lies in another.
          returned: always
          type: str
          sample: retention_in_days
        before:
          description: The present value, V(none) if there is none.
          returned: always
          type: raw
          sample: 1
        after:
          description: The value after the change, V((known after apply\)) if AWS chooses it.
          returned: always
          type: raw
          sample: 30
        cause:
          description: As that of the resource; the parts of a service are told apart.
          returned: always
          type: str
          sample: by_hand
        note:
          description: What the change does to the server besides, empty if nothing.
          returned: always
          type: str
          sample: ''
cost:
  description: What a month costs at list prices, besides what depends on use.
  returned: when O(step) is V(end)
  type: dict
  contains:
    before:
      description: As it is.
      returned: always
      type: dict
      contains: &contains
        monthly_usd:
          description: US dollars a month, V(none) if a price is not known.
          returned: always
          type: float
          sample: 85.09
        region:
          description: AWS region of the prices.
          returned: always
          type: str
          sample: us-east-1
        as_of:
          description: Date of the prices, empty if there are none for the region.
          returned: always
          type: str
          sample: '2026-11-23'
        unknown:
          description: Why the sum is not known, empty if it is.
          returned: always
          type: str
          sample: ''
        lines:
          description: The parts of the sum.
          returned: always
          type: list
          elements: dict
          contains:
            part:
              description: What is charged.
              returned: always
              type: str
              sample: 3 secrets
            monthly_usd:
              description: US dollars a month, V(none) if there is no price.
              returned: always
              type: float
              sample: 1.2
    after:
      description: As it would be.
      returned: always
      type: dict
      contains: *contains
duration:
  description: How long applying the changes usually takes at AWS.
  returned: when O(step) is V(end)
  type: dict
  contains:
    least_minutes:
      description: At least, V(0) for less than a minute.
      returned: always
      type: float
      sample: 9
    most_minutes:
      description: At most, V(0) for less than a minute.
      returned: always
      type: float
      sample: 15
downtime:
  description: What is away meanwhile, in sentences. Empty if nothing is.
  returned: when O(step) is V(end)
  type: list
  elements: str
  sample: []
summary:
  description: The plan in a line.
  returned: when O(step) is V(end)
  type: str
  sample: "Plan: nothing to change."
lines:
  description: The plan for people.
  returned: when O(step) is V(end)
  type: list
  elements: str
  sample:
    - MLflow 'tracking' in us-east-1, account 123456789012
    - "Cost: $0.00 a month, as before, plus usage (list prices of us-east-1, 2026-11-23)"
    - "Plan: nothing to change."
"""
