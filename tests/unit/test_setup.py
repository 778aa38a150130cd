# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Makefile in a folder with an awkward path, and the Python that it finds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Makefile", "requirements-dev.txt", "local_aws/requirements.txt", "local_aws/tests/requirements.txt")
PYTHONS = ("3.14", "3.13", "3.12", "3.11")
# As Jenkins names its workspaces, and as people name their folders.
AWKWARD = "a b@2/x%2Fy/Müllers Ordner (2)"

MADE_WITH = Path(sys.executable).resolve()


def script(path: Path, text: str) -> None:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def checkout(folder: Path) -> Path:
    """What make reads, in a folder."""
    patterns = ("tests/tools/*.sh", "tests/tools/*.txt", "tests/**/requirements.txt", "tests/versions/collections.txt")
    found = [str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)]
    for name in (*FILES, *found):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return folder


def set_up(folder: Path) -> None:
    """A complete .venv whose ansible-playbook writes down how it was called."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    script(
        programs / "ansible-playbook",
        f'exec {sys.executable} -c "import json, os, sys;'
        " json.dump([sys.argv[1:], dict(os.environ)], open('called.json', 'w'))\" \"$@\"",
    )
    (folder / ".venv/.ready").write_text(f"{folder}\n{MADE_WITH}\n", encoding="utf-8")
    requirements = (ROOT / "local_aws/requirements.txt").read_text(encoding="utf-8").rstrip("\n")
    stamp = folder / f".cache/local_aws/venv/.installed-{hashlib.sha256(requirements.encode()).hexdigest()}"
    stamp.parent.mkdir(parents=True)
    stamp.touch()


def make(folder: Path, *arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    """Run make as from a fresh shell."""
    names = ("HOME", "LANG", "LC_ALL")
    environment = {**{name: os.environ[name] for name in names if name in os.environ}, "PATH": path}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def find_python(folder: Path, environment: Mapping[str, str], *versions: str) -> subprocess.CompletedProcess[str]:
    """Run the search for a Python, with nothing but ``folder`` and the system's own programs on the PATH."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name in ("bash", "cat", "head", "paste", "sed", "sort"):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name) or name)
    return subprocess.run(
        [shutil.which("bash") or "bash", str(ROOT / "tests/tools/find_python.sh"), *(versions or PYTHONS)],
        cwd=folder,
        env={"HOME": str(folder), "PATH": f"{folder / 'bin'}:{tools}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fake_python(path: Path, version: str, *, venv: bool = True) -> None:
    """A program that answers as that Python would."""
    script(path, f"case $3 in *ensurepip*) exit {0 if venv else 1} ;; *) echo {version} {path} ;; esac")


def test_playbooks_are_run_in_a_folder_with_an_awkward_path(tmp_path: Path) -> None:
    folder = checkout(tmp_path / AWKWARD)
    set_up(folder)
    done = make(folder, "rehearse")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    arguments, environment = json.loads((folder / "called.json").read_text(encoding="utf-8"))
    assert arguments[:2] == ["mlops.mlflow_aws.rehearse", "-e"]
    # The path itself is not in it: Ansible reads it from the environment, whatever characters it has.
    assert json.loads(arguments[2])["local_aws_home"].endswith("/.cache/local_aws")
    assert environment["MLFLOW_AWS_CHECKOUT"] == str(folder)
    assert environment["TMPDIR"] == str(folder / ".cache/tmp")
    assert environment["PATH"].split(":")[0] == str(folder / ".venv/bin")
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR"):
        assert environment[name].startswith(f"{folder}/")


@pytest.mark.parametrize(
    ("name", "is_below"), [("a b@2", True), ("x%2Fy", True), ("R&D", False), ("a  b", False), ("copy (2)", False)]
)
def test_ansibles_shell_is_given_no_path_that_it_would_take_for_something_else(
    tmp_path: Path, name: str, is_below: bool
) -> None:
    folder = checkout(tmp_path / name)
    set_up(folder)
    assert make(folder, "rehearse-login").returncode == 0
    environment = json.loads((folder / "called.json").read_text(encoding="utf-8"))[1]
    assert environment.get("ANSIBLE_REMOTE_TEMP") == (str(folder / ".cache/ansible/tmp") if is_below else None)


def test_no_recipe_names_the_folder_without_quotes(tmp_path: Path) -> None:
    folder = checkout(tmp_path / AWKWARD)
    set_up(folder)
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert len(targets) > 30
    # Those that call make again do so in spite of -n; what they call is in the list.
    above = {"clean", "test", "nightly", "check", "docs", "FORCE"}
    named = [target for target in targets if target not in above and not target.startswith("test-")]
    recipes = {target: make(folder, "-n", target) for target in named}
    wrong = {target: done.stderr for target, done in recipes.items() if done.returncode}
    assert not wrong
    assert not [target for target, done in recipes.items() if str(folder) in done.stdout]


@pytest.mark.parametrize("name", ["a:b", 'a"b', "a$b", "a`b", "a\\b", "it's", "a{{b}}"])
def test_a_folder_that_cannot_do_is_named_first(tmp_path: Path, name: str) -> None:
    folder = checkout(tmp_path / name)
    done = make(folder, "rehearse")
    assert done.returncode
    assert done.stderr.splitlines()[0].startswith("This folder's path cannot be worked in, because it has one of :")
    assert str(folder) in done.stderr
    assert not (folder / ".venv").exists()


def test_a_set_up_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "before")
    set_up(folder)
    assert make(folder, "-n", "setup").stdout == "make: Nothing to be done for 'setup'.\n"
    folder = folder.rename(tmp_path / "after")
    assert "tests/tools/setup.sh" in make(folder, "-n", "setup").stdout


def test_a_set_up_whose_python_is_gone_is_made_anew(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    set_up(folder)
    (folder / ".venv/bin/python").unlink()
    (folder / ".venv/bin/python").symlink_to("/nowhere/python")
    assert "tests/tools/setup.sh" in make(folder, "-n", "setup").stdout


def test_a_set_up_with_another_python_than_the_one_asked_for_is_made_anew(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    set_up(folder)
    fake_python(tmp_path / "other", "3.12")
    assert "Nothing to be done" in make(folder, "-n", "setup", f"PYTHON={sys.executable}").stdout
    assert "tests/tools/setup.sh" in make(folder, "-n", "setup", f"PYTHON={tmp_path / 'other'}").stdout


def test_the_newest_python_that_runs_is_taken(tmp_path: Path) -> None:
    fake_python(tmp_path / "bin/python3.11", "3.11")
    fake_python(tmp_path / "bin/python3.12", "3.12")
    # pyenv has such shims for versions that are not the chosen one.
    script(tmp_path / "bin/python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    fake_python(tmp_path / "bin/python3", "3.15")
    fake_python(tmp_path / ".pyenv/versions/3.14.2/bin/python3.14", "3.14")
    done = find_python(tmp_path, {})
    assert (done.stdout, done.stderr) == (f"{tmp_path}/bin/python3.12\n", "")


def test_a_python_without_its_version_in_its_name_is_found(tmp_path: Path) -> None:
    fake_python(tmp_path / "bin/python3", "3.13")
    assert find_python(tmp_path, {}).stdout == f"{tmp_path}/bin/python3\n"


def test_what_is_made_is_not_made_with_itself(tmp_path: Path) -> None:
    fake_python(tmp_path / ".venv/bin/python3.14", "3.14")
    # pyenv's shim for a version that is not the chosen one looks on the rest of the PATH.
    script(
        tmp_path / "bin/python3.14",
        f'IFS=:; for folder in $PATH; do [ "$folder" = "{tmp_path}/bin" ] && continue; '
        '[ -x "$folder/python3.14" ] && exec "$folder/python3.14" "$@"; done; exit 127',
    )
    fake_python(tmp_path / "bin/python3.12", "3.12")
    path = f"{tmp_path}/.venv/bin:{tmp_path}/bin:{tmp_path}/tools"
    assert find_python(tmp_path, {"PATH": path}).stdout == f"{tmp_path}/bin/python3.12\n"


def test_of_a_virtual_environment_the_python_is_taken_that_made_it(tmp_path: Path) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    done = find_python(tmp_path, {"PYTHON": sys.executable}, version)
    assert done.stdout == f"{MADE_WITH}\n"
    assert not Path(done.stdout.strip()).is_relative_to(sys.prefix)


def test_pyenvs_versions_are_looked_at_last(tmp_path: Path) -> None:
    fake_python(tmp_path / ".pyenv/versions/3.12.1/bin/python3.12", "3.12")
    expected = f"{tmp_path}/.pyenv/versions/3.12.1/bin/python3.12\n"
    assert find_python(tmp_path, {}).stdout == expected
    assert find_python(tmp_path, {"PYTHON": "python3.12"}).stdout == expected
    (tmp_path / ".pyenv").rename(tmp_path / "elsewhere")
    assert find_python(tmp_path, {"PYENV_ROOT": str(tmp_path / "elsewhere")}, "3.12").returncode == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("python3.10", "PYTHON=python3.10 is Python 3.10: 3.11, 3.12, 3.13 or 3.14 is needed."),
        (
            "/nowhere/python",
            "PYTHON=/nowhere/python cannot be run: give the path of a Python 3.11, 3.12, 3.13 or 3.14.",
        ),
        ("bare", "PYTHON=bare cannot make virtual environments (on Debian and Ubuntu: apt install python3.12-venv)."),
    ],
)
def test_a_python_that_cannot_do_is_named(tmp_path: Path, given: str, said: str) -> None:
    fake_python(tmp_path / "bin/python3.10", "3.10")
    fake_python(tmp_path / "bin/bare", "3.12", venv=False)
    done = find_python(tmp_path, {"PYTHON": given})
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{said}\n")


def test_it_is_said_that_there_is_no_python(tmp_path: Path) -> None:
    fake_python(tmp_path / "bin/python3.12", "3.12", venv=False)
    done = find_python(tmp_path, {})
    assert done.returncode == 1
    assert done.stderr.startswith(
        "Python 3.11, 3.12, 3.13 or 3.14 is needed, and there is none on the PATH or among pyenv's:"
    )
    assert f"({tmp_path}/bin/python3.12 is one, but cannot make virtual environments;" in done.stderr


def test_only_the_collections_that_are_asked_for_are_unpacked_and_not_their_tests(tmp_path: Path) -> None:
    wheel = tmp_path / "ansible-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (
            "amazon/aws/plugins/x.py",
            "amazon/aws/tests/unit/x.py",
            "amazon/other/x.py",
            "ansible/posix/x.py",
        ):
            archive.writestr(f"ansible_collections/{name}", "")
    unpack = [sys.executable, str(ROOT / "tests/tools/unpack.py"), str(wheel), str(tmp_path / "here")]
    subprocess.run([*unpack, "amazon/aws", "ansible/posix"], check=True)
    found = {str(path.relative_to(tmp_path / "here/ansible_collections")) for path in tmp_path.glob("here/**/*.py")}
    assert found == {"amazon/aws/plugins/x.py", "ansible/posix/x.py"}
    done = subprocess.run([*unpack, "community/aws"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{wheel} holds no collection community/aws.\n")
