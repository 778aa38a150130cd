# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

SUBNETS = {
    "db_subnet_group_name": "tracking",
    "db_subnet_group_description": "Subnets",
    "subnet_ids": ["subnet-b", "subnet-a"],
    "tags": {"Project": "mlflow"},
}
PARAMETERS = {
    "db_parameter_group_name": "tracking-postgres16",
    "db_parameter_group_family": "postgres16",
    "description": "Parameters",
    "parameters": {"rds.force_ssl": "1"},
    "tags": {"Project": "mlflow"},
}


class Groups(Fake):
    """Subnet groups and parameter groups."""

    def __init__(self) -> None:
        super().__init__()
        self.subnet_groups: dict[str, dict] = {}
        self.parameter_groups: dict[str, dict] = {}
        self.values: dict[str, str] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def _made(self, kind: str, name: str, tags: list) -> str:
        arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{name}"
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}
        return arn

    def call_create_db_subnet_group(
        self, DBSubnetGroupName: str, DBSubnetGroupDescription: str, SubnetIds: list, Tags: list
    ) -> dict:
        if DBSubnetGroupName in self.subnet_groups:
            raise error("DBSubnetGroupAlreadyExists")
        self.subnet_groups[DBSubnetGroupName] = {
            "DBSubnetGroupArn": self._made("subgrp", DBSubnetGroupName, Tags),
            "DBSubnetGroupName": DBSubnetGroupName,
            "VpcId": "vpc-1",
        }
        return self.call_modify_db_subnet_group(DBSubnetGroupName, DBSubnetGroupDescription, SubnetIds)

    def call_modify_db_subnet_group(
        self, DBSubnetGroupName: str, DBSubnetGroupDescription: str, SubnetIds: list
    ) -> dict:
        self.subnet_groups[DBSubnetGroupName].update(
            DBSubnetGroupDescription=DBSubnetGroupDescription,
            Subnets=[{"SubnetIdentifier": one} for one in SubnetIds],
        )
        return {}

    def call_describe_db_subnet_groups(self, DBSubnetGroupName: str) -> dict:
        if DBSubnetGroupName not in self.subnet_groups:
            raise error("DBSubnetGroupNotFoundFault")
        return {"DBSubnetGroups": [self.subnet_groups[DBSubnetGroupName]]}

    def call_delete_db_subnet_group(self, DBSubnetGroupName: str) -> dict:
        del self.subnet_groups[DBSubnetGroupName]
        return {}

    def call_create_db_parameter_group(
        self, DBParameterGroupName: str, DBParameterGroupFamily: str, Description: str, Tags: list
    ) -> dict:
        if DBParameterGroupName in self.parameter_groups:
            raise error("DBParameterGroupAlreadyExists")
        self.parameter_groups[DBParameterGroupName] = {
            "DBParameterGroupArn": self._made("pg", DBParameterGroupName, Tags),
            "DBParameterGroupName": DBParameterGroupName,
            "DBParameterGroupFamily": DBParameterGroupFamily,
            "Description": Description,
        }
        return {}

    def call_describe_db_parameter_groups(self, DBParameterGroupName: str) -> dict:
        if DBParameterGroupName not in self.parameter_groups:
            raise error("DBParameterGroupNotFound")
        return {"DBParameterGroups": [self.parameter_groups[DBParameterGroupName]]}

    def call_describe_db_parameters(self, **_params: str) -> dict:
        known = {"rds.force_ssl": "", "log_statement": "none", "max_connections": ""}
        values = {**known, **self.values}
        return {
            "Parameters": [
                {"ParameterName": name, **({"ParameterValue": value} if value else {})}
                for name, value in values.items()
            ]
        }

    def call_modify_db_parameter_group(self, Parameters: list, **_params: str) -> dict:
        assert len(Parameters) <= 20
        self.values.update({item["ParameterName"]: item["ParameterValue"] for item in Parameters})
        return {}

    def call_delete_db_parameter_group(self, DBParameterGroupName: str) -> dict:
        del self.parameter_groups[DBParameterGroupName]
        return {}

    def call_list_tags_for_resource(self, ResourceName: str) -> dict:
        return {"TagList": [{"Key": key, "Value": value} for key, value in self.tags[ResourceName].items()]}

    def call_add_tags_to_resource(self, ResourceName: str, Tags: list) -> dict:
        self.tags[ResourceName].update({tag["Key"]: tag["Value"] for tag in Tags})
        return {}

    def call_remove_tags_from_resource(self, ResourceName: str, TagKeys: list) -> dict:
        for key in TagKeys:
            del self.tags[ResourceName][key]
        return {}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.rds = typing.cast(typing.Any, Groups())
    return cloud


def subnets(cloud, **params):
    return cloud.cycle("rds_db_subnet_group", cloud.rds, **params)


def parameters(cloud, **params):
    return cloud.cycle("rds_db_parameter_group", cloud.rds, **params)


def differing(diff):
    return {key: (diff["before"][key], value) for key, value in diff["after"].items() if diff["before"][key] != value}


def test_subnet_group_four_steps(cloud):
    check, applied, _check, again = subnets(cloud, **SUBNETS)
    assert check["diff"]["after"]["subnet_ids"] == ["subnet-a", "subnet-b"]
    assert applied["db_subnet_group"] == again["db_subnet_group"]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"subnet_ids": ["subnet-c"]}, {"subnet_ids": (["subnet-a", "subnet-b"], ["subnet-c"])}),
        ({"db_subnet_group_description": "Other"}, {"db_subnet_group_description": ("Subnets", "Other")}),
        ({"tags": {"Team": "one"}}, {"tags": ({"Project": "mlflow"}, {"Team": "one"})}),
    ],
)
def test_each_change_of_a_subnet_group_is_shown_from_old_to_new(cloud, change, shown):
    cloud.run("rds_db_subnet_group", **SUBNETS)
    check, applied, _check, _again = subnets(cloud, **{**SUBNETS, **change})
    assert check["diff"] == applied["diff"]
    assert differing(check["diff"]) == shown


def test_subnet_group_made_meanwhile(cloud):
    cloud.run("rds_db_subnet_group", **{**SUBNETS, "subnet_ids": ["subnet-c"], "tags": {"By": "others"}})
    cloud.rds.faults["describe_db_subnet_groups"] = [error("DBSubnetGroupNotFoundFault")]
    assert cloud.run("rds_db_subnet_group", **SUBNETS)["changed"]
    assert cloud.rds.subnet_groups["tracking"]["Subnets"] == [
        {"SubnetIdentifier": "subnet-a"},
        {"SubnetIdentifier": "subnet-b"},
    ]
    assert list(cloud.rds.tags.values()) == [{"Project": "mlflow"}]


def test_subnet_group_absent(cloud):
    cloud.run("rds_db_subnet_group", **SUBNETS)
    subnets(cloud, db_subnet_group_name="tracking", state="absent")
    assert cloud.rds.subnet_groups == {}


def test_parameter_group_four_steps(cloud):
    check, applied, _check, again = parameters(cloud, **PARAMETERS)
    assert check["diff"]["after"]["parameters"] == {"rds.force_ssl": "1"}
    assert applied["db_parameter_group"] == again["db_parameter_group"]
    assert cloud.rds.values == {"rds.force_ssl": "1"}


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (
            {"parameters": {"rds.force_ssl": 0}},
            {"parameters": ({"rds.force_ssl": "1"}, {"rds.force_ssl": "0"})},
        ),
        (
            {"parameters": {"log_statement": "all"}},
            {"parameters": ({"log_statement": "none"}, {"log_statement": "all"})},
        ),
        (
            {"parameters": {"max_connections": 100}},
            {"parameters": ({"max_connections": ""}, {"max_connections": "100"})},
        ),
        ({"tags": {"Team": "one"}}, {"tags": ({"Project": "mlflow"}, {"Team": "one"})}),
    ],
)
def test_each_change_of_a_parameter_group_is_shown_from_old_to_new(cloud, change, shown):
    cloud.run("rds_db_parameter_group", **PARAMETERS)
    check, applied, _check, _again = parameters(cloud, **{**PARAMETERS, **change})
    assert check["diff"] == applied["diff"]
    assert differing(check["diff"]) == shown
    assert cloud.rds.values["rds.force_ssl"] == ("0" if "rds.force_ssl" in str(change) else "1")


@pytest.mark.parametrize("change", [{"db_parameter_group_family": "postgres17"}, {"description": "Other"}])
def test_what_aws_cannot_change_is_an_error(cloud, change):
    cloud.run("rds_db_parameter_group", **PARAMETERS)
    assert "RDS cannot change it" in cloud.run("rds_db_parameter_group", **{**PARAMETERS, **change})["msg"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_parameter_that_there_is_not_is_an_error(cloud, exists):
    if exists:
        cloud.run("rds_db_parameter_group", **PARAMETERS)
    other = {**PARAMETERS, "parameters": {"no_such": "1"}}
    assert "has no parameter no_such" in cloud.run("rds_db_parameter_group", **other)["msg"]


def test_parameter_group_made_meanwhile(cloud):
    cloud.run("rds_db_parameter_group", **{**PARAMETERS, "parameters": {}, "tags": {}})
    cloud.rds.faults["describe_db_parameter_groups"] = [error("DBParameterGroupNotFound")]
    assert cloud.run("rds_db_parameter_group", **PARAMETERS)["changed"]
    assert cloud.rds.values == {"rds.force_ssl": "1"}


def test_parameter_group_absent(cloud):
    cloud.run("rds_db_parameter_group", **PARAMETERS)
    parameters(cloud, db_parameter_group_name="tracking-postgres16", state="absent")
    assert cloud.rds.parameter_groups == {}
