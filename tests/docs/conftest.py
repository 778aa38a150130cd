# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One local AWS, and one deployment on it, for all that is run here; the files come in the order of its life."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The local AWS and its user.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))

from controllers import Controller
from controllers import RegionalAws
from harness import prepare_software
from person import reader_of

ORDER = ["syntax", "builder", "controllers", "credentials", "client", "reading", "backup", "domain", "end"]
# What the examples name.
NAME, REGION = "mlflow", "eu-central-1"
VERSION = "3.17.2"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A deployment is made before it is used, and used before it is destroyed; all of that is for make nightly."""
    own = [item for item in items if item.path.parent == Path(__file__).parent]
    own.sort(key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))
    for item in own:
        if "deployed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.long)
    items[:] = [item for item in items if item not in own] + own


@pytest.fixture(scope="session")
def aws() -> Iterator[RegionalAws]:
    """The local AWS."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    local_aws = RegionalAws(home, REGION)
    try:
        local_aws.start()
        prepare_software(VERSION, home / "owner")
        yield local_aws
    finally:
        local_aws.down()
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def variables(aws: RegionalAws) -> dict[str, Any]:
    """Of the deployment; the demo data are expensive, and for other tests."""
    return aws.small(mlflow_name=NAME, mlflow_demo=False)


@pytest.fixture
def controller(aws: RegionalAws, tmp_path: Path) -> Controller:
    """An unused one."""
    return Controller(aws, tmp_path)


@pytest.fixture(scope="session")
def deployed(aws: RegionalAws, variables: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the deployment, which one controller has made and of which nothing is left there."""
    home = tmp_path_factory.mktemp("first")
    first = Controller(aws, home)
    first.play("deploy", variables).succeeded()
    # Ansible's own temporary files and nothing else.
    left = [path for path in home.rglob("*") if path.is_file() and ".ansible" not in path.parts]
    assert [path for path in left if path.name != "vars.json"] == []
    shutil.rmtree(home)
    return NAME


@pytest.fixture(scope="session")
def url(aws: RegionalAws, deployed: str) -> str:
    """Of the deployment."""
    arn = f"arn:aws:ecs:{aws.region}:123456789012:service/default/{deployed}"
    service = aws.client("ecs").describe_express_gateway_service(serviceArn=arn)["service"]
    return "https://" + str(service["activeConfigurations"][0]["ingressPaths"][0]["endpoint"]).removeprefix("https://")


@pytest.fixture(scope="session")
def inventory(variables: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For who types what is in the documentation: the deployment is a small one, on this local AWS."""
    path = tmp_path_factory.mktemp("inventory") / "inventory.json"
    host = {key: value for key, value in variables.items() if key != "mlflow_name"}
    host |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    path.write_text(json.dumps({"all": {"hosts": {"localhost": host}}}), encoding="utf-8")
    os.chmod(path, 0o600)
    return path


@pytest.fixture
def reader(aws: RegionalAws, controller: Controller, inventory: Path) -> dict[str, str]:
    """The environment of one who has a checkout, an AWS account and its profile."""
    return reader_of(aws, controller, inventory)
