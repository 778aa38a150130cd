# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check of tests/tools/house.py and of the commits' subjects finds what it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import house  # noqa: E402


def written(folder: Path, name: str, text: str) -> Path:
    """A file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_long_function_class_and_file_are_found(tmp_path: Path) -> None:
    function = "def run():\n" + "    pass\n" * 60
    members = "    value = 1\n" * 300
    path = written(tmp_path, "long.py", f"{function}\n\nclass Long:\n{members}" + "\n" * 40)
    assert list(house.too_long(path)) == [
        "long.py: 404 lines without documentation, 400 at most: give its parts files",
        "long.py:1: run() has 61 lines, 60 at most",
        "long.py:64: class Long has 301 lines, 300 at most",
    ]


def test_documentation_and_data_do_not_count(tmp_path: Path) -> None:
    text = '"""Why.\n' + "More.\n" * 500 + '"""\n\nDOCUMENTATION = """\n' + "More.\n" * 500 + '"""\n'
    assert list(house.too_long(written(tmp_path, "documented.py", text))) == []


# Words of this test: this file is checked for those of the list itself.
WORDS = (
    house.Word("gizmos?", "device", "prose"),
    house.Word("Widget", "Device", "classes"),
    house.Word("tricks?", "known issue"),
)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("service.py", "class Gizmo:\n    pass\n", "the name Gizmo: write device"),
        ("service.py", "def run(gizmos):\n    pass\n", "the name gizmos: write device"),
        ("service.py", "class Widget:\n    pass\n", "the name Widget: write Device"),
        ("service.py", "def test_trick_05_order():\n    pass\n", "the name test_trick_05_order: write known issue"),
        ("tricks.yml", "a: 1\n", "the name tricks.yml: write known issue"),
        ("guide.md", "Have a gizmo.\n", "gizmo: write device"),
        ("guide.md", "Other than M" + "(amazon.aws.rds_instance) it waits.\n", "write Unlike M("),
    ],
)
def test_former_word_is_found(tmp_path: Path, name: str, text: str, found: str) -> None:
    findings = list(house.wrong_words(written(tmp_path, name, text), WORDS))
    assert any(found in finding for finding in findings)


@pytest.mark.parametrize("word", house.WORDS, ids=[word.pattern for word in house.WORDS])
def test_each_word_of_the_list_is_found(tmp_path: Path, word: house.Word) -> None:
    for form in word.pattern.replace("?", "").split("|"):
        path = written(tmp_path, "service.py", f"class {form}:\n    pass\n")
        assert any(word.instead in finding for finding in house.wrong_words(path)), form


def test_other_words_are_not_found(tmp_path: Path) -> None:
    text = "class StreamReader:\n    def entrap(self, mushroom, overlook, input_problems):\n        pass\n"
    assert list(house.wrong_words(written(tmp_path, "words.py", text))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It polls every `delay` seconds, O(delay); mlflow_health(delay=5).\n", False),
        ("- mlops.mlflow_aws.mlflow_health:\n    delay: 5\n", False),
        ("It polls after a delay.\n", True),
        ("Its delay: none.\n", True),
    ],
)
def test_option_is_not_found_where_it_is_named_as_such(tmp_path: Path, text: str, found: bool) -> None:
    assert "delay" in house.options()
    words = (house.Word("delay", "interval", "prose"),)
    assert bool(list(house.wrong_words(written(tmp_path, "guide.md", text), words))) == found


def test_variable_of_the_parent_is_found(tmp_path: Path) -> None:
    known = house.variables_of_the_parent()
    assert {"mlflow_name", "mlflow_version", "mlflow_context"} <= known
    path = written(tmp_path, "main.yml", 'bucket_name: "{{ mlflow_name }}"\nmodule: mlops.mlflow_aws.mlflow_health\n')
    assert list(house.foreign_variables(path, known)) == [
        "main.yml:1: mlflow_name, a variable of the role mlflow: take an input of its own"
    ]


def test_module_of_the_same_name_is_not_a_variable(tmp_path: Path) -> None:
    known = house.variables_of_the_parent()
    assert "mlflow_demo" in known & house.modules()
    path = written(tmp_path, "main.yml", "- mlops.mlflow_aws.mlflow_demo:\n  # What `mlflow_demo` returns\n")
    assert list(house.foreign_variables(path, known)) == []
    path = written(tmp_path, "kinds.py", 'KINDS = {"mlflow_demo": "demo"}\n')
    assert list(house.foreign_variables(path, known)) == []
    path = written(tmp_path, "main.yml", "- mlops.mlflow_aws.mlflow_demo:\n  when: mlflow_demo | bool\n")
    assert [finding.partition(",")[0] for finding in house.foreign_variables(path, known)] == [
        "main.yml:2: mlflow_demo"
    ]


@pytest.mark.parametrize(
    ("subject", "code"), [("rds: restore beside the live instance", 0), ("x" * 73, 1), ("rds: restore.", 1)]
)
def test_subjects_of_commits(tmp_path: Path, subject: str, code: int) -> None:
    message = written(tmp_path, "message", f"{subject}\n")
    gitlint = [str(Path(sys.executable).parent / "gitlint"), "--config", str(TOOLS.parents[1] / ".gitlint")]
    done = subprocess.run([*gitlint, "--msg-filename", str(message)], capture_output=True, text=True, check=False)
    assert min(done.returncode, 1) == code, done.stderr


def test_where_there_is_no_history_commits_are_not_checked(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    done = subprocess.run(["bash", TOOLS / "commits.sh"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "not checked" in done.stdout
