# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: the evidence collected about a deployment that fails or stalls."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OWN_NAMES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import remedies

Resource = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """The service to explain."""

    cluster: str
    name: str
    arn: str | None = None


@dataclass
class Evidence:
    """What AWS reports, as text; newest first, except ``log``, which is in the order written."""

    deployment: Resource | None = None
    status_reasons: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    log_source: str = ""
    notes: list[str] = field(default_factory=list)
    settings: remedies.ServiceSettings = field(default_factory=remedies.ServiceSettings)
    # Whether the wait found the deployment stuck.
    stuck: bool = False
    # Of the module, for the remedy.
    option_names: OptionNames = OWN_NAMES

    def aws_text(self) -> str:
        """Return everything that AWS reports, for pattern matching."""
        return "\n".join(self.status_reasons + self.events + self.resources + self.tasks + self.targets)

    def log_text(self) -> str:
        """Return the container's own log, for pattern matching."""
        return "\n".join(self.log)
