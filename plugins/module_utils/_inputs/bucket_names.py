# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What S3 accepts as a bucket's name. Pure Python, private to the collection."""

from __future__ import annotations

import ipaddress
import re

# S3 User Guide, "General purpose bucket naming rules".
_RESERVED = (("xn--", "sthree-", "amzn-s3-demo-"), ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"))


def bucket_name_problem(name: str) -> str | None:
    """Return what is wrong with a bucket's name, or None."""
    problem = None
    if not 3 <= len(name) <= 63:
        problem = f"has {len(name)} characters; 3 to 63 are allowed"
    elif not re.fullmatch(r"[a-z0-9.-]+", name):
        problem = "may consist of lower-case letters, digits, hyphens and dots only"
    elif not (name[0].isalnum() and name[-1].isalnum()):
        problem = "must begin and end with a letter or digit"
    elif "." in name:
        problem = "holds a dot, with which HTTPS to the bucket fails; use hyphens"
        if _is_ip(name):
            problem = "looks like an IP address"
    elif name.startswith(_RESERVED[0]) or name.endswith(_RESERVED[1]):
        problem = "begins or ends with something that S3 reserves for itself"
    return problem


def _is_ip(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
