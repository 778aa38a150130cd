# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules by which inputs are refused, each by itself. That nothing is created by then is tested end to end."""

from __future__ import annotations

import datetime
import re
import shlex
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import tag_limits
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import values
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs import container
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import deployment
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import place
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import roles
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import server
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import together
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.server_environment import server_environment

ROLES = Path(__file__).resolve().parents[4] / "roles"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow/x-a1B2c3"
HERE = place.Place("aws", "eu-central-1", "123456789012")


def said_of(check: Callable[..., list[Violation]], *given_values: Any) -> list[str]:
    """What a check says."""
    return [str(one) for one in check(*given_values)]


def problems_of(**given_values: Any) -> list[str]:
    """What is said about variables of a deployment."""
    return [str(one) for one in deployment.input_violations(given_values)]


def yaml_of(role: str, *path: str) -> Any:
    return yaml.safe_load((ROLES / role).joinpath(*path).read_text(encoding="utf-8"))


# ---- members


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[("x", "x"), ("", ""), (4711, "4711"), (1.5, "1.5"), (True, "true"), (False, "false"), (0, "0")],
        *[(datetime.date(2026, 1, 2), "2026-01-02"), (None, None), ([], None), ({}, None)],
    ],
)
def test_what_a_member_becomes(value: Any, text: str | None) -> None:
    assert values.as_text(value) == text
    assert bool(values.member_problem("x['y']", value)) is (text is None)


@given(
    st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.none()))
)
def test_a_dictionary_is_refused_or_becomes_text(given_value: dict[str, Any]) -> None:
    problems = said_of(values.dictionary_problems, "mlflow_x", given_value)
    bad = [key for key, one in given_value.items() if values.as_text(one) is None]
    assert len(problems) == len(bad)
    assert all(problem.startswith("mlflow_x[") for problem in problems)
    if not problems:
        assert values.texts(given_value).keys() == given_value.keys()
        assert all(isinstance(one, str) for one in values.texts(given_value).values())


@pytest.mark.parametrize("key", [True, None, 1.5])
def test_a_key_that_yaml_does_not_take_for_text(key: Any) -> None:
    [problem] = said_of(values.dictionary_problems, "mlflow_tags", {key: "x"})
    assert "put it in quotes" in problem


def test_the_same_key_as_number_and_as_text() -> None:
    assert said_of(values.dictionary_problems, "mlflow_tags", {1: "a", "1": "b"}) == [
        "mlflow_tags has the key '1' twice."
    ]


def test_a_nested_value_is_not_shown() -> None:
    [problem] = said_of(values.dictionary_problems, "mlflow_extra_env", {"A": {"password": "made-up-7c1d"}})
    assert problem == "mlflow_extra_env['A'] is a dictionary, but must be a text, a number or a switch."


# ---- tags


@pytest.mark.parametrize(
    ("given_tags", "words"),
    [
        ({"Owner": None}, "mlflow_tags['Owner'] is null"),
        ({"Owner": {"team": "vision"}}, "mlflow_tags['Owner'] is a dictionary"),
        ({"aws:x": "y"}, "begins with aws: is AWS's own"),
        ({"AWS:x": "y"}, "AWS's own"),
        ({"rds:x": "y"}, "begins with rds: is AWS's own"),
        ({"x": "aws:y"}, "mlflow_tags['x'] is 'aws:y'; what begins with aws: is AWS's own"),
        ({"k" * 128: "y"}, "with 128 characters; 127 are allowed"),
        ({"x": "v" * 257}, "mlflow_tags['x'] has 257 characters; 256 are allowed"),
        ({"": "y"}, "an empty key"),
        ({"a&b": "y"}, "with '&'; letters, digits, spaces and _ . : / = + - @ are allowed"),
        ({"x": "a\nb"}, "with '\\n'"),
        ({"x": "you!"}, "mlflow_tags['x'] is 'you!' with '!'"),
        ({"x": " y"}, "begins or ends with a space"),
        ({"Owner": "a", "owner": "b"}, "'Owner' and 'owner', which IAM takes for the same"),
        ({"ManagedBy": "me"}, "'ManagedBy', which is set by this collection itself"),
        ({"mlflowname": "me"}, "'mlflowname', which is set by this collection itself"),
        ({"AmazonECSManaged": "true"}, "which is set by Amazon ECS itself"),
        ({f"k{number}": "v" for number in range(48)}, "has 48 tags; 47 are allowed, as others are added"),
        (["a"], "mlflow_tags is a list, but must be a dictionary"),
    ],
)
def test_tags_that_some_service_refuses(given_tags: Any, words: str) -> None:
    [problem] = said_of(tag_limits.tag_problems, "mlflow_tags", given_tags, tag_limits.DEPLOYMENT)
    assert words in problem
    assert problem.startswith("mlflow_tags") and problem.endswith(".") and "\n" not in problem


def test_tags_that_all_services_take() -> None:
    good = {
        "CostCentre": 4711,
        "Shared": True,
        "Ratio": 0.5,
        "empty": "",
        "Größe 2_.:/=+-@": "日本語",
        "k" * 127: "v" * 256,
    }
    more = {f"k{number}": "v" for number in range(47 - len(good))}
    assert tag_limits.tag_problems("mlflow_tags", good | more, tag_limits.DEPLOYMENT) == []
    # As many as they take in all, with those that the roles add.
    assert tag_limits.DEPLOYMENT.most + len(["ManagedBy", "MlflowName", "MlflowRegion"]) == tag_limits.ANY_SERVICE.most


def test_what_is_particular_to_a_service() -> None:
    twice, of_rds = {"Owner": "a", "owner": "b"}, {"rds:x": "y"}
    assert tag_limits.tag_problems("tags", twice) == tag_limits.tag_problems("tags", of_rds, tag_limits.IAM) == []
    assert tag_limits.tag_problems("tags", twice, tag_limits.IAM) and tag_limits.tag_problems(
        "tags", of_rds, tag_limits.RDS
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_characters_are_those_of_the_models(text: str) -> None:
    allowed = all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LZN" for sign in text)
    right = allowed and text == text.strip() and not text.lower().startswith("aws:")
    assert (tag_limits.tag_problems("tags", {"x": text}) == []) is right


def test_the_tags_that_the_roles_add_are_known() -> None:
    """Whatever a role puts into its tags beside the user's is counted, and refused from the user."""
    added = set()
    for path in ROLES.glob("*/**/*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "_tags |" in line or "_tag: " in line:
                added |= set(re.findall(r"'(\w+)': ", line))
    assert added - {"Name"} == {key for key, who in tag_limits.DEPLOYMENT.own if who == "this collection"}


# ---- environment, secrets, task definition


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        ({"A-B": "x"}, "the name 'A-B'"),
        ({"1A": "x"}, "the name '1A'"),
        ({"A": None}, "mlflow_extra_env['A'] is null"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": {"team": "vision"}},
            "mlflow_extra_env['OTEL_RESOURCE_ATTRIBUTES'] is a dictionary",
        ),
        ({"ECS_CONTAINER_METADATA_URI_V4": "x"}, "which ECS sets itself"),
        (["A=B"], "is a list, but must be a dictionary"),
    ],
)
def test_environments_that_ecs_refuses(given_value: Any, words: str) -> None:
    [problem] = said_of(container.environment, "mlflow_extra_env", given_value)
    assert words in problem


@pytest.mark.parametrize("source", [SECRET, f"{SECRET}:key::", f"{SECRET}:::", f"{SECRET}:key:AWSCURRENT:"])
def test_sources_of_secrets(source: str) -> None:
    assert container.secrets("mlflow_extra_secrets", {"A": source}) == []


@pytest.mark.parametrize("source", [f"{SECRET}:key", f"{SECRET}:key:", f"{SECRET}:key:::", "plain", 7, True])
def test_sources_of_secrets_that_ecs_refuses(source: Any) -> None:
    [problem] = said_of(container.secrets, "mlflow_extra_secrets", {"A": source})
    assert problem.startswith("mlflow_extra_secrets['A'] ")


def test_a_task_definition_that_is_too_large() -> None:
    assert container.size_problem({"a": {"X": "y" * 60_000}}) is None
    problem = str(container.size_problem({"mlflow_extra_env": {"X": "y" * 60_000}, "mlflow_extra_args": ["z" * 6000]}))
    assert re.search(
        r"66\d{3} bytes, 60\d{3} of them from mlflow_extra_env, 6\d{3} of them from mlflow_extra_args", problem
    )
    # Bytes and not characters count.
    assert container.size_problem({"a": {"X": "ü" * 40_000}})
    [problem] = problems_of(mlflow_extra_env={"X": "y" * 60_000})
    assert "mlflow_extra_env" in problem


def test_what_the_roles_put_into_a_task_definition_was_counted_generously() -> None:
    """Their scripts without the lines of comments, which a task does not get, quoted for the shell and for JSON."""
    sizes = {
        path.name: container.bytes_of(shlex.quote(re.sub(r"(?m)^#.*\n", "", path.read_text(encoding="utf-8"))))
        for role in ("auth", "ecs_express")
        for path in (ROLES / role / "files").glob("*.py")
    }
    # A task has one login.
    login = max(sizes.pop("basic_config.py"), sizes.pop("oidc_boot.py"))
    # The rest is for addresses, names, ARNs and the JSON around them.
    assert login + sum(sizes.values()) <= together.OF_THE_ROLES - 5 * 1024
    # With all that is allowed of certificates, something is left for the user.
    assert problems_of(mlflow_db_ca_path="/x", mlflow_oidc_ca_path="/y") == []


# ---- what the roles set themselves


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (
            {"mlflow_extra_env": {"PGPASSWORD": "x"}},
            "mlflow_extra_env has PGPASSWORD, which the roles set as a secret: set",
        ),
        ({"mlflow_extra_env": {"MLFLOW_CRYPTO_KEK_PASSPHRASE": "x"}}, "as a secret: leave it out"),
        ({"mlflow_extra_env": {"MLFLOW_AUTH_ADMIN_PASSWORD": "x"}}, "as a secret: leave it out"),
        ({"mlflow_extra_env": {"SECRET_KEY": "x"}, "mlflow_auth": "oidc"}, "as a secret: leave it out"),
        ({"mlflow_extra_env": {"PGSSLMODE": "disable"}}, "set mlflow_db_sslmode"),
        ({"mlflow_extra_env": {"MLFLOW_WORKERS": 9}}, "set mlflow_workers"),
        ({"mlflow_extra_env": {"MLFLOW_GUNICORN_OPTS": "-w 9"}}, "one of uvicorn, gunicorn and waitress"),
        ({"mlflow_extra_secrets": {"PGPASSWORD": SECRET}}, "set mlflow_db_secret_arn"),
        ({"mlflow_extra_secrets": {"AWS_DEFAULT_REGION": SECRET}}, "as an environment variable: leave it out"),
        (
            {"mlflow_extra_secrets": {"PIP_INDEX_URL": SECRET}, "mlflow_pip_index_url": "https://pypi.example.com"},
            "set mlflow_pip_index_url",
        ),
        ({"mlflow_extra_env": {"A": "x"}, "mlflow_extra_secrets": {"A": SECRET}}, "A is in mlflow_extra_env and in"),
    ],
)
def test_names_that_the_roles_set(extra: dict[str, Any], words: str) -> None:
    problems = [one for one in problems_of(**extra) if "mlflow_oidc" not in one]
    assert len(problems) == 1 and words in problems[0], problems


@pytest.mark.parametrize(
    "given",
    ["a", "a==1", "a>=1 --hash=sha256:" + 64 * "0", "a==1 --hash=sha256:abc", "a==1 --hash=md5:" + 64 * "0", "-r file"],
)
def test_what_a_task_installs_is_pinned(given: str) -> None:
    [problem] = problems_of(mlflow_oidc_plugin_requirements=[given])
    assert problem.startswith(f"mlflow_oidc_plugin_requirements[0] is {given[:50]!r}"[:60])
    assert "name==version --hash=sha256:" in problem
    [problem] = said_of(roles.role_violations, {"ecs_express_pip_packages": [given]})
    assert problem.startswith("ecs_express_pip_packages[0] is")


def test_several_hashes_and_a_marker_are_fine() -> None:
    given = f"a-b.c==1.0rc1 ; python_version < '3.12' --hash=sha256:{64 * '0'} --hash=sha256:{64 * '1'}"
    assert problems_of(mlflow_oidc_plugin_requirements=[given]) == []


def test_names_that_may_be_given() -> None:
    env = {
        "PGCONNECT_TIMEOUT": 9,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "PGSSLROOTCERT": "/x",
        "SECRET_KEY": "x",
        "OIDC_X": 1,
    }
    secrets = {"PIP_INDEX_URL": SECRET, "MLFLOW_CRYPTO_KEK_PASSPHRASE": SECRET}
    assert problems_of(mlflow_extra_env=env, mlflow_extra_secrets=secrets) == []


def names_in(value: Any) -> set[str]:
    """Names of environment variables in a role's variables: keys of dictionaries, and of those in expressions."""
    found = set(value) if isinstance(value, dict) else set()
    return found | set(re.findall(r"'([A-Z][A-Z_]+)':", str(value)))


def test_all_names_that_the_roles_set_are_known() -> None:
    express, login = yaml_of("ecs_express", "vars", "main.yml"), yaml_of("auth", "vars", "main.yml")
    settings = dict.fromkeys(express["__ecs_express_settings"], "x")
    lists = ("allowed_hosts", "cors_allowed_origins", "known_origins", "allowed_artifact_locations")
    given: dict[str, Any] = {name: [] for name in lists} | {
        "allowed_model_sources": [],
        "login_environment": {},
        "extra_env": {},
    }
    nothing = {"disable_security_middleware": False}
    environment = server_environment({**settings, **given, **nothing, "allowed_artifact_locations": ["s3://x/"]}).keys()
    assert len(environment) > 8 and environment <= server.ENVIRONMENT.keys()
    secrets = names_in(express["__ecs_express_secrets"]) | names_in(login["__auth_encryption_secrets"])
    assert secrets == server.SECRETS.keys()
    of_basic = names_in(login["__auth_basic_secrets"]) | names_in(login["__auth_bootstrap_secrets"])
    assert of_basic == server.LOGIN_SECRETS["basic"].keys()
    assert names_in(login["__auth_oidc_secrets"]) == server.LOGIN_SECRETS["oidc"].keys()
    more = (login[f"__auth_oidc_{name}"] for name in ("environment", "redirect", "trusted"))
    assert {name for one in more for name in names_in(one)} == server.LOGIN_ENVIRONMENT["oidc"].keys()


# ---- arguments of the server


@pytest.mark.parametrize("option", server.OPTIONS)
@pytest.mark.parametrize("form", ["{}=5", "{}"])
def test_options_that_the_roles_set(option: str, form: str) -> None:
    [problem] = said_of(
        server.arguments, "mlflow_extra_args", ["--expose-prometheus", "/tmp", form.format(option), "x"]
    )
    assert problem.startswith(
        f"mlflow_extra_args[2] is '{form.format(option)}', which contradicts what the roles set: "
    )
    assert problem.endswith(f"{server.OPTIONS[option]}.")


@pytest.mark.parametrize("given_value", [["-p", "5001"], ["-p5001"], ["-h", "::"], ["-w9"], ["--port", 5001]])
def test_short_options(given_value: list[Any]) -> None:
    assert len(server.arguments("mlflow_extra_args", given_value)) == 1


@pytest.mark.parametrize("given_value", ["--work", "--por=1", "--backend", "--artifacts-dest", "--allowed"])
def test_abbreviations_are_no_options(given_value: str) -> None:
    [problem] = said_of(server.arguments, "mlflow_extra_args", [given_value])
    assert "did you mean --" in problem


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        (["--expose-prometheus /tmp"], "an option and its value in one"),
        ([None], "mlflow_extra_args[0] is null"),
        (["--x", {"a": 1}], "mlflow_extra_args[1] is a dictionary"),
        (["--x", ""], "mlflow_extra_args[1] is '', but must not be empty"),
        ("--x", "must be a list"),
    ],
)
def test_what_is_no_argument(given_value: Any, words: str) -> None:
    [problem] = said_of(server.arguments, "mlflow_extra_args", given_value)
    assert words in problem


def test_arguments_that_may_be_given() -> None:
    given_value = [
        "--expose-prometheus",
        "/tmp",
        "--secrets-cache-ttl",
        30,
        "--enable-workspaces",
        "--some-new-option=yes",
    ]
    assert server.arguments("mlflow_extra_args", [*given_value, True]) == []


# ---- where things are


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mlflow_bucket_kms_key_arn", "arn:aws:kms:us-east-1:123456789012:key/1", "is of the region us-east-1"),
        ("mlflow_db_kms_key_arn", "arn:aws-cn:kms:eu-central-1:123456789012:key/1", "is of the partition aws-cn"),
        ("mlflow_permissions_boundary_arn", "arn:aws:iam::210987654321:policy/x", "is of the account 210987654321"),
        ("mlflow_permissions_boundary_arn", "arn:aws:iam::aws:policy/PowerUserAccess", ""),
        ("mlflow_bucket_kms_key_arn", "arn:aws:kms:eu-central-1:210987654321:key/1", ""),
        ("mlflow_db_secret_arn", "arn:aws:secretsmanager:us-east-1:210987654321:secret:x-a1B2c3", ""),
        (
            "mlflow_db_secret_arn",
            "arn:aws-us-gov:secretsmanager:x:210987654321:secret:x-a1B2c3",
            "partition aws-us-gov",
        ),
        ("mlflow_validation_token_secret_arn", SECRET.replace("eu-central-1", "eu-west-1"), "region eu-west-1"),
    ],
)
def test_arns_of_elsewhere(name: str, value: str, words: str) -> None:
    problems = said_of(place.place_violations, {name: value}, HERE)
    assert len(problems) == bool(words)
    assert all(problem.startswith(f"{name} ") and words in problem for problem in problems)
    # Before AWS was asked, nothing is known to compare with.
    assert said_of(place.place_violations, {name: value}, place.Place()) == []


def test_secrets_of_another_partition() -> None:
    [problem] = said_of(
        place.place_violations, {"mlflow_extra_secrets": {"A": SECRET, "B": SECRET.replace("aws", "aws-cn", 1)}}, HERE
    )
    assert problem.startswith("mlflow_extra_secrets['B'] is of the partition aws-cn")


def test_keys_of_another_partition() -> None:
    keys = ["arn:aws:kms:eu-central-1:123456789012:key/1", "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1"]
    [problem] = said_of(place.place_violations, {"mlflow_extra_secrets_kms_key_arns": keys}, HERE)
    assert problem.startswith("mlflow_extra_secrets_kms_key_arns[1] is of the partition aws-us-gov")


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:kms:eu-central-1:123456789012:key/1",
        ["arn:aws:kms:eu-central-1:123456789012:alias/x"],
        [SECRET],
        [None],
    ],
)
def test_what_is_no_list_of_keys(value: object) -> None:
    [problem] = problems_of(mlflow_extra_secrets_kms_key_arns=value)
    assert problem.startswith("mlflow_extra_secrets_kms_key_arns")


# ---- the database


@pytest.mark.parametrize("word", ["user", "Select", "table"])
def test_words_that_postgresql_keeps_for_itself(word: str) -> None:
    for name in ("mlflow_db_name", "mlflow_db_username"):
        [problem] = problems_of(**{name: word})
        assert problem.startswith(f"{name} is {word!r}, a word that PostgreSQL keeps for itself")
    existing = {"mlflow_db_host": "db.example.com", "mlflow_db_secret_arn": SECRET}
    assert problems_of(**{"mlflow_db_name": word, **existing}) == []
    assert len(said_of(roles.role_violations, {"rds_username": word})) == 1


# ---- roles that are used alone


def test_every_variable_that_is_checked_is_one_of_a_role() -> None:
    known: set[str] = set()
    for path in ROLES.glob("*/meta/argument_specs.yml"):
        known |= yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"].keys()
    assert set(roles.CHECKS_OF_ROLES) <= known
    assert {one for one in known if one.endswith("_tags")} - {"mlflow_tags"} <= set(roles.CHECKS_OF_ROLES)


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        ({"bucket_tags": {"Owner": None}}, "bucket_tags['Owner'] is null"),
        ({"rds_tags": {"rds:x": "y"}}, "AWS's own"),
        ({"ecs_express_extra_env": {"A": [1]}}, "ecs_express_extra_env['A'] is a list"),
        (
            {"ecs_express_extra_env": {"A": 1}, "ecs_express_extra_secrets": {"A": SECRET}},
            "A is in ecs_express_extra_env and in ecs_express_extra_secrets",
        ),
        ({"ecs_express_extra_args": ["--port", 1]}, "ecs_express_extra_args[0]"),
        ({"ecs_express_cpu": 256, "ecs_express_memory": 4096}, "ecs_express_memory is 4096"),
        ({"rds_name": "Bad_Name"}, "rds_name is 'Bad_Name'"),
        ({"iam_name": "n" * 45}, "up to 44"),
        ({"iam_secret_arns": [None]}, "iam_secret_arns[0] is null"),
        ({"network_service_ingress_cidrs": ["10.0.0.1"]}, "network_service_ingress_cidrs[0]"),
        ({"ecs_express_task_role_arn": "role"}, "ecs_express_task_role_arn is 'role'"),
    ],
)
def test_variables_of_roles(given_value: dict[str, Any], words: str) -> None:
    [problem] = said_of(roles.role_violations, given_value)
    assert words in problem


def test_good_variables_of_roles() -> None:
    good = {
        "bucket_tags": {"CostCentre": 4711},
        "rds_name": "mlflow-2",
        "auth_name": "team/mlflow",
        "iam_secret_arns": [SECRET, "arn:aws:ssm:eu-central-1:123456789012:parameter/x"],
        "iam_bucket_arn": "arn:aws-cn:s3:::our-models",
        "iam_log_group_arn": "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/default/mlflow",
        "ecs_express_tags": {},
        "ecs_express_extra_env": {"LEVEL": 1},
    }
    assert said_of(roles.role_violations, good) == []


# ---- places of files that users may name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mlflow_allowed_model_sources": "s3://a/"}, "must be a list"),
        (
            {"mlflow_allowed_model_sources": ["^s3://.*"]},
            "mlflow_allowed_model_sources[0] is '^s3://.*', but must be the beg",
        ),
        ({"mlflow_allowed_model_sources": ["/etc/"]}, "must be the beginning of a URI, such as s3://shared-models/"),
        ({"mlflow_allowed_model_sources": ["file:///etc/"]}, "files of the task end with it"),
        ({"mlflow_allowed_model_sources": ["s3://team"]}, "end it with a slash, 's3://team/'"),
        ({"mlflow_allowed_model_sources": ["s3://a/../b/"]}, "without dots between slashes"),
        ({"mlflow_allowed_model_sources": ["s3://a/", "runs:/"]}, "mlflow_allowed_model_sources[1] is 'runs:/'"),
        ({"mlflow_allowed_artifact_locations": ["models:/"]}, "no place that files can be stored in"),
        ({"mlflow_allowed_artifact_locations": ["mlflow-artifacts:/"]}, "where the files of others are"),
        ({"mlflow_allowed_artifact_locations": ["mlflow-artifacts:/1/"]}, "where the files of others are"),
        ({"mlflow_allowed_artifact_locations": ["mlflow-artifacts://host/x/"]}, "where the files of others are"),
        (
            {"mlflow_extra_args": ["--default-artifact-root", "s3://a/b"]},
            "--default-artifact-root in mlflow_extra_args is 's3:",
        ),
        ({"mlflow_extra_args": ["--default-artifact-root=s3://a/b"]}, "add it to mlflow_allowed_model_sources"),
        (
            {"mlflow_extra_env": {"MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://a"}},
            "MLFLOW_DEFAULT_ARTIFACT_ROOT in mlflow_extra_env",
        ),
        (
            {"mlflow_extra_env": {"MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": ".*"}},
            "set mlflow_allowed_model_sources",
        ),
    ],
)
def test_places_that_users_may_not_be_given(given: dict[str, Any], words: str) -> None:
    [problem] = problems_of(**given)
    assert words in problem


@pytest.mark.parametrize(
    "given",
    [
        {"mlflow_allowed_model_sources": ["s3://shared-models/", "gs://a/b/"]},
        {"mlflow_allowed_artifact_locations": ["s3://team/x/", "mlflow-artifacts:/team/"]},
        {"mlflow_extra_args": ["--default-artifact-root", "s3://a/b"], "mlflow_allowed_model_sources": ["s3://a/"]},
        {"mlflow_extra_args": ["--default-artifact-root", "s3://a"], "mlflow_uri_guard": False},
        {"mlflow_extra_args": ["--default-artifact-root", "mlflow-artifacts:/x"]},
    ],
)
def test_places_that_users_may_be_given(given: dict[str, Any]) -> None:
    assert problems_of(**given) == []
