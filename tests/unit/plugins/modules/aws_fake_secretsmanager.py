# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Secrets Manager."""

from __future__ import annotations

import typing
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error


class SecretsManager(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, dict] = {}
        self.values: dict[str, str] = {}
        # Versions that are not the current one.
        self.staged: dict[str, str] = {}

    def _secret(self, name: str) -> dict:
        if name not in self.secrets:
            raise error("ResourceNotFoundException")
        return self.secrets[name]

    def _live(self, name: str) -> dict:
        secret = self._secret(name)
        if "DeletedDate" in secret:
            raise error("InvalidRequestException", message="it was marked for deletion")
        return secret

    def call_describe_secret(self, SecretId: str) -> dict:
        return self._secret(SecretId)

    def call_create_secret(self, Name: str, SecretString: str, **more: typing.Any) -> dict:
        if Name in self.secrets:
            raise error("ResourceExistsException")
        arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{Name}-a1B2c3"
        self.secrets[Name] = {"ARN": arn, "Name": Name, "CreatedDate": datetime.now(UTC), **more}
        return {"ARN": arn, "VersionId": self._put(Name, SecretString)}

    def _put(self, name: str, value: str) -> str:
        self.values[name] = value
        version = f"version-{len(self.calls)}"
        self.secrets[name]["VersionIdsToStages"] = {version: ["AWSCURRENT"]}
        return version

    def call_put_secret_value(self, SecretId: str, SecretString: str, VersionStages: list | None = None) -> dict:
        labels = self._live(SecretId)
        if not VersionStages:
            return {"VersionId": self._put(SecretId, SecretString)}
        version = f"version-{len(self.calls)}"
        self.staged[version] = SecretString
        labels["VersionIdsToStages"][version] = VersionStages
        return {"VersionId": version}

    def call_update_secret_version_stage(
        self, SecretId: str, VersionStage: str, RemoveFromVersionId: str, MoveToVersionId: str = ""
    ) -> dict:
        labels = self._live(SecretId)["VersionIdsToStages"]
        labels[RemoveFromVersionId].remove(VersionStage)
        if MoveToVersionId:
            labels[MoveToVersionId].append(VersionStage)
        if VersionStage == "AWSCURRENT":
            labels[RemoveFromVersionId].append("AWSPREVIOUS")
            self.staged[RemoveFromVersionId] = self.values[SecretId]
            self.values[SecretId] = self.staged[MoveToVersionId]
        return {}

    def call_get_secret_value(self, SecretId: str) -> dict:
        by_arn = {secret["ARN"]: name for name, secret in self.secrets.items()}
        name = by_arn.get(SecretId, SecretId)
        self._live(name)
        if name not in self.values:
            raise error("ResourceNotFoundException")
        return {"SecretString": self.values[name]}

    def call_update_secret(self, SecretId: str, **changes: typing.Any) -> dict:
        self._live(SecretId).update(changes)
        return {}

    def call_tag_resource(self, SecretId: str, Tags: list) -> dict:
        secret = self._live(SecretId)
        keys = [tag["Key"] for tag in Tags]
        secret["Tags"] = [tag for tag in secret.get("Tags", []) if tag["Key"] not in keys] + Tags
        return {}

    def call_untag_resource(self, SecretId: str, TagKeys: list) -> dict:
        secret = self._live(SecretId)
        secret["Tags"] = [tag for tag in secret["Tags"] if tag["Key"] not in TagKeys]
        return {}

    def call_delete_secret(self, SecretId: str, ForceDeleteWithoutRecovery: bool = False, **_more: int) -> dict:
        if ForceDeleteWithoutRecovery:
            del self.secrets[SecretId]
            self.values.pop(SecretId, None)
        else:
            self._live(SecretId)["DeletedDate"] = datetime.now(UTC)
        return {}

    def call_restore_secret(self, SecretId: str) -> dict:
        del self._secret(SecretId)["DeletedDate"]
        return {}
