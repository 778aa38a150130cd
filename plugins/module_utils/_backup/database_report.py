# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of the server's image runs: counts the rows of the database, and dumps it if asked to.

It is sent to the task as text, so it imports nothing of this collection. MLflow's image has psycopg2 and boto3, and no
pg_dump. The dump is plain SQL for psql: the definitions are PostgreSQL's own words (pg_get_constraintdef,
pg_get_indexdef, format_type, pg_get_expr), the rows are those of COPY. What it does not know it refuses.

The database is found by libpq's variables. What is printed goes to the log, so it is never a value of the database.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
import threading
import typing
from collections.abc import Iterator

Cursor = typing.Any
Row = tuple[typing.Any, ...]

BEGIN = """SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
BEGIN;
"""
TABLES = """
SELECT c.oid, quote_ident(c.relname), c.relname, c.relkind FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY c.relname
"""
COLUMNS = """
SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
  a.attidentity, a.attgenerated
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
SEQUENCES = """
SELECT c.oid::regclass::text, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache,
  s.seqcycle, quote_ident(t.relname), quote_ident(a.attname), d.deptype
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
LEFT JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass
  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
LEFT JOIN pg_class t ON t.oid = d.refobjid
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1
"""
ENUMS = """
SELECT quote_ident(t.typname), string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = 'public'::regnamespace GROUP BY 1 ORDER BY 1
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype IN ({kinds}) ORDER BY contype, conname
"""
INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace
AND NOT EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x'))
ORDER BY 1
"""
# MLflow has a trigger that keeps the context of encrypted values as it is.
FUNCTIONS = """
SELECT pg_get_functiondef(p.oid) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY 1
"""
TRIGGERS = """
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal ORDER BY 1
"""
UNKNOWN = """
SELECT 'aggregate ' || p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
  AND p.prokind NOT IN ('f', 'p')
UNION ALL SELECT 'inherited table ' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'r')
"""


class Unsupported(Exception):
    """The database holds something that the dump does not know."""


def connect() -> typing.Any:
    psycopg2 = importlib.import_module("psycopg2")

    certificates = os.environ.get("DATABASE_CA_CERTIFICATES")
    if certificates:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(certificates)
        os.environ["PGSSLROOTCERT"] = file.name
    connection = psycopg2.connect("")
    # One view of the database for all counts and all tables of the dump.
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    return connection


def rows(cursor: Cursor, query: str, *values: typing.Any) -> list[Row]:
    cursor.execute(query, values or None)
    return list(cursor.fetchall())


def report(cursor: Cursor) -> dict[str, typing.Any]:
    """Return the rows of each table, and the revisions of each of Alembic's tables."""
    tables = [(quoted, name) for _oid, quoted, name, kind in rows(cursor, TABLES) if kind in "rp"]
    counts = {name: rows(cursor, f"SELECT count(*) FROM public.{quoted}")[0][0] for quoted, name in tables}
    revisions = {
        name: sorted(row[0] for row in rows(cursor, f"SELECT version_num FROM public.{quoted}"))
        for quoted, name in tables
        if name.startswith("alembic")
    }
    size, version = rows(cursor, "SELECT pg_database_size(current_database()), current_setting('server_version')")[0]
    return {"counts": counts, "revisions": revisions, "size_bytes": size, "postgresql": version}


def readable(cursor: Cursor, tables: set[str]) -> dict[str, dict[str, int]]:
    """Return how many values of each kind the server has encrypted, and how many of them its keys decrypt.

    mlflow/store/model_registry/dbmodels/models.py (EncryptedString), mlflow/utils/crypto.py.
    """
    found: dict[str, dict[str, int]] = {}
    for kind, table, query, decrypt in (
        ("webhooks", "webhooks", "SELECT secret FROM public.webhooks WHERE secret IS NOT NULL", decrypt_webhook),
        (
            "gateway",
            "secrets",
            "SELECT encrypted_value, wrapped_dek, kek_version, secret_id, secret_name FROM public.secrets",
            decrypt_gateway,
        ),
    ):
        stored = rows(cursor, query) if table in tables else []
        found[kind] = {"stored": len(stored), "readable": sum(decrypts(decrypt, row) for row in stored)}
    return found


def decrypts(decrypt: typing.Callable[..., None], row: Row) -> bool:
    try:
        decrypt(*row)
    except Exception:
        # Each library has an exception of its own for a wrong key.
        return False
    return True


def decrypt_webhook(secret: str) -> None:
    fernet = importlib.import_module("cryptography.fernet")
    fernet.Fernet(os.environ["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"]).decrypt(secret.encode())


def decrypt_gateway(value: typing.Any, key: typing.Any, version: int, secret_id: str, name: str) -> None:
    crypto = importlib.import_module("mlflow.utils.crypto")
    manager = key_manager(crypto, version)
    crypto._decrypt_secret(bytes(value), bytes(key), manager, secret_id, name)


@functools.cache
def key_manager(crypto: typing.Any, version: int) -> typing.Any:
    """Derive a key once: it takes 600,000 rounds."""
    return crypto.KEKManager(kek_version=version)


def refuse_unknown(cursor: Cursor, tables: list[Row]) -> None:
    odd = [f"{kind} {name}" for _oid, _quoted, name, kind in tables if kind != "r"]
    odd += [row[0] for row in rows(cursor, UNKNOWN)]
    if odd:
        raise Unsupported(f"the dump does not know what this is: {', '.join(odd)}")


def definitions(cursor: Cursor, tables: list[Row], sequences: list[Row]) -> Iterator[str]:
    """Yield the statements that come before the rows."""
    for name, labels in rows(cursor, ENUMS):
        yield f"CREATE TYPE public.{name} AS ENUM ({labels});\n"
    for name, kind, start, step, most, least, cache, cycle, _quoted, _column, owner in sequences:
        if owner != "i":
            yield (
                f"CREATE SEQUENCE {name} AS {kind} START {start} INCREMENT {step} MAXVALUE {most} MINVALUE {least}"
                f" CACHE {cache}{' CYCLE' if cycle else ''};\n"
            )
    for (text,) in rows(cursor, FUNCTIONS):
        yield f"{text.rstrip()};\n"
    for oid, quoted, _name, _kind in tables:
        columns = []
        for column, kind, not_null, default, identity, generated in rows(cursor, COLUMNS, oid):
            text = f"{column} {kind}"
            if generated:
                text += f" GENERATED ALWAYS AS ({default}) STORED"
            elif identity:
                text += f" GENERATED {'ALWAYS' if identity == 'a' else 'BY DEFAULT'} AS IDENTITY"
            elif default is not None:
                text += f" DEFAULT {default}"
            columns.append(text + (" NOT NULL" if not_null else ""))
        yield f"CREATE TABLE public.{quoted} ({', '.join(columns)});\n"


def after_rows(cursor: Cursor, sequences: list[Row]) -> Iterator[str]:
    """Yield the statements that come after the rows; foreign keys last."""
    for name, *_rest, quoted, column, kind in sequences:
        if kind == "a":
            yield f"ALTER SEQUENCE {name} OWNED BY public.{quoted}.{column};\n"
        value, called = rows(cursor, f"SELECT last_value, is_called FROM {name}")[0]
        target = f"'{name}'" if kind != "i" else f"pg_get_serial_sequence('public.{quoted}', '{column.strip(chr(34))}')"
        yield f"SELECT pg_catalog.setval({target}, {value}, {'true' if called else 'false'});\n"
    for kinds in ("'p', 'u', 'c', 'x'", "'f'"):
        if kinds == "'f'":
            for (text,) in rows(cursor, INDEXES):
                yield f"{text};\n"
        for table, name, text in rows(cursor, CONSTRAINTS.format(kinds=kinds)):
            yield f"ALTER TABLE ONLY {table} ADD CONSTRAINT {name} {text};\n"
    for (text,) in rows(cursor, TRIGGERS):
        yield f"{text};\n"
    yield "COMMIT;\n"


def write_dump(cursor: Cursor, file: typing.Any) -> None:
    """Write the dump, as bytes."""
    # As pg_dump does: every name is written with its schema.
    tables = rows(cursor, TABLES)
    refuse_unknown(cursor, tables)
    cursor.execute("SET LOCAL search_path = ''")
    sequences = rows(cursor, SEQUENCES)
    file.write(BEGIN.encode())
    for statement in definitions(cursor, tables, sequences):
        file.write(statement.encode())
    for oid, quoted, _name, _kind in tables:
        columns = [row[0] for row in rows(cursor, COLUMNS, oid) if not row[5]]
        if columns:
            listed = f"public.{quoted} ({', '.join(columns)})"
            file.write(f"COPY {listed} FROM stdin;\n".encode())
            cursor.copy_expert(f"COPY {listed} TO STDOUT", file)
            file.write(b"\\.\n")
    for statement in after_rows(cursor, sequences):
        file.write(statement.encode())


def upload_dump(cursor: Cursor, s3: typing.Any, bucket: str, key: str) -> None:
    """Stream the dump into the bucket: nothing of it is kept in the task."""
    read, write = os.pipe()
    failures: list[Exception] = []

    def upload() -> None:
        try:
            with os.fdopen(read, "rb") as file:
                s3.upload_fileobj(file, bucket, key)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        with os.fdopen(write, "wb") as pipe, gzip.GzipFile(fileobj=pipe, mode="wb", mtime=0) as file:
            write_dump(cursor, file)
    except BrokenPipeError:
        # The upload has failed, and says why.
        pass
    finally:
        thread.join()
    if failures:
        raise failures[0]


def main() -> None:
    boto3 = importlib.import_module("boto3")

    bucket, key = os.environ["REPORT_BUCKET"], os.environ["REPORT_KEY"]
    s3 = boto3.client("s3")
    connection = connect()
    with connection.cursor() as cursor:
        found = {**report(cursor), "mlflow": importlib.metadata.version("mlflow")}
        if os.environ.get("DECRYPT"):
            found["encrypted"] = readable(cursor, set(found["counts"]))
        if os.environ.get("DUMP_KEY"):
            upload_dump(cursor, s3, bucket, os.environ["DUMP_KEY"])
    connection.close()
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(found).encode())
    sys.stdout.write("The report was written.\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as problem:
        # Values of the database may stand in a message of PostgreSQL's detail, so only its first line is printed.
        first = str(problem).splitlines()[0] if str(problem) else ""
        sys.stderr.write(f"{type(problem).__name__}: {first}\n")
        raise SystemExit(1) from None
