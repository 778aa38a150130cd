# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module gives the same result inside Ansible's worker process as in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MODULE = """#!/usr/bin/python
import atexit
import os
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main():
    options = {name: {"type": "str"} for name in ("say", "fail", "marker", "plain")}
    module = AnsibleModule({**options, "secret": {"type": "str", "no_log": True}}, supports_check_mode=True)
    atexit.register(Path(module.params["marker"]).touch)
    print("this is no JSON")
    module.warn("something is odd")
    module.deprecate("this goes away", version="9.9.9", collection_name="test.direct")
    if module.params["fail"] == "raise":
        raise LookupError("nowhere to be found")
    if module.params["fail"] == "return":
        return
    if module.params["fail"] == "exit":
        sys.exit(3)
    if module.params["fail"]:
        module.fail_json(msg=module.params["fail"], secret=module.params["secret"])
    Path(module.tmpdir, "file").touch()
    module.exit_json(
        changed=True,
        said=os.environ.get("SAID"),
        secret=f"it is {module.params['secret']}",
        check=module.check_mode,
        diff={"before": "a\\n", "after": "b\\n"} if module._diff else None,
        tmpdir=module.tmpdir,
        pid=os.getpid(),
        plain=module.params["plain"],
    )


if __name__ == "__main__":
    main()
"""
ACTION = """
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._direct_action import DirectAction


class ActionModule(DirectAction):
    pass
"""
SECRET = "made-up-and-unlikely-7c1f"


# What is asked of the module, each as a task: its options, and the task's own keywords.
CASES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "success": ({}, {}),
    "check mode": ({}, {"check_mode": True, "diff": True}),
    "environment": ({}, {"environment": {"SAID": "by the task"}}),
    "failure": ({"fail": "it does not work"}, {}),
    "crash": ({"fail": "raise"}, {}),
    "no result": ({"fail": "return"}, {}),
    "exit code alone": ({"fail": "exit"}, {}),
    "argument": ({"unknown": "option"}, {}),
    "no_log": ({}, {"no_log": True}),
    "loop": ({"plain": "{{ item }}"}, {"loop": ["one", "two"]}),
    "defaults": ({}, {"module_defaults": {"test.direct.probe": {"plain": "by default"}}}),
}
WITHOUT_WARNING = ("crash", "no result", "exit code alone", "argument")
Played = tuple[dict[str, dict[str, Any]], str]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Played]:
    """Run tasks of a module in a collection of the test's own; return each one's result, and what was printed."""
    folder = tmp_path_factory.mktemp("direct")
    plugins = folder / "ansible_collections" / "test" / "direct" / "plugins"
    for kind, text in (("modules", MODULE), ("action", ACTION)):
        (plugins / kind).mkdir(parents=True)
        (plugins / kind / "probe.py").write_text(text, encoding="utf-8")

    def run(cases: dict[str, tuple[dict[str, str], dict[str, Any]]], *arguments: str, **variables: Any) -> Played:
        marker = folder / "exit-handler"
        marker.unlink(missing_ok=True)
        tasks = [
            {
                "name": name,
                "test.direct.probe": {"marker": str(marker), "secret": SECRET, **options},
                "ignore_errors": True,
                **keywords,
            }
            for name, (options, keywords) in cases.items()
        ]
        tasks.append({"name": "plan", "mlops.mlflow_aws.mlflow_deployment_plan": {"step": "end", "name": "probe"}})
        book = folder / "play.yml"
        one = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        book.write_text(yaml.safe_dump([one]), encoding="utf-8")
        given = {"ansible_python_interpreter": sys.executable, **variables}
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ansible",
                "playbook",
                book,
                "-i",
                "localhost,",
                "-e",
                json.dumps(given),
                *arguments,
            ],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": f"{folder}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
                "ANSIBLE_DEPRECATION_WARNINGS": "true",
                "ANSIBLE_DISPLAY_TRACEBACK": "error",
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert marker.exists(), done.stdout + done.stderr
        found = json.loads(done.stdout[done.stdout.index('{\n    "custom_stats"') :])["plays"][0]["tasks"]
        results = {task["task"]["name"]: task["hosts"]["localhost"] for task in found}
        return results, done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def direct(play: Callable[..., Played]) -> Played:
    """All of them inside Ansible's workers."""
    return play(CASES, __mlflow_keep_results=True)


@pytest.fixture(scope="module")
def spawned(play: Callable[..., Played]) -> Played:
    """The same in processes of their own."""
    return play(CASES, mlflow_direct_execution=False, __mlflow_keep_results=True)


def without_process(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what tells one process from another."""
    left_out = ("pid", "tmpdir", "exception", "module_stderr", "deprecations")
    kept = {name: value for name, value in found.items() if name not in left_out}
    return {**kept, "results": [without_process(one) for one in found.get("results", [])]}


@pytest.mark.parametrize("case", CASES)
def test_result_is_the_same(direct: Played, spawned: Played, case: str) -> None:
    one, other = direct[0][case], spawned[0][case]
    assert without_process(one) == without_process(other)
    for result in (one, other):
        assert ("something is odd" in str(result.get("warnings"))) == (case not in WITHOUT_WARNING)


def test_a_plan_has_each_change_either_way(direct: Played, spawned: Played) -> None:
    changes = [name for name, (options, _keywords) in CASES.items() if "fail" not in options and name != "argument"]
    for results, _text in (direct, spawned):
        found = results["plan"]["resources"]
        # The loop has two items.
        assert [one["module"] for one in found] == ["probe"] * (len(changes) + 1)
        with_diff = [one for one in found if one["attributes"]]
        assert [one["attributes"][0]["before"] for one in with_diff] == ["a\n"], "one task is in diff mode"


def test_what_is_printed_is_the_same(direct: Played, spawned: Played) -> None:
    for _results, text in (direct, spawned):
        assert SECRET not in text
        assert "LookupError: nowhere to be found" in text
        assert "Traceback (most recent call last)" in text


def test_it_runs_in_a_worker_and_leaves_nothing(direct: Played, spawned: Played) -> None:
    for (results, _text), processes in ((direct, 1), (spawned, 2)):
        items = results["loop"]["results"]
        assert len({item["pid"] for item in items}) == processes
        assert not [item["tmpdir"] for item in items if Path(item["tmpdir"]).exists()]


@pytest.mark.parametrize(
    ("keywords", "variables"),
    [
        ({"async": 60, "poll": 1}, {}),
        ({}, {"ansible_python_interpreter": os.path.realpath(sys.executable)}),
        ({"vars": {"mlflow_direct_execution": False}}, {}),
        ({}, {}),
    ],
    ids=["async", "another interpreter", "switched off", "direct"],
)
def test_otherwise_it_runs_in_a_process_of_its_own(
    play: Callable[..., Played], keywords: dict[str, Any], variables: dict[str, Any]
) -> None:
    _results, text = play({"one": ({}, keywords)}, "-vvv", **variables)
    assert ("in this process" in text) == (not keywords and not variables)
