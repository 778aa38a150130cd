# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a plan is written to is checked before anything is read, and only its owner can read it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.mlops.mlflow_aws.plugins.action import mlflow_deployment_plan as action
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _plan_results


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("plan.json", ""),
        ("", "mlflow_plan_path is {0}, which is a folder: name a file in it."),
        (
            "none/plan.json",
            "mlflow_plan_path is {0}/none/plan.json, but there is no folder {0}/none: create the folder, or name a file"
            " in one that exists.",
        ),
    ],
)
def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, path: str, said: str) -> None:
    found = action.path_problem(tmp_path / path)
    assert str(found or "") == said.format(tmp_path)


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path)
    assert "you may not write to the folder" in str(action.path_problem(tmp_path / "plan.json"))


def test_the_plan_is_whole_and_its_owner_s(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("the one before", encoding="utf-8")
    path.chmod(0o644)
    action.write(path, {"name": "tracking"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "tracking"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_plan_before(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("the one before", encoding="utf-8")
    data: dict[str, object] = {}
    data["itself"] = data
    with pytest.raises(ValueError, match="Circular"):
        action.write(path, data)
    assert path.read_text(encoding="utf-8") == "the one before"
    assert list(tmp_path.iterdir()) == [path]


def test_results_are_kept_for_each_host_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    kept = {"inventory_hostname": "vision", _plan_results.SWITCH: "true"}
    module, arguments = "mlops.mlflow_aws.s3_artifact_bucket", {"name": "artifacts"}
    result = {"changed": True, "diff": {"before": {}, "after": {"tags": {}}}}
    _plan_results.keep(module, arguments, result, kept, hidden=False)
    _plan_results.keep(module, arguments, result, kept, hidden=True)
    _plan_results.keep(module, arguments, result, {"inventory_hostname": "vision"}, hidden=False)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert _plan_results.read({"inventory_hostname": "speech"}) == []
    assert [one["diff"] for one in _plan_results.read(kept)] == [result["diff"], {}]
    assert _plan_results.read(kept) == []


def test_results_of_an_earlier_plan_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    kept = {"inventory_hostname": "vision", _plan_results.SWITCH: True}
    _plan_results.keep("x.y.s3_artifact_bucket", {"name": "artifacts"}, {"changed": True}, kept, hidden=False)
    _plan_results.begin(kept)
    assert _plan_results.read(kept) == []
