# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: the user's request, and the result of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OWN_NAMES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.stall import STALL_SECONDS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical


def _allow(_tags: dict[str, str]) -> None:
    """Let anything be changed."""


@dataclass(frozen=True)
class Request:
    """The user's request. Times in seconds; ``desired`` is canonical (see transformations)."""

    name: str
    cluster: str = "default"
    desired: Canonical = field(default_factory=dict)
    infrastructure_role_arn: str | None = None
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    wait: bool = True
    wait_timeout: float = 1800
    wait_delay: float = 10
    force: bool = False
    replace: bool = False
    recreate_stuck: bool = True
    stall_timeout: float = STALL_SECONDS
    rolled_back: str = "retry"
    check_mode: bool = False
    deployment_configuration: Canonical = field(default_factory=dict)
    allowed_cidrs: list[str] | None = None
    option_names: OptionNames = OWN_NAMES
    # Given all tags of the service, raises an error if something else works on it.
    refuse: Callable[[dict[str, str]], None] = _allow


@dataclass
class Result:
    """What was done, or in check mode would be done. ``service`` and ``deployment`` are in the user's form."""

    changed: bool = False
    service: Canonical | None = None
    deployment: Canonical | None = None
    before: Canonical = field(default_factory=dict)
    after: Canonical = field(default_factory=dict)
    rolled_back: Canonical | None = None
    deployment_configuration: Canonical | None = None
    progress: list[str] = field(default_factory=list)
    recreated: bool = False
    warnings: list[str] = field(default_factory=list)
