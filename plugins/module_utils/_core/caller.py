# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of the caller. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client


@dataclass(frozen=True)
class CallerIdentity:
    """The identity of the caller."""

    account_id: str
    partition: str
    arn: str = ""


def caller_identity(sts: Client) -> CallerIdentity:
    """Ask STS for account and partition; needs no permission at all."""
    arn_parts = (answer := sts.get_caller_identity())["Arn"].split(":")
    return CallerIdentity(account_id=answer["Account"], partition=arn_parts[1], arn=answer["Arn"])
