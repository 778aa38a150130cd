#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: sns_topic
short_description: Manage a topic of SNS with its policy and its subscriptions
version_added: 0.1.0
description:
  - Creates, changes and deletes a standard topic with its resource policy, its subscriptions and its tags.
  - A subscription counts from the moment at which it is confirmed. One that waits for that cannot be removed; SNS
    forgets it by itself.
options:
  topic_name:
    description:
      - Name of the topic, of letters, digits, hyphens and underscores.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(absent) deletes the topic with its subscriptions.
    type: str
    choices: [present, absent]
    default: present
  policy:
    description:
      - The topic's resource policy. Without it, the policy is left alone.
    type: json
  subscriptions:
    description:
      - All subscriptions that there are to be; others are removed. Without it, they are left alone.
    type: list
    elements: dict
    suboptions:
      protocol:
        description: How messages are delivered.
        type: str
        required: true
        choices: [email, email-json, http, https, sms, sqs, lambda]
      endpoint:
        description: Where to, such as an e-mail address or a URL.
        type: str
        required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.cloudwatch_alarms
    description: Manages alarms that are sent to a topic.
  - name: Amazon SNS developer guide
    description: On topics and subscriptions.
    link: https://docs.aws.amazon.com/sns/latest/dg/welcome.html
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
- name: Topic that CloudWatch's alarms of this account may publish to
  mlops.mlflow_aws.sns_topic:
    topic_name: tracking-alarms
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal:
            Service: cloudwatch.amazonaws.com
          Action: sns:Publish
          Resource: arn:aws:sns:eu-central-1:123456789012:tracking-alarms
    subscriptions:
      - protocol: email
        endpoint: mlops@example.com
    tags:
      Project: mlflow

- name: Delete the topic
  mlops.mlflow_aws.sns_topic:
    topic_name: tracking-alarms
    state: absent
"""

RETURN = r"""
topic_arn:
  description: ARN of the topic.
  returned: success
  type: str
  sample: arn:aws:sns:eu-central-1:123456789012:tracking-alarms
subscriptions:
  description: The subscriptions, in check mode those that there would be.
  returned: success
  type: list
  elements: dict
  contains:
    protocol:
      description: How messages are delivered.
      type: str
      returned: always
      sample: email
    endpoint:
      description: Where to.
      type: str
      returned: always
      sample: mlops@example.com
    pending:
      description: Whether it still waits for its confirmation.
      type: bool
      returned: always
      sample: true
"""

import json

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._sns import topic


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    sns = make_client(module, "sns")
    caller = caller_identity(make_client(module, "sts"))
    arn = f"arn:{caller.partition}:sns:{module.region}:{caller.account_id}:{params['topic_name']}"
    if params["state"] == "absent":
        return topic.ensure_absent(sns, arn, module.check_mode)
    listed = params["subscriptions"]
    desired = topic.DesiredState(
        arn=arn,
        name=params["topic_name"],
        policy=None if params["policy"] is None else json.loads(params["policy"]),
        subscriptions=None if listed is None else [(one["protocol"], one["endpoint"]) for one in listed],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return topic.ensure_present(sns, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "topic_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "policy": {"type": "json"},
            "subscriptions": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "protocol": {
                        "type": "str",
                        "required": True,
                        "choices": ["email", "email-json", "http", "https", "sms", "sqs", "lambda"],
                    },
                    "endpoint": {"type": "str", "required": True},
                },
            },
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run(module, f"Topic {module.params['topic_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
