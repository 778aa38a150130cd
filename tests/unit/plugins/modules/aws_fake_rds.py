# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for RDS."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error


class Rds(Fake):
    """Instances. *script* holds what the status becomes, look by look."""

    def __init__(self) -> None:
        super().__init__()
        self.instances: dict[str, dict] = {}
        self.script: list[str] = []
        self.password = ""
        self.events: list[str] = []

    def call_describe_db_instances(self, DBInstanceIdentifier: str) -> dict:
        instance = self.instances.get(DBInstanceIdentifier)
        if instance is not None and self.script:
            instance["DBInstanceStatus"] = self.script.pop(0)
            if instance["DBInstanceStatus"] == "gone":
                del self.instances[DBInstanceIdentifier]
                instance = None
            elif instance["DBInstanceStatus"] == "available":
                instance["Endpoint"] = {"Address": "db.example.com", "Port": 5432}
                instance.update(instance.pop("_next", {}))
                instance["PendingModifiedValues"] = {}
        if instance is None:
            raise error("DBInstanceNotFound")
        return {"DBInstances": [instance]}

    def call_describe_events(self, **_params: typing.Any) -> dict:
        return {"Events": [{"Message": message} for message in self.events]}

    def call_create_db_instance(self, **params: typing.Any) -> dict:
        name = params.pop("DBInstanceIdentifier")
        if name in self.instances:
            raise error("DBInstanceAlreadyExists")
        self.password = params.pop("MasterUserPassword")
        groups = [{"VpcSecurityGroupId": g, "Status": "active"} for g in params.pop("VpcSecurityGroupIds", [])]
        version = str(params.pop("EngineVersion", "16"))
        self.instances[name] = {
            **params,
            "DBInstanceIdentifier": name,
            "DBInstanceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{name}",
            "DBInstanceStatus": "creating",
            "EngineVersion": version if "." in version else f"{version}.8",
            "VpcSecurityGroups": groups,
            "EnabledCloudwatchLogsExports": params.pop("EnableCloudwatchLogsExports", []),
            "DBParameterGroups": [{"DBParameterGroupName": params.get("DBParameterGroupName", "default")}],
            "DBSubnetGroup": {"DBSubnetGroupName": params.get("DBSubnetGroupName", "default")},
            "PendingModifiedValues": {"MasterUserPassword": "****"},
            "TagList": params.pop("Tags", []),
        }
        return {"DBInstance": self.instances[name]}

    def call_start_db_instance(self, DBInstanceIdentifier: str) -> dict:
        return {"DBInstance": self.instances[DBInstanceIdentifier]}

    def call_modify_db_instance(self, DBInstanceIdentifier: str, **params: typing.Any) -> dict:
        instance = self.instances[DBInstanceIdentifier]
        for key in ("ApplyImmediately", "AllowMajorVersionUpgrade"):
            params.pop(key, None)
        if "VpcSecurityGroupIds" in params:
            groups = params.pop("VpcSecurityGroupIds")
            instance["VpcSecurityGroups"] = [{"VpcSecurityGroupId": g, "Status": "active"} for g in groups]
        if "CloudwatchLogsExportConfiguration" in params:
            logs = params.pop("CloudwatchLogsExportConfiguration")
            kept = [
                one for one in instance["EnabledCloudwatchLogsExports"] if one not in logs.get("DisableLogTypes", [])
            ]
            instance["EnabledCloudwatchLogsExports"] = kept + logs.get("EnableLogTypes", [])
        slow = {
            key: value for key, value in params.items() if key in ("DBInstanceClass", "AllocatedStorage", "MultiAZ")
        }
        instance["PendingModifiedValues"] = {**instance["PendingModifiedValues"], **slow}
        instance["_next"] = slow
        instance.update({key: value for key, value in params.items() if key not in slow})
        return {"DBInstance": instance}

    def call_add_tags_to_resource(self, ResourceName: str, Tags: list) -> dict:
        instance = self.instances[ResourceName.rsplit(":", 1)[-1]]
        keys = [tag["Key"] for tag in Tags]
        instance["TagList"] = [tag for tag in instance["TagList"] if tag["Key"] not in keys] + Tags
        return {}

    def call_remove_tags_from_resource(self, ResourceName: str, TagKeys: list) -> dict:
        instance = self.instances[ResourceName.rsplit(":", 1)[-1]]
        instance["TagList"] = [tag for tag in instance["TagList"] if tag["Key"] not in TagKeys]
        return {}

    def call_delete_db_instance(self, DBInstanceIdentifier: str, **_params: typing.Any) -> dict:
        if self.instances[DBInstanceIdentifier].get("DeletionProtection"):
            raise error("InvalidParameterCombination")
        self.instances[DBInstanceIdentifier]["DBInstanceStatus"] = "deleting"
        return {}
