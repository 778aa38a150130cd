# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on service deployments and service revisions."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from . import caller
from .controller import Controller
from .deployment import ABORT
from .deployment import ROLLBACK
from .paging import paged
from .responses import Responses
from .store import ServiceStore
from .transformations import invalid


class DeploymentHandlers:
    """List, describe and stop."""

    def __init__(self, ctx: Context, store: ServiceStore, controller: Controller, responses: Responses) -> None:
        self._ctx = ctx
        self._store = store
        self._controller = controller
        self._responses = responses

    def operations(self) -> dict[str, Callable[[Call], Awaitable[dict[str, Any]]]]:
        """The operations by name."""
        return {
            "ListServiceDeployments": self._list_deployments,
            "DescribeServiceDeployments": self._describe_deployments,
            "DescribeServiceRevisions": self._describe_revisions,
            "StopServiceDeployment": self._stop_deployment,
        }

    async def _list_deployments(self, call: Call) -> dict[str, Any]:
        params = call.params
        service = self._store.find(params["service"], params.get("cluster"))
        if service is None:
            raise ApiError("ServiceNotFoundException", "Service not found.")
        caller.allow(self._ctx, call, service.arn)
        found = sorted(service.deployments, key=lambda item: item.created, reverse=True)
        if params.get("status"):
            found = [item for item in found if item.status in params["status"]]
        bounds = params.get("createdAt") or {}
        if bounds.get("after"):
            found = [item for item in found if item.created > bounds["after"].timestamp()]
        if bounds.get("before"):
            found = [item for item in found if item.created < bounds["before"].timestamp()]
        page, token = paged(found, params)
        output: dict[str, Any] = {"serviceDeployments": [self._responses.brief(service, item) for item in page]}
        return output | ({"nextToken": token} if token else {})

    async def _describe_deployments(self, call: Call) -> dict[str, Any]:
        shown, failures = [], []
        for arn in call.params["serviceDeploymentArns"]:
            caller.allow(self._ctx, call, arn)
            found = self._store.deployment(arn)
            if found is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                shown.append(self._responses.deployment(*found))
        return {"serviceDeployments": shown, "failures": failures}

    async def _describe_revisions(self, call: Call) -> dict[str, Any]:
        shown, failures = [], []
        for arn in call.params["serviceRevisionArns"]:
            caller.allow(self._ctx, call, arn)
            service = self._store.with_revision(arn)
            if service is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            elif service.status == "INACTIVE":
                raise invalid("Cannot call DescribeServiceRevisions for a service that is INACTIVE")
            else:
                shown.append(self._responses.revision(service, service.revisions[arn]))
        return {"serviceRevisions": shown, "failures": failures}

    async def _stop_deployment(self, call: Call) -> dict[str, Any]:
        arn = call.params["serviceDeploymentArn"]
        caller.allow(self._ctx, call, arn)
        found = self._store.deployment(arn)
        if found is None:
            raise ApiError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        _service, deployment = found
        if deployment.status not in ("PENDING", "IN_PROGRESS"):
            raise ApiError(
                "ConflictException", f"The service deployment cannot be stopped: its status is {deployment.status}."
            )
        kind = call.params.get("stopType") or ROLLBACK
        reason = "Service deployment was stopped by StopServiceDeployment."
        self._controller.interrupt(deployment, kind, reason)
        deployment.becomes("STOP_REQUESTED" if kind == ABORT else "ROLLBACK_REQUESTED", reason)
        self._ctx.changed()
        return {"serviceDeploymentArn": arn}
