# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Ends a container whose database cannot prove who it is: MLflow itself would try for minutes, and say less.
# Whatever else is wrong with the connection may pass, so MLflow is left to try again.
import sys

try:
    import psycopg2

    psycopg2.connect(sys.argv[1]).close()
except ImportError:
    pass
except psycopg2.OperationalError as error:
    said = " ".join(str(error).split())
    if "certificate" in said:
        sys.exit(
            "The database could not prove who it is, so no password was sent: its certificate was signed by none of "
            "the authorities given (mlflow_db_ca_path), or is for another name (mlflow_db_host). " + said
        )
