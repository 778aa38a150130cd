# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""botocore's models of services and operations."""

from __future__ import annotations

import functools

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.loaders import create_loader
from botocore.model import OperationModel
from botocore.model import OperationNotFoundError
from botocore.model import ServiceModel

#: botocore's name of the protocol that CloudWatch's newer clients speak.
CBOR = "smithy-rpc-v2-cbor"


@functools.cache
def _loader() -> Loader:
    """One for the process: it keeps the files that it has read, some of which take botocore half a second."""
    return create_loader(botocore.session.Session().get_config_variable("data_path"))


def new_session() -> botocore.session.Session:
    """A session that shares the models that were read."""
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    return session


@functools.cache
def _session() -> botocore.session.Session:
    return new_session()


@functools.cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service; raises UnknownServiceError."""
    return _session().get_service_model(service)


@functools.cache
def operation_model(service: str, operation: str) -> OperationModel | None:
    """botocore's model of an operation; None where botocore knows no such service or operation."""
    try:
        return service_model(service).operation_model(operation)
    except (UnknownServiceError, OperationNotFoundError):
        return None


def protocol_of(service: str) -> str:
    """The protocol in which botocore's clients speak to a service: json, query, ec2, rest-json, rest-xml."""
    try:
        model = service_model(service)
    except UnknownServiceError:
        return "json"
    return str(model.resolved_protocol)


@functools.cache
def error_status(code: str, service: str) -> int | None:
    """The HTTP status that botocore's model gives an error."""
    try:
        shape = service_model(service).shape_for_error_code(code)
    except UnknownServiceError:
        return None
    return shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None
