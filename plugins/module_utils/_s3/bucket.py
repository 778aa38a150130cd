# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 bucket for artifacts. Private to the collection.

Facts: S3 API Reference, CreateBucket.
"""

from __future__ import annotations

import re
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.bucket_names import bucket_name_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.apply import apply
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.apply import check_access_log_bucket
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import BucketClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import locate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.client import taken
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import nothing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import predict
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import public
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import read

# Names of buckets in us-east-1 from before 2018; the API still accepts them.
_OLD_NAME = r"[A-Za-z0-9._-]{3,255}"


def create(client: BucketClient) -> None:
    """Create the bucket.

    Raises:
        UserError: the name is taken, or the region does not fit.
    """
    params: dict[str, typing.Any] = {"Bucket": client.name, "ObjectOwnership": "BucketOwnerEnforced"}
    # us-east-1 is the one region that must not be named.
    if client.region != "us-east-1":
        params["CreateBucketConfiguration"] = {"LocationConstraint": client.region}
    try:
        client.s3.create_bucket(**params)
    except ClientError as e:
        code = error_code(e)
        if code == "BucketAlreadyOwnedByYou":
            # An attempt whose answer was lost, or another caller of our account at the same time.
            locate(client)
            return
        if code == "BucketAlreadyExists":
            raise UserError(taken(client.name)) from e
        raise


def ensure_present(client: BucketClient, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Ensure the requested bucket, or with *adopt* only describe it.

    Raises:
        UserError: the name is wrong or taken, the region is another one, or a bucket to adopt does not exist.
    """
    problem = bucket_name_problem(client.name)
    if problem and not (desired.adopt and re.fullmatch(_OLD_NAME, client.name)):
        raise UserError(f"The bucket name {client.name} {problem}.")
    exists = locate(client)
    if desired.access_log_bucket and not desired.adopt:
        check_access_log_bucket(client, desired.access_log_bucket)
    if desired.adopt:
        if not exists:
            reason = f"is true, but the bucket {client.name} that is to be used as it is does not exist"
            raise UserError(Violation("adopt", reason, "create it, correct the name, or set adopt to false"))
        found = _readable(client)
        return ModuleResult(False, found, found, {"bucket": found}, [])
    current = read(client) if exists else nothing(client)
    after = predict(current, desired)
    changed = not exists or after != current
    before = public(current) if exists else {}
    if changed and not check_mode:
        if not exists:
            create(client)
            client = client.retrying()
            # S3's defaults on a new bucket are not set again.
            current = read(client)
            after = predict(current, desired)
        apply(client, current, after)
    return ModuleResult(changed, before, public(after), {"bucket": public(after)}, [])


def _readable(client: BucketClient) -> dict[str, typing.Any]:
    """Return an adopted bucket: its settings, or only its name without the permission to read them."""
    try:
        return public(read(client))
    except ClientError as e:
        if error_code(e) not in ("AccessDenied", "403"):
            raise
        return {"name": client.name, "arn": client.arn, "region": client.region}
