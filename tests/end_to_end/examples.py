# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the EXAMPLES of all modules and filters, against a local AWS and an MLflow server; keeps what came of each task.

A process of its own (``python examples.py FOLDER``), as templates need Ansible's controller, and modules must not share
a process with it. The examples run as they are documented, but for:

- ``Scenario.given``: values that only a real account has, such as the random end of a secret's ARN, are replaced;
- ``PACE``: options that say how long to wait between two polls are set, where an example leaves them to the default,
  as the local AWS's minutes are short;
- ``state: absent`` comes last, so that the examples of one module can use what those of another have made.

Each task that runs a module is run in check mode, then really, then once more.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import boto3
from ansible.module_utils.common import warnings as ansible_warnings
from ansible.module_utils.testing import patch_module_args
from example_scenarios import ACCOUNT
from example_scenarios import REGION
from example_scenarios import VERSION
from example_scenarios import ExampleAws
from example_scenarios import Scenario
from example_scenarios import aws_scenario
from example_scenarios import before_backup
from example_scenarios import before_deployment_info
from example_scenarios import before_permissions
from example_scenarios import before_restore
from example_scenarios import before_users
from example_scenarios import express_scenario
from example_scenarios import mlflow_scenario
from harness import ROOT
from harness import SOFTWARE
from harness import is_prepared
from servers import MlflowServer
from servers import free_port
from servers import packages

Doc = dict[str, Any]
COLLECTION = "mlops.mlflow_aws"
PACE = {"wait_delay": 1, "delay": 1, "settle_time": 0}
# Not run once more: what they say of themselves in the attribute "idempotent".
EACH_TIME = ("force_new_deployment", "rotate")
# Of roles, whose tasks each begin with it.
ACTIONS = ("role_variables",)
# That are action plugins altogether: ansible-playbook runs them.
PLAYED = ("mlflow_deployment_plan", "watched_command")
# Run in check mode after the first example of a module: what the role mlflow does between those of this one.
BETWEEN: dict[str, tuple[Doc, ...]] = {
    "mlflow_deployment_plan": (
        {"mlops.mlflow_aws.logs_log_group": {"log_group_name": "/ecs/default/tracking", "retention_in_days": 30}},
        {"mlops.mlflow_aws.secretsmanager_secret": {"name": "tracking", "description": "The server's secret"}},
    ),
}
HOW = ("check", "first", "again")
BETWEEN_NAME = "Between the examples"
TEMPLATED = ("ansible.builtin.debug", "ansible.builtin.assert")
# Where the examples say that the collection is installed.
INSTALLED = "/usr/share/ansible/collections/ansible_collections/mlops/mlflow_aws"
# Modules that ask a server, with what they need besides its address.
NO_SERVER: dict[str, Doc] = {
    "mlflow_health": {"wait_timeout": 2, "delay": 1},
    "mlflow_demo": {},
    "mlflow_user": {"name": "ana"},
    "mlflow_permission": {"user": "ana", "resource": "churn", "permission": "READ"},
}
# Modules, and options with which they fail.
FAILING: dict[str, Doc] = {"s3_artifact_bucket": {"name": "a-bucket-that-does-not-exist", "adopt": True}}
KEYWORDS = {"name", "register", "no_log", "vars"}


def documented(name: str, constant: str = "EXAMPLES") -> str:
    """A part of a plugin's documentation."""
    for kind in ("modules", "filter"):
        if (ROOT / f"plugins/{kind}/{name}.py").exists():
            return str(getattr(importlib.import_module(plugin(name, kind)), constant))
    raise AssertionError(f"There is no {name}.")


def sample(name: str, key: str) -> Doc:
    """The sample of a value that a module returns."""
    import yaml  # noqa: PLC0415

    return dict(yaml.safe_load(documented(name, "RETURN"))[key]["sample"])


def plugin(name: str, kind: str = "modules") -> str:
    """The name to import it by."""
    return f"ansible_collections.{COLLECTION}.plugins.{kind}.{name}"


def names(kind: str) -> list[str]:
    """The plugins of a kind."""
    return sorted(path.stem for path in (ROOT / "plugins" / kind).glob("*.py"))


def execute(name: str, arguments: Doc, check: bool) -> Doc:
    """Run a module in this process, as Ansible does; its result, without the arguments that it echoes."""
    out = io.StringIO()
    whole = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(whole), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        importlib.import_module(plugin(name)).main()
    ansible_warnings._global_warnings.clear()
    ansible_warnings._global_deprecations.clear()
    result: Doc = json.loads(out.getvalue())
    result.pop("invocation", None)
    return result


class ScenarioRunner:
    """Runs the examples of one scenario; the modules in a process that has no controller in it."""

    lock = threading.Lock()

    def __init__(self, workers: ProcessPoolExecutor) -> None:
        self.workers = workers
        self.recorded: list[Doc] = []

    def run_scenario(self, scenario: Scenario, before: dict[str, Callable[[], None]]) -> None:
        """Run everything."""
        last: list[tuple[str, Doc, Doc]] = []
        for name in scenario.modules:
            before.get(name, lambda: None)()
            variables = dict(scenario.variables)
            for task in self.tasks(name):
                _called, arguments = action(task)
                if str(arguments.get("state")) == "absent":
                    last.append((name, task, variables))
                else:
                    self.run(scenario, name, task, variables)
        for name, task, variables in reversed(last):
            self.run(scenario, name, task, variables)

    def grant(self, arguments: Doc) -> Doc:
        """Run the module for permissions once."""
        result: Doc = self.workers.submit(execute, "mlflow_permission", arguments, False).result()
        return result

    def fail(self) -> None:
        """Run modules so that they fail: some keys are there in a failure only."""
        unanswered = {"tracking_uri": f"http://127.0.0.1:{free_port()}", "token": "made-up-for-the-examples-0005"}
        for name, options in {**{name: {**unanswered, **more} for name, more in NO_SERVER.items()}, **FAILING}.items():
            result = self.workers.submit(execute, name, options, False).result()
            assert result["failed"], name
            self.recorded.append({"example_of": "", "task": "", "module": f"{COLLECTION}.{name}", "failure": result})

    def tasks(self, name: str) -> list[Doc]:
        """The examples of a plugin; their templates are trusted, as those of a playbook."""
        from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415
        from ansible.template import trust_as_template  # noqa: PLC0415

        return list(DataLoader().load(trust_as_template(documented(name)), f"/{name}"))

    def template(self, value: Any, variables: Doc) -> Any:
        """Fill in the variables."""
        from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415
        from ansible.template import Templar  # noqa: PLC0415

        with self.lock:
            templated = Templar(loader=DataLoader(), variables=variables).template(value)
            # Without the controller's tags.
            return json.loads(json.dumps(templated, default=str))

    def holds(self, condition: str, variables: Doc) -> bool:
        """Whether a condition does."""
        from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415
        from ansible.template import Templar  # noqa: PLC0415

        with self.lock:
            return bool(Templar(loader=DataLoader(), variables=variables).evaluate_conditional(condition))

    def run(self, scenario: Scenario, example_of: str, task: Doc, variables: Doc) -> None:
        """Run one task, and keep what came of it."""
        called, raw = action(task)
        entry: Doc = {"example_of": example_of, "task": str(task["name"]), "module": called}
        self.recorded.append(entry)
        try:
            known = {**variables, **replaced(self.template(task.get("vars") or {}, variables), scenario.given)}
            self._run(scenario, entry, task, raw, known)
        except Exception as error:
            entry["problem"] = f"{type(error).__name__}: {error}"
        if "register" in task and "first" in entry:
            variables[str(task["register"])] = entry["first"]

    def _run(self, scenario: Scenario, entry: Doc, task: Doc, raw: Doc, known: Doc) -> None:
        from ansible.template import trust_as_template  # noqa: PLC0415

        called = entry["module"]
        if called in TEMPLATED:
            conditions = raw.pop("that", [])
            for condition in [conditions] if isinstance(conditions, str) else conditions:
                if not self.holds(condition, known):
                    entry["problem"] = f"not {condition}"
            shown = trust_as_template("{{ " + str(raw["var"]) + " }}") if "var" in raw else raw.get("msg", "")
            entry["value"] = self.template(shown, known)
            return
        name = called.removeprefix(f"{COLLECTION}.")
        arguments = replaced(self.template(raw, known), scenario.given)
        options = options_of(name)
        arguments = {**{key: value for key, value in PACE.items() if key in options}, **arguments}
        entry["arguments"] = arguments
        for how in HOW:
            if how == "again" and any(arguments.get(option) for option in EACH_TIME):
                continue
            entry[how] = self.workers.submit(execute, name, arguments, how == "check").result()
            if entry[how].get("failed"):
                entry["problem"] = f"{how}: {entry[how]['msg']}"
                return


def action(task: Doc) -> tuple[str, Doc]:
    """The module of a task and its arguments."""
    [called] = set(task) - KEYWORDS
    return str(called), dict(task[called] or {})


def options_of(name: str) -> Doc:
    """The options that a module's own documentation names."""
    import yaml  # noqa: PLC0415

    return dict(yaml.safe_load(documented(name, "DOCUMENTATION")).get("options") or {})


def replaced(value: Any, given: dict[str, str]) -> Any:
    """The value with what only a real account has replaced."""
    if isinstance(value, dict):
        return {key: replaced(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, given) for item in value]
    if isinstance(value, str):
        for text, other in given.items():
            value = value.replace(text, other)
    return value


def played(name: str, folder: Path) -> Iterator[Doc]:
    """Run the examples of a module that is an action plugin altogether, three times as the others."""
    import yaml  # noqa: PLC0415

    given = {"/tmp/environment": str(folder / "environment")}
    tasks = [replaced(task, given) for task in yaml.safe_load(documented(name))]
    runs = [{**task, "check_mode": how == "check"} for task in tasks for how in HOW]
    between = [
        {"name": BETWEEN_NAME, **task, "check_mode": True, "vars": {"__mlflow_keep_results": True}}
        for task in BETWEEN.get(name, ())
    ]
    runs[len(HOW) : len(HOW)] = between
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": runs}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "--diff", str(folder / "play.yml")],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
        check=False,
    )
    ran = json.loads(done.stdout)["plays"][0]["tasks"]
    changed = [task["hosts"]["localhost"].get("changed") for task in ran if task["task"]["name"] == BETWEEN_NAME]
    assert changed == [True] * len(between), done.stdout
    results = [task["hosts"]["localhost"] for task in ran if task["task"]["name"] != BETWEEN_NAME]
    back = {other: text for text, other in given.items()}
    for number, task in enumerate(tasks):
        three = replaced(results[3 * number : 3 * number + 3], back)
        for result in three:
            for key in ("invocation", "action", "_ansible_no_log"):
                result.pop(key, None)
        called, arguments = action(task)
        entry = {"example_of": name, "task": task["name"], "module": called, "arguments": arguments}
        failed = [result for result in three if result.get("failed")]
        yield {**entry, **dict(zip(HOW, three, strict=True)), **({"problem": failed[0]["msg"]} if failed else {})}


@contextlib.contextmanager
def a_server(aws: ExampleAws, folder: Path) -> Iterator[MlflowServer]:
    """An MLflow server that keeps its artifacts in a bucket."""
    bucket = f"tracking-artifacts-{ACCOUNT}-{REGION}"
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    options = ("--artifacts-destination", f"s3://{bucket}")
    server = MlflowServer(folder / "server", VERSION, packages(folder / "packages"), options=options)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def run_all(folder: Path, only: list[str]) -> list[Doc]:
    """Run all examples; what came of each task. The folder is left without processes."""
    aws = ExampleAws(folder / "home")
    cache = folder / "cache" / COLLECTION
    cache.mkdir(parents=True)
    (SOFTWARE / "clients").mkdir(exist_ok=True)
    (cache / "mlflow").symlink_to(SOFTWARE / "clients")
    aws.up()
    try:
        if not is_prepared(VERSION):
            aws.prepare(f"ghcr.io/mlflow/mlflow:v{VERSION}-full")
        os.environ.update(aws.user_environment(), AWS_REGION=REGION, XDG_CACHE_HOME=str(folder / "cache"))
        # Before there is a controller in this process.
        pools = [ProcessPoolExecutor(1, mp_context=get_context("fork")) for _each in range(3)]
        for pool in pools:
            pool.submit(int).result()
        from ansible.plugins.loader import init_plugin_loader  # noqa: PLC0415

        init_plugin_loader()
        runners = [ScenarioRunner(pool) for pool in pools]
        with a_server(aws, folder) as server, ThreadPoolExecutor(len(runners)) as threads:
            scenarios = [aws_scenario(aws), express_scenario(aws), mlflow_scenario(aws, server, folder)]
            for scenario in scenarios:
                scenario.modules = tuple(name for name in scenario.modules if not only or name in only)
            before = {
                "mlflow_deployment_state": lambda: before_deployment_info(aws),
                "mlflow_backup": lambda: before_backup(aws, sample("mlflow_backup", "manifest")),
                "mlflow_restore": lambda: before_restore(aws),
                "mlflow_user": lambda: before_users(server),
                "mlflow_permission": lambda: before_permissions(server, runners[-1].grant),
            }
            for done in [
                threads.submit(runner.run_scenario, scenario, before)
                for runner, scenario in zip(runners, scenarios, strict=True)
            ]:
                done.result()
        filters = ScenarioRunner(pools[0])
        filters.fail()
        filters.run_scenario(Scenario(tuple(names("filter")), {INSTALLED: str(ROOT)}), {})
        for pool in pools:
            pool.shutdown()
        given: dict[str, Any] = {}
        for scenario in scenarios:
            for text, other in scenario.given.items():
                given.setdefault(other, text)
        recorded = [replaced(entry, given) for runner in (*runners, filters) for entry in runner.recorded]
        return [*recorded, *(entry for name in PLAYED for entry in played(name, folder))]
    finally:
        aws.down()


def main() -> int:
    """Run them, and write what came of it into a file of the folder."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_TRACKING", "ANSIBLE_"))]:
        del os.environ[name]
    boto3.setup_default_session()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recorded.json").write_text(json.dumps(run_all(folder, sys.argv[2:]), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
