# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""As AWX and Ansible Automation Platform run a job: on a machine that nobody has used before, and nobody will again.

Credentials and region are all that comes from outside. Whatever a later run needs, AWS holds.
"""

from __future__ import annotations

from typing import Any

from controllers import Controller


def test_a_second_controller_finds_nothing_to_change(
    deployed: str, controller: Controller, variables: dict[str, Any]
) -> None:
    played = controller.play("deploy", variables).succeeded()
    assert played.changed == {"localhost": 0}, played.output


def test_a_third_one_says_so_beforehand(deployed: str, controller: Controller, variables: dict[str, Any]) -> None:
    played = controller.play("deploy", variables, "--check", "--diff").succeeded()
    assert played.changed == {"localhost": 0}, played.output
    assert "\n+++ after" not in played.output, played.output


def test_a_fourth_one_validates_and_shows_the_login(
    deployed: str, controller: Controller, variables: dict[str, Any]
) -> None:
    played = controller.play("validate", {**variables, "mlflow_demo": False}).succeeded()
    assert "is ready" in played.output
    played = controller.play("login", variables).succeeded()
    assert "User:     admin" in played.output
