# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide by its tags which deployment owns a resource, and explain conflicts. Pure Python, private.

A name proves nothing: names of IAM roles, buckets, database instances and so on are shared by all users of the account.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

OURS, OTHERS, UNOWNED = "ours", "others", "unowned"

MANAGER_TAG, NAME_TAG = "ManagedBy", "MlflowName"
REGION_TAG = "MlflowRegion"
"""The tag with the deployment's region, on IAM roles, which all regions of an account share."""

NOUNS = {
    "db_instance": "RDS instance",
    "db_parameter_group": "RDS parameter group",
    "db_subnet_group": "RDS subnet group",
    "ecs_service": "ECS service",
    "iam_role": "IAM role",
    "log_group": "log group",
    "s3_bucket": "bucket",
    "secret": "secret",
    "security_group": "security group",
}
"""Every type of resource that a deployment creates."""


@dataclass(frozen=True)
class Identity:
    """A deployment.

    Attributes:
        tags: those that all of its resources carry, the manager's and the deployment's name.
        region: where it is; empty: regions are not distinguished.
    """

    tags: Mapping[str, str]
    region: str = ""

    @property
    def name(self) -> str:
        return str(self.tags.get(NAME_TAG, ""))


@dataclass(frozen=True)
class Resource:
    """A resource at AWS.

    Attributes:
        kind: a key of NOUNS.
        name: its name; that of a service is C(cluster/name).
        tags: its tags.
        arn: its ARN, if AWS tells it.
        vpc_id: of a security group.
        path: of a role.
    """

    kind: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""
    vpc_id: str = ""
    path: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        if self.kind == "ecs_service":
            cluster, _slash, name = self.name.rpartition("/")
            return f"{NOUNS[self.kind]} {name} in the cluster {cluster}"
        return f"{NOUNS[self.kind]} {self.name}"


def owner(tags: Mapping[str, str], identity: Identity) -> str:
    """Return the owner of a resource: OURS, OTHERS (another deployment) or UNOWNED (no deployment).

    Args:
        tags: of the resource.
        identity: of this deployment.

    Raises:
        ValueError: the identity has no tags, with which everything would be ours.
    """
    if not identity.tags:
        raise ValueError("Without tags, the owner of a resource cannot be determined.")
    if all(tags.get(key) == value for key, value in identity.tags.items()):
        there = tags.get(REGION_TAG, "")
        return OTHERS if identity.region and there and there != identity.region else OURS
    same_manager = MANAGER_TAG in identity.tags and tags.get(MANAGER_TAG) == identity.tags[MANAGER_TAG]
    return OTHERS if same_manager and tags.get(NAME_TAG) else UNOWNED


@dataclass(frozen=True)
class Wording:
    """The names and values that problems mention.

    Attributes:
        purpose: the operation that was requested: C(change), C(delete) or C(read).
        variables: the names of the user's settings: C(name), C(take_over), and by type of resource the setting that
            locates it.
        values: the values of the latter.
    """

    purpose: str = "change"
    variables: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def variable(self, which: str) -> str:
        return str(self.variables.get(which) or which)


def foreign(found: Iterable[Resource], identity: Identity, take_over: Sequence[str], words: Wording) -> list[str]:
    """Return a sentence for each conflict with resources that have our names but are not ours.

    Args:
        found: the resources with our names.
        identity: of this deployment.
        take_over: keys of untagged resources to treat as ours.
        words: for the sentences.
    """
    found = list(found)
    unowned = [one for one in found if owner(one.tags, identity) == UNOWNED and one.key not in take_over]
    problems = [_unowned_problem(unowned, identity, words)] if unowned else []
    elsewhere = False
    ours = any(owner(one.tags, identity) == OURS for one in found)
    for one in found:
        if owner(one.tags, identity) != OTHERS:
            continue
        if one.tags.get(NAME_TAG) != identity.name:
            problems.append(_other_deployment_problem(one, words))
        elif not elsewhere and not (words.purpose == "delete" and ours):
            elsewhere = True
            problems.append(_other_region_problem(one, identity, words))
    return problems


def _unowned_problem(found: Sequence[Resource], identity: Identity, words: Wording) -> str:
    several = len(found) > 1
    things = ", ".join(str(one) for one in found)
    tags = " and ".join(f"{key}={value}" for key, value in sorted(identity.tags.items()))
    lack = (
        f"{things} {'exist' if several else 'exists'} without the tags {tags}, so {'they are' if several else 'it is'}"
    )
    keys = ", ".join(one.key for one in found)
    pronoun = "them" if several else "it"
    if words.purpose == "delete":
        remedy = f"to delete {pronoun} with the deployment all the same, set {words.variable('take_over')} to [{keys}]"
    elif words.purpose == "read":
        remedy = (
            f"check {words.variable('name')}, or, if {'they are' if several else 'it is'} all the same, set"
            f" {words.variable('take_over')} to [{keys}]"
        )
    else:
        remedy = (
            f"choose another {words.variable('name')}, or, to let the deployment manage {pronoun} from now on, set"
            f" {words.variable('take_over')} to [{keys}]"
        )
        buckets = [one for one in found if one.kind == "s3_bucket"]
        if buckets and "s3_bucket" in words.variables:
            remedy += f"; a bucket of yours is named with {words.variable('s3_bucket')}"
    return f"{lack} not known to be the deployment's own: {remedy}."


def _other_deployment_problem(one: Resource, words: Wording) -> str:
    variable = words.variable("s3_bucket" if one.kind == "s3_bucket" and "s3_bucket" in words.variables else "name")
    said = f"{one} belongs to the deployment '{one.tags[NAME_TAG]}', as its tag {NAME_TAG} says"
    return f"{said}: {'check' if words.purpose == 'read' else 'choose another'} {variable}."


def _other_region_problem(one: Resource, identity: Identity, words: Wording) -> str:
    there = one.tags[REGION_TAG]
    if words.purpose == "delete":
        return (
            f"The deployment '{identity.name}' is in {there}, as the tag {REGION_TAG} of its {one} says, and AWS_REGION"
            f" is {identity.region}: set AWS_REGION to {there}."
        )
    return (
        f"{words.variable('name')} is '{identity.name}', which is the name of a deployment in {there} of this account."
        " IAM roles are the account's and not a region's, and this one would take over those of the other: choose"
        f" another {words.variable('name')}, or check AWS_REGION."
    )


def misplaced(
    found: Iterable[Resource],
    tagged: Iterable[Resource],
    desired: Sequence[Resource],
    identity: Identity,
    words: Wording,
) -> list[str]:
    """Return a sentence for each resource with our tags that is not where the variables say.

    Args:
        found: the existing ones among the desired resources.
        tagged: resources with our tags, whatever their names.
        desired: the resources as the variables name them.
        identity: of this deployment.
        words: for the sentences.
    """
    ours = {one.kind for one in found if owner(one.tags, identity) == OURS}
    problems = []
    for kind in ("ecs_service", "s3_bucket", "security_group"):
        asked = [one for one in desired if one.kind == kind]
        others = [one for one in tagged if one.kind == kind and not any(_same_place(one, other) for other in asked)]
        if (
            kind in words.variables
            and others
            and (kind not in ours or (kind, words.purpose) == ("ecs_service", "delete"))
        ):
            problems.append(_PLACES[kind](others[0], kind in ours, identity, words))
    return problems


def _same_place(one: Resource, other: Resource) -> bool:
    if one.kind == "security_group":
        return not other.vpc_id or one.vpc_id == other.vpc_id
    return one.name == other.name


def _service_elsewhere(one: Resource, both: bool, identity: Identity, words: Wording) -> str:
    cluster, _slash, name = one.name.rpartition("/")
    variable = words.variable("ecs_service")
    said = f"{variable} is '{words.values.get('ecs_service', '')}'"
    if both:
        return (
            f"{said}, but the deployment '{identity.name}' has a second service, in the cluster '{cluster}', which uses"
            " the same database: delete one of them first, such as aws ecs delete-express-gateway-service"
            f" --service-arn {one.arn}."
        )
    called = "" if name == identity.name else f", called '{name}'"
    return (
        f"{said}, but the service of the deployment '{identity.name}' is in the cluster '{cluster}'{called}, as its"
        f" tags say: set {variable} to {cluster}."
    )


def _bucket_elsewhere(one: Resource, _both: bool, identity: Identity, words: Wording) -> str:
    variable, value = words.variable("s3_bucket"), words.values.get("s3_bucket", "")
    said = f"{variable} is '{value}'" if value else f"{variable} is empty, so that the bucket's name is derived"
    return (
        f"{said}, but the bucket of the deployment '{identity.name}' is {one.name}, as its tags say: set {variable} to"
        f" {one.name}, or, to begin anew with another bucket, take the tag {NAME_TAG} off that one."
    )


def _group_elsewhere(one: Resource, _both: bool, identity: Identity, words: Wording) -> str:
    variable, value = words.variable("security_group"), words.values.get("security_group", "")
    return (
        f"{variable} is in {value}, but the deployment '{identity.name}' is in {one.vpc_id}, where its {one} is:"
        f" set {variable} to subnets of {one.vpc_id}, or choose another {words.variable('name')}."
    )


_PLACES: dict[str, typing.Callable[[Resource, bool, Identity, Wording], str]] = {
    "ecs_service": _service_elsewhere,
    "s3_bucket": _bucket_elsewhere,
    "security_group": _group_elsewhere,
}
