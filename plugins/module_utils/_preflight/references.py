# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the resources that settings refer to exist and can be used. Private to the collection."""

from __future__ import annotations

import typing
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_denied
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing

#: Returns the client of a service in a region.
Clients = Callable[[str, str], Client]

_AT_ONCE = 8
_NOUNS = {"kms_key": "KMS key", "secret": "secret", "policy": "IAM policy"}
_SERVICES = {"kms_key": "kms", "secret": "secretsmanager", "policy": "iam"}
# The parts of a secret's ARN; after them ECS takes a member's key, a version's stage and its id.
_ARN_PARTS = 7


@dataclass(frozen=True)
class Reference:
    """A resource that a setting refers to.

    Attributes:
        setting: as the user knows it, such as C(extra_secrets['TOKEN']).
        kind: C(kms_key), C(secret) or C(policy).
        value: an ARN.
        by_server: whether a secret is read by the server's tasks, not by the caller.
    """

    setting: str
    kind: str
    value: str
    by_server: bool = False


@dataclass(frozen=True)
class Usable:
    """The customer managed keys that the server may use to read secrets, and the setting that lists them."""

    keys: frozenset[str]
    setting: str


def references(kind: str, settings: Mapping[str, typing.Any], *, by_server: bool = False) -> Iterator[Reference]:
    """Yield the references of settings, whose values are texts, lists or dictionaries; empty ones have none."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            items: list[tuple[str, typing.Any]] = [(f"{name}[{key!r}]", one) for key, one in value.items()]
        elif isinstance(value, (list, tuple)):
            items = [(f"{name}[{index}]", one) for index, one in enumerate(value)]
        else:
            items = [(name, value)]
        for setting, one in items:
            # ECS reads parameters of Systems Manager too; their names tell all that can be known without their values.
            if one and not (kind == "secret" and ":ssm:" in str(one)):
                yield Reference(setting, kind, str(one), by_server)


def problems(clients: Clients, region: str, wanted: list[Reference], usable: Usable) -> tuple[list[str], list[str]]:
    """Ask AWS for each reference.

    Args:
        clients: see there.
        region: of the deployment.
        wanted: the references to check.
        usable: see there.

    Returns:
        a sentence for each that does not exist or cannot be used, and the settings that the caller may not check.
    """
    found: list[str] = []
    unknown: list[str] = []
    # Made before the threads start: boto3's sessions are not thread-safe, its clients are (boto3 guide, "Clients").
    for one in wanted:
        clients(_SERVICES[one.kind], _region(one, region))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for one, answer in zip(wanted, pool.map(lambda one: _ask(clients, region, one), wanted), strict=True):
            if answer is None:
                unknown.append(one.setting)
            elif sentence := _problem(one, answer, usable):
                found.append(sentence)
    return found, unknown


def _region(one: Reference, region: str) -> str:
    """Return the region to ask in: keys and secrets may be of another one than the deployment."""
    return one.value.split(":")[3] if one.kind in ("kms_key", "secret") else region


def _ask(clients: Clients, region: str, one: Reference) -> dict[str, typing.Any] | None:
    """Return AWS's answer: empty if there is no such resource, None if the caller lacks the permission."""
    client = clients(_SERVICES[one.kind], _region(one, region))
    try:
        return _READ[one.kind](client, one.value)
    except ClientError as e:
        if is_missing(e):
            return {}
        if is_denied(e):
            return None
        raise


_READ: dict[str, Callable[[Client, str], dict[str, typing.Any]]] = {
    "kms_key": lambda kms, arn: dict(kms.describe_key(KeyId=arn)["KeyMetadata"]),
    "secret": lambda secrets, arn: dict(
        secrets.describe_secret(SecretId=":".join(arn.split(":")[:_ARN_PARTS])),
    ),
    "policy": lambda iam, arn: dict(iam.get_policy(PolicyArn=arn)["Policy"]),
}


def _problem(one: Reference, answer: dict[str, typing.Any], usable: Usable) -> str:
    if not answer:
        return (
            f"{one.setting} names the {_NOUNS[one.kind]} {one.value}, which does not exist: create it, or correct it."
        )
    if one.kind == "kms_key":
        return _key_problem(one, answer)
    if one.kind == "secret":
        return _secret_problem(one, answer, usable)
    return ""


def _key_problem(one: Reference, key: dict[str, typing.Any]) -> str:
    # S3, RDS, Secrets Manager and CloudWatch Logs take symmetric keys alone (KMS Developer Guide, "Using AWS KMS
    # encryption with AWS services").
    if key.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        return f"{one.setting} names the KMS key {one.value}, which is asymmetric or for HMAC: take a symmetric one."
    if key.get("KeyState", "Enabled") != "Enabled":
        return (
            f"{one.setting} names the KMS key {one.value}, whose state is {key['KeyState']}: enable it (cancel its"
            " deletion), or take another one."
        )
    return ""


def _secret_problem(one: Reference, secret: dict[str, typing.Any], usable: Usable) -> str:
    if secret.get("DeletedDate"):
        return (
            f"{one.setting} names the secret {one.value}, which is scheduled for deletion: restore it with `aws"
            " secretsmanager restore-secret`, or take another one."
        )
    key = str(secret.get("KmsKeyId") or "")
    if not key or "alias/aws/" in key or _key_id(key) in {_key_id(arn) for arn in usable.keys}:
        return ""
    # An alias cannot be compared with an ARN.
    if not one.by_server or ":alias/" in key or key.startswith("alias/"):
        return ""
    return (
        f"{one.setting} names a secret under the customer managed KMS key {key}, which the server may not use: add the"
        f" key's ARN to {usable.setting}."
    )


def _key_id(key: str) -> str:
    return key.rsplit("/", 1)[-1]
