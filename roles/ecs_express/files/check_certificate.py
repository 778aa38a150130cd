# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Ends a container whose database cannot prove who it is: MLflow itself would try for minutes, and say less.
# Other problems with the connection may pass, so MLflow is left to try again. The arguments are the database's URL and
# the variables that set its certificates and its host name.
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
            f"the authorities given ({sys.argv[2]}), or is for another name ({sys.argv[3]}). {said}"
        )
