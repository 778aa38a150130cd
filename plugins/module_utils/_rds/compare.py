# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare an instance with the requested settings. Pure, private to the collection."""

from __future__ import annotations

import re
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.kms import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState


def compare(current: dict[str, typing.Any], desired: DesiredState) -> tuple[dict[str, typing.Any], list[str]]:
    """Return the settings to change, with their new values, and warnings.

    Raises:
        UserError: a setting that cannot be changed differs.
    """
    changes: dict[str, typing.Any] = {}
    warnings: list[str] = []
    for option, value in desired.settings.items():
        if SETTINGS[option].modify is None:
            _refuse_change(desired, option, current[option], value)
        elif option == "engine_version":
            if _newer_version(desired, current[option], str(value), warnings):
                changes[option] = str(value)
        elif _differs(option, current, desired):
            changes[option] = value
    return changes, warnings


def _refuse_change(desired: DesiredState, option: str, present: typing.Any, value: typing.Any) -> None:
    if not _same(option, present, value):
        called = desired.option_names.of
        raise UserError(
            f"{called(option)} is {value!r}, but the RDS instance {desired.name} has {present!r}: RDS cannot change it."
            f" Set {called(option)} to {present!r}, or restore a snapshot to a new instance with another"
            f" {called('db_instance_identifier')}."
        )


def _differs(option: str, current: dict[str, typing.Any], desired: DesiredState) -> bool:
    present, value = current[option], desired.settings[option]
    if option == "allocated_storage":
        return _more_storage(current, desired)
    if option == "max_allocated_storage":
        # A maximum that equals the size disables autoscaling; RDS then shows no maximum.
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


def _newer_version(desired: DesiredState, present: str, value: str, warnings: list[str]) -> bool:
    name, option = desired.name, desired.option_names.of("engine_version")
    have, want = _version(present), _version(value)
    if have[: len(want)] == want:
        # A major version alone means any of its minor versions.
        return False
    if want[0] < have[0]:
        raise UserError(
            f"The RDS instance {name} runs PostgreSQL {present}, and {option} is {value}: RDS cannot go back."
            f" Set {option} to {present}, or restore an older snapshot to a new instance."
        )
    if want[0] > have[0] and not desired.allow_major_version_upgrade:
        raise UserError(
            f"The RDS instance {name} runs PostgreSQL {present}, and {option} is {value}: an upgrade to another"
            " major version interrupts the database and cannot be undone. Take a snapshot, then set"
            f" {desired.option_names.of('allow_major_version_upgrade')} to true."
        )
    if want < have:
        warnings.append(
            f"The RDS instance {name} runs PostgreSQL {present}, newer than {option}, which is {value}. RDS cannot"
            " go back, so the instance was left alone."
        )
        return False
    return True


def _more_storage(current: dict[str, typing.Any], desired: DesiredState) -> bool:
    present, value = current["allocated_storage"], desired.settings["allocated_storage"]
    if value >= present:
        return bool(value > present)
    if current["max_allocated_storage"] or desired.settings.get("max_allocated_storage"):
        # Storage autoscaling may have increased it.
        return False
    raise UserError(
        f"The RDS instance {desired.name} has {present} GiB, and {desired.option_names.of('allocated_storage')} is"
        f" {value}: RDS cannot shrink storage. Set it to {present} or more."
    )
