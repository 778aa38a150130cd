# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: the known causes of failed deployments, and the texts by which each is recognised. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import remedies


@dataclass(frozen=True)
class _Cause:
    pattern: re.Pattern[str]
    cause: str
    remedy: str | Callable[[remedies.Failure], str]
    in_log: bool
    given: re.Pattern[str] | None

    def matches(self, said: str, written: str) -> bool:
        """Return whether the cause matches what AWS said and the container wrote."""
        if self.given and not self.given.search(said):
            return False
        return bool(self.pattern.search(said) or (self.in_log and self.pattern.search(written)))


def _cause(
    pattern: str, cause: str, remedy: str | Callable[[remedies.Failure], str], *, in_log: bool = False, given: str = ""
) -> _Cause:
    """``in_log``: the container's own log is searched too. A log may hold anything, so only for unmistakable texts.

    ``given``: what AWS must say besides.
    """
    return _Cause(re.compile(pattern, re.I), cause, remedy, in_log, re.compile(given, re.I) if given else None)


# MLflow's words (mlflow/server/fastapi_security.py). Any client on the internet can cause such lines by calling the
# load balancer by its address, so they are to blame only where requests are refused, or where nothing else is.
_HOST = r"Invalid Host header|host not allowed|DNS rebinding"

_HOST_CAUSE = "the server refuses the host name it is called by"

# The first that matches wins: from the most specific to the most general. The texts matched are those of ECS ("Stopped
# tasks error messages" in its guide), Elastic Load Balancing (target health reasons), PostgreSQL's client and MLflow.
CAUSES = (
    _cause(
        r"exec format error|descriptor matching platform",
        "the image is built for another processor architecture",
        remedies.other_architecture,
        in_log=True,
    ),
    _cause(
        r"unable to (retrieve|pull) secrets?|secretsmanager:GetSecretValue|ssm:GetParameters|"
        r"invalid ssm parameters|secrets manager can't find|retrieve secret from",
        "the execution role cannot read one of the secrets, or the secret or its JSON key does not exist",
        remedies.readable_secrets,
    ),
    _cause(
        r"CannotPull\w*|pull access denied|manifest (unknown|for .* not found)|pull image manifest",
        "the image cannot be pulled",
        remedies.pullable_image,
    ),
    _cause(
        r"log group .*(does not exist|not found)|specified log group|failed to (validate logger|initialize logging)|"
        r"logs:Create",
        "the container's log group is missing or the execution role may not write to it",
        remedies.log_group,
    ),
    _cause(
        r"OutOfMemory|out of memory|memory usage",
        "the container needs more memory than the task has",
        remedies.more_memory,
    ),
    _cause(
        r"certificate verify failed|server certificate for .* does not match host name|"
        r"root certificate file .* does not exist",
        "the container does not trust its database's certificate",
        "give it the certificate of the authority that signed the database's (PGSSLROOTCERT), and the host name "
        "that the certificate is for",
        in_log=True,
    ),
    _cause(
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "the package index gave the task another file than the one whose hash is pinned, and pip refused it",
        "let the index serve PyPI's own wheels unchanged (PIP_INDEX_URL), or install them into an image of your own;"
        " the log names the package and both hashes",
        in_log=True,
    ),
    _cause(
        r"No matching distribution found for",
        "the package index does not have a package that the task installs when it starts, or cannot be reached",
        "check the way to the index (PIP_INDEX_URL), or install the packages into an image of your own",
        in_log=True,
    ),
    _cause(
        r"remaining connection slots are reserved|too many clients already|too many connections for (role|database)",
        "the database has no connection left: all that max_connections allows are open",
        "let the server open fewer (fewer workers, a smaller connection pool), take a larger instance class for the "
        "database, or see who else is connected (pg_stat_activity)",
        in_log=True,
    ),
    _cause(
        r"password authentication failed|no pg_hba\.conf entry|"
        r"(connection to server|could not connect to server|could not translate host name)|"
        r"psycopg2?\S*OperationalError|OperationalError.*(refused|timed? ?out|timeout)",
        "the container cannot reach or log in to its database",
        "check that the database is available, that its security group allows the service's, and the credentials",
        in_log=True,
    ),
    _cause(
        _HOST,
        _HOST_CAUSE,
        remedies.allowed_host,
        in_log=True,
        given=r"codes: \[403|RollbackAlarm|in ALARM|alarm triggered",
    ),
    _cause(
        r"Permission denied.*(bind|port)|bind.*permission denied",
        "the container's user may not bind the port",
        remedies.high_port,
        in_log=True,
    ),
    _cause(
        r"codes: \[401",
        "the health check is answered with 401: the path needs a login",
        remedies.open_path,
    ),
    _cause(
        r"codes: \[403",
        "the health check is answered with 403: the path needs a login, or the server refuses to be called by address",
        remedies.unconditional_path,
    ),
    _cause(
        r"codes: \[404",
        "the health check path does not exist in the container",
        remedies.existing_path,
    ),
    _cause(
        r"codes: \[5\d\d",
        "the container answers the health check with a server error",
        remedies.see_log,
    ),
    _cause(
        r"Capacity is unavailable|RESOURCE:\w|insufficient capacity",
        "AWS has no Fargate capacity for the task now",
        remedies.other_capacity,
    ),
    _cause(
        r"availability zones?.*(load balancer|subnet)|(load balancer|subnet).*availability zones?",
        "the subnets are in other Availability Zones than the load balancer that the VPC's Express services share",
        remedies.other_zones,
    ),
    _cause(
        r"service.linked role",
        "a service-linked role is missing",
        "create it: aws iam create-service-linked-role --aws-service-name elasticloadbalancing.amazonaws.com "
        "(and ecs.amazonaws.com), then delete the service and create it again",
    ),
    _cause(
        r"(LoadBalancer|DescribeAccountAttributes|SecurityGroup|elasticloadbalancing|infrastructure).{0,200}"
        r"(AccessDenied|not authorized|cannot assume|unable to assume)|"
        r"(AccessDenied|not authorized|cannot assume|unable to assume).{0,200}"
        r"(LoadBalancer|DescribeAccountAttributes|SecurityGroup|elasticloadbalancing|infrastructure)",
        "the infrastructure role was not allowed to make the service's resources, mostly because it was just created; "
        "ECS does not try again",
        remedies.allowed_infrastructure_role,
    ),
    _cause(
        r"RollbackAlarm|alarm(s)? (detected|triggered)|alarm triggered|in ALARM",
        "more than 1 % of the requests during the deployment were answered with 4xx or 5xx",
        remedies.tolerant_rollback,
    ),
    _cause(
        r"Target\.Timeout|Request timed out",
        "the container does not answer the load balancer in time on the container port",
        remedies.reachable_port,
    ),
    _cause(
        r"exit code (?!0\b|143\b)-?\d+|Essential container in task exited",
        "the container ends by itself",
        remedies.see_log_and_command,
    ),
    _cause(
        r"is unhealthy|failed (ELB|container|load balancer)? ?health checks?|Target\.FailedHealthChecks",
        "the container does not pass the load balancer's health check",
        remedies.healthy_path,
    ),
    _cause(
        r"ResourceInitializationError",
        "the task's resources could not be prepared",
        remedies.task_resources,
    ),
    _cause(
        r"is FAILED|still FAILED",
        "a resource that ECS manages could not be made",
        "see its reason above; delete the service and create it again once that is put right",
    ),
    _cause(_HOST, _HOST_CAUSE, remedies.allowed_host, in_log=True),
    _cause(
        r"is PROVISIONING|still PROVISIONING",
        "ECS has not finished making the service's resources; the first service of a VPC takes 10 to 25 minutes",
        "wait longer (run again). If nothing moves for half an hour, the infrastructure role was not effective in time "
        "or Elastic Load Balancing's service-linked role is missing: delete the service and create it again",
    ),
)

PROVISIONING = CAUSES[-1]

STUCK = (
    "ECS has given the service up: the infrastructure role was not effective in time, or Elastic Load Balancing's "
    "service-linked role is missing"
)
