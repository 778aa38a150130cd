# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Who is told when an alarm fires, and at which values alarms fire. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

#: Each threshold that may be set, with its default and the values that make sense.
THRESHOLDS: dict[str, tuple[float, float, float]] = {
    "certificate_days": (30, 1, 365),
    "database_connections_percent": (80, 1, 100),
    "database_cpu_percent": (90, 1, 100),
    "database_credits": (20, 0, 4608),
    "database_free_memory_percent": (5, 1, 99),
    "database_free_storage_percent": (10, 1, 99),
    "database_transaction_ids": (1_000_000_000, 1, 2_000_000_000),
    "service_errors": (10, 0, 1_000_000),
    "service_memory_percent": (90, 1, 100),
}
# How an endpoint of each protocol looks (SNS API Reference, Subscribe).
_PROTOCOLS = {
    "email": r"[^@\s/]+@[^@\s]+\.[^@\s]+",
    "https": r"https://\S+",
    "http": r"http://\S+",
    "sms": r"\+[0-9]{6,15}",
    "sqs": r"arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:\S+",
    "lambda": r"arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:\S+",
}


def protocol_of(endpoint: str) -> str:
    """Return the protocol by which SNS delivers to an endpoint, empty if it is none."""
    return next((name for name, pattern in _PROTOCOLS.items() if re.fullmatch(pattern, endpoint)), "")


def subscriptions(name: str, value: typing.Any) -> Problems:
    """Check who is told."""
    right = (
        "an e-mail address, a URL, a telephone number such as +4930123456, or the ARN of an SQS queue or of a Lambda"
        " function"
    )
    return [
        Violation(name, f"has {shown(one)}, but each must be {right}")
        for one in (value if isinstance(value, list) else [])
        if not protocol_of(str(one))
    ]


def thresholds(name: str, value: typing.Any) -> Problems:
    """Check the values at which alarms fire."""
    if not isinstance(value, Mapping):
        return []
    problems: Problems = []
    for key, given in value.items():
        if key not in THRESHOLDS:
            problems.append(Violation(name, f"has no threshold {key}; it has {', '.join(sorted(THRESHOLDS))}"))
            continue
        _default, least, most = THRESHOLDS[key]
        number = _number(given)
        if number is None or not least <= number <= most:
            problems.append(
                Violation(name, f"sets {key} to {shown(given)}, but it must be a number from {least:g} to {most:g}")
            )
    return problems


def effective(value: Mapping[str, typing.Any] | None) -> dict[str, float]:
    """Return all thresholds, with the defaults of those that are not set."""
    given = {key: _number(one) for key, one in (value or {}).items()}
    return {
        key: default if given.get(key) is None else float(typing.cast(float, given[key]))
        for key, (default, _least, _most) in THRESHOLDS.items()
    }


def _number(value: typing.Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
