# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may name as the place of files, on the oldest and the newest MLflow: each attack, and what must go on.

The victim, Vera, has an experiment that nobody else may read. Mallory has no permission but on what she created.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import prepare_software
from servers import MlflowServer
from servers import packages
from servers import run_module
from servers import sqlalchemy_plugin
from uri_users import API
from uri_users import SECRET
from uri_users import Person
from uri_users import Stage

from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_health
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_permission
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_user
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.server_environment import uri_environment

NEW, OLD = "3.17.2", "3.10.0"
# The variables that the role ecs_express sets for the guard.
BY_DEFAULT = uri_environment({"allowed_model_sources": [], "allowed_artifact_locations": []})
CHECK: dict[str, Any] = {"check_uris": True, "check_database": True, "wait_timeout": 0}


@pytest.fixture(scope="module", params=[NEW, OLD])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server as the role starts it, whose users have no permissions."""
    version = request.param
    folder = tmp_path_factory.mktemp("uris")
    prepare_software(version, tmp_path_factory.mktemp("owner"))
    more = packages(folder / "packages")
    guarded: dict[str, Any] = {}
    if not os.environ.get("UNGUARDED"):
        sqlalchemy_plugin("mlflow_uri_guard", "UriGuardPlugin", Path(more))
        guarded = {"database_options": "?plugin=mlflow_uri_guard", "environment": BY_DEFAULT}
    server = MlflowServer(folder / version, version, more, default_permission="NO_PERMISSIONS", **guarded)
    try:
        server.wait()
        yield Stage(server, Person(server, "vera"), Person(server, "mallory")).set()
    finally:
        server.stop()


# Each is a way to Vera's file by a model version of one's own. {run}, {model}, {artifacts}: hers; {files}: the folder.
SOURCES = {
    "bucket": "s3://some-bucket/{artifacts}",
    "file": "file://{files}/{artifacts}",
    "path": "{files}/{artifacts}",
    "proxy": "mlflow-artifacts:/{artifacts}",
    "proxy_parent": "mlflow-artifacts:/{experiment}/{run}",
    "proxy_slashes": "mlflow-artifacts:///{artifacts}",
    "proxy_host": "mlflow-artifacts://127.0.0.1/{artifacts}",
    "proxy_dots": "mlflow-artifacts:/9/../{artifacts}",
    "proxy_encoded_dots": "mlflow-artifacts:/9/%2e%2e/{artifacts}",
    "proxy_tab": "mlflow-artifacts:/9/.\t./{artifacts}",
    "proxy_dot": "mlflow-artifacts:/./{artifacts}",
    "proxy_capitals": "MLFLOW-ARTIFACTS:/{artifacts}",
    "proxy_space": " mlflow-artifacts:/{artifacts}",
    "proxy_line": "prompt-template\nmlflow-artifacts:/{artifacts}",
    "proxy_model": "mlflow-artifacts:/{experiment}/models/{model}/artifacts",
    "proxy_trace": "mlflow-artifacts:/{experiment}/traces/{trace}/artifacts",
    "proxy_everything": "mlflow-artifacts:/",
    "http": "http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/{artifacts}",
    "run": "runs:/{run}",
    "run_path": "runs:/{run}/../artifacts",
    "run_host": "runs://other/{run}",
    "logged_model": "models:/{model}",
    "registered_model": "models:/vera/1",
    "registered_model_host": "models://other/vera/1",
}
PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "text"}]
GIVEN: dict[str, dict[str, Any]] = {
    "bare": {},
    "run": {"run_id": "{run}"},
    "model": {"model_id": "{model}"},
    "prompt": {"tags": PROMPT},
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_the_caller_may_not_read_is_refused(stage: Stage, source: str, given: str) -> None:
    values = {
        "artifacts": stage.artifacts,
        "experiment": stage.experiment_id,
        "run": stage.run_id,
        "model": stage.model_id,
        "trace": stage.trace_id,
        "files": stage.server.folder / "artifacts",
    }
    more = {name: value.format(**values) if isinstance(value, str) else value for name, value in GIVEN[given].items()}
    name, status = stage.registered(SOURCES[source].format(**values), **more)
    assert status in (400, 403), f"status {status}; the secret leaks: {stage.leaks(name)}"


def test_own_sources_are_accepted(stage: Stage) -> None:
    """Every source that MLflow's clients and pages make."""
    mallory = stage.mallory
    experiment = mallory.made("experiments/create", name=f"own-{secrets.token_hex(4)}")["experiment_id"]
    run = mallory.made("runs/create", experiment_id=experiment)["run"]["info"]
    model = mallory.made("logged-models", experiment_id=experiment, name="m", source_run_id=run["run_id"])["model"][
        "info"
    ]
    own, status = stage.registered(f"{run['artifact_uri']}/model", run_id=run["run_id"])
    assert status == 200
    for source, given in {
        f"runs:/{run['run_id']}/model": {"run_id": run["run_id"]},
        model["artifact_uri"]: {"model_id": model["model_id"], "run_id": run["run_id"]},
        f"models:/{model['model_id']}": {"model_id": model["model_id"]},
        f"models:/{own}/1": {},
    }.items():
        assert stage.registered(source, **given)[1] == 200, source
    for placeholder in ("prompt-template", "dummy-source"):
        assert stage.registered(placeholder, tags=PROMPT)[1] == 200


def test_a_shared_source_is_accepted(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = stage.vera.made("experiments/create", name=f"shared-{secrets.token_hex(4)}")["experiment_id"]
    run = stage.vera.made("runs/create", experiment_id=experiment)["run"]["info"]
    shared: dict[str, Any] = {"resource_id": experiment, "permission": "READ", "user": "mallory"}
    login: dict[str, Any] = {"tracking_uri": stage.server.url, "username": "admin", "password": stage.server.password}
    assert run_module(capsys, mlflow_permission, **login, **shared)["changed"]
    assert stage.registered(f"{run['artifact_uri']}/model", run_id=run["run_id"])[1] == 200


LOCATIONS = {
    "path": "/etc",
    "file": "file:///tmp/mallory",
    "relative": "mallory",
    "parent": "../mallory",
    "bucket": "s3://other-bucket/prefix",
    "another_run": "mlflow-artifacts:/{artifacts}",
    "host": "mlflow-artifacts://mallory.example.org/1",
    "dots": "mlflow-artifacts:/9/../{artifacts}",
    "http": "https://mallory.example.org/api/2.0/mlflow-artifacts/artifacts/1",
    "database": "dbfs:/mallory",
    "space": " ",
}
ROUTES = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")


@pytest.mark.parametrize("prefix", ROUTES)
@pytest.mark.parametrize("location", LOCATIONS)
def test_the_server_alone_chooses_where_artifacts_are(stage: Stage, location: str, prefix: str) -> None:
    given = LOCATIONS[location].format(artifacts=stage.artifacts)
    for field_name in ("artifact_location", "artifactLocation"):
        body = {"name": f"mallory-{secrets.token_hex(6)}", field_name: given}
        status, answer = stage.mallory.ask("POST", f"{prefix}/experiments/create", body)
        if status == 200:
            found = stage.mallory.ask("GET", f"{API}/experiments/get?experiment_id={answer['experiment_id']}")[1]
            assert found["experiment"]["artifact_location"] == f"mlflow-artifacts:/{answer['experiment_id']}"
        else:
            assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
            assert str(stage.server.folder.parent) not in str(answer), "the server's own folder"


def test_an_upload_of_ones_own_stays_in_its_run(stage: Stage, tmp_path: Path) -> None:
    body = {"name": f"plant-{secrets.token_hex(4)}", "artifact_location": str(tmp_path / "planted")}
    status, answer = stage.mallory.ask("POST", f"{API}/experiments/create", body)
    if status == 200:
        run = stage.mallory.made("runs/create", experiment_id=answer["experiment_id"])["run"]["info"]["run_id"]
        stage.mallory.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=planted.txt", {"a": 1})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def own_experiment(stage: Stage) -> str:
    """An experiment of Mallory's."""
    return str(stage.mallory.made("experiments/create", name=f"traces-{secrets.token_hex(4)}")["experiment_id"])


def trace_leaks(stage: Stage, trace_id: str) -> bool:
    """Whether Vera's trace comes out of Mallory's."""
    return SECRET in str(stage.mallory.ask("GET", f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace_id}")[1])


@pytest.mark.parametrize("how", ["set", "set_v3", "start", "start_v2", "end_v2", "id"])
@pytest.mark.parametrize("place", ["proxy", "file", "path"])
def test_the_place_of_a_trace_is_the_servers(stage: Stage, own_experiment: str, how: str, place: str) -> None:
    path = f"{stage.experiment_id}/traces/{stage.trace_id}/artifacts"
    folder = stage.server.folder / "artifacts" / path
    location = {"proxy": f"mlflow-artifacts:/{path}", "file": f"file://{folder}", "path": str(folder)}[place]
    mallory, tag = stage.mallory, {"key": "mlflow.artifactLocation", "value": location}
    trace_id = f"tr-{secrets.token_hex(16)}"
    if how == "id":
        trace_id = f"../../{stage.experiment_id}/traces/{stage.trace_id}"
    if how in ("start_v2", "end_v2"):
        body = {
            "experiment_id": own_experiment,
            "timestamp_ms": 1,
            "request_metadata": [],
            "tags": [tag] if how == "start_v2" else [],
        }
        _status, answer = mallory.ask("POST", f"{API}/traces", body)
        trace_id = answer.get("trace_info", {}).get("request_id", trace_id)
    else:
        stage.trace(mallory, own_experiment, trace_id, {tag["key"]: location} if how == "start" else None)
    if how == "end_v2":
        mallory.ask(
            "PATCH",
            f"{API}/traces/{trace_id}",
            {"timestamp_ms": 2, "status": "OK", "request_metadata": [], "tags": [tag]},
        )
    if how.startswith("set"):
        api = API if how == "set" else "/api/3.0/mlflow"
        status, answer = mallory.ask("PATCH", f"{api}/traces/{trace_id}/tags", tag)
        assert status == 400, answer
    assert not trace_leaks(stage, trace_id)


@pytest.mark.parametrize("trace_id", ["../1", "a/b", "..", "a?b", "a#b", "a%2fb"])
def test_the_id_of_a_trace_is_no_path(stage: Stage, own_experiment: str, trace_id: str) -> None:
    assert stage.trace(stage.mallory, own_experiment, trace_id) == 400


@pytest.mark.parametrize(
    "place", ["s3://some-bucket/1/other", "http://127.0.0.1/traces/{}/artifacts", "file:///traces/{}/artifacts"]
)
def test_the_archive_of_a_trace_is_the_servers(stage: Stage, own_experiment: str, place: str) -> None:
    trace_id = f"tr-{secrets.token_hex(16)}"
    tags = {"mlflow.trace.spansLocation": "ARCHIVE_REPO", "mlflow.trace.archiveLocation": place.format(trace_id)}
    assert stage.trace(stage.mallory, own_experiment, trace_id, tags) == 400


def test_a_trace_of_ones_own_is_kept(stage: Stage, own_experiment: str) -> None:
    trace_id = f"tr-{secrets.token_hex(16)}"
    assert stage.trace(stage.mallory, own_experiment, trace_id, {"mlflow.traceName": "own"}) == 200
    tag = {"key": "mood", "value": "good"}
    assert stage.mallory.ask("PATCH", f"{API}/traces/{trace_id}/tags", tag)[0] == 200
    path = stage.server.folder / "artifacts" / own_experiment / "traces" / trace_id / "artifacts"
    path.mkdir(parents=True)
    (path / "traces.json").write_text('{"spans": [], "own": "file"}', encoding="utf-8")
    answer = stage.mallory.ask("GET", f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace_id}")
    assert answer[0] == 200, answer


@pytest.fixture(scope="module")
def unguarded(stage: Stage) -> dict[str, tuple[str, str, Any]]:
    """Requests for what is Vera's, which only newer versions of MLflow's own login refuse (docs/security.md)."""
    run, traces = {"run_id": stage.run_id, "datasets": []}, f"{API}/traces"
    lost = f"tr-{secrets.token_hex(16)}"
    assert stage.trace(stage.vera, stage.experiment_id, lost) == 200
    body = {"name": f"vera-{secrets.token_hex(4)}", "experiment_ids": [stage.experiment_id]}
    status, made = stage.vera.ask("POST", "/api/3.0/mlflow/datasets/create", body)
    assert status == 200, made
    files = f"/ajax-api/2.0/mlflow/logged-models/{stage.model_id}/artifacts/files?artifact_file_path=secret.txt"
    return {
        "webhooks": ("GET", f"{API}/webhooks", None),
        "file_of_a_logged_model": ("GET", files, None),
        "trace": ("GET", f"/api/3.0/mlflow/traces/{stage.trace_id}", None),
        "tag_of_a_trace": ("PATCH", f"{traces}/{stage.trace_id}/tags", {"key": "mallory", "value": "was here"}),
        "deleted_trace": (
            "POST",
            f"{traces}/delete-traces",
            {"experiment_id": stage.experiment_id, "request_ids": [lost]},
        ),
        "inputs_of_a_run": ("POST", f"{API}/runs/log-inputs", run),
        "dataset": ("GET", f"/api/3.0/mlflow/datasets/{made['dataset']['dataset_id']}", None),
    }


UNGUARDED = (
    *("webhooks", "file_of_a_logged_model", "trace", "tag_of_a_trace", "deleted_trace", "inputs_of_a_run", "dataset"),
)


@pytest.mark.parametrize("what", UNGUARDED)
def test_what_the_login_guards_depends_on_the_version(
    stage: Stage, unguarded: dict[str, tuple[str, str, Any]], what: str
) -> None:
    status = stage.mallory.ask(*unguarded[what])[0]
    assert status == (200 if stage.server.version == OLD else 403)


def test_validation_passes_on_a_guarded_server(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    login: dict[str, Any] = {"tracking_uri": stage.server.url, "username": "admin", "password": stage.server.password}
    result = run_module(capsys, mlflow_health, **login, **CHECK)
    assert (result["reason"], result["foreign_uris"]) == ("ready", [])


@pytest.fixture(scope="module")
def defenceless(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server without users and without the guard."""
    folder = tmp_path_factory.mktemp("defenceless")
    server = MlflowServer(folder / "server", stage.server.version, stage.server.environment["PYTHONPATH"], auth=False)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_validation_fails_on_another_and_leaves_nothing_there(
    defenceless: MlflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = defenceless
    result = run_module(capsys, mlflow_health, tracking_uri=server.url, **CHECK)
    assert result["reason"] == "uris_accepted"
    accepted = "accepts an experiment with any artifact_location and a model version with any source"
    assert accepted in result["msg"]
    found = server.ask("GET", f"{API}/experiments/search?max_results=9&view_type=ALL", login=None)[1]
    assert [one["name"] for one in found["experiments"]] == ["Default"]
    assert server.ask("GET", f"{API}/registered-models/search", login=None) == (200, {})
    odd = {"name": "odd", "artifact_location": "/etc"}
    assert server.ask("POST", f"{API}/experiments/create", odd, None)[0] == 200
    listed = run_module(capsys, mlflow_health, check=True, tracking_uri=server.url, **CHECK)
    assert listed["foreign_uris"] == [{"kind": "experiment", "name": "odd", "uri": "/etc"}]
    assert "experiment odd (/etc)" in str(listed["warnings"])


def test_a_server_without_users(defenceless: MlflowServer, capsys: pytest.CaptureFixture[str]) -> None:
    login: dict[str, Any] = {
        "tracking_uri": defenceless.url,
        "username": "admin",
        "password": secrets.token_urlsafe(16),
    }
    cases: tuple[tuple[Any, dict[str, Any]], ...] = (
        (mlflow_user, {"name": "x", "state": "absent"}),
        (mlflow_permission, {"user": "x", "resource": "Default", "permission": "READ"}),
    )
    for module, arguments in cases:
        failed = run_module(capsys, module, **login, **arguments)
        assert failed["reason"] == "no_users"
        assert "it runs without authentication" in failed["msg"]
