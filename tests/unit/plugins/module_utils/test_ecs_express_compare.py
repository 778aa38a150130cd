# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is, and what is not, a change of an Express service.

Names with numbers refer to issues of hashicorp/terraform-provider-aws.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError

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


@pytest.mark.parametrize(
    ("wanted", "current", "purge", "expected"),
    [
        (None, {"a": "1"}, True, ({}, [])),
        ({}, {"a": "1"}, True, ({}, ["a"])),
        ({}, {"a": "1"}, False, ({}, [])),
        ({"a": "1"}, {"a": "1"}, True, ({}, [])),
        ({"a": "2", "b": "true"}, {"a": "1", "c": "3"}, True, ({"a": "2", "b": "true"}, ["c"])),
    ],
)
def test_tags(wanted: Any, current: dict[str, str], purge: bool, expected: Any) -> None:
    assert compare_tags(current, predict_tags(current, wanted, purge)) == expected


def test_tags_become_text_as_those_of_the_other_modules_do() -> None:
    values = {"text": "x", "number": 1.5, "yes": True, 2026: 7}
    given = transformations.given_tags(values)
    assert given == {"text": "x", "number": "1.5", "yes": "true", "2026": "7"} == tags_from_aws(tags_to_aws(given))
    with pytest.raises(EcsExpressError, match=r"tags\['list'\] is a list, but must be a text"):
        transformations.given_tags({"list": []})
    with pytest.raises(EcsExpressError, match=r"tags\['Owner'\] is null, but must be a text"):
        transformations.given_tags({"Owner": None})


def test_tags_of_aws_do_not_count() -> None:
    own = ("aws:ecs:serviceName", "aws:ecs:clusterName", "aws:cloudformation:stack-name", "AmazonECSManaged")
    boto = {"tags": [{"key": k, "value": "v"} for k in ("mine", *own)]}
    assert transformations.tags(boto) == {"mine": "v"}
    assert transformations.tags({"tags": None}) == {}


@pytest.mark.parametrize("key", ["aws:ecs:serviceName", "AWS:x", "AmazonECSManaged"])
def test_tags_of_aws_cannot_be_given(key: str) -> None:
    with pytest.raises(EcsExpressError, match=r"AWS's own|set by Amazon ECS itself"):
        transformations.given_tags({"team": "x", key: "y"})
    transformations.given_tags({"team": "x", "laws:x": "y"})
    assert transformations.given_tags(None) is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 256, "naïve"])
def test_name_that_ecs_refuses(name: str) -> None:
    with pytest.raises(EcsExpressError, match="service_name is"):
        transformations.check_service_name(name)
    transformations.check_service_name("Tracking_2-x")


def test_name_in_environment_and_secrets() -> None:
    with pytest.raises(EcsExpressError, match=r"A is in primary_container\.environment and in"):
        transformations.desired({"primary_container": {"environment": {"A": "1", "B": "2"}, "secrets": {"A": "arn:x"}}})


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_environment_takes_no_structures(value: Any) -> None:
    with pytest.raises(
        EcsExpressError, match=r"primary_container\.environment\['A'\] is a (list|dictionary), but must be a text"
    ):
        transformations.desired({"primary_container": {"environment": {"A": value}}})


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "x", True),
        ("PGPASS", "x", True),
        ("DB_PWD", "x", True),
        ("MLFLOW_CRYPTO_KEK_PASSPHRASE", "x", True),
        ("FERNET_KEY", "x", True),
        ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "x", True),
        ("DSN", "host=h user=u password=q7x", True),
        ("CONNECTION", "Endpoint=sb://x/;SharedAccessKey=q7x", True),
        ("CERTIFICATE", "-----BEGIN RSA PRIVATE KEY-----\nMII", True),
        ("PASS_THROUGH", "x", False),
        ("PWD", "/srv", False),
        ("BYPASS", "x", False),
        ("PASSENGERS", "x", False),
        ("SORT_KEY", "x", False),
        ("FLASK_SERVER_SECRET_KEY", "x", True),
        ("API_TOKEN", "x", True),
        ("STORE_URI", "postgresql://user:pass@host/db", True),
        ("STORE_URI", "postgresql://user@host/db", False),
        ("SECRET_ARN", "arn:x", False),
        ("PASSWORD_FILE", "/run/x", False),
        ("MODE", "plain", False),
        ("URL", "https://host:5000/a@b", False),
    ],
)
def test_what_looks_secret(name: str, value: str, secret: bool) -> None:
    assert transformations.is_likely_secret(name, value) is secret


@pytest.mark.parametrize("told", ["a.b", "https://a.b", "https://a.b/", "http://a.b"])
def test_47944_endpoint_with_or_without_scheme(told: str) -> None:
    boto = {"activeConfigurations": [None, {"ingressPaths": [None, {"endpoint": None}, {"endpoint": told}]}]}
    assert transformations.endpoint(boto) == "a.b"
    assert transformations.service(boto)["url"] == "https://a.b"


@pytest.mark.parametrize(
    "boto", [{}, {"activeConfigurations": None}, {"activeConfigurations": [{"ingressPaths": None}]}]
)
def test_endpoint_that_is_not_there_yet(boto: Boto) -> None:
    assert (transformations.endpoint(boto), transformations.url("")) == ("", "")


@pytest.mark.parametrize(
    ("cluster", "name"), [(None, "default"), ("x", "x"), ("arn:aws:ecs:eu-central-1:1:cluster/x", "x")]
)
def test_47277_cluster_as_name_or_arn(cluster: str | None, name: str) -> None:
    assert transformations.cluster_name(cluster) == name


def test_the_deployments_target_is_the_configuration_that_counts() -> None:
    """Two are active during an update, in an order that AWS does not document."""
    old, new = {"serviceRevisionArn": "old", "createdAt": 1}, {"serviceRevisionArn": "new", "createdAt": 2}
    for configs in ([old, new], [new, old]):
        service = {"activeConfigurations": configs}
        assert transformations.newest_configuration(service) is new
        assert transformations.newest_configuration(service, "old") is old
        assert transformations.newest_configuration(service, "unknown") is new
    assert transformations.newest_configuration({"activeConfigurations": None}) is None


# ---- properties: whatever is described and read back is equal, and each single edit is seen as exactly that edit

names = st.text("ABCXYZ_", min_size=1, max_size=4)
secret_names = st.text("STUVW", min_size=1, max_size=4)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=6)
lists = st.lists(texts, max_size=3)
ids = st.lists(st.sampled_from(["a1", "b2", "c3", "d4"]), max_size=3, unique=True)
arns = st.sampled_from(["arn:1", "arn:2", "arn:3"])


def optional(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


services = optional(
    {
        "execution_role_arn": arns,
        "task_role_arn": arns,
        "health_check_path": st.sampled_from(["/", "/health", "/ping?x=1"]),
        "cpu": st.sampled_from(["256", "1024", 2048]),
        "memory": st.sampled_from(["2048", 4096]),
        "cpu_architecture": st.sampled_from(["X86_64", "ARM64"]),
        "network_configuration": optional({"subnets": ids.filter(bool), "security_groups": ids}),
        "scaling_target": optional(
            {
                "min_task_count": st.integers(0, 3),
                "max_task_count": st.integers(1, 20),
                "auto_scaling_metric": st.sampled_from(["AVERAGE_CPU", "AVERAGE_MEMORY"]),
                "auto_scaling_target_value": st.integers(1, 100),
            }
        ),
        "primary_container": optional(
            {
                "image": st.sampled_from(["x:1", "y@sha256:0"]),
                "container_port": st.integers(1, 65535),
                "command": lists,
                "environment": st.dictionaries(names, texts | st.integers() | st.booleans(), max_size=4),
                "secrets": st.dictionaries(secret_names, arns, max_size=3),
                "aws_logs_configuration": st.fixed_dictionaries({"log_group": arns, "log_stream_prefix": arns}),
                "repository_credentials": st.fixed_dictionaries({"credentials_parameter": arns}),
            }
        ),
    }
)
MANAGED = {"sg-managed"}
DEFAULTS = {"cpu": "1024", "memory": "2048", "healthCheckPath": "/"}


def as_ecs_describes(boto: Boto, nothing: Any, reverse: bool) -> Boto:
    """ECS's answer for what was sent; ``nothing`` is how it shows an empty list."""
    answer = {**DEFAULTS, **copy.deepcopy(boto)}
    inner = answer.setdefault("primaryContainer", {})
    inner.setdefault("containerPort", 80)
    for key in ("environment", "secrets"):
        inner[key] = sorted(inner.get(key) or [], key=lambda item: item["name"], reverse=reverse) or nothing
    inner["command"] = inner.get("command") or nothing
    nets = answer.setdefault("networkConfiguration", {})
    groups = nets.get("securityGroups") or []
    nets["securityGroups"] = ["sg-managed", *groups] if reverse else [*groups, "sg-managed"]
    scaling = {"minTaskCount": 1, "maxTaskCount": 20, "autoScalingMetric": "AVERAGE_CPU", "autoScalingTargetValue": 60}
    answer["scalingTarget"] = {**scaling, **(answer.get("scalingTarget") or {})}
    return answer


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(params=services, nothing=st.sampled_from([None, []]), reverse=st.booleans(), known=st.booleans())
def test_what_was_described_reads_back_as_equal(
    params: dict[str, Any], nothing: Any, reverse: bool, known: bool
) -> None:
    wanted = transformations.desired(params)
    current = transformations.configuration(as_ecs_describes(transformations.to_boto(wanted), nothing, reverse))
    assert compare.compare(wanted, current, MANAGED if known else None).paths == []


def other(value: Any) -> Any:
    """A value that means something else."""
    if isinstance(value, list):
        return [*value, "one-more"]
    return {"X86_64": "ARM64", "ARM64": "X86_64"}.get(value) or (value + 1 if isinstance(value, int) else f"{value}7")


def leaves(config: dict[str, Any], base: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in config.items():
        found += leaves(value, (*base, key)) if isinstance(value, dict) else [(*base, key)]
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(params=services, data=st.data(), reverse=st.booleans())
def test_a_single_edit_is_seen_as_exactly_that(params: dict[str, Any], data: st.DataObject, reverse: bool) -> None:
    wanted = transformations.desired(params)
    places = leaves(wanted)
    if not places:
        return
    current = transformations.configuration(as_ecs_describes(transformations.to_boto(wanted), None, reverse))
    place = data.draw(st.sampled_from(places))
    edited = copy.deepcopy(wanted)
    node = edited
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = other(node[place[-1]])
    changes = compare.compare(edited, current, MANAGED)
    assert changes.paths == [".".join(place)]
    # and what is sent brings about what is wanted, whether ECS merges or replaces
    sent = transformations.to_boto(compare.update(edited, current, changes, MANAGED))
    described = transformations.configuration(as_ecs_describes(sent, None, reverse))
    for field in changes.fields:
        assert compare.compare({field: edited[field]}, described, MANAGED).paths == []


@settings(max_examples=100, deadline=None)
@given(params=services, other_params=services)
def test_an_update_converges(params: dict[str, Any], other_params: dict[str, Any]) -> None:
    """From any description to any other in one update; fields that were not asked for stay."""
    current = transformations.configuration(
        as_ecs_describes(transformations.to_boto(transformations.desired(params)), None, False)
    )
    wanted = transformations.desired(other_params)
    changes = compare.compare(wanted, current, MANAGED)
    sent = compare.update(wanted, current, changes, MANAGED)
    boto = {**transformations.to_boto(current), **transformations.to_boto(sent)}
    groups = boto.get("networkConfiguration", {}).get("securityGroups", [])
    if groups:
        boto["networkConfiguration"]["securityGroups"] = [group for group in groups if group not in MANAGED]
    after = transformations.configuration(as_ecs_describes(boto, None, False))
    assert compare.compare(wanted, after, MANAGED).paths == []
    untouched = {k: v for k, v in current.items() if k not in wanted}
    assert compare.compare(untouched, after, MANAGED).paths == []
