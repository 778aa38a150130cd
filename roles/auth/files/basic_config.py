# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Run by a task before its server starts; these lines are left out there. Writes what MLflow's login reads, from the
# task's environment and from arguments <name>=<value>, in which there is no secret.
import configparser
import importlib.util
import os
import sys

lacking = [name for name in ("psycopg2", "boto3", "flask_wtf") if not importlib.util.find_spec(name)]
if lacking:
    sys.exit("MLflow cannot start: its image lacks the Python packages " + ", ".join(lacking))
password = os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
if len(password) < 12 or password != password.strip() or "\n" in password or password == "password1234":
    sys.exit("MLflow cannot start: the login's password has less than 12 characters, a space at an end, or is public")
values = {
    "database_uri": os.environ["MLFLOW_BACKEND_STORE_URI"],
    "admin_username": os.environ["MLFLOW_AUTH_ADMIN_USERNAME"],
    "admin_password": password,
    **dict(setting.split("=", 1) for setting in sys.argv[1:]),
}
config = configparser.RawConfigParser()
config["mlflow"] = {name: value.replace("%", "%%") for name, value in values.items()}
with open(os.environ["MLFLOW_AUTH_CONFIG_PATH"], "w") as stream:
    config.write(stream)
