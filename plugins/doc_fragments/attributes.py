# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wording of the attributes; each module adds its own C(support) and C(details)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Whether C(--check) says truthfully what a run would change, and changes nothing itself.
  diff_mode:
    description: Whether C(--diff) shows the state before and after, in check mode the predicted one.
  idempotent:
    description:
      - Whether a second run with the same arguments reports no change, unless something else changed the resource.
  platform:
    description: Where the module itself runs, which is usually the machine that Ansible runs on.
    platforms: posix
    support: full
"""
