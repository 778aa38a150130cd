# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hashes by which a run knows whether the same is to be deployed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import fingerprint
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import options_of

ROOT = Path(fingerprint.__file__).resolve().parents[3]
OPTIONS = {role: options_of(ROOT / "roles" / role) for role in ("mlflow", "bucket", "validation")}
HERE = Scope("aws", "eu-central-1", "123456789012")


def hashed(scope: Scope = HERE, role: str = "mlflow", **variables: Any) -> str:
    return fingerprint.variables_hash({role: variables}, OPTIONS, scope)


NOTHING = hashed()


def test_defaults_and_what_stands_for_them_do_not_count() -> None:
    assert hashed(mlflow_cpu=1024) == hashed(mlflow_cpu="1024") == hashed(mlflow_tags="") == NOTHING
    assert hashed(mlflow_cpu=2048) == hashed(mlflow_cpu="2048") != NOTHING
    assert hashed(mlflow_tags={"Team": "vision"}) == hashed(mlflow_tags="Team=vision")
    assert hashed(mlflow_demo=False) == NOTHING


def test_the_place_and_the_variables_of_other_roles_count() -> None:
    assert hashed(Scope("aws", "us-east-1", "123456789012")) != NOTHING
    assert hashed(role="bucket", bucket_abort_incomplete_multipart_days=3) != NOTHING
    assert hashed(role="validation", validation_demo=False) == NOTHING


def test_every_variable_counts_unless_it_only_steers_a_run() -> None:
    assert OPTIONS["mlflow"].keys() >= fingerprint.STEERING
    values: dict[str, Any] = {"bool": "yes", "int": 4711, "list": ["x"], "dict": {"a": "b"}}
    for name, option in OPTIONS["mlflow"].items():
        value: Any = not option["default"] if option["type"] == "bool" else values.get(option["type"], "something")
        assert (hashed(HERE, "mlflow", **{name: value}) == NOTHING) is (name in fingerprint.STEERING), name


def test_of_a_file_the_content_counts(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("first")
    other = tmp_path / "other.pem"
    other.write_text("first")
    first = hashed(mlflow_db_ca_path=str(file))
    assert first == hashed(mlflow_db_ca_path=str(other)) != NOTHING
    file.write_text("second")
    assert hashed(mlflow_db_ca_path=str(file)) != first
    assert hashed(mlflow_db_ca_path=str(tmp_path / "missing")) not in (first, NOTHING)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("galaxy.yml", "namespace: mlops\nversion: 1.2.3\n"),
        ("galaxy.yml", 'version: "1.2.3"\n'),
        ("MANIFEST.json", '{"collection_info": {\n "version": "1.2.3"}}'),
    ],
)
def test_version_of_the_collection(tmp_path: Path, name: str, text: str) -> None:
    assert fingerprint.collection_version(tmp_path) == ""
    (tmp_path / name).write_text(text)
    assert fingerprint.collection_version(tmp_path) == "1.2.3"


def test_each_file_of_the_collection_counts(tmp_path: Path) -> None:
    (tmp_path / "roles/x").mkdir(parents=True)
    (tmp_path / "plugins/__pycache__").mkdir(parents=True)
    found = {fingerprint.collection_hash(tmp_path)}
    for path, text in (("roles/x/main.yml", "a"), ("roles/x/main.yml", "b"), ("plugins/y.py", "b")):
        (tmp_path / path).write_text(text)
        found.add(fingerprint.collection_hash(tmp_path))
    assert len(found) == 4
    (tmp_path / "plugins/__pycache__/y.pyc").write_text("c")
    (tmp_path / "README.md").write_text("c")
    assert fingerprint.collection_hash(tmp_path) in found
