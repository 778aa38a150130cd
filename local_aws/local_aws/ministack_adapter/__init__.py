# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read or changed inside ministack: here, so that a newer ministack is looked at in one place.

Imports ministack: environment.prepare() must have been called before.
"""
