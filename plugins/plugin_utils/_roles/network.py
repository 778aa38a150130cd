# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Check EC2's answers about the subnets of a deployment."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ec2.network import NEARLY_FULL

Answers = Mapping[str, typing.Any]
Subnets = Sequence[Mapping[str, typing.Any]]


def findings(answers: Answers) -> dict[str, typing.Any]:
    """Return facts about the network, with violations and warnings.

    Args:
        answers: variables and AWS's answers, see the filter C(network_findings).
    """
    subnets = answers["subnets"]
    databases = answers["database_subnets"] or subnets
    public = public_subnets(subnets, answers["route_tables"])
    found = next(_subnet_violations(answers, public), None)
    database = next(_database_violations(answers), None) if subnets else None
    return {
        "vpc_id": subnets[0]["vpc_id"] if subnets else "",
        "subnets": _ids(subnets),
        "database_subnets": _ids(databases),
        "availability_zones": _zones(subnets),
        "public": bool(public),
        "nearly_full": _nearly_full(subnets),
        "violations": [one for one in (found, database) if one],
        "warnings": _warnings(answers),
    }


def _warnings(answers: Answers) -> list[Violation]:
    admitted = answers["admitted"]
    if not admitted:
        return []
    return [
        Violation(
            "network_service_ingress_cidrs",
            f"lets {', '.join(admitted)} reach the tasks on port {answers['container_port']} over plain HTTP: logins"
            " and data are not encrypted on the way, and what the load balancer admits does not matter",
            "leave it empty if clients can use the load balancer's URL",
        )
    ]


def public_subnets(subnets: Subnets, route_tables: Subnets) -> list[str]:
    """Return the subnets with a route to an internet gateway.

    A subnet without a route table of its own has the VPC's main one.
    https://docs.aws.amazon.com/vpc/latest/userguide/configure-subnets.html
    """
    own: dict[str, bool] = {}
    main = False
    for table in route_tables:
        reaches = any(str(route.get("gateway_id") or "").startswith("igw-") for route in table.get("routes", ()))
        for association in table.get("associations", ()):
            if association.get("subnet_id"):
                own[association["subnet_id"]] = own.get(association["subnet_id"], False) or reaches
            elif association.get("main"):
                main = main or reaches
    return [one for one in _ids(subnets) if own.get(one, main)]


def _ids(subnets: Subnets) -> list[str]:
    return sorted(subnet["subnet_id"] for subnet in subnets)


def _zones(subnets: Subnets) -> list[str]:
    return sorted({subnet["availability_zone"] for subnet in subnets})


def _nearly_full(subnets: Subnets) -> list[str]:
    counted = ((one["subnet_id"], one.get("available_ip_address_count")) for one in subnets)
    return [f"{name} has {count}" for name, count in counted if count is not None and count < NEARLY_FULL]


def _subnet_violations(answers: Answers, public: Sequence[str]) -> Iterator[Violation]:
    """Yield violations of the subnets of load balancer and tasks, the most basic first."""
    subnets, named = answers["subnets"], answers["subnet_ids"]
    if not named and not subnets and not answers["default_vpcs"]:
        yield Violation(
            "network_subnet_ids",
            "has no default VPC, and network_subnet_ids is empty",
            "set network_subnet_ids to subnets in at least two availability zones of one VPC, or make a default VPC"
            " again (aws ec2 create-default-vpc)",
            subject="This region",
        )
    if missing := sorted(set(named) - set(_ids(subnets))):
        yield _missing("network_subnet_ids", missing)
    vpcs = list(dict.fromkeys(subnet["vpc_id"] for subnet in subnets))
    if len(vpcs) > 1:
        yield Violation("network_subnet_ids", f"spans the VPCs {', '.join(vpcs)}", "name subnets of one VPC only")
    # Amazon ECS Express Mode and RDS subnet groups both ask for two zones.
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-work.html
    zones = _zones(subnets)
    if len(zones) < 2:
        yield Violation(
            "network_subnet_ids",
            f"{'lies' if named else 'has default subnets'} in {', '.join(zones) or 'no availability zone'} only",
            "the load balancer and the database need subnets in at least two availability zones",
            subject="" if named else "The default VPC",
        )
    full = _nearly_full(subnets)
    # An existing deployment uses some of the addresses itself.
    if full and not answers["service_groups"]:
        yield Violation(
            "network_subnet_ids",
            f"needs {NEARLY_FULL} free addresses in each subnet, but {', '.join(full)}",
            "name others in network_subnet_ids",
            subject="The load balancer",
        )
    yield from _ingress_violations(answers, public)


def _ingress_violations(answers: Answers, public: Sequence[str]) -> Iterator[Violation]:
    """Yield violations if the subnets are not as public or private as requested.

    The route tables decide, not a parameter of Express Mode: with an internet gateway the load balancer faces the
    internet and the tasks get public addresses; else neither. One list of subnets serves both.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-work.html
    """
    ingress = answers["ingress"]
    closed = [one for one in _ids(answers["subnets"]) if one not in public]
    if ingress == "public" and closed:
        yield Violation(
            "network_ingress",
            f"is 'public', but the route tables of {', '.join(closed)} have no route to an internet gateway",
            "name subnets in network_subnet_ids that all have one, or set network_ingress to private",
        )
    if ingress == "private" and public and not answers["subnet_ids"]:
        yield Violation(
            "network_ingress",
            "is 'private', but network_subnet_ids is empty, and the default VPC's subnets are public",
            "set network_subnet_ids to subnets whose route tables lead to no internet gateway, and from which a NAT"
            " gateway or VPC endpoints lead to the image's registry, Amazon S3, CloudWatch Logs and Secrets Manager",
        )
    if ingress == "private" and public:
        yield Violation(
            "network_ingress",
            f"is 'private', but the route tables of {', '.join(sorted(public))} lead to an internet gateway, so that"
            " the server would be public",
            "name subnets in network_subnet_ids without such a route, or set network_ingress to public",
        )


def _database_violations(answers: Answers) -> Iterator[Violation]:
    """Yield violations of the database's own subnets, if there are any."""
    named, subnets = answers["database_subnet_ids"], answers["database_subnets"]
    if not named:
        return
    if missing := sorted(set(named) - set(_ids(subnets))):
        yield _missing("network_database_subnet_ids", missing)
    vpc = answers["subnets"][0]["vpc_id"]
    if outside := sorted(one["subnet_id"] for one in subnets if one["vpc_id"] != vpc):
        yield Violation(
            "network_database_subnet_ids",
            f"names {', '.join(outside)}, which is outside of the VPC of the tasks, {vpc}",
            "name subnets of that VPC",
        )
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html
    zones = _zones(subnets)
    if len(zones) < 2:
        yield Violation(
            "network_database_subnet_ids",
            f"lies in {', '.join(zones)} only",
            "the database needs subnets in at least two availability zones",
        )


def _missing(variable: str, missing: Sequence[str]) -> Violation:
    reason = f"names {', '.join(missing)}, which this account does not have in this region"
    return Violation(variable, reason, "check the ids and AWS_REGION")
