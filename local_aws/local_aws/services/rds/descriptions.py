# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeDBInstances and DescribeDBSnapshots, which are about the instances of all engines."""

from __future__ import annotations

from ...service import Call
from ...service import Response
from ...service import aws_response
from ...service import parse_response
from . import paging
from . import responses
from .records import Records

_FILTERS = {
    "db-instance-id": "DBInstanceIdentifier",
    "db-snapshot-id": "DBSnapshotIdentifier",
    "dbi-resource-id": "DbiResourceId",
    "engine": "Engine",
    "snapshot-type": "SnapshotType",
}


async def describe_instances(records: Records, call: Call) -> Response:
    """DescribeDBInstances of all engines, ours as they are."""
    for region, known in records.instances():
        if region == call.region:
            records.show_restorable(known)
            records.show_subnet_group(region, known)
    response = await call.passthrough()
    output = parse_response(response, "rds", call.operation)
    if "Error" in output:
        return response
    for shape in output.get("DBInstances", []):
        record = records.instance(call.region, shape["DBInstanceIdentifier"])
        if record is not None:
            responses.patch_instance(shape, record)
    return aws_response(output, "rds", call.operation)


async def describe_snapshots(records: Records, call: Call) -> Response:
    """DescribeDBSnapshots of all engines, ours as they are."""
    response = await call.passthrough()
    output = parse_response(response, "rds", call.operation)
    if "Error" in output:
        return response
    found = output.get("DBSnapshots", [])
    for shape in found:
        responses.patch_snapshot(shape, records.snapshot(call.region, shape["DBSnapshotIdentifier"]) or {})
    wanted = call.params.get("DbiResourceId")
    found = [item for item in found if wanted in (None, item.get("DbiResourceId"))]
    found = paging.filtered(found, call.params, _FILTERS)
    return aws_response(paging.page("DBSnapshots", found, call.params, "DBSnapshotIdentifier"), "rds", call.operation)
