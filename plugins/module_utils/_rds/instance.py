# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL instances of Amazon RDS. Private to the collection.

Facts: botocore's model of RDS; RDS User Guide, "Viewing Amazon RDS DB instance status"; RDS API Reference,
CreateDBInstance and ModifyDBInstance.
"""

from __future__ import annotations

import re
import time
import typing
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.amazon.aws.plugins.module_utils.transformation import boto3_resource_to_ansible_dict
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import is_transient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import merge_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import polls
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.common import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager import secret

READY = ("available", "storage-optimization")
STOPPED = ("stopped", "stopping")
# It can write nothing any more; RDS takes a change of its storage all the same.
FULL = "storage-full"
# Statuses that waiting does not end.
BROKEN = (
    FULL,
    "failed",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-create",
    "incompatible-credentials",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "restore-error",
)

# How long AWS may be out of reach in the middle of a wait: RDS goes on meanwhile.
OUTAGE_SECONDS = 300.0

# RDS API Reference, CreateDBInstance, MasterUserPassword; its console refuses the single quote too, the API does not.
FORBIDDEN_IN_PASSWORD = '/"@ '


@dataclass(frozen=True)
class Setting:
    """One option and where RDS keeps it."""

    create: str
    modify: str | None
    shown: str
    pending: bool = False


# What is immutable has no name for ModifyDBInstance.
SETTINGS: dict[str, Setting] = {
    "engine_version": Setting("EngineVersion", "EngineVersion", "EngineVersion", pending=True),
    "db_instance_class": Setting("DBInstanceClass", "DBInstanceClass", "DBInstanceClass", pending=True),
    "allocated_storage": Setting("AllocatedStorage", "AllocatedStorage", "AllocatedStorage", pending=True),
    "max_allocated_storage": Setting("MaxAllocatedStorage", "MaxAllocatedStorage", "MaxAllocatedStorage"),
    "storage_type": Setting("StorageType", "StorageType", "StorageType", pending=True),
    "iops": Setting("Iops", "Iops", "Iops", pending=True),
    "storage_throughput": Setting("StorageThroughput", "StorageThroughput", "StorageThroughput", pending=True),
    "storage_encrypted": Setting("StorageEncrypted", None, "StorageEncrypted"),
    "kms_key_id": Setting("KmsKeyId", None, "KmsKeyId"),
    "multi_az": Setting("MultiAZ", "MultiAZ", "MultiAZ", pending=True),
    "publicly_accessible": Setting("PubliclyAccessible", "PubliclyAccessible", "PubliclyAccessible"),
    "db_subnet_group_name": Setting("DBSubnetGroupName", None, "DBSubnetGroup"),
    "vpc_security_group_ids": Setting("VpcSecurityGroupIds", "VpcSecurityGroupIds", "VpcSecurityGroups"),
    "db_parameter_group_name": Setting("DBParameterGroupName", "DBParameterGroupName", "DBParameterGroups"),
    "port": Setting("Port", "DBPortNumber", "Endpoint", pending=True),
    "db_name": Setting("DBName", None, "DBName"),
    "master_username": Setting("MasterUsername", None, "MasterUsername"),
    "backup_retention_period": Setting(
        "BackupRetentionPeriod", "BackupRetentionPeriod", "BackupRetentionPeriod", pending=True
    ),
    "deletion_protection": Setting("DeletionProtection", "DeletionProtection", "DeletionProtection"),
    "auto_minor_version_upgrade": Setting(
        "AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"
    ),
    "preferred_backup_window": Setting("PreferredBackupWindow", "PreferredBackupWindow", "PreferredBackupWindow"),
    "preferred_maintenance_window": Setting(
        "PreferredMaintenanceWindow", "PreferredMaintenanceWindow", "PreferredMaintenanceWindow"
    ),
    "copy_tags_to_snapshot": Setting("CopyTagsToSnapshot", "CopyTagsToSnapshot", "CopyTagsToSnapshot"),
    "enable_performance_insights": Setting(
        "EnablePerformanceInsights", "EnablePerformanceInsights", "PerformanceInsightsEnabled"
    ),
    "performance_insights_retention_period": Setting(
        "PerformanceInsightsRetentionPeriod",
        "PerformanceInsightsRetentionPeriod",
        "PerformanceInsightsRetentionPeriod",
    ),
    "performance_insights_kms_key_id": Setting(
        "PerformanceInsightsKMSKeyId", "PerformanceInsightsKMSKeyId", "PerformanceInsightsKMSKeyId"
    ),
    "ca_certificate_identifier": Setting(
        "CACertificateIdentifier", "CACertificateIdentifier", "CACertificateIdentifier", pending=True
    ),
    "enable_cloudwatch_logs_exports": Setting(
        "EnableCloudwatchLogsExports", "CloudwatchLogsExportConfiguration", "EnabledCloudwatchLogsExports"
    ),
}


@dataclass(frozen=True)
class DesiredState:
    """What the user asked for.

    Attributes:
        name: identifier of the instance.
        settings: options of SETTINGS that were given.
        secret_arn: secret that holds the master password.
        secret_key: its member.
    """

    name: str
    settings: dict[str, typing.Any] = field(default_factory=dict)
    secret_arn: str | None = None
    secret_key: str = "password"
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    apply_immediately: bool = False
    allow_major_version_upgrade: bool = False


@dataclass(frozen=True)
class WaitOptions:
    """How long to wait, in seconds; ``tell`` gets what is seen meanwhile."""

    wait: bool = True
    timeout: float = 1800
    delay: float = 15
    tell: typing.Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Clients:
    """What the work needs; remember is told the password, so that Ansible hides it everywhere."""

    rds: Client
    secretsmanager: Client
    sts: Client
    remember: typing.Callable[[str], None]


def find(rds: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the instance as RDS describes it, or None.

    Raises:
        UserError: it is no PostgreSQL instance.
    """
    try:
        instances = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    except ClientError as e:
        if error_code(e) in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            return None
        raise
    if not instances:
        return None
    if instances[0]["Engine"] != "postgres":
        raise UserError(
            f"The RDS instance {name} runs {instances[0]['Engine']}, not postgres: choose another"
            " db_instance_identifier."
        )
    found: dict[str, typing.Any] = instances[0]
    return found


def effective(instance: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the settings as they are or will soon be: what is pending was already asked for."""
    pending = instance.get("PendingModifiedValues", {})
    found: dict[str, typing.Any] = {}
    for option, setting in SETTINGS.items():
        value = instance.get(setting.shown)
        if setting.pending and pending.get(setting.create) is not None:
            value = pending[setting.create]
        elif option == "db_subnet_group_name":
            value = (value or {}).get("DBSubnetGroupName")
        elif option == "port":
            value = (value or {}).get("Port")
        elif option == "vpc_security_group_ids":
            value = sorted(g["VpcSecurityGroupId"] for g in value or [] if g.get("Status") != "removing")
        elif option == "db_parameter_group_name":
            value = value[0]["DBParameterGroupName"] if value else None
        elif option == "enable_cloudwatch_logs_exports":
            value = _exported(value or [], pending.get("PendingCloudwatchLogsExports") or {})
        found[option] = value
    return found


def _exported(present: list[str], pending: dict[str, list[str]]) -> list[str]:
    """Return the logs that go to CloudWatch, with what is under way."""
    gone = pending.get("LogTypesToDisable") or []
    return sorted({*present, *(pending.get("LogTypesToEnable") or [])} - set(gone))


def shape(instance: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the instance in snake case, without any trace of a password."""
    clean = dict(instance)
    pending = clean.get("PendingModifiedValues", {})
    clean["PendingModifiedValues"] = {k: v for k, v in pending.items() if k != "MasterUserPassword"}
    clean["Tags"] = clean.pop("TagList", [])
    return dict(boto3_resource_to_ansible_dict(clean) or {})


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
        present = current[option]
        if SETTINGS[option].modify is None:
            if not _same(option, present, value):
                raise UserError(
                    f"The RDS instance {name} has {option} {present!r}, and {value!r} is asked for: RDS cannot change"
                    f" it. Ask for {present!r}, or restore a snapshot to a new instance with another"
                    " db_instance_identifier."
                )
        elif option == "engine_version":
            if _newer_version(name, present, str(value), desired.allow_major_version_upgrade, warnings):
                changes[option] = str(value)
        elif option == "allocated_storage":
            if _more_storage(name, current, desired):
                changes[option] = value
        elif option == "max_allocated_storage":
            # Storage that may grow to what it has is storage that may not grow: RDS then shows none.
            off = value <= desired.settings.get("allocated_storage", current["allocated_storage"])
            if present != (None if off else value) and not (off and present == current["allocated_storage"]):
                changes[option] = value
        elif not _same(option, present, value):
            changes[option] = value
    return changes, warnings


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
    """The numbers of a version; releases of Extended Support are called 12.22-rds.20250220 and so on."""
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


def _polls(
    rds: Client, name: str, wait_options: WaitOptions
) -> typing.Iterator[tuple[dict[str, typing.Any] | None, bool]]:
    """Yield the instance look by look, and whether it is the last one. AWS may be out of reach for a while."""
    unreachable_since: float | None = None
    for last in polls(wait_options.timeout, wait_options.delay):
        try:
            instance = find(rds, name)
        except (BotoCoreError, ClientError) as e:
            unreachable_since = time.monotonic() if unreachable_since is None else unreachable_since
            if last or not is_transient(e) or time.monotonic() - unreachable_since >= OUTAGE_SECONDS:
                raise
            wait_options.tell(f"AWS cannot be asked at present, the wait goes on ({e})")
            continue
        unreachable_since = None
        yield instance, last


def wait_ready(
    rds: Client, name: str, wait_options: WaitOptions, not_pending: tuple[str, ...] = ()
) -> dict[str, typing.Any]:
    """Wait until the instance is available and nothing of *not_pending* is pending any more.

    Raises:
        UserError: it is gone, being deleted, stopped, broken, or it takes too long.
    """
    status, waiting_for = "unknown", []
    for instance, last in _polls(rds, name, wait_options):
        if instance is None:
            raise UserError(f"The RDS instance {name} does not exist (any more): create it with state present.")
        status = instance["DBInstanceStatus"]
        if (status in BROKEN and not _grows(instance)) or status in STOPPED or status == "deleting":
            raise UserError(_hopeless(rds, name, status, instance))
        waiting_for = [key for key in not_pending if key in instance.get("PendingModifiedValues", {})]
        # An endpoint is there when the instance is available, on AWS; whoever waits needs it.
        if status in READY and not waiting_for and instance.get("Endpoint", {}).get("Address"):
            return instance
        pending = f", with {', '.join(waiting_for)} pending," if waiting_for else ""
        wait_options.tell(f"{status}{pending.rstrip(',')}")
        if last:
            break
    raise UserError(
        f"The RDS instance {name} is still {status}{pending} after {wait_options.timeout:g} seconds (wait_timeout). AWS"
        " goes on with it: run this again, with a longer wait_timeout if need be."
    )


def _grows(instance: dict[str, typing.Any]) -> bool:
    """Whether storage that is full was asked to become larger."""
    return instance["DBInstanceStatus"] == FULL and "AllocatedStorage" in instance.get("PendingModifiedValues", {})


def _hopeless(rds: Client, name: str, status: str, instance: dict[str, typing.Any] | None = None) -> str:
    if status in STOPPED:
        return (
            f"The RDS instance {name} is {status}: start it with aws rds start-db-instance --db-instance-identifier"
            f" {name} and run this again."
        )
    if status == "deleting":
        return f"The RDS instance {name} is being deleted: wait until it is gone, and run this again."
    if status == FULL:
        size = (instance or {}).get("AllocatedStorage")
        # RDS API Reference, ModifyDBInstance: what is not 10 % more is rounded up to that.
        more = f"{size + max(1, -(-size // 10))} GiB or more" if size else "more"
        return (
            f"The storage of the RDS instance {name}{f', {size} GiB,' if size else ''} is full, and its database can"
            f" write nothing: set allocated_storage (mlflow_db_allocated_storage of the role mlflow) to {more}, with"
            " apply_immediately."
        )
    return f"The RDS instance {name} has the status {status}, which waiting does not end.{_last_event(rds, name)}"


def _last_event(rds: Client, name: str) -> str:
    try:
        events = rds.describe_events(SourceIdentifier=name, SourceType="db-instance", Duration=1440).get("Events", [])
    except ClientError:
        # The reason is welcome, but not being allowed to read it is no second failure.
        return " Its events in the RDS console say why."
    messages = [event["Message"] for event in events if event.get("Message")]
    return f" RDS says: {messages[-1]}" if messages else " Its events in the RDS console say why."


def wait_gone(rds: Client, name: str, wait_options: WaitOptions) -> None:
    """Wait until there is no such instance.

    Raises:
        UserError: it takes too long.
    """
    for instance, last in _polls(rds, name, wait_options):
        if instance is None:
            return
        wait_options.tell(str(instance["DBInstanceStatus"]))
        if last:
            break
    raise UserError(
        f"The RDS instance {name} is still being deleted after {wait_options.timeout:g} seconds (wait_timeout). AWS goes on"
        " with it: run this again."
    )


def ensure_present(
    clients: Clients, desired: DesiredState, wait_options: WaitOptions, check_mode: bool
) -> ModuleResult:
    """Create the instance, or change what differs.

    Raises:
        UserError: what is asked for is impossible, or it takes too long.
    """
    rds = clients.rds
    instance = find(rds, desired.name)
    if instance and instance["DBInstanceStatus"] == "deleting":
        if not wait_options.wait:
            raise UserError(_hopeless(rds, desired.name, "deleting"))
        if not check_mode:
            wait_gone(rds, desired.name, wait_options)
        instance = None
    if instance is None:
        created = _create(clients, desired, wait_options, check_mode)
        if created:
            return created
        # Perhaps not seen everywhere yet.
        instance = find(rds.retrying("DBInstanceNotFound", "DBInstanceNotFoundFault"), desired.name)
        if instance is None:
            raise UserError(
                f"RDS says of the instance {desired.name} that it exists, and that it does not: it is being made or"
                " deleted by somebody else; run this again in a minute."
            )
    return _converge(clients, desired, wait_options, instance, check_mode)


def _create(
    clients: Clients, desired: DesiredState, wait_options: WaitOptions, check_mode: bool
) -> ModuleResult | None:
    missing = [key for key in ("db_instance_class", "allocated_storage") if key not in desired.settings]
    if not desired.secret_arn:
        missing.append("master_user_secret_arn")
    if missing:
        raise UserError(f"The RDS instance {desired.name} does not exist yet. To create it, set {', '.join(missing)}.")
    after = {**dict.fromkeys(SETTINGS), **desired.settings}
    after["tags"] = dict(desired.tags or {})
    if check_mode:
        return ModuleResult(True, {}, _given(after), {"instance": _predict(clients, desired)}, [])
    user, password = _credentials(clients, desired)
    params: dict[str, typing.Any] = {
        SETTINGS[option].create: value for option, value in desired.settings.items() if value is not None
    }
    maximum = desired.settings.get("max_allocated_storage")
    if maximum is not None and maximum <= desired.settings["allocated_storage"]:
        del params["MaxAllocatedStorage"]
    if not params.get("EnableCloudwatchLogsExports", True):
        del params["EnableCloudwatchLogsExports"]
    params.update(
        DBInstanceIdentifier=desired.name, Engine="postgres", MasterUsername=user, MasterUserPassword=password
    )
    if after["tags"]:
        params["Tags"] = tags_to_aws(after["tags"])
    try:
        instance = clients.rds.create_db_instance(**params)["DBInstance"]
    except ClientError as e:
        if error_code(e) == "DBInstanceAlreadyExists":
            # An attempt whose answer was lost, or somebody else at the same time.
            return None
        raise
    if wait_options.wait:
        instance = wait_ready(clients.rds, desired.name, wait_options)
    return ModuleResult(True, {}, _given(after), {"instance": shape(instance)}, [])


def _given(settings: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _predict(clients: Clients, desired: DesiredState) -> dict[str, typing.Any]:
    caller = caller_identity(clients.sts)
    region = clients.rds.meta.region_name
    nested: dict[str, typing.Callable[[typing.Any], typing.Any]] = {
        "DBSubnetGroup": lambda name: {"DBSubnetGroupName": name},
        "VpcSecurityGroups": lambda groups: [{"VpcSecurityGroupId": group} for group in groups],
        "DBParameterGroups": lambda name: [{"DBParameterGroupName": name}],
    }
    settings = {
        SETTINGS[option].shown: value
        for option, value in desired.settings.items()
        if value is not None and option != "port"
    }
    return shape(
        {
            **{key: nested[key](value) if key in nested else value for key, value in settings.items()},
            "DBInstanceIdentifier": desired.name,
            "DBInstanceArn": f"arn:{caller.partition}:rds:{region}:{caller.account_id}:db:{desired.name}",
            "DBInstanceStatus": "creating",
            "Engine": "postgres",
            "TagList": tags_to_aws(desired.tags),
        }
    )


def _credentials(clients: Clients, desired: DesiredState) -> tuple[str, str]:
    """Read the master user's password from its secret; the user too, unless it was given."""
    arn = desired.secret_arn or ""
    members = secret.read_members(clients.secretsmanager, arn)
    password = (members or {}).get(desired.secret_key)
    if not isinstance(password, str) or not password:
        raise UserError(f"The secret {arn} (master_user_secret_arn) has no text member {desired.secret_key}.")
    clients.remember(password)
    forbidden = sorted(set(FORBIDDEN_IN_PASSWORD) & set(password))
    if not 8 <= len(password) <= 128 or not (password.isascii() and password.isprintable()) or forbidden:
        raise UserError(
            f"The member {desired.secret_key} of the secret {arn} cannot be a master password of RDS: that has 8 to 128"
            " printable ASCII characters, and no slash, quotation mark, at sign or space."
        )
    user = desired.settings.get("master_username")
    named = (members or {}).get("username")
    if user and named and user != named:
        raise UserError(
            f"master_username is {user}, but the secret {arn} (master_user_secret_arn) is that of {named}: make them"
            " agree."
        )
    if not user and not named:
        raise UserError(f"Set master_username, as the secret {arn} (master_user_secret_arn) has no member username.")
    return user or str(named), password


def _converge(
    clients: Clients,
    desired: DesiredState,
    wait_options: WaitOptions,
    instance: dict[str, typing.Any],
    check_mode: bool,
) -> ModuleResult:
    rds = clients.rds
    status = instance["DBInstanceStatus"]
    if status in BROKEN and status != FULL:
        raise UserError(_hopeless(rds, desired.name, status))
    busy = status not in (*READY, *STOPPED, FULL) or _grows(instance)
    if busy and wait_options.wait and not check_mode:
        instance = wait_ready(rds, desired.name, wait_options)
        busy = False
    current = {**effective(instance), "tags": tags_from_aws(instance.get("TagList"))}
    changes, warnings = compare(desired.name, current, desired)
    tags, to_set, to_unset = merge_tags(current["tags"], desired.tags, desired.purge_tags)
    if busy:
        # RDS shows final values only when the instance is available, and refuses changes before.
        if changes:
            warnings.append(
                f"The RDS instance {desired.name} is {status}; {', '.join(changes)} will be compared again when this"
                " runs next."
            )
        changes = {}
    changed = bool(changes or to_set or to_unset)
    after = {**current, **changes, "tags": tags}
    warnings += _unfit(rds, desired.name, instance, changes, check_mode)
    outcome = ModuleResult(changed, _given(current), _given(after), {"instance": shape(instance)}, warnings)
    if check_mode or not changed:
        return outcome
    if to_unset:
        rds.remove_tags_from_resource(ResourceName=instance["DBInstanceArn"], TagKeys=to_unset)
    if to_set:
        rds.add_tags_to_resource(ResourceName=instance["DBInstanceArn"], Tags=tags_to_aws(to_set))
    if changes:
        _modify(rds, desired, current, changes)
    if changes and wait_options.wait:
        awaited = [SETTINGS[option].create for option in changes if SETTINGS[option].pending]
        instance = wait_ready(rds, desired.name, wait_options, tuple(awaited) if desired.apply_immediately else ())
    else:
        instance = find(rds, desired.name) or instance
    outcome.values["instance"] = shape(instance)
    return outcome


def _unfit(
    rds: Client, name: str, instance: dict[str, typing.Any], changes: dict[str, typing.Any], check_mode: bool
) -> list[str]:
    """Return a warning about an instance that is stopped.

    Raises:
        UserError: it cannot take the changes, or does not become usable by them.
    """
    status = instance["DBInstanceStatus"]
    if status == FULL and "allocated_storage" not in changes and not _grows(instance):
        raise UserError(_hopeless(rds, name, status, instance))
    if status not in STOPPED:
        return []
    if changes and not check_mode:
        raise UserError(f"{_hopeless(rds, name, status)} Nothing was changed.")
    return [f"{_hopeless(rds, name, status)} It was not started."]


def _modify(rds: Client, desired: DesiredState, current: dict[str, typing.Any], changes: dict[str, typing.Any]) -> None:
    params = {str(SETTINGS[option].modify): value for option, value in changes.items()}
    if "max_allocated_storage" in changes and "allocated_storage" in desired.settings:
        # Growth is switched off by a maximum that equals the size.
        params["MaxAllocatedStorage"] = max(changes["max_allocated_storage"], desired.settings["allocated_storage"])
    if "engine_version" in changes:
        params["AllowMajorVersionUpgrade"] = desired.allow_major_version_upgrade
    if "enable_cloudwatch_logs_exports" in changes:
        params["CloudwatchLogsExportConfiguration"] = _log_changes(current, changes)
    if {"allocated_storage", "iops", "storage_throughput", "storage_type"} & changes.keys():
        params = {**_performance(current, changes), **params}
    rds.modify_db_instance(DBInstanceIdentifier=desired.name, ApplyImmediately=desired.apply_immediately, **params)


def _log_changes(current: dict[str, typing.Any], changes: dict[str, typing.Any]) -> dict[str, list[str]]:
    """Return what is to be exported from now on, and what no longer is."""
    option = "enable_cloudwatch_logs_exports"
    before, after = set(current[option]), set(changes[option])
    found = {"EnableLogTypes": sorted(after - before), "DisableLogTypes": sorted(before - after)}
    return {member: types for member, types in found.items() if types}


def _performance(current: dict[str, typing.Any], changes: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """What must be said with a change of storage that has IOPS of its own: "You must specify both the storage size and
    iops when modifying the storage size or iops on a DB instance that has iops" (RDS). Other storage must not have it.

    RDS User Guide, "Amazon RDS DB instance storage": gp3 of PostgreSQL has them from 400 GiB on, 12,000 at least.
    """
    after = {**current, **changes}
    large = after["storage_type"] == "gp3" and after["allocated_storage"] >= 400
    if not large and after["storage_type"] not in ("io1", "io2"):
        return {}
    least_iops, least_throughput = (12000, 500) if large else (0, 0)
    found = {
        "AllocatedStorage": after["allocated_storage"],
        "Iops": max(current["iops"] or 0, least_iops),
        "StorageThroughput": max(current["storage_throughput"] or 0, least_throughput),
    }
    return {name: value for name, value in found.items() if value}


def ensure_available(rds: Client, name: str, wait_options: WaitOptions, check_mode: bool) -> ModuleResult:
    """Wait for an existing instance; in check mode only look.

    Raises:
        UserError: there is none, it is stopped or broken, or it takes too long.
    """
    if check_mode:
        # In check mode the task that would have created it changed nothing.
        instance = find(rds, name)
        return ModuleResult(False, {}, {}, {"instance": shape(instance) if instance else {}}, [])
    return ModuleResult(False, {}, {}, {"instance": shape(wait_ready(rds, name, wait_options))}, [])


@dataclass(frozen=True)
class DeleteOptions:
    """How an instance is deleted."""

    skip_final_snapshot: bool = False
    final_snapshot: str | None = None
    disable_deletion_protection: bool = False
    delete_automated_backups: bool = True


def ensure_absent(
    rds: Client, name: str, delete_options: DeleteOptions, wait_options: WaitOptions, check_mode: bool
) -> ModuleResult:
    """Delete the instance, after a final snapshot unless told otherwise.

    Raises:
        UserError: it is protected, nothing was said about the snapshot, or it takes too long.
    """
    instance = find(rds, name)
    if instance is None:
        return ModuleResult(False, {}, {}, {}, [])
    before = _given({**effective(instance), "tags": tags_from_aws(instance.get("TagList"))})
    if instance["DBInstanceStatus"] == "deleting":
        if wait_options.wait and not check_mode:
            wait_gone(rds, name, wait_options)
        return ModuleResult(False, {}, {}, {}, [])
    if not delete_options.skip_final_snapshot and not delete_options.final_snapshot:
        raise UserError(
            f"The RDS instance {name} was left alone: set final_db_snapshot_identifier to keep a snapshot of its data,"
            " or skip_final_snapshot to true to lose it for good."
        )
    protected = bool(instance.get("DeletionProtection"))
    if protected and not delete_options.disable_deletion_protection:
        raise UserError(
            f"The RDS instance {name} has deletion protection and was left alone: set disable_deletion_protection to"
            " true to switch it off first."
        )
    outcome = ModuleResult(True, before, {}, {}, [])
    if check_mode:
        return outcome
    if instance["DBInstanceStatus"] not in (*READY, *STOPPED, *BROKEN) and (
        protected or not delete_options.skip_final_snapshot
    ):
        # RDS neither changes an instance nor takes a snapshot while it is busy.
        wait_ready(rds, name, wait_options)
    if protected:
        rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
    _delete(rds, name, delete_options, was_protected=protected)
    if wait_options.wait:
        wait_gone(rds, name, wait_options)
    return outcome


def _delete(rds: Client, name: str, delete_options: DeleteOptions, *, was_protected: bool) -> None:
    params: dict[str, typing.Any] = {
        "SkipFinalSnapshot": delete_options.skip_final_snapshot,
        "DeleteAutomatedBackups": delete_options.delete_automated_backups,
    }
    if not delete_options.skip_final_snapshot:
        params["FinalDBSnapshotIdentifier"] = delete_options.final_snapshot
    try:
        # For a moment after the protection went, RDS may still see it or be busy.
        retrying = rds.retrying("InvalidDBInstanceState", "InvalidParameterCombination") if was_protected else rds
        retrying.delete_db_instance(DBInstanceIdentifier=name, **params)
    except ClientError as e:
        if error_code(e) == "DBSnapshotAlreadyExists":
            raise UserError(
                f"There is a snapshot {delete_options.final_snapshot} already, so the RDS instance {name} was not deleted:"
                " choose another final_db_snapshot_identifier."
            ) from e
        if error_code(e) not in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            raise
