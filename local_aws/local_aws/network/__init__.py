# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of this machine as a VPC: addresses, security groups, and what listens behind them."""
