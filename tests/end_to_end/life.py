# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment with a writer, for tests of verbs: what was acknowledged must be there afterwards."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from types import TracebackType
from typing import Any

import requests
from harness import LocalAws
from harness import Played
from harness import eventually

ACCOUNT = "123456789012"
_OWN_TAG = "mlops.mlflow_aws:"
# What differs between two instances of the same settings.
_OF_ONE_INSTANCE = {
    "DBInstanceIdentifier",
    "DBInstanceArn",
    "DbiResourceId",
    "InstanceCreateTime",
    "LatestRestorableTime",
    "AvailabilityZone",
    "SecondaryAvailabilityZone",
    "PreferredMaintenanceWindow",
}


class Life:
    """One deployment."""

    def __init__(self, aws: LocalAws, name: str, **variables: Any) -> None:
        self.aws = aws
        self.name = name
        self.variables = {"mlflow_name": name, **variables}
        self.bucket = f"{name}-artifacts-{ACCOUNT}-us-east-1"

    def __enter__(self) -> Life:
        self.play("deploy").succeeded()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to do: the local AWS goes as a whole."""

    def play(self, verb: str, **options: Any) -> Played:
        """Run a playbook; options that are variables go with -e."""
        variables = {key: value for key, value in options.items() if key.startswith("mlflow_")}
        others = {key: value for key, value in options.items() if key not in variables}
        return self.aws.play(verb, self.aws.small(**{**self.variables, **variables}), **others)

    # ---- AWS

    def instances(self) -> list[str]:
        """The identifiers of the deployment's instances."""
        found = self.aws.client("rds").describe_db_instances()["DBInstances"]
        return sorted(one["DBInstanceIdentifier"] for one in found if one["DBInstanceIdentifier"].startswith(self.name))

    def settings(self) -> dict[str, Any]:
        """What a restored instance must have as its predecessor had it."""
        [found] = self.aws.client("rds").describe_db_instances(DBInstanceIdentifier=self.name)["DBInstances"]
        tags = [one for one in found.pop("TagList") if not one["Key"].startswith(_OWN_TAG)]
        kept = {key: value for key, value in found.items() if key not in _OF_ONE_INSTANCE}
        return {**kept, "TagList": sorted(tags, key=lambda one: one["Key"])}

    def counted_at(self, backup: str) -> datetime:
        """When the rows of a backup were counted."""
        return datetime.fromisoformat(self.manifest(backup)["counted_at"])

    def manifest(self, backup: str) -> dict[str, Any]:
        """What a backup says of itself."""
        key = f"_backups/{self.name}/{backup}/manifest.json"
        found: dict[str, Any] = json.loads(self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())
        return found

    # ---- MLflow

    @property
    def url(self) -> str:
        """Of the server."""
        arn = f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/default/{self.name}"
        answer = self.aws.client("ecs").describe_express_gateway_service(serviceArn=arn)["service"]
        [path] = answer["activeConfigurations"][0]["ingressPaths"]
        return f"https://{path['endpoint'].removeprefix('https://')}"

    def session(self) -> requests.Session:
        """The administrator's."""
        text = self.aws.client("secretsmanager").get_secret_value(SecretId=f"{self.name}/login")["SecretString"]
        session = requests.Session()
        session.auth = (json.loads(text)["username"], json.loads(text)["password"])
        session.trust_env, session.verify = False, self.aws.info["ca_bundle"]
        return session

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What the server answers."""
        answer = self.session().post(f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=1800)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def runs(self) -> set[str]:
        """The names of all runs of the default experiment."""
        names: set[str] = set()
        token = ""
        while True:
            page = self.post("runs/search", experiment_ids=["0"], max_results=1000, page_token=token)
            names |= {one["info"]["run_name"] for one in page.get("runs", [])}
            token = page.get("next_page_token", "")
            if not token:
                return names

    @contextlib.contextmanager
    def writer(self) -> Iterator[Writer]:
        """Somebody who makes runs all the time."""
        writer = Writer(self)
        thread = threading.Thread(target=writer.write, daemon=True)
        thread.start()
        try:
            yield writer
        finally:
            writer.ended.set()
            thread.join()


class Writer:
    """Makes runs, and remembers which of them were acknowledged when."""

    def __init__(self, life: Life) -> None:
        self.url = life.url
        self.session = life.session()
        self.ended = threading.Event()
        self.acknowledged: dict[str, datetime] = {}
        self.unavailable: list[int] = []

    def write(self) -> None:
        """Go on until it is told to end."""
        number = 0
        while not self.ended.is_set():
            number += 1
            name = f"run-{number}"
            body: dict[str, Any] = {"experiment_id": "0", "run_name": name, "start_time": int(time.time() * 1000)}
            try:
                answer = self.session.post(f"{self.url}/api/2.0/mlflow/runs/create", json=body, timeout=1800)
            except requests.RequestException:
                self.unavailable.append(0)
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged[name] = datetime.now(UTC)
            else:
                self.unavailable.append(answer.status_code)
            time.sleep(0.05)

    def at_least(self, more: int) -> None:
        """Wait for so many more acknowledged runs."""
        wanted = len(self.acknowledged) + more
        eventually(lambda: len(self.acknowledged) >= wanted, f"{more} more runs")

    def acknowledged_before(self, moment: datetime) -> list[str]:
        """The runs that were acknowledged before a time."""
        return [name for name, when in dict(self.acknowledged).items() if when < moment]
