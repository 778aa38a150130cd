# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of ECS that call for different answers are told apart."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import errors


@pytest.mark.parametrize(
    ("code", "message", "gone", "draining", "fresh"),
    [
        ("InvalidParameterException", "Resource not found", True, False, False),
        ("InvalidParameterException", "cpu is wrong", False, False, False),
        ("ResourceNotFoundException", "x", True, False, False),
        ("ServiceNotFoundException", "x", True, False, False),
        ("ClusterNotFoundException", "x", True, False, False),
        ("ServiceNotActiveException", "... on a service in INACTIVE status", True, False, False),
        ("ServiceNotActiveException", "Service is in DRAINING status", False, True, False),
        ("ServiceNotActiveException", "The service is inactive.", True, False, False),
        ("ServiceNotActiveException", "The specified service is not active.", False, True, False),
        (
            "InvalidParameterException",
            "Unable to Start a service that is still Draining.",
            False,
            True,
            False,
        ),
        ("AccessDeniedException", "Cannot assume role", False, False, True),
        ("AccessDeniedException", "User is not authorized to perform: iam:PassRole", False, False, False),
    ],
)
def test_errors_are_told_apart(code: str, message: str, gone: bool, draining: bool, fresh: bool) -> None:
    error = ClientError({"Error": {"Code": code, "Message": message}}, "Operation")
    wrapped = errors.EcsExpressError(message="x", exception=error)
    for e in (error, wrapped):
        assert (errors.is_gone(e), errors.is_draining(e), errors.is_fresh_role(e)) == (gone, draining, fresh)
