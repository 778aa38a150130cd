# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Reads concurrently what a deployment consists of."""

from __future__ import annotations

import socket
import ssl
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from urllib.parse import urlsplit

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_message
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import check_health
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import read_version
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client as MlflowClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import explain
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe

Answer = dict[str, typing.Any]
Clients = Callable[[str], Client]

# botocore's connection pool holds ten connections a client; no service gets more requests at once.
_MAX_WORKERS = 12
# CloudWatch keeps BucketSizeBytes once a day, and a day late (S3 User Guide, "Monitoring metrics with CloudWatch").
_STORAGE_DAYS = 3


@dataclass(frozen=True)
class Names:
    """What a deployment's resources are called.

    Attributes:
        service: name of the service and, without a database of the user's own, of the RDS instance.
        cluster: name of the ECS cluster.
        bucket: name of the bucket.
        database: identifier of the RDS instance; empty if there is none.
        account_id: of the AWS account.
        region: AWS region.
        partition: AWS partition.
    """

    service: str
    cluster: str
    bucket: str
    database: str
    account_id: str
    region: str
    partition: str

    @property
    def service_arn(self) -> str:
        """The ARN of the service, in ECS's long format, which Express Mode requires."""
        return f"arn:{self.partition}:ecs:{self.region}:{self.account_id}:service/{self.cluster}/{self.service}"


@dataclass
class Observed:
    """What AWS and the server answered.

    Attributes:
        answers: by question; empty where there is no such resource, and without the key where it could not be asked.
        unknown: questions that were not answered, with the reason.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def get(self, question: str) -> Answer:
        """Return the answer, empty if there is none."""
        return self.answers.get(question, {})


def read(clients: Clients, names: Names, connect: Callable[[str], Connection]) -> Observed:
    """Ask AWS for each resource at the same time, and then the server itself.

    Args:
        clients: returns the client of a service; called in this thread only, as boto3's sessions are not thread-safe.
        names: what to ask for.
        connect: returns how to ask the server with a URL.

    Returns:
        the answers. A request that fails is noted there, and stops none of the others.
    """
    observed = Observed()
    questions = {name: (clients(service), ask) for name, (service, ask) in _questions(names).items()}
    with ThreadPoolExecutor(_MAX_WORKERS) as pool:
        asked = {name: pool.submit(_ask, client, ask) for name, (client, ask) in questions.items()}
        # The server is asked as soon as its address is known.
        service = asked["service"].result()
        if url := transformations.url(transformations.endpoint(service[0] or {})):
            connection = connect(url)
            server = MlflowClient(connection)
            asked |= {
                "health": pool.submit(_ask_health, server),
                "version": pool.submit(_ask_version, server),
                "certificate": pool.submit(_read_certificate, connection),
            }
        for name, answer in asked.items():
            found, reason = answer.result()
            if found is None:
                observed.unknown[name] = reason
            else:
                observed.answers[name] = found
    return observed


def _questions(names: Names) -> dict[str, tuple[str, Callable[[Client], Answer]]]:
    """Return each question with the service that answers it."""
    bucket = {"Bucket": names.bucket, "ExpectedBucketOwner": names.account_id}
    questions: dict[str, tuple[str, Callable[[Client], Answer]]] = {
        "service": ("ecs", lambda ecs: _describe_service(ecs, names)),
        "tasks": ("ecs", lambda ecs: _describe_tasks(ecs, names)),
        "deployment": ("ecs", lambda ecs: _newest_deployment(ecs, names)),
        "bucket": ("s3", lambda s3: _headers(s3.head_bucket(**bucket))),
        "bucket_public_access": (
            "s3",
            lambda s3: dict(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]),
        ),
        "bucket_versioning": ("s3", lambda s3: {"Status": s3.get_bucket_versioning(**bucket).get("Status", "")}),
        "bucket_encryption": (
            "s3",
            lambda s3: dict(s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]),
        ),
        "metrics": ("cloudwatch", lambda cloudwatch: _storage(cloudwatch, names)),
    }
    if names.database:
        questions |= {
            "database": ("rds", lambda rds: _describe_database(rds, names)),
            "snapshot": ("rds", lambda rds: _newest_snapshot(rds, names)),
        }
    return questions


def _ask(client: Client, ask: Callable[[Client], Answer]) -> tuple[Answer | None, str]:
    """Return the answer, or None and the reason why there is none."""
    try:
        return ask(client), ""
    except (AnsibleAWSError, BotoCoreError, ClientError) as e:
        if is_missing(e):
            return {}, ""
        return None, error_message(e) or str(e)


# ---- ECS


def _describe_service(ecs: Client, names: Names) -> Answer:
    service = api.describe_express(ecs, names.service_arn) or {}
    return {} if (service.get("status") or {}).get("statusCode") == "INACTIVE" else service


def _describe_tasks(ecs: Client, names: Names) -> Answer:
    service = api.find_service(ecs, cluster=names.cluster, name=names.service) or {}
    return {} if service.get("status") == "INACTIVE" else service


def _newest_deployment(ecs: Client, names: Names) -> Answer:
    return next(iter(api.list_deployments(ecs, cluster=names.cluster, service=names.service)), {})


# ---- RDS, S3 and CloudWatch


def _describe_database(rds: Client, names: Names) -> Answer:
    return describe.find(rds, names.database) or {}


def _newest_snapshot(rds: Client, names: Names) -> Answer:
    # Snapshots have no order; a deployment has few.
    found = rds.pages("describe_db_snapshots", "DBSnapshots", DBInstanceIdentifier=names.database)
    finished = [one for one in found if one.get("Status") == "available"]
    return dict(max(finished, key=lambda one: one["SnapshotCreateTime"], default={}))


def _headers(answer: Answer) -> Answer:
    return {"Region": answer.get("BucketRegion", ""), "Found": True}


def _storage(cloudwatch: Client, names: Names) -> Answer:
    """Return the newest values of what the database has left and the bucket holds, in bytes."""
    now = datetime.now(UTC)
    database = [{"Name": "DBInstanceIdentifier", "Value": names.database}]
    bucket = [{"Name": "BucketName", "Value": names.bucket}, {"Name": "StorageType", "Value": "StandardStorage"}]
    queries = [_query("bucket", "AWS/S3", "BucketSizeBytes", bucket, 86400)]
    if names.database:
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
        # The image's tag tells it as well.
        return ({}, "") if e.reason == "login_required" else (None, e.message)


def _read_certificate(connection: Connection) -> tuple[Answer | None, str]:
    """Return when the certificate expires that the server shows."""
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
