# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of the operating system, and what belongs to them: none outlives the daemon."""
