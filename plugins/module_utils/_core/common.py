# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection's AWS modules share: clients, errors, identity, tags, the shape of a result.

Private to the collection.
"""

from __future__ import annotations

import json
import time
import typing
from dataclasses import dataclass

try:
    import botocore.exceptions
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError
except ImportError:
    # AnsibleAWSModule says what is missing, before any of this is used.
    BotoCoreError = ClientError = RuntimeError

from ansible.module_utils.common.warnings import warn

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict
from ansible_collections.amazon.aws.plugins.module_utils.tagging import compare_aws_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.credentials import connection_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.versions import version_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.tags import ANY_SERVICE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.tags import TagLimits
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.tags import tag_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import texts

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

# Passed on to the other utils, so that one place knows what to do without botocore.
__all__ = ["BotoCoreError", "ClientError"]

# ThrottlingException: Secrets Manager, RDS and others; not among the default codes of AWSRetry.
# OperationAborted: S3, while another change of the same bucket is under way.
# ConcurrentModification: IAM.
RETRIED_CODES = ("ThrottlingException", "OperationAborted", "ConcurrentModification")

# Of the side of AWS, and over soon (ECS and RDS API references, common errors; ECS's ServerException).
_TRANSIENT_CODES = frozenset(
    {
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

_NEVER_RETRIED = ("can_paginate", "generate_presigned_url", "get_paginator", "get_waiter")

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
    """A sentence for the user: what is wrong and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


def retry(extra_codes: tuple[str, ...] = (), attempts: int = 10) -> Callable[..., typing.Any]:
    """Return the decorator that repeats a throttled call with growing pauses."""
    decorator: Callable[..., typing.Any] = AWSRetry.jittered_backoff(
        retries=attempts, delay=1, max_delay=30, catch_extra_error_codes=[*RETRIED_CODES, *extra_codes]
    )
    return decorator


class Client:
    """A botocore client of which every call is repeated while AWS throttles.

    Args:
        client: the botocore client.
        extra_codes: further error codes that are worth another attempt.
        attempts: how often a call is tried.
    """

    def __init__(self, client: typing.Any, extra_codes: tuple[str, ...] = (), attempts: int = 10) -> None:
        self._client = client
        self._retry = retry(extra_codes, attempts)

    def __getattr__(self, name: str) -> typing.Any:
        attribute = getattr(self._client, name)
        if name in _NEVER_RETRIED or not callable(attribute):
            return attribute
        return self._retry(attribute)

    def retrying(self, *extra_codes: str) -> Client:
        """Return the same client, which also repeats calls that fail with these codes: 5 times in up to 15 seconds.

        For what was just made and is not visible everywhere yet. The number is small because the same codes may
        also be the final truth.
        """
        return Client(self._client, extra_codes, attempts=5)

    def pages(self, operation: str, key: str, **params: typing.Any) -> list[typing.Any]:
        """Return the list *key* of all pages of a list operation."""
        paginator = self._client.get_paginator(operation)
        found: list[typing.Any] = self._retry(lambda: paginator.paginate(**params).build_full_result().get(key, []))()
        return found


def make_client(module: AnsibleAWSModule, service: str, region: str = "") -> Client:
    """Make the client of a service from the module's connection options, if need be for another region."""
    if problem := version_problem() or connection_problem(module.params):
        module.fail_json(msg=problem)
    return Client(module.client(service, **({"region": region} if region else {})))


def error_code(error: BaseException) -> str:
    """Return AWS's code of an error, or the name of botocore's own exception."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def is_transient(error: BaseException | None) -> bool:
    """Whether an error says nothing about what was asked: the way to AWS, or AWS itself, was disturbed for a moment."""
    if error is None or isinstance(error, botocore.exceptions.SSLError):
        return False
    if isinstance(error, (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)):
        return True
    return error_code(error) in _TRANSIENT_CODES


@dataclass(frozen=True)
class CallerIdentity:
    """Whose credentials these are."""

    account_id: str
    partition: str


def caller_identity(sts: Client) -> CallerIdentity:
    """Ask STS for account and partition; needs no permission at all."""
    arn_parts = (answer := sts.get_caller_identity())["Arn"].split(":")
    return CallerIdentity(account_id=answer["Account"], partition=arn_parts[1])


@dataclass
class ModuleResult:
    """What a module found or did.

    Attributes:
        changed: whether something was, or in check mode would be, changed.
        before: the state found, as far as it is compared; empty: there was nothing.
        after: the state left behind, in check mode the predicted one.
        values: the module's own return values.
        warnings: sentences for the user.
        has_diff: whether before and after are returned.
    """

    changed: bool
    before: dict[str, typing.Any]
    after: dict[str, typing.Any]
    values: dict[str, typing.Any]
    warnings: list[str]
    has_diff: bool = True

    def result(self) -> dict[str, typing.Any]:
        """Return the arguments for exit_json."""
        diff = {"diff": {"before": self.before, "after": self.after}} if self.has_diff else {}
        return {"changed": self.changed, **diff, **self.values}


def run(
    module: AnsibleAWSModule, subject: str, work: Callable[[], ModuleResult], tag_limits: TagLimits = ANY_SERVICE
) -> None:
    """Do the work and leave the module, with a result or with a sentence.

    The option C(tags), if there is one, is text afterwards, or refused.

    Args:
        module: the module, the only place that fails.
        subject: what the module is about, such as "IAM role mlflow-task-role"; begins the message of an AWS error.
        work: does it, and raises Problem, ClientError or BotoCoreError.
        tag_limits: of the service.
    """
    tags = module.params.get("tags")
    if tags is not None:
        if problems := tag_problems("tags", tags, tag_limits):
            module.fail_json(msg=" ".join(problems))
            return
        module.params["tags"] = texts(tags)
    try:
        outcome = work()
    except AnsibleAWSError as e:
        module.fail_json(msg=e.message or str(e))
        return
    except (BotoCoreError, ClientError) as e:
        next_step = _NEXT_STEPS.get(error_code(e), "")
        module.fail_json_aws(e, msg=f"{subject}: {next_step} AWS or its SDK says" if next_step else subject)
        return
    for warning in outcome.warnings:
        # Not module.warn(): that of amazon.aws 10 makes core 2.19 print a deprecation notice beside each warning.
        warn(warning)
    module.exit_json(**outcome.result())


def tags_from_aws(tags: list[typing.Any] | None) -> dict[str, str]:
    """Return AWS's list of tags as a dictionary, without the reserved C(aws:) ones."""
    return {
        key: value for key, value in boto3_tag_list_to_ansible_dict(tags or []).items() if not key.startswith("aws:")
    }


def tags_to_aws(tags: dict[str, str] | None) -> list[dict[str, str]]:
    """Return a dictionary as AWS's list of tags."""
    listed: list[dict[str, str]] = ansible_dict_to_boto3_tag_list(tags or {})
    return listed


def merge_tags(
    current: dict[str, str], desired: dict[str, str] | None, purge: bool
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Compare tags.

    Args:
        current: as they are.
        desired: as asked for; None leaves them alone.
        purge: whether those not wanted go.

    Returns:
        the tags as they will be, those to set, and the keys to unset.
    """
    if desired is None:
        return dict(current), {}, []
    to_set, to_unset = compare_aws_tags(current, desired, purge)
    merged = {key: value for key, value in current.items() if key not in to_unset}
    merged.update(to_set)
    return merged, to_set, to_unset


def json_document(value: typing.Any, where: str) -> dict[str, typing.Any]:
    """Return a JSON object given as a dictionary or as text.

    Args:
        value: dictionary, or JSON text.
        where: the option, for the sentence.

    Raises:
        UserError: it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as e:
            raise UserError(f"{where} is not valid JSON: {e}.") from e
    if not isinstance(value, dict):
        raise UserError(f"{where} must be a JSON object, not a {type(value).__name__}.")
    return value


def same_kms_key(one: str | None, other: str | None) -> bool:
    """Whether two ways to name a KMS key (ARN, id, alias) may mean the same one.

    An alias and a key id cannot be compared without asking KMS; they count as different.
    """
    return (one or "").rsplit(":", 1)[-1].removeprefix("key/") == (other or "").rsplit(":", 1)[-1].removeprefix("key/")


def polls(timeout: float, delay: float) -> Iterator[bool]:
    """Yield at once and then every *delay* seconds; True says that it is the last time.

    Args:
        timeout: seconds until the last time.
        delay: seconds between two.
    """
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        yield left <= 0
        if left <= 0:
            return
        time.sleep(min(delay, left))
