# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM: signatures, policies, condition keys and service-linked roles."""
