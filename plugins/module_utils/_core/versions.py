# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Required versions of ansible-core, amazon.aws and the SDK. Private to the collection.

Ansible only warns about an ansible-core that a collection does not support, and asks nothing about the versions of
other collections when a playbook runs; a botocore that is too old would be noticed only after the database was created.
"""

from __future__ import annotations

import re
import shlex
import sys

try:
    import boto3
    import botocore
except ImportError:
    pass  # Handled by AnsibleAWSModule

from ansible.module_utils import ansible_release

from ansible_collections.amazon.aws.plugins.module_utils import common as amazon_aws

# ansible-core: meta/runtime.yml; amazon.aws: galaxy.yml; the SDK: requirements.txt. A test compares them.
# Express Mode came with botocore 1.41.1 (its .changes/1.41.1.json).
OLDEST = {"ansible-core": "2.19.0", "amazon.aws": "10.1.2", "boto3": "1.41.1", "botocore": "1.41.1"}


def version_problem() -> str:
    """Return which of these is too old and how to upgrade it; empty if none is."""
    here = {
        "ansible-core": ansible_release.__version__,
        "amazon.aws": getattr(amazon_aws, "AMAZON_AWS_COLLECTION_VERSION", "0"),
        "boto3": boto3.__version__,
        "botocore": botocore.__version__,
    }
    old = [name for name, oldest in OLDEST.items() if _numbers(here[name]) < _numbers(oldest)]
    if not old:
        return ""
    said = " and ".join(f"{name} {here[name]}, where {OLDEST[name]} is the oldest that will do" for name in old)
    return f"mlops.mlflow_aws finds {said}: {' and '.join(_ways(old))}."


def _ways(old: list[str]) -> list[str]:
    """Return commands that upgrade them."""
    packages = [f"'{name}>={OLDEST[name]}'" for name in old if name != "amazon.aws"]
    ways = [f"run {shlex.quote(sys.executable)} -m pip install {' '.join(packages)}"] if packages else []
    if "amazon.aws" in old:
        ways.append(f"run ansible-galaxy collection install --upgrade 'amazon.aws:>={OLDEST['amazon.aws']}'")
    return ways


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, such as (2, 19, 0) for 2.19.0rc1, which is accepted."""
    return tuple(int(number) for number in re.findall(r"^\d+|(?<=\.)\d+", version)[:3])
