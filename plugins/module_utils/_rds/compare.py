# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between an instance and what was asked for. Pure, private to the collection."""

from __future__ import annotations

import re
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.kms import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState


def compare(
    name: str, current: dict[str, typing.Any], desired: DesiredState
) -> tuple[dict[str, typing.Any], list[str]]:
    """Return the settings to change, with their new values, and warnings.

    Raises:
        UserError: a setting that cannot be changed differs.
    """
    changes: dict[str, typing.Any] = {}
    warnings: list[str] = []
    for option, value in desired.settings.items():
        if SETTINGS[option].modify is None:
            _refuse_change(name, option, current[option], value)
        elif option == "engine_version":
            if _newer_version(name, current[option], str(value), desired.allow_major_version_upgrade, warnings):
                changes[option] = str(value)
        elif _differs(name, option, current, desired):
            changes[option] = value
    return changes, warnings


def _refuse_change(name: str, option: str, present: typing.Any, value: typing.Any) -> None:
    if not _same(option, present, value):
        raise UserError(
            f"The RDS instance {name} has {option} {present!r}, and {value!r} is asked for: RDS cannot change it. Ask"
            f" for {present!r}, or restore a snapshot to a new instance with another db_instance_identifier."
        )


def _differs(name: str, option: str, current: dict[str, typing.Any], desired: DesiredState) -> bool:
    present, value = current[option], desired.settings[option]
    if option == "allocated_storage":
        return _more_storage(name, current, desired)
    if option == "max_allocated_storage":
        # Storage that may grow to what it has is storage that may not grow: RDS then shows none.
        off = value <= desired.settings.get("allocated_storage", current["allocated_storage"])
        return present != (None if off else value) and not (off and present == current["allocated_storage"])
    return not _same(option, present, value)


def _same(option: str, present: typing.Any, value: typing.Any) -> bool:
    same = present == value
    if option.endswith("kms_key_id"):
        # RDS shows the key's ARN; an alias cannot be compared with it.
        same = "alias/" in value or same_kms_key(present, value)
    elif option.endswith("_window") or option in ("db_subnet_group_name", "db_parameter_group_name"):
        # RDS keeps these in lower case.
        same = (present or "").lower() == value.lower()
    elif option in ("vpc_security_group_ids", "enable_cloudwatch_logs_exports"):
        same = present == sorted(set(value))
    elif option == "port":
        same = present in (None, value)
    elif isinstance(value, bool):
        same = bool(present) == value
    return bool(same)


def _version(text: str) -> list[int]:
    """Return the numbers of a version; releases of Extended Support are called 12.22-rds.20250220 and so on."""
    return [int(number) for number in re.findall("[0-9]+", text)] or [0]


def _newer_version(name: str, present: str, value: str, major_allowed: bool, warnings: list[str]) -> bool:
    have, want = _version(present), _version(value)
    if have[: len(want)] == want:
        # A bare major version means any minor one of it.
        return False
    if want[0] < have[0]:
        raise UserError(
            f"The RDS instance {name} runs PostgreSQL {present}, and engine_version asks for {value}: RDS cannot go"
            " back. Ask for the present version, or restore an older snapshot to a new instance."
        )
    if want[0] > have[0] and not major_allowed:
        raise UserError(
            f"The RDS instance {name} runs PostgreSQL {present}, and engine_version asks for {value}: an upgrade to"
            " another major version interrupts the database and cannot be undone. Take a snapshot, then set"
            " allow_major_version_upgrade to true."
        )
    if want < have:
        warnings.append(
            f"The RDS instance {name} runs PostgreSQL {present}, newer than the engine_version {value} asked for. RDS"
            " cannot go back, so it was left alone."
        )
        return False
    return True


def _more_storage(name: str, current: dict[str, typing.Any], desired: DesiredState) -> bool:
    present, value = current["allocated_storage"], desired.settings["allocated_storage"]
    if value >= present:
        return bool(value > present)
    if current["max_allocated_storage"] or desired.settings.get("max_allocated_storage"):
        # It grew by itself.
        return False
    raise UserError(
        f"The RDS instance {name} has {present} GiB, and allocated_storage asks for {value}: RDS cannot shrink storage."
        f" Ask for {present} or more."
    )
