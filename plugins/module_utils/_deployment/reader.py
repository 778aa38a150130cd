# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Read all resources of a deployment concurrently, and ask its server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from urllib.parse import urlsplit

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import observation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import STATUS_SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import bucket_questions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import questions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Inputs
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answer
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Question
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.state import State
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import check_health
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import read_version
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client as MlflowClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import explain

# CloudWatch keeps BucketSizeBytes once a day, and a day late (S3 User Guide, "Monitoring metrics with CloudWatch").
_STORAGE_DAYS = 3
#: Under this name an adopted bucket's settings are read, which are no part of the deployment.
ADOPTED_BUCKET = "adopted_bucket"


@dataclass
class Observed:
    """The answers of AWS and of the server.

    Attributes:
        deployment: the resources of the deployment, beside the record of what was applied last.
        answers: what else was asked: empty if there is no such thing, without the key if the request failed.
        unknown: questions without an answer, with the reason.
    """

    deployment: State
    answers: Resources = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Answer:
        """Return a resource of the deployment, or another answer; empty if there is none."""
        return self.deployment.answers.resources.get(name) or self.answers.get(name, {})


def read(clients: Clients, scope: Scope, connect: Callable[[str], Connection]) -> Observed:
    """Ask AWS for each resource at the same time, and the server itself as soon as its address is known.

    Args:
        clients: returns the client of a service; called in this thread only, as boto3's sessions are not thread-safe.
        scope: what belongs to the deployment.
        connect: returns a connection to the server at a URL.

    Returns:
        the answers. A failed request is recorded there and does not stop the others.
    """
    with ThreadPoolExecutor(resources.MAX_WORKERS) as pool:
        asked = resources.Requests(pool, clients, questions(scope))
        more = resources.Requests(pool, clients, _questions(scope))
        server: dict[str, Future[tuple[Answer | None, str]]] = {}
        if url := transformations.url(transformations.endpoint(as_described(asked.wait("service").get("service", {})))):
            connection = connect(url)
            client = MlflowClient(connection)
            server = {
                "health": pool.submit(_ask_health, client),
                "version": pool.submit(_ask_version, client),
                "certificate": pool.submit(_read_certificate, connection),
            }
        found, others = asked.answers(), more.answers()
        for name, answer in server.items():
            told, reason = answer.result()
            if told is None:
                others.unknown[name] = reason
            else:
                others.resources[name] = told
    deployment = observation.compare(clients, scope, Inputs(), found)
    unknown = {**deployment.answers.unknown, **others.unknown}
    return Observed(deployment, others.resources, unknown)


def as_described(service: Answer) -> Answer:
    """Return the service, whose newest configuration was merged into it, as DescribeExpressGatewayService does."""
    return {"activeConfigurations": [service]}


def _questions(scope: Scope) -> Iterator[Question]:
    """Yield what is asked besides what belongs to the deployment."""
    if scope.database:
        yield Question("snapshot", ("rds",), lambda rds: {"snapshot": _newest_snapshot(rds, scope.database)})
    yield Question("metrics", ("cloudwatch",), lambda cloudwatch: {"metrics": _storage(cloudwatch, scope)})
    if scope.bucket_adopted:
        yield from bucket_questions(scope, ADOPTED_BUCKET, STATUS_SETTINGS)


# ---- RDS and CloudWatch


def _newest_snapshot(rds: Client, database: str) -> Answer:
    # Snapshots have no order; a deployment has few.
    found = rds.pages("describe_db_snapshots", "DBSnapshots", DBInstanceIdentifier=database)
    finished = [one for one in found if one.get("Status") == "available"]
    return dict(max(finished, key=lambda one: one["SnapshotCreateTime"], default={}))


def _storage(cloudwatch: Client, scope: Scope) -> Answer:
    """Return the newest free storage of the database and size of the bucket, in bytes."""
    now = datetime.now(UTC)
    database = [{"Name": "DBInstanceIdentifier", "Value": scope.database}]
    bucket = [{"Name": "BucketName", "Value": scope.bucket}, {"Name": "StorageType", "Value": "StandardStorage"}]
    queries = [_query("bucket", "AWS/S3", "BucketSizeBytes", bucket, 86400)]
    if scope.database:
        queries.append(_query("database", "AWS/RDS", "FreeStorageSpace", database, 300))
    found = cloudwatch.get_metric_data(
        MetricDataQueries=queries,
        StartTime=now - timedelta(days=_STORAGE_DAYS),
        EndTime=now,
        ScanBy="TimestampDescending",
    )
    return {one["Id"]: int(one["Values"][0]) for one in found["MetricDataResults"] if one.get("Values")}


def _query(name: str, namespace: str, metric: str, dimensions: list[dict[str, str]], period: int) -> Answer:
    which = {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": which, "Period": period, "Stat": "Average"}}


# ---- the server


def _ask_health(server: MlflowClient) -> tuple[Answer | None, str]:
    try:
        return {"milliseconds": round(check_health(server))}, ""
    except MlflowError as e:
        return {"error": e.message}, ""


def _ask_version(server: MlflowClient) -> tuple[Answer | None, str]:
    try:
        return {"version": read_version(server)}, ""
    except MlflowError as e:
        # The image's tag has the version, too.
        return ({}, "") if e.reason == "login_required" else (None, e.message)


def _read_certificate(connection: Connection) -> tuple[Answer | None, str]:
    """Return the expiry of the server's certificate."""
    parts = urlsplit(connection.tracking_uri)
    context = ssl.create_default_context(cafile=connection.ca_path)
    try:
        with (
            socket.create_connection((connection.host, parts.port or 443), timeout=connection.timeout) as plain,
            context.wrap_socket(plain, server_hostname=connection.host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except OSError as e:
        return None, explain(e, connection, connection.timeout).message
    return {"expires": datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)}, ""
