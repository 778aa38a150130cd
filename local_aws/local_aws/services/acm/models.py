# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a requested certificate looks like before and after its validation.

The records to be set: ACM User Guide, "DNS validation": a CNAME ``_<hash>.<domain>.`` whose value ends in
``.acm-validations.aws.``, the same for a domain and its wildcard. A request that is not validated within 72 hours
becomes VALIDATION_TIMED_OUT (ACM User Guide, "Certificate status").
"""

from __future__ import annotations

import hashlib
import re
import time
from datetime import UTC
from datetime import datetime
from typing import Any

PENDING = "PENDING_VALIDATION"
ISSUED = "ISSUED"
TIMED_OUT = "VALIDATION_TIMED_OUT"
VALIDATION_SECONDS = 72 * 3600
# AWS validates the names that it gives to Express services by itself.
_AWS_NAME = re.compile(r"[^.]+\.ecs\.[a-z0-9-]+\.on\.aws")
# Absent until a certificate is issued (ACM API Reference, CertificateDetail).
WHEN_ISSUED = ("IssuedAt", "NotBefore", "NotAfter")


def is_validated_by_aws(domain: str) -> bool:
    """Whether a domain is one of AWS's own, which AWS validates by itself."""
    return _AWS_NAME.fullmatch(domain) is not None


def validation_record(account_id: str, domain: str) -> dict[str, str]:
    """The CNAME that proves that the requester of a certificate controls the domain."""
    base = domain.removeprefix("*.")

    def digest(part: str, length: int) -> str:
        return hashlib.sha256(f"{part} {account_id} {base}".encode()).hexdigest()[:length]

    value = f"_{digest('value', 32)}.{digest('zone', 10)}.acm-validations.aws."
    return {"Name": f"_{digest('name', 32)}.{base}.", "Type": "CNAME", "Value": value}


def make_pending(record: dict[str, Any], account_id: str, now: float) -> None:
    """Turns a certificate that ministack has issued into a request that waits.

    :arg now: seconds since the epoch.
    """
    method = record.get("ValidationMethod") or "DNS"
    record["Status"] = PENDING
    record["_RequestedAt"] = now
    options = []
    for domain in record["SubjectAlternativeNames"]:
        option = {
            "DomainName": domain,
            "ValidationDomain": domain,
            "ValidationMethod": method,
            "ValidationStatus": PENDING,
        }
        if method == "DNS":
            option["ResourceRecord"] = validation_record(account_id, domain)
        options.append(option)
    record["DomainValidationOptions"] = options


def issue(record: dict[str, Any]) -> None:
    """Ends the wait: all domains are validated."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    record.update(Status=ISSUED, IssuedAt=now, NotBefore=now)
    for option in record["DomainValidationOptions"]:
        option["ValidationStatus"] = "SUCCESS"


def settle(record: dict[str, Any], cnames: dict[str, str], limit: float) -> bool:
    """Brings one certificate up to date; whether it changed.

    :arg cnames: the CNAME records that the world can see: name → value, lower case, with the last dot.
    :arg limit: the real seconds that stand for 72 hours.
    """
    if record.get("Status") != PENDING:
        return False
    wanted = [option.get("ResourceRecord") for option in record["DomainValidationOptions"]]
    if all(one is not None and cnames.get(one["Name"].lower()) == one["Value"].lower() for one in wanted):
        issue(record)
        return True
    if time.time() - float(record["_RequestedAt"]) > limit:
        record["Status"] = TIMED_OUT
        for option in record["DomainValidationOptions"]:
            option["ValidationStatus"] = "FAILED"
        return True
    return False


def shown(detail: dict[str, Any]) -> dict[str, Any]:
    """A certificate as DescribeCertificate shows it."""
    if detail.get("Status") == ISSUED:
        return detail
    return {name: value for name, value in detail.items() if name not in WHEN_ISSUED}
