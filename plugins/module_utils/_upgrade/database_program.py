# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of MLflow's image runs around an upgrade: looks, copies the database, migrates it, goes back.

It is sent to the task as text, so it imports nothing of this collection. MLflow's image has psycopg2, boto3, alembic.
The database is found by libpq's variables, PGPASSWORD among them: no address that is printed, or that is on a command
line, has a password. What is printed goes to the log, so it is never a value of the database.

A copy has a comment (JSON) that says what it is a copy of. It is written last, so a copy without one is not complete.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing

Cursor = typing.Any
Report = dict[str, typing.Any]

# A database where nothing is done: CREATE DATABASE … TEMPLATE and RENAME want nobody in the one that they are about.
MAINTENANCE = "postgres"
TRIES, SECONDS = 12, 5.0
# object_in_use (PostgreSQL, Appendix A)
IN_USE = "55006"
# Of each: Alembic's table of versions, and where its scripts are.
GRAPHS = {"alembic_version": "store/db_migrations", "alembic_version_auth": "server/auth/db/migrations"}
# What users make. A table that a new version replaces by another is not missed.
WATCHED = (
    *("experiments", "runs", "metrics", "params", "tags", "datasets", "inputs", "trace_info", "spans", "assessments"),
    *("registered_models", "model_versions", "registered_model_aliases", "logged_models", "users", "webhooks"),
)
# What would be lost: how it is called, and what tells one from another.
MADE = {
    "runs": ("runs", "run_uuid"),
    "trace_info": ("traces", "request_id"),
    "model_versions": ("model versions", "name || '/' || version"),
}
KEYS = """
COPY (SELECT key FROM (SELECT encode(convert_to({key}, 'UTF8'), 'hex') AS key FROM public.{table}) AS all_of_them
ORDER BY key COLLATE "C") TO STDOUT
"""
SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND usename IS NOT NULL AND pg_has_role(usename, 'MEMBER')
"""
SIZES = """
SELECT pg_database_size(current_database()),
  (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')),
  (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user),
  (SELECT pg_has_role(datdba, 'MEMBER') FROM pg_database WHERE datname = current_database())
"""
DATABASES = """
SELECT datname, coalesce(shobj_description(oid, 'pg_database'), ''),
  CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END
FROM pg_database WHERE NOT datistemplate ORDER BY datname
"""


class Refusal(Exception):
    """The database, or the image, is not what it must be."""


def connect(database: str = "") -> typing.Any:
    psycopg2 = importlib.import_module("psycopg2")

    certificates = os.environ.get("DATABASE_CA_CERTIFICATES")
    if certificates and "PGSSLROOTCERT" not in os.environ:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(certificates)
        os.environ["PGSSLROOTCERT"] = file.name
    connection = psycopg2.connect("", **({"dbname": database} if database else {}))
    connection.autocommit = True
    return connection


def rows(cursor: Cursor, query: str, *values: typing.Any) -> list[typing.Any]:
    cursor.execute(query, values or None)
    return list(cursor.fetchall())


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def counts(cursor: Cursor) -> dict[str, int]:
    """Return the rows of each table."""
    query = "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    names = sorted(row[0] for row in rows(cursor, query))
    return {name: rows(cursor, f"SELECT count(*) FROM public.{quoted(name)}")[0][0] for name in names}


def revisions(cursor: Cursor) -> dict[str, list[str]]:
    """Return the revisions that the tables of Alembic name."""
    found = {}
    for table in GRAPHS:
        if rows(cursor, "SELECT to_regclass(%s)", f"public.{table}")[0][0] is not None:
            found[table] = sorted(row[0] for row in rows(cursor, f"SELECT version_num FROM public.{table}"))
    return found


def databases(cursor: Cursor) -> dict[str, Report]:
    """Return the databases with the facts of their comments; none where there is no comment of this program's."""
    found = {}
    for name, comment, size in rows(cursor, DATABASES):
        try:
            facts = json.loads(comment)
        except ValueError:
            facts = None
        found[name] = {"facts": facts if isinstance(facts, dict) else {}, "size_bytes": int(size)}
    return found


def heads() -> dict[str, str]:
    """Return the newest revision of each graph of the image.

    Raises:
        Refusal: a graph has more than one.
    """
    script = importlib.import_module("alembic.script")
    # Found without an import of the package, which takes seconds.
    package = pathlib.Path(str(importlib.util.find_spec("mlflow").origin)).parent  # type: ignore[union-attr]
    found = {}
    for table, folder in GRAPHS.items():
        ends = list(script.ScriptDirectory(str(package / folder)).get_heads())
        if len(ends) != 1:
            raise Refusal(f"the image's migrations of {table} end at {len(ends)} revisions, and not at one")
        found[table] = str(ends[0])
    return found


def refuse_unknown_revisions(present: dict[str, list[str]]) -> None:
    """Refuse tables of a newer MLflow than the image's."""
    script = importlib.import_module("alembic.script")
    package = pathlib.Path(str(importlib.util.find_spec("mlflow").origin)).parent  # type: ignore[union-attr]
    for table, names in present.items():
        known = {one.revision for one in script.ScriptDirectory(str(package / GRAPHS[table])).walk_revisions()}
        unknown = sorted(set(names) - known)
        if unknown:
            raise Refusal(f"{table} is at {'+'.join(unknown)}, which the image's MLflow does not know: it is newer")


# ---- what is done


def preflight() -> Report:
    """Find out whether the image can upgrade the database; change nothing."""
    version, wanted = importlib.metadata.version("mlflow"), os.environ["TO_VERSION"]
    if version != wanted:
        raise Refusal(f"the image holds MLflow {version}, and not {wanted}")
    connection = connect()
    with connection.cursor() as cursor:
        present = revisions(cursor)
        refuse_unknown_revisions(present)
        size, all_sizes, may_create, owns = rows(cursor, SIZES)[0]
        found = {
            "mlflow": version,
            "heads": heads(),
            "revisions": present,
            "counts": counts(cursor),
            "size_bytes": int(size),
            "all_sizes_bytes": int(all_sizes),
            "databases": databases(cursor),
        }
    connection.close()
    if not (may_create and owns):
        raise Refusal("the server's login may not copy the database: it must own it, and have CREATEDB")
    connect(MAINTENANCE).close()
    return found


def copy() -> Report:
    """Copy the database, unless that is done."""
    name, facts = os.environ["COPY"], json.loads(os.environ["FACTS"])
    source = os.environ["PGDATABASE"]
    connection = connect(source)
    with connection.cursor() as cursor:
        facts = {**facts, "revisions": revisions(cursor)}
    connection.close()
    connection = connect(MAINTENANCE)
    with connection.cursor() as cursor:
        present = databases(cursor)
        if name in present:
            if present[name]["facts"].get("stamp") == facts["stamp"]:
                return {"copied": False}
            if present[name]["facts"]:
                raise Refusal(f"there is a database {name} of another upgrade")
            # Its making was cut off: nothing has been migrated yet.
            persist(cursor, f"DROP DATABASE {quoted(name)}", name)
        # The copy takes the place of the database, if an upgrade goes back.
        owner = rows(cursor, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", source)[0][0]
        persist(cursor, f"CREATE DATABASE {quoted(name)} TEMPLATE {quoted(source)} OWNER {quoted(owner)}", source)
        cursor.execute(f"COMMENT ON DATABASE {quoted(name)} IS %s", (json.dumps(facts),))
    connection.close()
    return {"copied": True}


def persist(cursor: Cursor, statement: str, *names: str) -> None:
    """Execute a statement that wants nobody in some databases; end the sessions that are the login's own.

    Raises:
        Refusal: others stay.
    """
    psycopg2 = importlib.import_module("psycopg2")

    for left in reversed(range(TRIES)):
        end_sessions(cursor, *names)
        try:
            cursor.execute(statement)
            return
        except psycopg2.Error as error:
            if error.pgcode != IN_USE:
                raise
            if not left:
                raise Refusal(f"others are connected to {' or '.join(names)}: end their sessions") from None
        time.sleep(SECONDS)


def end_sessions(cursor: Cursor, *names: str) -> None:
    # A login that has become another role (ALTER ROLE … SET role) may end its own sessions only as itself.
    cursor.execute("SET ROLE NONE")
    rows(cursor, SESSIONS, list(names))
    cursor.execute("RESET ROLE")


def migrate() -> Report:
    """Bring the tables to the image's revisions, and look whether all is there.

    Raises:
        Refusal: they are at others afterwards, or something is missing.
    """
    source = os.environ["PGDATABASE"]
    connection = connect(MAINTENANCE)
    with connection.cursor() as cursor:
        # The migration of a run that was cut off goes on otherwise.
        end_sessions(cursor, source)
    connection.close()
    run("mlflow", "db", "upgrade", address())
    connection = connect()
    with connection.cursor() as cursor:
        has_users = rows(cursor, "SELECT to_regclass('public.users') IS NOT NULL")[0][0]
        present = revisions(cursor)
    connection.close()
    wanted = heads()
    # Before 3.14.0 the image lacks what its login needs; the server installs it, and migrates its table itself.
    if has_users and "alembic_version_auth" in present and importlib.util.find_spec("flask_wtf"):
        run("mlflow.server.auth", "db", "upgrade", "--url", address())
    else:
        wanted.pop("alembic_version_auth")
    found = check(wanted)
    read_as_the_server_does()
    return found


def address() -> str:
    return f"postgresql+psycopg2:///{os.environ['PGDATABASE']}"


def run(*command: str) -> None:
    """Run a module of Python; what it prints is kept away from the log, but for the class of an exception."""
    ended = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line and not line.startswith((" ", "\t"))]
        kind = next((line.partition(":")[0] for line in reversed(lines) if "Error" in line.partition(":")[0]), "")
        raise Refusal(f"{' '.join(command[:3])} ended with exit code {ended.returncode} {kind}".rstrip())


def check(wanted: dict[str, str]) -> Report:
    """Compare the migrated tables with the copy.

    Raises:
        Refusal: a table lacks rows, or is at another revision.
    """
    connection, former = connect(), connect(os.environ["COPY"])
    with connection.cursor() as cursor, former.cursor() as before:
        now, then, at = counts(cursor), counts(before), revisions(cursor)
    connection.close()
    former.close()
    wrong = [f"{name} is at {'+'.join(at.get(name, []))}" for name, head in wanted.items() if at.get(name) != [head]]
    wrong += [
        f"{name} has {now.get(name, 0)} rows and had {then[name]}"
        for name in WATCHED
        if now.get(name, 0) < then.get(name, 0)
    ]
    if wrong:
        raise Refusal("; ".join(wrong))
    return {"counts": now, "revisions": at}


def read_as_the_server_does() -> None:
    """Read runs, registered models and traces with the image's own code, and an artifact of the bucket."""
    tracking = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    registry = importlib.import_module("mlflow.store.model_registry.sqlalchemy_store")
    view = importlib.import_module("mlflow.entities").ViewType.ALL
    store = tracking.SqlAlchemyStore(address(), "mlflow-artifacts:/")
    found = [one.experiment_id for one in store.search_experiments(view_type=view, max_results=100)]
    store.search_runs(found, "", view, max_results=1)
    store.search_traces(found, max_results=1)
    registry.SqlAlchemyStore(address()).search_registered_models(max_results=1)
    s3 = importlib.import_module("boto3").client("s3")
    listed = s3.list_objects_v2(Bucket=os.environ["REPORT_BUCKET"], MaxKeys=100).get("Contents") or []
    # What begins with an underscore is kept by others than the server.
    for one in [one for one in listed if not one["Key"].startswith("_") and one["Size"]][:1]:
        s3.get_object(Bucket=os.environ["REPORT_BUCKET"], Key=one["Key"], Range="bytes=0-0")["Body"].read()


def go_back() -> Report:
    """Exchange the names of the database and of its copy, unless that is done; return what the former has alone."""
    live, former, aside = os.environ["PGDATABASE"], os.environ["COPY"], os.environ["ASIDE"]
    connection = connect(MAINTENANCE)
    with connection.cursor() as cursor:
        present = databases(cursor)
        if former not in present and live in present:
            return {"exchanged": False, "lost": {}}
        if former not in present:
            raise Refusal(f"there is neither a database {live} nor its copy {former}")
        lost: dict[str, int] = {}
        if live in present:
            # That it cannot be counted must not stand in the way back.
            with contextlib.suppress(importlib.import_module("psycopg2").Error):
                lost = only_in(live, former)
            if os.environ.get("FACTS"):
                # A comment stays with its database.
                cursor.execute(f"COMMENT ON DATABASE {quoted(live)} IS %s", (os.environ["FACTS"],))
            persist(cursor, f"ALTER DATABASE {quoted(live)} RENAME TO {quoted(aside)}", live)
        persist(cursor, f"ALTER DATABASE {quoted(former)} RENAME TO {quoted(live)}", former)
        cursor.execute(f"COMMENT ON DATABASE {quoted(live)} IS NULL")
    connection.close()
    return {"exchanged": True, "lost": lost}


def only_in(database: str, other: str) -> dict[str, int]:
    """Return how many runs, traces and model versions a database has that another one does not have.

    Their numbers do not tell: as many may have been deleted since as were added.
    """
    found = {}
    for table, (name, key) in MADE.items():
        with keys(database, table, key) as here, keys(other, table, key) as there:
            found[name] = count_missing(here, there)
    return found


@contextlib.contextmanager
def keys(database: str, table: str, key: str) -> typing.Iterator[typing.IO[bytes]]:
    """Yield the keys of a table's rows in a file, sorted: there may be too many for the memory."""
    connection = connect(database)
    with tempfile.TemporaryFile() as file, connection.cursor() as cursor:
        if rows(cursor, "SELECT to_regclass(%s)", f"public.{table}")[0][0] is not None:
            cursor.copy_expert(KEYS.format(table=table, key=key), file)
        connection.close()
        file.seek(0)
        yield file


def count_missing(here: typing.Iterator[bytes], there: typing.Iterator[bytes]) -> int:
    """Return how many of sorted lines are not among other sorted lines."""
    number, other = 0, next(there, b"")
    for line in here:
        while other and other < line:
            other = next(there, b"")
        number += line != other
    return number


def compare() -> Report:
    """List the databases, and say what going back would lose."""
    connection = connect(MAINTENANCE)
    with connection.cursor() as cursor:
        present = databases(cursor)
    connection.close()
    former = os.environ.get("COPY", "")
    lost = only_in(os.environ["PGDATABASE"], former) if former in present else {}
    return {"databases": present, "lost": lost}


def drop() -> Report:
    """Drop a copy."""
    name = os.environ["COPY"]
    connection = connect(MAINTENANCE)
    with connection.cursor() as cursor:
        there = name in databases(cursor)
        if there:
            persist(cursor, f"DROP DATABASE {quoted(name)}", name)
    connection.close()
    return {"dropped": there}


ACTIONS: dict[str, typing.Callable[[], Report]] = {
    "preflight": preflight,
    "copy": copy,
    "migrate": migrate,
    "go_back": go_back,
    "compare": compare,
    "drop": drop,
}


def main() -> None:
    boto3 = importlib.import_module("boto3")

    found = ACTIONS[os.environ["ACTION"]]()
    body = json.dumps(found).encode()
    boto3.client("s3").put_object(Bucket=os.environ["REPORT_BUCKET"], Key=os.environ["REPORT_KEY"], Body=body)
    sys.stdout.write("The report was written.\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as problem:
        # Values of the database may stand in a message of PostgreSQL's detail, so only its first line is printed.
        first = str(problem).splitlines()[0] if str(problem) else ""
        sys.stderr.write(f"{type(problem).__name__}: {first}\n")
        raise SystemExit(1) from None
