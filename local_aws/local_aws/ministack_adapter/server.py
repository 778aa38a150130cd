# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's ASGI application, its router, and its saved state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import MutableMapping
from typing import Any

from ministack import app
from ministack.core import persistence
from ministack.core import router

_LOGS = "cloudwatch_logs"
# ministack's name of the state that a call changes before its response, for services which are called often.
_STATE_OF_SERVICE = {
    "cloudwatch": "cloudwatch",
    "ec2": "ec2",
    "ecs": "ecs",
    "elbv2": "alb",
    "iam": "iam",
    "logs": _LOGS,
    "rds": "rds",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "sts": "sts",
}
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Lets ministack answer a request.

    Its own start-up (lifespan) is never called: it runs scripts found on the machine and looks for Docker.
    """
    await app.app(scope, receive, send)


def service_of(method: str, path: str, headers: dict[str, str], query: dict[str, list[str]]) -> str:
    """ministack's name of the service that a request is for."""
    return str(router.detect_service(method, path, headers, query))


def use_running_loop() -> None:
    """Names the serving loop: some of ministack's threads call its handlers there."""
    app._MAIN_LOOP = asyncio.get_running_loop()


def load_state() -> None:
    """Gives ministack what it had, from its STATE_DIR."""
    app._load_persisted_state()


def state_names(service: str = "") -> set[str]:
    """Names of the states that calls change: of a service, or all but log groups, which are most of the state.

    :arg service: botocore's service name; one that is not known here stands for all.
    """
    name = _STATE_OF_SERVICE.get(service)
    return {name} if name else set(app._state_map) - {_LOGS}


def states(names: set[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What ministack must remember: names of files, and what encodes a copy of the state as it is now."""
    for name, get_state in app._build_persistence_save_dict().items():
        state = get_state() if name in names else None
        if state is not None:
            yield name, _encoder(name, state)


def _encoder(name: str, state: Any) -> Callable[[], bytes]:
    """ministack's own file format (core/persistence.py, save_state), whose errors are not swallowed here."""

    def encode() -> bytes:
        document = {"__ministack_format__": persistence._state_format_version(name), "payload": state}
        return json.dumps(document, default=persistence._json_default).encode()

    return encode
