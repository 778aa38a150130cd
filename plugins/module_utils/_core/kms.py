# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of KMS keys. Private to the collection."""

from __future__ import annotations


def same_kms_key(one: str | None, other: str | None) -> bool:
    """Return whether two identifiers of a KMS key (ARN, id, alias) may mean the same key.

    An alias and a key id cannot be compared without asking KMS; they count as different.
    """
    return (one or "").rsplit(":", 1)[-1].removeprefix("key/") == (other or "").rsplit(":", 1)[-1].removeprefix("key/")
