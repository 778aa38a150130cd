# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server trusts its database and nobody else, and only the server reaches it.

One deployment on a database that somebody else has made goes through all tests here, in their order.
"""

from __future__ import annotations

import functools
import json
import secrets
import shutil
import ssl
import string
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import QUICK
from harness import REGION
from harness import ROOT
from harness import SOFTWARE
from harness import LocalAws
from harness import eventually

NAME = "trusting"
# Every printable character, in an order that no two runs share: a user's own database takes them all, RDS's master user
# all but four.
PASSWORD = "".join(secrets.SystemRandom().sample(string.ascii_letters + string.digits + string.punctuation + " ", 95))
USER = "scientist"
TOKEN, LICENCE = secrets.token_urlsafe(24), secrets.token_urlsafe(24)


@pytest.fixture(scope="module")
def place(software: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS for the tests here."""
    folder = Path(tmp_path_factory.mktemp("database"))
    aws = LocalAws(folder, present_user=True)
    aws.up(QUICK)
    yield aws
    aws.down()


def sql(aws: LocalAws, endpoint: dict[str, Any], password: str, *statements: str) -> None:
    """Run statements as the master user, from outside of the VPC, with the server's own driver."""
    [python] = (SOFTWARE / "runtimes").glob("mlflow-3.17.2-full/bin/python")
    code = """
import json, psycopg2, sys
connection = psycopg2.connect("")
connection.autocommit = True
for statement in json.load(sys.stdin):
    connection.cursor().execute(statement)
"""
    done = subprocess.run(
        [str(python), "-c", code],
        env={
            "PGHOST": endpoint["Address"],
            "PGPORT": str(endpoint["Port"]),
            "PGUSER": "master",
            "PGDATABASE": "models",
            "PGPASSWORD": password,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": aws.info["rds_ca_bundle"],
            "PGCONNECT_TIMEOUT": "1800",
        },
        input=json.dumps(statements),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def tcp(source: str) -> list[dict[str, Any]]:
    """A rule for PostgreSQL."""
    return [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": source}]}]


class Database:
    """The database of somebody else: open to its VPC and, for the preparations, to this machine."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.ec2, self.rds = aws.client("ec2"), aws.client("rds")
        [self.vpc] = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        self.group = self.ec2.create_security_group(GroupName="company", Description="company")["GroupId"]
        self.admit(self.vpc["CidrBlock"])
        self.admit("127.0.0.1/32")
        master = secrets.token_urlsafe(24)
        self.rds.create_db_instance(
            DBInstanceIdentifier="companys",
            Engine="postgres",
            DBInstanceClass="db.t4g.micro",
            AllocatedStorage=20,
            DBName="models",
            MasterUsername="master",
            MasterUserPassword=master,
            PubliclyAccessible=True,
            VpcSecurityGroupIds=[self.group],
        )
        endpoint = self.available()
        literal = PASSWORD.replace("'", "''")
        sql(
            aws,
            endpoint,
            master,
            f"CREATE ROLE {USER} LOGIN PASSWORD '{literal}'",
            f"GRANT {USER} TO master",
            f"CREATE DATABASE tracking OWNER {USER}",
        )
        self.revoke("127.0.0.1/32")
        login = json.dumps({"username": USER, "password": PASSWORD})
        self.key = aws.client("kms").create_key(Description="company")["KeyMetadata"]["Arn"]
        keep = functools.partial(aws.client("secretsmanager").create_secret, KmsKeyId=self.key)
        self.secret = keep(Name="companys-login", SecretString=login)["ARN"]
        self.token = keep(Name="companys-token", SecretString=json.dumps({"value": TOKEN}))["ARN"]
        aws.client("ssm").put_parameter(
            Name="/companys/licence", Value=LICENCE, Type="SecureString", KeyId=self.key, Tier="Standard"
        )
        self.parameter = f"arn:aws:ssm:{REGION}:{aws.info['account_id']}:parameter/companys/licence"
        self.boundary = self.create_boundary()
        self.variables = {
            "mlflow_name": NAME,
            "mlflow_db_host": endpoint["Address"],
            "mlflow_db_port": endpoint["Port"],
            "mlflow_db_name": "tracking",
            "mlflow_db_username": USER,
            "mlflow_db_secret_arn": self.secret,
            "mlflow_extra_secrets": {"COMPANYS_TOKEN": f"{self.token}:value::", "COMPANYS_LICENCE": self.parameter},
            "mlflow_extra_secrets_kms_key_arns": [self.key],
            "mlflow_ingress_cidrs": ["127.0.0.0/16"],
            "mlflow_iam_path": "/teams/ml/",
            "mlflow_permissions_boundary_arn": self.boundary,
            "mlflow_auth": "none",
            "mlflow_allow_public_without_login": True,
        }

    def create_boundary(self) -> str:
        """Create a permissions boundary; its ARN."""
        statements = [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"},
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        policy = self.aws.client("iam").create_policy(PolicyName="Boundary", PolicyDocument=document)
        return str(policy["Policy"]["Arn"])

    def admit(self, source: str) -> None:
        """Add a rule."""
        self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=tcp(source))

    def revoke(self, source: str) -> None:
        """Take a rule back."""
        self.ec2.revoke_security_group_ingress(GroupId=self.group, IpPermissions=tcp(source))

    def available(self) -> dict[str, Any]:
        """Wait for it; its endpoint."""

        def found() -> dict[str, Any] | None:
            [instance] = self.rds.describe_db_instances(DBInstanceIdentifier="companys")["DBInstances"]
            return instance["Endpoint"] if instance["DBInstanceStatus"] == "available" else None

        return eventually(found, "the company's database")


@pytest.fixture(scope="module")
def database(place: LocalAws) -> Database:
    """The database."""
    return Database(place)


def container(aws: LocalAws) -> dict[str, Any]:
    """The container of the running service."""
    [service] = aws.client("ecs").describe_services(services=[NAME])["services"]
    answer = aws.client("ecs").describe_express_gateway_service(serviceArn=service["serviceArn"])
    return answer["service"]["activeConfigurations"][0]["primaryContainer"]


def test_the_connection_is_verified_and_every_printable_character_may_be_in_the_password(
    place: LocalAws, database: Database
) -> None:
    variables = place.small(**database.variables)
    played = place.play("deploy", variables).succeeded()
    assert PASSWORD not in played.output
    environment = {item["name"]: item["value"] for item in container(place)["environment"]}
    assert environment["PGSSLMODE"] == "verify-full"
    authority = Path(place.info["rds_ca_bundle"]).read_text(encoding="ascii").strip()
    assert environment["DATABASE_CA_CERTIFICATES"] == authority
    assert PASSWORD not in json.dumps(container(place))


def test_nothing_is_left_to_change_and_a_key_in_the_file_goes_nowhere(
    place: LocalAws, database: Database, tmp_path: Path
) -> None:
    shutil.copy(place.info["rds_ca_bundle"], tmp_path / "both.pem")
    with (tmp_path / "both.pem").open("a", encoding="ascii") as stream:
        stream.write("-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n")
    both = place.small(**database.variables, mlflow_db_ca_path=str(tmp_path / "both.pem"))
    assert place.play("deploy", both, check=True).succeeded().changed == {"localhost": 0}


def test_secrets_and_parameters_under_a_customers_key_reach_the_server(place: LocalAws, database: Database) -> None:
    assert {item["name"]: item["valueFrom"] for item in container(place)["secrets"]}.items() >= {
        "COMPANYS_TOKEN": f"{database.token}:value::",
        "COMPANYS_LICENCE": database.parameter,
    }.items()
    [arn] = place.client("ecs").list_tasks(serviceName=NAME, desiredStatus="RUNNING")["taskArns"]
    pid = place.page("status")["processes"][f"task/{arn.rpartition('/')[2]}"]
    environment = psutil.Process(pid).environ()
    assert (environment["COMPANYS_TOKEN"], environment["COMPANYS_LICENCE"]) == (TOKEN, LICENCE)


def rule(aws: LocalAws) -> dict[str, Any]:
    """The listener rule of the service."""
    ecs = aws.client("ecs")
    [service] = ecs.describe_services(services=[NAME])["services"]
    described = ecs.describe_express_gateway_service(serviceArn=service["serviceArn"])["service"]
    revision = described["activeConfigurations"][0]["serviceRevisionArn"]
    [found] = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    arn = found["ecsManagedResources"]["ingressPaths"][0]["rule"]["arn"]
    return aws.client("elbv2").describe_rules(RuleArns=[arn])["Rules"][0]


def test_who_may_call_it_is_said_and_repaired(place: LocalAws, database: Database) -> None:
    [host, sources] = rule(place)["Conditions"]
    assert (host["Field"], sources["Field"]) == ("host-header", "source-ip")
    assert sources["Values"] == ["127.0.0.0/16"]
    without = {"Field": "host-header", "HostHeaderConfig": {"Values": host["Values"]}}
    place.client("elbv2").modify_rule(RuleArn=rule(place)["RuleArn"], Conditions=[without])
    variables = place.small(**database.variables)
    assert place.play("deploy", variables, check=True).succeeded().changed == {"localhost": 1}
    assert place.play("deploy", variables).succeeded().changed == {"localhost": 1}
    assert sources in rule(place)["Conditions"]


def test_the_roles_are_as_narrow_as_was_said(place: LocalAws, database: Database) -> None:
    iam = place.client("iam")
    names = [f"{NAME}-{kind}-role" for kind in ("task", "execution", "infrastructure")]
    for name in names:
        role = iam.get_role(RoleName=name)["Role"]
        assert role["Path"] == "/teams/ml/"
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == database.boundary
    [task, execution, infrastructure] = (iam.list_role_policies(RoleName=name)["PolicyNames"] for name in names)
    assert (task, sorted(execution), infrastructure) == (
        ["MLflowArtifacts"],
        ["MLflowExtraSecretsKeys", "MLflowTaskStart"],
        [],
    )
    keys = iam.get_role_policy(RoleName=names[1], PolicyName="MLflowExtraSecretsKeys")["PolicyDocument"]
    [decrypt] = _listed(keys["Statement"])
    assert (_listed(decrypt["Action"]), _listed(decrypt["Resource"])) == (["kms:Decrypt"], [database.key])
    via = decrypt["Condition"]["StringEquals"]["kms:ViaService"]
    assert sorted(via) == [f"{service}.{REGION}.amazonaws.com" for service in ("secretsmanager", "ssm")]
    inline = iam.get_role_policy(RoleName=names[1], PolicyName="MLflowTaskStart")["PolicyDocument"]
    allowed = {action: to["Resource"] for to in inline["Statement"] for action in _listed(to["Action"])}
    server = place.client("secretsmanager").describe_secret(SecretId=f"{NAME}/server")["ARN"]
    group = f"arn:aws:logs:us-east-1:123456789012:log-group:/ecs/default/{NAME}:*"
    assert sorted(_listed(allowed.pop("secretsmanager:GetSecretValue"))) == sorted(
        [database.secret, database.token, server]
    )
    assert _listed(allowed.pop("ssm:GetParameters")) == [database.parameter]
    assert allowed == {"logs:CreateLogStream": group, "logs:PutLogEvents": group}
    attached = [iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] for name in names]
    assert [[policy["PolicyName"] for policy in policies] for policies in attached] == [
        [],
        ["AmazonECSTaskExecutionRolePolicy"],
        ["AmazonECSInfrastructureRoleforExpressGatewayServices"],
    ]
    url = f"arn:aws:iam::aws:policy/service-role/{attached[1][0]['PolicyName']}"
    version = iam.get_policy_version(
        PolicyArn=url, VersionId=iam.get_policy(PolicyArn=url)["Policy"]["DefaultVersionId"]
    )
    actions = [to["Action"] for to in _listed(version["PolicyVersion"]["Document"]["Statement"])]
    assert "ecr:BatchGetImage" in actions[0]


def _listed(value: Any) -> list[Any]:
    """Policies leave out the brackets around one thing."""
    return value if isinstance(value, list) else [value]


def answer(aws: LocalAws, path: str) -> int:
    """The status of the server's answer; 0: there was none in time."""
    context = ssl.create_default_context(cafile=aws.info["ca_bundle"])
    [service] = aws.client("ecs").describe_services(services=[NAME])["services"]
    described = aws.client("ecs").describe_express_gateway_service(serviceArn=service["serviceArn"])["service"]
    endpoint = described["activeConfigurations"][0]["ingressPaths"][0]["endpoint"]
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        return urllib.request.build_opener(*handlers).open(f"https://{endpoint}{path}", timeout=15).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_without_the_rule_the_server_loses_its_database(place: LocalAws, database: Database) -> None:
    search = "/api/2.0/mlflow/experiments/search?max_results=1"
    eventually(lambda: answer(place, search) == 200, "an answer")
    database.revoke(database.vpc["CidrBlock"])
    # Connections that were admitted stay, so they are ended.
    database.rds.reboot_db_instance(DBInstanceIdentifier="companys")
    database.available()
    assert answer(place, search) in (0, 500, 503)
    eventually(lambda: answer(place, "/health") == 200, "the server's health")
    database.admit(database.vpc["CidrBlock"])
    eventually(lambda: answer(place, search) == 200, "the server to have its database again")


def test_a_wrong_authority_ends_the_task_with_an_explanation(place: LocalAws, database: Database) -> None:
    wrong = place.small(**database.variables, mlflow_db_ca_path=place.info["ca_bundle"])
    problem = place.play("deploy", wrong).problem()
    assert "does not trust its database's certificate" in problem
    assert "mlflow_db_ca_path" in problem
    # The one that ran before goes on.
    search = "/api/2.0/mlflow/experiments/search?max_results=1"
    eventually(lambda: answer(place, search) == 200, "an answer of the one before")


def test_refused_before_anything_is_created(place: LocalAws, database: Database) -> None:
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "no-certificates": ({"mlflow_db_ca_path": str(ROOT / "LICENSE")}, "LICENSE) holds 0 PEM certificates"),
        "nobody-to-trust": (
            {"mlflow_db_ca_path": "", "mlflow_db_sslmode": "verify-full"},
            "it is not known who signs the certificates",
        ),
    }
    place.page("calls", "DELETE")
    hosts = {host: place.small(**{**database.variables, **case[0]}) for host, case in cases.items()}
    played = place.play("deploy", hosts=hosts)
    for host, (_variables, words) in cases.items():
        assert words in played.problem(host)
    assert place.writes() == []
