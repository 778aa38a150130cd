# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module gives the same result inside Ansible's worker process as in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of collections with one of the test's own."""
    found = tmp_path_factory.mktemp("collections")
    plugins = found / "ansible_collections" / "test" / "direct" / "plugins"
    for kind, text in (("modules", MODULE), ("action", ACTION)):
        (plugins / kind).mkdir(parents=True)
        (plugins / kind / "probe.py").write_text(text, encoding="utf-8")
    return found


@pytest.fixture
def play(collections: Path, tmp_path: Path) -> Any:
    """Run one task of the module; return what was registered, and all that was printed."""

    def run(task: dict[str, Any], *arguments: str, environment: dict[str, str] | None = None, **options: Any) -> Any:
        marker, result = tmp_path / "exit-handler", tmp_path / "result.json"
        for path in (marker, result):
            path.unlink(missing_ok=True)
        options = {"marker": str(marker), "secret": SECRET, **options}
        tasks = [
            {"test.direct.probe": options, "register": "found", "ignore_errors": True, **task},
            {
                "ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(result), "mode": "0600"},
                "check_mode": False,
            },
        ]
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        book = tmp_path / "play.yml"
        book.write_text(yaml.safe_dump([play]), encoding="utf-8")
        known = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", str(book), "-i", "localhost,", *arguments],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": f"{collections}:{known}",
                "ANSIBLE_DEPRECATION_WARNINGS": "true",
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.exists(), done.stdout + done.stderr
        return json.loads(result.read_text(encoding="utf-8")), done.stdout + done.stderr, marker.exists()

    return run


def both(play: Any, task: dict[str, Any], *arguments: str, **options: Any) -> list[Any]:
    """Run it in both ways."""
    interpreter = ("-e", json.dumps({"ansible_python_interpreter": sys.executable}))
    return [
        play(task, *arguments, *interpreter, "-e", f"mlflow_direct_execution={direct}", **options)
        for direct in ("true", "false")
    ]


def without_process(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what tells one process from another."""
    return {name: value for name, value in found.items() if name not in ("pid", "tmpdir", "exception")}


@pytest.mark.parametrize(
    ("task", "arguments", "options"),
    [
        ({}, (), {}),
        ({"environment": {"SAID": "by the task"}}, ("--check", "--diff"), {}),
        ({}, (), {"fail": "it does not work"}),
        ({}, (), {"fail": "raise"}),
        ({}, (), {"fail": "return"}),
        ({}, (), {"unknown": "option"}),
        ({"no_log": True}, (), {}),
        ({"loop": ["one", "two"]}, (), {"plain": "{{ item }}"}),
        ({"module_defaults": {"test.direct.probe": {"plain": "by default"}}}, (), {}),
    ],
    ids=[
        "success",
        "check mode and environment",
        "failure",
        "crash",
        "no result",
        "argument",
        "no_log",
        "loop",
        "defaults",
    ],
)
def test_result_is_the_same(
    play: Any, task: dict[str, Any], arguments: tuple[str, ...], options: dict[str, str]
) -> None:
    direct, ordinary = both(play, task, *arguments, **options)
    assert without_process(direct[0]) == without_process(ordinary[0]) or "results" in direct[0]
    for one, other in zip(direct[0].get("results", []), ordinary[0].get("results", []), strict=True):
        assert without_process(one) == without_process(other)
    told = [
        [line for line in text.splitlines() if "WARNING" in line and "Platform" not in line]
        for _found, text, _marker in (direct, ordinary)
    ]
    assert told[0] == told[1]
    assert bool(told[0]) == (options.get("fail") not in ("raise", "return") and "unknown" not in options)
    assert not [text for _found, text, _marker in (direct, ordinary) if SECRET in text]


def test_it_runs_in_the_worker_and_leaves_nothing(play: Any) -> None:
    direct, ordinary = both(play, {"loop": [1, 2]})
    pids = [{one["pid"] for one in found["results"]} for found, _text, _marker in (direct, ordinary)]
    assert [len(one) for one in pids] == [1, 2]
    for found, _text, exit_handler in (direct, ordinary):
        assert exit_handler
        assert not [one["tmpdir"] for one in found["results"] if Path(one["tmpdir"]).exists()]


def test_exit_code_without_result_is_a_failed_task(play: Any) -> None:
    direct, ordinary = both(play, {}, fail="exit")
    assert direct[0]["failed"] and ordinary[0]["failed"]
    assert direct[0]["rc"] == ordinary[0]["rc"] == 3


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ({"async": 60, "poll": 1}, ()),
        ({}, ("-e", f"ansible_python_interpreter={os.path.realpath(sys.executable)}")),
        ({"vars": {"mlflow_direct_execution": False}}, ()),
    ],
    ids=["async", "another interpreter", "switched off"],
)
def test_otherwise_it_is_an_ordinary_module(play: Any, task: dict[str, Any], arguments: tuple[str, ...]) -> None:
    given = ("-e", json.dumps({"ansible_python_interpreter": sys.executable}), *arguments)
    _found, text, _marker = play(task, "-vvv", *given)
    assert "in this process" not in text


def test_traceback_of_a_crash_is_shown_on_request(play: Any) -> None:
    environment = {"ANSIBLE_DISPLAY_TRACEBACK": "always"}
    for _found, text, _marker in both(play, {}, fail="raise", environment=environment):
        assert "Traceback (most recent call last)" in text
        assert "LookupError: nowhere to be found" in text
