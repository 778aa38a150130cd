#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_variables
short_description: Check the variables of a role of this collection
version_added: 0.1.0
description:
  - Every entry point of this collection's roles begins with it. It is of no use anywhere else.
  - Fails, before anything is created, with one sentence for each mistake.
  - A variable that begins with the role's name and that the role does not know, wherever it was set, is a mistake, and
    the message says which name was probably meant. So C(mlflow_verison) does not leave a deployment with the default
    version.
  - Variables of your own may begin like that when their names, or patterns such as C(rds_proxy_*), are listed in
    C(mlflow_known_variables), or in the variable C(<role>_known_variables) of a role that is used alone.
  - Of the other roles' prefixes, such as C(bucket_) where P(mlops.mlflow_aws.mlflow#role) is called, only names that
    are much like one of their variables count, such as C(bucket_nmae). Whatever else begins like that is taken for
    your own.
  - Values must be what the role's argument specification says, or text that stands for that, which is what
    C(-e name=value) gives. V(false) and V("false") are the same, V(7) and V("7"), a list and its JSON.
options:
  context:
    description:
      - Account, partition and region, as RV(mlops.mlflow_aws.aws_caller_context#module:account_id) and its neighbours
        return them. With it, names that contain them and ARNs are checked against them too.
    type: dict
  violations:
    description:
      - What the role has found wrong with its variables after it has asked AWS. With it, nothing else is checked, and
        an empty list means that nothing is wrong.
      - The message names the variable that the user has set. Where P(mlops.mlflow_aws.mlflow#role) has handed one of
        its own on to the role, that is its own.
    type: list
    elements: dict
    suboptions:
      variable:
        description: Name of the variable.
        type: str
        required: true
      reason:
        description: What is wrong, the rest of a sentence that begins with the variable's name.
        type: str
        required: true
      remedy:
        description: What to do instead.
        type: str
        default: ""
      subject:
        description: What the sentence begins with, if that is not the variable's name.
        type: str
        default: ""
  warnings:
    description: With O(violations), what is only to be warned of.
    type: list
    elements: dict
    suboptions:
      variable:
        description: Name of the variable.
        type: str
        required: true
      reason:
        description: What is odd, the rest of a sentence that begins with the variable's name.
        type: str
        required: true
      remedy:
        description: What to do about it.
        type: str
        default: ""
      subject:
        description: What the sentence begins with, if that is not the variable's name.
        type: str
        default: ""
  ignore_in_check_mode:
    description:
      - With O(violations), whether they are ignored in check mode, where an earlier task may be about to create what is
        not there yet. Unlike a condition on C(ansible_check_mode), this also sees the keyword C(check_mode) of a task,
        with which the playbook C(plan) runs a deployment.
    type: bool
    default: false
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - plugin: mlops.mlflow_aws.as_type
    plugin_type: filter
    description: Makes of text what the specification says.
  - module: ansible.builtin.validate_argument_spec
    description: Checks values against a specification, and overlooks names that it does not hold.
extends_documentation_fragment:
  - mlops.mlflow_aws.attributes
attributes:
  action_group:
    description: It asks AWS for nothing, so it is in no action group.
    support: none
    membership: []
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Check the variables
  mlops.mlflow_aws.role_variables:

- name: Refuse a port that nothing listens on
  mlops.mlflow_aws.role_variables:
    violations:
      - variable: rds_port
        reason: is 5431, but the database listens on 5432
        remedy: set rds_port to 5432
"""

RETURN = r"""
collection_hash:
  description: Short hash of the collection's files.
  returned: with O(context), for P(mlops.mlflow_aws.mlflow#role)
  type: str
  sample: 5f0c1d2e3a4b
collection_version:
  description: Version of the collection.
  returned: with O(context), for P(mlops.mlflow_aws.mlflow#role)
  type: str
  sample: 0.1.0
msg:
  description: The sentences.
  returned: failure, or when there are O(warnings)
  type: str
  sample: >-
    mlflow_verison is given with -e, but is not a variable of the role mlops.mlflow_aws.mlflow, did you mean
    mlflow_version? If it is one of your own, name it in mlflow_known_variables.
variables_hash:
  description:
    - Short hash of the variables that say what is deployed, as far as they are not left at their defaults. Those that
      only say how a run works, such as time limits, do not count. Of files with certificates, the contents count.
  returned: with O(context), for P(mlops.mlflow_aws.mlflow#role)
  type: str
  sample: 9a8b7c6d5e4f
"""
