# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source-ip condition of a service's listener rule: who fails it gets the listener's default action."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Any

from ...ministack_adapter import elbv2
from ...ministack_adapter.scope import everywhere


def rule_allows(account_id: str, region: str, host: str, address: str) -> bool:
    """Whether the rule for a host name allows requests from an address; without such a condition it does.

    :arg host: AWS's name of the service, by which its rule is found.
    :arg address: where the connection comes from; ELB does not look at X-Forwarded-For for this.
    """
    for (account, where, _arn), rule in everywhere(elbv2.rules):
        if (account, where) == (account_id, region) and host in _values(rule, "host-header"):
            sources = _values(rule, "source-ip")
            return not sources or any(_holds(source, address) for source in sources)
    return True


def _values(rule: dict[str, Any], field: str) -> list[str]:
    conditions = [item for item in rule.get("Conditions", []) if item.get("Field") == field]
    return [value for item in conditions for value in item.get("Values", [])]


def _holds(block: str, address: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)
    return False
