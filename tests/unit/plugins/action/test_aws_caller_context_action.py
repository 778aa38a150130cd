# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts share the account that AWS tells them, if they ask as the same caller in the same region."""

from __future__ import annotations

import json
import multiprocessing
import types
from pathlib import Path
from typing import Any

import pytest
from ansible import constants

from ansible_collections.mlops.mlflow_aws.plugins.action import aws_caller_context
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _direct_action
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _shared_reads

KEY_ID = "AKIAMADEUPANDUNLIKELY"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the module was run with."""
    calls: list[dict[str, Any]] = []

    def run_module(_name: str, arguments: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
        calls.append({**arguments, **environment})
        told = {"account_id": str(len(calls)), "region": environment.get("AWS_REGION", arguments.get("region"))}
        return {"rc": int(arguments.get("region") == "nowhere"), "stdout": json.dumps(told), "stderr": ""}

    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(_direct_action, "run_module", run_module)
    return calls


def ask(task: str = "one", arguments: dict[str, Any] | None = None, **environment: str) -> dict[str, Any]:
    """Run the task of one host; what the module told."""
    action = object.__new__(aws_caller_context.ActionModule)
    action._task = types.SimpleNamespace(_uuid=task)
    told: dict[str, Any] = json.loads(action._run_module("m", arguments or {}, environment)["stdout"])
    return told


def test_hosts_that_are_the_same_caller_ask_once(asked: list[dict[str, Any]]) -> None:
    first = ask(arguments={"_ansible_tmpdir": "/tmp/a"}, AWS_REGION="eu-central-1")
    assert ask(arguments={"_ansible_tmpdir": "/tmp/b"}, AWS_REGION="eu-central-1") == first
    assert len(asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"AWS_REGION": "us-east-1"},
        {"AWS_REGION": "eu-central-1", "AWS_PROFILE": "another"},
        {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": KEY_ID},
        {"AWS_REGION": "eu-central-1", "AWS_CONFIG_FILE": "/home/another/config"},
        {"AWS_REGION": "eu-central-1", "arguments": {"profile": "another"}},
        {"AWS_REGION": "eu-central-1", "arguments": {"endpoint_url": "https://127.0.0.1:1"}},
        {"AWS_REGION": "eu-central-1", "task": "two"},
    ],
)
def test_other_regions_credentials_and_tasks_share_nothing(asked: list[dict[str, Any]], other: dict[str, Any]) -> None:
    first, second = ask(AWS_REGION="eu-central-1"), ask(**other)
    assert (first["account_id"], second["account_id"]) == ("1", "2")
    assert (first["region"], second["region"]) == ("eu-central-1", other["AWS_REGION"])
    assert len(asked) == 2


def test_another_environment_of_ansible_itself_counts(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    ask()
    assert len(asked) == 2


def test_each_asks_again_after_a_failure(asked: list[dict[str, Any]]) -> None:
    for _host in range(3):
        ask(arguments={"region": "nowhere"})
    assert len(asked) == 3


def test_no_credentials_are_kept(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    ask(AWS_ACCESS_KEY_ID=KEY_ID, AWS_REGION="eu-central-1")
    [kept] = tmp_path.iterdir()
    assert KEY_ID not in kept.read_text(encoding="utf-8") + kept.name
    assert kept.stat().st_mode & 0o077 == 0


def _reader(folder: str, results: Any) -> None:
    constants.DEFAULT_LOCAL_TMP = folder
    me = multiprocessing.current_process().name
    results.put(_shared_reads.read("same", lambda: {"rc": 0, "stdout": me})["stdout"])


def test_forks_wait_for_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    forks = [context.Process(target=_reader, args=(str(tmp_path), results)) for _number in range(4)]
    for fork in forks:
        fork.start()
    told = {results.get(timeout=120) for _fork in forks}
    for fork in forks:
        fork.join()
    assert len(told) == 1
