# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Express modules against a local AWS: roles, a small server that does as it is told, and the modules' results.

Ansible's modules belong to a process of their own; they run in some that are forked here, several at a time.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import io
import json
import multiprocessing
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

from ansible.module_utils import _internal
from ansible.module_utils.common import warnings as ansible_warnings
from ansible.module_utils.testing import patch_module_args
from harness import LocalAws

SCALE = 120
AT_ONCE = 12
IMAGE = "public.ecr.aws/docker/library/python:3.11"
EXECUTION_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
INFRASTRUCTURE_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSInfrastructureRoleforExpressGatewayServices"

SERVER = """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        health = self.path == "/health"
        if health:
            time.sleep(float(os.environ.get("SLOW", "0")))
        self.send_response(int(os.environ.get("HEALTH" if health else "STATUS", "200")))
        self.end_headers()
        self.wfile.write(os.environ.get("TEXT", "").encode())
    def log_message(self, *arguments):
        pass
for line in os.environ.get("SAY", "").splitlines():
    print(line, flush=True)
if os.environ.get("CRASH"):
    raise SystemExit(int(os.environ["CRASH"]))
hoard = os.urandom(int(os.environ.get("HOARD", "0")) << 20)
if hoard:
    # It never answers, so that no deployment succeeds before its memory is measured.
    time.sleep(3600)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "5000"))), Handler).serve_forever()
"""


class ExpressAws(LocalAws):
    """A local AWS with the roles that Express Mode needs."""

    def __init__(self, home: Path) -> None:
        with mock.patch("harness.becomes_nobody", lambda: False):
            super().__init__(home)
        self.execution = self.infrastructure = ""
        # Before there are threads. All processes are made at the first call.
        self.modules = ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("fork"))
        self.modules.submit(int).result()

    def up(self, scale: float = SCALE) -> None:
        """Start it as the present user, as the modules run in this very process; make the roles."""
        with mock.patch("harness.becomes_nobody", lambda: False):
            super().up(scale)
        self.ecs = self.client("ecs")
        self.iam = self.client("iam")
        self.link("ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com")
        self.execution = self.role("ecs-tasks.amazonaws.com", EXECUTION_POLICY)
        self.infrastructure = self.role("ecs.amazonaws.com", INFRASTRUCTURE_POLICY)

    def down(self) -> None:
        """Stop it."""
        self.modules.shutdown(cancel_futures=True)
        with mock.patch("harness.becomes_nobody", lambda: False):
            super().down()

    def link(self, *services: str) -> None:
        """Make service-linked roles, those that are not there."""
        for name in services:
            if not self.iam.list_roles(PathPrefix=f"/aws-service-role/{name}/")["Roles"]:
                self.iam.create_service_linked_role(AWSServiceName=name)

    def role(self, principal: str, policy: str = "") -> str:
        """The ARN of a new role that a service may assume."""
        statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        name = f"{principal.partition('.')[0]}-{uuid.uuid4().hex[:8]}"
        arn = str(self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])
        if policy:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        return arn

    def user(self, name: str) -> dict[str, str]:
        """Arguments with the credentials of a new user who may do everything; faults can be ordered for that one."""
        self.iam.create_user(UserName=name)
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        self.iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}

    def get(self, url: str) -> tuple[int, str]:
        """Status and text of one request to a service."""
        context = ssl.create_default_context(cafile=self.info["ca_bundle"])
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        try:
            with urllib.request.build_opener(*handlers).open(url, timeout=1800) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    @contextlib.contextmanager
    def visitor(self, url: str) -> Iterator[Callable[[], None]]:
        """Somebody who asks again and again, over one connection as long as it holds: many requests for little work."""
        place = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=self.info["ca_bundle"])
        connection = http.client.HTTPSConnection(place.hostname or "", place.port, context=context, timeout=1800)

        def ask() -> None:
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()

        try:
            yield ask
        finally:
            connection.close()

    def arguments(self, name: str, environment: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Arguments of ecs_express_service for the small server; AWS's times are shortened as the local AWS's are."""
        container = {
            "image": IMAGE,
            "container_port": 5000,
            "command": ["python", "-c", SERVER],
            "environment": environment or {},
            **more.pop("container", {}),
        }
        return {
            "service_name": name,
            "infrastructure_role_arn": self.infrastructure,
            "execution_role_arn": self.execution,
            "primary_container": container,
            "health_check_path": "/health",
            "cpu": "256",
            "memory": "512",
            "scaling_target": {"min_task_count": 1, "max_task_count": 1},
            "wait_timeout": 1800,
            "wait_delay": 1,
            # Not 900 / SCALE: the machine itself is not faster than at AWS, and may stand still for a while.
            "stall_timeout": 90,
            **more,
        }

    def run(self, module: Any, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """Run a module with its arguments, as Ansible does; its result, warnings as a list of texts."""
        whole = {
            "endpoint_url": self.info["endpoint_url"],
            "region": self.info["region"],
            "access_key": self.info["access_key_id"],
            "secret_key": self.info["secret_access_key"],
            "aws_ca_bundle": self.info["ca_bundle"],
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **arguments,
        }
        result: dict[str, Any] = self.modules.submit(execute, module.__name__, whole).result()
        return result

    def remove(self, name: str, module: Any, *, wait: bool = False) -> None:
        """Delete a service with the module."""
        arguments = {"service_name": name, "state": "absent", "wait_delay": 1, "wait_timeout": 1800, "wait": wait}
        result = self.run(module, arguments)
        assert not result.get("failed"), result["msg"]


def execute(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a module in this process."""
    out = io.StringIO()
    with (
        # Else, where the controller is in this process, warnings are shown and not returned.
        mock.patch.object(_internal, "is_controller", False),
        mock.patch.dict(ansible_warnings._global_warnings, clear=True),
        patch_module_args(arguments),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        importlib.import_module(name).main()
    result: dict[str, Any] = json.loads(out.getvalue())
    found = result.pop("warnings", [])
    result["warnings"] = [item["event"]["msg"] if isinstance(item, dict) else item for item in found]
    return result
