# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for and what ECS describes, in the terms in which both are compared.

Names with numbers refer to issues of hashicorp/terraform-provider-aws.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError

Boto = dict[str, Any]


@pytest.mark.parametrize(
    ("wanted", "current", "purge", "expected"),
    [
        (None, {"a": "1"}, True, ({}, [])),
        ({}, {"a": "1"}, True, ({}, ["a"])),
        ({}, {"a": "1"}, False, ({}, [])),
        ({"a": "1"}, {"a": "1"}, True, ({}, [])),
        ({"a": "2", "b": "true"}, {"a": "1", "c": "3"}, True, ({"a": "2", "b": "true"}, ["c"])),
    ],
)
def test_tags(wanted: Any, current: dict[str, str], purge: bool, expected: Any) -> None:
    assert compare_tags(current, predict_tags(current, wanted, purge)) == expected


def test_tags_become_text_as_those_of_the_other_modules_do() -> None:
    values = {"text": "x", "number": 1.5, "yes": True, 2026: 7}
    given = transformations.given_tags(values)
    assert given == {"text": "x", "number": "1.5", "yes": "true", "2026": "7"} == tags_from_aws(tags_to_aws(given))
    with pytest.raises(EcsExpressError, match=r"tags\['list'\] is a list, but must be a string"):
        transformations.given_tags({"list": []})
    with pytest.raises(EcsExpressError, match=r"tags\['Owner'\] is null, but must be a string"):
        transformations.given_tags({"Owner": None})


def test_tags_of_aws_and_of_the_record_do_not_count() -> None:
    own = ("aws:ecs:serviceName", "aws:cloudformation:stack-name", "AmazonECSManaged", "mlops.mlflow_aws:applied")
    boto = {"tags": [{"key": k, "value": "v"} for k in ("mine", *own)]}
    assert transformations.tags(boto) == {"mine": "v"}
    assert transformations.tags({"tags": None}) == {}


@pytest.mark.parametrize("key", ["aws:ecs:serviceName", "AWS:x", "AmazonECSManaged", "mlops.mlflow_aws:applied"])
def test_tags_of_aws_and_of_the_record_cannot_be_given(key: str) -> None:
    with pytest.raises(EcsExpressError, match=r"AWS's own|set by (Amazon ECS|this collection) itself"):
        transformations.given_tags({"team": "x", key: "y"})
    transformations.given_tags({"team": "x", "laws:x": "y"})
    assert transformations.given_tags(None) is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 256, "naïve"])
def test_name_that_ecs_refuses(name: str) -> None:
    with pytest.raises(EcsExpressError, match="service_name is"):
        transformations.check_service_name(name)
    transformations.check_service_name("Tracking_2-x")


def test_name_in_environment_and_secrets() -> None:
    with pytest.raises(EcsExpressError, match=r"A is in primary_container\.environment and in"):
        transformations.desired({"primary_container": {"environment": {"A": "1", "B": "2"}, "secrets": {"A": "arn:x"}}})


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_environment_takes_no_structures(value: Any) -> None:
    with pytest.raises(
        EcsExpressError, match=r"primary_container\.environment\['A'\] is a (list|dictionary), but must be a string"
    ):
        transformations.desired({"primary_container": {"environment": {"A": value}}})


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "x", True),
        ("PGPASS", "x", True),
        ("DB_PWD", "x", True),
        ("MLFLOW_CRYPTO_KEK_PASSPHRASE", "x", True),
        ("FERNET_KEY", "x", True),
        ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "x", True),
        ("DSN", "host=h user=u password=q7x", True),
        ("CONNECTION", "Endpoint=sb://x/;SharedAccessKey=q7x", True),
        ("CERTIFICATE", "-----BEGIN RSA PRIVATE KEY-----\nMII", True),
        ("PASS_THROUGH", "x", False),
        ("PWD", "/srv", False),
        ("BYPASS", "x", False),
        ("PASSENGERS", "x", False),
        ("SORT_KEY", "x", False),
        ("FLASK_SERVER_SECRET_KEY", "x", True),
        ("API_TOKEN", "x", True),
        ("STORE_URI", "postgresql://user:pass@host/db", True),
        ("STORE_URI", "postgresql://user@host/db", False),
        ("SECRET_ARN", "arn:x", False),
        ("PASSWORD_FILE", "/run/x", False),
        ("MODE", "plain", False),
        ("URL", "https://host:5000/a@b", False),
    ],
)
def test_likely_secrets(name: str, value: str, secret: bool) -> None:
    assert transformations.is_likely_secret(name, value) is secret


@pytest.mark.parametrize("told", ["a.b", "https://a.b", "https://a.b/", "http://a.b"])
def test_47944_endpoint_with_or_without_scheme(told: str) -> None:
    boto = {"activeConfigurations": [None, {"ingressPaths": [None, {"endpoint": None}, {"endpoint": told}]}]}
    assert transformations.endpoint(boto) == "a.b"
    assert transformations.service(boto)["url"] == "https://a.b"


@pytest.mark.parametrize(
    "boto", [{}, {"activeConfigurations": None}, {"activeConfigurations": [{"ingressPaths": None}]}]
)
def test_endpoint_that_is_not_there_yet(boto: Boto) -> None:
    assert (transformations.endpoint(boto), transformations.url("")) == ("", "")


@pytest.mark.parametrize(
    ("cluster", "name"), [(None, "default"), ("x", "x"), ("arn:aws:ecs:eu-central-1:1:cluster/x", "x")]
)
def test_47277_cluster_as_name_or_arn(cluster: str | None, name: str) -> None:
    assert transformations.cluster_name(cluster) == name


def test_the_deployments_target_is_the_configuration_that_counts() -> None:
    """Two are active during an update, in an order that AWS does not document."""
    old, new = {"serviceRevisionArn": "old", "createdAt": 1}, {"serviceRevisionArn": "new", "createdAt": 2}
    for configs in ([old, new], [new, old]):
        service = {"activeConfigurations": configs}
        assert transformations.newest_configuration(service) is new
        assert transformations.newest_configuration(service, "old") is old
        assert transformations.newest_configuration(service, "unknown") is new
    assert transformations.newest_configuration({"activeConfigurations": None}) is None
