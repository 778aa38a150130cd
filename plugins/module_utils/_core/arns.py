# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of ARNs. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown


def arn_problem(value: typing.Any, service: str, resource: str) -> str | None:
    """Return what is wrong with an ARN, or None.

    Args:
        value: the user's value.
        service: the required service, such as C(iam).
        resource: the required type of resource, such as C(role), or alternatives such as C(secret|parameter).
    """
    desired = f"but must be an ARN such as {_EXAMPLES.get((service, resource), f'arn:aws:{service}:…:{resource}…')}"
    parts = value.split(":", 5) if isinstance(value, str) else []
    if len(parts) < 6 or parts[0] != "arn" or not parts[1].startswith("aws"):
        return f"is {shown(value)}, {desired}"
    kind = re.split(r"[:/]", parts[5], maxsplit=1)[0]
    # Policies that AWS itself manages have "aws" in place of an account.
    has_account = re.fullmatch(r"[0-9]{12}", parts[4]) or (service == "iam" and parts[4] == "aws")
    problem = None
    if parts[2] != service or kind not in resource.split("|"):
        article = "an" if kind[:1] in "aeio" else "a"
        problem = f"is the ARN of {article} {kind} of {parts[2]} ({value}), {desired}"
    elif service in _REGIONAL and not parts[3]:
        problem = f"has no region ({value}), {desired}"
    elif not has_account:
        problem = f"has no account of 12 digits ({value}), {desired}"
    elif not re.fullmatch(rf"{kind}[:/].+", parts[5]):
        problem = f"names no {kind} ({value}), {desired}"
    return problem


_REGIONAL = ("kms", "secretsmanager", "ssm")


_EXAMPLES = {
    ("iam", "role"): "arn:aws:iam::123456789012:role/name",
    ("iam", "policy"): "arn:aws:iam::123456789012:policy/name",
    ("kms", "key"): "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    ("secretsmanager", "secret"): "arn:aws:secretsmanager:eu-central-1:123456789012:secret:name-a1B2c3",
    ("ssm", "parameter"): "arn:aws:ssm:eu-central-1:123456789012:parameter/name",
}
