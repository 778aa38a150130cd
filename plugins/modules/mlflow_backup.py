#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_backup
short_description: Back up an MLflow deployment
version_added: 0.1.0
description:
  - Takes a snapshot of the RDS instance, and writes a manifest into the bucket, which says what is in it. The manifest
    is written last, so what was cut off counts as no backup, and the next run completes it.
  - The manifest has MLflow's version and image, the revisions of the tables, the number of rows of each, the versions
    of the secrets, the time that the versions of the objects in the bucket belong to, and variables. It has no secret.
  - Rows and revisions are read by a task of the server's own image, with its roles and in its network. The task is
    started with a task definition of its own, and takes the password from the server's secret.
  - The server goes on serving. A lock, in a tag of the service, keeps other verbs away meanwhile.
  - MLflow's own role cannot read, write or delete backups in the bucket.
options:
  backup_name:
    description:
      - Name of the backup. A backup of that name that is complete is left as it is.
      - Empty means to complete the newest one if it was cut off, and otherwise a new one, named by the time.
    type: str
    default: ''
  keep:
    description:
      - How many backups to keep. Older ones are deleted, with snapshot and manifest, after the new one is complete.
      - V(0) keeps all.
    type: int
    default: 0
  portable:
    description:
      - Whether to dump the database into the bucket too, as SQL for C(psql), compressed by gzip.
      - Without O(database) it is always dumped.
    type: bool
    default: false
  database_host:
    description: Host of the database, if O(database) is empty.
    type: str
    default: ''
  database_port:
    description: Port of the database, if O(database) is empty.
    type: int
    default: 5432
  database_name:
    description: Name of the database.
    type: str
    default: mlflow
  database_username:
    description: User that the server logs in as.
    type: str
    default: mlflow
  record_secrets:
    description: Names or ARNs of secrets whose versions are recorded, besides those that the server itself has.
    type: list
    elements: str
    default: []
  record_variables:
    description: What else to record in the manifest.
    type: dict
    default: {}
  name_hint:
    description:
      - What a message names for completing a backup that was cut off too long ago to be completed without its name. The
        name is appended.
    type: str
    default: 'run the same task again, with backup_name: '
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_backup_info
    description: Lists backups.
  - module: mlops.mlflow_aws.mlflow_deployment_lock
    description: Refuses to change a deployment while a backup is taken.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Full with O(backup_name). Without it, each run takes another backup.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.mlflow_deployment
  - mlops.mlflow_aws.mlflow_deployment.data
  - mlops.mlflow_aws.mlflow_deployment.verb
"""

EXAMPLES = r"""
- name: Back up the deployment before something is tried
  mlops.mlflow_aws.mlflow_backup:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
    backup_name: before-upgrade

- name: Make sure of it, and of a dump that restores anywhere if it is yet to be taken
  mlops.mlflow_aws.mlflow_backup:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
    backup_name: before-upgrade
    portable: true
    keep: 7
"""

RETURN = r"""
backup_name:
  description: Name of the backup.
  returned: success
  type: str
  sample: before-upgrade
manifest:
  description: The manifest. Empty in check mode if the backup is yet to be taken.
  returned: success
  type: dict
  sample:
    format: 1
    name: before-upgrade
    deployment: tracking
    started: '2026-11-23T07:56:00+00:00'
    finished: '2026-11-23T07:59:12+00:00'
    region: eu-central-1
    account_id: '123456789012'
    mlflow:
      version: 3.17.2
      image: ghcr.io/mlflow/mlflow:v3.17.2-full
      image_digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    server:
      command: [bash, -c, exec mlflow server --artifacts-destination s3://tracking-artifacts]
      environment: {PGSSLMODE: verify-full}
      secrets:
        PGPASSWORD: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf:password::'
      host: tr-0123456789abcdef.ecs.eu-central-1.on.aws
      database_host: tracking.abcdefghijkl.eu-central-1.rds.amazonaws.com
    database:
      snapshot: tracking-backup-before-upgrade
      snapshot_arn: arn:aws:rds:eu-central-1:123456789012:snapshot:tracking-backup-before-upgrade
      snapshot_time: '2026-11-23T07:57:03+00:00'
      allocated_storage_gib: 20
      postgresql: '16.9'
      size_bytes: 81264640
    counted_at: '2026-11-23T07:56:02+00:00'
    counts: {experiments: 12, runs: 4711, metrics: 98304, users: 9}
    revisions:
      alembic_version: [dc11669786a5]
      alembic_version_auth: [f1a2b3c4d5e6]
    dump: {key: _backups/tracking/before-upgrade/dump.sql.gz, version_id: 9z8y7x6w, size_bytes: 5242880}
    secrets:
      - arn: arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf
        version_id: 5f1d7e2c-6a0b-4a55-9a4e-2f6f0f9f7c11
    artifacts: {bucket: tracking-artifacts-123456789012-eu-central-1, time: '2026-11-23T07:56:02+00:00'}
    variables: {mlflow_version: 3.17.2}
deleted:
  description: Names of the backups that O(keep) made too many.
  returned: success
  type: list
  elements: str
  sample: []
lines:
  description: What was done for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - Backup 'before-upgrade' of 'tracking' is there already, and was not changed.
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.create import Creation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.create import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "bucket": {"type": "str", "required": True},
    "backup_name": {"type": "str", "default": ""},
    "keep": {"type": "int", "default": 0},
    "portable": {"type": "bool", "default": False},
    "database": {"type": "str", "default": ""},
    "database_host": {"type": "str", "default": ""},
    "database_port": {"type": "int", "default": 5432},
    "database_name": {"type": "str", "default": "mlflow"},
    "database_username": {"type": "str", "default": "mlflow"},
    "record_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "record_variables": {"type": "dict", "default": {}},
    "again": {"type": "str", "default": "run the same task again"},
    "name_hint": {"type": "str", "default": "run the same task again, with backup_name: "},
    "unlock": {"type": "bool", "default": False},
    "unlock_hint": {"type": "str", "default": "unlock: true"},
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_delay": {"type": "int", "default": 10},
}


def _request(module: AnsibleAWSModule, account_id: str) -> Request:
    params = module.params
    return Request(
        backup=params["backup_name"],
        keep=params["keep"],
        portable=params["portable"],
        bucket=params["bucket"],
        instance=params["database"],
        host=params["database_host"],
        port=params["database_port"],
        database=params["database_name"],
        username=params["database_username"],
        secret_ids=tuple(params["record_secrets"]),
        variables=params["record_variables"],
        region=str(module.region or ""),
        account_id=account_id,
    )


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients = make_clients(module)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    progress = Progress(f"Backup of {params['name']}", hidden=module.no_log_values)
    wait_options = WaitOptions(
        timeout=params["wait_timeout"], delay=max(1, params["wait_delay"]), report=progress.report, beat=progress.beat
    )
    creation = Creation(clients, deployment, _request(module, caller_identity(clients("sts")).account_id), wait_options)
    identity = Identity(params["name"], "backup", deployment.who, params["unlock_hint"])
    lock = Lock(clients("ecs"), deployment.arn, identity, alarms=AlarmActions(clients))
    is_needed, left = prepare(creation.preflight, lock, params["unlock"])
    name = creation.names.backup
    if not is_needed and not left:
        values = {"backup_name": name, "manifest": creation.manifest, "deleted": []}
        there = {"backup": name}
        lines = [f"Backup '{name}' of '{params['name']}' is there already, and was not changed."]
        return ModuleResult(False, there, there, {**values, "lines": lines}, [])
    verb = creation.verb(params["again"])
    if module.check_mode:
        lock.refuse(params["unlock"])
        lines, warnings = plan(verb, is_needed, left), []
    else:
        warnings = run_steps(verb, lock, progress, lift=params["unlock"])
        lines = report.created(creation.manifest, creation.deleted)
    lines += report.left_alone(creation.left_alone, params["name_hint"])
    values = {"backup_name": name, "manifest": creation.manifest, "deleted": creation.deleted, "lines": lines}
    return ModuleResult(True, {"backup": "" if is_needed else name}, {"backup": name}, values, warnings)


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run(module, f"Backup of {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
