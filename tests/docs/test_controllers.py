# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""As AWX and Ansible Automation Platform run a job: on a machine that was not used before and will not be again.

Credentials and region are all that comes from outside. Whatever a later run needs, AWS holds. The deployment was made
on a machine of which nothing is left.
"""

from __future__ import annotations

import json
from typing import Any

from controllers import Controller


def test_a_second_one_finds_nothing_to_change(deployed: str, controller: Controller, variables: dict[str, Any]) -> None:
    """By ansible-navigator, which hands the playbook to ansible-runner as AWX does; here without a container engine."""
    given = controller.work / "vars.json"
    given.write_text(json.dumps(variables), encoding="utf-8")
    command = ["ansible-navigator", "run", "mlops.mlflow_aws.deploy", "--execution-environment", "false"]
    command += ["--mode", "stdout", "--playbook-artifact-enable", "false", "-e", f"@{given}"]
    played = controller.run(command).succeeded()
    assert played.changed == {"localhost": 0}, played.output


def test_a_third_one_validates_and_shows_the_login(
    deployed: str, controller: Controller, variables: dict[str, Any]
) -> None:
    played = controller.play("validate", variables).succeeded()
    assert "is ready" in played.output
    played = controller.play("login", variables).succeeded()
    assert "User:     admin" in played.output
