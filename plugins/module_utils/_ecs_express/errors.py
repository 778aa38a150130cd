# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: errors of the Express modules, and which of AWS's errors mean "gone" or "not yet"."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_message
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_expired

F = typing.TypeVar("F", bound=Callable[..., Any])

# The answer of services with ECS's protocol to an unknown operation (Smithy, "AWS JSON 1.1 protocol").
_NOT_OFFERED = "Amazon ECS has no Express Mode in this region, which AWS does not offer everywhere; take another region"

# Codes that are sufficient without the message. ServiceNotActiveException is not among them: its message decides.
_GONE_CODES = frozenset({"ResourceNotFoundException", "ServiceNotFoundException", "ClusterNotFoundException"})

# Errors of AWS while a new role, its policies or a new service-linked role are not yet effective.
# Sources: terraform-provider-aws resource aws_ecs_express_gateway_service and aws_ecs_cluster; the ECS guide
# "express-service-first-run"; agno's deployment script (last line).
_FRESH_ROLE_ERRORS: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (
        frozenset({"AccessDeniedException"}),
        ("cannot assume role", "is not authorized to perform: sts:assumerole", "unable to assume"),
    ),
    (
        frozenset({"ClientException"}),
        ("aws was not able to validate the provided access credentials", "unable to assume", "cannot assume"),
    ),
    (
        frozenset({"InvalidParameterException"}),
        ("unable to assume", "cannot assume", "assume the service linked role", "invalid role"),
    ),
)


class EcsExpressError(UserError):
    """An operation on an Express service failed; ``kwargs`` holds further return values for the failed task."""


class EcsExpressWaitError(EcsExpressError):
    """A deployment failed, or a wait reached its time limit. The message holds the explanation."""


class EcsExpressErrorHandler(AWSErrorHandler):
    """Turns errors of botocore into EcsExpressError; "gone" in any of its forms can be a default value."""

    _CUSTOM_EXCEPTION = EcsExpressError

    @classmethod
    def _is_missing(cls) -> Any:
        return GoneError

    @classmethod
    def common_error_handler(cls, description: str) -> Callable[[F], F]:
        """Like the base class, but name expired credentials and a region without Express Mode."""
        plain = super().common_error_handler(description)

        def wrapper(func: F) -> F:
            handled = plain(func)

            @functools.wraps(func)
            def handler(*args: Any, **kwargs: Any) -> Any:
                try:
                    return handled(*args, **kwargs)
                except AnsibleAWSError as e:
                    if is_expired(e.exception):
                        raise cls._CUSTOM_EXCEPTION(message=expired_message(description), exception=e.exception) from e
                    if error_code(e.exception) == "UnknownOperationException":
                        message = f"Failed to {description}: {_NOT_OFFERED}"
                        raise cls._CUSTOM_EXCEPTION(message=message, exception=e.exception) from e
                    raise

            return typing.cast(F, handler)

        return wrapper


class GoneError(Exception):
    """The service does not exist (any more). Raised and caught inside the API wrappers only."""


def expired_message(description: str) -> str:
    """Return the sentence about credentials that expired during an operation."""
    return (
        f"The AWS credentials expired while trying to {description}; what ECS has begun goes on without them. "
        "Renew the credentials and run the same task again: it takes up the wait where it stands"
    )


def is_gone(error: BaseException | None) -> bool:
    """Return whether the error says that the service, or its cluster, is not there.

    Terraform's provider sees InvalidParameterException with ``Resource not found``; the API model declares
    ResourceNotFoundException (Describe) and ServiceNotFoundException (Update, Delete); an INACTIVE service answers
    ServiceNotActiveException.
    """
    code, message = error_code(error), error_message(error)
    if code in _GONE_CODES:
        return True
    if code == "InvalidParameterException":
        return "resource not found" in message.lower()
    return code == "ServiceNotActiveException" and "inactive" in message.lower()


def is_draining(error: BaseException | None) -> bool:
    """Return whether the error says that the service, or an older one of its name, is being deleted."""
    code, message = error_code(error), error_message(error)
    if code == "ServiceNotActiveException":
        # Either is possible, and both come to an end.
        return "inactive" not in message.lower()
    return code == "InvalidParameterException" and "still draining" in message.lower()


def is_fresh_role(error: BaseException | None) -> bool:
    """Return whether the error goes away once IAM has propagated a new role."""
    code, message = error_code(error), error_message(error).lower()
    return any(code in codes and any(text in message for text in texts) for codes, texts in _FRESH_ROLE_ERRORS)
