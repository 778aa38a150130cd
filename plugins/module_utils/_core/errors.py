# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base exceptions of the AWS modules, and classification of AWS errors. Private to the collection."""

from __future__ import annotations

import typing

try:
    import botocore.exceptions
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError
except ImportError:
    # AnsibleAWSModule reports the missing library before any of this is used.
    BotoCoreError = ClientError = RuntimeError

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# Re-exported, so that the missing botocore is handled in one place.
__all__ = ["AnsibleAWSError", "BotoCoreError", "ClientError"]

THROTTLING_CODES = ("ThrottlingException", "Throttling", "ThrottledException", "RequestThrottledException")

# Transient errors on AWS's side (ECS and RDS API references, common errors; ECS's ServerException).
_TRANSIENT_CODES = frozenset(
    {
        *THROTTLING_CODES,
        "ServerException",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
    }
)

# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html; ECS calls it ExpiredTokenException.
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})

# AWS has no such resource (botocore's models). HeadBucket has no body, so botocore takes the status for the code.
_MISSING_CODES = frozenset(
    {
        "ClusterNotFoundException",
        "DBInstanceNotFound",
        "DBInstanceNotFoundFault",
        "DBParameterGroupNotFound",
        "DBParameterGroupNotFoundFault",
        "DBSubnetGroupNotFound",
        "DBSubnetGroupNotFoundFault",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchPublicAccessBlockConfiguration",
        "NotFoundException",
        "ResourceNotFoundException",
        "ServerSideEncryptionConfigurationNotFoundError",
        "404",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})

_UNKNOWN_KEY = "AWS does not know the access key: check access_key or AWS_ACCESS_KEY_ID, and the profile."
_EXPIRED = "The AWS credentials have expired: renew them and run this again."
_NEXT_STEPS = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "UnrecognizedClientException": _UNKNOWN_KEY,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": "The secret key does not fit the access key: check secret_key or AWS_SECRET_ACCESS_KEY.",
    "NoCredentialsError": "No AWS credentials: set access_key and secret_key, a profile, or AWS_ACCESS_KEY_ID.",
    "NoRegionError": "No region was given: set region or AWS_REGION.",
    "EndpointConnectionError": "The endpoint cannot be reached: check region, endpoint_url or AWS_URL, network.",
}


class UserError(AnsibleAWSError):
    """A sentence for the user: what is wrong and what would be right.

    Args:
        message: the sentence, or a violation of one of the module's options, which is then returned as data too.
        exception: the SDK's exception behind it, if there is one; its answer is returned too.
        kwargs: further return values of the failed task.
    """

    def __init__(self, message: str | Violation, exception: BaseException | None = None, **kwargs: typing.Any) -> None:
        super().__init__(message=str(message), exception=exception, **kwargs)
        self.violation = message if isinstance(message, Violation) else None


class WaitTimeoutError(UserError):
    """A wait reached its time limit."""


def _unwrapped(error: BaseException | None) -> BaseException | None:
    while isinstance(error, AnsibleAWSError):
        error = error.exception
    return error


def _details(error: BaseException | None) -> dict[str, typing.Any]:
    response = getattr(_unwrapped(error), "response", None)
    return response.get("Error") or {} if isinstance(response, dict) else {}


def error_code(error: BaseException | None) -> str:
    """Return the code in AWS's response, C("") if the error is not a response of AWS."""
    return str(_details(error).get("Code", ""))


def error_message(error: BaseException | None) -> str:
    """Return the message in AWS's response, C("") if the error is not a response of AWS."""
    return str(_details(error).get("Message", ""))


def is_expired(error: BaseException | None) -> bool:
    """Return whether the caller's own credentials have expired, as they may in the middle of a wait."""
    if error_code(error) in _EXPIRED_CODES:
        return True
    expired = (
        botocore.exceptions.CredentialRetrievalError,
        botocore.exceptions.TokenRetrievalError,
        botocore.exceptions.UnauthorizedSSOTokenError,
    )
    return isinstance(_unwrapped(error), expired)


def is_transient(error: BaseException | None) -> bool:
    """Return whether AWS, or the network on the way to it, failed temporarily."""
    error = _unwrapped(error)
    if error is None or isinstance(error, botocore.exceptions.SSLError):
        return False
    if isinstance(error, (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)):
        return True
    return error_code(error) in _TRANSIENT_CODES


def is_missing(error: BaseException | None) -> bool:
    """Return whether AWS says that the resource, or the setting of it, does not exist."""
    return error_code(error) in _MISSING_CODES


def is_denied(error: BaseException | None) -> bool:
    """Return whether AWS says that the caller lacks a permission."""
    return error_code(error) in _DENIED_CODES


def next_step(error: BaseException) -> str:
    """Return general advice for an error of the SDK; empty if there is none."""
    return _NEXT_STEPS.get(error_code(error) or type(error).__name__, "")
