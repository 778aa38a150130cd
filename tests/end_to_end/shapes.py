# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what modules return with what their RETURN says: keys, types, and when a key is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Doc = dict[str, Any]

# Of Ansible itself, not of a module.
COMMON = {"changed", "failed", "msg", "diff", "warnings", "exception"}
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}
ALWAYS = {"always", "success"}


def describes(entry: Doc) -> str:
    """A value's description as one text."""
    text = entry.get("description", "")
    return " ".join(text) if isinstance(text, list) else str(text)


def right_type(kind: str, value: Any) -> bool:
    """Whether a value has a documented type."""
    if isinstance(value, bool):
        return kind in ("bool", "raw")
    return isinstance(value, TYPES[kind])


def problems(documented: Doc, found: Doc, path: str = "", *, top: bool = True) -> Iterator[str]:
    """What a result holds that is not documented, or lacks though it is said to be always there."""
    if top:
        found = {key: value for key, value in found.items() if key not in COMMON}
    for key in found.keys() - documented.keys():
        yield f"{path}{key} is returned, but not documented"
    for key, entry in documented.items():
        if key in found:
            yield from _value(entry, found[key], f"{path}{key}")
        elif entry["returned"] in ALWAYS:
            yield f"{path}{key} is documented as returned: {entry['returned']}, but is missing"


def _value(entry: Doc, value: Any, path: str) -> Iterator[str]:
    if value is None:
        if "V(none)" not in describes(entry):
            yield f"{path} is null, which its description does not say as V(none)"
        return
    if not right_type(entry["type"], value):
        yield f"{path} is {value!r}, not of the type {entry['type']}"
        return
    items = value if entry["type"] == "list" else [value]
    for item in items:
        if entry["type"] == "list" and not right_type(entry["elements"], item):
            yield f"{path} holds {item!r}, not of the type {entry['elements']}"
        elif entry.get("contains") and item:
            yield from problems(entry["contains"], item, f"{path}.", top=False)


def at(results: list[Any], key: str) -> list[Any]:
    """What stands at a key of each result, and of each element of a list."""
    found = []
    for result in results:
        for item in result if isinstance(result, list) else [result]:
            if isinstance(item, dict) and key in item:
                found.append(item[key])
    return found


def leaves(documented: Doc, results: list[Any], path: str = "") -> Iterator[tuple[str, Doc, list[Any]]]:
    """Each documented value, and all that was seen of it."""
    for key, entry in documented.items():
        seen = at(results, key)
        yield f"{path}{key}", entry, seen
        yield from leaves(entry.get("contains") or {}, seen, f"{path}{key}.")


def shape(value: Any, kind: str = "") -> Any:
    """Keys and types of a value; that of a list is what its elements are."""
    if isinstance(value, dict):
        return {str(key): shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return sorted({json.dumps(shape(item)) for item in value})
    if kind == "float" or isinstance(value, float):
        return "float"
    return type(value).__name__


def agrees(entry: Doc, seen: list[Any]) -> bool:
    """Whether a sample looks like something that was returned."""
    wanted = shape(entry["sample"], entry["type"])
    return any(shape(value, entry["type"]) == wanted for value in seen)


def best(seen: list[Any]) -> Any:
    """The first of what was seen that tells most."""
    return max(
        seen,
        key=lambda value: (value is not None, value not in ("", [], {}), bool(value) or value is False),
        default=None,
    )


# All resources of a deployment are too many for a sample, which shows these.
SHOWN, RECORDED = ("log_group",), ("bucket", "database")


def excerpts(results: list[Doc]) -> list[Doc]:
    """Of each state of a deployment, and of its record, the resources that the samples show."""
    found: list[Doc] = []
    for result in results:
        found.append({"resources": {name: result["resources"][name] for name in SHOWN}})
        if recorded := result["applied"].get("resources"):
            found.append({"applied": {"resources": {name: recorded[name] for name in RECORDED}}})
    return found


# Made by the same code, but only where a deployment fails, which tests/end_to_end/test_express_module.py lets happen;
# and excerpts.
ELSEWHERE = {
    "mlflow_deployment_state": lambda told, results: excerpts(results(told, "mlflow_deployment_state")),
    "ecs_express_service": lambda told, results: (
        [
            {"explanation": {key: value for key, value in service["explanation"].items() if key != "text"}}
            for result in results(told, "ecs_express_service_info")
            for service in result["services"]
            if "explanation" in service
        ]
        + [
            {"rolled_back": result["deployment"]}
            for result in results(told, "ecs_express_service")
            if result.get("deployment")
        ]
    ),
}
# The first two need a registry of one's own, the others a server that took such places before it had its guard:
# tests/end_to_end/test_uris.py.
UNSEEN = (
    *("repository_credentials", "credentials_parameter"),
    *("foreign_uris", "foreign_uris.kind", "foreign_uris.name", "foreign_uris.uri"),
    # The service of the examples is no MLflow server; end to end, one has it.
    "service.latency_ms",
)
