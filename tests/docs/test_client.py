# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLflow's client, as the documentation shows it: with what is exported there and nothing else of this machine's."""

from __future__ import annotations

import re

import pytest
from bare_client import SCRIPT
from bare_client import run_bare
from blocks import SHELL
from blocks import Block
from blocks import all_blocks
from controllers import Controller
from controllers import RegionalAws
from controllers import to_its_end
from harness import runtime
from test_reading import PREAMBLE
from test_reading import filled
from test_reading import secret

VERSION = "3.17.2"
# Prints what a block has exported, as lines that another shell can run.
SHOWN = r"env | grep -E '^MLFLOW_' | sed -E 's/^([A-Z_]+)=(.*)$/export \1=\2/'"


def exporting() -> list[Block]:
    """The shell blocks that tell a client where the server is."""
    begins = re.compile(r"^export MLFLOW_TRACKING_URI", re.M)
    return [block for block in all_blocks() if block.language in SHELL and begins.search(block.text)]


def scripts() -> list[Block]:
    """The blocks of Python that use MLflow."""
    return [block for block in all_blocks() if block.language == "python" and "mlflow" in block.text]


def trusting(aws: RegionalAws) -> str:
    """What a client needs besides on the local AWS, as the rehearsal's summary prints it."""
    return f"export MLFLOW_TRACKING_SERVER_CERT_PATH='{aws.info['ca_bundle']}'"


def test_each_script_follows_a_block_that_says_where_the_server_is() -> None:
    assert scripts()
    assert {block.page for block in scripts()} <= {block.page for block in exporting()}


@pytest.mark.parametrize("block", exporting(), ids=str)
def test_what_a_page_exports_is_all_that_a_client_needs(
    block: Block, deployed: str, controller: Controller, reader: dict[str, str], url: str
) -> None:
    aws = controller.aws
    text = filled(block.text, url, secret(aws, f"{deployed}/login")["password"])
    played = to_its_end(["bash", "-c", f"{PREAMBLE}{text}\n{SHOWN}"], reader, controller.work).succeeded()
    exports = re.findall(r"^export MLFLOW_\w+=\S+$", played.output, re.M)
    assert len(exports) == 3, played.output
    home = controller.folder / "bare"
    home.mkdir()
    python = runtime(VERSION) / "bin/python"
    assert "all of it" in run_bare(python, [*exports, trusting(aws)], home, SCRIPT)
    for number, script in enumerate(one for one in scripts() if one.page == block.page):
        path = home / f"{number}.py"
        path.write_text(script.text, encoding="utf-8")
        run_bare(python, [*exports, trusting(aws)], home, path)
