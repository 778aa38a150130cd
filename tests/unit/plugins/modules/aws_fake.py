# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for AWS services together, and a way to run a whole module against them."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import time
import typing

from ansible.module_utils.testing import patch_module_args

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import results
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_iam import Iam
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_iam import Sts
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_rds import Rds
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_s3 import S3
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_secretsmanager import SecretsManager
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake


class Cloud:
    """All of them, and the way to run a module."""

    def __init__(self, monkeypatch: typing.Any) -> None:
        self.iam, self.sts, self.secretsmanager, self.s3, self.rds = Iam(), Sts(), SecretsManager(), S3(), Rds()
        monkeypatch.setattr(AnsibleAWSModule, "client", lambda _self, service, **_more: getattr(self, service))
        # Where ansible-core takes this process for a controller, warnings go to the screen and not into the result.
        self.warnings: list[str] = []
        monkeypatch.setattr(results, "warn", self.warnings.append)
        self.sleeps: list[float] = []
        # Time only advances by sleep().
        self.clock = 0.0
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self.clock)

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock += seconds

    def run(self, module_name: str, check: bool = False, **params: typing.Any) -> dict:
        """Run a module as Ansible would and return what it printed."""
        module = importlib.import_module(f"ansible_collections.mlops.mlflow_aws.plugins.modules.{module_name}")
        given = {"region": REGION, "access_key": "AKIAUNLIKELYUNLIKELY", "secret_key": "unlikely-secret-key-of-a-test"}
        args = {**given, **params, "_ansible_check_mode": check, "_ansible_diff": True}
        out = io.StringIO()
        self.warnings.clear()
        with patch_module_args(args), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            module.main()
        self.printed = out.getvalue()
        return {**json.loads(self.printed), "warnings": list(self.warnings)}

    def cycle(self, module_name: str, fake: Fake, **params: typing.Any) -> list[dict]:
        """Check, apply, check, apply; assert what must hold for every module; return the four results."""
        results = []
        for step, check in enumerate((True, False, True, False)):
            before = len(fake.writes())
            result = self.run(module_name, check=check, **params)
            assert not result.get("failed"), result
            assert result["changed"] is (step < 2), (step, result["diff"])
            if check or step == 3:
                assert fake.writes()[before:] == [], "nothing may be written"
            if step >= 2:
                assert result["diff"]["before"] == result["diff"]["after"]
            results.append(result)
        return results
