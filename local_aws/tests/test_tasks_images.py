# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image becomes which runtime, and what happens to an aborted build."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import venv
from pathlib import Path

import pytest
from running import PACKAGE

sys.path.insert(0, str(PACKAGE))

from local_aws.runtime.supervisor import Supervisor
from local_aws.services.ecs_tasks import runtimes
from local_aws.services.ecs_tasks.images import CannotPullContainerError
from local_aws.services.ecs_tasks.images import Recipe
from local_aws.services.ecs_tasks.images import architecture
from local_aws.services.ecs_tasks.images import recipe
from local_aws.services.ecs_tasks.runtimes import Runtimes


@pytest.mark.parametrize(
    ("image", "requirement"),
    [
        ("ghcr.io/mlflow/mlflow:v3.10.0-full", "mlflow[extras,db,gateway,genai]==3.10.0"),
        ("ghcr.io/mlflow/mlflow:v3.13.0-full", "mlflow[extras,db,gateway,genai]==3.13.0"),
        ("ghcr.io/mlflow/mlflow:v3.14.0-full", "mlflow[extras,db,gateway,genai,auth,azure]==3.14.0"),
        ("ghcr.io/mlflow/mlflow:v3.17.2-full", "mlflow[extras,db,gateway,genai,auth,azure]==3.17.2"),
        ("ghcr.io/mlflow/mlflow:v3.17.2", "mlflow==3.17.2"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mirror/mlflow:v3.17.2", "mlflow==3.17.2"),
        (f"ghcr.io/mlflow/mlflow:v3.17.2@sha256:{'a' * 64}", "mlflow==3.17.2"),
    ],
)
def test_an_mlflow_image_is_that_mlflow_with_the_images_extras(image: str, requirement: str) -> None:
    assert recipe(image).requirements == (requirement,)


def test_a_python_image_is_a_bare_interpreter() -> None:
    assert recipe("python:3.11-slim").python == "3.11"
    assert recipe("public.ecr.aws/docker/library/python:3.12").requirements == ()


@pytest.mark.parametrize(
    ("image", "processor"),
    [
        ("python:3.11", ""),
        ("arm64v8/python:3.11", "ARM64"),
        ("docker.io/amd64/python:3.11-slim", "X86_64"),
        ("example.com/mlflow/mlflow:v3.17.2-full", ""),
        ("example.com/mirror/python:3.11-arm64v8", ""),
    ],
)
def test_an_image_of_one_processor_says_so_in_its_namespace(image: str, processor: str) -> None:
    assert architecture(image) == processor
    assert recipe(image)


@pytest.mark.parametrize("image", ["nginx", "mlflow/mlflow:latest", "mlflow/mlflow:3.17.2", "mlflow/mlflow", "python"])
def test_other_images_cannot_be_pulled(image: str) -> None:
    with pytest.raises(CannotPullContainerError, match=r"CannotPullContainerError: .*not found"):
        recipe(image)


def test_what_an_aborted_build_left_is_built_again(tmp_path: Path) -> None:
    image = f"python:3.{sys.version_info.minor}"
    aborted = tmp_path / "runtimes" / f"python-3.{sys.version_info.minor}"
    (aborted / "bin").mkdir(parents=True)
    (aborted / "bin" / "python").write_text("not an interpreter")

    async def provide() -> Path:
        processes = Supervisor(tmp_path)
        try:
            runtimes = Runtimes(tmp_path / "runtimes", processes)
            first, second = await asyncio.gather(runtimes.provide(image), runtimes.provide(image))
            assert first == second
            return first
        finally:
            await processes.stop_all()

    runtime = asyncio.run(provide())
    assert runtime == aborted
    assert os.access(runtime / "bin" / "python", os.X_OK)
    assert (runtime / "complete.json").exists()
    assert list(runtime.glob("lib/python3.*/site-packages/_local_aws_task_network.pth"))


def test_what_the_program_imports_is_compiled_when_the_runtime_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "served").mkdir(parents=True)
    (package / "served" / "__init__.py").write_text("raise RuntimeError('not without its settings')")
    (package / "served" / "unused.py").touch()
    made = Recipe("served", "", ("served",), ("served", "nowhere"))
    monkeypatch.setattr(runtimes, "recipe", lambda image: made)

    async def install(self: Runtimes, image: str, wanted: Recipe, arguments: list[str]) -> None:
        if arguments[0] == "pip":
            packages = next((tmp_path / "runtimes" / wanted.key / "lib").glob("python3.*/site-packages"))
            shutil.copytree(package / "served", packages / "served")
        else:
            venv.create(tmp_path / "runtimes" / wanted.key)

    monkeypatch.setattr(Runtimes, "_uv", install)

    async def provide() -> Path:
        processes = Supervisor(tmp_path)
        try:
            return await Runtimes(tmp_path / "runtimes", processes).provide("served")
        finally:
            await processes.stop_all()

    compiled = {
        path.name.partition(".")[0] for path in asyncio.run(provide()).glob("lib/*/site-packages/served/**/*.pyc")
    }
    assert compiled == {"__init__"}


def test_a_runtime_that_is_complete_is_used_without_writing_to_the_cache(tmp_path: Path) -> None:
    image, packages = "python:3.11", "lib/python3.11/site-packages"
    runtime = tmp_path / "runtimes" / "python-3.11"
    (runtime / packages).mkdir(parents=True)
    (runtime / "complete.json").write_text("{}")

    def provide() -> Path:
        return asyncio.run(Runtimes(tmp_path / "runtimes", Supervisor(tmp_path)).provide(image))

    # The first time, the hook is brought up to date, under a lock that others see.
    assert provide() == runtime
    lock = tmp_path / "runtimes" / ".python-3.11.lock"
    lock.unlink()
    assert provide() == runtime
    assert not lock.exists()


def test_what_makes_a_runtime_gets_the_way_to_the_index_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = {
        "AWS_SECRET_ACCESS_KEY": "made-up-key-aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "MLFLOW_TRACKING_PASSWORD": "made-up-password-bbbbbbbbbbbbbbbbbb",
        "UV_PUBLISH_TOKEN": "made-up-token-cccccccccccccccccccccccc",
        "VIRTUAL_ENV": "/somewhere/else",
    }
    shown = {"UV_DEFAULT_INDEX": "https://mirror.example.org/simple", "https_proxy": "http://proxy.example.org:3128"}
    for name, value in {**hidden, **shown}.items():
        monkeypatch.setenv(name, value)
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\nenv > '{tmp_path}/seen'\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setattr(runtimes, "find_uv_bin", lambda: str(uv))

    async def go() -> None:
        async with asyncio.timeout(60):
            await Runtimes(tmp_path / "cache", Supervisor(tmp_path)).provide("python:3.11")

    with pytest.raises(CannotPullContainerError):
        asyncio.run(go())
    environment = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert not set(environment) & set(hidden)
    assert {name: environment[name] for name in shown} == shown
