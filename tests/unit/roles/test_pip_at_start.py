# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task does with pip before its server starts: no secret within reach, and no file but the pinned one."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from plays import ROLES
from plays import play_of
from plays import run
from plays import shown_in

SECRETS = {
    "PGPASSWORD": "made-up-database-password-aaaaaaaaaaaa",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up-key-bbbbbbbbbbbbbbbbbbbbbbbb",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": "made-up-passphrase-cccccccccccccc",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "made-up-password-dddddddddddddddd",
    "OIDC_CLIENT_SECRET": "made-up-client-secret-eeeeeeeeeee",
}
Command = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command of a task up to the plugins, which come after pip."""

    def go(*packages: str) -> str:
        shown = tmp_path / "shown.json"
        files = (ROLES / "ecs_express" / part / "main.yml" for part in ("defaults", "vars"))
        given = {
            "ecs_express_context": {"region": "eu-central-1", "partition": "aws", "dns_suffix": "amazonaws.com"},
            "ecs_express_service_name": "mlflow",
            "ecs_express_database_host": "database.example.com",
            "ecs_express_database_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x-AbCdEf",
            "ecs_express_bucket": "mlflow-artifacts",
            "role_path": str(ROLES / "ecs_express"),
            "ecs_express_pip_packages": list(packages),
        }
        run(tmp_path, play_of([shown_in("{{ __ecs_express_command | to_json }}", str(shown))], *files), extra=given)
        return str(json.loads(shown.read_text(encoding="utf-8"))[2]).partition(' && PLUGINS="')[0]

    return go


def start(command: str, path: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as a task does, with the secrets in its environment; a line at the end stands for the server."""
    return subprocess.run(
        ["bash", "-c", f"{command} && echo the server, $PGPASSWORD"],
        env={"PATH": f"{path}:/usr/bin:/bin", "HOME": os.environ["HOME"], **SECRETS, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_pip_sees_the_way_to_the_index_and_no_secret(command: Command, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    seen = tmp_path / "seen"
    fake = (
        f"#!/bin/bash\nenv -0 > {shlex.quote(str(seen))}\nprintf '%s\\n' \"$@\" > {shlex.quote(str(seen))}.arguments\n"
    )
    (programs / "pip").write_text(fake)
    (programs / "pip").chmod(0o755)
    index = {
        "PIP_INDEX_URL": "https://me:made-up-index-password@pypi.example.com/simple",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "REQUESTS_CA_BUNDLE": "/etc/ssl/own.pem",
    }
    done = start(command(f"a==1 --hash=sha256:{'0' * 64}"), programs, ODD="two\nlines", **index)
    assert done.stdout.strip() == f"the server, {SECRETS['PGPASSWORD']}", done.stderr
    environment = dict(line.split("=", 1) for line in seen.read_text().split("\0") if line)
    assert not set(environment) & {*SECRETS, "ODD"}
    assert {name: environment[name] for name in index} == index
    # What is on a command line, everybody on the machine can read.
    assert "made-up" not in Path(f"{seen}.arguments").read_text()


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pip that may install something."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    return folder / "venv" / "bin"


def package(index: Path, name: str, content: str, needs: str = "") -> str:
    """Put a wheel into an index; its hash."""
    folder = index / name
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", content)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
        archive.writestr(f"{name}-1.dist-info/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else ""))
        archive.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def installed(pip: Path, name: str) -> bool:
    return subprocess.run([pip / "python", "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """A pip that knows this index alone."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (tmp_path / "index").as_uri()}


def test_pinned_wheel_is_installed_and_nothing_that_it_asks_for(
    command: Command, pip: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    good = package(tmp_path / "index", "wanted", "", needs="dragged_along")
    package(tmp_path / "index", "dragged_along", "")
    done = start(command(f"wanted==1 --hash=sha256:{'0' * 64} --hash=sha256:{good}"), pip, **settings)
    assert done.returncode == 0, done.stderr
    assert installed(pip, "wanted")
    assert not installed(pip, "dragged_along")


def test_wheel_with_another_hash_is_refused_and_no_server_starts(
    command: Command, pip: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    good = package(tmp_path / "index", "changed", "")
    package(tmp_path / "index", "changed", "print('something else')")
    done = start(command(f"changed==1 --hash=sha256:{good}"), pip, **settings)
    assert done.returncode != 0
    assert "the server" not in done.stdout
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not installed(pip, "changed")


def test_package_without_a_hash_is_refused(
    command: Command, pip: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    package(tmp_path / "index", "unpinned", "")
    done = start(command("unpinned==1"), pip, **settings)
    assert done.returncode != 0
    assert "Hashes are required" in done.stderr
    assert not installed(pip, "unpinned")


def run_step(folder: Path) -> str:
    """What the Dockerfile of an own image runs, with the file that it has copied in a folder."""
    text = (ROLES / "auth/files/image/Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert [word for word, _rest in steps] == ["ARG", "FROM", "ARG", "COPY", "RUN"]
    default, copied = steps[2][1].partition("=")[2], steps[3][1].split()
    assert (ROLES / "auth/files/image" / copied[0].replace("${LOGIN}", default)).is_file()
    assert copied[1] in steps[4][1]
    return steps[4][1].replace(copied[1], shlex.quote(str(folder / "login.txt")))


def test_own_image_gets_the_pinned_wheel(pip: Path, settings: dict[str, str], tmp_path: Path) -> None:
    good = package(tmp_path / "index", "baked", "", needs="dragged_along")
    (tmp_path / "login.txt").write_text(f"# comment\nbaked==1 --hash=sha256:{good}\n")
    done = start(run_step(tmp_path), pip, **settings)
    assert done.returncode == 0, done.stderr
    assert installed(pip, "baked")
    assert not (tmp_path / "login.txt").exists()


def test_own_image_is_not_built_with_another_file(pip: Path, settings: dict[str, str], tmp_path: Path) -> None:
    package(tmp_path / "index", "replaced", "")
    (tmp_path / "login.txt").write_text(f"replaced==1 --hash=sha256:{'0' * 64}\n")
    done = start(run_step(tmp_path), pip, **settings)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not installed(pip, "replaced")


def test_source_is_not_built(command: Command, pip: Path, settings: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "index" / "source"
    folder.mkdir(parents=True)
    archive = folder / "source-1.zip"
    with zipfile.ZipFile(archive, "w") as sources:
        sources.writestr("source-1/setup.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "index.html").write_text(f'<a href="{archive.name}">{archive.name}</a>')
    done = start(
        command(f"source==1 --hash=sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"), pip, **settings
    )
    assert done.returncode != 0
    assert not (tmp_path / "ran").exists()
