# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the documents (make screenshots): what a rehearsed deployment shows after it was validated.

Each is taken only when what it shall show is there, so that this is a test of MLflow's pages as well.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import SOFTWARE
from harness import LocalAws
from playwright.sync_api import Page
from playwright.sync_api import expect
from stage import NAME
from stage import Stage

Open = Callable[..., Any]
Picture = Callable[[Page, str], Path]
QUICK = 60
SIZE = {"width": 1280, "height": 760}
# Bytes: they are part of the collection.
LARGEST = 300_000


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    home = Path(tempfile.mkdtemp(prefix="mlflow-pictures-"))
    home.chmod(0o755)
    aws = LocalAws(home, present_user=True)
    try:
        aws.up(QUICK)
        stage = Stage(aws)
        stage.deploy("basic")
        clients = {"mlflow_client_root": str(SOFTWARE / "clients")}
        aws.play("validate", stage.variables("basic", **clients)).succeeded()
        yield stage
    finally:
        aws.down()
        shutil.rmtree(home)


# MLflow opens its assistant for new visitors, and keeps in the browser that it has.
NO_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""


def keep(page: Page, picture: Picture, name: str) -> None:
    """Take the picture, with no hint in front of the page and no row under the mouse."""
    hint = page.get_by_role("button", name="Got it")
    if hint.is_visible():
        hint.click()
    page.mouse.move(0, 0)
    assert picture(page, name).stat().st_size < LARGEST


def test_the_demo(stage: Stage, open_browser: Open, picture: Picture) -> None:
    username, password = stage.login()
    with open_browser(stage.url, http_credentials={"username": username, "password": password}) as page:
        page.add_init_script(NO_ASSISTANT)
        page.set_viewport_size(SIZE)
        page.goto(f"{stage.url}/#/experiments")
        demo = page.get_by_role("link", name="MLflow Demo")
        expect(demo).to_be_visible()
        keep(page, picture, "experiments")

        demo.click()
        page.wait_for_url("**/experiments/*/overview/**")
        expect(page.get_by_text("42", exact=True).first).to_be_visible()
        expect(page.get_by_text("AVG").first).to_be_visible()
        keep(page, picture, "overview")

        page.get_by_role("link", name="Traces", exact=True).first.click()
        question = page.get_by_text("My RAG application").first
        expect(question).to_be_visible()
        keep(page, picture, "traces")

        question.click()
        expect(page.get_by_text("messages.create").first).to_be_visible()
        expect(page.get_by_text("Enable tracing").first).to_be_visible()
        keep(page, picture, "trace")

        page.goto(f"{page.url.split('/traces')[0]}/evaluation-runs")
        expect(page.get_by_text("groundedness").first).to_be_visible()
        keep(page, picture, "runs")


def test_the_login_at_a_provider(stage: Stage, open_browser: Open, picture: Picture) -> None:
    assert NAME in stage.deploy("oidc").output
    with open_browser(stage.url) as page:
        page.set_viewport_size({"width": 640, "height": 480})
        page.goto(stage.url)
        expect(page.get_by_text("Login with OIDC")).to_be_visible()
        keep(page, picture, "login-oidc")
