# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of inputs share: ways to call the checks, and values that are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import arn_scope
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import deployment

ROLES = Path(__file__).resolve().parents[4] / "roles"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow/x-a1B2c3"
HERE = arn_scope.Scope("aws", "eu-central-1", "123456789012")


def said_of(check: Callable[..., list[Violation]], *given_values: Any) -> list[str]:
    """What a check says."""
    return [str(one) for one in check(*given_values)]


def problems_of(**given_values: Any) -> list[str]:
    """What is said about variables of a deployment."""
    return [str(one) for one in deployment.input_violations(given_values)]


def yaml_of(role: str, *path: str) -> Any:
    return yaml.safe_load((ROLES / role).joinpath(*path).read_text(encoding="utf-8"))
