# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages about the login say of MLflow's own behaviour, and which test exercises each claim.

A claim that changes, or a test that is renamed, fails here, so that neither goes without the other. Tests run MLflow
3.10.0 and 3.17.2: what the pages say of the versions between is read in MLflow's sources, and not run.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOGIN, USERS, ROTATION = "end_to_end/test_login.py", "end_to_end/test_users.py", "end_to_end/test_rotation.py"
OLDEST, FIRST = "end_to_end/test_login_oldest.py", "end_to_end/test_first_administrator.py"
URIS = "end_to_end/test_uris.py"
OIDC, BASIC, CHECKS = (
    "end_to_end/test_oidc.py",
    "unit/roles/test_login.py",
    "unit/plugins/module_utils/test_mlflow_readiness.py",
)

# Page, its words, and the file and name of the test.
CLAIMS = [
    # --- docs/login.md
    ("login.md", "401: the login is wrong, the server is fine", USERS, "test_a_wrong_login_is_not_a_dead_server"),
    (
        "login.md",
        "503 in JSON: the server is there, its database is not",
        CHECKS,
        "test_database_down_although_health_is_fine",
    ),
    (
        "login.md",
        "503 in HTML: the load balancer has no healthy",
        CHECKS,
        "test_a_balancer_503_is_not_taken_for_the_database",
    ),
    ("login.md", "the login is right, but the user is not an administrator", USERS, "test_who_may_not"),
    ("login.md", "the server has no users of its own (`mlflow_auth: none`)", URIS, "test_a_server_without_users"),
    (
        "login.md",
        "MLflow rejects the host name, before it looks at the login",
        LOGIN,
        "test_a_foreign_host_name_is_refused",
    ),
    (
        "login.md",
        "an administrator adds users at `https://…/signup`",
        LOGIN,
        "test_users_and_permissions_outlive_the_task",
    ),
    ("login.md", "To let users choose their own password", USERS, "test_the_own_password_and_a_run_that_was_cut_off"),
    (
        "login.md",
        "| experiments, registered models, prompts, scorers | yes | yes | yes |",
        USERS,
        "test_models_prompts_and_scorers",
    ),
    ("login.md", "| gateway: secrets, endpoints, model definitions | yes | yes | yes |", USERS, "test_the_gateway"),
    ("login.md", "| MCP servers |", USERS, "test_what_one_interface_has_alone"),
    (
        "login.md",
        '| all resources of a kind (`resource: "*"`)',
        USERS,
        "test_what_one_interface_has_alone",
    ),
    ("login.md", "for one resource | `NO_PERMISSIONS`", USERS, "test_an_experiment"),
    ("login.md", "Nothing restarts, and nobody else is logged out", ROTATION, "test_the_password_is_changed"),
    (
        "login.md",
        "MLflow uses it only to create the administrator when there is no user of that name",
        ROTATION,
        "test_another_value_in_the_secret_changes_no_password",
    ),
    (
        "login.md",
        "one of the two works, and the secret has both",
        ROTATION,
        "test_a_change_that_is_cut_off_is_completed_by_the_next_run",
    ),
    ("login.md", "validation says `login_rejected`", ROTATION, "test_a_change_whose_answer_was_lost"),
    (
        "login.md",
        "Worker processes remember a login for a minute",
        FIRST,
        "test_changed_password_ends_when_no_worker_remembers_it",
    ),
    ("login.md", "the run says so and changes nothing", ROTATION, "test_a_password_that_somebody_else_has_changed"),
    (
        "login.md",
        "it creates that administrator, with the secret's password",
        ROTATION,
        "test_deleted_administrator_comes_back_with_the_next_task",
    ),
    (
        "login.md",
        "an `admin` whom another administrator deletes is back with the next task",
        FIRST,
        "test_deleted_administrator_comes_back_unless_retired",
    ),
    (
        "login.md",
        "tasks do not get the first login, and MLflow creates nobody",
        ROTATION,
        "test_retired_administrator_stays_away",
    ),
    (
        "login.md",
        "refused if the server does not confirm",
        ROTATION,
        "test_first_administrator_is_not_retired_in_favour_of_nobody",
    ),
    ("login.md", "the next task creates the first one again", ROTATION, "test_retired_administrator_is_taken_back"),
    (
        "login.md",
        "A server without any user does not start",
        FIRST,
        "test_retired_administrator_needs_users_in_the_database",
    ),
    (
        "login.md",
        "Browser sessions end; passwords and tokens stay valid",
        OIDC,
        "test_sessions_outlive_the_task_and_end_with_the_keys",
    ),
    ("login.md", "since a task reads them when it starts", ROTATION, "test_the_keys_of_sessions"),
    (
        "login.md",
        "For the latter MLflow has `mlflow crypto rotate-kek`",
        FIRST,
        "test_defaults_of_mlflow_are_what_the_page_says",
    ),
    # --- docs/security.md
    (
        "security.md",
        "MLflow creates the administrator again if the user was deleted",
        FIRST,
        "test_deleted_administrator_comes_back_unless_retired",
    ),
    (
        "security.md",
        "so a new task knows the same users",
        LOGIN,
        "test_users_and_permissions_outlive_the_task",
    ),
    (
        "security.md",
        "By default every user can read everything",
        LOGIN,
        "test_users_and_permissions_outlive_the_task",
    ),
    (
        "security.md",
        "set `mlflow_default_permission: NO_PERMISSIONS`",
        FIRST,
        "test_deleted_administrator_comes_back_unless_retired",
    ),
    ("security.md", "Versions before 3.14 lack Flask-WTF", BASIC, "test_what_each_version_lacks_is_made_up_for"),
    (
        "security.md",
        "an administrator with a public password",
        OLDEST,
        "test_the_oldest_versions_public_password_is_none",
    ),
    (
        "security.md",
        "without a login. Only these answer; all others say 401",
        LOGIN,
        "test_every_route_asks_for_the_login",
    ),
    ("security.md", "No version, no data", LOGIN, "test_what_is_open_tells_nothing"),
    (
        "security.md",
        "it says which origins may ask, and nothing else",
        LOGIN,
        "test_preflight_needs_no_login_and_gives_no_data",
    ),
    (
        "security.md",
        "it answers only to the service's host names",
        LOGIN,
        "test_a_foreign_host_name_is_refused",
    ),
    ("security.md", "accepts no changes from pages of other origins", LOGIN, "test_a_page_elsewhere_changes_nothing"),
    (
        "security.md",
        "MLflow's own defaults are a key per process and a public constant",
        FIRST,
        "test_defaults_of_mlflow_are_what_the_page_says",
    ),
    ("security.md", "MLflow does not limit failed logins", LOGIN, "test_failed_logins_are_not_limited"),
    ("security.md", "are kept by MLflow (hashed, in the database)", USERS, "test_passwords_are_stored_hashed"),
    ("security.md", "which only exact origins pass", LOGIN, "test_preflight_needs_no_login_and_gives_no_data"),
    (
        "security.md",
        "MLflow 3.10.0 supports no patterns for origins",
        OLDEST,
        "test_the_oldest_versions_pages_can_change_things",
    ),
    ("security.md", "Every user can list the names of the others", USERS, "test_every_user_can_list_the_names"),
    ("security.md", "Permissions decide who may write where", USERS, "test_an_experiment"),
    (
        "security.md",
        "so a changed password or a deleted user",
        FIRST,
        "test_changed_password_ends_when_no_worker_remembers_it",
    ),
    ("security.md", "are off; leave them off", FIRST, "test_defaults_of_mlflow_are_what_the_page_says"),
    (
        "security.md",
        "The users of `basic` stay in the database while another mode",
        LOGIN,
        "test_modes_can_be_switched_and_users_stay",
    ),
    # --- docs/oidc.md
    (
        "oidc.md",
        "builds the callback URL from each request's host name",
        OIDC,
        "test_headers_that_a_client_makes_up_count_for_nothing",
    ),
    ("oidc.md", "who logs in is the first administrator", OIDC, "test_an_administrator_logs_in_with_a_browser"),
    ("oidc.md", "administrator is decided by their groups at each login", OIDC, "test_groups_count_at_each_login"),
    ("oidc.md", "is turned away after the login", OIDC, "test_a_member_may_read_and_a_stranger_nothing"),
    (
        "oidc.md",
        "is what members may do without an explicit permission",
        OIDC,
        "test_a_member_may_read_and_a_stranger_nothing",
    ),
    ("oidc.md", "`MLFLOW_TRACKING_PASSWORD` (the token)", OIDC, "test_access_token_is_a_password"),
    ("oidc.md", "At Cognito that is the ID token", OIDC, "test_programs_come_with_tokens"),
    (
        "oidc.md",
        "only if `mlflow_oidc_provision_on_bearer: true`",
        OIDC,
        "test_and_with_the_provider_again_all_know_him",
    ),
    (
        "oidc.md",
        "as an administrator only if `mlflow_oidc_trust_bearer_groups: true`",
        OIDC,
        "test_token_alone_makes_nobody_an_administrator",
    ),
    (
        "oidc.md",
        "Validation logs in with such a token",
        OIDC,
        "test_validation_with_a_token_fills_the_server_with_the_demo",
    ),
    ("oidc.md", "A user of one mode is unknown in the other", OIDC, "test_the_old_login_is_none_any_more"),
    ("oidc.md", "You can switch a running deployment", OIDC, "test_back_with_mlflows_own_login_its_users_are_there"),
    ("oidc.md", "Every path requires a login except `/health`", OIDC, "test_nobody_gets_anywhere_without_a_login"),
    ("oidc.md", "The session cookie is `Secure`, `HttpOnly`", OIDC, "test_an_administrator_logs_in_with_a_browser"),
    ("oidc.md", "sessions survive a new task", OIDC, "test_sessions_outlive_the_task_and_end_with_the_keys"),
    ("oidc.md", "and no other such header from anyone", OIDC, "test_headers_that_a_client_makes_up_count_for_nothing"),
    (
        "oidc.md",
        "MLflow's check of `Host` and `Origin` covers the tracking API",
        OIDC,
        "test_foreign_pages_cannot_use_his_session",
    ),
    (
        "oidc.md",
        "a token that the same provider issued for another application is rejected",
        OIDC,
        "test_programs_come_with_tokens",
    ),
]


@pytest.mark.parametrize(("page", "words", "file", "test"), CLAIMS, ids=[f"{one[0]}-{one[3]}" for one in CLAIMS])
def test_claim_is_on_the_page_and_has_its_test(page: str, words: str, file: str, test: str) -> None:
    text = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    assert words in text
    assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.M)
