# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""File URIs that users set: whether the server refuses what it must, and what was set before it did.

MLflow itself takes any artifact location of an experiment, and most sources of model versions
(mlflow/server/handlers.py of 3.10.0 to 3.17.2, _create_experiment and _create_model_version).
"""

from __future__ import annotations

import re
import typing
import uuid
from collections.abc import Iterator

from .readiness import EXPERIMENTS
from .readiness import refusal
from .rest import Client
from .rest import MlflowError

VERSIONS = "api/2.0/mlflow/model-versions"
# Never read or written. It has a path, since MLflow refuses a source without one for another reason.
FOREIGN = "s3://mlops-mlflow-aws-must-be-refused/model"
# mlflow/prompt/constants.py
_PLACEHOLDERS = ("prompt-template", "dummy-source")
_PER_PAGE, _MOST_PAGES = 1000, 100


def check_refusals(client: Client) -> None:
    """Try requests that the server must refuse.

    Nothing is created, even if the server accepts them: the experiment's name is taken, and the model of the version
    does not exist. With a login that may do neither, the check proves nothing.

    Raises:
        MlflowError: the server accepts it.
    """
    accepted = []
    taken = _name_of_an_experiment(client)
    if taken:
        answer = client.call("POST", f"{EXPERIMENTS}/create", body={"name": taken, "artifact_location": FOREIGN})
        if answer.status == 200:
            # Renamed meanwhile.
            made = {"experiment_id": answer.json().get("experiment_id")}
            client.call("POST", f"{EXPERIMENTS}/delete", body=made)
        if answer.status == 200 or answer.error_code == "RESOURCE_ALREADY_EXISTS":
            accepted.append("an experiment with any artifact_location")
    model = {"name": f"mlops-mlflow-aws-{uuid.uuid4().hex}", "source": FOREIGN}
    answer = client.call("POST", f"{VERSIONS}/create", body=model)
    if answer.error_code == "RESOURCE_DOES_NOT_EXIST":
        accepted.append("a model version with any source")
    if accepted:
        raise MlflowError(
            "uris_accepted",
            f"{client.connection.tracking_uri} accepts {' and '.join(accepted)}, so that users reach files of others"
            " and of the server: deploy it again with this version of the collection, or, if that is intended, leave"
            " out check_uris.",
        )


def _name_of_an_experiment(client: Client) -> str:
    """Return the name of some experiment, deleted ones included; empty if this login sees none."""
    answer = client.call("GET", f"{EXPERIMENTS}/search", query={"max_results": 1, "view_type": "ALL"})
    found = answer.json().get("experiments") or [{}]
    return str(found[0].get("name", ""))


def find_foreign(client: Client, locations: list[str], sources: list[str]) -> list[dict[str, str]]:
    """Find experiments and model versions whose files are where the guard would not allow them now.

    Args:
        client: its login limits the results.
        locations: what the artifact location of an experiment may begin with.
        sources: what the source of a model version may begin with, besides what the server decides about itself.

    Returns:
        C(kind), C(name) and C(uri) of each.
    """
    found = []
    for one in _all(client, f"{EXPERIMENTS}/search", "experiments", view_type="ALL"):
        uri, number = str(one.get("artifact_location", "")), re.escape(str(one.get("experiment_id", "")))
        chosen = bool(re.fullmatch(rf"mlflow-artifacts:(/workspaces/[^/]+)?/{number}", uri))
        chosen = chosen or (uri.startswith(tuple(sources)) and uri.endswith(f"/{one.get('experiment_id')}"))
        if not chosen and not uri.startswith(tuple(locations)):
            found.append({"kind": "experiment", "name": str(one.get("name", "")), "uri": uri})
    for one in _all(client, f"{VERSIONS}/search", "model_versions"):
        uri = str(one.get("source", ""))
        own = uri in _PLACEHOLDERS or re.match(r"(mlflow-artifacts|runs|models):/(?!/)", uri)
        run = re.match(r"(?:mlflow-artifacts:/(?:workspaces/[^/]+/)?[0-9]+|runs:)/([0-9a-f]{32})(?:/|$)", uri)
        if (not own and not uri.startswith(tuple(sources))) or (run and run[1] != one.get("run_id")):
            found.append({"kind": "model version", "name": f"{one.get('name')} {one.get('version')}", "uri": uri})
    return found


def _all(client: Client, path: str, member: str, **query: str) -> Iterator[dict[str, typing.Any]]:
    token = ""
    for _page in range(_MOST_PAGES):
        asked = {"max_results": _PER_PAGE, **query, **({"page_token": token} if token else {})}
        answer = client.call("GET", path, query=asked)
        problem = refusal(answer, client.connection)
        if problem:
            raise problem
        yield from answer.json().get(member) or []
        token = str(answer.json().get("next_page_token") or "")
        if not token:
            return


def sentence(found: list[dict[str, str]]) -> str:
    """Return a sentence about them."""
    first = ", ".join(f"{one['kind']} {one['name']} ({one['uri']})" for one in found[:10])
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return (
        "The server goes on using places of files that users could name before it refused them (or while it did not):"
        f" {first}{more}. Look at each: delete what you do not know, and add what is right to"
        " allowed_artifact_locations or allowed_model_sources."
    )
