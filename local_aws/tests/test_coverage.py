# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the local AWS does, only records and refuses: coverage.toml, the page and the answers agree."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from running import PACKAGE
from running import LocalAws
from strict import NotAwsLikeError

from local_aws import coverage
from local_aws.coverage import Coverage

PAGE = Path(__file__).resolve().parents[2] / "docs" / "local-aws.md"
# ministack's module of a service, where it has another name.
MODULES = {"cognito-idp": "cognito", "elbv2": "alb", "logs": "cloudwatch_logs"}
# Services of ministack that record what they are asked for and do nothing, and services that it does not have.
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "backup": (
        "start_backup_job",
        {"BackupVaultName": "v", "ResourceArn": "arn:aws:s3:::b", "IamRoleArn": "arn:aws:iam::1:role/r"},
    ),
    "batch": ("describe_job_queues", {}),
    "ce": (
        "get_cost_and_usage",
        {"TimePeriod": {"Start": "2026-01-01", "End": "2026-02-01"}, "Granularity": "MONTHLY", "Metrics": ["x"]},
    ),
    "events": ("put_rule", {"Name": "nightly", "ScheduleExpression": "nonsense"}),
    "lambda": ("list_functions", {}),
    "pricing": ("describe_services", {}),
    "service-quotas": ("list_services", {}),
    "wafv2": ("list_web_acls", {"Scope": "REGIONAL"}),
}


@pytest.mark.parametrize("service", sorted(REFUSED))
def test_a_service_that_does_nothing_is_refused_with_a_sentence(local_aws: LocalAws, service: str) -> None:
    operation, parameters = REFUSED[service]
    with pytest.raises(
        ClientError, match=r"The local AWS does not implement [a-z0-9-]+:.*docs/local-aws\.md"
    ) as refusal:
        getattr(local_aws.client(service), operation)(**parameters)
    assert refusal.value.response["Error"]["Code"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("ec2", "run_instances", {"MinCount": 1, "MaxCount": 1, "ImageId": "ami-0"}, "InvalidAction"),
        ("iam", "generate_service_last_accessed_details", {"Arn": "arn:aws:iam::123456789012:role/r"}, "InvalidAction"),
        (
            "rds",
            "create_db_proxy",
            {
                "DBProxyName": "p",
                "EngineFamily": "POSTGRESQL",
                "RoleArn": "arn:aws:iam::123456789012:role/r",
                "VpcSubnetIds": ["s"],
            },
            "InvalidAction",
        ),
        (
            "s3",
            "select_object_content",
            {
                "Bucket": "b",
                "Key": "k",
                "Expression": "",
                "ExpressionType": "SQL",
                "InputSerialization": {},
                "OutputSerialization": {},
            },
            "NotImplemented",
        ),
        ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript"}, "UnknownOperationException"),
    ],
)
def test_an_operation_that_does_nothing_is_refused_in_its_protocol(
    local_aws: LocalAws, service: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError, match=f"The local AWS does not implement {service}:") as refusal:
        getattr(local_aws.client(service), operation)(**parameters)
    assert refusal.value.response["Error"]["Code"] == code


def test_every_listed_operation_exists_and_stands_in_one_list() -> None:
    session = botocore.session.Session()
    for service, lists in coverage.table().items():
        known = session.get_service_model(service).operation_names
        listed = [*lists.get("implemented", ()), *lists.get("records_only", ())]
        assert sorted(set(listed)) == sorted(listed), service
        assert set(listed) <= set(known), service
        assert bool(lists.get("effect")) == bool(lists.get("records_only")), service


@pytest.mark.long
def test_ministack_answers_every_listed_operation(new_local_aws: Callable[..., LocalAws]) -> None:
    """Each is sent with made-up input. REST services are left out: they tell an operation by the path alone."""
    aws = new_local_aws()
    aws.up()
    session = botocore.session.Session()
    unknown = []
    for service, lists in coverage.table().items():
        model = session.get_service_model(service)
        if model.resolved_protocol.startswith("rest"):
            continue
        client = aws.client(service, parameter_validation=False)
        # Endpoint rules ask for some members.
        names = {name: method for method, name in client.meta.method_to_api_mapping.items()}
        for operation in [*lists.get("implemented", ()), *lists.get("records_only", ())]:
            try:
                # Enumerations are not kept to, so an answer may be unlike AWS's.
                with contextlib.suppress(NotAwsLikeError):
                    getattr(client, names[operation])(**_made_up(model.operation_model(operation)))
            except ClientError as error:
                code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
                if code in ("InvalidAction", "UnknownOperationException") or "not implement" in message:
                    unknown.append(f"{service}:{operation}: {code} {message}")
    assert unknown == []


def test_ministacks_source_names_every_listed_operation() -> None:
    """A newer ministack without one of them is noticed here; REST services know paths, not names."""
    session = botocore.session.Session()
    folder = Path(importlib.util.find_spec("ministack").submodule_search_locations[0]) / "services"
    # Operations that are put into ministack's own table.
    added = PACKAGE / "local_aws" / "services" / "security_groups" / "handlers.py"
    for service, lists in coverage.table().items():
        if not session.get_service_model(service).resolved_protocol.startswith("rest"):
            source = (folder / f"{MODULES.get(service, service)}.py").read_text(encoding="utf-8")
            source += added.read_text(encoding="utf-8") if service == "ec2" else ""
            listed = [*lists.get("implemented", ()), *lists.get("records_only", ())]
            assert [name for name in listed if f'"{name}"' not in source] == [], service


def _made_up(model: Any) -> dict[str, Any]:
    """Something for each member that is required: nothing of that name exists."""
    shape = model.input_shape
    required = shape.required_members if shape is not None else []
    values = {"string": "none-such-4c1e", "map": {}, "structure": {}, "list": []}
    kinds = {name: shape.members[name].type_name for name in required}
    return {name: values[kind] for name, kind in kinds.items() if kind in values}


def test_the_page_lists_what_is_only_recorded() -> None:
    text = PAGE.read_text(encoding="utf-8")
    recorded = text.partition("<!-- records only: begin")[2].partition("<!-- records only: end")[0]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+?) \| (.+?) \|$", recorded, re.M)
    shown = {service: (set(re.findall(r"[A-Z][A-Za-z]+", operations)), effect) for service, operations, effect in rows}
    assert shown == {
        service: (set(lists["records_only"]), lists["effect"])
        for service, lists in coverage.table().items()
        if lists.get("records_only")
    }


def test_whatever_is_not_listed_is_refused() -> None:
    assert coverage.of("s3", "PutObject") is Coverage.IMPLEMENTED
    assert coverage.of("s3", "PutBucketReplication") is Coverage.RECORDS_ONLY
    assert coverage.of("s3", "RenameObject") is Coverage.REFUSED
    assert coverage.of("elasticloadbalancing", "CreateRule") is Coverage.IMPLEMENTED
    assert coverage.of("made-up", "GetAnything") is Coverage.REFUSED
