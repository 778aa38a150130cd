# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The likely cause of a failure and its remedy, for each entry of the failure catalogue."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import diagnose
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import remedies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Evidence

CAUSES: dict[str, tuple[Evidence, str, str]] = {
    "image": (
        Evidence(tasks=["task a STOPPED: CannotPullContainerError: pull image manifest has been retried 7 time(s)"]),
        "image cannot be pulled",
        "tag",
    ),
    "architecture": (
        Evidence(
            tasks=["task a STOPPED: Essential container in task exited; container Main: exit code 255"],
            log=["exec /usr/bin/python: exec format error"],
        ),
        "processor architecture",
        "cpu_architecture",
    ),
    "secret": (
        Evidence(
            tasks=[
                "task a STOPPED: ResourceInitializationError: unable to pull secrets or registry auth: execution "
                "resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException"
            ]
        ),
        "execution role cannot read",
        "GetSecretValue",
    ),
    "database": (
        Evidence(log=["sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at x failed"]),
        "database",
        "security group",
    ),
    # PostgreSQL 16, src/backend/utils/init/postinit.c; 15 and RDS word the end of it differently.
    "database connections": (
        Evidence(
            log=[
                "psycopg2.OperationalError: connection to server failed: FATAL:  "
                "remaining connection slots are reserved for roles with the SUPERUSER attribute"
            ]
        ),
        "no connection left",
        "fewer workers",
    ),
    "database clients": (
        Evidence(log=["OperationalError: connection to server failed: FATAL:  sorry, too many clients already"]),
        "no connection left",
        "larger instance class",
    ),
    "database certificate": (
        Evidence(
            log=[
                'psycopg2.OperationalError: connection to server at "db.example.com" (10.0.0.7), port 5432 failed: '
                "SSL error: certificate verify failed"
            ]
        ),
        "does not trust its database's certificate",
        "PGSSLROOTCERT",
    ),
    "another file at the index": (
        Evidence(
            log=[
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the",
                "    asgiref==3.13.0 from https://pypi.example.com/asgiref-3.13.0-py3-none-any.whl:",
            ],
            tasks=["task 1 STOPPED: Essential container in task exited; Main exit code 1"],
        ),
        "whose hash is pinned",
        "PIP_INDEX_URL",
    ),
    "package that the index lacks": (
        Evidence(
            log=["ERROR: No matching distribution found for asgiref==3.13.0 (from -r /tmp/tmp.X (line 1))"],
            tasks=["task 1 STOPPED: Essential container in task exited; Main exit code 1"],
        ),
        "does not have a package",
        "an image of your own",
    ),
    "database password": (
        Evidence(log=['FATAL:  password authentication failed for user "mlflow"']),
        "log in to its database",
        "credentials",
    ),
    "health path": (
        Evidence(targets=["target 1:5000 is unhealthy: Health checks failed with these codes: [404]"]),
        "path does not exist",
        "health_check_path",
    ),
    "login on the health path": (
        Evidence(targets=["target 1:5000 is unhealthy: Health checks failed with these codes: [401]"]),
        "401: the path needs a login",
        "/health",
    ),
    "forbidden health path": (
        Evidence(targets=["target 1:5000 is unhealthy: Health checks failed with these codes: [403]"]),
        "403",
        "/health",
    ),
    "architecture in the manifest": (
        Evidence(
            tasks=[
                "task a STOPPED: CannotPullContainerError: pull image manifest has been retried 7 time(s): image "
                "Manifest does not contain descriptor matching platform 'linux/amd64'"
            ]
        ),
        "processor architecture",
        "cpu_architecture",
    ),
    "server error": (
        Evidence(targets=["target 1:5000 is unhealthy: Health checks failed with these codes: [500]"]),
        "server error",
        "log",
    ),
    "slow": (
        Evidence(targets=["target 1:5000 is unhealthy: Target.Timeout Request timed out"]),
        "in time",
        "container_port",
    ),
    "host": (Evidence(log=["Rejected request with invalid Host header: ml-0.on.aws"]), "host name", "allowed hosts"),
    "host of the health check": (
        Evidence(
            targets=["target 1:5000 is unhealthy: Health checks failed with these codes: [403]"],
            log=["Rejected request with invalid Host header: 10.0.3.7:5000"],
        ),
        "host name",
        "/health",
    ),
    "host of the clients": (
        Evidence(
            status_reasons=["alarm triggered: x/RollbackAlarm"], log=["Rejected request with invalid Host header: ml-0"]
        ),
        "host name",
        "allowed hosts",
    ),
    "calls by address are no cause of an end": (
        Evidence(
            tasks=["task a STOPPED: Essential container in task exited; container Main: exit code 2"],
            log=["Rejected request with invalid Host header: 203.0.113.9", "Traceback"],
        ),
        "ends by itself",
        "command",
    ),
    "alarm": (
        Evidence(
            status_reasons=["deployment ROLLBACK_SUCCESSFUL: alarm(s) detected", "alarm triggered: x/RollbackAlarm"]
        ),
        "4xx or 5xx",
        "401, 404",
    ),
    "capacity": (
        Evidence(events=["(service x) was unable to place a task. Reason: Capacity is unavailable at this time."]),
        "no Fargate capacity",
        "later",
    ),
    "zones": (
        Evidence(resources=["loadBalancer is FAILED: subnets in Availability Zones other than the load balancer's"]),
        "Availability Zones",
        "zones of the VPC's first",
    ),
    "wedge": (
        Evidence(
            status_reasons=["deployment IN_PROGRESS"],
            resources=["loadBalancer is PROVISIONING: CreateLoadBalancer: AccessDenied: User is not authorized"],
        ),
        "infrastructure role was not allowed",
        "delete the service",
    ),
    "stuck": (
        Evidence(resources=["still PROVISIONING: loadBalancer, certificate"]),
        "has not finished",
        "half an hour",
    ),
    "memory": (
        Evidence(tasks=["task a STOPPED: OutOfMemoryError: Container killed due to memory usage"]),
        "more memory",
        "raise memory",
    ),
    "low port": (Evidence(log=["[Errno 13] error while attempting to bind: permission denied"]), "bind", "1024"),
    "log group": (
        Evidence(tasks=["task a STOPPED: failed to validate logger args: The specified log group does not exist."]),
        "log group is missing",
        "create the log group",
    ),
    "denied whatever the resource": (
        Evidence(
            resources=[
                "loadBalancer is FAILED: AccessDenied: User: arn:aws:sts::123456789012:assumed-role/infrastructure/ecs"
                " is not authorized to perform: ec2:DescribeAccountAttributes on resource: * because no identity-based"
                " policy allows the ec2:DescribeAccountAttributes action"
            ]
        ),
        "infrastructure role",
        "policy",
    ),
    "service-linked role": (
        Evidence(events=["Unable to assume the service linked role."]),
        "service-linked role",
        "create-service-linked-role",
    ),
    "exit": (
        Evidence(tasks=["task a STOPPED: Essential container in task exited; container Main: exit code 2"]),
        "ends by itself",
        "command",
    ),
    "unhealthy": (
        Evidence(targets=["target 1:5000 is unhealthy: Target.FailedHealthChecks"]),
        "health check",
        "0.0.0.0",
    ),
}


@pytest.mark.parametrize(("evidence", "cause", "remedy"), CAUSES.values(), ids=CAUSES)
def test_likely_cause(evidence: Evidence, cause: str, remedy: str) -> None:
    found, what_to_do = diagnose.likely_cause(evidence)
    assert cause in found
    assert remedy in what_to_do
    text = diagnose.render(evidence)
    assert text.endswith(f"Remedy: {what_to_do}.")


SETTINGS = remedies.ServiceSettings(
    cpu=1024,
    memory=4096,
    cpu_architecture="X86_64",
    image="example.com/app:1",
    container_port=80,
    health_check_path="/ping",
    log_group="/ecs/default/vision",
    secrets=(
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vision/login-AbCdEf:password::",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vision/server-AbCdEf:flask_secret_key::",
    ),
    subnets=("subnet-1", "subnet-2"),
    security_groups=("sg-1",),
    execution_role_arn="arn:aws:iam::123456789012:role/vision-execution-role",
    infrastructure_role_arn="arn:aws:iam::123456789012:role/vision-infrastructure-role",
    endpoint="vi-1.ecs.eu-central-1.on.aws",
)


@pytest.mark.parametrize(
    ("name", "numbers"),
    {
        "image": ["(example.com/app:1)", "vision-execution-role", "(subnet-1, subnet-2)"],
        "architecture": ["which is X86_64, to ARM64", "example.com/app:1"],
        "secret": ["vision/login", "vision/server", "to arn:aws:iam::123456789012:role/vision-execution-role"],
        "health path": ["it is /ping"],
        "login on the health path": ["it is /ping"],
        "forbidden health path": ["it is /ping"],
        "server error": ["/ecs/default/vision"],
        "slow": ["container_port (80)", "(sg-1)"],
        "host": ["(vi-1.ecs.eu-central-1.on.aws)", "called by ml-0.on.aws", "not /ping"],
        "capacity": ["than subnet-1, subnet-2", "than 1024 and 4096 MiB"],
        "zones": ["instead of subnet-1, subnet-2"],
        "wedge": ["vision-infrastructure-role"],
        "memory": ["4096 MiB (cpu 1024)", "set memory to 5120 or more"],
        "low port": ["instead of 80"],
        "log group": ["create the log group /ecs/default/vision"],
        "exit": ["/ecs/default/vision"],
        "unhealthy": ["(/ping)", "(80)"],
    }.items(),
)
def test_remedy_has_the_numbers_of_the_service(name: str, numbers: list[str]) -> None:
    evidence = dataclasses.replace(CAUSES[name][0], settings=SETTINGS)
    remedy = diagnose.likely_cause(evidence)[1]
    assert [one for one in numbers if one not in remedy] == [], remedy


@pytest.mark.parametrize(
    ("cpu", "memory", "advice"),
    [
        (256, 512, "set memory to 1024 or more"),
        (1024, 2048, "set memory to 3072 or more"),
        (1024, 8192, "set cpu to 2048 and memory to 9216 or more"),
        (2048, 16384, "set cpu to 4096 and memory to 17408"),
        (4096, 30720, "set cpu to 8192 and memory to 32768"),
        (16384, 122880, "no larger task"),
        (0, 0, "raise memory"),
    ],
)
def test_next_size_that_fargate_sells(cpu: int, memory: int, advice: str) -> None:
    settings = remedies.ServiceSettings(cpu=cpu, memory=memory)
    evidence = dataclasses.replace(CAUSES["memory"][0], settings=settings)
    remedy = diagnose.likely_cause(evidence)[1]
    assert advice in remedy
    assert (f"all of its {memory} MiB" in remedy) is bool(memory)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("memory", ["(mlflow_cpu 1024)", "set mlflow_memory to 5120 or more"]),
        ("architecture", ["set cpu_architecture"]),
        ("alarm", ["mlflow_rollback_on_alarm=false"]),
    ],
)
def test_remedy_names_the_variables_that_the_user_sets(name: str, parts: list[str]) -> None:
    variables = {
        "cpu": "mlflow_cpu",
        "memory": "mlflow_memory",
        "deployment_configuration.rollback_on_alarm": "mlflow_rollback_on_alarm",
    }
    evidence = dataclasses.replace(CAUSES[name][0], settings=SETTINGS, option_names=OptionNames(variables))
    remedy = diagnose.likely_cause(evidence)[1]
    assert [one for one in parts if one not in remedy] == [], remedy


def test_only_the_unreadable_secret_is_named() -> None:
    text = f"ResourceInitializationError: unable to retrieve secret from asm: {SETTINGS.secrets[1][:-18]}"
    remedy = diagnose.likely_cause(Evidence(tasks=[text], settings=SETTINGS))[1]
    assert "vision/server" in remedy
    assert "vision/login" not in remedy


@pytest.mark.parametrize(
    "said",
    [
        "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {} from "
        "secrets manager: AccessDeniedException: Access to KMS is not allowed status code: 400",
        "unable to retrieve secrets from ssm: service call has been retried 1 time(s): AccessDeniedException: The "
        "ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
        "allowed to access.",
    ],
)
def test_a_key_that_may_not_be_used_is_what_is_named(said: str) -> None:
    text = f"ResourceInitializationError: {said.format(SETTINGS.secrets[1][:-18])}"
    remedy = diagnose.likely_cause(Evidence(tasks=[text], settings=SETTINGS))[1]
    assert "kms:Decrypt" in remedy
    assert "allow kms:Decrypt on that key to" in remedy
    assert SETTINGS.execution_role_arn in remedy
    assert "GetSecretValue" not in remedy


def test_no_cause_is_made_up() -> None:
    log = ["memory usage 10 %", "GET /x 404", "RESOURCE: none", "is FAILED"]
    evidence = Evidence(status_reasons=["deployment STOPPED: something new"], tasks=["task a RUNNING"], log=log)
    assert diagnose.likely_cause(evidence) == ("", "")
    assert "Likely" not in diagnose.render(evidence)
