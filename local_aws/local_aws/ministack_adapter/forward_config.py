# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ForwardConfig of actions of Elastic Load Balancing, which ministack drops: several target groups with weights.

botocore's texts on Action and ForwardActionConfig: an action that forwards to one target group may name it in
TargetGroupArn, in ForwardConfig, or the same one in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import alb

from .hooks import Hooks
from .patch import Patch
from .patch import Target

Action = dict[str, Any]


def _keep(_hooks: Hooks) -> None:
    alb._parse_actions = _reading(alb._parse_actions)
    alb._action_xml = _showing(alb._action_xml)


def _reading(parse: Callable[..., list[Action]]) -> Callable[..., list[Action]]:
    def parse_with_config(params: dict[str, Any], prefix: str = "DefaultActions") -> list[Action]:
        actions = parse(params, prefix)
        for number, action in enumerate(actions, 1):
            groups = _groups(params, f"{prefix}.member.{number}.ForwardConfig.TargetGroups")
            if groups:
                action["ForwardConfig"] = {"TargetGroups": groups}
                if len(groups) == 1:
                    action.setdefault("TargetGroupArn", groups[0]["TargetGroupArn"])
        return actions

    return parse_with_config


def _groups(params: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    """The target groups of one action."""
    found: list[dict[str, Any]] = []
    while arn := alb._p(params, f"{prefix}.member.{len(found) + 1}.TargetGroupArn"):
        weight = int(alb._p(params, f"{prefix}.member.{len(found) + 1}.Weight") or 1)
        found.append({"TargetGroupArn": arn, "Weight": weight})
    return found


def _showing(render: Callable[[Action], str]) -> Callable[[Action], str]:
    def render_with_config(action: Action) -> str:
        shown = render(action)
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups")
        if not groups:
            return shown
        members = "".join(
            f"<member><TargetGroupArn>{item['TargetGroupArn']}</TargetGroupArn><Weight>{item['Weight']}</Weight></member>"
            for item in groups
        )
        head, end, rest = shown.rpartition("</member>")
        return f"{head}<ForwardConfig><TargetGroups>{members}</TargetGroups></ForwardConfig>{end}{rest}"

    return render_with_config


KEEP_FORWARD_CONFIG = Patch(
    name="keep_forward_config",
    reason="ministack drops the ForwardConfig of an action, which has the weights of a canary deployment.",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ForwardActionConfig.html",
    targets=(
        Target("services.alb", "_parse_actions", "params prefix"),
        Target("services.alb", "_action_xml", "a"),
        Target("services.alb", "_p", "params key default"),
    ),
    apply=_keep,
)
