# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one HTTPS port: the API, and the pages of the local AWS itself."""
