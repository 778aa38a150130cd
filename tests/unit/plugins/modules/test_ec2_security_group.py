# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_network import Ec2
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

RULE = {"from_port": 5432, "group_id": "sg-0123456789abcdef0", "description": "PostgreSQL"}
OFFICE = {"from_port": 5000, "to_port": 5010, "cidr_ip": "198.51.100.0/24"}
OUT = {"ip_protocol": "all", "cidr_ip": "0.0.0.0/0"}
GROUP = {
    "group_name": "tracking-database",
    "description": "The database",
    "vpc_id": "vpc-1",
    "ip_permissions": [RULE],
    "tags": {"Project": "mlflow"},
}
SHOWN = {
    "ip_protocol": "tcp",
    "from_port": 5432,
    "to_port": 5432,
    "group_id": "sg-0123456789abcdef0",
    "description": "PostgreSQL",
}
SHOWN_OUT = {"ip_protocol": "-1", "cidr_ip": "0.0.0.0/0"}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.ec2 = Ec2()
    return cloud


def run(cloud, **params):
    return cloud.run("ec2_security_group", **params)


def cycle(cloud, **params):
    return cloud.cycle("ec2_security_group", cloud.ec2, **params)


def rules(cloud, direction="ingress"):
    [group_id] = cloud.ec2.groups
    return cloud.ec2.rules[group_id][direction]


def test_four_steps(cloud):
    check, applied, _check, again = cycle(cloud, **GROUP)
    assert "group_id" not in check["security_group"]
    assert applied["security_group"] == again["security_group"]
    assert {**check["security_group"], "group_id": applied["security_group"]["group_id"]} == applied["security_group"]
    assert check["diff"] == {
        "before": {},
        "after": {
            "description": "The database",
            "ip_permissions": [SHOWN],
            "ip_permissions_egress": [SHOWN_OUT],
            "tags": {"Project": "mlflow"},
        },
    }


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"ip_permissions": []}, {"ip_permissions": []}),
        ({"ip_permissions": None}, {}),
        (
            {"ip_permissions": [OFFICE]},
            {"ip_permissions": [{**OFFICE, "ip_protocol": "tcp"}]},
        ),
        (
            {"ip_permissions": [OFFICE], "purge_ip_permissions": False},
            {"ip_permissions": [{**OFFICE, "ip_protocol": "tcp"}, SHOWN]},
        ),
        (
            {"ip_permissions": [{**RULE, "description": "Other"}]},
            {"ip_permissions": [{**SHOWN, "description": "Other"}]},
        ),
        ({"ip_permissions_egress": []}, {"ip_permissions_egress": []}),
        ({"tags": {"Team": "one"}}, {"tags": {"Team": "one"}}),
    ],
)
def test_each_change_is_shown_from_old_to_new(cloud, change, shown):
    run(cloud, **GROUP)
    wanted = {key: value for key, value in {**GROUP, **change}.items() if value is not None}
    if not shown:
        assert not run(cloud, **wanted)["changed"]
        return
    check, applied, _check, _again = cycle(cloud, **wanted)
    assert check["diff"] == applied["diff"]
    differing = [key for key in check["diff"]["after"] if check["diff"]["before"][key] != check["diff"]["after"][key]]
    assert {key: check["diff"]["after"][key] for key in differing} == shown


def test_a_rule_without_a_description_keeps_the_one_that_it_has(cloud):
    run(cloud, **GROUP)
    rule = {key: value for key, value in RULE.items() if key != "description"}
    assert not run(cloud, **{**GROUP, "ip_permissions": [rule]})["changed"]
    assert list(rules(cloud).values()) == ["PostgreSQL"]


def test_rules_are_added_before_others_are_removed(cloud):
    run(cloud, **GROUP)
    run(cloud, **{**GROUP, "ip_permissions": [OFFICE]})
    names = cloud.ec2.writes()
    assert names.index("revoke_security_group_ingress") > len(names) - 1 - names[::-1].index(
        "authorize_security_group_ingress"
    )


def test_rules_of_one_range_of_ports_are_told_apart(cloud):
    """AWS shows them as one permission with several networks."""
    both = [{"from_port": 443, "cidr_ip": "10.0.0.0/8"}, {"from_port": 443, "cidr_ip": "192.0.2.0/24"}]
    cycle(cloud, **{**GROUP, "ip_permissions": both})
    cycle(cloud, **{**GROUP, "ip_permissions": both[:1]})
    assert [rule[-1] for rule in rules(cloud)] == ["10.0.0.0/8"]


def test_networks_are_as_aws_keeps_them(cloud):
    networks = [{"from_port": 1, "cidr_ip": "10.1.2.3/8"}, {"from_port": 1, "cidr_ipv6": "2001:0DB8::0/32"}]
    cycle(cloud, **{**GROUP, "ip_permissions": networks})
    assert sorted(rule[-1] for rule in rules(cloud)) == ["10.0.0.0/8", "2001:db8::/32"]


def test_what_lets_everything_out_comes_back_and_others_stay(cloud):
    run(cloud, **GROUP)
    other = ("tcp", 25, 25, "IpRanges", "192.0.2.0/24")
    rules(cloud, "egress").clear()
    rules(cloud, "egress")[other] = ""
    cycle(cloud, **GROUP, ip_permissions_egress=[OUT], purge_ip_permissions_egress=False)
    assert [rule[-1] for rule in rules(cloud, "egress")] == ["192.0.2.0/24", "0.0.0.0/0"]


def test_another_description_is_an_error(cloud):
    run(cloud, **GROUP)
    assert "AWS cannot change it" in run(cloud, **{**GROUP, "description": "Other"})["msg"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"from_port": 1}, "needs one of cidr_ip"),
        ({"from_port": 1, "cidr_ip": "10.0.0.0/8", "group_id": "sg-1"}, "cidr_ip and group_id"),
        ({"cidr_ip": "10.0.0.0/8"}, "needs from_port"),
        ({"from_port": 1, "cidr_ip": "nonsense"}, "is not a network in CIDR notation"),
    ],
)
def test_a_rule_that_is_none(cloud, rule, told):
    assert told in run(cloud, **{**GROUP, "ip_permissions": [rule]})["msg"]
    assert cloud.ec2.writes() == []


def test_made_meanwhile(cloud):
    run(cloud, **GROUP)
    hidden = cloud.ec2.call_describe_security_groups
    answers: list[dict[str, Any]] = [{"SecurityGroups": []}]
    cloud.ec2.call_describe_security_groups = lambda **params: answers.pop() if answers else hidden(**params)
    assert run(cloud, **GROUP)["changed"]
    assert len(cloud.ec2.groups) == 1


def test_a_rule_that_an_attempt_has_added(cloud):
    run(cloud, **{**GROUP, "ip_permissions": []})
    cloud.ec2.faults["authorize_security_group_ingress"] = [error("InvalidPermission.Duplicate")]
    assert run(cloud, **GROUP)["changed"]


@pytest.mark.parametrize("by", ["name", "id"])
def test_absent_waits_for_what_still_holds_it(cloud, by):
    made = run(cloud, **GROUP)["security_group"]
    named = {"group_id": made["group_id"]} if by == "id" else {"group_name": made["group_name"], "vpc_id": "vpc-1"}
    cloud.ec2.faults["delete_security_group"] = [error("DependencyViolation")] * 3
    check, _applied, _check, _again = cycle(cloud, **named, state="absent")
    assert check["diff"]["before"]["ip_permissions"] == [SHOWN]
    assert cloud.ec2.groups == {}


def test_absent_says_what_holds_it_in_the_end(cloud):
    made = run(cloud, **GROUP)["security_group"]
    cloud.ec2.faults["delete_security_group"] = [error("DependencyViolation", message="has a dependent object")] * 100
    said = run(cloud, group_id=made["group_id"], state="absent", wait_timeout=30)["msg"]
    assert "has a dependent object" in said
