# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every link of every page leads somewhere; and the check of that finds what is wrong."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import links  # noqa: E402


def test_all_links_lead_somewhere() -> None:
    assert len(links.pages(ROOT)) > 40
    assert links.problems(ROOT) == []


def test_every_picture_is_shown_somewhere() -> None:
    shown = {
        found[0].resolve()
        for page in links.pages(ROOT)
        for _line, address, picture in links.links(page)
        if picture and (found := links.local(page, address, ROOT))
    }
    assert {path for path in (ROOT / "docs" / "images").iterdir() if path not in shown} == set()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/there.md").write_text("# What's `here`?\n\n## Twice\n\n## Twice\n", encoding="utf-8")
    (tmp_path / "docs/large.png").write_bytes(b"x" * (links.LARGEST + 1))
    return tmp_path


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("[a](docs/there.md)", ""),
        ("[a](docs/there.md#whats-here)", ""),
        ("[a](docs/there.md#twice-1)", ""),
        ("[a](#one)", ""),
        (f"[a]({links.OURS}/blob/main/docs/there.md#twice)", ""),
        (f"[a]({links.OURS}/issues)", ""),
        (f"[a]({links.OURS}/blob/main/CHANGELOG.md)", ""),
        ("<https://example.com/a?b=c#d>", ""),
        ("| a |\n|---|\n| [a](docs/their.md) |", "leads to nothing"),
        ("[a](docs/their.md)", "leads to nothing"),
        ("[a](docs/there.md#thrice)", "names an anchor that is not there"),
        ("[a](#two)", "names an anchor that is not there"),
        ("[a](../elsewhere.md)", "leads out of the repository"),
        (f"[a]({links.OURS}/blob/main/docs/their.md)", "leads to nothing"),
        (f"![a]({links.RAW}/main/docs/none.png)", "leads to nothing"),
        ("![a](docs/large.png)", f"is a picture of more than {links.LARGEST} bytes"),
        ("[a](http://example.com)", "is no address of the web with https"),
        ("[a](https://example)", "is no address of the web with https"),
        ("[a](https://…/callback)", "is no address of the web with https"),
    ],
)
def test_what_is_wrong_is_found(repository: Path, link: str, said: str) -> None:
    (repository / "README.md").write_text(f"# One\n\n{link}\n", encoding="utf-8")
    found = links.problems(repository)
    assert [one.rpartition(" " + said)[1].strip() for one in found] == ([said] if said else [])
    links.tokens.cache_clear()
    links.anchors.cache_clear()


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path is."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_unused: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "said"), [(200, ""), (429, ""), (403, ""), (404, "answers 404"), (500, "answers 500")]
)
def test_addresses_elsewhere_are_asked_for(monkeypatch: pytest.MonkeyPatch, status: int, said: str) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert links.asked(f"http://127.0.0.1:{server.server_port}/{status}") == said
        server.shutdown()
    if not said:
        assert links.asked(f"http://127.0.0.1:{server.server_port}/{status}") == "cannot be reached: ConnectionError"
