# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""PutDashboard refuses a body that is no dashboard; ministack keeps whatever it is given."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudwatch

from ..services.cloudwatch import dashboards

_MARK = "_mlflow_aws_checks_dashboards"


def install() -> None:
    """Replaces ``ministack.services.cloudwatch._put_dashboard``, which all three protocols end in, once per process."""
    if getattr(cloudwatch, _MARK, False):
        return
    put = cloudwatch._put_dashboard

    def put_dashboard(params: Any, data: Any, is_cbor: Any, is_json: Any = False) -> Any:
        body = data.get("DashboardBody", "") if is_cbor or is_json else cloudwatch._p(params, "DashboardBody")
        found = dashboards.problems(body)
        if not found:
            return put(params, data, is_cbor, is_json)
        message = f"The dashboard body is invalid, there are {len(found)} validation errors: {json.dumps(found)}"
        # DashboardInvalidInputError in botocore's model has this code.
        return cloudwatch._error("InvalidParameterInput", message, 400, use_json=is_json, use_cbor=is_cbor)

    cloudwatch._put_dashboard = put_dashboard
    setattr(cloudwatch, _MARK, True)
