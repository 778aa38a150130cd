# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is described and read back is equal, and each single edit is seen as exactly that edit."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations

Boto = dict[str, Any]

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
