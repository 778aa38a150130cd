# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan says what would change, who asks for it, how long that takes, what is away meanwhile, and what it costs."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_causes
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_changes
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_effects
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Attribute

Data = dict[str, typing.Any]

PLACE = plan.Place("tracking", "123456789012", "us-east-1", zones=2)
INSTANCE: Data = {
    "db_instance_class": "db.t4g.micro",
    "multi_az": False,
    "storage_type": "gp3",
    "allocated_storage": 20,
    "backup_retention_period": 7,
}
SECRET: Data = {"description": "", "kms_key_id": "", "tags": {}, "version_id": "1", "scheduled_for_deletion": False}
SERVICE: Data = {
    "service_name": "tracking",
    "cpu": "1024",
    "memory": "4096",
    "scaling_target": {"min_task_count": 1, "max_task_count": 1},
    "network_configuration": {"subnets": ["subnet-1", "subnet-2"]},
    "deployment_configuration": {"canary_bake_time_in_minutes": 3, "bake_time_in_minutes": 3},
}


def result(module: str, name: str, before: Data, after: Data, **arguments: typing.Any) -> plan_changes.Result:
    """What is kept of a module's result."""
    given = {plan_changes.KINDS[module].name: name, **arguments}
    kept = plan_changes.reduced(
        module, given, {"changed": before != after, "diff": {"before": before, "after": after}, "secret": "made-up"}
    )
    assert kept is not None
    return kept


def deployed(before: Data | None = None, service: Data | None = None, **instance: typing.Any) -> list[Data]:
    """The results for a deployment of the default size: *before* of the service, and what the instance is to become."""
    return [
        result("secretsmanager_secret", "tracking/database", SECRET, SECRET),
        result("secretsmanager_secret", "tracking/login", SECRET, SECRET),
        result("secretsmanager_secret", "tracking/server", SECRET, SECRET),
        result("rds_postgresql_instance", "tracking", INSTANCE, {**INSTANCE, **instance}),
        result("ecs_express_service", "tracking", before or {}, service or {}, **{**SERVICE, **(service or {})}),
    ]


def new() -> list[Data]:
    """The results for a deployment that is not there yet."""
    return [
        {**one, "changed": True, "diff": {"before": {}, "after": one["diff"]["after"] or SERVICE}} for one in deployed()
    ]


def made(results: list[Data], **state: typing.Any) -> plan.Plan:
    """The plan."""
    return plan.make(results, PLACE, state)


# ---- what would change


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ({"tags": {"a": "1"}}, {"tags": {"a": "2", "b": "3"}}, [("tags.a", "1", "2"), ("tags.b", None, "3")]),
        ({"tags": {"a": "1"}}, {"tags": {}}, [("tags.a", "1", None)]),
        ({"iops": 1, "class": "x"}, {"iops": 1, "class": "y"}, [("class", "x", "y")]),
        ({"rules": [1, 2]}, {"rules": [2]}, [("rules", [1, 2], [2])]),
        ({"policy": {"Statement": [1]}}, {"policy": None}, [("policy", {"Statement": [1]}, None)]),
        ({}, {"tags": {}}, [("tags", None, {})]),
        ({}, {"group": "sg-00000000000000000"}, [("group", None, plan_changes.KNOWN_AFTER_APPLY)]),
    ],
)
def test_each_attribute_that_differs_is_there_once(before: Data, after: Data, differs: list[typing.Any]) -> None:
    assert list(plan_changes.attributes(before, after)) == [Attribute(*one) for one in differs]


@pytest.mark.parametrize(
    ("module", "before", "after", "action"),
    [
        ("s3_artifact_bucket", {}, {"tags": {}}, "create"),
        ("s3_artifact_bucket", {"tags": {}}, {"tags": {"a": "1"}}, "change"),
        ("rds_db_parameter_group", {"tags": {}}, {}, "delete"),
        ("ecs_express_service", {}, SERVICE, "create"),
        # It shows what differs alone: an environment variable that is new, or one that is gone.
        ("ecs_express_service", {}, {"primary_container": {"environment": {"A": "1"}}}, "change"),
        ("ecs_express_service", {"primary_container": {"environment": {"A": "1"}}}, {}, "change"),
        ("ecs_express_service", SERVICE, {**SERVICE, "infrastructure_role_arn": "new"}, "replace"),
        ("ecs_express_service", SERVICE, {}, "delete"),
    ],
)
def test_the_action_follows_from_the_diff(module: str, before: Data, after: Data, action: str) -> None:
    assert [one.action for one in plan_changes.resources([result(module, "x", before, after)])] == [action]


@pytest.mark.parametrize(
    "diff",
    [
        {"before": {"ecs": {"a": 1}, "rds": {}}, "after": {"ecs": {"a": 1}, "rds": {"a": 1}}},
        [{"before": {"a": 1}, "after": {"a": 1}}, {"before": {}, "after": {"a": 1}}],
    ],
    ids=["states by name, as of the module of service-linked roles", "a list of diffs"],
)
def test_of_a_list_of_resources_those_that_are_there_are_left_out(diff: Data) -> None:
    kept = plan_changes.reduced(
        "iam_service_linked_role",
        {"aws_service_name": ["ecs", "rds", "rds"]},
        {"changed": True, "diff": diff},
    )
    assert kept
    assert [(one.name, one.action) for one in plan_changes.resources([kept])] == [("rds", "create")]


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("ecs_express_service_info", {"changed": False}),
        ("s3_artifact_bucket", {"failed": True, "changed": True}),
        ("s3_artifact_bucket", {"skipped": True}),
    ],
)
def test_what_reads_or_fails_is_not_kept(module: str, found: Data) -> None:
    assert plan_changes.reduced(module, {"name": "x"}, found) is None


def test_a_module_that_is_not_known_is_shown_if_it_changes_something() -> None:
    kept = plan_changes.reduced("mlflow_user", {"name": "ana", "password": "made-up"}, {"changed": True})
    assert kept == {"module": "mlflow_user", "arguments": {}, "changed": True, "diff": {}}
    assert [one.title for one in plan_changes.resources([kept])] == ["mlflow_user"]


def test_arguments_that_a_plan_does_not_need_are_not_kept() -> None:
    kept = result("ecs_express_service", "tracking", {}, {}, primary_container={"environment": {"TOKEN": "made-up"}})
    assert kept["arguments"] == {"service_name": "tracking"}


# ---- who asks for it


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ({}, plan_causes.UNKNOWN),
        ({"applied": {}, "changed_by_hand": ["bucket"]}, plan_causes.UNKNOWN),
        # What could not be read is not there, and so looks as if it had been changed.
        ({"changed_by_hand": ["bucket"], "unknown": {"bucket": "AccessDenied"}}, plan_causes.UNKNOWN),
        ({"changed_by_hand": ["bucket"]}, plan_causes.BY_HAND),
        ({"changed_by_hand": ["bucket"], "variables_changed": True}, plan_causes.EITHER),
        ({"changed_by_hand": ["database"], "variables_changed": True}, plan_causes.VARIABLES),
        ({"applied": {"collection_version": "0.9.0"}}, plan_causes.COLLECTION),
    ],
)
def test_the_fingerprint_tells_the_cause(state: Data, cause: str) -> None:
    known = {"applied": {"collection_version": "1.0.0"}, "collection_version": "1.0.0", **state} if state else {}
    assert plan_causes.cause("bucket", known) == cause


@pytest.mark.parametrize(
    ("module", "name", "path", "part"),
    [
        ("ecs_express_service", "tracking", "primary_container.image", "task_definition"),
        ("ecs_express_service", "tracking", "allowed_cidrs", "listener_rule"),
        ("ecs_express_service", "tracking", "cpu", "service"),
        ("ec2_security_group", "my-team-service", "tags.a", "security_group_service"),
        ("iam_service_role", "my-team-execution-role", "tags.a", "iam_role_execution"),
        ("secretsmanager_secret", "tracking/login", "tags.a", "secret_login"),
        ("rds_postgresql_instance", "tracking", "iops", "database"),
        ("iam_service_linked_role", "ecs.amazonaws.com", "", ""),
    ],
)
def test_a_resource_is_found_in_the_state_of_the_deployment(module: str, name: str, path: str, part: str) -> None:
    assert plan_causes.part(plan_changes.Resource(module, "", name, "change"), Attribute(path, 1, 2)) == part


# ---- duration and downtime


@pytest.mark.parametrize(
    ("path", "before", "after", "multi_az", "downtime"),
    [
        ("db_instance_class", "db.t4g.micro", "db.t4g.small", False, True),
        ("engine_version", "16.4", "16.9", False, True),
        ("backup_retention_period", 0, 7, False, True),
        ("backup_retention_period", 7, 14, False, False),
        ("storage_type", "standard", "gp3", False, True),
        ("storage_type", "gp2", "gp3", False, False),
        ("allocated_storage", 20, 40, False, False),
        ("multi_az", False, True, False, False),
        ("tags.a", "1", "2", False, False),
    ],
)
def test_the_database_is_away_for_what_restarts_it(
    path: str, before: typing.Any, after: typing.Any, multi_az: bool, downtime: bool
) -> None:
    changed = plan_changes.Resource(
        "rds_postgresql_instance", "", "x", "change", (Attribute(path, before, after),), {"multi_az": multi_az}
    )
    assert bool(plan_effects.effects([changed], {}).downtime) is downtime


def test_a_standby_shortens_the_downtime() -> None:
    attribute = Attribute("db_instance_class", "a", "b")
    kept = [
        plan_changes.Resource("rds_postgresql_instance", "", "x", "change", (attribute,), {"multi_az": standby})
        for standby in (False, True)
    ]
    assert plan_effects.note(kept[0], attribute) != plan_effects.note(kept[1], attribute)


@pytest.mark.parametrize(
    ("path", "duration"),
    [
        ("memory", "about 9 to 15 minutes"),
        ("primary_container.environment.A", "about 9 to 15 minutes"),
        ("tags.a", "less than a minute"),
        ("allowed_cidrs", "less than a minute"),
        ("deployment_configuration.canary_percent", "less than a minute"),
    ],
)
def test_an_update_of_the_service_takes_a_canary_deployment(path: str, duration: str) -> None:
    changed = plan_changes.Resource("ecs_express_service", "", "x", "change", (Attribute(path, 1, 2),))
    baking = {"canary_bake_time_in_minutes": 3, "bake_time_in_minutes": 3}
    found = plan_effects.effects([changed], baking)
    assert (found.duration, found.downtime) == (duration, ())


def upgrade(**container: str) -> list[Data]:
    """The results of an upgrade, with what changes of the container besides its image."""
    before: Data = {"primary_container": {"image": "mlflow:v3.16.1-full"}}
    after: Data = {"primary_container": {"image": "mlflow:v3.17.2-full", **container}}
    upgraded = result("mlflow_upgrade", "tracking", {"version": "3.16.1"}, {"version": "3.17.2"})
    return [upgraded, *deployed(before, after)]


def test_an_upgrade_takes_the_server_away_and_its_container_needs_no_canary() -> None:
    found = made(upgrade(command="another one"))
    assert found.effects.duration == "about 9 to 35 minutes"
    [downtime] = found.effects.downtime
    assert "the server is away for 8 to 30 minutes" in downtime
    shown = plan.lines(found)
    [head] = [line for line in shown if "upgrade of tracking" in line]
    assert head.startswith("  ~ change   upgrade of tracking")
    [image] = [line for line in shown if "primary_container.image" in line]
    assert "while the server has no task" in image and "canary" not in "".join(shown)
    assert f"Downtime: {downtime}" in shown and shown[-1].endswith("about 9 to 35 minutes, downtime")


def test_what_an_upgrade_does_not_change_takes_a_canary_after_it() -> None:
    results = upgrade()
    results[-1]["diff"]["before"]["memory"], results[-1]["diff"]["after"]["memory"] = "4096", "8192"
    found = made(results)
    assert found.effects.most > 35
    assert "canary" in "".join(line for line in plan.lines(found) if "memory" in line)


def test_a_replaced_service_is_away() -> None:
    changed = plan_changes.Resource("ecs_express_service", "", "x", "replace")
    found = plan_effects.effects([changed], {})
    assert found.duration == "about 11 to 40 minutes"
    assert "URL changes" in found.downtime[0]


# ---- the whole plan


def test_an_unchanged_deployment_has_nothing_to_change() -> None:
    found = plan.as_data(made(deployed()))
    assert (found["changes"], found["resources"], found["summary"]) == (False, [], "Plan: nothing to change.")
    assert found["cost"]["before"] == found["cost"]["after"]
    # As docs/cost.md has it for the default size.
    assert found["cost"]["after"]["monthly_usd"] == 85.09


def test_what_is_not_there_yet_costs_nothing_before() -> None:
    found = made(new())
    assert (found.before.total, found.after.total) == (0, 85.09)
    assert plan.summary(found) == (
        "Plan: 5 to create, 0 to change, 0 to replace; +$85.09 a month; about 11 to 45 minutes, no downtime"
    )


def test_memory_and_database_class_change_the_cost() -> None:
    results = deployed({"memory": "4096"}, {"memory": "8192"}, db_instance_class="db.t4g.small")
    found = made(results, applied={"collection_version": "1.0.0"}, variables_changed=True)
    lines = plan.lines(found)
    assert found.before.total == 85.09
    assert found.after.total == pytest.approx(85.09 + 12.98 + 11.68)
    assert [line.split("  ")[-1] for line in lines if line.startswith("  ~ change")] == [
        "asked for by the variables",
        "asked for by the variables",
    ]
    assert [line.strip() for line in lines if "→" in line and "Cost" not in line] == [
        "db_instance_class  db.t4g.micro → db.t4g.small  (the database is away for some minutes)",
        "memory  4096 → 8192  (a new deployment, by a canary)",
    ]
    assert lines[-1] == (
        "Plan: 0 to create, 2 to change, 0 to replace; +$24.66 a month; about 14 to 35 minutes, downtime"
    )


def test_a_secret_that_is_scheduled_for_deletion_costs_nothing() -> None:
    results = deployed()
    results[0] = result("secretsmanager_secret", "x", {**SECRET, "scheduled_for_deletion": True}, SECRET)
    found = made(results)
    assert found.after.total == pytest.approx((found.before.total or 0) + 0.4)


def test_a_region_without_prices_has_no_cost() -> None:
    found = plan.make(deployed(), plan.Place("tracking", region="eu-south-2"), {})
    assert plan.as_data(found)["cost"]["after"]["monthly_usd"] is None
    assert "Cost: unknown, as there is no price list for eu-south-2" in plan.lines(found)


def test_parts_of_the_service_are_told_apart() -> None:
    results = deployed({"cpu": "512", "allowed_cidrs": ["10.0.0.0/8"]}, {"cpu": "1024", "allowed_cidrs": []})
    state = {"applied": {"collection_hash": "a"}, "collection_hash": "b", "changed_by_hand": ["listener_rule"]}
    [resource] = plan.as_data(plan.make(results, PLACE, state))["resources"]
    causes = {one["attribute"]: one["cause"] for one in resource["attributes"]}
    assert causes == {"allowed_cidrs": plan_causes.BY_HAND, "cpu": plan_causes.COLLECTION}


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (["a", "b"], ["b", "c"], "- a, + c"),
        (["a", "b"], ["b", "a"], '["a", "b"] → ["b", "a"]'),
        (None, "x", "(none) → x"),
        (True, False, "true → false"),
        ("", "x", '"" → x'),
        ("x" * 100, "y", f"{'x' * 71}… → y"),
    ],
)
def test_values_are_shown_in_a_few_characters(before: typing.Any, after: typing.Any, shown: str) -> None:
    assert plan.show_change_of(Attribute("x", before, after)) == shown


def test_resources_that_change_alike_are_shown_together() -> None:
    results = [
        result("secretsmanager_secret", f"tracking/{name}", SECRET, {**SECRET, "tags": {"Team": "vision"}})
        for name in ("database", "login")
    ]
    results.append(result("s3_artifact_bucket", "artifacts", {"tags": {"Team": "a"}}, {"tags": {"Team": "vision"}}))
    assert plan.lines(made(results))[1:-2] == [
        "  ~ change   2 resources alike",
        "            tags.Team  (none) → vision",
        "            secret tracking/database, secret tracking/login",
        "  ~ change   S3 bucket artifacts",
        "            tags.Team  a → vision",
        "Cause: what was changed by hand is not known, as no deployment has left its fingerprint",
    ]


def test_waiting_for_the_instance_says_nothing_about_its_cost() -> None:
    waited = result("rds_postgresql_instance", "tracking", {"db_instance_status": "modifying"}, {})
    assert made([*deployed(), {**waited, "changed": False}]).after.total == 85.09


def test_several_plans_make_a_table() -> None:
    plans = [plan.as_data(made(results)) for results in (deployed(), new())]
    assert plan.table(plans) == [
        "NAME      CREATE  CHANGE  REPLACE  DELETE  COST A MONTH    DURATION                DOWNTIME",
        "tracking  0       0       0        0       $85.09          -                       no",
        "tracking  5       0       0        0       $0.00 → $85.09  about 11 to 45 minutes  no",
    ]


def test_a_deployment_that_is_as_it_was_left_costs_what_it_costs() -> None:
    resources = {
        "service": {
            "cpu": "1024",
            "memory": "4096",
            "network_configuration": {"subnets": ["subnet-1", "subnet-2"]},
            "ingress_paths": [{"access_type": "PUBLIC"}],
        },
        "scaling": {"min_task_count": 1},
        "database": INSTANCE,
        **{f"secret_{name}": {} for name in ("database", "login", "server")},
    }
    made = plan.as_data(plan.make([], PLACE, {"resources": resources, "unchanged": True}))
    asked = plan.as_data(plan.make(deployed(SERVICE, SERVICE), PLACE, {}))
    assert (made["changes"], made["cost"]) == (False, asked["cost"])
    assert made["cost"]["before"]["monthly_usd"] > 0
    assert plan.as_data(plan.make([], PLACE, {"resources": resources}))["cost"]["before"]["monthly_usd"] == 0
