# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container finds at 169.254.170.2 on AWS: credentials of its task role, and metadata about itself.

The address cannot be had on this machine, so that a container is told of a loopback address by the variables that the
SDKs know: AWS_CONTAINER_CREDENTIALS_FULL_URI with AWS_CONTAINER_AUTHORIZATION_TOKEN, and ECS_CONTAINER_METADATA_URI_V4
("Amazon ECS task metadata endpoint version 4").
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

from aiohttp import web

from ...context import Context
from .models import Task

_log = logging.getLogger(__name__)
PRINCIPAL = "ecs-tasks.amazonaws.com"
# SDKs renew 15 minutes before the end, so that a container never gets a set that is due already.
_RENEW = timedelta(minutes=30)
_VALID = 3600


@dataclass
class _Container:
    task: Task
    token: str
    metadata_id: str
    credentials: dict[str, str] | None = None


class ContainerEndpoint:
    """One server for all tasks, on a loopback port."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._containers: dict[str, _Container] = {}
        self._runner: web.AppRunner | None = None
        self._url = ""

    async def start(self) -> None:
        """Opens the port."""
        app = web.Application()
        app.router.add_get("/v2/credentials/{id}", self._credentials)
        app.router.add_get("/v4/{id}", self._metadata(_container_metadata))
        app.router.add_get("/v4/{id}/task", self._metadata(_task_metadata))
        app.router.add_get("/v4/{id}/stats", self._metadata(_stats))
        app.router.add_get("/v4/{id}/task/stats", self._metadata(lambda task: {task.id: _stats(task)}))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Closes the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def register(self, task: Task) -> dict[str, str]:
        """The environment variables by which a container finds this endpoint."""
        container = _Container(task, secrets.token_urlsafe(32), f"{task.id}-{secrets.randbelow(10**10)}")
        self._containers[task.id] = container
        variables = {"ECS_CONTAINER_METADATA_URI_V4": f"{self._url}/v4/{container.metadata_id}"}
        if task.spec.task_role_arn:
            variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{self._url}/v2/credentials/{task.id}"
            variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = container.token
        return variables

    def deregister(self, task: Task) -> None:
        """Forgets a task; its token is worth nothing from now on."""
        self._containers.pop(task.id, None)

    async def _credentials(self, request: web.Request) -> web.Response:
        container = self._containers.get(request.match_info["id"])
        offered = request.headers.get("Authorization", "")
        if container is None or not hmac.compare_digest(offered.encode(), container.token.encode()):
            return web.json_response({"code": "AccessDenied", "message": "unknown task or wrong token"}, status=403)
        try:
            return web.json_response(await self._fresh(container))
        except Exception as error:  # the role may have been deleted meanwhile: the SDK shows what we answer
            _log.warning(
                "task %s: no credentials of %s: %s", container.task.id, container.task.spec.task_role_arn, error
            )
            return web.json_response({"code": "InternalServerError", "message": str(error)}, status=500)

    async def _fresh(self, container: _Container) -> dict[str, str]:
        role = container.task.spec.task_role_arn
        known = container.credentials
        if known is None or datetime.fromisoformat(known["Expiration"]) - datetime.now(UTC) < _RENEW:
            known = await asyncio.to_thread(self._ctx.role_credentials, role, PRINCIPAL, _VALID)
            container.credentials = known
        return {"RoleArn": role, **known}

    def _metadata(self, describe: Callable[[Task], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.Response:
            container = self._containers.get(request.match_info["id"].partition("-")[0])
            if container is None or container.metadata_id != request.match_info["id"]:
                return web.json_response({"error": "unknown container"}, status=404)
            return web.json_response(describe(container.task))

        return handler


def _container_metadata(task: Task) -> dict[str, Any]:
    spec = task.spec
    return {
        "DockerId": f"{task.id}-0527074092",
        "Name": spec.container_name,
        "DockerName": spec.container_name,
        "Image": spec.image,
        "Labels": {
            "com.amazonaws.ecs.cluster": spec.cluster_arn,
            "com.amazonaws.ecs.container-name": spec.container_name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": spec.family,
            "com.amazonaws.ecs.task-definition-version": str(spec.revision),
        },
        "DesiredStatus": task.desired_status,
        "KnownStatus": task.last_status,
        "Limits": {"CPU": int(spec.cpu)},
        "CreatedAt": task.created_at.isoformat(),
        "StartedAt": task.started_at.isoformat() if task.started_at else None,
        "Type": "NORMAL",
        "LogDriver": "awslogs",
        "LogOptions": {
            "awslogs-group": spec.log_group,
            "awslogs-region": spec.log_region,
            "awslogs-stream": task.log_stream,
        },
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [task.ip]}],
    }


def _task_metadata(task: Task) -> dict[str, Any]:
    spec = task.spec
    return {
        "Cluster": spec.cluster_arn,
        "TaskARN": task.arn,
        "Family": spec.family,
        "Revision": str(spec.revision),
        "ServiceName": spec.service_name,
        "DesiredStatus": task.desired_status,
        "KnownStatus": task.last_status,
        "Limits": {"CPU": int(spec.cpu) / 1024, "Memory": int(spec.memory)},
        "LaunchType": "FARGATE",
        "Containers": [_container_metadata(task)],
    }


def _stats(task: Task) -> dict[str, Any]:
    mebibyte = 1024 * 1024
    return {
        "memory_stats": {
            "usage": task.memory_mib * mebibyte,
            "max_usage": task.peak_memory_mib * mebibyte,
            "limit": int(task.spec.memory) * mebibyte,
        }
    }
