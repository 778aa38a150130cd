# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is described, and however ECS rewrites it: created, it is never seen to differ; edited, just the edit is.

The module runs as a whole, from its arguments to its JSON result, against an ECS in memory whose undocumented manners
are drawn too.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.common import warnings as ansible_warnings
from ansible.module_utils.testing import patch_module_args
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import EXECUTION_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import INFRASTRUCTURE_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import knows
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_behaviour import ABSENT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_behaviour import Behaviour
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT

Params = dict[str, Any]
Run = Callable[..., dict[str, Any]]
DRAWN = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the module with arguments on a given ECS; its result, which must not be a failure."""
    present: list[FakeEcs] = []
    made: dict[str, Any] = {}

    def fake_call(model: Any, params: Params, context: Any = None, **kwargs: Any) -> Any:
        return present[-1]._before_call(model, params, context, **kwargs)

    def keep(params: Params, model: Any, **_kwargs: Any) -> None:
        present[-1].sent["pending"] = params
        present[-1].sent[model.name] = copy.deepcopy(params)

    def client(service: str) -> Any:
        # Making one takes longer than all that is done with it.
        if service not in made:
            raw = FakeEcs().client(service)
            raw.meta.events.unregister("before-call")
            raw.meta.events.register("provide-client-params", keep)
            raw.meta.events.register_first("before-call", fake_call)
            made[service] = raw
        return made[service]

    def waiter(**kwargs: Any) -> Waiter:
        ecs = present[-1]
        return Waiter(**kwargs, sleep=ecs.sleep, clock=ecs.clock, wall=ecs.moment)

    monkeypatch.setattr(ecs_express_service, "make_clients", lambda _module: client)

    def run(ecs: FakeEcs, params: Params, check: bool = False) -> dict[str, Any]:
        present.append(ecs)
        basic = {"region": "eu-central-1", "access_key": "AKIAFAKEFAKEFAKEFAKE", "secret_key": "made-up-" * 4}
        arguments = {**basic, "_ansible_check_mode": check, "_ansible_diff": True, **params}
        out = io.StringIO()
        with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            ecs_express_service.main(make_waiter=waiter)
        getattr(ansible_warnings, "_global_warnings", {}).clear()
        result: dict[str, Any] = json.loads(out.getvalue())
        assert not result.get("failed"), result
        return result

    return run


# ---- what is drawn

plain_names = st.text("ABCXYZ_", min_size=1, max_size=4)
# No name is in both: ECS refuses that.
secret_names = st.text("STUVW", min_size=1, max_size=4)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=6)
others = (st.integers(-5, 99999), st.booleans(), st.floats(0, 9, allow_nan=False))
values = st.one_of(texts, *others)
tag_values = st.one_of(st.text("abcXYZ09_.:/=+-@", max_size=6), *others)
groups = st.lists(st.sampled_from(["sg-a", "sg-b", "sg-c"]), max_size=3, unique=True)
zones = st.sampled_from(["subnet-a", "subnet-b", "subnet-c", "subnet-d"])
no_subnets: list[str] = []
subnets = st.one_of(st.lists(zones, min_size=2, max_size=3, unique=True), st.just(no_subnets))
roles = st.sampled_from([f"arn:aws:iam::123456789012:role/{name}" for name in ("one", "two", "path/three")])
secrets = st.sampled_from([f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:{n}-AbCdEf" for n in "xy"])


def number(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[int | str]:
    """As a number, or as the text that a template makes of it."""
    return st.one_of(strategy, strategy.map(str))


def optional(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Params]:
    """Each member given, not given, or (but where Ansible has choices) given as null, which is the same."""
    chosen = ("cpu_architecture", "auto_scaling_metric", "purge_tags")
    either = {name: drawn if name in chosen else mostly(drawn) for name, drawn in members.items()}
    return st.fixed_dictionaries({}, optional=either)


def mostly(drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 5).flatmap(lambda number: st.none() if number == 5 else drawn)


networks = st.one_of(
    optional({"subnets": subnets, "security_groups": groups}),
    st.fixed_dictionaries({"subnets": subnets, "security_groups": groups}),
)
containers = st.builds(
    lambda image, more: {"image": image, **more},
    st.sampled_from(["x:1", "example.com/y@sha256:0"]),
    optional(
        {
            "container_port": number(st.one_of(st.just(80), st.integers(1, 65535))),
            "command": st.lists(texts, max_size=3),
            "environment": st.dictionaries(plain_names, values, max_size=4),
            "secrets": st.dictionaries(secret_names, secrets, max_size=3),
            "aws_logs_configuration": st.builds(
                lambda group, prefix: {"log_group": group, "log_stream_prefix": prefix},
                st.sampled_from(["/one", "/two"]),
                st.sampled_from(["ecs", "app"]),
            ),
            "repository_credentials": secrets.map(lambda arn: {"credentials_parameter": arn}),
        }
    ),
)
descriptions = st.builds(
    lambda container, execution, more: {"primary_container": container, "execution_role_arn": execution, **more},
    containers,
    roles,
    optional(
        {
            "task_role_arn": roles,
            "health_check_path": st.sampled_from(["/", "/health", "/ping?x=1", ""]),
            "cpu": st.sampled_from(["256", 512, "1024"]),
            "memory": st.sampled_from(["2048", 4096]),
            **({"cpu_architecture": st.sampled_from(["X86_64", "ARM64"])} if knows("cpuArchitecture") else {}),
            "network_configuration": networks,
            "scaling_target": optional(
                {
                    "min_task_count": number(st.integers(0, 3)),
                    "max_task_count": number(st.integers(3, 20)),
                    "auto_scaling_metric": st.sampled_from(["AVERAGE_CPU", "REQUEST_COUNT_PER_TARGET"]),
                    "auto_scaling_target_value": number(st.one_of(st.just(60), st.integers(1, 100))),
                }
            ),
            "tags": st.dictionaries(st.sampled_from(["team", "stage", "Name"]), tag_values, max_size=3),
            "purge_tags": st.booleans(),
            "cluster": st.sampled_from(["default", f"{ACCOUNT}:cluster/default"]),
        }
    ),
).map(lambda given: {"service_name": "tracking", "infrastructure_role_arn": INFRASTRUCTURE_ROLE, **given})
behaviour = st.builds(
    Behaviour,
    nothing=st.sampled_from([None, [], ABSENT]),
    fills=st.booleans(),
    merges=st.booleans(),
    scheme=st.sampled_from(["", "https://"]),
    newest_first=st.booleans(),
    tells_groups=st.booleans(),
    marks_groups=st.booleans(),
    managed_first=st.booleans(),
    own_tags=st.sampled_from([(), ("aws:ecs:serviceName", "aws:ecs:clusterName"), ("AmazonECSManaged",)]),
)


def changing(ecs: FakeEcs) -> int:
    return ecs.changing_calls


# ---- the properties


@pytest.mark.known_issue(5)
@DRAWN
@given(params=descriptions, how=behaviour)
def test_a_created_service_never_differs_from_its_description(go: Run, params: Params, how: Behaviour) -> None:
    ecs = FakeEcs(how)
    checked = go(ecs, params, check=True)
    assert changing(ecs) == 0
    first = go(ecs, params)
    assert first["changed"] is True
    assert first["diff"] == checked["diff"]
    assert first["url"] == f"https://{first['endpoint']}"
    assert "://" not in first["endpoint"]
    calls = changing(ecs)
    for check in (False, True, False):
        again = go(ecs, params, check=check)
        assert (again["changed"], again["diff"]) == (False, {"before": {}, "after": {}})
        assert again["url"] == first["url"]
    assert changing(ecs) == calls
    # The same said in another order is the same.
    turned = turned_round(params)
    assert go(ecs, turned)["changed"] is False


def turned_round(params: Params) -> Params:
    result = {key: turned_round(value) if isinstance(value, dict) else value for key, value in params.items()}
    for key in ("subnets", "security_groups"):
        if isinstance(result.get(key), list):
            result[key] = list(reversed(result[key]))
    return dict(reversed(result.items()))


@pytest.mark.known_issue(5)
@DRAWN
@given(params=descriptions, how=behaviour, data=st.data())
def test_an_edit_is_seen_as_exactly_that_edit(go: Run, params: Params, how: Behaviour, data: st.DataObject) -> None:
    ecs = FakeEcs(how)
    first = go(ecs, params)
    place = data.draw(st.sampled_from(places(params)))
    edited = copy.deepcopy(params)
    node = functools.reduce(lambda found, key: found[key], place[:-1], edited)
    node[place[-1]] = other(node[place[-1]])
    expected = ".".join(place)
    # Said alone, all else stays as well.
    task = alone(edited, place) if data.draw(st.booleans()) else edited
    checked = go(ecs, task, check=True)
    assert checked["changed"] is True
    assert paths(checked["diff"]["before"]) | paths(checked["diff"]["after"]) == {expected}
    if data.draw(st.booleans()):
        # Both revisions serve meanwhile; the one on its way is what counts.
        begun = go(ecs, {**task, "wait": False})
        assert begun["diff"] == checked["diff"]
        ecs.now += ecs.listed_after
        assert go(ecs, edited, check=True)["changed"] is False
        done = go(ecs, task)
        assert done["changed"] is False
    else:
        done = go(ecs, task)
        assert done["diff"] == checked["diff"]
    if place[0] == "tags":
        assert ecs.calls["UpdateExpressGatewayService"] == 0, "tags deployed something"
    assert go(ecs, edited)["changed"] is False
    # Nothing else has moved, whether ECS merges or replaces.
    assert moved(first["service"], done["service"]) <= {expected}


def alone(params: Params, place: tuple[str, ...]) -> Params:
    """The task that asks for nothing but what is at that place; some dictionaries are whole or not at all."""
    whole = ("environment", "secrets", "tags", "aws_logs_configuration", "repository_credentials")
    result: Params = {key: params[key] for key in ("service_name", "cluster", "purge_tags") if key in params}
    into, out_of = result, params
    for key in place:
        if key == place[-1] or key in whole:
            into[key] = out_of[key]
            return result
        into, out_of = into.setdefault(key, {}), out_of[key]
    return result


def places(params: Params, base: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where something is given that can be another value."""
    found: list[tuple[str, ...]] = []
    for key, value in params.items():
        path = (*base, key)
        if key in ("service_name", "infrastructure_role_arn", "cluster", "purge_tags"):
            continue
        if isinstance(value, dict):
            found += places(value, path)
        elif base[-1:] in (("environment",), ("tags",)) or value not in (None, ""):
            # An empty list of subnets asks for nothing, so it has nothing to be edited.
            found += [path] if (key, value) != ("subnets", []) else []
    return found


def other(value: Any) -> Any:
    """A value that means something else."""
    if isinstance(value, list):
        return [*value, "one-more"]
    if isinstance(value, bool) or value is None:
        return "another"
    if isinstance(value, (int, float)):
        # There is no port above.
        return value - 1 if value == 65535 else value + 1
    swapped = {
        "X86_64": "ARM64",
        "ARM64": "X86_64",
        "AVERAGE_CPU": "AVERAGE_MEMORY",
        "REQUEST_COUNT_PER_TARGET": "AVERAGE_CPU",
    }
    return swapped.get(value) or (str(other(int(value))) if value.isascii() and value.isdigit() else f"{value}7")


def paths(shown: Params, base: str = "") -> set[str]:
    """Dotted names of the leaves of a diff."""
    found: set[str] = set()
    for key, value in shown.items():
        found |= paths(value, f"{base}{key}.") if isinstance(value, dict) else {f"{base}{key}"}
    return found


def moved(before: Params, after: Params) -> set[str]:
    """Leaves that differ between two services as returned."""
    volatile = ("active_configurations", "service_revision_arn", "updated_at", "current_deployment")
    both = []
    for service in (before, after):
        shown = {k: v for k, v in service.items() if k not in volatile}
        flat: dict[str, Any] = {
            path: functools.reduce(lambda n, k: n[k], path.split("."), shown) for path in paths(shown)
        }
        network = "network_configuration.security_groups"
        flat[network] = sorted(set(flat.get(network) or []) - {"sg-managed"})
        both.append(flat)
    return {path for path in {*both[0], *both[1]} if both[0].get(path) != both[1].get(path)}


@pytest.mark.known_issue(5)
@DRAWN
@given(params=descriptions, wanted=descriptions, how=behaviour)
def test_any_description_becomes_any_other_in_one_update(
    go: Run, params: Params, wanted: Params, how: Behaviour
) -> None:
    ecs = FakeEcs(how)
    go(ecs, params)
    go(ecs, wanted)
    assert ecs.calls["UpdateExpressGatewayService"] <= 1
    again = go(ecs, wanted, check=True)
    assert again["changed"] is False, again["diff"]


@pytest.mark.known_issue(24)
@DRAWN
@given(
    name=st.sampled_from(["DB_PASSWORD", "API_KEY", "PGPASS", "A_TOKEN", "STORE_URI"]),
    before=st.text("abcdefgh0123456789", min_size=3, max_size=20),
    after=st.text("ijklmnopqrs", min_size=3, max_size=20),
)
def test_secret_values_are_nowhere_in_the_output(go: Run, name: str, before: str, after: str) -> None:
    """Not when it is created, changed, found unchanged, nor in check mode; ECS gets them all the same."""
    ecs = FakeEcs()
    marked = {value: f"value-{value}-of-secret" for value in (before, after)}

    def described(value: str) -> Params:
        text = f"postgresql://u:{marked[value]}@h/db" if name == "STORE_URI" else marked[value]
        container = {"image": "x:1", "environment": {name: text, "MODE": "plain"}}
        basic = {"service_name": "tracking", "infrastructure_role_arn": INFRASTRUCTURE_ROLE}
        return {**basic, "execution_role_arn": EXECUTION_ROLE, "primary_container": container}

    results = [go(ecs, described(value), check=check) for value in (before, after) for check in (True, False, True)]
    assert "MODE" in json.dumps(results)
    for value in marked.values():
        assert value not in json.dumps(results)
    assert marked[after] in json.dumps(ecs.sent["UpdateExpressGatewayService"])


# ---- reading what anybody may have made


def broken(whole: Any, data: st.DataObject) -> Any:
    """The document with members left out or null."""
    if isinstance(whole, dict):
        kept = {key: broken(value, data) for key, value in whole.items() if data.draw(st.booleans())}
        return {key: None if data.draw(st.integers(0, 5)) == 0 else value for key, value in kept.items()}
    if isinstance(whole, list):
        return [broken(item, data) for item in whole if data.draw(st.booleans())]
    return whole


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(params=descriptions, data=st.data())
def test_no_description_is_too_poor_to_be_read(params: Params, data: st.DataObject) -> None:
    config = {
        **transformations.to_boto(transformations.desired(params)),
        "serviceRevisionArn": "arn:r",
        "createdAt": None,
    }
    config["ingressPaths"] = [{"accessType": "PUBLIC", "endpoint": "x.on.aws"}]
    boto = {
        "serviceName": "x",
        "serviceArn": "arn:x",
        "cluster": "arn:cluster/default",
        "status": {"statusCode": "ACTIVE"},
        "tags": [{"key": "a", "value": "b"}],
        "activeConfigurations": [config],
    }
    # ECS requires the names of environment and secrets (botocore model); all else may be missing.
    poor = broken(boto, data)
    for item in poor.get("activeConfigurations") or []:
        for key in ("environment", "secrets"):
            if item.get("primaryContainer") and item["primaryContainer"].get(key):
                entries = item["primaryContainer"][key]
                item["primaryContainer"][key] = [entry for entry in entries if entry.get("name")]
    shown = transformations.service(poor)
    assert json.dumps(shown)
    assert shown["url"] in ("", "https://x.on.aws")
