# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server is run with after an upgrade: what differs between the versions, and else what it is run with now."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import Described
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import restored
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import upgraded

RUNNING = {
    "image": "mlflow:v3.15.2-full",
    "container_port": 5000,
    "command": ["install plugin 8"],
    "environment": {"OWN": "kept", "ORIGINS": "https://tr-1.example.com", "PLUGIN": "8"},
    "secrets": {"PGPASSWORD": "arn:db", "OWN_SECRET": "arn:own"},
    "aws_logs_configuration": {"log_group": "/ecs/default/tracking"},
}
FORMER = {
    "command": ["install plugin 8"],
    "environment": {"ORIGINS": "https://*.example.com", "PLUGIN": "8", "GONE": "1"},
    "secrets": {"PGPASSWORD": "arn:db"},
}
WANTED = {
    "command": ["install plugin 10"],
    "environment": {"ORIGINS": "https://*.example.com", "PLUGIN": "10"},
    "secrets": {"PGPASSWORD": "arn:db", "SECRET_KEY": "arn:key"},
}
NEW = "mlflow:v3.17.2-full"


def test_what_differs_between_the_versions_changes_and_nothing_else() -> None:
    assert upgraded(RUNNING, NEW, Described(WANTED, FORMER)) == {
        **RUNNING,
        "image": NEW,
        "command": ["install plugin 10"],
        "environment": {"OWN": "kept", "ORIGINS": "https://tr-1.example.com", "PLUGIN": "10"},
        "secrets": {"PGPASSWORD": "arn:db", "OWN_SECRET": "arn:own", "SECRET_KEY": "arn:key"},
    }


def test_a_run_that_was_cut_off_gives_the_same_again() -> None:
    once = upgraded(RUNNING, NEW, Described(WANTED, FORMER))
    assert upgraded(once, NEW, Described(WANTED, FORMER)) == once


def test_a_command_that_no_version_changes_stays_whatever_it_is() -> None:
    own = {**RUNNING, "command": ["eight workers"]}
    found = upgraded(own, NEW, Described({**FORMER, "environment": {}}, FORMER))
    assert found["command"] == ["eight workers"]


def test_a_command_that_must_change_and_is_not_as_described_is_refused() -> None:
    with pytest.raises(ValueError, match="another one than the variables describe"):
        upgraded({**RUNNING, "command": ["no login"]}, NEW, Described(WANTED, FORMER))


def test_a_deployment_gets_what_it_describes() -> None:
    assert upgraded(RUNNING, NEW, Described(WANTED)) == {**RUNNING, **WANTED, "image": NEW}


def test_without_a_description_the_image_alone_changes() -> None:
    assert upgraded(RUNNING, NEW, Described()) == {**RUNNING, "image": NEW}


def test_what_there_was_before_comes_back_whole() -> None:
    now = upgraded(RUNNING, NEW, Described(WANTED, FORMER))
    assert restored(now, RUNNING["image"], {**RUNNING, "container_port": None}) == RUNNING
    assert restored(now, RUNNING["image"], None) == {**now, "image": RUNNING["image"]}
