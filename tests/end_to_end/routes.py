# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the interpreter of a server's software: prints all routes of an MLflow server with its login, as JSON.

Each is [method, path], with the parameters as Flask or FastAPI write them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INI = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
admin_password = made-up-and-unlikely-77
"""


def stand_in() -> None:
    """Images before 3.14.0 lack Flask-WTF, which has no routes."""
    try:
        __import__("flask_wtf.csrf")
    except ImportError:
        module = types.ModuleType("flask_wtf.csrf")
        module.CSRFProtect = lambda: types.SimpleNamespace(init_app=lambda _unused: None)  # type: ignore[attr-defined]
        sys.modules["flask_wtf"] = types.ModuleType("flask_wtf")
        sys.modules["flask_wtf.csrf"] = module


def native(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The routes of FastAPI, those of included routers too; newer versions keep the latter as one route."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            for context in route.effective_route_contexts():
                yield from native([context], prefix)
        elif getattr(route, "methods", None):
            yield from ((method, prefix + route.path) for method in route.methods)
        elif not hasattr(route, "app"):
            raise TypeError(f"a route of unknown kind: {route!r}")


def main() -> None:
    """Print them."""
    stand_in()
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "auth.ini").write_text(INI.format(folder=name), encoding="utf-8")
        os.environ.update(
            MLFLOW_AUTH_CONFIG_PATH=f"{name}/auth.ini",
            MLFLOW_FLASK_SERVER_SECRET_KEY="made-up-and-unlikely-78",
            _MLFLOW_SGI_NAME="uvicorn",
            _MLFLOW_SERVER_FILE_STORE=f"sqlite:///{name}/mlflow.db",
            _MLFLOW_SERVER_ARTIFACT_ROOT=name,
            _MLFLOW_SERVER_SERVE_ARTIFACTS="true",
        )
        # It reads its environment when it is imported.
        app = importlib.import_module("mlflow.server.auth").create_app()
        rules = importlib.import_module("mlflow.server").app.url_map.iter_rules()
        found = set(native(app.routes)) | {(method, rule.rule) for rule in rules for method in rule.methods}
    json.dump(sorted(found), sys.stdout)


if __name__ == "__main__":
    main()
