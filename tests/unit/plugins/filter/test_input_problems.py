# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.filter import arn_problem
from ansible_collections.mlops.mlflow_aws.plugins.filter import input_problems
from ansible_collections.mlops.mlflow_aws.plugins.filter import mlflow_version_at_least
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import arns
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import deployment

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
SECRET = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:mlflow/x-a1B2c3"
ROLE = Path(__file__).parents[4] / "roles" / "mlflow"


def check(**given):
    return input_problems.input_problems(given, account_id=ACCOUNT, region="eu-central-1")


@pytest.mark.parametrize("name", ["mlflow", "m", "ml-flow-2", "a" * 27])
def test_good_names(name):
    assert check(mlflow_name=name) == []


@pytest.mark.parametrize(
    "name", ["", None, "Mlflow", "2mlflow", "ml--flow", "mlflow-", "-mlflow", "ml_flow", "ml flow", 7, "sg-x"]
)
def test_bad_names(name):
    problems = check(mlflow_name=name)
    assert len(problems) == 1
    assert problems[0].startswith("mlflow_name ")


@pytest.mark.parametrize(
    ("given", "region", "longest"),
    [
        ({}, "eu-central-1", 27),
        ({}, "ap-southeast-1", 25),
        ({}, "", 44),
        ({"mlflow_bucket_name": "our-bucket"}, "eu-central-1", 44),
    ],
)
def test_longest_name(given, region, longest):
    def problems(length):
        return input_problems.input_problems({"mlflow_name": "a" * length, **given}, ACCOUNT, region)

    assert problems(longest) == []
    assert f"at most {longest} characters" in problems(longest + 1)[0]


@pytest.mark.parametrize("version", ["3.10.0", "3.17.2", "4.0.0", "10.0.0"])
def test_good_versions(version):
    assert check(mlflow_version=version) == []


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("3.9.9", "older than 3.10.0"),
        ("2.22.0", "older than 3.10.0"),
        ("latest", "changes by itself"),
        ("", "empty"),
        (None, "empty"),
        ("3.17", "does not name one release"),
        (3.17, "without quotes"),
        (3, "without quotes"),
        ("v3.17.2", "with a v"),
        ("3.17.2rc1", "no released version"),
        ("3.17.2\n", "no released version"),
        (True, "no released version"),
        (["3.17.2"], "no released version"),
    ],
)
def test_bad_versions(version, reason):
    problems = check(mlflow_version=version)
    assert len(problems) == 1
    assert problems[0].startswith("mlflow_version ")
    assert reason in problems[0]


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        (256, 2048), (512, 2048), (512, 4096), (1024, 2048), (1024, "8192"), ("2048", 4096), (2048, 16384),
        (4096, 30720), (8192, 16384), (8192, 61440), (16384, 32768), (16384, 122880),
    ],
)  # fmt: skip
def test_sizes_that_fargate_sells(cpu, memory):
    assert check(mlflow_cpu=cpu, mlflow_memory=memory) == []


@pytest.mark.parametrize(
    ("cpu", "memory", "name"),
    [
        (1, 2048, "mlflow_cpu"), ("1 vCPU", 2048, "mlflow_cpu"), (0.5, 1024, "mlflow_cpu"), (True, 2048, "mlflow_cpu"),
        (256, 512, "mlflow_memory"), (512, 1024, "mlflow_memory"), (1024, -1, "mlflow_memory"),
        (256, 4096, "mlflow_memory"), (512, 512, "mlflow_memory"), (1024, 1024, "mlflow_memory"),
        (1024, 2500, "mlflow_memory"), (2048, 2048, "mlflow_memory"), (4096, 31744, "mlflow_memory"),
        (8192, 17408, "mlflow_memory"), (16384, 36864, "mlflow_memory"), (1024, "4 GB", "mlflow_memory"),
        (1024, "4096.0", "mlflow_memory"), (1024, None, "mlflow_memory"),
    ],
)  # fmt: skip
def test_sizes_that_it_does_not(cpu, memory, name):
    problems = check(mlflow_cpu=cpu, mlflow_memory=memory)
    assert len(problems) == 1
    assert problems[0].startswith(f"{name} ")


GOOD = [
    ("mlflow_image", "ghcr.io/mlflow/mlflow:v3.17.2-full"),
    ("mlflow_image", "registry:5000/mlflow@sha256:" + "0" * 64),
    ("mlflow_tags", {"Team": "ml"}),
    ("mlflow_subnet_ids", ["subnet-0123456789abcdef0", "subnet-01234567"]),
    ("mlflow_service_ingress_cidrs", ["10.0.0.0/16", "203.0.113.7/32", "2001:db8::/32"]),
    ("mlflow_ingress", "private"),
    ("mlflow_ingress_cidrs", ["198.51.100.0/24", "203.0.113.7/32"]),
    ("mlflow_db_ca_path", "certificates/rds.pem"),
    ("mlflow_bucket_name", "our-models"),
    ("mlflow_bucket_kms_key_arn", KEY),
    ("mlflow_bucket_noncurrent_days", "30"),
    ("mlflow_bucket_access_log_bucket", "our-logs"),
    ("mlflow_log_kms_key_arn", KEY),
    ("mlflow_secrets_kms_key_arn", KEY),
    ("mlflow_db_log_exports", []),
    ("mlflow_db_log_exports", ["postgresql", "upgrade", "iam-db-auth-error"]),
    ("mlflow_db_subnet_ids", ["subnet-0123456789abcdef0", "subnet-01234567"]),
    ("mlflow_db_port", "5432"),
    ("mlflow_db_engine_version", 16),
    ("mlflow_db_engine_version", "16.8"),
    ("mlflow_iam_path", "/"),
    ("mlflow_iam_path", "/teams/ml/"),
    ("mlflow_permissions_boundary_arn", f"arn:aws:iam::{ACCOUNT}:policy/Boundary"),
    ("mlflow_permissions_boundary_arn", "arn:aws:iam::aws:policy/PowerUserAccess"),
    ("mlflow_workers", "2"),
    ("mlflow_demo", "yes"),
    ("mlflow_demo", "False"),
    ("mlflow_extra_env", {"A_B": "x"}),
    (
        "mlflow_extra_secrets",
        {"A": SECRET, "B": f"{SECRET}:key::", "C": f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/x"},
    ),
    ("mlflow_log_retention_days", 30),
    ("mlflow_extra_args", ["--expose-prometheus", "/tmp/metrics", "--secrets-cache-ttl", 30]),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good(name, value):
    assert check(**{name: value}) == []


@pytest.mark.parametrize("name", sorted({name for name, _value in GOOD}))
@pytest.mark.parametrize("value", [None, ""])
def test_empty_counts_as_left_out(name, value):
    assert check(**{name: value}) == []


BAD = [
    ("mlflow_image", "ghcr.io/mlflow/mlflow", "names no version"),
    ("mlflow_image", "ghcr.io/mlflow/mlflow:latest", "names no version"),
    ("mlflow_image", "registry:5000/mlflow", "names no version"),
    ("mlflow_image", 5, "must be an image"),
    ("mlflow_tags", ["a"], "dictionary"),
    ("mlflow_tags", {"aws:x": "y"}, "AWS's own"),
    ("mlflow_tags", {f"k{n}": "v" for n in range(41)}, "40"),
    ("mlflow_subnet_ids", "subnet-01234567,subnet-01234568", "list"),
    ("mlflow_subnet_ids", ["subnet-01234567", "vpc-1"], "mlflow_subnet_ids[1]"),
    ("mlflow_subnet_ids", ["subnet-01234567"], "two or more"),
    ("mlflow_service_ingress_cidrs", ["10.0.0.1"], "/32"),
    ("mlflow_ingress", "internal", "private"),
    ("mlflow_ingress_cidrs", ["10.0.0.1"], "/32"),
    ("mlflow_ingress_cidrs", [f"198.51.100.{number}/32" for number in range(5)], "takes 4 besides the host name"),
    ("mlflow_service_ingress_cidrs", ["10.0.0.1/16"], "10.0.0.0/16"),
    ("mlflow_service_ingress_cidrs", ["300.0.0.0/8"], "such as"),
    ("mlflow_service_ingress_cidrs", "10.0.0.0/16", "list"),
    ("mlflow_bucket_name", "Our_Models", "lower-case"),
    ("mlflow_bucket_name", "s3://our-models", "lower-case"),
    ("mlflow_bucket_name", 12345, "not a string"),
    ("mlflow_bucket_adopt", True, "say which"),
    ("mlflow_bucket_kms_key_arn", f"arn:aws:iam::{ACCOUNT}:role/x", "role of iam"),
    ("mlflow_bucket_kms_key_arn", "alias/ours", "must be an ARN"),
    ("mlflow_bucket_kms_key_arn", f"arn:aws:kms:eu-central-1:{ACCOUNT}:alias/ours", "alias of kms"),
    ("mlflow_db_host", "postgresql://db:5432", "without a scheme"),
    ("mlflow_db_host", "db.example.com", "without mlflow_db_secret_arn"),
    ("mlflow_db_secret_arn", SECRET, "without mlflow_db_host"),
    ("mlflow_db_name", "1db", "begin with"),
    ("mlflow_db_username", "admin", "not admin"),
    ("mlflow_db_port", "http", "whole number"),
    ("mlflow_db_port", 80, "1150"),
    ("mlflow_db_sslmode", "off", "verify-full"),
    ("mlflow_db_engine_version", "sixteen", "'16'"),
    ("mlflow_db_instance_class", "t4g.micro", "db.t4g.micro"),
    ("mlflow_db_allocated_storage", 5, "20"),
    ("mlflow_db_backup_retention_days", 36, "35"),
    ("mlflow_db_multi_az", "maybe", "true or false"),
    ("mlflow_iam_path", "teams", "slash"),
    ("mlflow_permissions_boundary_arn", f"arn:aws:iam::{ACCOUNT}:user/x", "user of iam"),
    ("mlflow_permissions_boundary_arn", "arn:aws:iam::12:policy/x", "12 digits"),
    ("mlflow_cluster", f"arn:aws:ecs:eu-central-1:{ACCOUNT}:cluster/x", "name of an ECS cluster"),
    ("mlflow_workers", 0, "1 to 64"),
    ("mlflow_workers", 2.5, "whole number"),
    ("mlflow_workers", True, "whole number"),
    ("mlflow_extra_env", {"A-B": "x"}, "A-B"),
    ("mlflow_extra_env", ["A=B"], "dictionary"),
    ("mlflow_extra_secrets", {"A": "password"}, "mlflow_extra_secrets['A']"),
    ("mlflow_log_retention_days", 31, "30"),
    ("mlflow_allowed_hosts", ["ok", ""], "mlflow_allowed_hosts[1]"),
    ("mlflow_demo", 7, "true or false"),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_bad(name, value, words):
    more = {"mlflow_db_secret_arn": SECRET} if "scheme" in words else {}
    problems = check(**{name: value}, **more)
    assert len(problems) == 1, problems
    assert name in problems[0]
    assert words in problems[0]
    assert problems[0].endswith(".")


def test_the_same_variable_twice():
    assert len(check(mlflow_extra_env={"A": "x"}, mlflow_extra_secrets={"A": SECRET})) == 1


def test_all_mistakes_at_once():
    assert len(check(mlflow_name="X", mlflow_version="latest", mlflow_cpu=7, mlflow_demo="maybe")) == 4


def test_the_roles_defaults_have_no_problem():
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert check(**defaults) == []


def test_every_variable_that_is_checked_exists():
    spec = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(deployment.CHECKS) - set(spec) == set()


@pytest.mark.parametrize(
    ("value", "service", "kind", "good"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/x", "iam", "role", True),
        (f"arn:aws-cn:iam::{ACCOUNT}:role/path/x", "iam", "role", True),
        (f"arn:aws:iam::{ACCOUNT}:role/x", "iam", "policy", False),
        (f"arn:aws:iam::{ACCOUNT}:role/", "iam", "role", False),
        (f"arn:aws:iam::{ACCOUNT}:role", "iam", "role", False),
        ("x", "iam", "role", False),
        (None, "iam", "role", False),
        (SECRET, "secretsmanager", "secret", True),
        (f"arn:aws:secretsmanager::{ACCOUNT}:secret:x", "secretsmanager", "secret", False),
        (f"arn:gcp:iam::{ACCOUNT}:role/x", "iam", "role", False),
    ],
)
def test_arn_problem(value, service, kind, good):
    assert (arns.arn_problem(value, service, kind) is None) is good
    assert (arn_problem.arn_problem(value, service, kind) == "") is good


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [("3.17.2", "3.17.2", True), ("3.9.0", "3.10.0", False), ("3.10.0", "3.9.9", True), ("4.0.0", "3.99.99", True)],
)
def test_version_at_least(one, other, answer):
    assert mlflow_version_at_least.mlflow_version_at_least(one, other) is answer


def test_filters_refuse_nonsense():
    with pytest.raises(AnsibleFilterError, match=r"3\.17"):
        mlflow_version_at_least.mlflow_version_at_least("3.17", "3.10.0")
    with pytest.raises(AnsibleFilterError, match="dictionary"):
        input_problems.input_problems(["mlflow_name"])
    for plugin in (input_problems, mlflow_version_at_least, arn_problem):
        assert list(plugin.FilterModule().filters()) == [plugin.__name__.rsplit(".", maxsplit=1)[-1]]


@pytest.mark.parametrize(
    ("kind", "size", "iops", "throughput"),
    [
        (None, None, None, None), ("gp3", 20, 0, 0), ("gp3", 400, 0, 0), ("gp3", 400, 12000, 500),
        ("gp3", "400", "16000", "4000"), ("gp3", 65536, 64000, 4000), ("gp3", 400, 0, 3000), ("gp2", 500, 0, 0),
        ("io1", 100, 1000, 0), ("io1", 100, 5000, 0), ("io1", 4000, 2000, 0), ("io2", 100, 100000, 0),
        ("io2", 65536, 256000, 0), ("standard", 20, 0, 0),
    ],
)  # fmt: skip
def test_storage_that_rds_has(kind, size, iops, throughput):
    given = {
        "mlflow_db_storage_type": kind,
        "mlflow_db_allocated_storage": size,
        "mlflow_db_iops": iops,
        "mlflow_db_storage_throughput": throughput,
    }
    assert check(**{name: value for name, value in given.items() if value is not None}) == []


@pytest.mark.parametrize(
    ("kind", "size", "iops", "throughput", "told"),
    [
        ("gp3", 20, 3000, 0, "mlflow_db_iops cannot be set with mlflow_db_allocated_storage 20"),
        ("gp3", 399, 0, 500, "mlflow_db_storage_throughput cannot be set with mlflow_db_allocated_storage 399"),
        ("gp3", 400, 11999, 0, "gp3 takes 12000 to 64000"),
        ("gp3", 400, 64001, 0, "gp3 takes 12000 to 64000"),
        ("gp3", 400, 12000, 499, "gp3 takes 500 to 4000 MiB/s"),
        ("gp3", 400, 12000, 3001, "set mlflow_db_iops to 12004 or more"),
        ("gp3", 400, 0, 3001, "12000 IOPS allow 3000 MiB/s"),
        ("gp2", 500, 3000, 0, "cannot be set with mlflow_db_storage_type gp2"),
        ("standard", 500, 3000, 500, "mlflow_db_iops and mlflow_db_storage_throughput cannot be set"),
        ("io1", 100, 0, 0, "needs mlflow_db_iops: 1000 to 5000 with 100 GiB"),
        ("io1", 20, 1000, 0, "io1 begins with 100 GiB"),
        ("io1", 100, 5001, 0, "takes 1000 to 5000: 0.5 to 50 for each GiB"),
        ("io1", 4000, 1999, 0, "takes 2000 to 200000"),
        ("io2", 100, 100001, 0, "takes 1000 to 100000"),
        ("io2", 100, 1000, 500, "mlflow_db_storage_throughput cannot be set with mlflow_db_storage_type io2"),
    ],
)
def test_storage_that_rds_does_not_have(kind, size, iops, throughput, told):
    given = {
        "mlflow_db_storage_type": kind,
        "mlflow_db_allocated_storage": size,
        "mlflow_db_iops": iops,
        "mlflow_db_storage_throughput": throughput,
    }
    [problem] = check(**given)
    assert told in problem
    host = {"mlflow_db_host": "db.example.com", "mlflow_db_secret_arn": SECRET}
    assert check(**given, **host) == [], "it is not for an existing database"
