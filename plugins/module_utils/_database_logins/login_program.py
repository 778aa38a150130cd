# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of the server's image runs as the master user: makes logins, sets passwords.

It is sent to the task as text, so it imports nothing of this collection. MLflow's image has psycopg2. The database is
found by libpq's variables, PGPASSWORD among them; the server's login is in LOGIN_USERNAME and LOGIN_PASSWORD.

One role without a login owns everything; two logins are members of it, and become it when a session begins. So it does
not matter which of them a table was made by. The master user becomes it as well, in the server's database alone, so
that a server which still logs in as the master user makes nothing that the two cannot use.

PostgreSQL 16 gives the creator of a role no more than ADMIN OPTION, without INHERIT and SET
(https://www.postgresql.org/docs/16/sql-createrole.html); both are granted here. Passwords are sent as SCRAM verifiers,
so that no log of the server has them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
import typing

Cursor = typing.Any

# No statement waits for a lock of the server's transactions: it would make others wait, or be a deadlock.
LOCK_TRIES, LOCK_SECONDS = 600, 0.2
SESSION_TRIES, SESSION_SECONDS = 60, 5.0
# lock_not_available (PostgreSQL, Appendix A)
NOT_AVAILABLE = "55P03"
WITH_OPTIONS = 160000
TABLES = """
SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relowner = %s::regrole AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' ORDER BY 1
"""
# What a role owns in this database, and the database itself.
OWNED = """
SELECT (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = %(role)s::regrole
    AND deptype = 'o' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
  + (SELECT count(*) FROM pg_database WHERE datname = current_database() AND datdba = %(role)s::regrole)
"""
OTHER_DATABASES = "SELECT datname FROM pg_database WHERE datdba = %s::regrole AND datname <> current_database()"
IS_OWNER = "SELECT 1 FROM pg_database WHERE datname = %s AND datdba = %s::regrole"
# Copies that an upgrade keeps have a comment, see database_program.py.
COMMENTS = """
SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database
WHERE datallowconn AND NOT datistemplate ORDER BY datname
"""
LACKING = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
  AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) ORDER BY 1
"""
ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"


class Refusal(Exception):
    """The database is not what it must be."""


def connect(**given: str) -> typing.Any:
    psycopg2 = importlib.import_module("psycopg2")

    certificates = os.environ.get("DATABASE_CA_CERTIFICATES")
    if certificates and "PGSSLROOTCERT" not in os.environ:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(certificates)
        os.environ["PGSSLROOTCERT"] = file.name
    connection = psycopg2.connect("", **given)
    connection.autocommit = True
    return connection


def master(database: str = "") -> typing.Any:
    """Connect as the master user, who stays themselves."""
    connection = connect(**({"dbname": database} if database else {}))
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
    return connection


def rows(cursor: Cursor, query: str, values: typing.Any = None) -> list[typing.Any]:
    cursor.execute(query, values)
    return list(cursor.fetchall())


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def names() -> tuple[str, list[str]]:
    """Return the owner, and both logins."""
    return os.environ["OWNER"], os.environ["LOGINS"].split()


# ---- roles


def ensure() -> None:
    """Make owner and logins, give the owner all that the master user owns, set the password of the secret's login."""
    owner, logins = names()
    connection = master()
    with connection.cursor() as cursor:
        make_roles(cursor, owner, logins)
        set_password(cursor, logins)
        databases = [os.environ["PGDATABASE"], *copies(cursor)]
    connection.close()
    for database in databases:
        hand_over(database, owner)
    test_login()


def align() -> None:
    """Do the same, and leave the other login without a password: that of a restored database has one of then."""
    ensure()
    _owner, logins = names()
    connection = master()
    with connection.cursor() as cursor:
        for name in [one for one in logins if one != os.environ["LOGIN_USERNAME"]]:
            take_password(cursor, name)
    connection.close()


def take_password(cursor: Cursor, name: str) -> None:
    cursor.execute(f"ALTER ROLE {quoted(name)} NOLOGIN PASSWORD NULL")


def make_roles(cursor: Cursor, owner: str, logins: list[str]) -> None:
    version, me = rows(cursor, "SELECT current_setting('server_version_num')::int, current_user")[0]
    options = " WITH INHERIT TRUE, SET TRUE" if version >= WITH_OPTIONS else ""
    present = {
        name for (name,) in rows(cursor, "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", ([owner, *logins],))
    }
    if owner not in present:
        cursor.execute(f"CREATE ROLE {quoted(owner)} NOLOGIN CREATEDB")
    for name in [one for one in logins if one not in present]:
        cursor.execute(f"CREATE ROLE {quoted(name)} NOLOGIN")
    for name in (me, *logins):
        if not may_become(cursor, name, owner, version):
            cursor.execute(f"GRANT {quoted(owner)} TO {quoted(name)}{options}")
    become = f"SET role TO {quoted(owner)}"
    for name in logins:
        cursor.execute(f"ALTER ROLE {quoted(name)} {become}")
    cursor.execute(f"ALTER ROLE {quoted(me)} IN DATABASE {quoted(os.environ['PGDATABASE'])} {become}")


def may_become(cursor: Cursor, name: str, owner: str, version: int) -> bool:
    """Return whether a role has the owner's privileges and may become it."""
    kinds = ("USAGE", "SET") if version >= WITH_OPTIONS else ("USAGE",)
    return all(rows(cursor, "SELECT pg_has_role(%s, %s, %s)", (name, owner, kind))[0][0] for kind in kinds)


def set_password(cursor: Cursor, logins: list[str]) -> None:
    """Give the login that the secret names the password that the secret has.

    One that is in use keeps its password: the server could not log in any more.

    Raises:
        Refusal: it is none of the two, or in use with another password.
    """
    name, password = os.environ["LOGIN_USERNAME"], os.environ["LOGIN_PASSWORD"]
    if name not in logins:
        raise Refusal("the secret's username is none of the two logins")
    if is_admitted(name, password):
        return
    if rows(cursor, SESSIONS, (name,))[0][0]:
        raise Refusal(f"{name} is in use, with another password than the secret has")
    encrypt = importlib.import_module("psycopg2.extensions").encrypt_password
    verifier = encrypt(password, name, scope=cursor, algorithm="scram-sha-256")
    cursor.execute(f"ALTER ROLE {quoted(name)} LOGIN PASSWORD %s", (verifier,))


def is_admitted(name: str, password: str) -> bool:
    psycopg2 = importlib.import_module("psycopg2")
    try:
        connect(user=name, password=password).close()
    except psycopg2.OperationalError:
        return False
    return True


def copies(cursor: Cursor) -> list[str]:
    """Return the databases that an upgrade has kept."""
    found = []
    for name, comment in rows(cursor, COMMENTS):
        try:
            facts = json.loads(comment)
        except ValueError:
            continue
        if isinstance(facts, dict) and "stamp" in facts:
            found.append(name)
    return found


def hand_over(database: str, owner: str) -> None:
    """Give the owner all that the master user owns in a database, and the database: all at once, or nothing.

    Raises:
        Refusal: other sessions have used the tables all the time.
    """
    psycopg2 = importlib.import_module("psycopg2")

    connection = master(database)
    connection.autocommit = False
    for left in reversed(range(LOCK_TRIES)):
        try:
            with connection, connection.cursor() as cursor:
                give(cursor, owner)
            connection.close()
            return
        except psycopg2.Error as error:
            if error.pgcode != NOT_AVAILABLE:
                raise
            if not left:
                raise Refusal("the tables were in use all the time, so that their owner could not be changed") from None
        time.sleep(LOCK_SECONDS)


def give(cursor: Cursor, owner: str) -> None:
    cursor.execute("SET ROLE NONE")
    [(me, database)] = rows(cursor, "SELECT current_user, current_database()")
    if not rows(cursor, OWNED, {"role": quoted(me)})[0][0]:
        return
    # REASSIGN OWNED takes all databases of the master user along.
    others = [name for (name,) in rows(cursor, OTHER_DATABASES, (quoted(me),))]
    tables = [name for (name,) in rows(cursor, TABLES, (quoted(me),))]
    cursor.execute("SET LOCAL lock_timeout = '500ms'")
    if tables:
        # All or none, without waiting: so there is no deadlock with the server.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE NOWAIT")
    if rows(cursor, IS_OWNER, (database, quoted(me))):
        # First, since the owner of the database may create in its schema public, as the owner of a function must.
        cursor.execute(f"ALTER DATABASE {quoted(database)} OWNER TO {quoted(owner)}")
    cursor.execute(f"REASSIGN OWNED BY {quoted(me)} TO {quoted(owner)}")
    for name in others:
        cursor.execute(f"ALTER DATABASE {quoted(name)} OWNER TO {quoted(me)}")


# ---- what the server needs


def test_login() -> None:
    """Log in as the server does.

    Raises:
        Refusal: the login may less than the server needs.
    """
    owner, _logins = names()
    connection = connect(user=os.environ["LOGIN_USERNAME"], password=os.environ["LOGIN_PASSWORD"])
    with connection.cursor() as cursor:
        query = "SELECT current_user, has_schema_privilege('public', 'CREATE')"
        [(role, may_create)] = rows(cursor, query)
        lacking = [name for (name,) in rows(cursor, LACKING)]
    connection.close()
    if role != owner:
        raise Refusal(f"the login does not become {owner}")
    if not may_create:
        raise Refusal(f"{owner} may not create tables in the schema public")
    if lacking:
        raise Refusal(f"{owner} may not use {', '.join(lacking[:3])}")


def retire() -> None:
    """Wait for the end of the other login's sessions, and take its password.

    Raises:
        Refusal: it is the login that the secret has now, or it has sessions all the time.
    """
    _owner, logins = names()
    present, former = os.environ["LOGIN_USERNAME"], os.environ["FORMER_USERNAME"]
    if present == former or {present, former} != set(logins):
        raise Refusal("the login to retire is the one that the secret has")
    test_login()
    connection = master()
    with connection.cursor() as cursor:
        for left in reversed(range(SESSION_TRIES)):
            if not rows(cursor, SESSIONS, (former,))[0][0]:
                break
            if not left:
                raise Refusal(f"{former} has sessions still")
            time.sleep(SESSION_SECONDS)
        take_password(cursor, former)
    connection.close()


def test_master() -> None:
    """Log in as the master user."""
    master().close()


ACTIONS: dict[str, typing.Callable[[], None]] = {
    "ensure": ensure,
    "align": align,
    "retire": retire,
    "test_master": test_master,
}


def main() -> None:
    ACTIONS[os.environ["ACTION"]]()
    sys.stdout.write(f"{os.environ['ACTION']}: done.\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as problem:
        # Values of the database may stand in a message of PostgreSQL's detail, so only its first line is printed.
        first = str(problem).splitlines()[0] if str(problem) else ""
        sys.stderr.write(f"{type(problem).__name__}: {first}\n")
        raise SystemExit(1) from None
