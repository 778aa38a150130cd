# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: compute what an update would change. Pure: canonical forms in (see transformations), changes out.

A needless update costs a canary deployment of about ten minutes, so only what the user gave is compared, and
ECS's normalisation of it is no change. The numbers in the comments are issues of hashicorp/terraform-provider-aws.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical

Path = tuple[str, ...]

# Defaults of absent fields (ECS guide; observed by ecspresso and Terraform's provider): requesting a default is no
# change. Subject to ECS filling the field in, which it does for all of them as far as known (#49511).
_EFFECTIVE_DEFAULTS: dict[Path, str] = {
    ("cpu",): "1024",
    ("memory",): "2048",
    ("cpu_architecture",): "X86_64",
    ("health_check_path",): "/",
    ("primary_container", "container_port"): "80",
    ("scaling_target", "auto_scaling_metric"): "AVERAGE_CPU",
    ("scaling_target", "auto_scaling_target_value"): "60",
}
_MAPS = frozenset({("primary_container", "environment"), ("primary_container", "secrets")})
_SETS = frozenset({("network_configuration", "subnets")})
_SECURITY_GROUPS = ("network_configuration", "security_groups")
_TASK_DEFINITION = ("task_definition_arn",)


@dataclass(frozen=True)
class Change:
    """One leaf that differs; None stands for absent."""

    path: Path
    before: Any
    after: Any


@dataclass(frozen=True)
class Changes:
    """All leaves that differ, in a fixed order."""

    items: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def paths(self) -> list[str]:
        """Dotted names, such as ``primary_container.environment.MODE``."""
        return [".".join(item.path) for item in self.items]

    @property
    def fields(self) -> set[str]:
        """The top-level fields touched."""
        return {item.path[0] for item in self.items}

    @property
    def before(self) -> Canonical:
        return _tree((item.path, _shown(item, item.before, "")) for item in self.items)

    @property
    def after(self) -> Canonical:
        return _tree((item.path, _shown(item, item.after, ", changed")) for item in self.items)


def compare(desired: Canonical, current: Canonical, managed_groups: AbstractSet[str] | None = None) -> Changes:
    """Return the updates that bring ``current`` in line with ``desired``.

    ``managed_groups``: ids of the groups that ECS itself attached, None if not known. Known ones are left out of
    the comparison, which then is exact; otherwise more groups than wanted are taken for ECS's (#47437, #47908).
    """
    items: list[Change] = []
    for path, value in _leaves(desired):
        items += _differences(path, value, _get(current, path), managed_groups)
    return Changes(tuple(sorted(items, key=lambda item: item.path)))


def needs_managed_groups(desired: Canonical, current: Canonical) -> bool:
    """Return whether the comparison depends on knowing which security groups are ECS's own (one API call)."""
    if _get(desired, _SECURITY_GROUPS) is None and "subnets" not in (desired.get("network_configuration") or {}):
        return False
    have = set(_get(current, _SECURITY_GROUPS) or [])
    return bool(have - set(_get(desired, _SECURITY_GROUPS) or []))


def update(
    desired: Canonical, current: Canonical, changes: Changes, managed_groups: AbstractSet[str] | None = None
) -> Canonical:
    """Return the fields to send, canonical: those that changed, each whole (current merged with desired).

    Whether ECS merges or replaces a structure is not documented; a whole one is right in both cases. Fields that did
    not change are not sent, as ECS overwrites manual tuning only of what an update asks for.
    """
    result: Canonical = {}
    for field in sorted(changes.fields):
        value = desired[field]
        if isinstance(value, dict):
            value = _merged(current.get(field) or {}, value)
        result[field] = value
    for field, other in (("cpu", "memory"), ("memory", "cpu")):
        # ECS validates them as a pair.
        if field in result and other not in result and (desired.get(other) or current.get(other)):
            result[other] = desired.get(other) or current[other]
    network = result.get("network_configuration")
    if network is not None and "security_groups" not in (desired["network_configuration"]):
        network.pop("security_groups", None)
        # Where it is not known which are ECS's, all of them stay: the way to the database may be among them.
        kept = _get(current, _SECURITY_GROUPS) if managed_groups is None else _own_groups(current, managed_groups)
        if kept:
            network["security_groups"] = list(kept)
    return result


def without_managed_groups(config: Canonical, managed_groups: AbstractSet[str] | None) -> Canonical:
    """Return the configuration without the groups that ECS attached: what a re-created service may be given."""
    network = dict(config.get("network_configuration") or {})
    own = _own_groups(config, managed_groups)
    network.pop("security_groups", None)
    if own:
        network["security_groups"] = own
    result = {k: v for k, v in config.items() if k != "network_configuration"}
    if network:
        result["network_configuration"] = network
    return result


def overlay(current: Canonical, desired: Canonical) -> Canonical:
    """Return the configuration after the update, for the predicted service of check mode."""
    return _drop_empty(_merged(current, desired, keep_groups=True))


# ---- leaves


def _leaves(config: Canonical, base: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in config.items():
        path = (*base, key)
        if isinstance(value, dict) and path not in _MAPS:
            yield from _leaves(value, path)
        else:
            yield path, value


def _get(config: Canonical, path: Path) -> Any:
    value: Any = config
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _differences(path: Path, desired: Any, current: Any, managed: AbstractSet[str] | None) -> list[Change]:
    if path in _MAPS:
        # Sorted by name on the way back (#45792, #47070), hence compared by name.
        have, want = current or {}, desired or {}
        return [
            Change((*path, name), have.get(name), want.get(name))
            for name in sorted({*have, *want})
            if have.get(name) != want.get(name)
        ]
    if path == _SECURITY_GROUPS:
        return _group_differences(path, desired or [], current or [], managed)
    if path in _SETS:
        same = set(desired or []) == set(current or [])
    elif path == _TASK_DEFINITION:
        same = _same_task_definition(desired, current)
    elif isinstance(desired, list):
        same = desired == (current or [])  # null comes back as [] (#47436)
    else:
        same = _scalar(desired) == _scalar(current if current is not None else _EFFECTIVE_DEFAULTS.get(path))
    return [] if same else [Change(path, current, desired)]


def _group_differences(
    path: Path, desired: list[str], current: list[str], managed: AbstractSet[str] | None
) -> list[Change]:
    have, want = set(current), set(desired)
    if managed is None:
        same = want <= have
    else:
        # A user may name ECS's own group as well; it is there, so it is no change.
        have, want = have - managed, want - managed
        same = want == have
    return [] if same else [Change(path, sorted(have), sorted(want))]


def _same_task_definition(desired: Any, current: Any) -> bool:
    def short(arn: Any) -> str:
        return str(arn or "").rsplit("task-definition/", 1)[-1]

    want, have = short(desired), short(current)
    return want == have or (":" not in want and have.rsplit(":", 1)[0] == want)


def _scalar(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _own_groups(current: Canonical, managed: AbstractSet[str] | None) -> list[str]:
    """Return the user's groups among those attached; none if it is not known which are ECS's."""
    if managed is None:
        return []
    return [group for group in _get(current, _SECURITY_GROUPS) or [] if group not in managed]


def _merged(current: Canonical, desired: Canonical, base: Path = (), keep_groups: bool = False) -> Canonical:
    result = dict(current)
    for key, value in desired.items():
        path = (*base, key)
        if isinstance(value, dict) and key not in ("environment", "secrets"):
            result[key] = _merged(current.get(key) or {}, value, path, keep_groups)
        elif keep_groups and key == "security_groups" and value:
            result[key] = [*value, *(group for group in current.get(key) or [] if group not in value)]
        else:
            result[key] = value
    return result


def _drop_empty(config: Canonical, base: Path = ()) -> Canonical:
    """Return the configuration without empty values, except environment variables, which may be empty."""
    cleaned = {
        k: _drop_empty(v, (*base, k)) if isinstance(v, dict) and (*base, k) not in _MAPS else v
        for k, v in config.items()
    }
    return {k: v for k, v in cleaned.items() if v not in (None, "", [], {})}


# ---- diff


def _shown(item: Change, value: Any, mark: str) -> Any:
    name = item.path[-1]
    if item.path[:-1] == ("primary_container", "environment") and (
        transformations.is_likely_secret(name, item.before) or transformations.is_likely_secret(name, item.after)
    ):
        return None if value is None else transformations.HIDDEN.replace(")", f"{mark})")
    return value


def _tree(leaves: Iterator[tuple[Path, Any]]) -> Canonical:
    """Return nested dicts; a leaf that is absent on this side of the diff is left out."""
    result: Canonical = {}
    for path, value in leaves:
        if value is None:
            continue
        node = result
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    return result
