# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_allow_list: the service's own rule gets the networks and keeps everything else."""

from __future__ import annotations

import json
from typing import Any

import botocore.exceptions
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_allow_list

_CREDENTIALS = {
    "access_key": "AKIAMADEUPMADEUPMADE",
    "secret_key": "made-up-made-up-made-up-0001",
    "region": "us-east-1",
}
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/default/tracking"
REVISION = "arn:aws:ecs:us-east-1:123456789012:service-revision/default/tracking/1"
RULE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/shared/1/2/3"
HOST = "tr-0123456789abcdef0123456789abcdef.ecs.us-east-1.on.aws"
OFFICE, VPN = "198.51.100.0/24", "203.0.113.7/32"


class FakeAws:
    """One service with its rule, as ECS and Elastic Load Balancing show them."""

    def __init__(self) -> None:
        self.status = "ACTIVE"
        self.rule = RULE
        self.conditions: list[dict[str, Any]] = [
            {"Field": "host-header", "Values": [HOST], "HostHeaderConfig": {"Values": [HOST]}}
        ]
        self.modified: list[dict[str, Any]] = []
        self.denied = False

    def describe_services(self, **_given: Any) -> dict[str, Any]:
        return {"services": [{"serviceArn": SERVICE, "status": self.status}] if self.status else []}

    def describe_express_gateway_service(self, **_given: Any) -> dict[str, Any]:
        return {"service": {"serviceArn": SERVICE, "activeConfigurations": [{"serviceRevisionArn": REVISION}]}}

    def describe_service_revisions(self, **_given: Any) -> dict[str, Any]:
        path = {"rule": {"arn": self.rule}} if self.rule else {}
        return {"serviceRevisions": [{"ecsManagedResources": {"ingressPaths": [path]}}]}

    def describe_rules(self, **given: Any) -> dict[str, Any]:
        assert given["RuleArns"] == [RULE]
        return {"Rules": [{"RuleArn": RULE, "Conditions": self.conditions}]}

    def modify_rule(self, **given: Any) -> None:
        if self.denied:
            error = {"Error": {"Code": "AccessDenied", "Message": "User is not authorized to perform: ModifyRule"}}
            raise botocore.exceptions.ClientError(error, "ModifyRule")
        assert set(given) == {"RuleArn", "Conditions"}
        for condition in given["Conditions"]:
            # ELB refuses a condition that says the same in the older and the newer way.
            assert "Field" in condition
            assert len(condition) == 2
        self.modified.append(given)
        self.conditions = given["Conditions"]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """Both services."""
    fake = FakeAws()
    fake_meta = type("Meta", (), {"service_model": type("M", (), {"operation_names": ["CreateExpressGatewayService"]})})
    monkeypatch.setattr(fake, "meta", fake_meta, raising=False)
    monkeypatch.setattr(AnsibleAWSModule, "client", lambda *_args, **_kwargs: fake)
    return fake


def run(capsys: pytest.CaptureFixture[str], cidrs: list[str], *, check: bool = False) -> dict[str, Any]:
    """Run the module."""
    given = {**_CREDENTIALS, "service_name": "tracking", "cidrs": cidrs, "_ansible_check_mode": check}
    with patch_module_args(given), pytest.raises(SystemExit):
        ecs_express_allow_list.main()
    return json.loads(capsys.readouterr().out)


def test_adds_networks_and_keeps_the_host_name(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, [VPN, OFFICE, VPN])
    assert (result["changed"], result["cidrs"], result["rule_arn"]) == (True, [OFFICE, VPN], RULE)
    assert aws.conditions == [
        {"Field": "host-header", "HostHeaderConfig": {"Values": [HOST]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": [OFFICE, VPN]}},
    ]
    assert run(capsys, [OFFICE, VPN])["changed"] is False
    assert len(aws.modified) == 1


def test_replaces_and_removes_them(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, [OFFICE])
    result = run(capsys, [VPN])
    assert result["diff"] == {"before": {"cidrs": [OFFICE]}, "after": {"cidrs": [VPN]}}
    assert run(capsys, [])["changed"] is True
    assert [condition["Field"] for condition in aws.conditions] == ["host-header"]
    assert run(capsys, [])["changed"] is False


def test_check_mode_changes_nothing(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, [OFFICE], check=True)["changed"] is True
    assert aws.modified == []
    aws.status = ""
    result = run(capsys, [OFFICE], check=True)
    assert (result["changed"], result["rule_arn"]) == (True, "")


@pytest.mark.parametrize("status", ["", "DRAINING", "INACTIVE"])
def test_a_service_that_is_not_there(aws: FakeAws, capsys: pytest.CaptureFixture[str], status: str) -> None:
    aws.status = status
    result = run(capsys, [OFFICE])
    assert result["failed"] is True
    assert "no active Express Mode service 'tracking' in cluster 'default'" in result["msg"]


def test_a_rule_that_is_not_there_yet(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.rule = ""
    assert "has not made a listener rule" in run(capsys, [OFFICE])["msg"]


def test_more_networks_than_a_rule_takes(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    four = [f"198.51.100.{number}/32" for number in range(4)]
    assert run(capsys, four)["changed"] is True
    aws.conditions[0]["HostHeaderConfig"]["Values"].append("mlflow.example.com")
    message = run(capsys, [*four[:3], OFFICE])["msg"]
    assert "cidrs has 4 networks, but the service's listener rule takes 3" in message
    assert len(aws.modified) == 1


def test_what_is_not_a_network(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'198.51.100.7/24' in cidrs is not a network" in run(capsys, ["198.51.100.7/24"])["msg"]


def test_what_aws_refuses_is_said(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.denied = True
    assert "change the service's listener rule" in run(capsys, [OFFICE])["msg"]
