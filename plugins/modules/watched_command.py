#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: watched_command
short_description: Run a command that takes minutes, and show that it goes on
version_added: 0.1.0
description:
  - Runs M(ansible.builtin.command). Each half minute a line on standard error says what is waited for, for how long it
    has been, and how long it usually takes.
  - The role P(mlops.mlflow_aws.local_aws#role) brings software with it.
options:
  argv:
    description:
      - The command and its arguments.
    type: list
    elements: str
    required: true
  creates:
    description:
      - A file. Where it exists, the command is not run.
    type: path
  subject:
    description:
      - What is waited for; begins each line.
    type: str
    required: true
  usually:
    description:
      - How long it usually takes, in words.
    type: str
    default: ""
notes:
  - The lines need a local connection, and neither C(async) nor C(no_log). The variable C(mlflow_live_progress) set to
    V(false) switches them off. The command runs in any case.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: ansible.builtin.command
    description: Does the work, and is silent meanwhile.
  - module: ansible.builtin.async_status
    description: Another way to follow a long task.
extends_documentation_fragment:
  - mlops.mlflow_aws.attributes
attributes:
  action_group:
    description: It calls no API, so it is in no action group.
    support: none
    membership: []
  check_mode:
    support: partial
    details: As M(ansible.builtin.command), it knows what would happen only with O(creates).
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: With O(creates).
"""

EXAMPLES = r"""
- name: A virtual environment
  mlops.mlflow_aws.watched_command:
    argv: [/usr/bin/python3, -m, venv, --without-pip, /tmp/environment]
    creates: /tmp/environment/bin/python
    subject: Virtual environment
    usually: up to 30 seconds
"""

RETURN = r"""
rc:
  description: Exit code.
  returned: always
  type: int
  sample: 0
stdout:
  description: What it wrote to standard output, or that it was skipped.
  returned: always
  type: str
  sample: skipped, since /tmp/environment/bin/python exists
stdout_lines:
  description: The same by lines.
  returned: always
  type: list
  elements: str
  sample: ['skipped, since /tmp/environment/bin/python exists']
stderr:
  description: What it wrote to standard error.
  returned: always
  type: str
  sample: ''
stderr_lines:
  description: The same by lines.
  returned: always
  type: list
  elements: str
  sample: []
cmd:
  description: The command and its arguments.
  returned: always
  type: list
  elements: str
  sample: [/usr/bin/python3, -m, venv, --without-pip, /tmp/environment]
start:
  description: When it began, V(none) if it was not run.
  returned: always
  type: str
  sample: '2026-11-23 08:20:10.558720'
end:
  description: When it ended, V(none) if it was not run.
  returned: always
  type: str
  sample: '2026-11-23 08:20:11.008308'
delta:
  description: How long it took, V(none) if it was not run.
  returned: always
  type: str
  sample: '0:00:00.449588'
"""
