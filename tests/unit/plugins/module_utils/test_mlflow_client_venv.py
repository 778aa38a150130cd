# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of clients: complete or absent, built once, with the machine's indexes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import pinned as pinned_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow import client_venv
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_pins import VERSIONS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_venv import Packages
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_venv import choose_packages
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_venv import default_root
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_venv import ensure_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_venv import uv_settings
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import Log

# The packages are not what these tests are about: one that all tools pretend to install.
PINNED = Packages("3.17.2", f"mlflow==3.17.2 --hash=sha256:{'0' * 64}\n")
NAME = PINNED.folder
# Plays `python -m venv`, `python -m pip install`, `uv venv` and `uv pip install`; writes down what it was asked for.
SCRIPT = """#!{python}
import os, shutil, sys, time
with open({calls!r}, "a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
if "venv" in sys.argv:
    os.makedirs(os.path.join(sys.argv[-1], "bin"))
    shutil.copy({inner!r}, os.path.join(sys.argv[-1], "bin", "python"))
    time.sleep({pause})
elif {fail}:
    sys.exit("no such version, says " + os.path.basename(sys.argv[0]))
"""


class Tools:
    """Scripts in place of python and uv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls"
        self.python = self.script("python3", fail=False)

    def script(self, name: str, *, fail: bool, pause: float = 0) -> str:
        path = self.folder / name
        inner = self.folder / f"{name}-inner"
        values = {"python": sys.executable, "calls": str(self.calls_file), "inner": str(inner), "fail": fail}
        for target in (inner, path):
            target.write_text(SCRIPT.format(**values, pause=pause))
            target.chmod(0o755)
        return str(path)

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.setattr(client_venv, "find_uv", lambda: None)
    folder = tmp_path / "tools"
    folder.mkdir()
    return Tools(folder)


def entries(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if not path.name.endswith(".lock"))


def test_built_with_pip_once_then_taken_from_the_cache(tmp_path: Path, tools: Tools) -> None:
    root = tmp_path / "deep" / "cache"
    for _run in range(2):
        command = ensure_client(root, PINNED, tools.python, Log(None), 60)
        assert command == [str(root / NAME / "bin" / "python"), "-m", "mlflow"]
    assert len(tools.calls) == 2
    assert tools.calls[0].startswith("-m venv ")
    assert tools.calls[1].startswith("-m pip install ")
    assert tools.calls[1].endswith(" --only-binary :all: --require-hashes --no-deps -r requirements.txt")
    assert entries(root) == [NAME]


def test_built_with_uv_where_there_is_one(tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tools.script("uv", fail=False)
    monkeypatch.setattr(client_venv, "find_uv", lambda: uv)
    ensure_client(tmp_path / "cache", PINNED, tools.python, Log(None), 60)
    assert [call.split()[0] for call in tools.calls] == ["venv", "pip"]


def test_pip_where_uv_fails(tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tools.script("uv", fail=True)
    monkeypatch.setattr(client_venv, "find_uv", lambda: uv)
    ensure_client(tmp_path / "cache", PINNED, tools.python, Log(None), 60)
    assert [" ".join(call.split()[:2]) for call in tools.calls] == ["venv --quiet", "pip install", "-m venv", "-m pip"]


def test_failed_build_leaves_nothing(tmp_path: Path, tools: Tools) -> None:
    python = tools.script("python-that-fails", fail=True)
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path / "cache", PINNED, python, Log(None), 60)
    assert caught.value.reason == "install_failed"
    assert "no such version" in caught.value.message
    assert entries(tmp_path / "cache") == []


def test_interpreter_that_does_not_exist(tmp_path: Path, tools: Tools) -> None:
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path / "cache", PINNED, str(tmp_path / "absent"), Log(None), 60)
    assert "cannot be started" in caught.value.message


def test_cut_off_build_and_broken_environment_are_replaced(tmp_path: Path, tools: Tools) -> None:
    root = tmp_path / "cache"
    (root / f".building-{NAME}-cutoff" / "venv").mkdir(parents=True)
    (root / ".building-3.10.0-of-another").mkdir()
    broken = root / NAME / "bin"
    broken.mkdir(parents=True)
    (broken / "python").symlink_to(tmp_path / "interpreter-that-was-removed")
    ensure_client(root, PINNED, tools.python, Log(None), 60)
    assert entries(root) == [".building-3.10.0-of-another", NAME]
    assert os.access(root / NAME / "bin" / "python", os.X_OK)


def environment_without_a_way_to_its_interpreter(root: Path) -> None:
    # Longer than a file's name can be: as with a folder that is closed to this user, the link cannot be followed.
    folder = root / NAME / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to("/root/" + "x" * 300)


def test_environment_whose_interpreter_is_closed_to_this_user_is_replaced(tmp_path: Path, tools: Tools) -> None:
    environment_without_a_way_to_its_interpreter(tmp_path)
    command = ensure_client(tmp_path, PINNED, tools.python, Log(None), 60)
    assert os.access(command[0], os.X_OK)


def test_environment_of_another_user_that_cannot_be_replaced(
    tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment_without_a_way_to_its_interpreter(tmp_path)
    monkeypatch.setattr(client_venv.shutil, "rmtree", lambda _path, ignore_errors: None)
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path, PINNED, tools.python, Log(None), 60)
    assert caught.value.reason == "install_failed"
    assert "nor remove it: give another virtualenv_root" in caught.value.message
    assert "/root/xxx" in caught.value.message
    assert tools.calls == []


def test_new_environment_with_an_interpreter_that_is_closed_to_this_user(
    tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(venv: Path, *_arguments: object) -> None:
        environment_without_a_way_to_its_interpreter(venv.parent)
        (venv.parent / NAME).rename(venv)

    monkeypatch.setattr(client_venv, "_build", build)
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path, PINNED, tools.python, Log(None), 60)
    assert tools.python in caught.value.message
    assert "virtualenv_python" in caught.value.message


def test_client_that_is_there_is_used_without_writing(tmp_path: Path, tools: Tools) -> None:
    root = tmp_path / "cache"
    command = ensure_client(root, PINNED, tools.python, Log(None), 60)
    (root / f".{NAME}.lock").unlink()
    assert ensure_client(root, PINNED, tools.python, Log(None), 60) == command
    assert entries(root) == [NAME]
    assert not (root / f".{NAME}.lock").exists()


def test_root_that_cannot_be_written(tmp_path: Path, tools: Tools) -> None:
    (tmp_path / f".{NAME}.lock").mkdir()
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path, PINNED, tools.python, Log(None), 60)
    assert caught.value.reason == "install_failed"
    assert f"virtualenv_root {tmp_path}: Is a directory" in caught.value.message


def test_two_at_a_time_build_once(tmp_path: Path, tools: Tools) -> None:
    python = tools.script("slow-python", fail=False, pause=0.5)
    results: list[list[str]] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(ensure_client(tmp_path / "cache", PINNED, python, Log(None), 60))
        )
        for _number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert results[0] == results[1]
    assert len(tools.calls) == 2


def test_time_limit(tmp_path: Path, tools: Tools) -> None:
    python = tools.script("very-slow-python", fail=False, pause=60)
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path / "cache", PINNED, python, Log(None), 1)
    assert caught.value.reason == "timeout"
    assert "was stopped after" in caught.value.message
    assert "raise time_limit" in caught.value.message
    assert entries(tmp_path / "cache") == []


def test_time_limit_while_another_run_installs(tmp_path: Path, tools: Tools) -> None:
    with (tmp_path / f".{NAME}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(MlflowError) as caught:
            ensure_client(tmp_path, PINNED, tools.python, Log(None), 0.2)
    assert caught.value.reason == "timeout"
    assert "raise time_limit, or stop that run" in caught.value.message
    assert tools.calls == []


def test_root_that_cannot_be_made(tmp_path: Path, tools: Tools) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path / "file" / "cache", PINNED, tools.python, Log(None), 60)
    assert "virtualenv_root" in caught.value.message


def test_default_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(default_root()) == "/somewhere/mlops.mlflow_aws/mlflow"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(default_root()) == "/home/me/.cache/mlops.mlflow_aws/mlflow"


PIP_CONF = """
[global]
index-url = https://index.example.org/simple
extra-index-url =
    https://one.example.org/simple
    https://two.example.org/simple
find-links = /wheels
    /more/wheels
[install]
trusted-host = index.example.org
"""


def test_settings_of_pip_in_the_words_of_uv(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text(PIP_CONF)
    settings = uv_settings({"HOME": str(tmp_path), "PIP_INDEX_URL": "https://mirror.example.org/simple"})
    assert settings["UV_DEFAULT_INDEX"] == "https://mirror.example.org/simple"
    assert settings["UV_EXTRA_INDEX_URL"] == "https://one.example.org/simple https://two.example.org/simple"
    assert settings["UV_FIND_LINKS"] == "/wheels,/more/wheels"
    assert settings["UV_INSECURE_HOST"] == "index.example.org"
    assert settings["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_own_settings_of_uv_win(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PIP_INDEX_URL": "https://mirror.example.org/simple"}
    assert uv_settings({**environment, "UV_INDEX_URL": "https://other.example.org"}) == {}
    (tmp_path / ".config" / "uv").mkdir(parents=True)
    (tmp_path / ".config" / "uv" / "uv.toml").touch()
    assert uv_settings(environment) == {}


def test_no_settings_without_any(tmp_path: Path) -> None:
    assert uv_settings({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}) == {}


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPMADEUPMADE",
    "AWS_SECRET_ACCESS_KEY": "made-up-key-aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "AWS_SESSION_TOKEN": "made-up-token-bbbbbbbbbbbbbbbbbbbbbbbbbb",
    "AWS_PROFILE": "production",
    "MLFLOW_TRACKING_PASSWORD": "made-up-password-cccccccccccccccc",
    "ANSIBLE_VAULT_PASSWORD": "made-up-vault-dddddddddddddddddddd",
}


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_installers_get_the_way_to_the_index_and_no_secret(
    tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    index = {"PIP_INDEX_URL": "https://mirror.example.org/simple", "HTTPS_PROXY": "http://proxy.example.org:3128"}
    for name, value in {**CREDENTIALS, **index}.items():
        monkeypatch.setenv(name, value)
    tool = tools.script("uv" if installer == "uv" else "python-of-pip", fail=False)
    for path in (Path(tool), Path(f"{tool}-inner")):
        record = f"with open({str(tmp_path / 'seen')!r}, 'a') as seen: print(json.dumps(dict(os.environ)), file=seen)"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([*lines[:2], f"import json\n{record}\n", *lines[2:]]))
    monkeypatch.setattr(client_venv, "find_uv", lambda: tool if installer == "uv" else None)
    ensure_client(tmp_path / "cache", PINNED, tools.python if installer == "uv" else tool, Log(None), 60)
    seen = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert len(seen) == 2
    for environment in seen:
        assert not set(environment) & set(CREDENTIALS)
        assert not set(environment.values()) & set(CREDENTIALS.values())
        assert {name: environment[name] for name in index} == index


def package(index: Path, version: str, content: str) -> str:
    """Put a wheel called mlflow into an index; its hash."""
    folder = index / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"mlflow-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mlflow.py", content)
        archive.writestr(
            f"mlflow-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: mlflow\nVersion: {version}\n"
        )
        archive.writestr(
            f"mlflow-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"mlflow-{version}.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_private_index_serves_the_pinned_wheel_and_no_other(
    tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    good = package(tmp_path / "index", "3.17.2", "print('the client')")
    pinned = Packages("3.17.2", f"mlflow==3.17.2 --hash=sha256:{good}\n")
    command = ensure_client(tmp_path / "cache", pinned, sys.executable, Log(None), 300)
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "the client\n"
    package(tmp_path / "index", "3.17.2", "print('something else')")
    with pytest.raises(MlflowError) as caught:
        ensure_client(tmp_path / "another cache", pinned, sys.executable, Log(None), 300)
    assert caught.value.reason == "install_failed"
    assert f"Expected sha256 {good}" in caught.value.message
    assert entries(tmp_path / "another cache") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_package_of_an_offered_version_is_pinned(version: str) -> None:
    lines = choose_packages(version).pinned.splitlines()
    assert [problem for line in lines for problem in pinned_problems("line", line)] == []
    assert [line.split()[0] for line in lines if line.startswith("mlflow==")] == [f"mlflow=={version}"]
    # Two lines of one package are for different Pythons.
    once = [line.partition("==")[0] for line in lines if " ; " not in line.partition("--hash")[0]]
    assert len(once) == len(set(once))


def test_other_version_needs_hashes_or_consent(tmp_path: Path) -> None:
    with pytest.raises(MlflowError) as caught:
        choose_packages("3.18.0")
    assert caught.value.reason == "unpinned"
    assert "requirements" in caught.value.message
    assert "allow_unpinned" in caught.value.message
    consent = choose_packages("3.18.0", allow_unpinned=True)
    assert consent.arguments == ["--only-binary", ":all:", "mlflow==3.18.0"]
    # Consent to the unknown is none to leave the known out.
    assert choose_packages("3.17.2", allow_unpinned=True) == choose_packages("3.17.2")
    own = tmp_path / "requirements.txt"
    own.write_text(f"mlflow==3.18.0 --hash=sha256:{'1' * 64}\n")
    given = choose_packages("3.18.0", str(own))
    assert "--require-hashes" in given.arguments
    assert given.folder != consent.folder


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("mlflow==3.18.0\n", "has no hashes")])
def test_requirements_that_are_of_no_use(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "requirements.txt"
    if content:
        path.write_text(content)
    with pytest.raises(MlflowError) as caught:
        choose_packages("3.18.0", str(path))
    assert caught.value.reason == "bad_requirements"
    assert said in caught.value.message
