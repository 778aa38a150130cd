# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role auth makes of a provider, and what a task does before its server with such a login."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from plays import ROLES
from plays import play_of
from plays import run
from plays import shown_in

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.mlflow import pinned

BOOT = ROLES / "auth" / "files" / "oidc_boot.py"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:idp/mlflow-AbCdEf"
SERVER = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow/server-AbCdEf"
URI = "postgresql+psycopg2://mlflow@database.example.com:5432/mlflow"
DOCUMENT = {
    name: f"https://idp.example.com/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUFERSBVUA==\n-----END CERTIFICATE-----"
KEY = "-----BEGIN PRIVATE KEY-----\nVE9QU0VDUkVU\n-----END PRIVATE KEY-----"
PINNED = f"mlflow-oidc-auth==12.0.0 --hash=sha256:{'0' * 64}"
Boot = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the role hands over in some cases, all asked in one play."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "ca.pem").write_text(f"comment\n{KEY}\n{CERTIFICATE}\n", encoding="utf-8")
    cases: dict[str, dict[str, Any]] = {
        **{version: {"auth_mlflow_version": version} for version in ("3.13.0", "3.14.0", "3.15.2", "3.16.0", "3.17.2")},
        "3.18.0": {"auth_mlflow_version": "3.18.0"},
        "chosen": {"auth_mlflow_version": "3.18.0", "auth_oidc_plugin_version": "12.0.0"},
        "pinned": {
            "auth_mlflow_version": "3.18.0",
            "auth_oidc_plugin_version": "12.0.0",
            "auth_oidc_plugin_requirements": [PINNED],
        },
        "none": {"auth_pip_install": False},
        "own image": {"auth_image": "registry.example.com/ours:1.0"},
        "key": {"auth_oidc_client_secret_key": "client_secret"},
        "all": {
            "auth_oidc_ca_path": str(folder / "ca.pem"),
            "auth_oidc_redirect_uri": "https://mlflow.example.com/callback",
            "auth_oidc_audience": "api://mlflow",
            "auth_pip_index_url": "https://packages.example.com/simple",
        },
    }
    show = "__auth_login.oidc | combine({'secrets': __auth_oidc_secrets, "
    show += "'environment': __auth_oidc_environment | combine(__auth_oidc_more_environment)})"
    networks = {"subnet-2": "10.0.2.0/24", "subnet-1": "10.0.1.0/24", "subnet-of-others": "10.0.9.0/24"}
    subnets = [{"subnet_id": name, "cidr_block": block} for name, block in networks.items()]
    given = {
        "role_path": str(ROLES / "auth"),
        "auth_oidc_client_id": "mlflow-client",
        "auth_oidc_client_secret_arn": SECRET,
        "__auth_server_made": {"secret": {"arn": SERVER}},
        "auth_subnet_ids": ["subnet-1", "subnet-2"],
        "__auth_oidc_subnets": {"subnets": subnets},
    }
    # As the loop in keep.yml has it.
    item = {"__auth_of_mode": "{{ __auth_login.oidc }}"}
    tasks = [
        {**shown_in(f"{{{{ {show} | to_json }}}}", str(folder / f"{name}.json")), "vars": {**item, **case}}
        for name, case in cases.items()
    ]
    files = (ROLES / "auth" / name for name in ("defaults/main.yml", "vars/main.yml"))
    run(folder, play_of(tasks, *files), extra=given)
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in cases}


@pytest.mark.parametrize(
    ("version", "plugin"),
    [
        ("3.13.0", ""),
        ("3.14.0", "8.4.0"),
        ("3.15.2", "8.4.0"),
        ("3.16.0", "10.1.3"),
        ("3.17.2", "10.1.3"),
        ("3.18.0", ""),
    ],
)
def test_each_version_gets_the_plugin_that_was_tested_with_it(
    rendered: dict[str, Any], version: str, plugin: str
) -> None:
    assert rendered[version]["plugin"] == plugin


def test_mlflow_stays_what_it_is_and_nothing_floats(rendered: dict[str, Any]) -> None:
    for version in ("3.14.0", "3.15.2", "3.16.0", "3.17.2"):
        packages = rendered[version]["packages"]
        names = [package.partition("==")[0] for package in packages]
        assert "mlflow-oidc-auth" in names
        assert "mlflow" not in names
        assert [problem for package in packages for problem in pinned("package", package)] == []
    assert rendered["chosen"]["packages"] == []
    assert rendered["pinned"]["packages"] == [PINNED]


@pytest.mark.parametrize("case", ["none", "own image"])
def test_nothing_is_installed_where_that_was_not_wanted(rendered: dict[str, Any], case: str) -> None:
    assert rendered[case]["packages"] == []


def test_secrets_come_from_their_secrets(rendered: dict[str, Any]) -> None:
    assert rendered["3.17.2"]["secrets"] == {
        "OIDC_CLIENT_SECRET": SECRET,
        "SECRET_KEY": f"{SERVER}:session_secret_key::",
    }
    assert rendered["key"]["secrets"]["OIDC_CLIENT_SECRET"] == f"{SECRET}:client_secret::"


def test_closed_by_default(rendered: dict[str, Any]) -> None:
    environment = rendered["3.17.2"]["environment"]
    assert environment["DEFAULT_MLFLOW_PERMISSION"] == "READ"
    assert environment["OIDC_AUDIENCE"] == "mlflow-client"
    assert environment["OIDC_CODE_CHALLENGE"] == "S256"
    assert environment["SESSION_COOKIE_SECURE"] == "true"
    assert environment["ENABLE_API_DOCS"] == "false"
    assert environment["OIDC_PROVISION_ON_BEARER_AUTH"] == environment["OIDC_TRUST_BEARER_GROUP_CLAIMS"] == "false"
    # Only uvicorn takes over headers, two of them, and only those of the VPC; the plugin takes over none.
    assert environment["FORWARDED_ALLOW_IPS"].split(",")[2:] == ["10.0.1.0/24", "10.0.2.0/24"]
    assert environment["TRUSTED_PROXIES"] == "192.0.2.0/24"
    assert "OIDC_REDIRECT_URI" not in environment


def test_wishes_are_passed_on(rendered: dict[str, Any]) -> None:
    environment = rendered["all"]["environment"]
    # A plain variable is no place for a key, which the file may hold too.
    assert environment["OIDC_CA_CERTIFICATES"] == CERTIFICATE
    assert environment["OIDC_REDIRECT_URI"] == "https://mlflow.example.com/callback"
    assert environment["OIDC_AUDIENCE"] == "api://mlflow"
    assert environment["PIP_INDEX_URL"] == "https://packages.example.com/simple"


def test_the_shell_reads_the_boot(rendered: dict[str, Any]) -> None:
    boot = " && ".join(rendered["3.17.2"]["boot"])
    assert subprocess.run(["bash", "-n", "-c", boot], check=False).returncode == 0
    assert "Copyright" not in boot


class Provider(http.server.BaseHTTPRequestHandler):
    """Shows a document."""

    def do_GET(self) -> None:
        status, text = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_unused: Any) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.answer = (200, json.dumps({"issuer": "https://idp.example.com", **DOCUMENT}))  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


NOTE = """
import os, sys
def note(text):
    with open(os.environ["STATEMENTS"], "a") as stream:
        stream.write(text + "\\n")
"""
STUBS = {
    "boto3": "",
    "notes": NOTE,
    "mlflow_oidc_auth/__init__": "",
    "mlflow_oidc_auth/db/cli": "import sys, notes\n"
    "def commands():\n    print('chatter')\n    notes.note(' '.join(sys.argv[1:]))\n",
    "alembic/script": "class ScriptDirectory:\n    def __init__(self, path): pass\n"
    "    def get_current_head(self): return 'head'\n",
    "certifi": "import os\ndef where(): return os.environ['PUBLIC']\n",
    "sqlalchemy/engine": "from urllib.parse import urlsplit\n"
    "def make_url(text):\n    url = urlsplit(text)\n    url.__class__.host = property(lambda u: u.hostname)\n"
    "    url.__class__.database = property(lambda u: u.path[1:])\n    return url\n",
    "psycopg2": """
import notes, os
class Handle:
    def __enter__(self): return self
    def __exit__(self, *unused): return None
    def close(self): notes.note("end of connection")
    def cursor(self): return self
    def execute(self, statement, *unused):
        self.statement = statement
        notes.note(statement)
    def fetchone(self):
        if "pg_namespace" in self.statement: return (1,) if os.environ.get("TABLES") else None
        if "to_regclass" in self.statement: return ("table" if os.environ.get("TABLES") else None,)
        return (os.environ.get("TABLES"),)
def connect(**options):
    assert options == {"host": "database.example.com", "port": 5432, "user": "mlflow", "dbname": "mlflow"}, options
    return Handle()
""",
}


@pytest.fixture
def boot(tmp_path: Path, provider: Any) -> Boot:
    """Run the script as the task does, with modules that only pretend."""
    for name, text in STUBS.items():
        path = tmp_path / "modules" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "public.pem").write_text("public\n", encoding="utf-8")

    def go(**environment: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path / "modules"),
            "PUBLIC": str(tmp_path / "public.pem"),
            "STATEMENTS": str(tmp_path / "statements"),
            "TMPDIR": str(tmp_path),
            "OIDC_DISCOVERY_URL": f"http://127.0.0.1:{provider.server_port}/document",
            "MLFLOW_BACKEND_STORE_URI": URI,
            "OIDC_ALEMBIC_VERSION_TABLE": "alembic_version_oidc",
            **environment,
        }
        return subprocess.run(
            [sys.executable, "-c", BOOT.read_text(encoding="utf-8"), "mlflow_oidc_discovery_url"],
            env=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return go


def exported(printed: str) -> dict[str, str]:
    """What a shell has after it has evaluated what was printed."""
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        ["bash", "-c", f'eval "$0" && "{sys.executable}" -c \'{show}\'', printed],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_issuer_and_users_schema_are_found_out(boot: Boot, tmp_path: Path) -> None:
    done = boot()
    assert done.returncode == 0, done.stderr
    found = exported(done.stdout)
    assert found["OIDC_ISSUER"] == "https://idp.example.com"
    assert found["OIDC_USERS_DB_URI"] == f"{URI}?options=-csearch_path=oidc"
    assert "SSL_CERT_FILE" not in found


def test_the_users_tables_are_made_by_one_process_at_a_time(boot: Boot, tmp_path: Path) -> None:
    done = boot()
    assert "chatter" not in done.stdout
    statements = (tmp_path / "statements").read_text(encoding="utf-8").splitlines()
    assert statements[0].startswith("SELECT pg_advisory_lock")
    assert "CREATE SCHEMA oidc" in statements
    assert statements[-2:] == [f"upgrade --url {URI}?options=-csearch_path=oidc", "end of connection"]


@pytest.mark.parametrize(("version", "upgraded"), [("head", False), ("older", True)])
def test_tables_that_are_there_are_only_upgraded(boot: Boot, tmp_path: Path, version: str, upgraded: bool) -> None:
    assert boot(TABLES=version).returncode == 0
    statements = (tmp_path / "statements").read_text(encoding="utf-8")
    assert "CREATE" not in statements
    assert ("upgrade" in statements) == upgraded


def test_own_authorities_come_beside_the_public_ones(boot: Boot) -> None:
    end = "-----END CERTIFICATE-----\n"
    certificate = Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0].rpartition("-----BEGIN")[2]
    certificate = f"-----BEGIN{certificate}{end}"
    done = boot(OIDC_CA_CERTIFICATES=certificate)
    assert done.returncode == 0, done.stderr
    found = exported(done.stdout)
    assert found["SSL_CERT_FILE"] == found["REQUESTS_CA_BUNDLE"]
    bundle = Path(found["SSL_CERT_FILE"])
    assert bundle.read_text(encoding="utf-8").startswith("public\n")
    assert certificate in bundle.read_text(encoding="utf-8")
    assert bundle.stat().st_mode & 0o077 == 0


def test_what_a_provider_says_is_never_a_command(boot: Boot, provider: Any, tmp_path: Path) -> None:
    issuer = f"https://x/$(touch {tmp_path}/done)';touch {tmp_path}/done;'"
    provider.answer = (200, json.dumps({**DOCUMENT, "issuer": issuer}))
    assert exported(boot().stdout)["OIDC_ISSUER"] == issuer
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [((404, "no"), "HTTP Error 404"), ((200, json.dumps(DOCUMENT)), "lacks issuer")],
)
def test_a_wrong_address_ends_the_task_with_a_sentence(
    boot: Boot, provider: Any, answer: tuple[int, str], said: str
) -> None:
    provider.answer = answer
    done = boot()
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("MLflow cannot start: ")
    assert f"127.0.0.1:{provider.server_port}/document (mlflow_oidc_discovery_url)" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_without_the_plugin_says_so(boot: Boot, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "modules" / "mlflow_oidc_auth")
    done = boot()
    assert done.returncode == 1
    assert done.stderr.strip() == "MLflow cannot start: its image lacks the Python packages mlflow_oidc_auth"


def test_other_plugin_is_refused_before_anything_is_made_unless_its_packages_are_pinned(tmp_path: Path) -> None:
    check = {"include_role": {"name": "mlops.mlflow_aws.auth", "tasks_from": "preflight.yml"}}
    given = {"auth_mlflow_version": "3.17.2", "auth_oidc_plugin_version": "12.0.0", "auth_mode": "oidc"}
    said = run(tmp_path, play_of([check]), extra=given, code=2)
    assert "auth_oidc_plugin_version is 12.0.0, for which this collection knows no hashes" in " ".join(said.split())
    run(tmp_path, play_of([check]), extra={**given, "auth_oidc_plugin_requirements": [PINNED]})
    run(tmp_path, play_of([check]), extra={**given, "auth_image": "registry.example.com/ours:1.0"})
