# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Certificate Manager: certificates wait for their validation, as at AWS."""

from .handlers import CertificateManager

__all__ = ["CertificateManager"]
