# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# A plugin of SQLAlchemy's ("sqlalchemy.plugins", CreateEnginePlugin), which a task installs before its server starts.
# The comments are left out there. It refuses what users may not name as the place of files, when MLflow is about to
# store it: whatever route, API version or login it came by, and without reading a request in another way than MLflow.
#
# MLflow 3.10.0 to 3.17.2 take as artifact_location of an experiment whatever they are given
# (mlflow/server/handlers.py, _create_experiment), and then read and write there with the server's rights. The same
# holds for the tag mlflow.artifactLocation of a trace (_set_trace_tag, get_trace_artifact_handler). Whether a caller
# may read what a model version's source points to is asked by newer versions alone, and not for each kind of source.
import contextvars
import io
import json
import os
import re
from urllib.parse import urlencode
from urllib.parse import urlsplit

import flask
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels import models
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import event
from sqlalchemy.engine import CreateEnginePlugin
from werkzeug.test import run_wsgi_app

LOCATIONS = os.environ.get("ARTIFACT_LOCATION_VALIDATION_REGEX")
LOCATIONS_VARIABLE = os.environ.get("ARTIFACT_LOCATIONS_VARIABLE", "allowed_artifact_locations")
# mlflow/prompt/constants.py; older versions: mlflow/tracking/client.py, create_prompt_version, and
# mlflow/store/model_registry/abstract_store.py.
PLACEHOLDERS = ("prompt-template", "dummy-source")
ARTIFACTS = "mlflow.artifactLocation"
ARCHIVE = "mlflow.trace.archiveLocation"


def refuse(why):
    raise MlflowException.invalid_parameter_value(why)


# What the server would answer if the caller asked for this: every login decides about its own users so. In a context
# of its own, since each request resets the workspace.
def ask(path, **query):
    return contextvars.copy_context().run(_ask, f"/api/2.0/mlflow/{path}", urlencode(query))


def _ask(path, query):
    if not flask.has_request_context():
        return None
    left_out = ("werkzeug.", "flask.", "CONTENT_", "REQUEST_URI", "RAW_URI", "HTTP_TRANSFER_ENCODING", "wsgi.input")
    environ = {name: value for name, value in flask.request.environ.items() if not name.startswith(left_out)}
    environ.update({"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO()})
    answer, status = run_wsgi_app(flask.current_app.wsgi_app, environ, buffered=True)[:2]
    return json.loads(b"".join(answer)) if status.startswith("200 ") else None


# The server's own choice of a place begins with the experiment's ID.
def may_read(source):
    parts = urlsplit(source)
    if parts.scheme == "runs":
        return ask("runs/get", run_id=RunsArtifactRepository.parse_runs_uri(source)[0])
    if parts.scheme == "models":
        model = _parse_model_uri(source)
        return (
            ask(f"logged-models/{model.model_id}") if model.model_id else ask("registered-models/get", name=model.name)
        )
    if parts.scheme == "mlflow-artifacts":
        path = parts.path.lstrip("/")
        if ".." in path.split("/"):
            return None
        if experiment := re.match("([0-9]+)/", path):
            return ask("experiments/get", experiment_id=experiment[1])
        return within(path)
    return True


# Of an experiment with another artifact_location: the run or the logged model that the path goes through.
def within(path):
    for owner in re.findall("(?<=/)(?:m-)?[0-9a-f]{32}(?=/artifacts(?:/|$))", f"/{path}"):
        answer = ask(f"logged-models/{owner}") if owner.startswith("m-") else ask("runs/get", run_id=owner)
        for found in (answer or {}).values():
            if f"{path}/".startswith(urlsplit(found["info"]["artifact_uri"]).path.strip("/") + "/"):
                return True
    return None


def experiment(mapper, connection, target):
    location = target.artifact_location
    if location and not (LOCATIONS and re.fullmatch(LOCATIONS, location)):
        refuse(
            # Not what it is: MLflow has made a relative one absolute, with the server's own folder.
            "This artifact_location is refused: leave it out, and the server chooses one. "
            f"The operator of the server may allow others ({LOCATIONS_VARIABLE})."
        )


def model_version(mapper, connection, target):
    if target.source not in PLACEHOLDERS and not may_read(target.source):
        refuse(f"Model version source {target.source!r} is refused: it is nothing that you may read.")


def trace(mapper, connection, target):
    if not re.fullmatch(r"[\w:.-]+", target.request_id) or target.request_id.startswith("."):
        refuse(f"Trace ID {target.request_id!r} is refused: use letters, digits and - _ . :")


def trace_tag(mapper, connection, target):
    if target.key not in (ARTIFACTS, ARCHIVE):
        return
    own = ("traces", target.request_id, "artifacts")
    if target.key == ARCHIVE:
        right = re.match("s3://|mlflow-artifacts:/", target.value) and target.value.endswith("/".join(("", *own)))
    else:
        query = sqlalchemy.select(models.SqlExperiment.artifact_location).join(
            models.SqlTraceInfo, models.SqlTraceInfo.experiment_id == models.SqlExperiment.experiment_id
        )
        root = connection.execute(query.where(models.SqlTraceInfo.request_id == target.request_id)).scalar()
        right = root and target.value == append_to_uri_path(root, *own)
    if not right:
        refuse(f"The tag {target.key} of a trace is the server's own, and cannot be set to {target.value!r}.")


class UriGuardPlugin(CreateEnginePlugin):
    def __init__(self, url, kwargs):
        for name, of, check in (
            ("before_insert", models.SqlExperiment, experiment),
            ("before_insert", SqlModelVersion, model_version),
            ("before_insert", models.SqlTraceInfo, trace),
            ("before_insert", models.SqlTraceTag, trace_tag),
            ("before_update", models.SqlTraceTag, trace_tag),
        ):
            if not event.contains(of, name, check):
                event.listen(of, name, check)

    def update_url(self, url):
        return url
