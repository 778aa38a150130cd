# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by all unit tests: no test may reach an AWS account or read the caller's AWS configuration."""

from __future__ import annotations

import os

import hypothesis
import pytest

_AWS_PREFIXES = ("AWS_", "BOTO_", "EC2_")


def pytest_configure(config: pytest.Config) -> None:
    """Register the tests' own marker: ansible-test does not read pyproject.toml."""
    config.addinivalue_line("markers", "known_issue(number, ...): of test_known_issues.py, what the test is about")
    # No test fails because the machine is slow; by default one example has 200 ms.
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what would let a test find real credentials, an endpoint, or the machine's CA bundle."""
    for name in [name for name in os.environ if name.startswith(_AWS_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
