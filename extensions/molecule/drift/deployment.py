# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS resources of one deployment."""

from __future__ import annotations

from typing import Any

import boto3

ROLES = ("task", "execution", "infrastructure")
GROUPS = ("service", "database")
SECRETS = ("database", "login", "server")


class Deployment:
    """The AWS resources of one deployment, by their names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._session = boto3.session.Session()
        account = self.client("sts").get_caller_identity()["Account"]
        self.bucket = f"{name}-artifacts-{account}-{self._session.region_name}"
        self.iam, self.s3, self.ec2, self.rds = (self.client(service) for service in ("iam", "s3", "ec2", "rds"))
        self.ecs, self.logs, self.elbv2 = (self.client(service) for service in ("ecs", "logs", "elbv2"))
        self.secrets = self.client("secretsmanager")
        self.parameter_group = f"{name}-postgres16"
        self.log_group = f"/ecs/default/{name}"

    def client(self, service: str) -> Any:
        """Return a client."""
        return self._session.client(service)

    def role(self, kind: str) -> str:
        """Return the name of a role."""
        return f"{self.name}-{kind}-role"

    def secret(self, kind: str) -> str:
        """Return the name of a secret."""
        return f"{self.name}/{kind}"

    def group(self, kind: str) -> dict[str, Any]:
        """Return a security group."""
        filters = [{"Name": "group-name", "Values": [f"{self.name}-{kind}"]}]
        return self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]

    def instance(self) -> dict[str, Any]:
        """Return the RDS instance."""
        return self.rds.describe_db_instances(DBInstanceIdentifier=self.name)["DBInstances"][0]

    def service(self) -> dict[str, Any]:
        """Return the service as DescribeServices shows it."""
        return self.ecs.describe_services(services=[self.name], include=["TAGS"])["services"][0]

    def configuration(self) -> dict[str, Any]:
        """Return the active configuration of the service."""
        described = self.ecs.describe_express_gateway_service(serviceArn=self.service()["serviceArn"])
        [active] = described["service"]["activeConfigurations"]
        return active

    def rule(self) -> dict[str, Any]:
        """Return the listener rule of the service."""
        revision = self.configuration()["serviceRevisionArn"]
        [found] = self.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
        arn = found["ecsManagedResources"]["ingressPaths"][0]["rule"]["arn"]
        return self.elbv2.describe_rules(RuleArns=[arn])["Rules"][0]
