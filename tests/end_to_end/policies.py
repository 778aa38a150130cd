# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of docs/policies, and AWS's own read-only one."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import ROOT
from principals import Policy

VERBS = {
    "plan": ("plan",),
    "deploy": ("deploy", "deploy-roles"),
    "validate": ("validate",),
    "destroy": ("destroy",),
    "backup": ("backup",),
    "power": ("power", "validate"),
    "restore": ("restore", "restore-artifacts", "validate"),
    "drill": ("drill",),
    "gc": ("gc",),
    "upgrade": ("upgrade", "validate"),
    "monitoring": ("monitoring",),
    "monitoring-verbs": ("monitoring-verbs",),
    "maintenance": ("maintenance",),
    "maintenance-plan": ("maintenance-plan",),
}
FILES = list(dict.fromkeys(file for files in VERBS.values() for file in files))

# What the managed policy ReadOnlyAccess, version 188, allows of the services of a deployment, on all resources.
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ReadOnlyAccess.html
READ_ONLY = (
    "cloudwatch:Get*",
    "ec2:Describe*",
    "ec2:Get*",
    "ecs:Describe*",
    "ecs:List*",
    "elasticloadbalancing:Describe*",
    "iam:Generate*",
    "iam:Get*",
    "iam:List*",
    "iam:Simulate*",
    "logs:Describe*",
    "logs:FilterLogEvents",
    "logs:Get*",
    "logs:ListTagsForResource",
    "logs:ListTagsLogGroup",
    "rds:Describe*",
    "rds:List*",
    "s3:Get*",
    "s3:List*",
    "secretsmanager:Describe*",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:List*",
    "sts:GetCallerIdentity",
    "tag:Get*",
)


def read_only_allows(action: str) -> bool:
    """Whether ReadOnlyAccess allows an action."""
    return any(fnmatch.fnmatchcase(action, pattern) for pattern in READ_ONLY)


def attached(verb: str) -> list[Policy]:
    """The policies of a verb's user as they are attached."""
    return [json.loads((ROOT / "docs/policies" / f"{file}.json").read_text(encoding="utf-8")) for file in VERBS[verb]]


def policy(verb: str) -> Policy:
    """All that a verb's user may."""
    return {"Version": "2012-10-17", "Statement": [one for part in attached(verb) for one in part["Statement"]]}


def rarely_used() -> set[tuple[str, str]]:
    """Policy and action of the table in docs/permissions.md that names what an ordinary run does not need."""
    text = (ROOT / "docs/permissions.md").read_text(encoding="utf-8")
    table = text.partition("<!-- rarely used -->")[2].partition("<!-- end -->")[0]
    rows = re.findall(r"^\| (\w+) \| (.+?) \| (.+?) \|$", table, re.M)
    return {(verb, action) for verb, named, _unused in rows for action in re.findall(r"`(\w+:\w+)`", named)}


def rendered(folder: Path, **variables: Any) -> dict[str, Policy]:
    """The policies as the playbook writes them."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "mlops.mlflow_aws.policies"]
    command += ["--extra-vars", json.dumps({"mlflow_policies_path": str(folder), **variables})]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=1800)
    return {file: json.loads((folder / f"{file}.json").read_text(encoding="utf-8")) for file in FILES}
