# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An execution environment: what ansible-builder finds in the collection, and what it writes for a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml
from blocks import ROOT
from blocks import Block
from blocks import data_blocks
from blocks import kind
from packaging.requirements import Requirement

BIN = Path(sys.executable).parent
SITE = Path(sys.prefix) / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/ansible_collections"


def introspect(folder: Path) -> dict[str, list[str]]:
    """What the collections below a folder need."""
    command = [str(BIN / "ansible-builder"), "introspect", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    found: dict[str, list[str]] = yaml.safe_load(done.stdout.partition("---")[2])
    return found


def test_ansible_builder_finds_what_the_collection_needs(tmp_path: Path) -> None:
    for name, path in {"mlops/mlflow_aws": ROOT, "amazon/aws": SITE / "amazon/aws"}.items():
        link = tmp_path / "ansible_collections" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(path)
    found = introspect(tmp_path)
    ours = [one.partition("  #")[0] for one in found["python"] if "mlops.mlflow_aws" in one]
    wanted = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert sorted(ours) == sorted(wanted)
    assert [one for one in found["system"] if "mlops.mlflow_aws" in one]


def test_requirements_are_ranges_without_an_upper_bound() -> None:
    """As certification wants them: bare or with >=, and nothing of Ansible's."""
    for file in ("requirements.txt", "meta/ee-requirements.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                requirement = Requirement(line)
                assert re.fullmatch(r"(>=[\d.]+)?", str(requirement.specifier)), line
                assert not requirement.name.startswith("ansible")


def definitions() -> list[Block]:
    """Those in the documentation."""
    return [block for block in data_blocks() if kind(block.document) == "execution environment"]


def test_ansible_builder_takes_the_documented_definition(tmp_path: Path) -> None:
    assert definitions()
    for number, block in enumerate(definitions()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "execution-environment.yml").write_text(block.text, encoding="utf-8")
        command = [str(BIN / "ansible-builder"), "create", "--output-filename", "Containerfile"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=1800)
        written = (folder / "context/Containerfile").read_text(encoding="utf-8")
        definition = block.document
        assert f'ARG EE_BASE_IMAGE="{definition["images"]["base_image"]["name"]}"' in written
        assert f'ARG PYCMD="{definition["dependencies"]["python_interpreter"]["python_path"]}"' in written
        assert re.findall(r"^FROM \S+ AS (\w+)$", written, re.M) == ["base", "galaxy", "builder", "final"]
        asked = yaml.safe_load((folder / "context/_build/requirements.yml").read_text(encoding="utf-8"))
        assert {one if isinstance(one, str) else one["name"] for one in asked["collections"]} >= {"mlops.mlflow_aws"}
