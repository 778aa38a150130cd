# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services share: settings, clock, certificate authority, processes, AWS clients. It knows no service."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from .authority import Authority
from .clock import Clock
from .faults import Faults
from .iam import policies
from .iam import trust
from .protocol import models
from .runtime.supervisor import Supervisor
from .service import Call
from .service import TrustError
from .settings import Settings

# How long a role's client holds, and how long before that it is made anew; seconds.
_SESSION_SECONDS = 3600
_RENEW_SECONDS = 600
_MAX_CALLS = 20_000
# Real seconds for an answer of our own API, which may be delayed on order; a call that is given up is made twice.
_TIMEOUT_SECONDS = 600
# What CloudTrail names as the user agent of a call that AWS itself makes.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
_OWN_USER_AGENT = "AWS Internal"


@dataclass(frozen=True)
class RecordedCall:
    """One API call, kept for tests and benchmarks.

    :arg time: seconds since the epoch, real time.
    :arg api: ``service:Operation``.
    :arg principal: the caller's ARN, or an empty string where it could not be told.
    :arg outcome: HTTP status, or AWS's error code.
    :arg user_agent: what the caller calls itself; a service's principal or ``AWS Internal`` where AWS itself calls.
    """

    time: float
    api: str
    principal: str
    outcome: str
    user_agent: str = ""


async def _no_commit(_logs: bool) -> None:
    """Do nothing, until the saver takes over."""


class Context:
    """What one local AWS has one of, and all of its parts need."""

    def __init__(self, settings: Settings, supervisor: Supervisor, authority: Authority) -> None:
        self.settings = settings
        self.clock = Clock(settings.scale)
        self.authority = authority
        # RDS's certificates are signed by authorities of its own, which no system trusts (Amazon RDS User Guide, "Using
        # SSL/TLS to encrypt a connection to a DB instance").
        home = settings.home
        self.rds_authority = Authority(home / "ca" / "rds", home / "rds-ca.pem", "mlops.mlflow_aws local AWS: RDS")
        self.supervisor = supervisor
        self.faults = Faults()
        self.endpoint_url = f"https://127.0.0.1:{settings.port}"
        self.calls: deque[RecordedCall] = deque(maxlen=_MAX_CALLS)
        self.counts: Counter[str] = Counter()
        self.on_change: Callable[[float, bool], None] = lambda delay, logs: None
        self.on_commit: Callable[[bool], Awaitable[None]] = _no_commit
        self._lock = threading.Lock()
        self._session: botocore.session.Session | None = None
        self._role_changes: dict[str, float] = {}
        self._clients: dict[tuple[str, str, str, str], tuple[float, Any]] = {}

    def client(
        self, service: str, *, role_arn: str | None = None, principal: str = "", region: str = "", source_arn: str = ""
    ) -> Any:
        """A botocore client on our own endpoint, so that IAM is enforced. Blocking and thread-safe: use it in a thread.

        :arg service: botocore's service name.
        :arg role_arn: the role to act as; without it the account's root.
        :arg principal: the service principal that assumes the role, e.g. ``ecs-tasks.amazonaws.com``.
        :arg region: the region to ask; the daemon's own, if none is given.
        :arg source_arn: for what the principal acts, if it is not a task of ECS.
        :raises TrustError: the role does not exist or does not trust the principal.
        """
        region = region or self.settings.region
        key = (service, role_arn or "", principal, region)
        if role_arn is not None:
            # Asked each time: a service notices at once when a role is gone or trusts it no more.
            self.check_trust(role_arn, principal, source_arn)
        with self._lock:
            expires, client = self._clients.get(key, (0.0, None))
            if client is None or expires < time.time():
                client = self._new_client(service, role_arn, principal, region)
                self._clients[key] = (time.time() + _SESSION_SECONDS - _RENEW_SECONDS, client)
            return client

    def _new_client(self, service: str, role_arn: str | None, principal: str, region: str) -> Any:
        if self._session is None:
            self._session = models.new_session()
        token: str | None
        if role_arn is None:
            key, secret, token = self.settings.access_key_id, self.settings.secret_access_key, None
        else:
            fresh = trust.role_session(role_arn, principal, _SESSION_SECONDS)
            key, secret, token = fresh["AccessKeyId"], fresh["SecretAccessKey"], fresh["Token"]
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint_url,
            verify=str(self.authority.bundle),
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            # No proxy from the environment: the endpoint is on this machine.
            config=Config(
                proxies={},
                retries={"mode": "standard", "total_max_attempts": 3},
                s3={"addressing_style": "path"},
                connect_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                max_pool_connections=32,
                user_agent=principal or _OWN_USER_AGENT,
            ),
        )

    def role_credentials(self, role_arn: str, principal: str, seconds: int = 3600) -> dict[str, str]:
        """Fresh credentials of a role as a service gets them.

        :arg seconds: how long they are valid; real seconds.
        :returns: AccessKeyId, SecretAccessKey, Token, Expiration (ISO 8601, UTC).
        :raises TrustError: the role does not exist or does not trust the principal.
        """
        self.check_trust(role_arn, principal)
        return trust.role_session(role_arn, principal, seconds)

    def check_trust(self, role_arn: str, principal: str, source_arn: str = "") -> None:
        """Raises TrustError. The fault ``iam:Propagation`` makes a role look as it does in its first seconds on AWS."""
        if (
            self.is_too_young("iam:Propagation", role_arn)
            or self.faults.consume("iam:Propagation", role_arn) is not None
        ):
            raise TrustError(f"{principal} is not authorized to perform: sts:AssumeRole on resource: {role_arn}")
        trust.check_trust(self.settings, role_arn, principal, source_arn)

    def role_changed(self, name: str) -> None:
        """A role, its trust or its policies were changed now."""
        self._role_changes[name] = time.monotonic()

    def is_too_young(self, event: str, role_arn: str) -> bool:
        """Whether a role's last change is too young to be known everywhere, where a fault says how long that takes."""
        fault = self.faults.standing(event, role_arn, "seconds")
        changed = self._role_changes.get(role_arn.rsplit("/", 1)[-1])
        if fault is None or changed is None:
            return False
        is_young = time.monotonic() - changed < self.clock.real(float(fault.data["seconds"]))
        fault.happened += is_young
        return is_young

    async def aws(
        self,
        service: str,
        operation: str,
        /,
        *,
        role_arn: str | None = None,
        principal: str = "",
        region: str = "",
        source_arn: str = "",
        **params: Any,
    ) -> dict[str, Any]:
        """One API call in a thread.

        :arg operation: as boto3 has it or as AWS has it: ``create_target_group``, ``CreateTargetGroup``.
        :raises botocore.exceptions.ClientError: AWS's refusal.
        :raises TrustError: see client().
        """

        def call() -> dict[str, Any]:
            client = self.client(service, role_arn=role_arn, principal=principal, region=region, source_arn=source_arn)
            output: dict[str, Any] = getattr(client, xform_name(operation))(**params)
            output.pop("ResponseMetadata", None)
            return output

        return await asyncio.to_thread(call)

    def allow(
        self,
        call: Call,
        action: str,
        resource: str = "*",
        context: dict[str, Any] | None = None,
    ) -> None:
        """Enforces the caller's IAM policies for one action on one resource.

        Operations that ministack does not know are authorised nowhere else: each service asks here for its own, and for
        ``iam:PassRole`` on every role that a call hands to a service (context: ``{"iam:PassedToService":
        "ecs.amazonaws.com"}``). Not needed for what goes to ministack by passthrough().

        :arg action: with its namespace, ``ecs:CreateExpressGatewayService``.
        :arg context: the request's condition keys, e.g. ``aws:RequestTag/Name``.
        :raises ApiError: AccessDeniedException (JSON services) or AccessDenied (Query), worded as AWS words it.
        """
        call.asked = True
        policies.enforce(call, action, resource, context)

    async def linked_role(self, call: Call, service: str) -> None:
        """The service-linked role that AWS makes in the caller's name when a service is first used.

        :arg service: ``rds.amazonaws.com`` and the like.
        :raises ApiError: it is not there, and the caller may not have it made (``iam:CreateServiceLinkedRole``).
        """
        if (await self.aws("iam", "list_roles", PathPrefix=f"/aws-service-role/{service}/"))["Roles"]:
            return
        resource = f"arn:aws:iam::{self.settings.account_id}:role/aws-service-role/{service}/*"
        self.allow(call, "iam:CreateServiceLinkedRole", resource, {"iam:AWSServiceName": service})
        with contextlib.suppress(ClientError):  # another request was faster
            await self.aws("iam", "create_service_linked_role", AWSServiceName=service)

    def changed(self, delay: float = 1.0, *, logs: bool = False) -> None:
        """Some state changed: it is saved within so many real seconds. Callable from any thread.

        :arg logs: whether that of CloudWatch Logs changed, which nothing but its API does.
        """
        self.on_change(delay, logs)

    async def commit(self, *, logs: bool) -> None:
        """Saves what a call changed; its response is sent afterwards.

        :arg logs: whether the call was one of CloudWatch Logs.
        """
        await self.on_commit(logs)

    def record(self, api: str, principal: str, outcome: str, user_agent: str = "") -> None:
        """Keeps one call for ``GET /_local_aws/calls``."""
        self.calls.append(RecordedCall(time.time(), api, principal, outcome, user_agent))
        self.counts[api] += 1
