# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-navigator runs the collection's playbooks, here without a container engine."""

from __future__ import annotations

import json
from typing import Any

from controllers import Controller


def test_ansible_navigator_deploys(deployed: str, controller: Controller, variables: dict[str, Any]) -> None:
    given = controller.work / "vars.json"
    given.write_text(json.dumps(variables), encoding="utf-8")
    command = ["ansible-navigator", "run", "mlops.mlflow_aws.deploy", "--execution-environment", "false"]
    command += ["--mode", "stdout", "--playbook-artifact-enable", "false", "-e", f"@{given}"]
    played = controller.run(command).succeeded()
    assert played.changed == {"localhost": 0}, played.output
