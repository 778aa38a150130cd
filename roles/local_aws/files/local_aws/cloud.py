# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rooms share: settings, clock, certificate authority, processes, AWS clients, and each other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from .authority import Authority
from .clock import Clock
from .processes import Processes
from .room import ApiError
from .room import Call
from .settings import Settings

if TYPE_CHECKING:
    from .balancer import Balancer
    from .database import Databases
    from .express import Express
    from .faults import Faults
    from .tasks import TaskRunner

__all__ = ["ApiError", "Authority", "Clock", "Cloud", "RecordedCall", "Settings", "TrustError"]


class TrustError(Exception):
    """A role cannot be assumed: it does not exist, or its trust policy does not name the principal."""


@dataclass(frozen=True)
class RecordedCall:
    """One API call, kept for tests and benchmarks.

    :arg time: seconds since the epoch, real time.
    :arg api: ``service:Operation``.
    :arg principal: the caller's ARN, or an empty string where it could not be told.
    :arg outcome: HTTP status, or AWS's error code.
    """

    time: float
    api: str
    principal: str
    outcome: str


class Cloud:
    """One local AWS. The rooms are set by the app before any of them is started."""

    balancer: Balancer
    tasks: TaskRunner
    databases: Databases
    express: Express

    def __init__(self, settings: Settings, processes: Processes, authority: Authority) -> None:
        self.settings = settings
        self.clock = Clock(settings.scale)
        self.authority = authority
        self.processes = processes
        self.endpoint_url = f"http://127.0.0.1:{settings.port}"
        self.calls: deque[RecordedCall] = deque(maxlen=10_000)
        self.counts: Counter[str] = Counter()
        self._on_change: list[Callable[[], None]] = []

    def client(self, service: str, *, role_arn: str | None = None, principal: str = "") -> Any:
        """A botocore client on our own endpoint, so that IAM is enforced. Blocking and thread-safe: use it in a thread.

        :arg service: botocore's service name.
        :arg role_arn: the role to act as; without it the account's root.
        :arg principal: the service principal that assumes the role, e.g. ``ecs-tasks.amazonaws.com``.
        :raises TrustError: the role does not exist or does not trust the principal.
        """
        raise NotImplementedError

    def role_credentials(self, role_arn: str, principal: str, seconds: int = 3600) -> dict[str, str]:
        """Fresh credentials of a role as a service gets them.

        :arg seconds: how long they are valid; real seconds.
        :returns: AccessKeyId, SecretAccessKey, Token, Expiration (ISO 8601, UTC).
        :raises TrustError: the role does not exist or does not trust the principal.
        """
        raise NotImplementedError

    async def aws(
        self,
        service: str,
        operation: str,
        /,
        *,
        role_arn: str | None = None,
        principal: str = "",
        **params: Any,
    ) -> dict[str, Any]:
        """One API call in a thread; operation and params as boto3 has them (``create_target_group`` or ``CreateTargetGroup``).

        :raises botocore.exceptions.ClientError: AWS's refusal.
        :raises TrustError: see client().
        """
        raise NotImplementedError

    def allow(
        self,
        call: Call,
        action: str,
        resource: str = "*",
        context: dict[str, Any] | None = None,
    ) -> None:
        """Enforces the caller's IAM policies for one action on one resource.

        Operations that only we know are not authorised by anybody else: each room asks here for its own, and for
        ``iam:PassRole`` on every role that a call hands to a service (context: {"iam:PassedToService": "ecs.amazonaws.com"}).

        :raises ApiError: AccessDeniedException (JSON services) or AccessDenied (Query), worded as AWS words it.
        """
        raise NotImplementedError

    def changed(self) -> None:
        """Some state changed: it is saved within about a second. Callable from any thread."""
        for listener in self._on_change:
            listener()

    def record(self, api: str, principal: str, outcome: str) -> None:
        """Keeps one call for ``GET /_local_aws/calls``."""
        self.calls.append(RecordedCall(time.time(), api, principal, outcome))
        self.counts[api] += 1
