# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of docs/policies: what the playbook writes, small enough, and no wider than they must be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from harness import ROOT
from policies import FILES
from policies import VERBS
from policies import policy
from policies import rendered
from principals import actions

NAME = "mlflow"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MANAGED_POLICY_CHARACTERS = 6144


def test_the_files_are_what_the_playbook_writes(tmp_path: Path) -> None:
    written = rendered(tmp_path)
    for file in FILES:
        there = json.loads((ROOT / "docs/policies" / f"{file}.json").read_text(encoding="utf-8"))
        assert written[file] == there, f"docs/policies/{file}.json differs: run make generate"


def test_policies_for_one_account_fit_into_a_managed_policy(tmp_path: Path) -> None:
    boundary = "arn:aws:iam::123456789012:policy/company/boundary-of-mlflow"
    written = rendered(
        tmp_path,
        mlflow_name="the-data-scientists-of-analytics",
        mlflow_policies_account="123456789012",
        mlflow_policies_region="ap-southeast-1",
        mlflow_permissions_boundary_arn=boundary,
        mlflow_iam_path="/company/",
        mlflow_admin_login_secret="users/ana",
        mlflow_ingress_cidrs=["192.0.2.0/24"],
        mlflow_secrets_kms_key_arn=f"arn:aws:kms:ap-southeast-1:123456789012:key/{'0' * 36}",
    )
    [login] = [one for one in written["validate"]["Statement"] if "secretsmanager:GetSecretValue" in actions_of(one)]
    arn = "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:users/ana"
    assert login["Resource"] == [arn, f"{arn}-??????"]
    for file in FILES:
        text = "".join(json.dumps(written[file]).split())
        assert len(text) <= MANAGED_POLICY_CHARACTERS, file
        assert not re.search(r"arn:aws:\w+:\*|arn:aws:\w+:[\w-]*:\*", text)
    for statement in written["deploy-roles"]["Statement"]:
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"} & set(actions_of(statement)):
            assert statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"] == boundary
            assert all(arn.startswith("arn:aws:iam::123456789012:role/company/") for arn in statement["Resource"])


def actions_of(statement: dict[str, Any]) -> list[str]:
    """Of one statement."""
    return [action for _unused, action in actions({"Statement": [statement]})]


def test_roles_are_passed_to_ecs_only_and_service_linked_roles_are_named() -> None:
    passing = [one for one in policy("deploy")["Statement"] if "iam:PassRole" in actions_of(one)]
    assert {one["Condition"]["StringEquals"]["iam:PassedToService"] for one in passing} == {
        "ecs.amazonaws.com",
        "ecs-tasks.amazonaws.com",
    }
    roles = [
        arn for one in passing for arn in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    ]
    assert sorted(arn.rpartition("/")[2] for arn in roles) == [
        f"{NAME}-execution-role",
        f"{NAME}-infrastructure-role",
        f"{NAME}-task-role",
    ]
    for verb in VERBS:
        for statement in policy(verb)["Statement"]:
            assert not [action for action in actions_of(statement) if "*" in action]
            changing = [
                action for action in actions_of(statement) if re.match("iam:(?!Get|List|Simulate|CreateServ)", action)
            ]
            arns = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            assert not changing or not [arn for arn in arns if re.search(r":role/.*[*?]", arn)]
            if "iam:CreateServiceLinkedRole" in actions_of(statement):
                assert statement["Condition"]["StringEquals"]["iam:AWSServiceName"]
