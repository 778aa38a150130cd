# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS's wire formats, on botocore's own models, parsers and validators."""
