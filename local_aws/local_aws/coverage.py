# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations ministack may answer, which of those it only records, and the refusal of all others.

ministack accepts many operations that then have no effect: a backup job that copies nothing, a schedule that starts
nothing. A client that trusts such an answer is misled, so whatever coverage.toml does not name is refused.
"""

from __future__ import annotations

import enum
import functools
import tomllib
from importlib import resources

from .protocol import models
from .service import ApiError

# What ministack's router calls services, where that is neither botocore's nor the signing name.
_BY_ROUTER_NAME = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
}
# The error of a service that does not know an operation: the common errors of IAM, EC2 and RDS for Query and EC2, those
# of the JSON services, and the list of error codes of S3.
_UNKNOWN_OPERATION = {
    "query": ("InvalidAction", 400),
    "ec2": ("InvalidAction", 400),
    "rest-xml": ("NotImplemented", 501),
}


class Coverage(enum.Enum):
    """What becomes of an operation that is left to ministack."""

    IMPLEMENTED = "implemented"
    RECORDS_ONLY = "records_only"
    REFUSED = "refused"


@functools.cache
def table() -> dict[str, dict[str, list[str] | str]]:
    """coverage.toml: from botocore's name of a service to its lists of operations and its ``effect``."""
    text = resources.files(__package__).joinpath("coverage.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def of(service: str, operation: str) -> Coverage:
    """What becomes of one operation.

    :arg service: botocore's name of the service, or the name that ministack's router has for it.
    """
    lists = table().get(_BY_ROUTER_NAME.get(service, service), {})
    for found in (Coverage.IMPLEMENTED, Coverage.RECORDS_ONLY):
        if operation in lists.get(found.value, ()):
            return found
    return Coverage.REFUSED


def require(service: str, operation: str, speaks: str = "") -> None:
    """Lets an operation through to ministack, or refuses it.

    :arg speaks: the protocol of the request, where it is not the one of boto3.
    :raises ApiError: it is refused, with the error of AWS for an operation that a service does not know.
    """
    if of(service, operation) is not Coverage.REFUSED:
        return
    name = _BY_ROUTER_NAME.get(service, service)
    code, status = _UNKNOWN_OPERATION.get(speaks or models.protocol_of(name), ("UnknownOperationException", 400))
    message = (
        f"The local AWS does not implement {name}:{operation}. docs/local-aws.md lists what it does, what it only "
        "records, and what it refuses."
    )
    raise ApiError(code, message, status)
