# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The demo data of C(mlflow demo) on a tracking server, read over REST."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field

from .readiness import EXPERIMENTS
from .readiness import refusal
from .rest import Answer
from .rest import Client
from .rest import MlflowError

EXPERIMENT = "MLflow Demo"
# mlflow/demo/base.py: BaseDemoGenerator.store_version writes it once a feature is complete.
TAG_PREFIX = "mlflow.demo.version.DemoFeature."
PROMPT_PREFIX = "mlflow-demo."
ARTIFACT_SCHEME = "mlflow-artifacts:/"
FIRST_VERSION = (3, 10, 0)

# Features by the first release in whose mlflow/demo/generators/ they were seen (wheels on PyPI).
_FEATURES: tuple[tuple[tuple[int, int, int], tuple[str, ...]], ...] = (
    ((3, 10, 0), ("PROMPTS", "TRACES", "EVALUATION")),
    ((3, 11, 1), ("JUDGES", "ISSUES")),
    ((3, 15, 2), ("REVIEW_QUEUES",)),
    ((3, 16, 0), ("CUSTOM_VIEW", "SAVED_VIEWS")),
)

# At least; every release has its own numbers (34 traces in 3.10.0, 42 in 3.17.2). Kind, minimum, feature that makes it.
MINIMUM: tuple[tuple[str, int, str], ...] = (
    ("traces", 30, "TRACES"),
    ("runs", 3, "EVALUATION"),
    ("prompts", 3, "PROMPTS"),
)

_GENERATED = re.compile(r"Generated:\s*(.+)")
_FAILED_UPLOAD = re.compile(r"Failed to (?:send|upload|log)\b")


def parse_version(text: str) -> tuple[int, int, int]:
    """Return the first three numbers of a version; raise MlflowError if there are none."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not match:
        raise MlflowError("unknown_version", f"{text!r} is no MLflow version.")
    major, minor, patch = match.groups(default="0")
    return int(major), int(minor), int(patch)


def expected_features(version: str) -> list[str]:
    """Return the features that C(mlflow demo) of this version creates; refuse versions without the command."""
    number = parse_version(version)
    if number < FIRST_VERSION:
        raise MlflowError(
            "unsupported_version", f"The server runs MLflow {version}; `mlflow demo` exists from 3.10.0 on."
        )
    return [name for since, names in _FEATURES if number >= since for name in names]


@dataclass
class DemoState:
    """The demo data on the server.

    Attributes:
        experiment_id: empty when there is no such experiment.
        artifact_location: where its artifacts go.
        deleted: whether the experiment is soft-deleted; C(mlflow demo) restores it.
        features: completion tags, name to version.
        traces, runs, prompts: how many there are.
    """

    experiment_id: str = ""
    artifact_location: str = ""
    deleted: bool = False
    features: dict[str, str] = field(default_factory=dict)
    traces: int = 0
    runs: int = 0
    prompts: int = 0

    def missing_features(self, names: Iterable[str]) -> list[str]:
        """Return incomplete features; a version of 0 marks one to generate again."""
        return [name for name in names if self.features.get(name, "0") in ("", "0")]

    def short_counts(self) -> list[tuple[str, int, str]]:
        return [entry for entry in MINIMUM if getattr(self, entry[0]) < entry[1]]

    def is_complete(self, names: Iterable[str]) -> bool:
        if not self.experiment_id or self.deleted or self.missing_features(names):
            return False
        return not self.short_counts()

    def problems(self, names: Iterable[str]) -> list[str]:
        """Return what is missing, one phrase each."""
        if not self.experiment_id or self.deleted:
            return [f'the experiment "{EXPERIMENT}" does not exist']
        found = [f"the feature {name} is not complete" for name in self.missing_features(names)]
        found += [
            f"there are {getattr(self, kind)} {kind}, not {least}" for kind, least, _feature in self.short_counts()
        ]
        return found


def read_state(client: Client) -> DemoState:
    """Read the state, with a few requests."""
    state = DemoState()
    answer = client.call("GET", f"{EXPERIMENTS}/get-by-name", query={"experiment_name": EXPERIMENT})
    if answer.status == 404 and answer.error_code == "RESOURCE_DOES_NOT_EXIST":
        return state
    experiment = _content(answer, client, "experiments/get-by-name").get("experiment") or {}
    state.experiment_id = str(experiment.get("experiment_id") or "")
    state.artifact_location = str(experiment.get("artifact_location") or "")
    state.deleted = experiment.get("lifecycle_stage") == "deleted"
    for tag in experiment.get("tags") or []:
        key = str(tag.get("key") or "")
        if key.startswith(TAG_PREFIX):
            state.features[key.removeprefix(TAG_PREFIX)] = str(tag.get("value") or "")
    if state.deleted:
        return state
    state.traces = len(_traces(client, state.experiment_id))
    state.runs = len(_runs(client, state.experiment_id))
    state.prompts = len(_prompts(client))
    return state


def read_progress(client: Client) -> str:
    """Return a line about the demo's progress; empty if the server reports nothing."""
    try:
        state = read_state(client)
    except MlflowError:
        return ""
    if not state.experiment_id or state.deleted:
        return ""
    done = ", ".join(sorted(name.lower() for name in state.features)) or "none yet"
    return f"{state.prompts} prompts, {state.traces} traces, {state.runs} runs on the server; complete: {done}"


def check_artifact_location(state: DemoState) -> None:
    """Refuse an experiment whose artifacts bypass the server, as every client would need S3 credentials."""
    if state.experiment_id and not state.artifact_location.startswith(ARTIFACT_SCHEME):
        raise MlflowError(
            "artifact_location",
            f'The experiment "{EXPERIMENT}" stores its artifacts at {state.artifact_location}, not at'
            f" {ARTIFACT_SCHEME}…: the server was started with --default-artifact-root, or without"
            " --artifacts-destination, when the experiment was made. That cannot be changed afterwards; rename the"
            " experiment, or delete it for good (mlflow gc).",
        )


def mark_incomplete(client: Client, state: DemoState, names: Iterable[str]) -> list[str]:
    """Make the next C(mlflow demo) generate these features again.

    A completion tag with another version than the generator's makes it delete and rebuild the data of that feature
    (mlflow/demo/base.py: BaseDemoGenerator.is_generated); C(0) is a version that no generator has.
    """
    marked = []
    for name in names:
        if state.features.get(name, "0") == "0":
            continue
        body = {"experiment_id": state.experiment_id, "key": f"{TAG_PREFIX}{name}", "value": "0"}
        answer = client.call("POST", f"{EXPERIMENTS}/set-experiment-tag", body=body)
        _content(answer, client, "experiments/set-experiment-tag")
        marked.append(name)
    return marked


def generated_features(lines: Iterable[str]) -> list[str]:
    """Return the features that C(mlflow demo) reports as generated."""
    for line in lines:
        match = _GENERATED.search(line)
        if match:
            return [name.strip().upper() for name in match.group(1).split(",") if name.strip()]
    return []


def failed_uploads(lines: Iterable[str]) -> list[str]:
    """Return warnings about failed uploads, after which C(mlflow demo) exits with 0 nevertheless."""
    return [line.strip() for line in lines if _FAILED_UPLOAD.search(line)]


def _content(answer: Answer, client: Client, what: str) -> dict[str, typing.Any]:
    problem = refusal(answer, client.connection)
    if problem:
        raise problem
    if answer.status != 200:
        raise MlflowError("unexpected_answer", f"{what} gave HTTP {answer.status}: {answer.summary()}")
    return answer.json()


def _pages(client: Client, path: str, body: dict[str, typing.Any], key: str) -> list[dict[str, typing.Any]]:
    """Return all entries of a paged search; MLflow omits the key if there are none."""
    found: list[dict[str, typing.Any]] = []
    token = ""
    for _page in range(20):
        answer = client.call("POST", path, body={**body, "page_token": token} if token else body)
        content = _content(answer, client, path.rpartition("mlflow/")[2])
        found += content.get(key) or []
        token = content.get("next_page_token") or ""
        if not token:
            break
    return found


def _traces(client: Client, experiment_id: str) -> list[dict[str, typing.Any]]:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
    body = {"locations": [location], "max_results": 500}
    return _pages(client, "api/3.0/mlflow/traces/search", body, "traces")


def _runs(client: Client, experiment_id: str) -> list[dict[str, typing.Any]]:
    body = {"experiment_ids": [experiment_id], "max_results": 100}
    return _pages(client, "api/2.0/mlflow/runs/search", body, "runs")


def _prompts(client: Client) -> list[str]:
    query = {"max_results": 100, "filter": f"name LIKE '{PROMPT_PREFIX}%' AND tags.`mlflow.prompt.is_prompt` = 'true'"}
    answer = client.call("GET", "api/2.0/mlflow/registered-models/search", query=query)
    models = _content(answer, client, "registered-models/search").get("registered_models") or []
    return [str(model.get("name")) for model in models]
