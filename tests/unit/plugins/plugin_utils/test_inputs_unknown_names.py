# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names of variables are taken for misspelt ones."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import unknown_names

KNOWN = {"bucket_name", "bucket_tags", "bucket_adopt", "bucket_known_variables", "bucket_id"}
SETTABLE = KNOWN - {"bucket_id"}


def names(*set_ones: str, exceptions: list[str] | None = None, **more: Any) -> dict[str, str]:
    """The sentences about the names of variables."""
    found = unknown_names.name_problems(
        set_ones,
        "bucket",
        known=KNOWN,
        settable=SETTABLE,
        exceptions=exceptions or [],
        declared_in="bucket_known_variables",
        **more,
    )
    return {one.variable: str(one) for one in found}


def test_an_unknown_name_is_a_mistake() -> None:
    assert names("bucket_name", "bucket_id", "__bucket_x", "buckets", "other_bucket_nmae", "bucket") == {}
    assert names("bucket_nmae") == {
        "bucket_nmae": "bucket_nmae is set, but is not a variable of the role mlops.mlflow_aws.bucket, did you mean"
        " bucket_name? If it is one of your own, name it in bucket_known_variables."
    }
    assert names("bucket_zzzzzz")["bucket_zzzzzz"] == (
        "bucket_zzzzzz is set, but is not a variable of the role mlops.mlflow_aws.bucket. If it is one of your own,"
        " name it in bucket_known_variables."
    )
    assert "is given with -e, but" in names("bucket_nmae", on_command_line=lambda name: True)["bucket_nmae"]
    # A fact is the role's to keep, and not the user's to set.
    assert "did you mean" not in names("bucket_idd")["bucket_idd"]


def test_the_user_may_name_his_own() -> None:
    assert names("bucket_nmae", "bucket_team_x", exceptions=["bucket_nmae", "bucket_team_*"]) == {}
    assert list(names("bucket_nmae", "bucket_team_x", exceptions=["bucket_team_*"])) == ["bucket_nmae"]


@pytest.mark.parametrize("name", ["bucket_nmae", "bucket_names", "bucket_nam", "bucket_tag", "bucket_adpot"])
def test_of_a_role_that_was_not_called_only_misspelt_names_count(name: str) -> None:
    assert list(names(name, misspelt_only=True)) == [name]
    assert names("bucket_policy_file", "bucket_list", "bucket_prefix", "bucket_arns", misspelt_only=True) == {}
