# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where something is too old, a user gets one sentence, before anything is created."""

from __future__ import annotations

import contextlib
import io
import json
from types import ModuleType

import boto3
import botocore
import pytest
from ansible.module_utils import ansible_release
from ansible.module_utils.testing import patch_module_args

from ansible_collections.amazon.aws.plugins.module_utils import common as amazon_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import versions
from ansible_collections.mlops.mlflow_aws.plugins.modules import aws_caller_context
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.plugins.modules import s3_artifact_bucket

OLD = {
    "ansible-core": (ansible_release, "__version__", "2.18.19", "pip install 'ansible-core>=2.19.0'"),
    "amazon.aws": (amazon_aws, "AMAZON_AWS_COLLECTION_VERSION", "9.5.0", "install --upgrade 'amazon.aws:>=10.1.2'"),
    "botocore": (botocore, "__version__", "1.41.0", "pip install 'botocore>=1.41.1'"),
    "boto3": (boto3, "__version__", "1.9.250", "pip install 'boto3>=1.41.1'"),
}
MODULES = {
    "aws_caller_context": (aws_caller_context, {}),
    "ecs_express_service_info": (ecs_express_service_info, {"service_name": "tracking"}),
    "s3_artifact_bucket": (s3_artifact_bucket, {"name": "some-bucket-7c1d"}),
}


def run(module: ModuleType, params: dict[str, str]) -> dict[str, str]:
    """Run a module without an AWS to ask."""
    basic = {"region": "eu-central-1", "access_key": "AKIAFAKEFAKEFAKEFAKE", "secret_key": "made-up-" * 4}
    out = io.StringIO()
    arguments = {**basic, "endpoint_url": "http://127.0.0.1:1", **params}
    with patch_module_args(arguments), contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        module.main()
    result: dict[str, str] = json.loads(out.getvalue())
    return result


def test_nothing_is_too_old_here() -> None:
    assert versions.version_problem() == ""


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("what", OLD)
def test_too_old(monkeypatch: pytest.MonkeyPatch, what: str, module: str) -> None:
    where, name, version, way = OLD[what]
    monkeypatch.setattr(where, name, version)
    said = run(*MODULES[module])["msg"]
    assert f"mlops.mlflow_aws finds {what} {version}, where {versions.OLDEST[what]} is the oldest that will do" in said
    assert way in said
    assert said.count("mlops.mlflow_aws finds") == 1


def test_all_at_once_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for where, name, version, _unused in OLD.values():
        monkeypatch.setattr(where, name, version)
    said = versions.version_problem()
    assert "pip install 'ansible-core>=2.19.0' 'boto3>=1.41.1' 'botocore>=1.41.1' and run ansible-galaxy" in said


@pytest.mark.parametrize("version", ["1.41.1", "1.41.1rc1", "1.41.2.dev0", "1.42", "1.100.0", "2.0.0"])
def test_new_enough(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(botocore, "__version__", version)
    assert versions.version_problem() == ""
