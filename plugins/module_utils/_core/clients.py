# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of AWS services that retry throttled calls. Private to the collection."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.credentials import connection_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import THROTTLING_CODES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.versions import version_problem

if typing.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

# Beside the default codes of AWSRetry. OperationAborted: S3, while another change of the same bucket is under way.
# ConcurrentModification: IAM.
RETRIED_CODES = (*THROTTLING_CODES, "OperationAborted", "ConcurrentModification")

_NEVER_RETRIED = ("can_paginate", "generate_presigned_url", "get_paginator", "get_waiter")


class Client:
    """A botocore client that retries throttled calls with exponential backoff.

    Args:
        client: the botocore client.
        extra_codes: further error codes to retry.
        attempts: maximum number of attempts.
        delay: seconds before the second attempt.
        max_delay: upper bound of the delay, in seconds.
    """

    def __init__(
        self,
        client: typing.Any,
        extra_codes: tuple[str, ...] = (),
        *,
        attempts: int = 10,
        delay: float = 1,
        max_delay: float = 30,
    ) -> None:
        self._client = client
        self._retry: Callable[..., typing.Any] = AWSRetry.jittered_backoff(
            retries=attempts,
            delay=delay,
            max_delay=max_delay,
            catch_extra_error_codes=[*RETRIED_CODES, *extra_codes],
        )

    def __getattr__(self, name: str) -> typing.Any:
        attribute = getattr(self._client, name)
        if name in _NEVER_RETRIED or not callable(attribute):
            return attribute
        return self._retry(attribute)

    def retrying(self, *extra_codes: str) -> Client:
        """Return the same client, which also repeats calls that fail with these codes: 5 times in up to 15 seconds.

        For resources that were just created and are not visible everywhere yet. The number is small, as the same
        codes may also be the final answer.
        """
        return Client(self._client, extra_codes, attempts=5)

    def pages(self, operation: str, key: str, **params: typing.Any) -> list[typing.Any]:
        """Return the list *key* of all pages of a list operation."""
        paginator = self._client.get_paginator(operation)
        found: list[typing.Any] = self._retry(lambda: paginator.paginate(**params).build_full_result().get(key, []))()
        return found


Clients = Callable[[str], Client]
"""Returns the client of a service by boto3's name."""


def connection_error(params: dict[str, typing.Any]) -> str:
    """Return why no client can be created, such as an SDK that is too old; empty if one can."""
    return version_problem() or connection_problem(params)


def make_client(module: AnsibleAWSModule, service: str, region: str = "", *, attempts: int = 10) -> Client:
    """Return the client of a service, made from the module's connection options, optionally for another region."""
    if problem := connection_error(module.params):
        module.fail_json(msg=problem)
    return Client(module.client(service, **({"region": region} if region else {})), attempts=attempts)


def make_clients(module: AnsibleAWSModule) -> Clients:
    """Return a function that creates the client of a service on first use."""
    return functools.cache(functools.partial(make_client, module))
