# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""An upgrade as lines for people. Pure Python."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Upgrade

_SHOWN = ("experiments", "runs", "metrics", "trace_info", "model_versions", "users")


def refusal(deployment: str, running: str, version: str, command: str) -> str:
    """Return why a deployment does not upgrade."""
    return (
        f"'{deployment}' runs MLflow {running}, and {version} is asked for: this is an upgrade, which migrates the"
        f" database, and upgrades are to be refused here. Nothing was changed. Run {command}, or ask for {running}."
    )


def upgraded(deployment: str, upgrade: Upgrade, rollback: str) -> list[str]:
    """Return what an upgraded deployment has."""
    rows = summary(upgrade.found.get("counts") or {})
    revisions = ", ".join("+".join(one) for one in (upgrade.found.get("revisions") or {}).values())
    return [
        f"'{deployment}' is upgraded from {upgrade.source} to {upgrade.version}.",
        *([f"Database:  {rows}, tables at {revisions}"] if rows else []),
        *(f"Image:     {image} {digest}".rstrip() for image, digest in upgrade.digests.items()),
        *(f"Kept:      {one}" for one in upgrade.kept),
        f"Way back:  {rollback}",
    ]


def summary(counts: Mapping[str, typing.Any]) -> str:
    """Return what is in a database, in a line."""
    names = {"trace_info": "traces", "model_versions": "model versions"}
    return ", ".join(f"{counts[name]} {names.get(name, name)}" for name in _SHOWN if name in counts)
