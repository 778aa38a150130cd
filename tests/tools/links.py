# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the links of all pages: files, anchors, pictures, addresses elsewhere; with --external ask for these too.

A link to our own repository, as README.md has them, is followed in the files that are here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
OURS = "https://github.com/mlops-mlflow-aws/mlops.mlflow_aws"
RAW = OURS.replace("//github.com/", "//raw.githubusercontent.com/")
HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
# Bytes of a picture.
LARGEST = 300_000
# Written by make release.
TO_COME = {"CHANGELOG.md"}
# The words are those of amazon.aws, whose descriptions our modules extend.
NOT_OURS = "http://docs.aws.amazon.com/"
# They keep programs out, or ask for a login: what they answer says nothing about the page.
SHUT = {401, 403, 405, 429, 503, 999}


def pages(root: Path) -> list[Path]:
    """All Markdown files that git knows, or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return sorted(root / name for name in listed.split("\0") if name and (root / name).exists())


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """What a page consists of."""
    return tuple(MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to a page's headings, and those that it makes itself."""
    seen: Counter[str] = Counter()
    found = set()
    content = tokens(page)
    for opened, inline in pairwise(content):
        if opened.type == "heading_open":
            text = "".join(part.content for part in inline.children or [] if part.type in {"text", "code_inline"})
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", page.read_text(encoding="utf-8"))))


def links(page: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, address, and whether it is a picture's."""
    for token in tokens(page):
        for part in token.children or []:
            line = (token.map or [0])[0] + 1
            if part.type == "link_open":
                yield line, str(part.attrs["href"]), False
            elif part.type == "image":
                yield line, str(part.attrs["src"]), True


def local(page: Path, address: str, root: Path) -> tuple[Path, str] | None:
    """The file that an address means, if it is one of ours, and the anchor."""
    path, _unused, anchor = address.partition("#")
    if not re.match(r"[a-z][a-z0-9+.-]*:", path):
        return ((page.parent / unquote(path)) if path else page), anchor
    for prefix in (f"{OURS}/blob/main/", f"{OURS}/tree/main/", f"{RAW}/main/"):
        if path.startswith(prefix):
            return root / unquote(path.removeprefix(prefix)), anchor
    return None


def malformed(address: str) -> str:
    """What is wrong with an address elsewhere, without asking for it."""
    parts = urlsplit(address.replace(NOT_OURS, NOT_OURS.replace("http:", "https:")))
    well = (
        parts.scheme == "https" and HOST.fullmatch(parts.hostname or "") and not re.search(r"[\s<>…]", unquote(address))
    )
    return "" if well or parts.scheme == "mailto" else "is no address of the web with https"


def problem(page: Path, address: str, picture: bool, root: Path) -> str:
    """What is wrong with a link, without asking anybody."""
    target = local(page, address, root)
    if not target:
        return malformed(address)
    path, anchor = target
    if path.is_absolute() and not path.resolve().is_relative_to(root.resolve()):
        return "leads out of the repository"
    if not path.exists():
        return "" if path.resolve() in {(root / name).resolve() for name in TO_COME} else "leads to nothing"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path.resolve())):
        return "names an anchor that is not there"
    if picture and path.stat().st_size > LARGEST:
        return f"is a picture of more than {LARGEST} bytes"
    return ""


def problems(root: Path) -> list[str]:
    """What is wrong with the links of all pages."""
    return [
        f"{page.relative_to(root)}:{line}: {address} {said}"
        for page in pages(root)
        for line, address, picture in links(page)
        if (said := problem(page, address, picture, root))
    ]


def external(root: Path) -> dict[str, str]:
    """The addresses elsewhere, each with one place that names it."""
    found: dict[str, str] = {}
    for page in pages(root):
        for line, address, _unused in links(page):
            if not local(page, address, root) and address.startswith("https:"):
                found.setdefault(address.partition("#")[0], f"{page.relative_to(root)}:{line}")
    return found


def asked(address: str) -> str:
    """What is wrong with an address elsewhere, after asking for it."""
    import requests  # noqa: PLC0415 (not needed, and slow, without --external)

    headers = {"User-Agent": "Mozilla/5.0 (link check of mlops.mlflow_aws)"}
    for attempt in (1, 2):
        try:
            with requests.get(address, headers=headers, timeout=30, stream=True) as answer:
                gone = answer.status_code >= 400 and answer.status_code not in SHUT
                return f"answers {answer.status_code}" if gone else ""
        except requests.RequestException as error:
            said = f"cannot be reached: {type(error).__name__}"
            if attempt == 2:
                return said
    return ""


def main() -> int:
    """Return the exit code."""
    said = problems(ROOT)
    if "--external" in sys.argv[1:]:
        # Our own repository's other pages (issues and so on) are there once it is public.
        addresses = {one: where for one, where in external(ROOT).items() if not one.startswith(OURS)}
        with ThreadPoolExecutor(8) as pool:
            answers = zip(addresses.items(), pool.map(asked, addresses), strict=True)
            said += [f"{where}: {address} {wrong}" for (address, where), wrong in answers if wrong]
        print(f"{len(addresses)} addresses were asked")
    print("\n".join(said), end="\n" if said else "")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
