# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other partitions (AWS GovCloud (US), China …): ARNs, host names and addresses are derived, not written down.

The roles' variables and the playbook's policies are rendered for each partition, as Ansible renders them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import play_of
from plays import playbook
from plays import run
from plays import shown_in

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "123456789012"
# Region, partition, suffix of AWS's APIs, suffix of what customers run, address of RDS's certificates.
PARTITIONS = {
    "aws": ("eu-central-1", "amazonaws.com", "on.aws", "https://truststore.pki.rds.amazonaws.com/eu-central-1/"),
    "aws-us-gov": (
        "us-gov-west-1",
        "amazonaws.com",
        "on.aws",
        "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-west-1/",
    ),
    "aws-cn": (
        "cn-north-1",
        "amazonaws.com.cn",
        "on.amazonwebservices.com.cn",
        "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/cn-north-1/",
    ),
    # AWS does not say where; the role asks for mlflow_db_ca_path then.
    "aws-eusc": ("eusc-de-east-1", "amazonaws.eu", "on.amazonwebservices.eu", ""),
}


def context(partition: str) -> dict[str, str]:
    """As aws_caller_context returns it."""
    region, dns_suffix, on_dns_suffix, _unused = PARTITIONS[partition]
    return {
        "account_id": ACCOUNT,
        "partition": partition,
        "region": region,
        "dns_suffix": dns_suffix,
        "on_dns_suffix": on_dns_suffix,
    }


def given(partition: str) -> dict[str, dict[str, Any]]:
    """What each role is told, by role."""
    where = context(partition)
    bucket = f"arn:{partition}:s3:::mlflow-artifacts"
    secret = f"arn:{partition}:secretsmanager:{where['region']}:{ACCOUNT}:secret:mlflow/database-AbCdEf"
    logs = f"arn:{partition}:logs:{where['region']}:{ACCOUNT}:log-group:/ecs/default/mlflow"
    return {
        "iam": {
            "iam_name": "mlflow",
            "iam_context": where,
            "iam_bucket_arn": bucket,
            "iam_bucket_kms_key_arn": f"arn:{partition}:kms:{where['region']}:{ACCOUNT}:key/1",
            "iam_secret_arns": [secret, secret.replace(":secretsmanager:", ":ssm:").replace(":secret:", ":parameter/")],
            "iam_extra_secrets_kms_key_arns": [f"arn:{partition}:kms:{where['region']}:{ACCOUNT}:key/2"],
            "iam_log_group_arn": logs,
        },
        "rds": {"rds_name": "mlflow", "rds_context": where},
        "ecs_express": {
            "ecs_express_context": where,
            "ecs_express_service_name": "mlflow",
            "ecs_express_database_host": f"mlflow.abc.{where['region']}.rds.{where['dns_suffix']}",
            "ecs_express_database_secret_arn": secret,
            "ecs_express_bucket": "mlflow-artifacts",
        },
    }


SHOWN = {
    "iam": "{'roles': __iam_roles, 'linked': __iam_service_linked_roles}",
    "rds": "{'bundle': __rds_findings.bundle_url}",
    "ecs_express": "[__ecs_express_command, __ecs_express_environment, __ecs_express_secrets, __ecs_express_image]",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All of it, by partition and role; each partition is a host."""
    folder = tmp_path_factory.mktemp("partitions")
    shown = ", ".join(f"'{role}': {expression}" for role, expression in SHOWN.items())
    task = shown_in(f"{{{{ {{{shown}}} | to_json }}}}", f"{folder}/{{{{ inventory_hostname }}}}.json")
    files = [ROOT / "roles" / role / part / "main.yml" for role in SHOWN for part in ("defaults", "vars")]
    play = play_of([task], *files, folder / "{{ inventory_hostname }}.yml")
    for partition in PARTITIONS:
        told = {name: value for variables in given(partition).values() for name, value in variables.items()}
        (folder / f"{partition}.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    run(folder, play, hosts=",".join(PARTITIONS), extra={"role_path": str(ROOT / "roles" / "ecs_express")})
    return {partition: json.loads((folder / f"{partition}.json").read_text()) for partition in PARTITIONS}


def test_the_execution_role_reads_secrets_and_parameters_each_by_its_own_action(
    rendered: dict[str, dict[str, Any]],
) -> None:
    document = rendered["aws"]["iam"]["roles"][1]["inline_policies"]["MLflowTaskStart"]
    statements = {one["Action"]: one["Resource"] for one in document["Statement"] if isinstance(one["Action"], str)}
    assert statements.keys() == {"secretsmanager:GetSecretValue", "ssm:GetParameters"}
    for action, [resource] in statements.items():
        assert resource.split(":")[2] == action.split(":")[0]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_execution_role_decrypts_with_the_named_keys_only_and_only_for_its_secrets(
    rendered: dict[str, dict[str, Any]], partition: str
) -> None:
    region, suffix = PARTITIONS[partition][:2]
    policies = rendered[partition]["iam"]["roles"][1]["inline_policies"]
    [statement] = policies["MLflowExtraSecretsKeys"]["Statement"]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == [f"arn:{partition}:kms:{region}:{ACCOUNT}:key/2"]
    via = statement["Condition"]["StringEquals"]["kms:ViaService"]
    expected = {
        f"{service}.{region}.{end}" for service in ("secretsmanager", "ssm") for end in ("amazonaws.com", suffix)
    }
    assert set(via) == expected
    assert not any(
        "MLflowExtraSecretsKeys" in role["inline_policies"] for role in rendered[partition]["iam"]["roles"][::2]
    )


def arns(document: Any) -> list[str]:
    """All ARNs in it."""
    return re.findall(r"\barn:[^\"'\s]+", json.dumps(document))


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_arn_is_one_of_the_partition(rendered: dict[str, dict[str, Any]], partition: str) -> None:
    found = arns(rendered[partition])
    assert len(found) > 6
    assert [one for one in found if not one.startswith(f"arn:{partition}:")] == []


@pytest.mark.parametrize("partition", PARTITIONS)
def test_managed_policies_are_those_of_the_partition(rendered: dict[str, dict[str, Any]], partition: str) -> None:
    managed = [one for role in rendered[partition]["iam"]["roles"] for one in role["managed_policies"]]
    assert len(managed) == 2
    assert [one for one in managed if not one.startswith(f"arn:{partition}:iam::aws:policy/service-role/Amazon")] == []


@pytest.mark.parametrize("partition", PARTITIONS)
def test_ecs_assumes_the_roles_of_tasks_for_this_account_and_region_only(
    rendered: dict[str, dict[str, Any]], partition: str
) -> None:
    region = PARTITIONS[partition][0]
    task, execution, infrastructure = (role["condition"] for role in rendered[partition]["iam"]["roles"])
    assert task == execution
    assert task == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:{partition}:ecs:{region}:{ACCOUNT}:*"},
    }
    assert infrastructure == {}


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_server_admits_the_host_name_that_aws_gives_it(rendered: dict[str, dict[str, Any]], partition: str) -> None:
    region, _unused, suffix, _bundle = PARTITIONS[partition]
    environment = rendered[partition]["ecs_express"][1]
    assert environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")[0] == f"ml-*.ecs.{region}.{suffix}"
    assert environment["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == f"https://ml-*.ecs.{region}.{suffix}"
    assert environment["AWS_DEFAULT_REGION"] == region


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_certificates_of_rds_come_from_the_partition(rendered: dict[str, dict[str, Any]], partition: str) -> None:
    region, _unused, _suffix, address = PARTITIONS[partition]
    assert rendered[partition]["rds"]["bundle"] == (f"{address}{region}-bundle.pem" if address else "")


def test_policies_for_who_deploys(tmp_path: Path) -> None:
    partition = "aws-cn"
    playbook(tmp_path, "mlops.mlflow_aws.policies", "-e", f"mlflow_policies_partition={partition}")
    written = sorted((tmp_path / "policies").glob("*.json"))
    assert [path.name for path in written] == sorted(path.name for path in (ROOT / "docs/policies").glob("*.json"))
    found = arns([json.loads(path.read_text(encoding="utf-8")) for path in written])
    assert [one for one in found if not one.startswith(f"arn:{partition}:")] == []


# --- what is written down --------------------------------------------------------------------------------------------

# Principals and conditions name services alike in every partition, but for a few that are not ours (elasticmapreduce,
# logs, codedeploy in China): the AWS provider of Terraform, data source aws_service_principal.
_SERVICES = r"cloudwatch|ecs|ecs-tasks|ecs\.application-autoscaling|elasticloadbalancing|rds|autoscaling|scheduler"
_PRINCIPALS = rf"({_SERVICES})\.amazonaws\.com"
REASONS = {
    # For a context that was written by hand.
    "roles/ecs_express/vars/main.yml": r"on_dns_suffix \| default\('on\.aws'\)",
    # Beside the partition's own, since AWS documents no other.
    "roles/iam/vars/main.yml": r"\['amazonaws\.com', __iam_context\.dns_suffix \| default\('amazonaws\.com', true\)\]",
    # AWS's own addresses, one for each partition.
    "plugins/plugin_utils/_roles/database.py": r"rds-truststore\.s3|truststore\.pki|\[\.\]rds\[\.\]|\.rds\.amaz",
    # Examples in sentences and comments that say what an ARN looks like.
    "plugins/module_utils/_core/arns.py": r"arn:aws:(iam|kms|secretsmanager|ssm|\{service\})",
}


def written_down() -> list[tuple[str, int, str]]:
    """Every line of code that names a partition's own things; documentation, which names examples, is left out."""
    found = []
    folders = [ROOT / "plugins", ROOT / "roles", ROOT / "playbooks"]
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(ROOT))
        if path.suffix not in {".py", ".yml", ".j2", ".json"}:
            continue
        if name.endswith(("argument_specs.yml", "facts.yml")) or "doc_fragments" in name:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            # What documents; line numbers stay.
            text = re.sub(r'(?s)"""(.*?)"""', lambda one: "\n" * one[0].count("\n"), text)
        for number, line in enumerate(text.splitlines(), 1):
            code = re.sub(r"(^|\s)#.*", "", line)
            if re.search(r"arn:aws|amazonaws|\bon\.aws\b", code):
                found.append((name, number, code.strip()))
    return found


def test_nothing_is_written_down_that_differs_between_partitions() -> None:
    unexplained = []
    for name, number, code in written_down():
        rest = re.sub(_PRINCIPALS, "", code)
        if name in REASONS and re.search(REASONS[name], rest):
            continue
        if re.search(r"arn:aws|amazonaws|\bon\.aws\b", rest):
            unexplained.append(f"{name}:{number}: {code}")
    assert unexplained == []


def test_each_reason_is_needed() -> None:
    lines = written_down()
    for name, pattern in REASONS.items():
        assert [code for where, _unused, code in lines if where == name and re.search(pattern, code)], name
