# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to order: an API call answered with an error n times, and whatever else a room asks for by name."""

from __future__ import annotations

import fnmatch
import threading
import uuid
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from typing import Any


@dataclass
class Fault:
    """Something that shall go wrong.

    :arg what: what it happens to, with wildcards: an API call (``rds:CreateDBInstance``, ``ecs:*``, ``s3:PutObject``)
        or a name that a part of the local AWS takes (``iam:Propagation``: a role is not yet to be assumed).
    :arg subject: which one, with wildcards; compared with the caller's ARN (API call) or what the room says.
    :arg code: AWS's error code.
    :arg message: AWS's message.
    :arg status: the HTTP status, where botocore's model of the error has none.
    :arg times: how often; 0 means until it is deleted.
    :arg skip: how many matching events pass unharmed before it starts.
    :arg delay: AWS seconds before the answer.
    :arg data: whatever else the room understands.
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
        return cls(**document)

    @property
    def spent(self) -> bool:
        """Whether it has happened as often as it was ordered."""
        return bool(self.times) and self.happened >= self.times


class Faults:
    """The faults on order. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Orders one."""
        with self._lock:
            self._faults.append(fault)

    def take(self, what: str, subject: str = "") -> Fault | None:
        """The fault that shall happen now, counted; None if none."""
        with self._lock:
            for fault in self._faults:
                if fault.spent or not fnmatch.fnmatchcase(what, fault.what):
                    continue
                if not fnmatch.fnmatchcase(subject, fault.subject):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.happened += 1
                return fault
        return None

    def list(self) -> list[dict[str, Any]]:
        """All that were ordered, with how often they happened."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def clear(self, fault_id: str = "") -> None:
        """Forgets one, or all."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault_id and fault.id != fault_id]
