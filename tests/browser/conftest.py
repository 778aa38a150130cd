# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium without a window, and the end-to-end tests' local AWS.

CHROMIUM: the browser's program (default: the first of the usual names).
SCREENSHOTS: the folder for pictures (default: the test's temporary one).
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat
from playwright.sync_api import Page
from playwright.sync_api import expect
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))

Open = Callable[..., Any]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A browser of its own, that connects to nothing but the pages which it is given.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Milliseconds.
TIMEOUT = 120_000


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "There is no Chromium: install the package chromium, or name the program in CHROMIUM."
    return found


def key_hash(url: str) -> str:
    """The public key behind an address, as Chromium wants it named to trust it."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=30) as connection,
        context.wrap_socket(connection, server_hostname=parts.hostname) as secured,
    ):
        certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


@pytest.fixture
def open_browser(chromium: str, tmp_path: Path) -> Open:
    """Opens a page in a new browser, which trusts the certificates of the given addresses and no other private one."""

    @contextmanager
    def go(*trusted: str, **context: Any) -> Iterator[Page]:
        arguments = [*ARGUMENTS, f"--ignore-certificate-errors-spki-list={','.join(map(key_hash, trusted))}"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch_persistent_context(
                str(tmp_path / "profile"),
                executable_path=chromium,
                headless=True,
                args=arguments,
                viewport={"width": 1400, "height": 900},
                **context,
            )
            try:
                page = browser.new_page()
                page.set_default_timeout(TIMEOUT)
                expect.set_options(timeout=TIMEOUT)
                yield page
            finally:
                browser.close()

    return go


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Page, str], Path]:
    """Keeps how a page looks."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=str(path))
        return path

    return keep
