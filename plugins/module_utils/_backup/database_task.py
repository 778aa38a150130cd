# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The task of the server's image that reads a database: that of the deployment, or a copy of it."""

from __future__ import annotations

import importlib.util
import types
import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.one_off_task import OneOffTask

#: The server's secret with the password of the database.
PASSWORD = "PGPASSWORD"
#: The server's secret with its login, if it does not log in as the master user.
USERNAME = "PGUSER"
#: What the server encrypts values of the database with.
KEYS = ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "MLFLOW_CRYPTO_KEK_PASSPHRASE")
#: Of the server's plain variables, what the way to the database and to AWS needs.
HANDED_ON = ("AWS_DEFAULT_REGION", "PGSSLMODE", "PGCONNECT_TIMEOUT", "DATABASE_CA_CERTIFICATES")


@dataclass(frozen=True)
class Database:
    """Where a database is, and who logs in.

    Attributes:
        host, port: of its server.
        name: of the database.
        username: whom the password belongs to, unless the server's secret says it.
    """

    host: str
    port: int
    name: str
    username: str


def build(
    service: target.Resource,
    database: Database,
    *,
    family: str,
    bucket: str,
    report_key: str,
    dump_key: str = "",
    decrypt: bool = False,
) -> OneOffTask:
    """Return the task, yet without tags, run and region.

    Args:
        service: whose roles, network, password and image it takes.
        database: what it reads.
        family: of its task definition.
        bucket, report_key: where it leaves what it has found.
        dump_key: where it leaves a dump; empty for none.
        decrypt: whether it tries to decrypt what the server has encrypted.
    """
    container = dict(target.configuration(service).get("primary_container") or {})
    plain, secrets = container.get("environment") or {}, container.get("secrets") or {}
    environment = {
        **{name: value for name, value in plain.items() if name in HANDED_ON},
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGDATABASE": database.name,
        **({} if USERNAME in secrets else {USERNAME: database.username}),
        "REPORT_BUCKET": bucket,
        "REPORT_KEY": report_key,
        **({"DUMP_KEY": dump_key} if dump_key else {}),
        **({"DECRYPT": "yes"} if decrypt else {}),
    }
    taken = (USERNAME, PASSWORD, *(KEYS if decrypt else ()))
    return OneOffTask(
        purpose="read the database",
        family=family,
        command=("python", "-c", program()),
        environment=environment,
        secrets={name: secrets[name] for name in taken if name in secrets},
        tags={},
        run="",
        region="",
    )


def program() -> str:
    """Return the source of the program that the task runs."""
    return source(database_report)


def source(module: types.ModuleType) -> str:
    """Return the source of a module of this collection, which a task runs as a program."""
    spec = importlib.util.find_spec(module.__name__)
    loader: typing.Any = spec.loader if spec else None
    text = loader.get_source(module.__name__) if loader else None
    if not text:
        raise UserError(f"The source of {module.__name__} cannot be read.")
    # Ansible's loader of collections gives bytes, that of a packed module text.
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)
