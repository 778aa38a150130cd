# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each place that names a supported version names the same one, and what is called tested is what the tests have."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ansible_collections.amazon.aws.plugins.module_utils.common import AMAZON_AWS_COLLECTION_VERSION
from ansible_collections.mlops.mlflow_aws.plugins.doc_fragments.boto3 import ModuleDocFragment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import versions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.versions import OLDEST

ROOT = Path(__file__).resolve().parents[2]


def text(path: str) -> str:
    """A file of the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def pins(path: str, python: str = "3.11") -> dict[str, str]:
    """The exact versions that a requirements file has for a Python."""
    lines = [line.partition(" --hash=")[0] for line in text(path).splitlines() if line and not line.startswith("#")]
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found = [line for line in map(Requirement, lines) if line.marker is None or line.marker.evaluate(environment)]
    return {requirement.name: str(requirement.specifier).removeprefix("==") for requirement in found}


def rows() -> dict[str, list[str]]:
    """The first two tables of docs/support.md: from the first cell of a row to the others."""
    tables = text("docs/support.md").split("## Python 3")[0]
    found = re.findall(r"^\| (\S.*?) \| (.*) \|$", tables, re.M)
    return {first: [cell.strip() for cell in others.split(" | ")] for first, others in found}


def newest_python() -> str:
    """The Python that make versions looks for."""
    return re.findall(r"^newest=([\d.]+)$", text("tests/versions/environment.sh"), re.M)[0]


def table_pythons() -> list[str]:
    """The Pythons in the third table."""
    return re.findall(r"^\| (3\.\d+) \|", text("docs/support.md"), re.M)


def test_metadata_says_what_the_modules_demand() -> None:
    assert yaml.safe_load(text("galaxy.yml"))["dependencies"] == {"amazon.aws": f">={OLDEST['amazon.aws']}"}
    [required] = yaml.safe_load(text("requirements.yml"))["collections"]
    assert required == {"name": "amazon.aws", "version": f">={OLDEST['amazon.aws']}"}
    assert yaml.safe_load(text("meta/runtime.yml"))["requires_ansible"] == f">={OLDEST['ansible-core']}"


@pytest.mark.parametrize("name", ["boto3", "botocore"])
def test_requirements_and_documentation_say_it_too(name: str) -> None:
    assert f"{name}>={OLDEST[name]}" in text("requirements.txt").splitlines()
    assert f"{name} >= {OLDEST[name]}" in yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["requirements"]
    assert f"boto3>={OLDEST['boto3']}" in text("README.md")


def test_the_oldest_are_what_one_end_of_the_tests_runs_with() -> None:
    table = rows()
    other = pins("tests/versions/requirements.txt")
    assert table["ansible-core"][0] == OLDEST["ansible-core"]
    assert table["amazon.aws"][0] == OLDEST["amazon.aws"]
    assert (OLDEST["amazon.aws"] if sys.version_info < (3, 14) else "10.3.2") == AMAZON_AWS_COLLECTION_VERSION
    for name in ("boto3", "botocore"):
        assert table["boto3, botocore"][0] == other[name] == pins("tests/unit/constraints.txt")[name] == OLDEST[name]


def test_the_newest_are_what_the_other_end_runs_with() -> None:
    table = rows()
    assert table["Python"][1] == newest_python()
    assert table["ansible-core"][1] == pins("tests/versions/requirements.txt", newest_python())["ansible-core"]
    assert table["boto3, botocore"][1] == metadata.version("boto3") == metadata.version("botocore")
    default = re.search(r'^mlflow_version: "?([\d.]+)', text("roles/mlflow/defaults/main.yml"), re.M)
    assert default
    assert table["MLflow"][1] == default[1]
    assert "ansible==14.5.0" in text("tests/versions/collections.txt")
    assert table["amazon.aws"][1] == "11.4.0"
    assert '["version"] == "11.4.0"' in text("tests/versions/test_other_end.py")


def test_each_kind_of_tests_names_its_versions() -> None:
    table = rows()
    developed = pins("requirements-dev.txt")
    usual = ["3.11", developed["ansible-core"], OLDEST["amazon.aws"], developed["botocore"]]
    assert table["`make units`"][:4] == table["`make end-to-end`, `make molecule`"][:4] == usual
    assert table["`make ansible-test-units`"][:4] == ["3.11", developed["ansible-core"], "11.4.0", OLDEST["botocore"]]
    assert table["`make versions`"][:4] == [table["Python"][1], table["ansible-core"][1], "11.4.0", OLDEST["botocore"]]


def test_this_environment_has_the_versions_that_are_pinned_for_its_python() -> None:
    pinned = pins("requirements-dev.txt", f"{sys.version_info[0]}.{sys.version_info[1]}")
    for name in ("ansible-core", "boto3", "botocore"):
        assert metadata.version(name) == pinned[name]


def test_each_place_that_names_the_pythons_names_the_same() -> None:
    [found] = re.findall(r"^pythons=\((.*)\)$", text("tests/tools/setup.sh"), re.M)
    pythons = found.split()
    assert table_pythons() == sorted(pythons, key=lambda version: int(version.split(".")[1]))[1:]
    oldest, newest = pythons[-1], pythons[0]
    assert yaml.safe_load(text("roles/local_aws/vars/main.yml"))["__local_aws_pythons"] == pythons[::-1]
    specified = yaml.safe_load(text("roles/local_aws/meta/argument_specs.yml"))["argument_specs"]["main"]["options"]
    assert specified["local_aws_python"]["description"].startswith(f"Python {oldest} to {newest} ")
    assert rows()["Python"][0] == oldest
    for page in ("README.md", "CONTRIBUTING.md", "docs/getting-started.md", "docs/guides/rehearse.md"):
        assert f"Python ({oldest} to {newest})" in text(page), page
    rehearsed = yaml.safe_load(text(".github/workflows/checks.yml"))["jobs"]["rehearsal"]["strategy"]["matrix"][
        "python"
    ]
    assert sorted(rehearsed) == sorted(pythons)


@pytest.mark.parametrize("name", ["ansible-core", "amazon.aws", "botocore"])
def test_what_is_said_to_older_ones_is_what_is_documented(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    [shown] = re.findall(rf"^\| {name} \| `(.*)` \|$", text("docs/support.md"), re.M)
    where, what = {
        "ansible-core": (versions.ansible_release, "__version__"),
        "amazon.aws": (versions.amazon_aws, "AMAZON_AWS_COLLECTION_VERSION"),
        "botocore": (versions.botocore, "__version__"),
    }[name]
    found = re.search(rf"finds {name} ([\d.]+),", shown)
    assert found
    monkeypatch.setattr(where, what, found[1])
    monkeypatch.setattr(versions.sys, "executable", "/opt/ansible/bin/python")
    assert versions.version_problem() == shown
