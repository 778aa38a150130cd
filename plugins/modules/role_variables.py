#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_variables
short_description: Look for mistakes in the variables of a role of this collection
version_added: 0.1.0
description:
  - Every entry point of this collection's roles begins with it. It is of no use anywhere else.
  - Fails, before anything is created, with one sentence for each mistake.
  - A variable that begins with the role's name and that the role does not know, wherever it was set, is a mistake, and
    the name that was probably meant is said. So C(mlflow_verison) does not leave a deployment with the default version.
  - Variables of your own may begin like that when their names, or patterns such as C(rds_proxy_*), are listed in
    C(mlflow_known_variables), or in the variable C(<role>_known_variables) of a role that is used alone.
  - Of the other roles' prefixes, such as C(bucket_) where P(mlops.mlflow_aws.mlflow#role) is called, only names that
    are much like one of their variables count, such as C(bucket_nmae). Whatever else begins like that is taken for
    your own.
  - Values must be what the role's argument specification says, or text that stands for that, which is what
    C(-e name=value) gives. V(false) and V("false") are the same, V(7) and V("7"), a list and its JSON.
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
    description: It takes no options, so it is in no action group.
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
- name: Variables
  mlops.mlflow_aws.role_variables:
"""

RETURN = r"""
msg:
  description: The sentences.
  returned: failure
  type: str
  sample: >-
    mlflow_verison is given with -e, but is not a variable of the role mlops.mlflow_aws.mlflow, did you mean
    mlflow_version? If it is one of your own, name it in mlflow_known_variables.
"""
