# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is, and what is not, a change of an Express service.

Names with numbers refer to issues of hashicorp/terraform-provider-aws.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations

Boto = dict[str, Any]


def container(**members: Any) -> Boto:
    return {"primaryContainer": {"image": "x:1", **members}}


def network(**members: Any) -> Boto:
    return {"networkConfiguration": members}


# name: (module parameters, what ECS describes, managed groups)
NO_CHANGE: dict[str, tuple[dict[str, Any], Boto, set[str] | None]] = {
    "nothing given": ({}, {"cpu": "1024", **container()}, None),
    "45792 environment in another order": (
        {"primary_container": {"environment": {"B": "1", "A": "2"}}},
        container(environment=[{"name": "A", "value": "2"}, {"name": "B", "value": "1"}]),
        None,
    ),
    "47070 secrets in another order": (
        {"primary_container": {"secrets": {"B": "arn:b", "A": "arn:a"}}},
        container(secrets=[{"name": "A", "valueFrom": "arn:a"}, {"name": "B", "valueFrom": "arn:b"}]),
        None,
    ),
    "47436 command given empty, described as null": (
        {"primary_container": {"command": []}},
        container(command=None),
        None,
    ),
    "47436 command given empty, described as []": ({"primary_container": {"command": []}}, container(command=[]), None),
    "command given empty, not described": ({"primary_container": {"command": []}}, container(), None),
    "environment given empty, described as []": (
        {"primary_container": {"environment": {}}},
        container(environment=[]),
        None,
    ),
    "secrets given empty, described as null": ({"primary_container": {"secrets": {}}}, container(secrets=None), None),
    "47437 own security group added, not known which": (
        {"network_configuration": {"security_groups": ["sg-1"]}},
        network(securityGroups=["sg-managed", "sg-1"]),
        None,
    ),
    "47908 own security group added, known": (
        {"network_configuration": {"security_groups": ["sg-2", "sg-1"]}},
        network(securityGroups=["sg-1", "sg-2", "sg-managed"]),
        {"sg-managed"},
    ),
    "47595 no groups given, one described": (
        {"network_configuration": {"subnets": ["a", "b"]}},
        network(subnets=["a", "b"], securityGroups=["sg-managed"]),
        {"sg-managed"},
    ),
    "47944 groups given empty, only ECS's there": (
        {"network_configuration": {"security_groups": []}},
        network(securityGroups=["sg-managed"]),
        {"sg-managed"},
    ),
    "the managed group named by the user": (
        {"network_configuration": {"security_groups": ["sg-1", "sg-managed"]}},
        network(securityGroups=["sg-1", "sg-managed"]),
        {"sg-managed"},
    ),
    "subnets in another order": (
        {"network_configuration": {"subnets": ["b", "a"]}},
        network(subnets=["a", "b"]),
        None,
    ),
    "49511 scaling defaults filled in": (
        {"scaling_target": {"min_task_count": 1, "max_task_count": 2}},
        {
            "scalingTarget": {
                "minTaskCount": 1,
                "maxTaskCount": 2,
                "autoScalingMetric": "AVERAGE_CPU",
                "autoScalingTargetValue": 60,
            }
        },
        None,
    ),
    "defaults given, not described": (
        {
            "cpu": "1024",
            "memory": "2048",
            "health_check_path": "/",
            "cpu_architecture": "X86_64",
            "scaling_target": {"auto_scaling_metric": "AVERAGE_CPU", "auto_scaling_target_value": 60},
            "primary_container": {"container_port": 80},
        },
        container(),
        None,
    ),
    "numbers as text": (
        {"cpu": 1024, "memory": 4096, "primary_container": {"environment": {"N": 1, "F": 1.5, "T": True, "X": ""}}},
        {
            "cpu": "1024",
            "memory": "4096",
            **container(
                environment=[
                    {"name": "F", "value": "1.5"},
                    {"name": "N", "value": "1"},
                    {"name": "T", "value": "true"},
                    {"name": "X", "value": ""},
                ]
            ),
        },
        None,
    ),
    "text as numbers": (
        {"primary_container": {"container_port": "5000"}, "scaling_target": {"min_task_count": "1"}},
        {**container(containerPort=5000), "scalingTarget": {"minTaskCount": 1}},
        None,
    ),
    "log configuration filled in": (
        {"primary_container": {"image": "x:1"}},
        container(awsLogsConfiguration={"logGroup": "/aws/ecs/default/x-1234", "logStreamPrefix": "ecs"}),
        None,
    ),
    "an empty list of subnets leaves the choice to ECS": (
        {"network_configuration": {"subnets": [], "security_groups": []}},
        network(subnets=["a", "b"], securityGroups=["sg-managed"]),
        {"sg-managed"},
    ),
    "variables left empty": (
        {"health_check_path": "", "cpu": " ", "execution_role_arn": "", "primary_container": {"image": ""}},
        {"executionRoleArn": "arn:x", "cpu": "512", "healthCheckPath": "/x", **container()},
        None,
    ),
    "min 0": ({"scaling_target": {"min_task_count": 0}}, {"scalingTarget": {"minTaskCount": 0}}, None),
    "task role given as empty text, none there": ({"task_role_arn": ""}, {}, None),
    "None in suboptions": (
        {"primary_container": {"image": "x:1", "command": None, "environment": None}},
        container(command=["a"], environment=[{"name": "A", "value": "1"}]),
        None,
    ),
    "task definition by family and revision": (
        {"task_definition_arn": "family:3"},
        {"taskDefinitionArn": "arn:aws:ecs:r:1:task-definition/family:3"},
        None,
    ),
    "task definition without revision": (
        {"task_definition_arn": "arn:aws:ecs:r:1:task-definition/family"},
        {"taskDefinitionArn": "arn:aws:ecs:r:1:task-definition/family:3"},
        None,
    ),
}


@pytest.mark.parametrize(("params", "boto", "managed"), NO_CHANGE.values(), ids=NO_CHANGE)
def test_no_change(params: dict[str, Any], boto: Boto, managed: set[str] | None) -> None:
    changes = compare.compare(transformations.desired(params), transformations.configuration(boto), managed)
    assert changes.paths == []
    assert not changes
    assert (changes.before, changes.after) == ({}, {})


# name: (module parameters, what ECS describes, managed groups, paths, before, after)
CHANGE: dict[str, tuple[dict[str, Any], Boto, set[str] | None, list[str], Any, Any]] = {
    "image": (
        {"primary_container": {"image": "x:2"}},
        container(),
        None,
        ["primary_container.image"],
        {"primary_container": {"image": "x:1"}},
        {"primary_container": {"image": "x:2"}},
    ),
    "one environment variable of several": (
        {"primary_container": {"environment": {"A": "1", "B": "3", "D": "4"}}},
        container(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]),
        None,
        ["primary_container.environment.B", "primary_container.environment.C", "primary_container.environment.D"],
        {"primary_container": {"environment": {"B": "2", "C": "3"}}},
        {"primary_container": {"environment": {"B": "3", "D": "4"}}},
    ),
    "an empty value is not an absent one": (
        {"primary_container": {"environment": {"A": ""}}},
        container(),
        None,
        ["primary_container.environment.A"],
        {},
        {"primary_container": {"environment": {"A": ""}}},
    ),
    "environment cleared": (
        {"primary_container": {"environment": {}}},
        container(environment=[{"name": "A", "value": "1"}]),
        None,
        ["primary_container.environment.A"],
        {"primary_container": {"environment": {"A": "1"}}},
        {},
    ),
    "command cleared": (
        {"primary_container": {"command": []}},
        container(command=["a"]),
        None,
        ["primary_container.command"],
        {"primary_container": {"command": ["a"]}},
        {"primary_container": {"command": []}},
    ),
    "order of a command matters": (
        {"primary_container": {"command": ["b", "a"]}},
        container(command=["a", "b"]),
        None,
        ["primary_container.command"],
        {"primary_container": {"command": ["a", "b"]}},
        {"primary_container": {"command": ["b", "a"]}},
    ),
    "a group missing": (
        {"network_configuration": {"security_groups": ["sg-1", "sg-2"]}},
        network(securityGroups=["sg-1", "sg-managed"]),
        None,
        ["network_configuration.security_groups"],
        {"network_configuration": {"security_groups": ["sg-1", "sg-managed"]}},
        {"network_configuration": {"security_groups": ["sg-1", "sg-2"]}},
    ),
    "a group too many": (
        {"network_configuration": {"security_groups": ["sg-1"]}},
        network(securityGroups=["sg-1", "sg-2", "sg-managed"]),
        {"sg-managed"},
        ["network_configuration.security_groups"],
        {"network_configuration": {"security_groups": ["sg-1", "sg-2"]}},
        {"network_configuration": {"security_groups": ["sg-1"]}},
    ),
    "cpu": ({"cpu": "2048"}, {"cpu": "1024"}, None, ["cpu"], {"cpu": "1024"}, {"cpu": "2048"}),
    "not the default, not described": ({"cpu": "2048"}, {}, None, ["cpu"], {}, {"cpu": "2048"}),
    "min 0 against 1": (
        {"scaling_target": {"min_task_count": 0}},
        {"scalingTarget": {"minTaskCount": 1}},
        None,
        ["scaling_target.min_task_count"],
        {"scaling_target": {"min_task_count": 1}},
        {"scaling_target": {"min_task_count": 0}},
    ),
    "log group": (
        {"primary_container": {"aws_logs_configuration": {"log_group": "/b", "log_stream_prefix": "ecs"}}},
        container(awsLogsConfiguration={"logGroup": "/a", "logStreamPrefix": "ecs"}),
        None,
        ["primary_container.aws_logs_configuration.log_group"],
        {"primary_container": {"aws_logs_configuration": {"log_group": "/a"}}},
        {"primary_container": {"aws_logs_configuration": {"log_group": "/b"}}},
    ),
    "task role cleared": (
        {"task_role_arn": ""},
        {"taskRoleArn": "arn:x"},
        None,
        ["task_role_arn"],
        {"task_role_arn": "arn:x"},
        {"task_role_arn": ""},
    ),
    "task definition": (
        {"task_definition_arn": "family:4"},
        {"taskDefinitionArn": "arn:aws:ecs:r:1:task-definition/family:3"},
        None,
        ["task_definition_arn"],
        {"task_definition_arn": "arn:aws:ecs:r:1:task-definition/family:3"},
        {"task_definition_arn": "family:4"},
    ),
    "a password in the environment": (
        {"primary_container": {"environment": {"DB_PASSWORD": "new", "URI": "pg://u:p@h"}}},
        container(environment=[{"name": "DB_PASSWORD", "value": "old"}]),
        None,
        ["primary_container.environment.DB_PASSWORD", "primary_container.environment.URI"],
        {"primary_container": {"environment": {"DB_PASSWORD": "(hidden)"}}},
        {"primary_container": {"environment": {"DB_PASSWORD": "(hidden, changed)", "URI": "(hidden, changed)"}}},
    ),
}


@pytest.mark.parametrize("case", CHANGE.values(), ids=CHANGE)
def test_change(case: tuple[dict[str, Any], Boto, set[str] | None, list[str], Any, Any]) -> None:
    params, boto, managed, paths, before, after = case
    changes = compare.compare(transformations.desired(params), transformations.configuration(boto), managed)
    assert changes.paths == paths
    assert changes.before == before
    assert changes.after == after
