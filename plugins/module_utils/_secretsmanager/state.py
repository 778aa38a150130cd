# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requested state of a secret, and its return value. Private to the collection."""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.generate import GenerateOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.read import compared


@dataclass(frozen=True)
class DesiredState:
    """The user's request; None leaves a setting alone."""

    name: str
    description: str | None = None
    kms_key_id: str | None = None
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    generate_options: GenerateOptions | None = None
    value: str | None = None
    rotate: bool = False
    pending: str | None = None


NEW_VERSION = "(a new version)"


def module_result(
    changed: bool, before: dict[str, typing.Any], after: dict[str, typing.Any], **flags: bool
) -> ModuleResult:
    values = {"secret": after, "generated": False, "restored": False, "rotated": False, **flags}
    scheduled = "deleted_date" in before
    shown = {key: value for key, value in after.items() if key != "deleted_date"}
    values["secret"] = shown
    return ModuleResult(changed, compared(before, scheduled), compared(shown, False), values, [])
