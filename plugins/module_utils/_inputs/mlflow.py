# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLflow's version and its image. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

OLDEST_VERSION = (3, 10, 0)


def version_numbers(value: typing.Any) -> tuple[int, int, int] | None:
    """Return the three numbers of a version X.Y.Z, or None."""
    match = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})", value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def version_at_least(version: typing.Any, minimum: typing.Any) -> bool:
    """Return whether one version X.Y.Z is another one or newer.

    Raises:
        ValueError: one of them is no such version.
    """
    one, other = version_numbers(version), version_numbers(minimum)
    if one is None or other is None:
        raise ValueError(f"{version if one is None else minimum!r} is no version with three numbers, such as 3.17.2.")
    return one >= other


def version(name: str, value: typing.Any) -> Problems:
    """Check MLflow's version."""
    right = "write all three numbers in quotes, such as '3.17.2'"
    numbers = version_numbers(value)
    if numbers and numbers >= OLDEST_VERSION:
        return []
    if numbers:
        oldest = ".".join(str(part) for part in OLDEST_VERSION)
        why = f"is {value!r}, older than {oldest}, the first version with the demo data and image needed here"
    elif empty(value):
        why = "is empty: a server without a fixed version changes by itself and cannot be rolled back"
    elif value == "latest":
        why = "is 'latest': what that means changes by itself, and a newer server may change the database for good"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        why = f"is {value} without quotes, which YAML takes for a number and which does not name one release"
    elif isinstance(value, str) and re.fullmatch(r"v[0-9.]+", value):
        why = f"is {value!r}, with a v that belongs to the image's tag only"
    elif isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        why = f"is {value!r}, which does not name one release"
    else:
        why = f"is {value!r}, which is no released version"
    return [Violation(name, f"{why}; {right}")]


# A line of pip's requirements file, with one hash or several.
_PINNED = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*( *;[^#\n]*?)?"
    r"( +--hash=sha256:[0-9a-f]{64})+"
)


def pinned(name: str, value: typing.Any) -> Problems:
    """Check a package that a task installs: one version, with the hashes of its wheels."""
    if isinstance(value, str) and _PINNED.fullmatch(value.strip()):
        return []
    return [
        Violation(
            name,
            f"is {shown(value)}, but must be name==version --hash=sha256:<64 digits>, with a hash for each wheel that"
            " may be installed, as `uv pip compile --generate-hashes` shows it: a task installs nothing else",
        )
    ]


def image(name: str, value: typing.Any) -> Problems:
    """Check a container image: it must have an immutable tag or a digest."""
    # botocore's model of ecs, ContainerDefinition.image: up to 255 of these; @ stands before a digest.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9@._:/#-]{1,255}", value):
        return [Violation(name, f"is {shown(value)}, but must be an image such as ghcr.io/mlflow/mlflow:v3.17.2-full")]
    tag = value.rsplit("/", 1)[-1].partition(":")[2]
    if "@sha256:" not in value and tag in ("", "latest"):
        return [Violation(name, f"is {value!r}, which names no version; add a tag such as :v3.17.2-full, or a digest")]
    # MLflow's own plain image; docker/Dockerfile.full in mlflow/mlflow makes the other one.
    if re.fullmatch(r"((ghcr|docker)\.io/)?mlflow/mlflow:v[0-9.]+(rc[0-9]+)?(@.*)?", value):
        return [
            Violation(
                name,
                f"is {value!r}, which holds neither psycopg2 nor boto3, so no server could reach database and bucket;"
                " take the image whose tag ends with -full",
            )
        ]
    return []
