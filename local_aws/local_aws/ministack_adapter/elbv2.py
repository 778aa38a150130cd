# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's records of Elastic Load Balancing: stores of the caller's account and region (see scope.py)."""

from __future__ import annotations

from ministack.services import alb

listeners = alb._listeners
load_balancers = alb._lbs
rules = alb._rules
