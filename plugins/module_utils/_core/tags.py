# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion and comparison of tags. Pure, private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import is_internal

Tags = dict[str, str]


def tags_from_aws(tags: list[typing.Any] | None) -> Tags:
    """Return AWS's list of tags as a dictionary, without the reserved C(aws:) ones."""
    return {
        key: value for key, value in boto3_tag_list_to_ansible_dict(tags or []).items() if not key.startswith("aws:")
    }


def tags_to_aws(tags: Tags | None) -> list[Tags]:
    """Return a dictionary as AWS's list of tags."""
    listed: list[Tags] = ansible_dict_to_boto3_tag_list(tags or {})
    return listed


def predict_tags(current: Tags, desired: Tags | None, purge: bool) -> Tags:
    """Return the tags after a change.

    Args:
        current: existing tags.
        desired: requested tags; None leaves all tags alone.
        purge: whether other tags are removed, but for those that the collection keeps for itself.
    """
    if desired is None:
        return dict(current)
    kept = {key: value for key, value in current.items() if not purge or key in desired or is_internal(key)}
    return {**kept, **desired}


def compare_tags(before: Tags, after: Tags) -> tuple[Tags, list[str]]:
    """Return the tags to set, and the keys to remove."""
    to_set = {key: value for key, value in after.items() if before.get(key) != value}
    return to_set, sorted(key for key in before if key not in after)
