# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup records of its server, never a secret, and what a restore of another version makes of it."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import server
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.server import Hosts

MADE_UP = "a-made-up-password-of-a-test-0001"
CONTAINER = {
    "image": "mlflow:v3.14.0",
    "container_port": 5000,
    "command": ["serve", "--allowed-hosts", "tr-0.example.com"],
    "environment": {"ORIGINS": "https://tr-0.example.com", "OWN_PASSWORD": MADE_UP},
    "secrets": {"PGPASSWORD": "arn:db-of-then", "OWN": "arn:own"},
}
THEN = Hosts("tr-0.example.com", "db-0.example.com")


def test_a_likely_secret_of_the_environment_is_not_recorded() -> None:
    found = server.record(CONTAINER, THEN)
    assert MADE_UP not in str(found) and found["environment"] == {"ORIGINS": "https://tr-0.example.com"}
    assert found["secrets"] == CONTAINER["secrets"] and found["host"] == "tr-0.example.com"


def test_what_it_was_run_with_comes_back_with_the_hosts_and_the_secrets_of_now() -> None:
    running = {
        "image": "mlflow:v3.17.2",
        "container_port": 5000,
        "command": ["serve", "--new-option"],
        "environment": {"OWN_PASSWORD": "now", "NEW": "1"},
        "secrets": {"PGPASSWORD": "arn:db-of-now", "NEW_KEY": "arn:new"},
    }
    found = server.restored(running, "mlflow:v3.14.0", server.record(CONTAINER, THEN), Hosts("tr-1.example.com", "db"))
    assert found == {
        "image": "mlflow:v3.14.0",
        "container_port": 5000,
        "command": ["serve", "--allowed-hosts", "tr-1.example.com"],
        "environment": {"ORIGINS": "https://tr-1.example.com", "OWN_PASSWORD": "now"},
        "secrets": {"PGPASSWORD": "arn:db-of-now", "OWN": "arn:own"},
    }
    assert server.restored(found, "mlflow:v3.14.0", server.record(CONTAINER, THEN), Hosts("tr-1.example.com")) == found
    assert server.restored(running, "old", {}, THEN) == {**running, "image": "old"}
    assert server.given_back(found, "mlflow:v3.17.2", running) == running
    assert server.given_back(found, "new", None) == {**found, "image": "new"}
