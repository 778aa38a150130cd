# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack is imported by its adapter alone, and is what the adapter's patches were written for."""

from __future__ import annotations

import ast
import importlib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import local_aws
from local_aws.protocol import models

PACKAGE = Path(local_aws.__file__).parent
ADAPTER = PACKAGE / "ministack_adapter"


@pytest.fixture(name="adapter")
def _adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The list of patches; ministack reads its environment when it is imported."""
    monkeypatch.setenv("MINISTACK_ACCOUNT_ID", "123456789012")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    return importlib.import_module("local_aws.ministack_adapter.patches")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """The names that a file gives to what it imports, and their dotted paths."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def is_ministack(dotted: str) -> bool:
    return dotted.split(".", maxsplit=1)[0] == "ministack"


def test_the_adapter_alone_imports_ministack() -> None:
    importers = [path for path in PACKAGE.rglob("*.py") if any(is_ministack(name) for _alias, name in imports(path))]
    assert importers
    assert [path for path in importers if path.parent != ADAPTER] == []


def test_each_patch_says_why_and_by_which_source(adapter: types.ModuleType) -> None:
    names = [patch.name for patch in adapter.PATCHES]
    assert len(set(names)) == len(names)
    for patch in adapter.PATCHES:
        assert patch.reason.endswith("."), patch.name
        assert patch.source.startswith("https://"), patch.name
        assert patch.targets, patch.name


def test_ministack_is_what_the_patches_were_written_for(adapter: types.ModuleType) -> None:
    assert list(adapter.differences(adapter.PATCHES)) == []


def test_everything_that_the_adapter_names_is_in_ministack() -> None:
    """Patches' targets are those that are replaced; this finds whatever else is read, called or changed."""
    gone = []
    for path in ADAPTER.glob("*.py"):
        modules = {alias: name for alias, name in imports(path) if is_ministack(name)}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                module = importlib.import_module(modules[node.value.id])
                if not hasattr(module, node.attr):
                    gone.append(f"{path.name}:{node.lineno}: {modules[node.value.id]} has no {node.attr} any more")
    assert gone == []


def _other(value: Any) -> Any:
    """What a newer ministack might have in the place of something."""
    if isinstance(value, dict):
        return {}
    return lambda something, of, another, kind: None


def test_a_changed_ministack_is_refused_in_a_sentence(
    adapter: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patch in adapter.PATCHES:
        for target in patch.targets:
            module = importlib.import_module(f"ministack.{target.module}")
            with monkeypatch.context() as changed:
                changed.delattr(module, target.name)
                [sentence] = adapter.differences([type(patch)(patch.name, patch.reason, "", (target,), patch.apply)])
                assert f"{target.module}.{target.name} is gone" in sentence
                assert repr(patch.name) in sentence and patch.reason in sentence
            if target.parameters is None and not target.keys:
                continue
            with monkeypatch.context() as changed:
                changed.setattr(module, target.name, _other(getattr(module, target.name)))
                with pytest.raises(
                    adapter.MinistackChangedError, match=f"{target.module}.{target.name} (takes|has no)"
                ):
                    adapter.apply_patches(None)


def test_models_of_services_are_read_once_for_ministack_and_all_clients(
    adapter: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = importlib.import_module("ministack.core.responses")
    monkeypatch.setattr(responses, "_service_model", responses._service_model)
    [patch] = [patch for patch in adapter.PATCHES if patch.name == "share_service_models"]
    patch.apply(None)
    assert responses._service_model("monitoring") is models.service_model("cloudwatch")
    assert responses._service_model("made-up") is None
    loaders = {id(models.new_session().get_component("data_loader")) for _number in range(2)}
    assert len(loaders) == 1


def test_states_that_calls_of_a_service_change_are_ministacks(adapter: types.ModuleType) -> None:
    server = importlib.import_module("local_aws.ministack_adapter.server")
    app = importlib.import_module("ministack.app")
    every = server.state_names()
    assert "cloudwatch_logs" not in every
    assert server.state_names("a-service-of-no-name-here") == every
    for service, name in server._STATE_OF_SERVICE.items():
        assert server.state_names(service) == {name}
        assert name in app._state_map, f"ministack renamed the state of {service}, whose calls were not saved."
