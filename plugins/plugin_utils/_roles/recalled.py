# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The facts that the roles keep, taken from the state of a deployment that need not be converged."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import database
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import network

Resources = Mapping[str, Mapping[str, typing.Any]]
Facts = dict[str, typing.Any]

# What the role network keeps for a group that there is not.
_NO_GROUP = "sg-00000000000000000"


def facts(resources: Resources, settings: Mapping[str, typing.Any]) -> Facts:
    """Return the facts by their names.

    Args:
        resources: see the module C(mlflow_deployment_state).
        settings: see the filter C(deployment_facts).
    """
    service = resources["service"]
    endpoints = [path["endpoint"] for path in service.get("ingress_paths", []) if path.get("endpoint")]
    host = str(endpoints[0]).rpartition("://")[2].rstrip("/") if endpoints else ""
    return {
        **_network(resources),
        **_database(resources, settings),
        "bucket_id": settings["bucket"],
        "bucket_arn": f"arn:{settings['partition']}:s3:::{settings['bucket']}",
        "bucket_uri": f"s3://{settings['bucket']}/",
        "iam_task_role_arn": resources["iam_role_task"]["arn"],
        "iam_execution_role_arn": resources["iam_role_execution"]["arn"],
        "iam_infrastructure_role_arn": resources["iam_role_infrastructure"]["arn"],
        "ecs_express_service_arn": service["service_arn"],
        "ecs_express_url": f"https://{host}" if host else "",
        "auth_known": {
            "server": resources["secret_server"]["arn"],
            "login": resources.get("secret_login", {}).get("arn", ""),
            "subnets": resources["network"]["subnets"],
        },
    }


def _network(resources: Resources) -> Facts:
    subnets = resources["network"]["subnets"]
    ids = sorted(subnet["subnet_id"] for subnet in subnets)
    named = resources["network"]["database_subnets"]
    return {
        "network_vpc_id": subnets[0]["vpc_id"],
        "network_subnets": ids,
        "network_database_subnets": sorted(subnet["subnet_id"] for subnet in named) or ids,
        "network_availability_zones": sorted({subnet["availability_zone"] for subnet in subnets}),
        "network_public": bool(network.public_subnets(subnets, resources["network"]["route_tables"])),
        "network_service_security_group_id": _group(resources, "service"),
        "network_database_security_group_id": _group(resources, "database"),
    }


def _group(resources: Resources, which: str) -> str:
    """Return the id of a security group. Another VPC may have one of the same name."""
    vpc = resources["network"]["subnets"][0]["vpc_id"]
    names = (f"security_group_{which}", f"security_group_{which}_{vpc}")
    return next((str(resources[name]["group_id"]) for name in names if name in resources), _NO_GROUP)


def _database(resources: Resources, settings: Mapping[str, typing.Any]) -> Facts:
    endpoint = resources.get("database", {}).get("endpoint", {})
    existing = settings["existing_host"]
    return {
        "rds_effective_sslmode": database.sslmode(settings),
        "rds_ca_certificates": resources["task_definition"].get("environment", {}).get("DATABASE_CA_CERTIFICATES", ""),
        "rds_secret_arn": settings["existing_secret_arn"] if existing else resources["secret_database"]["arn"],
        "rds_login_secret_arn": resources.get("secret_database-login", {}).get("arn", ""),
        "rds_endpoint": existing or endpoint["address"],
        "rds_endpoint_port": settings["port"] if existing else endpoint["port"],
    }
