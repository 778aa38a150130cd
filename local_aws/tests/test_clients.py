# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's clients of the Express API against the local AWS, as they are published on PyPI.

Each is installed into a virtual environment of its own below the cache of this project. docs/local-aws.md has those
that were run by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from express_support import Account
from express_support import endpoint_of
from running import LocalAws
from running import eventually

CACHE = Path(os.environ.get("LOCAL_AWS_CLIENTS", Path(__file__).resolve().parents[2] / ".cache" / "clients"))
AWSCLI = "awscli==1.46.3"
MCP = "awslabs.ecs-mcp-server==0.1.37"


def installed(requirement: str) -> Path:
    """The bin folder of a virtual environment with one client in it; made when it is first needed."""
    home = CACHE / requirement.replace("==", "-")
    ready = home / "ready"
    if not ready.exists():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert uv, "uv is missing: it is among the requirements of the local AWS"
        shutil.rmtree(home, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(home)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(home / "bin" / "python"), requirement], check=True)
        ready.touch()
    return home / "bin"


@pytest.fixture
def environment(local_aws: LocalAws, tmp_path: Path) -> dict[str, str]:
    """What docs/local-aws.md says that a client needs, and nothing of the user's own."""
    info = local_aws.info
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": info["endpoint_url"],
        "AWS_REGION": info["region"],
        "AWS_DEFAULT_REGION": info["region"],
        "AWS_CA_BUNDLE": info["ca_bundle"],
        "AWS_ACCESS_KEY_ID": info["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": info["secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


# AWS CLI 1 ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def aws(environment: dict[str, str]) -> Callable[..., Any]:
    """Runs AWS CLI 1; returns what it printed."""
    program = installed(AWSCLI) / "aws"

    def run(*arguments: str, code: int = 0) -> Any:
        done = subprocess.run(
            [str(program), "ecs", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        if code:
            return done.stderr.strip()
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_aws_cli_1_takes_a_service_through_its_life(account: Account, made: list[str], aws: Callable[..., Any]) -> None:
    name = f"cli-{uuid.uuid4().hex[:6]}"
    created = aws(
        *("create-express-gateway-service", "--service-name", name),
        *("--execution-role-arn", account.execution, "--infrastructure-role-arn", account.infrastructure),
        *("--primary-container", json.dumps(account.container({"TEXT": "from the command line"}))),
        *("--health-check-path", "/health", "--scaling-target", "minTaskCount=1,maxTaskCount=1"),
        *("--tags", "key=team,value=one"),
    )["service"]
    arn = created["serviceArn"]
    made.append(arn)
    assert created["status"] == {"statusCode": "ACTIVE"}
    assert "currentDeployment" not in created
    aws("wait", "services-stable", "--services", name)
    assert account.settled(arn)["status"] == "SUCCESSFUL"
    described = aws("describe-express-gateway-service", "--service-arn", arn, "--include", "TAGS")["service"]
    assert described["tags"] == [{"key": "team", "value": "one"}]
    assert account.get(endpoint_of(described)) == (200, "from the command line")

    updated = aws("update-express-gateway-service", "--service-arn", arn, "--cpu", "512", "--memory", "1024")["service"]
    assert (updated["targetConfiguration"]["cpu"], updated["targetConfiguration"]["memory"]) == ("512", "1024")
    account.settled(arn, 2)
    deployments = aws("list-service-deployments", "--service", arn, "--status", "SUCCESSFUL")["serviceDeployments"]
    assert len(deployments) == 2
    newest = deployments[0]["serviceDeploymentArn"]
    (deployment,) = aws("describe-service-deployments", "--service-deployment-arns", newest)["serviceDeployments"]
    assert deployment["lifecycleStage"] == "CLEAN_UP"
    revision = deployments[0]["targetServiceRevisionArn"]
    (shown,) = aws("describe-service-revisions", "--service-revision-arns", revision)["serviceRevisions"]
    assert shown["ecsManagedResources"]["metricAlarms"][0]["status"] == "ACTIVE"
    refusal = aws("stop-service-deployment", "--service-deployment-arn", newest, code=255)
    assert "An error occurred (ConflictException) when calling the StopServiceDeployment operation" in refusal
    assert arn in aws("list-services", "--resource-management-type", "ECS")["serviceArns"]
    refusal = aws("delete-service", "--service", name, "--force", code=255)
    assert f"{arn} has ResourceManagementType=ECS use DeleteExpressGatewayService to delete" in refusal

    assert aws("delete-express-gateway-service", "--service-arn", arn)["service"]["status"]["statusCode"] == "DRAINING"
    aws("wait", "services-inactive", "--services", name)
    assert account.ecs_service(arn)["status"] == "INACTIVE"
    refusal = aws("wait", "services-inactive", "--services", "nobody", code=255)
    assert "Waiter encountered a terminal failure state" in refusal


# awslabs' MCP server --------------------------------------------------------------------------------------------------

# Runs in the server's own environment, which has an MCP client too. Prints one JSON line per call.
TALK = """
import asyncio, json, os, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    server = StdioServerParameters(command=sys.argv[1], env=dict(os.environ))
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        for line in sys.stdin:
            order = json.loads(line)
            answer = await session.call_tool(order["tool"], order["arguments"])
            print(json.dumps(answer.content[0].text), flush=True)

asyncio.run(main())
"""


def test_the_mcp_server_of_awslabs_deploys_explains_and_deletes(
    account: Account, made: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    folder = installed(MCP)
    script = tmp_path / "talk.py"
    script.write_text(textwrap.dedent(TALK))
    more = {"ALLOW_WRITE": "true", "ALLOW_SENSITIVE_DATA": "true", "FASTMCP_LOG_LEVEL": "ERROR"}
    name = f"mcp-{uuid.uuid4().hex[:6]}"
    with subprocess.Popen(
        [str(folder / "python"), str(script), str(folder / "ecs-mcp-server")],
        env={**environment, **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None

        def call(tool: str, **arguments: Any) -> Any:
            print(json.dumps({"tool": tool, "arguments": arguments}), file=talk.stdin, flush=True)
            return json.loads(json.loads(talk.stdout.readline()))

        def api(operation: str, **params: Any) -> Any:
            return call("ecs_resource_management", api_operation=operation, api_params=params)

        created = api("CreateExpressGatewayService", **account.parameters(name, {"TEXT": "from a model"}))["service"]
        made.append(created["serviceArn"])
        ready = call("wait_for_service_ready", cluster="default", service_name=name, timeout_seconds=1800)
        assert ready["status"] == "success", ready
        account.settled(made[0])
        described = api("DescribeExpressGatewayService", serviceArn=made[0])["service"]
        assert account.get(endpoint_of(described)) == (200, "from a model")
        about = {"ecs_cluster_name": "default", "ecs_service_name": name}
        events = call("ecs_troubleshooting_tool", action="fetch_service_events", parameters=about)
        assert events["events"][0]["message"] == f"(service {name}) has reached a steady state."
        guidance = call("ecs_troubleshooting_tool", action="get_ecs_troubleshooting_guidance", parameters=about)
        assert guidance["status"] == "success", guidance
        deleted = call("delete_app", service_arn=made[0], app_name=name)
        assert deleted["service_deletion"]["status"] == "deleted", deleted
        talk.stdin.close()
        talk.wait(timeout=1800)
    eventually(lambda: account.ecs_service(made[0])["status"] == "INACTIVE", what="INACTIVE")
