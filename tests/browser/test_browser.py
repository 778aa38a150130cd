# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLflow's user interface in a real browser: the login, and a form that POSTs, in both modes that have a login.

One deployment goes through the tests in their order.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import LocalAws
from playwright.sync_api import Error
from playwright.sync_api import Page
from playwright.sync_api import expect
from stage import Stage

Open = Callable[..., Any]
Picture = Callable[[Page, str], Path]
QUICK = 60


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    home = Path(tempfile.mkdtemp(prefix="mlflow-browser-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        yield Stage(aws)
    finally:
        aws.down()
        shutil.rmtree(home)


def create_experiment(page: Page, name: str) -> None:
    """By MLflow's own form, as a user does."""
    page.get_by_role("button", name="Create", exact=True).first.click()
    page.get_by_placeholder("Input an experiment name").fill(name)
    with page.expect_response(lambda answer: "experiments/create" in answer.url) as created:
        page.get_by_role("dialog").get_by_role("button", name="Create", exact=True).click()
    assert created.value.request.method == "POST"
    assert created.value.request.all_headers()["origin"] == "/".join(page.url.split("/")[:3])
    assert created.value.status == 200, created.value.text()
    expect(page.get_by_text(name).first).to_be_visible()


def test_mlflows_own_login(stage: Stage, open_browser: Open, picture: Picture) -> None:
    stage.deploy("basic")
    username, password = stage.login()
    with open_browser(stage.url, http_credentials={"username": username, "password": password}) as page:
        page.goto(f"{stage.url}/#/experiments")
        create_experiment(page, "by hand")
        picture(page, "basic")


def test_without_the_login_there_is_nothing_to_see(stage: Stage, open_browser: Open) -> None:
    with open_browser(stage.url) as page:
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            page.goto(stage.url)
        assert "MLflow" not in page.title()


def test_login_at_the_provider(stage: Stage, open_browser: Open, picture: Picture) -> None:
    stage.deploy("oidc")
    stage.people.register(f"{stage.url}/callback")
    with open_browser(stage.url, stage.aws.info["endpoint_url"]) as page:
        page.goto(stage.url)
        page.wait_for_load_state("networkidle")
        picture(page, "oidc-welcome")
        page.goto(f"{stage.url}/login")
        page.get_by_label("Username").fill(stage.ada)
        page.get_by_label("Password").fill(stage.people.passwords[stage.ada])
        picture(page, "oidc-provider")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{stage.url}/oidc/ui/**")
        expect(page.get_by_text(stage.ada).first).to_be_visible()
        picture(page, "oidc-user")
        page.goto(f"{stage.url}/#/experiments")
        expect(page.get_by_text("by hand").first).to_be_visible()
        create_experiment(page, "by hand too")
        picture(page, "oidc-experiments")
