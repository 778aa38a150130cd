# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: errors of the Express modules, and which of AWS's errors mean "gone", "not yet" or "expired"."""

from __future__ import annotations

import contextlib
import functools
import typing
from collections.abc import Callable
from typing import Any

with contextlib.suppress(ImportError):  # Handled by AnsibleAWSModule
    import botocore.exceptions

from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import errors as core

F = typing.TypeVar("F", bound=Callable[..., Any])

# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html; ECS words it ExpiredTokenException.
EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
THROTTLING_CODES = ("ThrottlingException", "Throttling", "ThrottledException", "RequestThrottledException")

# What services with ECS's protocol answer where they do not know an operation (Smithy, "AWS JSON 1.1 protocol").
_NOT_OFFERED = "Amazon ECS has no Express Mode in this region, which AWS does not offer everywhere; take another region"

# Codes that need no look at the message. ServiceNotActiveException is not among them: its message decides.
_GONE_CODES = frozenset({"ResourceNotFoundException", "ServiceNotFoundException", "ClusterNotFoundException"})

# What AWS answers while a role, its policies or a service-linked role made a moment ago is not yet effective.
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


class EcsExpressError(AnsibleAWSError):
    """Something about an Express service failed; ``kwargs`` holds further return values for the failed task."""


class EcsExpressWaitError(EcsExpressError):
    """A deployment failed, or a wait ended without the wanted state. The message holds the explanation."""


class EcsExpressErrorHandler(AWSErrorHandler):
    """Turns errors of botocore into EcsExpressError; "gone" in any of its forms can be a default value."""

    _CUSTOM_EXCEPTION = EcsExpressError

    @classmethod
    def _is_missing(cls) -> Any:
        return GoneError

    @classmethod
    def common_error_handler(cls, description: str) -> Callable[[F], F]:
        """Like the base class, but expired credentials and a region without Express Mode are named as that."""
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
    """Raised and caught inside the API wrappers only: the service does not exist (any more)."""


def error_code(error: BaseException | None) -> str:
    """The code of AWS's answer, ``""`` if the error is none of AWS's answers."""
    if isinstance(error, AnsibleAWSError):
        error = error.exception
    if isinstance(error, botocore.exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def error_message(error: BaseException | None) -> str:
    """The message of AWS's answer, ``""`` if the error is none of AWS's answers."""
    if isinstance(error, AnsibleAWSError):
        error = error.exception
    if isinstance(error, botocore.exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Message", ""))
    return ""


def is_expired(error: BaseException | None) -> bool:
    """Whether the caller's own credentials ran out (mostly in the middle of a wait)."""
    if error_code(error) in EXPIRED_CODES:
        return True
    expired = (
        botocore.exceptions.CredentialRetrievalError,
        botocore.exceptions.TokenRetrievalError,
        botocore.exceptions.UnauthorizedSSOTokenError,
    )
    return isinstance(error, expired)


def is_transient(error: BaseException | None) -> bool:
    """Whether the error says nothing about the service: the way to AWS, or AWS itself, was disturbed for a moment."""
    if isinstance(error, AnsibleAWSError):
        error = error.exception
    return core.is_transient(error) or error_code(error) in THROTTLING_CODES


def expired_message(description: str) -> str:
    return (
        f"The AWS credentials expired while trying to {description}; what ECS has begun goes on without them. "
        "Renew the credentials and run the same task again: it takes up the wait where it stands"
    )


def is_gone(error: BaseException | None) -> bool:
    """Whether the error says that the service, or its cluster, is not there.

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
    """Whether the error says that the service, or an older one of its name, is being deleted."""
    code, message = error_code(error), error_message(error)
    if code == "ServiceNotActiveException":
        # It is either; whatever else AWS may come to say, there is an end to wait for.
        return "inactive" not in message.lower()
    return code == "InvalidParameterException" and "still draining" in message.lower()


def is_fresh_role(error: BaseException | None) -> bool:
    """Whether the error is one that goes away when IAM has propagated a role made a moment ago."""
    code, message = error_code(error), error_message(error).lower()
    return any(code in codes and any(text in message for text in texts) for codes, texts in _FRESH_ROLE_ERRORS)
