# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images can be "pulled" here: what is known about them, and what makes the same thing out of Python packages.

The extras of MLflow's images are those of docker/Dockerfile.full in mlflow/mlflow: ``extras,db,gateway,genai``,
and since PR #23892 (first release 3.14.0) ``auth``, with ``azure`` beside it, which older versions do not have.
The plain image is ``pip install mlflow`` alone. The interpreter is the one that runs this program, where the
images have Python 3.10 or 3.11.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_MLFLOW = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?(?:[\w.-]+/)*mlflow:v"
    r"(?P<version>(?P<major>\d+)\.(?P<minor>\d+)\.\d+(?:rc\d+)?)(?P<full>-full)?"
)
_PYTHON = re.compile(r"(?:[\w.-]+(?::\d+)?/)?(?:[\w.-]+/)*python:(?P<version>3\.\d+)(?:\.\d+)?(?:-[\w.-]+)?")

# Docker Hub's namespaces for the images of one processor: arm64v8/python, amd64/python.
_ONE_ARCHITECTURE = {"arm64v8": "ARM64", "amd64": "X86_64"}
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# The command itself, and what it tells uvicorn's workers to serve (mlflow/server/__init__.py, _run_server).
_IMPORTED = ("mlflow.cli", "mlflow.server.fastapi_app", "mlflow.server.auth")
_BASE_EXTRAS = ("extras", "db", "gateway", "genai")


@dataclass(frozen=True)
class Recipe:
    """How an image is made from packages.

    :arg key: the name of its folder in the cache.
    :arg python: the Python version that the image has, ``3.x``; empty: any that this program runs on.
    :arg requirements: what is installed.
    :arg imported: the modules that its program's processes import when they start.
    """

    key: str
    python: str
    requirements: tuple[str, ...]
    imported: tuple[str, ...] = ()


class CannotPullContainerError(Exception):
    """The image cannot be had; the message is ECS's stoppedReason."""


def recipe(image: str) -> Recipe:
    """The recipe for an image reference.

    :raises CannotPullContainerError: nothing is known about that image.
    """
    reference = _DIGEST.sub("", image)
    match = _MLFLOW.fullmatch(reference)
    if match:
        extras = ""
        suffix = ""
        if match["full"]:
            since_auth = (int(match["major"]), int(match["minor"])) >= (3, 14)
            extras = "[" + ",".join(_BASE_EXTRAS + (("auth", "azure") if since_auth else ())) + "]"
            suffix = "-full"
        version = match["version"]
        return Recipe(f"mlflow-{version}{suffix}", "", (f"mlflow{extras}=={version}",), _IMPORTED)
    match = _PYTHON.fullmatch(reference)
    if match:
        return Recipe(f"python-{match['version']}", match["version"], ())
    repository = reference.split("@")[0]
    raise CannotPullContainerError(
        f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: "
        f"{repository}: not found (the local AWS runs mlflow/mlflow:vX.Y.Z, mlflow/mlflow:vX.Y.Z-full and python:3.x)"
    )


def architecture(image: str) -> str:
    """The one processor architecture, in ECS's words, that an image is for; empty: it is for all."""
    found = [_ONE_ARCHITECTURE[part] for part in image.split("/")[:-1] if part in _ONE_ARCHITECTURE]
    return found[-1] if found else ""


def digest(image: str) -> str:
    """The manifest digest that a reference stands for: its own if it names one, else one of the software that it is.

    :raises CannotPullContainerError: nothing is known about that image.
    """
    given = _DIGEST.search(image)
    if given:
        return given[0].removeprefix("@")
    found = recipe(image)
    return "sha256:" + hashlib.sha256(f"{found.key}\n{found.requirements}".encode()).hexdigest()
