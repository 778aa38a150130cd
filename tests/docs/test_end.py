# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the deployment that all files here share: another controller destroys it."""

from __future__ import annotations

from typing import Any

import pexpect
import pytest
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


def test_commands_put_off_by_the_pages(deployed: str, controller: Controller, reader: dict[str, str]) -> None:
    """Commands of the documentation that destroy, typed by a user who is asked for the name; nothing is left."""
    put_off = controller.aws.home / "put-off"
    if not put_off.exists():
        pytest.fail("The documentation does not say how to destroy, or no page was run before.")
    for command in dict.fromkeys(put_off.read_text(encoding="utf-8").splitlines()):
        if command.startswith("make"):
            # It would stop the local AWS, which these tests do.
            continue
        output, code = pexpect.run(
            f"{controller.environment()['PATH'].split(':')[0]}/{command}",
            env=reader,
            cwd=str(controller.work),
            timeout=1800,
            withexitstatus=True,
            events={"Type its name": f"{deployed}\n"},
            encoding="utf-8",
        )
        assert code == 0, output
        assert " changed=0 " in output, output
