# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups admit connections, or they time out: databases, tasks and load balancers, through boto3."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import ssl
import time
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg2
import pytest
from botocore.exceptions import ClientError
from express_support import SERVER
from express_support import Account
from express_support import endpoint_of
from running import LocalAws
from running import eventually
from running import marked_processes
from test_database_instances import connect
from test_database_instances import create
from test_database_instances import delete
from test_database_instances import open_to_this_machine
from test_database_instances import wait_for
from test_tasks_life import Stage
from test_tasks_life import address
from test_tasks_life import python

# PostgreSQL's SSLRequest, which a server answers with one byte ("Message Formats" in its manual).
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"

# Seconds for what takes long where much else runs.
TIMEOUT = 1800

# Tries over and over, and tells when it was let in. Silence tells nothing: a busy machine is silent, too.
TRY = """
import os, socket, time
def once():
    with socket.create_connection(("localhost", int(os.environ["AT"])), timeout=5) as connection:
        connection.sendall(bytes.fromhex("0000000804d2162f"))
        return connection.recv(1) == b"S"
while True:
    try:
        if once():
            print(time.time())
    except OSError:
        pass
    time.sleep(0.3)
"""


def asks(port: int, seconds: float = 2) -> str:
    """What becomes of a connection from this process, which is no task."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(SSL_REQUEST)
        try:
            return "admitted" if connection.recv(1) == b"S" else "closed"
        except TimeoutError:
            return "dropped"


def tcp(port: int, source: str) -> list[dict[str, Any]]:
    """A rule: from a security group or a CIDR block."""
    rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    rule |= (
        {"UserIdGroupPairs": [{"GroupId": source}]} if source.startswith("sg-") else {"IpRanges": [{"CidrIp": source}]}
    )
    return [rule]


class Network:
    """Security groups of a test."""

    def __init__(self, aws: LocalAws) -> None:
        self.ec2 = aws.client("ec2")

    def group(self) -> str:
        """A group without inbound rules."""
        name = f"group-{uuid.uuid4().hex[:8]}"
        return self.ec2.create_security_group(GroupName=name, Description="test")["GroupId"]

    def admit(self, group: str, port: int, source: str) -> None:
        """Adds an inbound rule."""
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=tcp(port, source))

    def revoke(self, group: str, port: int, source: str) -> None:
        """Takes it back."""
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=tcp(port, source))


@pytest.fixture(scope="module")
def network(local_aws: LocalAws) -> Network:
    """Makes groups."""
    return Network(local_aws)


@pytest.fixture(scope="module")
def stage(local_aws: LocalAws) -> Iterator[Stage]:
    """For tasks, which are stopped at the end."""
    stage = Stage(local_aws)
    yield stage
    for arn in stage.ecs.list_tasks(family=f"family-{stage.suffix}")["taskArns"]:
        stage.ecs.stop_task(task=arn)


@pytest.fixture(scope="module")
def restricted(local_aws: LocalAws, network: Network) -> Iterator[dict[str, Any]]:
    """A private database with a group of its own; ``group`` in it."""
    name = f"restricted-{uuid.uuid4().hex[:8]}"
    group = network.group()
    create(local_aws, name, PubliclyAccessible=False, VpcSecurityGroupIds=[group])
    yield {**wait_for(local_aws, name), "group": group}
    delete(local_aws, name)


class Trying:
    """A task that tries to reach a database or another task, over and over.

    :arg at: as the log names what it tries to reach.
    """

    def __init__(self, stage: Stage, at: str, task: dict[str, Any]) -> None:
        self.stage = stage
        self.task = task
        self.refusal = f"{at}: no security group admits {task['taskArn']}"

    @classmethod
    def at_database(cls, stage: Stage, database: dict[str, Any], groups: list[str], **more: Any) -> Trying:
        """Starts a task that tries to reach a database."""
        environment = [{"name": "AT", "value": str(database["Endpoint"]["Port"])}]
        task = stage.run(python(TRY), environment=environment, security_groups=groups, **more)
        return cls(stage, f"database {database['DBInstanceIdentifier']}", task)

    def moments(self) -> list[float]:
        """When it was let in."""
        with contextlib.suppress(ClientError):  # no stream before the task starts
            return [float(line) for line in self.stage.output(self.task)]
        return []

    def gets_in(self) -> None:
        """Waits until it is let in from now on."""
        now = time.time()
        eventually(lambda: any(moment > now for moment in self.moments()), TIMEOUT, "an admitted connection")

    def is_dropped(self) -> float:
        """Waits until it is dropped from now on; since when it is."""
        before = self.refusals()
        eventually(lambda: self.refusals() > before, TIMEOUT, "a dropped connection")
        return time.time()

    def refusals(self) -> int:
        """How often it has been dropped."""
        return self.stage.aws.log().count(self.refusal)


def test_only_the_tasks_of_an_admitted_group_reach_a_database(
    network: Network, stage: Stage, restricted: dict[str, Any]
) -> None:
    service, other = network.group(), network.group()
    network.admit(restricted["group"], 5432, service)
    inside, outside = (Trying.at_database(stage, restricted, [group]) for group in (service, other))
    inside.gets_in()
    outside.is_dropped()
    network.revoke(restricted["group"], 5432, service)
    begin = inside.is_dropped()
    inside.is_dropped()
    end = time.time()
    network.admit(restricted["group"], 5432, service)
    inside.gets_in()
    assert not [moment for moment in inside.moments() if begin < moment < end]
    assert outside.moments() == []


def test_a_program_that_is_no_task_reaches_nothing(
    local_aws: LocalAws, network: Network, stage: Stage, restricted: dict[str, Any]
) -> None:
    service = network.group()
    network.admit(restricted["group"], 5432, service)
    network.admit(restricted["group"], 5432, "0.0.0.0/0")
    port = restricted["Endpoint"]["Port"]
    assert asks(port) == "dropped"
    start = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
        connect(local_aws, restricted, connect_timeout=2)
    assert time.monotonic() - start >= 1.5
    # Neither does one that calls itself a task's.
    stage.reach(Trying.at_database(stage, restricted, [service]).task, "RUNNING")
    marks = [process.environ()["LOCAL_AWS_OWNER"] for process in marked_processes(local_aws.home)]
    mark = next(item for item in marks if "#task/" in item)
    code = (
        f"import socket; c = socket.create_connection(('127.0.0.1', {port}), 2); c.sendall({SSL_REQUEST!r}); c.recv(1)"
    )
    child = os.spawnvpe(os.P_WAIT, "python3", ["python3", "-c", code], {**os.environ, "LOCAL_AWS_OWNER": mark})
    assert child != 0
    network.revoke(restricted["group"], 5432, "0.0.0.0/0")


def test_a_rule_for_the_vpc_admits_tasks_in_its_subnets(
    network: Network, stage: Stage, restricted: dict[str, Any]
) -> None:
    vpc = network.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    subnet = network.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"][0]
    network.admit(restricted["group"], 5432, vpc["CidrBlock"])
    group = network.group()
    # Without a known subnet there is no address that the block could hold.
    without = Trying.at_database(stage, restricted, [group])
    without.is_dropped()
    Trying.at_database(stage, restricted, [group], subnets=[subnet["SubnetId"]]).gets_in()
    assert without.moments() == []
    network.revoke(restricted["group"], 5432, vpc["CidrBlock"])


def test_a_connection_that_was_admitted_stays(local_aws: LocalAws, network: Network) -> None:
    name = f"open-{uuid.uuid4().hex[:8]}"
    group = network.group()
    network.admit(group, 5432, "127.0.0.0/8")
    create(local_aws, name, **open_to_this_machine(local_aws) | {"VpcSecurityGroupIds": [group]})
    instance = wait_for(local_aws, name)
    with contextlib.closing(connect(local_aws, instance)) as connection, connection.cursor() as cursor:
        network.revoke(group, 5432, "127.0.0.0/8")
        assert asks(instance["Endpoint"]["Port"]) == "dropped"
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    network.admit(group, 5432, "127.0.0.0/8")
    local_aws.client("rds").modify_db_instance(
        DBInstanceIdentifier=name, PubliclyAccessible=False, ApplyImmediately=True
    )
    eventually(lambda: asks(instance["Endpoint"]["Port"]) == "dropped", what="the instance to be private")
    delete(local_aws, name)


def test_an_instance_without_groups_gets_the_default_one(local_aws: LocalAws, network: Network) -> None:
    name = f"default-{uuid.uuid4().hex[:8]}"
    local_aws.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="mlflow",
        MasterUserPassword=uuid.uuid4().hex,
    )
    (group,) = wait_for(local_aws, name)["VpcSecurityGroups"]
    described = network.ec2.describe_security_groups(GroupIds=[group["VpcSecurityGroupId"]])["SecurityGroups"][0]
    assert described["GroupName"] == "default"
    delete(local_aws, name)


def test_only_admitted_programs_reach_a_task(network: Network, stage: Stage) -> None:
    serving, client = network.group(), network.group()
    server = stage.reach(stage.run(python(SERVER), security_groups=[serving]), "RUNNING")
    where = address(server)
    visit = f"""
import time, urllib.request
while True:
    try:
        with urllib.request.urlopen("http://{where}:5000/client", timeout=5) as answer:
            seen = answer.read().decode().split(" ")[0]
        if not seen.startswith("127."):
            print(time.time())
    except OSError:
        pass
    time.sleep(0.3)
"""
    visitor = Trying(
        stage, f"task {server['taskArn'].rsplit('/', 1)[-1]}", stage.run(python(visit), security_groups=[client])
    )
    visitor.is_dropped()
    assert visitor.moments() == []
    network.admit(serving, 5000, client)
    visitor.gets_in()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(TimeoutError):
        opener.open(f"http://{where}:5000/", timeout=2)
    network.admit(serving, 5000, "127.0.0.1/32")
    # As at AWS, no program takes what comes from elsewhere for its own machine's.
    with opener.open(f"http://{where}:5000/client", timeout=1800) as answer:
        assert answer.read().decode() == "198.51.100.1 for "


def ready(account: Account, name: str) -> dict[str, Any]:
    """A service whose first deployment is over."""
    arn = account.create(name, {"TEXT": "hello"})["serviceArn"]
    assert account.settled(arn, 1, TIMEOUT)["status"] == "SUCCESSFUL"
    return account.describe(arn)


def test_the_balancer_reaches_a_task_by_the_managed_groups_rule(local_aws: LocalAws, network: Network) -> None:
    account = Account(local_aws)
    service = ready(account, "admitted")
    endpoint = endpoint_of(service)
    assert account.get(endpoint) == (200, "hello")
    status, told = account.get(endpoint, "/client")
    peer, _for, client = told.partition(" for ")
    subnets = service["activeConfigurations"][0]["networkConfiguration"]["subnets"]
    blocks = [item["CidrBlock"] for item in account.ec2.describe_subnets(SubnetIds=subnets)["Subnets"]]
    assert (status, client) == (200, "198.51.100.1")
    assert any(ipaddress.ip_address(peer) in ipaddress.ip_network(block) for block in blocks), told
    managed = account.managed(service["serviceArn"])
    (group,) = service["activeConfigurations"][0]["networkConfiguration"]["securityGroups"]
    balancer = managed["ingressPaths"][0]["loadBalancerSecurityGroups"][0]["arn"].rsplit("/", 1)[-1]
    network.revoke(group, 5000, balancer)

    def reasons() -> set[str]:
        found = [
            target["TargetHealth"].get("Reason", "healthy")
            for item in managed["ingressPaths"][0]["targetGroups"]
            for target in account.elbv2.describe_target_health(TargetGroupArn=item["arn"])["TargetHealthDescriptions"]
        ]
        return set(found)

    eventually(lambda: "Target.Timeout" in reasons(), TIMEOUT, "an unhealthy target")
    network.admit(group, 5000, balancer)
    eventually(lambda: account.get(endpoint) == (200, "hello"), TIMEOUT, "the service to be back")
    account.gone(service["serviceArn"], TIMEOUT)


def status_from(aws: LocalAws, endpoint: str, source: str) -> int:
    """The answer to a client with an address of its own."""
    host, _colon, port = endpoint.rpartition(":")
    context = ssl.create_default_context(cafile=aws.info["ca_bundle"])
    with (
        socket.create_connection(("127.0.0.1", int(port)), 60, source_address=(source, 0)) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(65536).split()[1])


def test_a_listener_rule_may_let_in_some_addresses_only(local_aws: LocalAws) -> None:
    account = Account(local_aws)
    service = ready(account, "some")
    arn, endpoint = service["serviceArn"], endpoint_of(service)
    rule = account.managed(arn)["ingressPaths"][0]["rule"]["arn"]
    [described] = account.elbv2.describe_rules(RuleArns=[rule])["Rules"]
    host = {"Field": "host-header", "HostHeaderConfig": {"Values": described["Conditions"][0]["Values"]}}
    office = {"Field": "source-ip", "SourceIpConfig": {"Values": ["127.9.0.0/16", "198.51.100.0/24"]}}
    account.elbv2.modify_rule(RuleArn=rule, Conditions=[host, office])
    assert status_from(local_aws, endpoint, "127.9.0.7") == 200
    assert status_from(local_aws, endpoint, "127.8.0.7") == 404
    # An update shifts traffic by the rule's actions and leaves its conditions alone.
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "again"}))
    assert account.settled(arn, 2, TIMEOUT)["status"] == "SUCCESSFUL"
    assert status_from(local_aws, endpoint, "127.9.0.7") == 200
    assert status_from(local_aws, endpoint, "127.8.0.7") == 404
    account.elbv2.modify_rule(RuleArn=rule, Conditions=[host])
    assert status_from(local_aws, endpoint, "127.8.0.7") == 200
    account.gone(arn, TIMEOUT)


def test_who_is_told_in_the_log(local_aws: LocalAws, restricted: dict[str, Any]) -> None:
    assert asks(restricted["Endpoint"]["Port"]) == "dropped"
    wanted = rf"database {restricted['DBInstanceIdentifier']}: no security group admits 127\.0\.0\.1, which is no task"
    eventually(lambda: re.search(wanted, local_aws.log()), what="a line in the log")


def test_nothing_listens_where_other_machines_could_connect(
    local_aws: LocalAws, network: Network, stage: Stage, restricted: dict[str, Any]
) -> None:
    """Of the daemon and all that it has started: the API, the load balancers, a database, a task, its endpoint."""
    task = stage.reach(stage.run(python(SERVER), security_groups=[network.group()]), "RUNNING")
    ports: dict[int, set[str]] = {}

    def heard() -> bool:
        ports.clear()
        for process in marked_processes(local_aws.home):
            with contextlib.suppress(psutil.Error):
                for one in process.net_connections("inet"):
                    if one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                        ports.setdefault(one.laddr.port, set()).add(one.laddr.ip.removeprefix("::ffff:"))
        return any(address(task) in found for found in ports.values())

    eventually(heard, what="the task's port")
    assert ports.keys() >= {local_aws.port, restricted["Endpoint"]["Port"]}
    addresses = {found for one in ports.values() for found in one}
    assert {found for found in addresses if not ipaddress.ip_address(found).is_loopback} == set()
