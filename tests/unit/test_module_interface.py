# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module, filter and doc fragment of the collection documents, and that it is said in Ansible's own terms.

Whether the claims hold is tried where the modules run: tests/end_to_end/test_examples.py.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from antsibull_docs_parser import dom
from antsibull_docs_parser.parser import Context
from antsibull_docs_parser.parser import parse

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "mlops.mlflow_aws"
AMAZON = "ansible_collections.amazon.aws.plugins.doc_fragments"
VERSIONS = {
    # The next one, and those that were released.
    yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"],
    *(yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"] or {}),
}
KINDS = {"module": "modules", "filter": "filter"}
NAMES = {kind: sorted(path.stem for path in (ROOT / "plugins" / folder).glob("*.py")) for kind, folder in KINDS.items()}
ATTRIBUTES = {"action_group", "check_mode", "diff_mode", "idempotent", "platform"}
Doc = dict[str, Any]

# Where a module returns what AWS describes: the members of botocore's shape, and what stands there besides.
RESOURCES = {
    ("ecs_express_service", "service"): (
        "ecs.ECSExpressGatewayService",
        "ecs.ExpressGatewayServiceConfiguration",
        {"endpoint", "url"},
    ),
    ("ecs_express_service_info", "services"): (
        "ecs.ECSExpressGatewayService",
        "ecs.ExpressGatewayServiceConfiguration",
        {"endpoint", "url", "deployment", "managed_resources", "explanation"},
    ),
    ("ecs_express_service", "deployment"): (
        "ecs.ServiceDeployment",
        "",
        {"target_service_revision_arn", "traffic_percent", "rollback_reason"},
    ),
    ("ec2_security_group", "security_group"): ("ec2.SecurityGroup", "", {"ip_permissions", "ip_permissions_egress"}),
    ("iam_service_role", "iam_role"): ("iam.Role", "", {"name", "managed_policies", "inline_policies"}),
    ("iam_service_linked_role", "iam_roles"): ("iam.Role", "", {"name", "aws_service_name"}),
    ("logs_log_group", "log_group"): ("logs.LogGroup", "", {"tags"}),
    ("rds_db_parameter_group", "db_parameter_group"): ("rds.DBParameterGroup", "", {"parameters", "tags"}),
    ("rds_db_subnet_group", "db_subnet_group"): ("rds.DBSubnetGroup", "", {"subnet_ids", "tags"}),
    ("rds_postgresql_instance", "instance"): ("rds.DBInstance", "", {"tags"}),
    ("s3_artifact_bucket", "bucket"): (
        "s3.Bucket",
        "s3.GetBucketLoggingOutput",
        {
            *("arn", "region", "public_access_block", "encryption", "versioning", "policy", "object_ownership"),
            *("lifecycle_rules", "tags"),
        },
    ),
    ("s3_artifact_bucket", "bucket.public_access_block"): ("s3.PublicAccessBlockConfiguration", "", set()),
    ("s3_artifact_bucket", "bucket.encryption"): (
        "s3.ServerSideEncryptionByDefault",
        "s3.ServerSideEncryptionRule",
        set(),
    ),
    ("secretsmanager_secret", "secret"): (
        "secretsmanager.DescribeSecretResponse",
        "secretsmanager.GetSecretValueResponse",
        {"pending_version_id"},
    ),
    ("secretsmanager_secret_info", "secrets"): (
        "secretsmanager.DescribeSecretResponse",
        "secretsmanager.GetSecretValueResponse",
        {"value", "members"},
    ),
}


def ansible_doc(kind: str) -> dict[str, Doc]:
    """What ansible-doc says of all plugins of a kind, fragments merged."""
    command = [str(Path(sys.executable).parent / "ansible-doc"), "-t", kind, "-j"]
    names = [f"{COLLECTION}.{name}" for name in NAMES[kind]]
    done = subprocess.run([*command, *names], capture_output=True, text=True, check=True)
    found: dict[str, Doc] = json.loads(done.stdout)
    return {name.rpartition(".")[2]: doc for name, doc in found.items()}


@pytest.fixture(scope="module")
def docs() -> dict[str, dict[str, Doc]]:
    """By kind and name."""
    return {kind: ansible_doc(kind) for kind in KINDS}


def every(kind: str) -> Any:
    """A test for each plugin of a kind."""
    return pytest.mark.parametrize("name", NAMES[kind])


def each_plugin() -> Any:
    """A test for each plugin."""
    return pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in NAMES[kind]])


def entries(options: Doc, sub: str, base: str = "") -> Iterator[tuple[str, Doc]]:
    """Options or return values with those below them, by path."""
    for key, option in (options or {}).items():
        yield f"{base}{key}", option
        yield from entries(option.get(sub) or {}, sub, f"{base}{key}.")


def source(name: str) -> str:
    """Of a module."""
    return (ROOT / f"plugins/modules/{name}.py").read_text(encoding="utf-8")


# ---- attributes


@every("module")
def test_attributes(docs, name):
    attributes = docs["module"][name]["doc"].get("attributes") or {}
    assert attributes.keys() >= ATTRIBUTES
    for attribute, what in attributes.items():
        assert what.get("description"), attribute
        assert what.get("support") in {"full", "partial", "none", "N/A"}, attribute
        # Readers of "partial" want to know which part.
        assert what["support"] != "partial" or what.get("details"), attribute
    assert attributes["platform"]["platforms"]


@every("module")
def test_the_action_group_is_that_of_the_runtime(docs, name):
    membership = docs["module"][name]["doc"]["attributes"]["action_group"].get("membership") or []
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    inside = [f"{COLLECTION}.{group}" for group, members in groups.items() if name in members]
    membership = [membership] if isinstance(membership, str) else membership
    assert membership == inside


@every("module")
def test_check_mode_is_what_the_code_says(docs, name):
    claimed = docs["module"][name]["doc"]["attributes"]["check_mode"]["support"]
    said = [
        keyword.value.value
        for node in ast.walk(ast.parse(source(name)))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "supports_check_mode" and isinstance(keyword.value, ast.Constant)
    ]
    action = ROOT / f"plugins/action/{name}.py"
    if not said and action.exists():
        said = ["_supports_check_mode = True" in action.read_text(encoding="utf-8")]
    assert said == [claimed != "none"]


@every("module")
def test_diff_mode_is_what_the_code_says(docs, name):
    claimed = docs["module"][name]["doc"]["attributes"]["diff_mode"]["support"]
    works_by_result = "ModuleResult" in source(name)
    code = source(name).rpartition('"""')[2] if not works_by_result else source(name)
    returns_one = "has_diff=False" not in code if works_by_result else bool(re.search(r'"diff"|\bdiff=', code))
    assert returns_one == (claimed != "none")


CODE = sorted(path for folder in ("modules", "module_utils") for path in (ROOT / "plugins" / folder).rglob("*.py"))


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_warnings_are_not_handed_to_exit_json(path):
    """ansible-core 2.23 takes none there any more, and amazon.aws 10's module.warn() hands them on to it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "module":
            assert node.attr not in {"warn", "deprecate"}, f"line {node.lineno}"
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"exit_json", "fail_json", "fail_json_aws"}:
            assert not {"warnings", "deprecations"} & {keyword.arg for keyword in node.keywords}, f"line {node.lineno}"


def test_an_action_plugin_runs_the_module_of_its_name():
    actions = {path.stem for path in (ROOT / "plugins/action").glob("*.py")}
    assert actions <= set(NAMES["module"])


# ---- names and versions


@each_plugin()
def test_version_author_and_neighbours(docs, kind, name):
    doc = docs[kind][name]["doc"]
    assert doc["version_added"] in VERSIONS
    assert doc["author"] == ["The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)"]
    if kind == "module":
        assert len(doc["seealso"]) >= 2
        for neighbour in doc["seealso"]:
            assert neighbour.get("description"), neighbour
    for path, option in entries(doc.get("options") or {}, "suboptions"):
        assert option.get("version_added") in {None, *VERSIONS} or "amazon.aws" in str(
            option.get("version_added_collection")
        ), path


@every("module")
def test_options_have_the_usual_names(docs, name):
    options = docs["module"][name]["doc"]["options"]
    assert ("tags" in options) == ("purge_tags" in options)
    if "tags" in options:
        assert options["tags"].get("aliases") == ["resource_tags"]
    if "wait" in options:
        assert (options["wait"]["type"], options["wait_timeout"]["type"]) == ("bool", "int")
    if "state" in options:
        assert not {"get", "list", "query", "info"} & set(options["state"]["choices"])


# ---- return values


@each_plugin()
def test_return_values_are_complete(docs, kind, name):
    returned = docs[kind][name].get("return") or {}
    assert returned
    for path, value in entries(returned, "contains"):
        assert value.get("type"), path
        assert value.get("description"), path
        assert value.get("returned") or kind == "filter", f"{path}: when is it returned?"
        assert value.get("type") != "list" or value.get("elements"), path
        assert "sample" in value or value.get("contains"), f"{path} has no sample"
        assert not ("sample" in value and value.get("contains")), f"{path}: those below have samples"


@pytest.mark.parametrize("name", [name for name in NAMES["module"] if name.endswith("_info")])
def test_info_returns_lists(docs, name):
    assert {value["type"] for value in docs["module"][name]["return"].values()} == {"list"}


@pytest.mark.parametrize(("name", "path"), RESOURCES)
def test_names_are_those_of_boto3(docs, name, path):
    *shapes, more = RESOURCES[name, path]
    known = set(more)
    for shape in filter(None, shapes):
        service, _dot, what = shape.partition(".")
        model = botocore.session.get_session().get_service_model(service)
        known |= set(camel_dict_to_snake_dict(dict.fromkeys(model.shape_for(what).members)))
    described = dict(entries(docs["module"][name]["return"], "contains"))[path]["contains"]
    assert set(described) - known == set()


# ---- markup


def texts_of_others() -> set[str]:
    """The texts that come from amazon.aws."""
    fragments = [
        importlib.import_module(f"{AMAZON}.{name}").ModuleDocFragment() for name in ("common", "region", "tags")
    ]
    found = [getattr(fragment, name) for fragment in fragments for name in dir(fragment) if name.isupper()]
    return {text for item in found if isinstance(item, str) for _path, text in texts(yaml.safe_load(item))}


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All that may hold markup, by path."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in {"sample", "default", "choices", "link", "version_added", "author", "name", "module"}:
                yield from texts(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, path)
    elif isinstance(value, str):
        yield path, value


def parts(text: str, whole: str, kind: str) -> list[dom.AnyPart]:
    """The parts of a text; markup that is wrong raises."""
    current = dom.PluginIdentifier(fqcn=whole, type=kind)
    [paragraph] = parse(text, Context(current_plugin=current), errors="exception")
    return list(paragraph)


OF_OTHERS = texts_of_others()


@each_plugin()
def test_markup(docs, kind, name):
    entry = docs[kind][name]
    options = dict(entries(entry["doc"].get("options") or {}, "suboptions"))
    returned = dict(entries(entry.get("return") or {}, "contains"))
    own = {part for path in options for part in path.split(".")} | {key for path in returned for key in path.split(".")}
    choices = {str(choice) for option in options.values() for choice in option.get("choices") or []}
    for path, text in texts({"doc": entry["doc"], "return": entry.get("return") or {}}):
        if text in OF_OTHERS:
            continue
        for part in parts(text, f"{COLLECTION}.{name}", kind):
            where = f"{path}: {text}"
            if isinstance(part, dom.CodePart):
                _no_name_or_value(part.text, own, choices, where)
            if isinstance(part, dom.OptionNamePart) and _is_own(part, name):
                assert part.name in options, where
            if isinstance(part, dom.ReturnValuePart) and _is_own(part, name):
                assert part.name in returned, where
            if isinstance(part, (dom.ModulePart, dom.PluginPart)):
                _there(part, where)


def _is_own(part: dom.OptionNamePart | dom.ReturnValuePart, name: str) -> bool:
    return part.plugin is not None and part.plugin.fqcn == f"{COLLECTION}.{name}"


def _there(part: dom.ModulePart | dom.PluginPart, where: str) -> None:
    fqcn, kind = (part.fqcn, "module") if isinstance(part, dom.ModulePart) else (part.plugin.fqcn, part.plugin.type)
    if fqcn.startswith(COLLECTION):
        folder = "roles" if kind == "role" else f"plugins/{KINDS[kind]}"
        name = fqcn.rpartition(".")[2]
        assert (ROOT / folder / name).exists() or (ROOT / folder / f"{name}.py").exists(), where


def _no_name_or_value(code: str, own: set[str], choices: set[str], where: str) -> None:
    assert code not in own, f"O(), RV() or V() instead of C({code}): {where}"
    assert code.partition("=")[0] not in own, f"O() instead of C({code}): {where}"
    assert code not in choices, f"V() instead of C({code}): {where}"
    assert code not in {"true", "false", "none", "null"}, f"V() instead of C({code}): {where}"
    assert not re.fullmatch(r"\$?[A-Z][A-Z0-9_*]+", code), f"E() or V() instead of C({code}): {where}"
    assert not re.fullmatch(r"\d+|\".*\"", code), f"V() instead of C({code}): {where}"


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/doc_fragments").glob("*.py")), ids=lambda path: path.stem)
def test_fragments(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = [yaml.safe_load(ast.literal_eval(node.value)) for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    assert docs and ast.get_docstring(tree)
    for doc in docs:
        for where, item in texts(doc):
            parts(item, f"{COLLECTION}.mlflow_health", "module")
            for old in re.findall(r"\bC\(([^)]*)\)", item):
                _no_name_or_value(old, set(doc.get("options") or {}), set(), where)
