# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the EXAMPLES take for granted, on a local AWS and an MLflow server: account, services, users."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from express import EXECUTION_POLICY
from express import INFRASTRUCTURE_POLICY
from harness import SOFTWARE
from harness import LocalAws
from servers import MlflowServer

# What the examples' ARNs say.
REGION, ACCOUNT = "eu-central-1", "123456789012"
SCALE = 240
VERSION = "3.17.2"
Doc = dict[str, Any]


@dataclass
class Scenario:
    """Modules whose examples use the same things.

    Attributes:
        modules: in the order of their examples.
        given: what stands in an example, and what is put in its place.
        variables: those that an example takes for granted.
    """

    modules: tuple[str, ...]
    given: dict[str, str] = field(default_factory=dict)
    variables: Doc = field(default_factory=dict)


class ExampleAws(LocalAws):
    """A local AWS in the region of the examples, whose user exports what users export."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, present_user=True)

    def up(self, scale: float = SCALE) -> None:
        """Start it."""
        arguments = ("--scale", str(scale), "--runtimes", str(SOFTWARE / "runtimes"), "--region", REGION)
        self.info = self._run("up", *arguments, "--account", ACCOUNT)

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of the account's root."""
        return super().client(service, region)


def aws_scenario(aws: ExampleAws) -> Scenario:
    """Account, roles, bucket and database."""
    ec2 = aws.client("ec2")
    subnets = [item["SubnetId"] for item in ec2.describe_subnets()["Subnets"]]
    aws.client("rds").create_db_subnet_group(
        DBSubnetGroupName="mlflow", DBSubnetGroupDescription="examples", SubnetIds=subnets
    )
    group = ec2.create_security_group(GroupName="mlflow-database", Description="examples")["GroupId"]
    secret = json.dumps({"username": "mlflow", "password": "made-up-for-the-examples-0001"})
    arn = aws.client("secretsmanager").create_secret(Name="tracking/database", SecretString=secret)["ARN"]
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").create_role(RoleName="tracking-scheduler-role", AssumeRolePolicyDocument=document)
    aws.client("s3").create_bucket(Bucket="our-models", CreateBucketConfiguration={"LocationConstraint": REGION})
    [vpc] = {item["VpcId"] for item in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]}
    modules = (
        "aws_caller_context",
        "ec2_network_info",
        "ec2_security_group",
        "cloudwatch_alarms",
        "cloudwatch_dashboard",
        "sns_topic",
        "sqs_queue",
        "scheduler_schedule_group",
        "scheduler_schedule",
        "logs_log_group",
        "iam_service_role",
        "s3_artifact_bucket",
    )
    return Scenario(
        (*modules, "rds_db_subnet_group", "rds_db_parameter_group", "rds_postgresql_instance"),
        {
            "sg-0123456789abcdef0": group,
            "vpc-0123456789abcdef0": vpc,
            "subnet-0123456789abcdef0": subnets[0],
            "subnet-0123456789abcdef1": subnets[1],
            f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:tracking/database-a1B2c3": arn,
        },
    )


def express_scenario(aws: ExampleAws) -> Scenario:
    """The services of Express Mode."""
    iam, s3 = aws.client("iam"), aws.client("s3")
    tags = [{"Key": "ManagedBy", "Value": "mlops.mlflow_aws"}, {"Key": "MlflowName", "Value": "tracking"}]
    bucket = f"tracking-artifacts-{ACCOUNT}-{REGION}"
    # It is the server's, made by a_server().
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    for name, service, policy in (
        ("infrastructure", "ecs", INFRASTRUCTURE_POLICY),
        ("execution", "ecs-tasks", EXECUTION_POLICY),
        ("task", "ecs-tasks", ""),
    ):
        trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=f"tracking-{name}-role", AssumeRolePolicyDocument=document, Tags=tags)
        if policy:
            iam.attach_role_policy(RoleName=f"tracking-{name}-role", PolicyArn=policy)
    read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    iam.put_role_policy(
        RoleName="tracking-execution-role",
        PolicyName="secrets",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [read]}),
    )
    secret = json.dumps({"password": "made-up-for-the-examples-0002"})
    arn = aws.client("secretsmanager").create_secret(Name="tracking", SecretString=secret)["ARN"]
    aws.client("logs").create_log_group(logGroupName="/ecs/default/tracking")
    aws.client("logs").put_retention_policy(logGroupName="/ecs/default/tracking", retentionInDays=1)
    return Scenario(
        (
            # The first service needs them, and whoever makes them first sees what is changed.
            "iam_service_linked_role",
            "resource_ownership",
            "resource_references",
            "ecs_express_service",
            "ecs_express_allow_list",
            "ecs_express_service_info",
            "mlflow_deployment_state",
            "mlflow_deployment_status",
            "mlflow_deployment_lock",
            "mlflow_deployment_monitoring",
            "mlflow_deployment_maintenance",
            "mlflow_backup",
            "mlflow_backup_info",
            "mlflow_restore",
            "mlflow_upgrade",
            "mlflow_deployment_power",
        ),
        {
            f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:tracking-AbCdEf": arn,
            "/etc/ssl/my-ca.pem": aws.info["ca_bundle"],
        },
    )


def mlflow_scenario(aws: ExampleAws, server: MlflowServer, folder: Path) -> Scenario:
    """The server, its logins, users and permissions."""
    login = json.dumps({"username": "admin", "password": server.password})
    aws.client("secretsmanager").create_secret(
        Name="mlflow/login",
        Description="The administrator's login",
        SecretString=login,
        Tags=[{"Key": "Project", "Value": "mlflow"}],
    )
    return Scenario(
        (
            "mlflow_health",
            "mlflow_user",
            "secretsmanager_secret",
            "secretsmanager_secret_info",
            "mlflow_permission",
            "mlflow_demo",
        ),
        {
            "https://mlflow.example.org": server.url,
            "https://localhost:8443": server.url,
            "/etc/ssl/my-ca.pem": aws.info["ca_bundle"],
            f"/opt/mlflow-{VERSION}": str(SOFTWARE / "clients" / VERSION),
            "/home/me/.cache": str(folder / "cache"),
            "a-made-up-password": server.password,
            "/tmp/mlflow-demo.log": str(folder / "demo.log"),
        },
        {"bobs_first_password": "made-up-for-the-examples-0003"},
    )


def before_deployment_info(aws: ExampleAws) -> None:
    """The deployment's database, with a snapshot, and what CloudWatch counts of it."""
    rds = aws.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="tracking",
        Engine="postgres",
        EngineVersion="16",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        BackupRetentionPeriod=7,
        MasterUsername="mlflow",
        MasterUserPassword="made-up-for-the-examples-0006",
    )
    rds.get_waiter("db_instance_available").wait(
        DBInstanceIdentifier="tracking", WaiterConfig={"Delay": 1, "MaxAttempts": 1800}
    )
    rds.create_db_snapshot(DBInstanceIdentifier="tracking", DBSnapshotIdentifier="tracking-before-update")
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier="tracking-before-update", WaiterConfig={"Delay": 1, "MaxAttempts": 1800}
    )
    bucket = [
        {"Name": "BucketName", "Value": f"tracking-artifacts-{ACCOUNT}-{REGION}"},
        {"Name": "StorageType", "Value": "StandardStorage"},
    ]
    database = [{"Name": "DBInstanceIdentifier", "Value": "tracking"}]
    for namespace, metric, dimensions, value in (
        ("AWS/RDS", "FreeStorageSpace", database, 16.8 * 1024**3),
        ("AWS/S3", "BucketSizeBytes", bucket, 41.7 * 1024**3),
    ):
        data = {"MetricName": metric, "Dimensions": dimensions, "Value": value}
        aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])


def before_backup(aws: ExampleAws, manifest: dict[str, Any]) -> None:
    """A backup that is complete; taking one needs a whole deployment, as that of test_permissions.py."""
    rds = aws.client("rds")
    tags = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "tracking", "MlflowBackup": "before-upgrade"}
    snapshot = "tracking-backup-before-upgrade"
    rds.create_db_snapshot(
        DBInstanceIdentifier="tracking",
        DBSnapshotIdentifier=snapshot,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=snapshot, WaiterConfig={"Delay": 1, "MaxAttempts": 1800}
    )
    aws.client("s3").put_object(
        Bucket=f"tracking-artifacts-{ACCOUNT}-{REGION}",
        Key="_backups/tracking/before-upgrade/manifest.json",
        Body=json.dumps(manifest).encode(),
    )


def before_restore(aws: ExampleAws) -> None:
    """A deployment that is at its backup; restoring one needs a whole deployment, as that of test_restore.py."""
    rds = aws.client("rds")
    [instance] = rds.describe_db_instances(DBInstanceIdentifier="tracking")["DBInstances"]
    value = "from=backup=before-upgrade begun=261123081500 state=done"
    rds.add_tags_to_resource(
        ResourceName=instance["DBInstanceArn"], Tags=[{"Key": "mlops.mlflow_aws:restored", "Value": value}]
    )


def before_users(server: MlflowServer) -> None:
    """A user who can be deleted."""
    body = {"username": "carl", "password": "made-up-for-the-examples-0004"}
    assert server.call("POST", "/api/2.0/mlflow/users/create", body) == 200


def before_permissions(server: MlflowServer, grant: Callable[[Doc], Doc]) -> None:
    """Users exist by now; the experiments, a model, and a permission to take away, which grant() gives."""
    for name in ("first", "churn", "third"):
        assert server.call("POST", "/api/2.0/mlflow/experiments/create", {"name": name}) == 200
    assert server.call("POST", "/api/2.0/mlflow/registered-models/create", {"name": "churn-classifier"}) == 200
    login = {"tracking_uri": server.url, "username": "admin", "password": server.password}
    granted = {**login, "user": "bob", "resource_id": "3", "permission": "READ"}
    assert grant(granted)["changed"]
