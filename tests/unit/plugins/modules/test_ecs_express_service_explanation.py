# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: why a deployment failed."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run


def test_timeout_explains(run: Run, ecs: FakeEcs) -> None:
    ecs.stuck = True
    result = run(full_params(wait_timeout=120))
    assert result["failed"]
    assert "not ready after 120 s" in result["msg"]
    assert "loadBalancer" in result["msg"]
    assert "Likely cause" in result["msg"]


def test_explanation_has_its_order(run: Run, ecs: FakeEcs) -> None:
    ecs.outcome, ecs.reason = "STOPPED", "deployment failed: tasks failed to start"
    ecs.events = [
        "(service tracking) has started 1 tasks: (task abc).",
        "(service tracking) (task abc) stopped: Essential container in task exited (exit code 255).",
        "(service tracking) (port 5000) is unhealthy in (target-group x)",
    ]
    ecs.tasks = [
        {
            "taskArn": f"{ACCOUNT}:task/default/{name}",
            "lastStatus": "STOPPED",
            "stoppedReason": "Essential container in task exited",
            "containers": [{"name": "Main", "exitCode": 255}],
        }
        for name in ("abc", "def")
    ]
    ecs.targets = [
        {
            "Target": {"Id": "10.0.0.1", "Port": 5000},
            "TargetHealth": {"State": "unhealthy", "Reason": "Target.FailedHealthChecks"},
        }
    ]
    ecs.log = [f"line {n}" for n in range(30)] + ["exec /bin/serve: exec format error"]
    result = run(full_params())
    message = result["msg"]
    marks = ["ECS says: ", "Event: ", "Resource: ", "Task: ", "Health: ", "Last lines", "Likely cause: ", "Remedy: "]
    places = [message.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "architecture" in result["explanation"]["likely_cause"]
    assert result["explanation"]["events"] == [ecs.events[-1]], "routine, and what the tasks' lines say, is no news"
    assert len(result["explanation"]["log"]) == 20
    fate = "STOPPED: Essential container in task exited; container Main: exit code 255"
    assert result["explanation"]["tasks"] == [f"task abc (and 1 more likewise) {fate}"]
    info = run({"service_name": "tracking", "explain": True}, module=ecs_express_service_info)["services"][0]
    assert "exec format error" in info["explanation"]["text"]


def test_explanation_survives_what_cannot_be_read(run: Run, ecs: FakeEcs) -> None:
    ecs.outcome, ecs.reason = "STOPPED", "tasks failed to start"
    denied = Answer("AccessDeniedException", "not allowed")
    for operation in ("ListTasks", "DescribeTargetHealth"):
        ecs.errors[operation] = [denied] * 9
    result = run(full_params())
    assert "tasks failed to start" in result["msg"]
    assert "the tasks could not be read" in result["msg"]


def test_tasks_and_events_of_an_older_service_of_the_name_are_not_blamed(run: Run, ecs: FakeEcs) -> None:
    ecs.now, ecs.stuck = 1000, True
    reason = "CannotPullContainerError: none"
    task = {"taskArn": f"{ACCOUNT}:task/default/old", "lastStatus": "STOPPED", "stoppedReason": reason}
    ecs.tasks = [{**task, "createdAt": ecs.moment(900), "containers": []}]
    ecs.events = ["(service tracking) " + reason]
    ecs.events_at = 900
    result = run(full_params(wait_timeout=30))
    assert "CannotPull" not in result["msg"]
    assert "still PROVISIONING: serviceSecurityGroups, loadBalancer, targetGroups" in result["explanation"]["resources"]


def test_log_is_found_by_the_task_definition(run: Run, ecs: FakeEcs) -> None:
    """The configuration of a revision that was rolled back is gone, and its log is elsewhere."""
    run(full_params())
    ecs.outcome, ecs.reason = "ROLLBACK_SUCCESSFUL", "tasks failed to start"
    task = {"taskArn": f"{ACCOUNT}:task/default/new", "lastStatus": "STOPPED", "stoppedReason": "x", "containers": []}
    ecs.tasks, ecs.log = [task], ["the last words"]
    params = full_params()
    params["primary_container"]["aws_logs_configuration"] = {"log_group": "/new", "log_stream_prefix": "other"}
    result = run(params)
    assert "Last lines of the log (/new other/Main/new)" in result["msg"]
