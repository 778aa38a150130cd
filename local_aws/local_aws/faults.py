# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to order: an API call answered with an error n times, and whatever else a service asks for by name.

docs/local-aws.md shows each of them.
"""

from __future__ import annotations

import asyncio
import fnmatch
import threading
import time
import uuid
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from typing import Any

from botocore.exceptions import UnknownServiceError

from .protocol import models

#: Events other than API calls: name (service:Event) → what happens, what ``subject`` is matched against, members of
#: ``data``.
EVENTS = {
    "balancer:HealthCheck": (
        "A health check is answered with a status of your choice, or runs into its time-out, whatever the task says.",
        "service:<name>",
        ("status", "timeout"),
    ),
    "cloudwatch:Metric": (
        "A metric that an alarm is on has a value of your choice, as long as this is on order; null: none.",
        "<namespace>/<metric>/<values of its dimensions>",
        ("value",),
    ),
    "databases:Capacity": (
        "There is no capacity to create, restore or start a database.",
        "instance identifier",
        (),
    ),
    "databases:Connect": ("A connection to a database is closed before a word is said.", "instance identifier", ()),
    "databases:FirstReads": (
        "A restored database answers a query only after so many AWS seconds of delay.",
        "instance identifier",
        (),
    ),
    "databases:SnapshotQuota": (
        "The account may have so many manual snapshots, not 100, as long as this is on order.",
        "instance identifier",
        ("snapshots",),
    ),
    "databases:Create": ("A database stays creating, so many AWS seconds of delay longer.", "instance identifier", ()),
    "express:DeployUnchanged": ("An update that changes nothing starts a deployment.", "service ARN", ()),
    "express:StuckProvisioning": (
        "A service's load balancer and the rest stay PROVISIONING for ever.",
        "service ARN",
        (),
    ),
    "iam:PolicyPropagation": (
        "A role's policies do not hold yet, so many AWS seconds after it was made or changed.",
        "role ARN",
        ("seconds",),
    ),
    "iam:Propagation": (
        "A role cannot be assumed yet: so many times, or so many AWS seconds after it was made or changed.",
        "role ARN",
        ("seconds",),
    ),
    "tasks:Capacity": ("A task finds no capacity.", "service:<name> or family:<name>", ()),
    "tasks:Exit": (
        "A container writes the message to its log and ends, after so many AWS seconds of delay, with an exit code.",
        "service:<name> or family:<name>",
        ("code",),
    ),
    "tasks:Memory": (
        "A task's processes count as using so many MiB more than they do.",
        "service:<name> or family:<name>",
        ("mib",),
    ),
    "tasks:Stop": (
        "A task that is to stop goes on for so many AWS seconds of delay, as its connections are drained.",
        "service:<name> or family:<name>",
        (),
    ),
    "tasks:Pull": ("An image cannot be pulled.", "image", ()),
}
# Former names of events, which are still accepted.
_FORMER_NAMES = {"express:deploy-unchanged": "express:DeployUnchanged", "express:wedge": "express:StuckProvisioning"}
# Real seconds until it is noticed that a fault which delays something was deleted.
_POLL_SECONDS = 0.05
_THROTTLED = {
    "json": ("ThrottlingException", "Rate exceeded", 400),
    "query": ("Throttling", "Rate exceeded", 400),
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "rest-xml": ("SlowDown", "Please reduce your request rate.", 503),
}


@dataclass
class Fault:
    """Something that shall go wrong.

    :arg what: what it happens to, with wildcards: an API call (``rds:CreateDBInstance``, ``ecs:*``, ``s3:PutObject``)
        or one of EVENTS.
    :arg subject: which one, with wildcards; compared with the caller's ARN (API call) or what EVENTS says.
    :arg code: AWS's error code; ``Throttling`` without a message becomes what the service that is called says then.
    :arg message: AWS's message.
    :arg status: the HTTP status, where botocore's model of the error has none.
    :arg times: how often; 0 means until it is deleted.
    :arg skip: how many matching events pass unharmed before it starts.
    :arg delay: AWS seconds before the answer or the event; over at once when the fault is deleted.
    :arg data: what else EVENTS says.
    """

    what: str
    subject: str = "*"
    code: str = ""
    message: str = ""
    status: int = 400
    times: int = 1
    skip: int = 0
    delay: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    happened: int = 0

    @classmethod
    def parse(cls, document: Any) -> Fault:
        """A fault from JSON; raises ValueError with a sentence."""
        if not isinstance(document, dict) or not isinstance(document.get("what"), str):
            raise ValueError('A fault is an object with at least "what", e.g. {"what": "rds:CreateDBInstance"}.')
        known = {item.name for item in fields(cls)} - {"id", "happened"}
        unknown = sorted(set(document) - known)
        if unknown:
            raise ValueError(f"A fault has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
        fault = cls(**{**document, "what": _FORMER_NAMES.get(document["what"], document["what"])})
        fault._check()
        return fault

    def _check(self) -> None:
        """Raises ValueError for what would never happen."""
        for name, kind in (("subject", str), ("code", str), ("message", str), ("data", dict), ("times", int)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"A fault's {name} is {getattr(self, name)!r}, which is no {kind.__name__}.")
        if not _can_happen(self.what):
            raise ValueError(
                f"{self.what} never happens: it is neither service:Operation as botocore names them nor one of "
                f"{', '.join(sorted(EVENTS))}."
            )
        members = EVENTS[self.what][2] if self.what in EVENTS else ()
        unknown = sorted(set(self.data) - set(members))
        if unknown:
            raise ValueError(
                f"The data of {self.what} have no {', '.join(unknown)}; they have {', '.join(members) or 'nothing'}."
            )

    def matches(self, what: str) -> bool:
        """Whether it is about this. Wildcards are for API calls: ``iam:*`` does not mean ``iam:Propagation``."""
        return self.what == what or (what not in EVENTS and fnmatch.fnmatchcase(what, self.what))

    def error(self, service: str) -> tuple[str, str, int]:
        """Code, message and HTTP status of the answer to a call of a service."""
        if self.code == "Throttling" and not self.message:
            return _THROTTLED.get(models.protocol_of(service), _THROTTLED["json"])
        return self.code, self.message, self.status

    @property
    def spent(self) -> bool:
        """Whether it has happened as often as it was ordered."""
        return bool(self.times) and self.happened >= self.times


def _can_happen(what: str) -> bool:
    """Whether a pattern names an event, or an operation that botocore knows; with wildcards: whether it may."""
    service, _unused, operation = what.partition(":")
    if what in EVENTS or what == "*":
        return True
    if operation and any(character in service for character in "*?["):
        return True
    try:
        operations = models.service_model(service).operation_names
    except UnknownServiceError:
        return False
    return any(fnmatch.fnmatchcase(name, operation) for name in operations)


class Faults:
    """The faults on order. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Orders one."""
        with self._lock:
            self._faults.append(fault)

    def consume(self, what: str, subject: str = "") -> Fault | None:
        """The fault that shall happen now, counted; None if none."""
        with self._lock:
            for fault in self._faults:
                if fault.spent or not fault.matches(what) or "seconds" in fault.data:
                    continue
                if not fnmatch.fnmatchcase(subject, fault.subject):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.happened += 1
                return fault
        return None

    def standing(self, what: str, subject: str, member: str) -> Fault | None:
        """The fault that holds as long as it is on order, told by a member of its data; not counted."""
        with self._lock:
            for fault in self._faults:
                if fault.what == what and member in fault.data and fnmatch.fnmatchcase(subject, fault.subject):
                    return fault
        return None

    async def wait(self, fault: Fault, seconds: float) -> None:
        """Waits for a fault's delay, or until the fault is forgotten.

        :arg seconds: real ones.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._knows(fault):
            await asyncio.sleep(min(left, _POLL_SECONDS))

    def _knows(self, fault: Fault) -> bool:
        with self._lock:
            return any(item is fault for item in self._faults)

    def list(self) -> list[dict[str, Any]]:
        """All that were ordered, with how often they happened."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def clear(self, fault_id: str = "") -> None:
        """Forgets one, or all."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault_id and fault.id != fault_id]
