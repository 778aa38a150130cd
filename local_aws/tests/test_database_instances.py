# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS instances are real PostgreSQL: through plain boto3 and psycopg2."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from botocore.exceptions import ClientError
from running import LocalAws
from running import eventually

PASSWORD = "p:ss w%rd".replace(" ", "_") + secrets.token_urlsafe(12)


def describe(aws: LocalAws, name: str) -> dict[str, Any] | None:
    """An instance, or None."""
    try:
        return aws.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "DBInstanceNotFound"
        return None


def wait_for(aws: LocalAws, name: str, status: str = "available") -> dict[str, Any]:
    """Waits for a status."""

    def reached() -> Any:
        instance = describe(aws, name)
        assert instance is not None
        assert instance["DBInstanceStatus"] not in {"failed"} - {status}, aws.log()
        return instance if instance["DBInstanceStatus"] == status else None

    return eventually(reached, what=f"{name} to be {status}")


def open_to_this_machine(aws: LocalAws) -> dict[str, Any]:
    """How a program outside of the VPC, such as these tests, reaches an instance."""
    return {"PubliclyAccessible": True, "VpcSecurityGroupIds": [aws.open_group()]}


def create(aws: LocalAws, name: str, **options: Any) -> dict[str, Any]:
    """Orders an instance; it is open to this machine, unless the options say otherwise."""
    parameters = {
        "DBInstanceIdentifier": name,
        "Engine": "postgres",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "MasterUsername": "mlflow",
        "MasterUserPassword": PASSWORD,
        "DBName": "mlflow",
        **open_to_this_machine(aws),
    }
    return aws.client("rds").create_db_instance(**{**parameters, **options})["DBInstance"]


def connect(aws: LocalAws, instance: dict[str, Any], **options: Any) -> Any:
    """An SQL connection that verifies the server's name."""
    parameters = {
        "host": instance["Endpoint"]["Address"],
        "port": instance["Endpoint"]["Port"],
        "user": "mlflow",
        "password": PASSWORD,
        "dbname": "mlflow",
        "sslmode": "verify-full",
        "sslrootcert": aws.info["rds_ca_bundle"],
        "connect_timeout": 1800,
    }
    return psycopg2.connect(**{**parameters, **options})


def query(aws: LocalAws, instance: dict[str, Any], statement: str, **options: Any) -> Any:
    """Runs one statement; the first column of the first row, if there is one."""
    connection = connect(aws, instance, **options)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def delete(aws: LocalAws, name: str) -> None:
    """Removes an instance and waits for its end."""
    aws.client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    eventually(lambda: describe(aws, name) is None, what=f"{name} to be gone")


@pytest.fixture(scope="module")
def database(local_aws: LocalAws) -> Iterator[dict[str, Any]]:
    """One instance for the tests that do not change it."""
    name = f"shared-{uuid.uuid4().hex[:8]}"
    created = create(local_aws, name)
    assert created["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in created
    yield wait_for(local_aws, name)
    delete(local_aws, name)


@pytest.fixture
def new_database(local_aws: LocalAws) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes instances that are removed after the test."""
    names = []

    def make(**options: Any) -> dict[str, Any]:
        names.append(options.pop("name", f"own-{uuid.uuid4().hex[:8]}"))
        create(local_aws, names[-1], **options)
        return wait_for(local_aws, names[-1])

    yield make
    for name in names:
        instance = describe(local_aws, name)
        if instance and instance["DBInstanceStatus"] != "deleting":
            delete(local_aws, name)


def error_of(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    """The code and message of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_available_means_that_sql_works(local_aws: LocalAws, database: dict[str, Any]) -> None:
    assert database["Endpoint"]["Address"] == "localhost"
    assert database["EngineVersion"].startswith("16.")
    assert query(local_aws, database, "SELECT current_database() || '/' || current_user") == "mlflow/mlflow"
    assert query(local_aws, database, "SHOW server_version").startswith(database["EngineVersion"])


def test_the_master_user_is_no_superuser_but_owns_its_database(local_aws: LocalAws, database: dict[str, Any]) -> None:
    row = "SELECT rolsuper::text || rolcreatedb::text || rolcreaterole::text FROM pg_roles WHERE rolname = 'mlflow'"
    assert query(local_aws, database, row) == "falsetruetrue"
    assert query(local_aws, database, "CREATE TABLE public.t (a int); DROP TABLE public.t; SELECT 1") == 1
    assert query(local_aws, database, "SELECT pg_has_role('mlflow', 'rds_superuser', 'member')") is True
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(local_aws, database, "SELECT pg_read_file('/etc/passwd')")


def test_max_connections_follow_the_class(local_aws: LocalAws, database: dict[str, Any]) -> None:
    assert 70 <= int(query(local_aws, database, "SHOW max_connections")) <= 112


def test_unencrypted_connections_are_rejected(local_aws: LocalAws, database: dict[str, Any]) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba.conf entry for host .*no encryption"):
        connect(local_aws, database, sslmode="disable")


def test_force_ssl_can_be_switched_off(local_aws: LocalAws, new_database: Callable[..., dict[str, Any]]) -> None:
    rds = local_aws.client("rds")
    group = f"group-{uuid.uuid4().hex[:8]}"
    rds.create_db_parameter_group(DBParameterGroupName=group, DBParameterGroupFamily="postgres16", Description="d")
    instance = new_database(DBParameterGroupName=group)
    parameter = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[parameter])
    assert query(local_aws, instance, "SELECT 1", sslmode="disable") == 1
    dynamic = {"ParameterName": "log_min_duration_statement", "ParameterValue": "1234", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[dynamic])
    eventually(lambda: query(local_aws, instance, "SHOW log_min_duration_statement") == "1234ms", what="the parameter")
    code, message = error_of(rds.delete_db_parameter_group, DBParameterGroupName=group)
    assert code == "InvalidDBParameterGroupState"
    assert group in message
    wrong = {"ParameterName": "no_such_thing", "ParameterValue": "1", "ApplyMethod": "immediate"}
    code, message = error_of(rds.modify_db_parameter_group, DBParameterGroupName=group, Parameters=[wrong])
    assert (code, message) == ("InvalidParameterValue", "Could not find parameter with name: no_such_thing")


def test_a_wrong_password_is_refused(local_aws: LocalAws, database: dict[str, Any]) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(local_aws, database, password="wrong-password")


def test_a_running_query_can_be_cancelled(local_aws: LocalAws, database: dict[str, Any]) -> None:
    connection = connect(local_aws, database)
    over = threading.Event()

    def cancel() -> None:
        # Again and again: what comes before the query has begun is in vain.
        while not over.wait(0.5):
            connection.cancel()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    try:
        with pytest.raises(psycopg2.errors.QueryCanceled), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(300)")
    finally:
        over.set()
        cancelling.join()
        connection.close()


def test_large_results_and_uploads_pass_the_proxy(local_aws: LocalAws, database: dict[str, Any]) -> None:
    size = 8_000_000
    assert query(local_aws, database, f"SELECT length('{'x' * size}')") == size
    assert len(query(local_aws, database, f"SELECT repeat('y', {size})")) == size


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        ({"EngineVersion": "15.3"}, "InvalidParameterCombination", "Cannot find version 15.3 for postgres"),
        ({"EngineVersion": "16.1"}, "InvalidParameterCombination", "Cannot find version 16.1 for postgres"),
        ({"DBInstanceClass": "db.t9.huge"}, "InvalidParameterValue", "Invalid DB Instance class: db.t9.huge"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue", "shorter than 8"),
        ({"MasterUserPassword": "with/a/slash"}, "InvalidParameterValue", "Only printable ASCII"),
        ({"MasterUsername": "admin"}, "InvalidParameterValue", "reserved word"),
        ({"DBInstanceIdentifier": "two--hyphens"}, "InvalidParameterValue", "not a valid identifier"),
        ({"AllocatedStorage": 5}, "InvalidParameterCombination", "Invalid storage size"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue", "Invalid backup retention period"),
        ({"DBParameterGroupName": "nobody-made-it"}, "DBParameterGroupNotFound", "nobody-made-it"),
        ({"DBParameterGroupName": "default.postgres18"}, "InvalidParameterCombination", "postgres18"),
        ({"DBSubnetGroupName": "nobody-made-it"}, "DBSubnetGroupNotFoundFault", "nobody-made-it"),
    ],
)
def test_what_rds_refuses(local_aws: LocalAws, options: dict[str, Any], code: str, part: str) -> None:
    parameters = {
        "DBInstanceIdentifier": "refused",
        "Engine": "postgres",
        "EngineVersion": "16",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "MasterUsername": "mlflow",
        "MasterUserPassword": PASSWORD,
        **options,
    }
    found = error_of(local_aws.client("rds").create_db_instance, **parameters)
    assert found[0] == code
    assert part in found[1]
    assert describe(local_aws, "refused") is None


def test_only_the_installed_versions_are_on_offer(local_aws: LocalAws) -> None:
    rds = local_aws.client("rds")
    versions = rds.describe_db_engine_versions(Engine="postgres")["DBEngineVersions"]
    assert [item["DBParameterGroupFamily"] for item in versions] == ["postgres16", "postgres18"]
    exact = rds.describe_db_engine_versions(Engine="postgres", EngineVersion="18")["DBEngineVersions"]
    assert [item["EngineVersion"].split(".")[0] for item in exact] == ["18"]
    assert rds.describe_db_engine_versions(Engine="postgres", EngineVersion="15")["DBEngineVersions"] == []
    orderable = rds.describe_orderable_db_instance_options(Engine="postgres", DBInstanceClass="db.t4g.micro")
    assert orderable["OrderableDBInstanceOptions"]


def test_a_database_stays_creating_on_order_and_the_newest_major_version_runs(
    local_aws: LocalAws, new_database: Callable[..., dict[str, Any]], faults: Callable[..., str]
) -> None:
    name = f"held-{uuid.uuid4().hex[:8]}"
    fault = local_aws.hold("databases:Create", subject=name)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(new_database, name=name, EngineVersion="18")
        local_aws.await_held(fault)
        assert describe(local_aws, name)["DBInstanceStatus"] == "creating"
        local_aws.release(fault)
        instance = made.result()
    assert query(local_aws, instance, "SHOW server_version").startswith("18.")


def test_an_identifier_is_taken_once(local_aws: LocalAws, database: dict[str, Any]) -> None:
    code, _message = error_of(lambda: create(local_aws, database["DBInstanceIdentifier"].upper()))
    assert code == "DBInstanceAlreadyExists"


def test_a_database_can_be_gone_on_order(
    local_aws: LocalAws, database: dict[str, Any], faults: Callable[..., str]
) -> None:
    faults("databases:Connect", subject=database["DBInstanceIdentifier"], times=1)
    with pytest.raises(psycopg2.OperationalError):
        connect(local_aws, database)
    assert query(local_aws, database, "SELECT 1") == 1


def test_the_default_parameter_group_is_there_with_the_first_instance(
    local_aws: LocalAws, database: dict[str, Any]
) -> None:
    rds = local_aws.client("rds")
    family = f"postgres{database['EngineVersion'].partition('.')[0]}"
    name = database["DBParameterGroups"][0]["DBParameterGroupName"]
    assert name == f"default.{family}"
    (group,) = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]
    assert group["DBParameterGroupFamily"] == family
    assert group["DBParameterGroupArn"].endswith(f":pg:{name}")
    assert name in [item["DBParameterGroupName"] for item in rds.describe_db_parameter_groups()["DBParameterGroups"]]
    pages = rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=name)
    values = {item["ParameterName"]: item.get("ParameterValue") for page in pages for item in page["Parameters"]}
    assert values["rds.force_ssl"] == ("1" if int(family.removeprefix("postgres")) >= 15 else "0")
    change = {"ParameterName": "work_mem", "ParameterValue": "8192", "ApplyMethod": "immediate"}
    for call, more in [
        (rds.modify_db_parameter_group, {"Parameters": [change]}),
        (rds.reset_db_parameter_group, {"ResetAllParameters": True}),
        (rds.delete_db_parameter_group, {}),
    ]:
        assert error_of(call, DBParameterGroupName=name, **more)[0] == "InvalidDBParameterGroupState"


def test_the_servers_log_goes_to_cloudwatch_until_it_no_longer_does(
    local_aws: LocalAws, new_database: Callable[..., dict[str, Any]]
) -> None:
    instance = new_database(EnableCloudwatchLogsExports=["postgresql", "upgrade"])
    name = instance["DBInstanceIdentifier"]
    rds, logs = local_aws.client("rds"), local_aws.client("logs")
    assert instance["EnabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    with pytest.raises(psycopg2.OperationalError):
        connect(local_aws, instance, user="unlikely", password="unlikely-password")

    def told() -> bool:
        events = logs.filter_log_events(logGroupName=f"/aws/rds/instance/{name}/postgresql")["events"]
        return any('authentication failed for user "unlikely"' in event["message"] for event in events)

    eventually(told, what="the failed login in CloudWatch Logs")
    off = {"DisableLogTypes": ["postgresql"], "EnableLogTypes": ["iam-db-auth-error"]}
    changed = rds.modify_db_instance(DBInstanceIdentifier=name, CloudwatchLogsExportConfiguration=off)["DBInstance"]
    assert changed["EnabledCloudwatchLogsExports"] == ["iam-db-auth-error", "upgrade"]
    wrong = {"EnableLogTypes": ["audit"]}
    code, message = error_of(rds.modify_db_instance, DBInstanceIdentifier=name, CloudwatchLogsExportConfiguration=wrong)
    assert code == "InvalidParameterCombination"
    assert "cannot use the log types 'audit'" in message
