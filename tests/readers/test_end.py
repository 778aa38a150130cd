# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the deployment that all files here share: another controller destroys it."""

from __future__ import annotations

from typing import Any

from controllers import Controller


def test_another_controller_destroys(deployed: str, controller: Controller, variables: dict[str, Any]) -> None:
    aws = controller.aws
    given = {**variables, "mlflow_confirm_destroy": deployed}
    foretold = controller.play("destroy", given, "--check", "--diff").succeeded()
    played = controller.play("destroy", given).succeeded()
    assert foretold.changed == played.changed, f"{foretold.output}\n{played.output}"
    assert played.changed["localhost"] > 5
    [service] = aws.client("ecs").describe_services(cluster="default", services=[deployed])["services"] or [{}]
    assert service.get("status", "INACTIVE") == "INACTIVE"
    assert aws.client("rds").describe_db_instances()["DBInstances"] == []
    again = controller.play("destroy", given).succeeded()
    assert again.changed == {"localhost": 0}, again.output
