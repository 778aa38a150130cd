# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The record of what was applied last, kept as tags of the service: hashes, which reveal no contents.

It is advisory: without it, or if it cannot be read, a deployment is converged as ever. Tags of ECS: 50 for a resource,
a value of up to 256 characters (botocore's model of ecs, Tag).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import INTERNAL_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import MOST_TAGS

_APPLIED = f"{INTERNAL_PREFIX}applied"
_RESOURCES = f"{INTERNAL_PREFIX}resources-"
_LONGEST_VALUE = 256
_WORDS = re.compile(r"([^\s=]+)=(\S*)")


@dataclass(frozen=True)
class Inputs:
    """What a deployment is made of on this side.

    Attributes:
        collection_version: of the collection.
        collection_hash: of the collection's files, as a checkout changes without its version.
        variables_hash: of the variables that say what is deployed.
    """

    collection_version: str = ""
    collection_hash: str = ""
    variables_hash: str = ""


@dataclass(frozen=True)
class Record:
    """What was applied last.

    Attributes:
        inputs: of that run.
        time: when that run ended, in UTC.
        resources: the short hash of each resource's canonical state after that run.
        deployment: id of the service's newest deployment, which was successful; empty if it is not known.
    """

    inputs: Inputs = field(default_factory=Inputs)
    time: str = ""
    resources: Mapping[str, str] = field(default_factory=dict)
    deployment: str = ""

    def __bool__(self) -> bool:
        return bool(self.time and self.resources)

    def tags(self) -> dict[str, str]:
        """Return the tags that hold the record."""
        words = {
            "version": self.inputs.collection_version,
            "collection": self.inputs.collection_hash,
            "variables": self.inputs.variables_hash,
            "time": self.time,
            **({"deployment": self.deployment} if self.deployment else {}),
        }
        tags = {_APPLIED: " ".join(f"{key}={value}" for key, value in words.items())}
        for number, text in enumerate(_packed(self.resources), start=1):
            tags[f"{_RESOURCES}{number}"] = text
        return tags

    def same_as(self, other: Record) -> bool:
        """Return whether two records differ in nothing but the time."""
        ours = (self.inputs, self.deployment, dict(self.resources))
        return ours == (other.inputs, other.deployment, dict(other.resources))


def from_tags(tags: Mapping[str, str]) -> Record:
    """Return the record in the tags of a service; an empty one if there is none, or if it is not understood."""
    applied = dict(_WORDS.findall(tags.get(_APPLIED, "")))
    listed = [tags[key] for key in sorted(tags) if key.startswith(_RESOURCES)]
    inputs = Inputs(applied.get("version", ""), applied.get("collection", ""), applied.get("variables", ""))
    resources = dict(_WORDS.findall(" ".join(listed)))
    record = Record(inputs, applied.get("time", ""), resources, applied.get("deployment", ""))
    return record if record else Record()


def keys(tags: Iterable[str]) -> set[str]:
    """Return the keys among those of a service's tags that hold the record."""
    return {key for key in tags if key == _APPLIED or key.startswith(_RESOURCES)}


def tag_changes(tags: Mapping[str, str], record: Record) -> tuple[dict[str, str], list[str]]:
    """Return the tags to set, and the keys to remove, so that a service's tags hold the record.

    Both are empty if it does not fit.
    """
    wanted = record.tags()
    old = keys(tags)
    if len({*tags, *wanted} - (old - wanted.keys())) > MOST_TAGS:
        return {}, sorted(old)
    return {key: value for key, value in wanted.items() if tags.get(key) != value}, sorted(old - wanted.keys())


def _packed(resources: Mapping[str, str]) -> list[str]:
    """Return the hashes as few texts that fit into a tag."""
    texts: list[str] = []
    for name, value in sorted(resources.items()):
        word = f"{name}={value}"
        if texts and len(texts[-1]) + 1 + len(word) <= _LONGEST_VALUE:
            texts[-1] += f" {word}"
        else:
            texts.append(word)
    return texts
