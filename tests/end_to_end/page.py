# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/troubleshooting.md: what the modules said is written into it, or held to it.

With WRITE_TROUBLESHOOTING=1 (make troubleshooting) it is written; else the causes there must be those of today.
"""

from __future__ import annotations

import os
import re
import threading

from harness import ROOT
from harness import SOFTWARE

PAGE = ROOT / "docs" / "troubleshooting.md"
BEGIN = "<!-- explanations: begin (written by make troubleshooting) -->"
END = "<!-- explanations: end -->"
# Where the software of an image lies here; in the image itself it is /usr/local.
_RUNTIME = re.compile(rf"{re.escape(str(SOFTWARE))}/runtimes/[^/]+")
# Remedies hold names and ids that are others in each run.
_ADVICE = re.compile(r"^Likely cause: .*$", re.M)

_said: dict[str, str] = {}
_lock = threading.Lock()


def keep(title: str, why: str, message: str) -> None:
    """What was said when something happened, for the page.

    :arg why: a sentence: when it happens.
    """
    message = _RUNTIME.sub("/usr/local", message)
    with _lock:
        _said[title] = f"## {title}\n\n" + (f"{why}\n\n" if why else "") + f"```text\n{message}\n```\n"
    if not os.environ.get("WRITE_TROUBLESHOOTING"):
        present = _sections(_parts()[1])
        assert title in present, f"docs/troubleshooting.md does not know {title!r}: make troubleshooting"
        assert _ADVICE.findall(present[title]) == _ADVICE.findall(message), "make troubleshooting writes it anew"


def write() -> None:
    """Put what was said between the marks of the page, if that is asked for."""
    if not os.environ.get("WRITE_TROUBLESHOOTING") or not _said:
        return
    head, present, tail = _parts()
    # What this run did not come to stays as it was.
    sections = {**_sections(present), **_said}
    PAGE.write_text(f"{head}{BEGIN}\n\n" + "\n".join(sections.values()) + f"\n{END}{tail}", encoding="utf-8")


def _parts() -> tuple[str, str, str]:
    head, _unused, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    present, _unused, tail = rest.partition(END)
    return head, present, tail


def _sections(text: str) -> dict[str, str]:
    found = re.split(r"^## (.*)$", text, flags=re.M)[1:]
    return {title: f"## {title}{rest.rstrip()}\n" for title, rest in zip(found[::2], found[1::2], strict=True)}
