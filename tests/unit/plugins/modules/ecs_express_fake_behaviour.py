# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not documented about ECS Express, to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ABSENT = "absent"


@dataclass
class Behaviour:
    """What is not documented, or was seen differently by different users.

    Args:
        nothing: how an empty list is described: None, [] or ABSENT.
        fills: whether defaults are described where nothing was sent; else they are not described even if they were.
        merges: whether an update merges structures with what was there, or replaces them.
        scheme: what stands before the endpoint.
        newest_first: order of activeConfigurations.
        tells_groups: whether a revision names the security groups that ECS made.
        marks_groups: whether those carry ECS's tag.
        managed_first: whether ECS's group stands before the user's.
        own_tags: tags that ECS adds.
        keeps_settings: whether UpdateService keeps the deployment settings that it is not sent.
        forgets_settings: whether ECS sets its alarm anew at each deployment.
    """

    nothing: Any = None
    fills: bool = True
    merges: bool = True
    scheme: str = ""
    newest_first: bool = False
    tells_groups: bool = True
    marks_groups: bool = True
    managed_first: bool = False
    own_tags: tuple[str, ...] = ()
    keeps_settings: bool = False
    forgets_settings: bool = False
