# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Run by a task before its server starts; these lines are left out there. Writes what MLflow's login reads, from the
# task's environment and from arguments <name>=<value>, in which there is no secret. bootstrap_admin_variable names the
# variable that sets bootstrap_admin, for the message.
import configparser
import importlib
import importlib.util
import os
import secrets
import sys


# Whenever MLflow starts, it creates the account that its file names unless there is a user of that name
# (mlflow/server/auth/__init__.py, create_admin_user, 3.10.0 to 3.17.2). So that it creates none, the file names a user
# who exists, and a random password. Every user would do; an administrator is least surprising.
def present_user(url):
    database, sqlalchemy = map(importlib.import_module, ("mlflow.store.db.utils", "sqlalchemy"))
    with database.create_sqlalchemy_engine_with_retry(url).connect() as connection:
        if sqlalchemy.inspect(connection).has_table("users"):
            query = "SELECT username FROM users ORDER BY is_admin DESC, id LIMIT 1"
            return connection.execute(sqlalchemy.text(query)).scalar()
    return None


lacking = [name for name in ("psycopg2", "boto3", "flask_wtf") if not importlib.util.find_spec(name)]
if lacking:
    sys.exit("MLflow cannot start: its image lacks the Python packages " + ", ".join(lacking))
settings = dict(setting.split("=", 1) for setting in sys.argv[1:])
url = os.environ["MLFLOW_BACKEND_STORE_URI"]
variable = settings.pop("bootstrap_admin_variable", "bootstrap_admin")
if settings.pop("bootstrap_admin", "true") == "true":
    username, password = os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
else:
    username, password = present_user(url), secrets.token_urlsafe(32)
    if not username:
        sys.exit(f"MLflow cannot start: {variable} is false, but there is no user in the database")
if len(password) < 12 or password != password.strip() or "\n" in password or password == "password1234":
    sys.exit("MLflow cannot start: the login's password has less than 12 characters, a space at an end, or is public")
values = {"database_uri": url, "admin_username": username, "admin_password": password, **settings}
config = configparser.RawConfigParser()
config["mlflow"] = {name: value.replace("%", "%%") for name, value in values.items()}
with open(os.environ["MLFLOW_AUTH_CONFIG_PATH"], "w") as stream:
    config.write(stream)
