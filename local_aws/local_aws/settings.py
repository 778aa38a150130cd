# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one local AWS was started with, and where it is kept."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULTS: dict[str, Any] = {
    "scale": 60.0,
    "region": "us-east-1",
    "account_id": "123456789012",
    "port": 0,
    "endpoints": "auto",
    "runtimes": "",
}
TOKEN_FILE = "token"
_ENDPOINTS = ("auto", "names", "ports")


class SettingsError(Exception):
    """A setting cannot be used; the message says which one and what would be right."""


@dataclass(frozen=True)
class Settings:
    """The settings of one daemon; kept in ``home/settings.json``, the credentials in ``home/credentials.json``.

    :arg home: the folder that holds all state; absolute.
    :arg tasks: the folder below which each task has its own; in a running daemon under a plain name (plain_paths.py).
    :arg runtimes: the cache of task runtimes (virtual environments), likewise; survives ``down --wipe``.
    :arg port: the port of the API on 127.0.0.1 (in a running daemon the one in use, never 0).
    :arg region: the region that the daemon calls its own.
    :arg account_id: the twelve digits of the account.
    :arg scale: AWS seconds in one real second.
    :arg endpoints: how services are reached: ``names`` or ``ports`` (``auto`` has been resolved by then).
    :arg access_key_id: the root user's key, generated once per home.
    :arg secret_access_key: its secret.
    :arg token: what a client of the local AWS's own pages must show, generated once per home.
    """

    home: Path
    tasks: Path
    runtimes: Path
    port: int
    region: str
    account_id: str
    scale: float
    endpoints: str
    access_key_id: str
    secret_access_key: str
    token: str

    def __repr__(self) -> str:
        """Without the secret, for logs."""
        return f"Settings(home={self.home}, port={self.port}, region={self.region}, account_id={self.account_id})"


def choose(home: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings for the next start: what is asked for, else what this home had, else the defaults; checked.

    :arg wanted: any of DEFAULTS; None or absent: not asked for.
    :raises SettingsError: a value is not usable, or does not fit the state in this home.
    """
    path = home / "settings.json"
    saved = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    asked = {name: value for name, value in wanted.items() if value is not None}
    chosen = {**DEFAULTS, **saved, **asked}
    if saved and chosen["account_id"] != saved["account_id"]:
        raise SettingsError(
            f"{home} holds the state of account {saved['account_id']}, not of {chosen['account_id']} (--account); "
            "take another home, or throw the state away with: down --wipe."
        )
    if not re.fullmatch(r"\d{12}", chosen["account_id"]):
        raise SettingsError(f"The account (--account) must be twelve digits, not {chosen['account_id']!r}.")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", chosen["region"]):
        raise SettingsError(f"The region (--region) must look like us-east-1, not {chosen['region']!r}.")
    if not 0 < chosen["scale"] <= 100_000:
        raise SettingsError(f"The scale (--scale) must be above 0 and at most 100000, not {chosen['scale']}.")
    if chosen["endpoints"] not in _ENDPOINTS:
        raise SettingsError(f"The endpoints (--endpoints) must be one of {', '.join(_ENDPOINTS)}.")
    return chosen


def load(home: Path) -> Settings:
    """The settings of this home, as up wrote them; credentials are made on first use."""
    chosen = choose(home, {})
    credentials = _credentials(home / "credentials.json")
    endpoints = chosen["endpoints"]
    if endpoints == "auto":
        endpoints = "names" if resolves_localhost_names() else "ports"
    return Settings(
        home=home,
        tasks=home / "tasks",
        runtimes=Path(chosen["runtimes"]) if chosen["runtimes"] else home / "runtimes",
        port=chosen["port"],
        region=chosen["region"],
        account_id=chosen["account_id"],
        scale=float(chosen["scale"]),
        endpoints=endpoints,
        access_key_id=credentials["access_key_id"],
        secret_access_key=credentials["secret_access_key"],
        token=token(home),
    )


def token(home: Path) -> str:
    """What a client of the local AWS's own pages must show; generated once, readable by its owner alone."""
    path = home / TOKEN_FILE
    if not path.exists():
        _write_new(path, secrets.token_urlsafe(32) + "\n")
    return path.read_text(encoding="ascii").strip()


def _credentials(path: Path) -> dict[str, str]:
    """The root user's credentials; generated once, readable by their owner alone."""
    if path.exists():
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return known
    letters = string.ascii_uppercase + "234567"
    made = {
        "access_key_id": "AKIA" + "".join(secrets.choice(letters) for _unused in range(16)),
        "secret_access_key": secrets.token_urlsafe(48),
    }
    _write_new(path, json.dumps(made))
    return made


def _write_new(path: Path, text: str) -> None:
    """A file that is not there yet, and its owner's alone.

    :raises FileExistsError: it is there.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)


def resolves_localhost_names() -> bool:
    """Whether this machine resolves names below localhost (RFC 6761 asks for it; not every resolver does it)."""
    try:
        found = socket.getaddrinfo("mlflow-probe.ecs.localhost", 443, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(address[4][0] in ("127.0.0.1", "::1") for address in found)
