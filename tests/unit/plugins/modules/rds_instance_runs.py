# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of rds_postgresql_instance against an RDS in memory."""

from __future__ import annotations

import json

from botocore.exceptions import EndpointConnectionError

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud

PASSWORD = "unlikely-password-of-a-test-%#+"
DB = {
    "db_instance_identifier": "mlflow",
    "engine_version": "16",
    "db_instance_class": "db.t4g.micro",
    "allocated_storage": 20,
    "max_allocated_storage": 100,
    "storage_type": "gp3",
    "storage_encrypted": True,
    "db_subnet_group_name": "mlflow",
    "vpc_security_group_ids": ["sg-2", "sg-1"],
    "db_parameter_group_name": "mlflow-postgres16",
    "db_name": "mlflow",
    "master_username": "mlflow",
    "master_user_secret_arn": "mlflow/database",
    "backup_retention_period": 7,
    "preferred_maintenance_window": "Sun:05:00-Sun:06:00",
    "deletion_protection": True,
    "copy_tags_to_snapshot": True,
    "tags": {"Project": "mlflow"},
    "apply_immediately": True,
}
AVAILABLE = {"db_instance_identifier": "mlflow", "state": "available"}
GONE = {"db_instance_identifier": "mlflow", "state": "absent", "disable_deletion_protection": True}


def cloud_with_secret(monkeypatch):
    """Return a cloud that has the secret with the master password."""
    cloud = Cloud(monkeypatch)
    value = json.dumps({"username": "mlflow", "password": PASSWORD})
    cloud.secretsmanager.create_secret(Name="mlflow/database", SecretString=value)
    cloud.secretsmanager.calls.clear()
    return cloud


def run(cloud, **params):
    result = cloud.run("rds_postgresql_instance", **{**DB, **params})
    assert PASSWORD not in cloud.printed
    return result


def create_instance(cloud):
    """Create the instance; what was called and slept until then is forgotten."""
    cloud.rds.script = ["creating", "available"]
    assert run(cloud)["changed"]
    cloud.rds.script = []
    cloud.sleeps.clear()
    return cloud


def unreachable(number):
    return [EndpointConnectionError(endpoint_url="https://rds.invalid") for _unused in range(number)]
