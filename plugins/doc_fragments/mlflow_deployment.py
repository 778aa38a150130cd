# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deployment a module works on, and what its verbs have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description: Name of the Express Mode service.
    type: str
    required: true
  cluster:
    description: Name of the ECS cluster.
    type: str
    default: default
"""

    # mlops.mlflow_aws.mlflow_deployment.data: where its data are.
    DATA = r"""
options:
  bucket:
    description: Name of the bucket that holds the artifacts.
    type: str
    required: true
  database:
    description: Identifier of the RDS instance. Empty if the database is not managed by this collection.
    type: str
    default: ''
"""

    # mlops.mlflow_aws.mlflow_deployment.verb: how steps are waited for, locked and resumed. A module with another time
    # limit documents wait_timeout itself.
    VERB = r"""
options:
  again:
    description: The command that a failure tells the user to type.
    type: str
    default: run the same task again
  unlock:
    description: Lift the lock that another run has left, after making sure that it is not going on.
    type: bool
    default: false
  unlock_hint:
    description: What a message names for lifting a lock.
    type: str
    default: 'unlock: true'
  wait_timeout:
    description: Time limit of each step in seconds.
    type: int
    default: 3600
  wait_delay:
    description: Polling interval in seconds.
    type: int
    default: 10
"""

    # mlops.mlflow_aws.mlflow_deployment.resources: all that belongs to it, for modules that read it as a whole.
    RESOURCES = r"""
options:
  deployment:
    description: What belongs to the deployment, and what its settings refer to.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the deployment, from which the names of its resources derive.
        type: str
        required: true
      cluster:
        description: Name of the ECS cluster.
        type: str
        default: default
      account_id:
        description: AWS account. Without it and O(deployment.partition), STS is asked for both.
        type: str
        default: ''
      partition:
        description: Partition of the account.
        type: str
        default: ''
      bucket:
        description: Name of the bucket that holds the artifacts.
        type: str
        required: true
      bucket_adopted:
        description: Whether the bucket is used as it is, so that its settings do not matter.
        type: bool
        default: false
      access_log_bucket:
        description: Name of the bucket that takes the access logs of the first. Empty if there are none.
        type: str
        default: ''
      database:
        description: Identifier of the RDS instance. Empty if the database is not managed by this collection.
        type: str
        default: ''
      parameter_group:
        description: Name of the parameter group of the RDS instance.
        type: str
        default: ''
      login:
        description: Whether the deployment has a secret with the administrator's login.
        type: bool
        default: true
      alarm_prefix:
        description: With what the names of the deployment's alarms begin. Empty if it has none.
        type: str
        default: ''
      dashboard:
        description: Name of the deployment's dashboard. Empty if it has none.
        type: str
        default: ''
      topic:
        description: Name of the topic that the alarms are sent to. Empty if there is none.
        type: str
        default: ''
      schedule_group:
        description: Name of the group of the deployment's schedules. Empty if it has none.
        type: str
        default: ''
      subnet_ids:
        description: Subnets of the service. Empty for those of the default VPC.
        type: list
        elements: str
        default: []
      database_subnet_ids:
        description: Subnets of the database. Empty for those of the service.
        type: list
        elements: str
        default: []
      kms_key_arns:
        description: KMS keys that settings refer to.
        type: list
        elements: str
        default: []
      secret_arns:
        description: Secrets of others that settings refer to.
        type: list
        elements: str
        default: []
      policy_arns:
        description: IAM policies that settings refer to.
        type: list
        elements: str
        default: []
"""
