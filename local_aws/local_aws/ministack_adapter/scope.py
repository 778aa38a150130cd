# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts and regions: ministack keeps the caller's in context variables, and all records by account, region, name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.core import responses
from ministack.core.responses import get_account_id
from ministack.core.responses import get_region
from ministack.core.responses import request_scope

__all__ = ["everywhere", "get_account_id", "get_region", "read", "remove", "request_scope", "set_scope", "write"]

#: One of ministack's stores.
Store = Any


def set_scope(account_id: str, region: str) -> None:
    """Sets account and region of what this task asks next."""
    responses.set_request_account_id(account_id)
    responses.set_request_region(region)


def read(store: Store, account_id: str, region: str, name: str) -> Any:
    """A record, which may be changed in place; None: there is none."""
    return store.get_scoped(account_id, region, name)


def write(store: Store, account_id: str, region: str, name: str, record: Any) -> None:
    """Adds or replaces a record."""
    store.set_scoped(account_id, region, name, record)


def remove(store: Store, account_id: str, region: str, name: str) -> None:
    """Removes a record, if it is there."""
    store.pop_scoped(account_id, region, name, None)


def everywhere(store: Store) -> Iterator[tuple[tuple[str, str, str], Any]]:
    """All records of all accounts and regions: (account, region, name) and the record."""
    yield from list(store._data.items())
