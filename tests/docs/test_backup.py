# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides say is typed to look after the database.

Who backs up as docs/guides/backup.md says and restores as docs/guides/restore.md says has what was there then, and
nothing else is changed. Who deletes for good as docs/guides/clean-up.md says has nothing left of what was deleted.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from blocks import Block
from blocks import shell_blocks
from controllers import Controller
from controllers import RegionalAws
from controllers import to_its_end
from test_reading import PREAMBLE

PAGES = ("docs/guides/backup.md", "docs/guides/restore.md")


def steps() -> list[Block]:
    """What is typed on the pages, but for what needs AWS."""
    return [block for block in shell_blocks() if block.page in PAGES and block.mark != "needs AWS"]


class Server:
    """The deployment, as its administrator calls it."""

    def __init__(self, aws: RegionalAws, name: str, url: str) -> None:
        text = aws.client("secretsmanager").get_secret_value(SecretId=f"{name}/login")["SecretString"]
        self.url = url
        self.session = requests.Session()
        self.session.auth = (json.loads(text)["username"], json.loads(text)["password"])
        self.session.trust_env, self.session.verify = False, aws.info["ca_bundle"]

    def create(self, experiment: str) -> None:
        """Make an experiment."""
        made = self.session.post(
            f"{self.url}/api/2.0/mlflow/experiments/create", json={"name": experiment}, timeout=1800
        )
        made.raise_for_status()

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What it answers."""
        answer = self.session.post(f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def run_with_artifact(self) -> tuple[str, str]:
        """Make a run with an artifact; its id, and the folder of its artifacts in the bucket."""
        info = self.post("runs/create", experiment_id="0")["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        url = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{folder}/note.txt"
        self.session.put(url, data=b"to be deleted", timeout=60).raise_for_status()
        return info["run_id"], folder

    def experiments(self) -> set[str]:
        """The names of those that are there."""
        found = self.session.get(
            f"{self.url}/api/2.0/mlflow/experiments/search", params={"max_results": 100}, timeout=1800
        )
        found.raise_for_status()
        return {one["name"] for one in found.json()["experiments"]}


def test_a_backup_is_taken_and_restored(
    deployed: str, controller: Controller, reader: dict[str, str], url: str
) -> None:
    server = Server(controller.aws, deployed, url)
    backup, restore = steps()
    server.create("before the backup")
    to_its_end(["bash", "-c", PREAMBLE + backup.text], reader, controller.work).succeeded()
    server.create("after the backup")
    played = to_its_end(["bash", "-c", PREAMBLE + restore.text], reader, controller.work).succeeded()
    assert "mlflow_restore_confirm=mlflow-replaced-" in played.output
    assert {"before the backup", "after the backup"} & server.experiments() == {"before the backup"}


def test_deleted_runs_are_deleted_for_good(
    deployed: str, controller: Controller, reader: dict[str, str], url: str
) -> None:
    [block] = [one for one in shell_blocks() if one.page == "docs/guides/clean-up.md"]
    server, s3 = Server(controller.aws, deployed, url), controller.aws.client("s3")
    bucket = f"{deployed}-artifacts-123456789012-{controller.aws.region}"
    run, path = server.run_with_artifact()
    server.post("runs/delete", run_id=run)

    def typed(*options: str) -> str:
        """Type the commands, with further options for each; what they show."""
        text = "\n".join(" ".join([line.partition("  #")[0], *options]) for line in block.text.splitlines())
        return to_its_end(["bash", "-c", PREAMBLE + text], reader, controller.work).succeeded().output

    # It was deleted a moment ago, and so it stays.
    assert typed().count("there is nothing to delete for good") == 2
    said = typed("-e", "mlflow_gc_older_than=0s", "-e", "mlflow_db_backup_retention_days=0")
    assert "1 run could be deleted for good" in said and "1 run was deleted for good" in said
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix=path)
    assert server.session.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=60).status_code == 404


def test_nothing_is_left_to_change(deployed: str, controller: Controller, variables: dict[str, object]) -> None:
    assert controller.play("deploy", {**variables, "mlflow_name": deployed}).succeeded().changed == {"localhost": 0}


@pytest.mark.parametrize("block", steps(), ids=str)
def test_the_page_says_who_runs_it(block: Block) -> None:
    assert block.mark == "run by"
