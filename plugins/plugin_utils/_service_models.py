# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a module with many clients would make for each: the descriptions of AWS's services, and the session."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

try:
    import boto3.session
    import botocore
    import botocore.session
    from botocore.loaders import Loader
    from botocore.loaders import create_loader
except ImportError:
    botocore = None

#: What a deployment's tasks talk to.
SERVICES = ("ec2", "ecs", "elbv2", "iam", "logs", "rds", "resourcegroupstaggingapi", "s3", "secretsmanager", "sts")
_loaders: dict[Any, Loader] = {}


def load() -> None:
    """Load the models of all services that a deployment needs. Does nothing without botocore, as modules will say."""
    if botocore is None or _loaders:
        return
    loader = _loader()
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        with contextlib.suppress(botocore.exceptions.DataNotFoundError):
            loader.load_data(name)
    for service in SERVICES:
        model = loader.load_service_model(service, "service-2")
        # botocore remembers these, too: the names of a client's methods.
        for operation in model["operations"]:
            botocore.xform_name(operation)
        for kind in ("endpoint-rule-set-1", "paginators-1", "waiters-2"):
            with contextlib.suppress(botocore.exceptions.UnknownServiceError, botocore.exceptions.DataNotFoundError):
                loader.load_service_model(service, kind)


def _loader(data_path: str | None = None) -> Loader:
    if data_path not in _loaders:
        _loaders[data_path] = create_loader(data_path)
    return _loaders[data_path]


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Let botocore's sessions use what is loaded, and all clients with the same options one session.

    amazon.aws makes a session for each client, which takes as long as the client, and looks for credentials once more.
    """
    if botocore is None:
        yield
        return
    before = botocore.session.create_loader, boto3.session.Session
    botocore.session.create_loader = _loader
    boto3.session.Session = functools.cache(boto3.session.Session)
    try:
        yield
    finally:
        botocore.session.create_loader, boto3.session.Session = before
