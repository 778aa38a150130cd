# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Run by a task before its server starts; the lines that begin with this sign are left out there. Prints what the shell
# is to export: what depends on the provider's document, on the database and on this machine. Its argument names the
# variable that sets the provider's address, for messages.
import importlib
import importlib.util
import json
import os
import pathlib
import shlex
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

MEMBERS = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
SCHEMA = "oidc"
TRIES = 10
ANSWER_SECONDS = 30
exports = {}


def fail(why):
    sys.exit(f"MLflow cannot start: {why}")


def persist(what, attempt):
    # What is not there yet may come: names, routes and the database of a new deployment.
    for tries_left in reversed(range(TRIES)):
        try:
            return attempt()
        except Exception as error:
            if isinstance(error, TimeoutError):
                error = TimeoutError(f"no answer within {ANSWER_SECONDS} s")
            if not tries_left or 400 <= getattr(error, "code", 0) < 500:
                fail(f"{what}: {str(error).strip() or type(error).__name__}")
            time.sleep(3)
    return None


def read_document():
    url = os.environ["OIDC_DISCOVERY_URL"]
    with urllib.request.urlopen(
        url, timeout=ANSWER_SECONDS, context=ssl.create_default_context(cafile=bundle)
    ) as answer:
        document = json.load(answer)
    missing = [name for name in MEMBERS if name not in document]
    if missing:
        fail(f"{url} ({sys.argv[1]}) is no discovery document, it lacks " + ", ".join(missing))
    return document


def prepare_database():
    # MLflow's own login has a table users too, in the schema public: in a schema of its own neither disturbs the other.
    # The plugin's tables are made here, by one process: its workers would all do it at once, and fall over each other.
    url = importlib.import_module("sqlalchemy.engine").make_url(os.environ["MLFLOW_BACKEND_STORE_URI"])
    database = importlib.import_module("psycopg2").connect(
        host=url.host, port=url.port, user=url.username, dbname=url.database
    )
    try:
        database.autocommit = True
        with database.cursor() as cursor:
            # Held until the connection ends: during an update there are two tasks.
            cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"schema {SCHEMA}",))
            # Checked first: a user who may not make schemas can be given this one.
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (SCHEMA,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE SCHEMA {SCHEMA}")
            if table_version(cursor) != newest_version():
                upgrade = "from mlflow_oidc_auth.db.cli import commands; commands()"
                command = [sys.executable, "-c", upgrade, "upgrade", "--url", exports["OIDC_USERS_DB_URI"]]
                subprocess.run(command, env={**os.environ, **exports}, stdout=sys.stderr, check=True)
    finally:
        database.close()


def table_version(cursor):
    table = f"{SCHEMA}.{os.environ['OIDC_ALEMBIC_VERSION_TABLE']}"
    cursor.execute("SELECT to_regclass(%s)", (table,))
    if cursor.fetchone()[0] is None:
        return None
    cursor.execute(f"SELECT version_num FROM {table}")
    return (cursor.fetchone() or (None,))[0]


def newest_version():
    # Found without importing the plugin, which takes seconds.
    package = pathlib.Path(importlib.util.find_spec("mlflow_oidc_auth").origin).parent
    directory = importlib.import_module("alembic.script").ScriptDirectory(str(package / "db" / "migrations"))
    return directory.get_current_head()


lacking = [name for name in ("psycopg2", "boto3", "mlflow_oidc_auth") if not importlib.util.find_spec(name)]
if lacking:
    fail("its image lacks the Python packages " + ", ".join(lacking))
bundle = None
if os.environ.get("OIDC_CA_CERTIFICATES"):
    # Beside the public authorities and not instead of them: the server has other addresses to talk to.
    public = pathlib.Path(importlib.import_module("certifi").where()).read_text(encoding="utf-8")
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False, encoding="utf-8") as stream:
        stream.write("\n".join([public, os.environ["OIDC_CA_CERTIFICATES"], ""]))
    bundle = exports["SSL_CERT_FILE"] = exports["REQUESTS_CA_BUNDLE"] = stream.name
document = persist(f"{os.environ['OIDC_DISCOVERY_URL']} ({sys.argv[1]}) cannot be read", read_document)
exports["OIDC_ISSUER"] = document["issuer"]
server_uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
exports["OIDC_USERS_DB_URI"] = f"{server_uri}{'&' if '?' in server_uri else '?'}options=-csearch_path={SCHEMA}"
persist(f"the users' tables in the database's schema {SCHEMA} cannot be made", prepare_database)
print("export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in exports.items()))
