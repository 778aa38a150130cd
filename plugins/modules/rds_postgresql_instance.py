#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rds_postgresql_instance
short_description: Manage a PostgreSQL instance of Amazon RDS
version_added: 0.1.0
description:
  - Creates, changes, awaits and deletes an RDS instance that runs PostgreSQL.
  - Only what is given is compared. What is pending for the instance counts as already asked for.
  - The master password is read by the module itself from a secret of AWS Secrets Manager, when the instance is
    created, and never passes through Ansible.
  - Unlike M(amazon.aws.rds_instance), it supports diff mode and a configurable wait timeout and polling interval.
options:
  db_instance_identifier:
    description:
      - Name of the instance. Letters, digits and hyphens, up to 63 characters.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(present) creates or changes the instance.
      - V(available) waits for an existing one and changes nothing. In check mode it does not wait, and returns an empty
        RV(instance) if there is none.
      - V(absent) deletes it. One of O(final_db_snapshot_identifier) and O(skip_final_snapshot=true) is needed if it
        exists.
    type: str
    choices: [present, available, absent]
    default: present
  engine_version:
    description:
      - Version of PostgreSQL. A bare major version, such as V(16), equals any minor version of it.
      - RDS cannot go back. A minor version older than the present one changes nothing and gives a warning.
    type: str
  allow_major_version_upgrade:
    description:
      - Whether O(engine_version) may ask for another major version than the present one.
    type: bool
    default: false
  db_instance_class:
    description:
      - Class of the instance, such as V(db.t4g.micro). Needed to create it.
    type: str
  allocated_storage:
    description:
      - Storage in GiB. Needed to create the instance. It cannot shrink; where storage may grow by itself, more than
        this is fine.
      - More of it, with O(apply_immediately=true), is what an instance needs whose storage is full.
    type: int
  max_allocated_storage:
    description:
      - Up to this many GiB storage grows by itself. A value not above O(allocated_storage) switches that off.
    type: int
  storage_type:
    description:
      - Type of storage, such as V(gp3).
    type: str
  iops:
    description:
      - Provisioned I/O operations per second.
    type: int
  storage_throughput:
    description:
      - Provisioned throughput of V(gp3) storage in MiB per second.
    type: int
  storage_encrypted:
    description:
      - Whether storage is encrypted. Cannot be changed later.
    type: bool
  kms_key_id:
    description:
      - ARN, id or alias of the KMS key that encrypts storage. Cannot be changed later. An alias is not compared.
    type: str
  multi_az:
    description:
      - Whether there is a standby in another availability zone.
    type: bool
  publicly_accessible:
    description:
      - Whether the instance gets a public address.
    type: bool
    default: false
  db_subnet_group_name:
    description:
      - DB subnet group. Cannot be changed later.
    type: str
  vpc_security_group_ids:
    description:
      - Ids of all security groups.
    type: list
    elements: str
  db_parameter_group_name:
    description:
      - DB parameter group. A change is effective after the next reboot, which this module does not do.
    type: str
  port:
    description:
      - Port of the database.
    type: int
  db_name:
    description:
      - Database to create with the instance. Cannot be changed later.
    type: str
  master_username:
    description:
      - Name of the master user; by default the member V(username) of the secret. Cannot be changed later.
    type: str
  master_user_secret_arn:
    description:
      - ARN or name of the secret that holds the master password, in a JSON object. Needed to create the instance,
        and not read at any other time.
    type: str
  master_user_secret_key:
    description:
      - Member of the secret that is the password.
    type: str
    default: password
  backup_retention_period:
    description:
      - For how many days automated backups are kept; V(0) means none.
    type: int
  preferred_backup_window:
    description:
      - Daily time of backups in UTC, such as V(03:00-04:00).
    type: str
  preferred_maintenance_window:
    description:
      - Weekly time of maintenance in UTC, such as V(sun:05:00-sun:06:00).
    type: str
  deletion_protection:
    description:
      - Whether the instance is protected against deletion.
    type: bool
  auto_minor_version_upgrade:
    description:
      - Whether RDS upgrades to new minor versions by itself.
    type: bool
  copy_tags_to_snapshot:
    description:
      - Whether snapshots get the tags of the instance.
    type: bool
  enable_performance_insights:
    description:
      - Whether Performance Insights is on.
    type: bool
  performance_insights_retention_period:
    description:
      - For how many days its data is kept.
    type: int
  performance_insights_kms_key_id:
    description:
      - KMS key that encrypts its data.
    type: str
  ca_certificate_identifier:
    description:
      - Certificate authority of the server's certificate, such as V(rds-ca-rsa2048-g1).
    type: str
  enable_cloudwatch_logs_exports:
    description:
      - The logs that RDS sends to CloudWatch Logs, all of them; an empty list ends it.
      - RDS makes a log group C(/aws/rds/instance/<name>/<log>) for each, which never expires by itself, and which stays
        when the instance is deleted.
      - A change is made at once, whatever O(apply_immediately) says, and interrupts nothing.
    type: list
    elements: str
    choices: [iam-db-auth-error, postgresql, upgrade]
  apply_immediately:
    description:
      - Whether changes that interrupt the database are made at once rather than in the maintenance window.
      - What an earlier run has left to the maintenance window counts as asked for, and stays there.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until the instance is available, or gone. O(state=available) always waits.
      - Without it, an instance that is busy, such as one that is being created, is left alone, and a warning
        names what differs.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, in seconds.
    type: int
    default: 1800
  wait_delay:
    description:
      - Polling interval in seconds.
    type: int
    default: 15
  final_db_snapshot_identifier:
    description:
      - With O(state=absent), name of the snapshot that is made before the instance goes.
    type: str
  skip_final_snapshot:
    description:
      - With O(state=absent), whether to delete the data without a last snapshot.
    type: bool
    default: false
  disable_deletion_protection:
    description:
      - With O(state=absent), whether to switch deletion protection off first. Otherwise a protected instance is an
        error.
    type: bool
    default: false
  delete_automated_backups:
    description:
      - With O(state=absent), whether the automated backups go too.
    type: bool
    default: true
  variables:
    description:
      - Names that error messages and remedies use in place of the options' own, for a role that sets the options from
        variables. For example, V(team_allocated_storage) for O(allocated_storage).
      - An option that is not in it keeps its name.
    type: dict
    default: {}
notes:
  - While it waits, each change is shown on standard error, over a local connection and without C(async) and C(no_log).
    The variable C(mlflow_live_progress) set to V(false) switches that off.
  - While it waits, outages of AWS are tolerated for up to five minutes.
  - A stopped instance is not started; O(state=present) warns about it, O(state=available) fails.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.rds_instance
    description: Manages instances of all engines.
  - module: mlops.mlflow_aws.secretsmanager_secret
    description: Creates the master password.
  - name: Amazon RDS for PostgreSQL
    description: The user guide.
    link: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_PostgreSQL.html
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Start the creation of an instance
  mlops.mlflow_aws.rds_postgresql_instance:
    db_instance_identifier: mlflow
    engine_version: "16"
    db_instance_class: db.t4g.micro
    allocated_storage: 20
    max_allocated_storage: 100
    storage_type: gp3
    storage_encrypted: true
    db_subnet_group_name: mlflow
    vpc_security_group_ids: [sg-0123456789abcdef0]
    db_name: mlflow
    master_user_secret_arn: arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-a1B2c3
    backup_retention_period: 7
    deletion_protection: true
    enable_cloudwatch_logs_exports: [postgresql, upgrade]
    tags:
      Project: mlflow
    wait: false

- name: Wait for it
  mlops.mlflow_aws.rds_postgresql_instance:
    db_instance_identifier: mlflow
    state: available
  register: database

- name: Delete it and keep a snapshot
  mlops.mlflow_aws.rds_postgresql_instance:
    db_instance_identifier: mlflow
    state: absent
    disable_deletion_protection: true
    final_db_snapshot_identifier: mlflow-final
"""

RETURN = r"""
instance:
  description:
    - The instance as RDS describes it, in snake case. In check mode, one that does not exist yet has no endpoint.
    - Other keys that RDS reports are there too.
  type: dict
  returned: when state is not V(absent)
  contains:
    db_instance_identifier:
      description: Name.
      type: str
      returned: when the instance exists, or would be created
      sample: mlflow
    db_instance_arn:
      description: ARN.
      type: str
      returned: when the instance exists, or would be created
      sample: arn:aws:rds:eu-central-1:123456789012:db:mlflow
    db_instance_class:
      description: Class.
      type: str
      returned: when the instance exists
      sample: db.t4g.micro
    db_instance_status:
      description: Status, V(available) when it can be used.
      type: str
      returned: when the instance exists, or would be created
      sample: creating
    db_name:
      description: The database that was created with it.
      type: str
      returned: when the instance exists
      sample: mlflow
    db_instance_port:
      description: Of a cluster's member, its port. See RV(instance.endpoint.port).
      type: int
      returned: when the instance exists
      sample: 0
    dbi_resource_id:
      description: Id that never changes, as in IAM policies for C(rds-db:connect).
      type: str
      returned: when the instance exists
      sample: db-617273BD1B274ECD9E34
    engine:
      description: V(postgres).
      type: str
      returned: when the instance exists
      sample: postgres
    engine_version:
      description: Full version of PostgreSQL.
      type: str
      returned: when the instance exists
      sample: '16.14'
    license_model:
      description: Licence of the engine.
      type: str
      returned: when the instance exists
      sample: postgresql-license
    master_username:
      description: Name of the master user.
      type: str
      returned: when the instance exists
      sample: mlflow
    instance_create_time:
      description: When it was created.
      type: str
      returned: when the instance exists
      sample: '2026-11-23T07:56:16.261000+00:00'
    latest_restorable_time:
      description: Up to when it can be restored.
      type: str
      returned: when the instance exists
      sample: '2026-11-23T07:56:16.261000+00:00'
    allocated_storage:
      description: Storage in GiB.
      type: int
      returned: when the instance exists
      sample: 20
    max_allocated_storage:
      description: Up to how many GiB storage grows by itself.
      type: int
      returned: when the instance exists
      sample: 100
    storage_type:
      description: Type of storage.
      type: str
      returned: when the instance exists
      sample: gp3
    kms_key_id:
      description: ARN of the key that encrypts the storage.
      type: str
      returned: when the storage is encrypted
      sample: arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-ef0123456789
    storage_throughput:
      description: Throughput of V(gp3) storage in MiB per second.
      type: int
      returned: when the instance exists
      sample: 0
    storage_encrypted:
      description: Whether storage is encrypted.
      type: bool
      returned: when the instance exists
      sample: true
    is_storage_config_upgrade_available:
      description: Whether its file system could be a newer one.
      type: bool
      returned: when the instance exists
      sample: false
    availability_zone:
      description: Where it is.
      type: str
      returned: when the instance exists
      sample: eu-central-1a
    multi_az:
      description: Whether there is a standby.
      type: bool
      returned: when the instance exists
      sample: false
    publicly_accessible:
      description: Whether it has a public address.
      type: bool
      returned: when the instance exists
      sample: false
    network_type:
      description: V(IPV4) or V(DUAL).
      type: str
      returned: when the instance exists
      sample: IPV4
    backup_retention_period:
      description: For how many days automated backups are kept.
      type: int
      returned: when the instance exists
      sample: 7
    backup_target:
      description: Where they are kept.
      type: str
      returned: when the instance exists
      sample: region
    preferred_backup_window:
      description: Daily time of backups in UTC.
      type: str
      returned: when the instance exists
      sample: 03:00-04:00
    preferred_maintenance_window:
      description: Weekly time of maintenance in UTC.
      type: str
      returned: when the instance exists
      sample: sun:05:00-sun:06:00
    deletion_protection:
      description: Whether it is protected against deletion.
      type: bool
      returned: when the instance exists
      sample: true
    auto_minor_version_upgrade:
      description: Whether RDS upgrades to new minor versions by itself.
      type: bool
      returned: when the instance exists
      sample: true
    copy_tags_to_snapshot:
      description: Whether snapshots get its tags.
      type: bool
      returned: when the instance exists
      sample: false
    ca_certificate_identifier:
      description: Certificate authority of the server's certificate.
      type: str
      returned: when the instance exists
      sample: rds-ca-rsa2048-g1
    iam_database_authentication_enabled:
      description: Whether users may log in by IAM.
      type: bool
      returned: when the instance exists
      sample: false
    performance_insights_enabled:
      description: Whether Performance Insights is on.
      type: bool
      returned: when the instance exists
      sample: false
    performance_insights_retention_period:
      description: For how many days its data is kept.
      type: int
      returned: when the instance exists
      sample: 7
    monitoring_interval:
      description: Seconds between two points of enhanced monitoring, V(0) if it is off.
      type: int
      returned: when the instance exists
      sample: 0
    promotion_tier:
      description: Rank among replicas of a cluster.
      type: int
      returned: when the instance exists
      sample: 1
    customer_owned_ip_enabled:
      description: Whether it has an address of an Outpost.
      type: bool
      returned: when the instance exists
      sample: false
    db_security_groups:
      description: Always empty in a VPC.
      type: list
      elements: dict
      returned: when the instance exists
      sample: []
    read_replica_db_instance_identifiers:
      description: Names of its read replicas.
      type: list
      elements: str
      returned: when the instance exists
      sample: []
    read_replica_db_cluster_identifiers:
      description: Names of clusters that replicate it.
      type: list
      elements: str
      returned: when the instance exists
      sample: []
    status_infos:
      description: Status of replication.
      type: list
      elements: dict
      returned: when the instance exists
      sample: []
    domain_memberships:
      description: Active Directory domains that it has joined.
      type: list
      elements: dict
      returned: when the instance exists
      sample: []
    enabled_cloudwatch_logs_exports:
      description: Logs that go to CloudWatch.
      type: list
      elements: str
      returned: when the instance exists
      sample: [postgresql, upgrade]
    processor_features:
      description: Number of cores and threads, where they differ from those of the class.
      type: list
      elements: dict
      returned: when the instance exists
      sample: []
    associated_roles:
      description: Roles that it uses.
      type: list
      elements: dict
      returned: when the instance exists
      sample: []
    endpoint:
      description: Address and port.
      type: dict
      returned: once RDS has assigned them
      contains:
        address:
          description: Host name.
          type: str
          returned: always
          sample: mlflow.abcdefghijkl.eu-central-1.rds.amazonaws.com
        port:
          description: Port.
          type: int
          returned: always
          sample: 5432
        hosted_zone_id:
          description: The DNS zone of the host name.
          type: str
          returned: when the instance exists
          sample: Z2R2ITUGPM61AM
    vpc_security_groups:
      description: Security groups.
      type: list
      elements: dict
      returned: when the instance exists
      contains:
        vpc_security_group_id:
          description: Id.
          type: str
          returned: always
          sample: sg-0123456789abcdef0
        status:
          description: V(active), or what is under way.
          type: str
          returned: when the instance exists
          sample: active
    db_parameter_groups:
      description: Parameter groups.
      type: list
      elements: dict
      returned: when the instance exists
      contains:
        db_parameter_group_name:
          description: Name.
          type: str
          returned: always
          sample: default.postgres16
        parameter_apply_status:
          description: V(in-sync), or what is under way, such as V(pending-reboot).
          type: str
          returned: when the instance exists
          sample: in-sync
    option_group_memberships:
      description: Option groups.
      type: list
      elements: dict
      returned: when the instance exists
      contains:
        option_group_name:
          description: Name.
          type: str
          returned: always
          sample: default:postgres-16
        status:
          description: V(in-sync), or what is under way.
          type: str
          returned: always
          sample: in-sync
    db_subnet_group:
      description: The DB subnet group.
      type: dict
      returned: when the instance exists
      contains:
        db_subnet_group_name:
          description: Name.
          type: str
          returned: always
          sample: mlflow
        db_subnet_group_arn:
          description: ARN.
          type: str
          returned: when the instance exists
          sample: arn:aws:rds:eu-central-1:123456789012:subgrp:mlflow
        db_subnet_group_description:
          description: Description.
          type: str
          returned: when the instance exists
          sample: examples
        vpc_id:
          description: Id of the VPC.
          type: str
          returned: when the instance exists
          sample: vpc-00000001
        subnet_group_status:
          description: V(Complete) when it can be used.
          type: str
          returned: when the instance exists
          sample: Complete
        subnets:
          description: Its subnets.
          type: list
          elements: dict
          returned: when the instance exists
          contains:
            subnet_identifier:
              description: Id.
              type: str
              returned: always
              sample: subnet-00000001
            subnet_status:
              description: V(Active) when it can be used.
              type: str
              returned: always
              sample: Active
            subnet_availability_zone:
              description: Its availability zone.
              type: dict
              returned: always
              contains:
                name:
                  description: Name.
                  type: str
                  returned: always
                  sample: eu-central-1a
            subnet_outpost:
              description: Its Outpost, if it is in one.
              type: dict
              returned: when the instance exists
              sample: {}
    certificate_details:
      description: The server's certificate.
      type: dict
      returned: when the instance exists
      contains:
        ca_identifier:
          description: Its authority.
          type: str
          returned: always
          sample: rds-ca-rsa2048-g1
        valid_till:
          description: Until when it is valid.
          type: str
          returned: always
          sample: '2061-01-01T00:00:00+00:00'
    pending_modified_values:
      description: What RDS will change, without the password.
      type: dict
      returned: when the instance exists
      sample: {}
    tags:
      description: Tags.
      type: dict
      returned: when the instance exists, or would be created
      sample: {Project: mlflow}
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import RDS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.create import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.delete import DeleteOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.delete import ensure_absent
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.instance import ensure_available
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.instance import ensure_present
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import EXPECTED_CREATION

# Terraform users show 4 minutes; with a final snapshot, its size decides. The rest is PostgreSQL.
EXPECTED_DELETION = ExpectedDuration(4, 15, fixed=20)


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    name = params["db_instance_identifier"]
    expected_duration = EXPECTED_DELETION if params["state"] == "absent" else EXPECTED_CREATION
    progress = Progress(f"RDS instance {name}", expected_duration, hidden=module.no_log_values)
    option_names = OptionNames(params["variables"])
    wait_options = WaitOptions(
        wait=params["wait"],
        timeout=params["wait_timeout"],
        delay=params["wait_delay"],
        report=progress.report,
        option_names=option_names,
    )
    rds = make_client(module, "rds")
    if params["state"] == "available":
        return ensure_available(rds, name, wait_options, module.check_mode)
    if params["state"] == "absent":
        delete_options = DeleteOptions(
            skip_final_snapshot=params["skip_final_snapshot"],
            final_snapshot=params["final_db_snapshot_identifier"],
            disable_deletion_protection=params["disable_deletion_protection"],
            delete_automated_backups=params["delete_automated_backups"],
        )
        return ensure_absent(rds, name, delete_options, wait_options, module.check_mode)
    desired = DesiredState(
        name=name,
        settings={option: params[option] for option in SETTINGS if params[option] is not None},
        secret_arn=params["master_user_secret_arn"],
        secret_key=params["master_user_secret_key"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
        apply_immediately=params["apply_immediately"],
        allow_major_version_upgrade=params["allow_major_version_upgrade"],
        option_names=option_names,
    )
    clients = Clients(
        rds=rds,
        secretsmanager=make_client(module, "secretsmanager"),
        sts=make_client(module, "sts"),
        remember=module.no_log_values.add,
    )
    return ensure_present(clients, desired, wait_options, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "db_instance_identifier": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "available", "absent"], "default": "present"},
            "engine_version": {"type": "str"},
            "allow_major_version_upgrade": {"type": "bool", "default": False},
            "db_instance_class": {"type": "str"},
            "allocated_storage": {"type": "int"},
            "max_allocated_storage": {"type": "int"},
            "storage_type": {"type": "str"},
            "iops": {"type": "int"},
            "storage_throughput": {"type": "int"},
            "storage_encrypted": {"type": "bool"},
            "kms_key_id": {"type": "str"},
            "multi_az": {"type": "bool"},
            "publicly_accessible": {"type": "bool", "default": False},
            "db_subnet_group_name": {"type": "str"},
            "vpc_security_group_ids": {"type": "list", "elements": "str"},
            "db_parameter_group_name": {"type": "str"},
            "port": {"type": "int"},
            "db_name": {"type": "str"},
            "master_username": {"type": "str"},
            # An ARN and the name of a member: nothing secret.
            "master_user_secret_arn": {"type": "str", "no_log": False},
            "master_user_secret_key": {"type": "str", "default": "password", "no_log": False},
            "backup_retention_period": {"type": "int"},
            "preferred_backup_window": {"type": "str"},
            "preferred_maintenance_window": {"type": "str"},
            "deletion_protection": {"type": "bool"},
            "auto_minor_version_upgrade": {"type": "bool"},
            "copy_tags_to_snapshot": {"type": "bool"},
            "enable_performance_insights": {"type": "bool"},
            "performance_insights_retention_period": {"type": "int"},
            "performance_insights_kms_key_id": {"type": "str"},
            "ca_certificate_identifier": {"type": "str"},
            "enable_cloudwatch_logs_exports": {
                "type": "list",
                "elements": "str",
                "choices": ["iam-db-auth-error", "postgresql", "upgrade"],
            },
            "apply_immediately": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 1800},
            "wait_delay": {"type": "int", "default": 15},
            "final_db_snapshot_identifier": {"type": "str"},
            "skip_final_snapshot": {"type": "bool", "default": False},
            "disable_deletion_protection": {"type": "bool", "default": False},
            "delete_automated_backups": {"type": "bool", "default": True},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
            "variables": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if module.params["skip_final_snapshot"] and module.params["final_db_snapshot_identifier"]:
        module.fail_json(msg="Set one of final_db_snapshot_identifier and skip_final_snapshot, not both.")
    run(module, f"RDS instance {module.params['db_instance_identifier']}", lambda: _work(module), RDS)


if __name__ == "__main__":
    main()
