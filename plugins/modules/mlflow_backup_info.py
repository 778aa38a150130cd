#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_backup_info
short_description: List the backups of an MLflow deployment
version_added: 0.1.0
description:
  - Reads the manifests in the bucket and the snapshots in RDS. Those that were cut off are listed too, and named so.
  - Works after the deployment was destroyed as well, as long as its bucket is there.
options:
  name:
    description: Name of the deployment.
    type: str
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_backup
    description: Takes one.
  - module: mlops.mlflow_aws.mlflow_deployment_status
    description: Reads the state of a deployment.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.mlflow_deployment.data
"""

EXAMPLES = r"""
- name: List the backups
  mlops.mlflow_aws.mlflow_backup_info:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
  register: listed

- name: Show them
  ansible.builtin.debug:
    msg: "{{ listed.lines }}"
"""

RETURN = r"""
backups:
  description: The backups, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the backup.
      returned: always
      type: str
      sample: before-upgrade
    state:
      description:
        - V(complete) if it can be restored, V(incomplete) if it was cut off, V(deleting) if its deletion was.
        - V(damaged) if something that its manifest names is not there any more.
      returned: always
      type: str
      sample: complete
    started:
      description: When it was begun, empty if that is not known.
      returned: always
      type: str
      sample: '2026-11-23T07:56:00+00:00'
    age_seconds:
      description: Seconds since then, V(none) if that is not known.
      returned: always
      type: int
      sample: 604800
    version:
      description: MLflow's version, empty if it is not known.
      returned: always
      type: str
      sample: 3.17.2
    revisions:
      description: Alembic's revisions, by table.
      returned: always
      type: dict
      sample:
        alembic_version: [dc11669786a5]
        alembic_version_auth: [f1a2b3c4d5e6]
    counts:
      description: Number of rows, by table.
      returned: always
      type: dict
      sample: {experiments: 12, runs: 4711, metrics: 98304, users: 9}
    database_size_bytes:
      description: Size of the database, V(none) if it is not known.
      returned: always
      type: int
      sample: 81264640
    snapshot:
      description: Identifier of the snapshot, empty if there is none.
      returned: always
      type: str
      sample: tracking-backup-before-upgrade
    dump:
      description: Key of the dump in the bucket, empty if there is none.
      returned: always
      type: str
      sample: _backups/tracking/before-upgrade/dump.sql.gz
    dump_size_bytes:
      description: Size of the dump, V(none) if there is none.
      returned: always
      type: int
      sample: 5242880
lines:
  description:
    - The same as a table for people. The cost is that of the snapshot, if all of its storage were charged, at list
      prices; V(-) without a snapshot, and in regions whose prices are not known.
  returned: success
  type: list
  elements: str
  sample:
    - BACKUP          STATE     AGE  MLFLOW  RUNS  DATABASE  DUMP     COST A MONTH  SNAPSHOT
    - before-upgrade  complete  7 d  3.17.2  4711  77.5 MiB  5.0 MiB  up to $1.90   tracking-backup-before-upgrade
"""

from datetime import UTC
from datetime import datetime

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import exists
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients = make_clients(module)
    backups = []
    if exists(clients("s3"), params["bucket"]):
        owner = caller_identity(clients("sts")).account_id
        backups = Store(clients, params["name"], params["bucket"], owner, params["database"]).list()
    found = report.facts(backups, datetime.now(UTC))
    costs = report.costs(backups, str(module.region or ""))
    values = {"backups": found, "lines": report.table(found, params["name"], costs)}
    return ModuleResult(False, {}, {}, values, [], has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "bucket": {"type": "str", "required": True},
            "database": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, f"Backups of {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
