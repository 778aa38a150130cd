# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM users with one policy, what was asked of it, and what it would say to the same questions if it were another."""

from __future__ import annotations

import copy
import fnmatch
import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from botocore.config import Config
from harness import REGION
from harness import LocalAws
from harness import create_client

Policy = dict[str, Any]
Check = dict[str, Any]


class User:
    """An IAM user with some managed policies and nothing else."""

    def __init__(self, aws: LocalAws, name: str, policies: list[Policy]) -> None:
        self.aws, self.name = aws, name
        iam = aws.client("iam")
        self.arn = iam.create_user(UserName=name)["User"]["Arn"]
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.environment = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        self._attached: list[str] = []
        self.change(policies)

    def change(self, policies: list[Policy]) -> None:
        """Have these policies and no others from now on."""
        iam = self.aws.client("iam")
        for arn in self._attached:
            iam.detach_user_policy(UserName=self.name, PolicyArn=arn)
            iam.delete_policy(PolicyArn=arn)
        self._attached = []
        for number, policy in enumerate(policies):
            made = iam.create_policy(PolicyName=f"{self.name}-{number}", PolicyDocument=json.dumps(policy))["Policy"]
            iam.attach_user_policy(UserName=self.name, PolicyArn=made["Arn"])
            self._attached.append(made["Arn"])

    def client(self, service: str) -> Any:
        """A client of the user's."""
        return client_of(
            self.aws, service, self.environment["AWS_ACCESS_KEY_ID"], self.environment["AWS_SECRET_ACCESS_KEY"]
        )

    def checks(self) -> list[Check]:
        """What was asked of the policy so far."""
        return [check for check in self.aws.page("permissions")["checks"] if check["principal"] == self.arn]


def client_of(aws: LocalAws, service: str, key: str, secret: str, token: str | None = None) -> Any:
    """A client with certain credentials."""
    return create_client(
        service,
        region_name=REGION,
        endpoint_url=aws.info["endpoint_url"],
        verify=aws.info["ca_bundle"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(policy: Policy) -> Iterator[tuple[str, str]]:
    """Sid and action of all that a policy allows."""
    for statement in policy["Statement"]:
        if statement["Effect"] == "Allow":
            for action in _list(statement["Action"]):
                yield statement["Sid"], action


def without(policy: Policy, sid: str, action: str) -> Policy:
    """The policy without one action of one statement."""
    changed = copy.deepcopy(policy)
    for statement in changed["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"] = [one for one in _list(statement["Action"]) if one != action]
    changed["Statement"] = [statement for statement in changed["Statement"] if statement["Action"]]
    return changed


def allows(policy: Policy, check: Check) -> bool:
    """Whether a policy allows what was asked.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    effects = {statement["Effect"] for statement in policy["Statement"] if _matches(statement, check)}
    return effects == {"Allow"}


def _matches(statement: dict[str, Any], check: Check) -> bool:
    return (
        check["action"] in _list(statement["Action"])
        and any(fnmatch.fnmatchcase(check["resource"], pattern) for pattern in _list(statement["Resource"]))
        and all(
            _holds(operator, check["context"].get(key.lower()), _list(wanted))
            for operator, block in statement.get("Condition", {}).items()
            for key, wanted in block.items()
        )
    )


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": fnmatch.fnmatchcase,
    "ArnLike": fnmatch.fnmatchcase,
    "Bool": str.__eq__,
    "StringEquals": str.__eq__,
    "StringLike": fnmatch.fnmatchcase,
}


def _holds(operator: str, found: Any, wanted: list[str]) -> bool:
    compare = _OPERATORS[operator.removesuffix("IfExists")]
    if found is None:
        return operator.endswith("IfExists")
    return any(compare(str(found), one) for one in wanted)
