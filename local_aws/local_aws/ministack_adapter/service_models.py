# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""botocore's models of services are read once."""

from __future__ import annotations

from botocore.exceptions import UnknownServiceError
from botocore.model import ServiceModel
from ministack.core import responses

from ..protocol import models
from .hooks import Hooks
from .patch import Patch
from .patch import Target


def _share_service_models(_hooks: Hooks) -> None:
    def service_model(service: str) -> ServiceModel | None:
        try:
            return models.service_model(responses._BOTOCORE_NAME.get(service, service))
        except UnknownServiceError:
            return None

    responses._service_model = service_model


SHARE_SERVICE_MODELS = Patch(
    name="share_service_models",
    reason="ministack makes a session of botocore for each service, which reads its model once more.",
    source="https://botocore.amazonaws.com/v1/documentation/api/latest/reference/loaders.html",
    targets=(
        Target("core.responses", "_service_model", "service"),
        Target("core.responses", "_BOTOCORE_NAME", keys=("monitoring", "elasticloadbalancing")),
    ),
    apply=_share_service_models,
)
