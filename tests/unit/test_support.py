# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each place that names a supported version names the same one, and what is called tested is what the tests have."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from ansible_collections.amazon.aws.plugins.module_utils.common import AMAZON_AWS_COLLECTION_VERSION
from ansible_collections.mlops.mlflow_aws.plugins.doc_fragments.boto3 import ModuleDocFragment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._aws import versions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._aws.versions import OLDEST

ROOT = Path(__file__).resolve().parents[2]


def text(path: str) -> str:
    """A file of the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def pins(path: str) -> dict[str, str]:
    """The exact versions in a requirements file."""
    return dict(re.findall(r"^([\w-]+)==([\w.]+)", text(path), re.M))


def rows() -> dict[str, list[str]]:
    """The first two tables of docs/support.md: from the first cell of a row to the others."""
    tables = text("docs/support.md").split("## What newer")[0]
    found = re.findall(r"^\| (\S.*?) \| (.*) \|$", tables, re.M)
    return {first: [cell.strip() for cell in others.split(" | ")] for first, others in found}


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
    assert table["`make versions`"][0] == other["ansible-core"]
    assert table["amazon.aws"][0] == AMAZON_AWS_COLLECTION_VERSION == OLDEST["amazon.aws"]
    for name in ("boto3", "botocore"):
        assert table["boto3, botocore"][0] == other[name] == pins("tests/unit/constraints.txt")[name] == OLDEST[name]


def test_the_newest_are_what_the_other_end_runs_with() -> None:
    table = rows()
    assert table["ansible-core"][1] == metadata.version("ansible-core")
    assert table["boto3, botocore"][1] == metadata.version("boto3") == metadata.version("botocore")
    assert (
        table["MLflow"][1] == re.search(r'^mlflow_version: "?([\d.]+)', text("roles/mlflow/defaults/main.yml"), re.M)[1]
    )
    assert "ansible==14.5.0" in text("tests/versions/collections.txt")
    assert table["amazon.aws"][1] == "11.4.0"
    assert '["version"] == "11.4.0"' in text("tests/versions/test_other_end.py")


def test_each_kind_of_tests_names_its_versions() -> None:
    table = rows()
    newest = [table["ansible-core"][1], OLDEST["amazon.aws"], table["boto3, botocore"][1]]
    assert table["`make units`"][:3] == table["`make end-to-end`, `make molecule`"][:3] == newest
    assert table["`make ansible-test-units`"][:3] == [table["ansible-core"][1], "11.4.0", OLDEST["botocore"]]
    assert table["`make versions`"][:3] == [table["ansible-core"][1], "11.4.0", OLDEST["botocore"]]


@pytest.mark.parametrize("name", ["ansible-core", "amazon.aws", "botocore"])
def test_what_is_said_to_older_ones_is_what_is_documented(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    [shown] = re.findall(rf"^\| {name} \| `(.*)` \|$", text("docs/support.md"), re.M)
    where, what = {
        "ansible-core": (versions.ansible_release, "__version__"),
        "amazon.aws": (versions.amazon_aws, "AMAZON_AWS_COLLECTION_VERSION"),
        "botocore": (versions.botocore, "__version__"),
    }[name]
    monkeypatch.setattr(where, what, re.search(rf"finds {name} ([\d.]+),", shown)[1])
    monkeypatch.setattr(versions.sys, "executable", "…/python")
    assert versions.version_problem() == shown
