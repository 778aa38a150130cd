# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small stand-ins for AWS services, and a way to run a whole module against them.

They keep state and answer in the shapes of botocore. Each remembers its calls, and answers with an error when told to.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import time
import typing
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from types import SimpleNamespace

from ansible.module_utils.testing import patch_module_args
from botocore.exceptions import ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import results

ACCOUNT = "123456789012"
REGION = "eu-central-1"


def error(code: str, operation: str = "Call", message: str = "", **metadata: typing.Any) -> ClientError:
    """Return AWS's error."""
    response = {"Error": {"Code": code, "Message": message or code}, "ResponseMetadata": metadata}
    return ClientError(typing.cast(typing.Any, response), operation)


class Fake:
    """A service. Operations are methods named call_<operation>."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.faults: dict[str, list[Exception]] = {}
        self.meta = SimpleNamespace(region_name=REGION)

    def names(self) -> list[str]:
        return [name for name, _params in self.calls]

    def writes(self) -> list[str]:
        return [
            name for name in self.names() if not name.startswith(("get_", "list_", "describe_", "head_", "simulate"))
        ]

    def params(self, operation: str) -> dict:
        return [params for name, params in self.calls if name == operation][-1]

    def __getattr__(self, name: str) -> typing.Callable[..., typing.Any]:
        if name.startswith(("_", "call_")):
            raise AttributeError(name)
        method = getattr(self, f"call_{name}")

        def call(**params: typing.Any) -> typing.Any:
            self.calls.append((name, params))
            if self.faults.get(name):
                raise self.faults[name].pop(0)
            return copy.deepcopy(method(**params))

        return call

    def get_paginator(self, operation: str) -> typing.Any:
        def paginate(**params: typing.Any) -> typing.Any:
            answer = getattr(self, operation)(**params)
            return SimpleNamespace(build_full_result=lambda: answer)

        return SimpleNamespace(paginate=paginate)


class Sts(Fake):
    def call_get_caller_identity(self) -> dict:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"}


class Iam(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.roles: dict[str, dict] = {}
        self.attached: dict[str, list[str]] = {}
        self.inline: dict[str, dict[str, str]] = {}
        self.age = timedelta(0)
        self.denied: list[str] = []

    def _role(self, name: str) -> dict:
        if name not in self.roles:
            raise error("NoSuchEntity")
        return self.roles[name]

    def _add(self, name: str, path: str, **more: typing.Any) -> dict:
        if name in self.roles:
            raise error("EntityAlreadyExists")
        self.roles[name] = {
            "RoleName": name,
            "Path": path,
            "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
            "RoleId": "AROAEXAMPLE",
            "CreateDate": datetime.now(UTC) - self.age,
            **more,
        }
        self.attached[name], self.inline[name] = [], {}
        return {"Role": self.roles[name]}

    def call_create_role(self, RoleName: str, Path: str, **more: typing.Any) -> dict:
        if "PermissionsBoundary" in more:
            more["PermissionsBoundary"] = {"PermissionsBoundaryArn": more["PermissionsBoundary"]}
        return self._add(RoleName, Path, **more)

    def call_get_role(self, RoleName: str) -> dict:
        return {"Role": self._role(RoleName)}

    def call_update_role(self, RoleName: str, MaxSessionDuration: int = 3600, **changes: typing.Any) -> dict:
        self._role(RoleName).update(changes, MaxSessionDuration=MaxSessionDuration)
        return {}

    def call_update_assume_role_policy(self, RoleName: str, PolicyDocument: str) -> dict:
        self._role(RoleName)["AssumeRolePolicyDocument"] = PolicyDocument
        return {}

    def call_put_role_permissions_boundary(self, RoleName: str, PermissionsBoundary: str) -> dict:
        self._role(RoleName)["PermissionsBoundary"] = {"PermissionsBoundaryArn": PermissionsBoundary}
        return {}

    def call_delete_role_permissions_boundary(self, RoleName: str) -> dict:
        del self._role(RoleName)["PermissionsBoundary"]
        return {}

    def call_tag_role(self, RoleName: str, Tags: list) -> dict:
        keys = [tag["Key"] for tag in Tags]
        kept = [tag for tag in self._role(RoleName).get("Tags", []) if tag["Key"] not in keys]
        self._role(RoleName)["Tags"] = kept + Tags
        return {}

    def call_untag_role(self, RoleName: str, TagKeys: list) -> dict:
        role = self._role(RoleName)
        role["Tags"] = [tag for tag in role.get("Tags", []) if tag["Key"] not in TagKeys]
        return {}

    def call_list_attached_role_policies(self, RoleName: str) -> dict:
        self._role(RoleName)
        return {"AttachedPolicies": [{"PolicyArn": arn} for arn in self.attached[RoleName]]}

    def call_attach_role_policy(self, RoleName: str, PolicyArn: str) -> dict:
        self._role(RoleName)
        self.attached[RoleName].append(PolicyArn)
        return {}

    def call_detach_role_policy(self, RoleName: str, PolicyArn: str) -> dict:
        if PolicyArn not in self.attached[RoleName]:
            raise error("NoSuchEntity")
        self.attached[RoleName].remove(PolicyArn)
        return {}

    def call_list_role_policies(self, RoleName: str) -> dict:
        self._role(RoleName)
        return {"PolicyNames": list(self.inline[RoleName])}

    def call_get_role_policy(self, RoleName: str, PolicyName: str) -> dict:
        return {"PolicyDocument": json.loads(self.inline[RoleName][PolicyName])}

    def call_put_role_policy(self, RoleName: str, PolicyName: str, PolicyDocument: str) -> dict:
        self._role(RoleName)
        self.inline[RoleName][PolicyName] = PolicyDocument
        return {}

    def call_delete_role_policy(self, RoleName: str, PolicyName: str) -> dict:
        del self.inline[RoleName][PolicyName]
        return {}

    def call_list_instance_profiles_for_role(self, RoleName: str) -> dict:
        return {"InstanceProfiles": []}

    def call_delete_role(self, RoleName: str) -> dict:
        self._role(RoleName)
        if self.attached[RoleName] or self.inline[RoleName]:
            raise error("DeleteConflict")
        del self.roles[RoleName]
        return {}

    def call_simulate_principal_policy(self, ActionNames: list, **_more: typing.Any) -> dict:
        denied = self.denied.pop(0) if self.denied else ""
        decisions = {action: "implicitDeny" if action == denied else "allowed" for action in ActionNames}
        return {"EvaluationResults": [{"EvalActionName": k, "EvalDecision": v} for k, v in decisions.items()]}

    def call_list_roles(self, PathPrefix: str) -> dict:
        return {"Roles": [role for role in self.roles.values() if role["Path"].startswith(PathPrefix)]}

    def call_create_service_linked_role(self, AWSServiceName: str) -> dict:
        names = {"ecs.amazonaws.com": "AWSServiceRoleForECS"}
        name = names.get(AWSServiceName, "AWSServiceRoleForSomething")
        return self._add(name, f"/aws-service-role/{AWSServiceName}/")


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


class S3(Fake):
    """Buckets. Every call but those that cannot must name the owner."""

    MISSING = {
        "public_access_block": "NoSuchPublicAccessBlockConfiguration",
        "encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "policy": "NoSuchBucketPolicy",
        "ownership": "OwnershipControlsNotFoundError",
        "lifecycle": "NoSuchLifecycleConfiguration",
        "tagging": "NoSuchTagSet",
    }

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[str, dict] = {}
        self.owners: dict[str, str] = {}
        self.objects: list[dict] = []
        self.markers: list[dict] = []

    def _bucket(self, name: str, owner: str) -> dict:
        if name not in self.owners:
            raise error("NoSuchBucket")
        if self.owners[name] != owner:
            raise error("AccessDenied")
        return self.buckets[name]

    def call_head_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        if Bucket not in self.owners:
            raise error("404")
        if self.owners[Bucket] != ExpectedBucketOwner:
            raise error("403")
        return {"BucketRegion": self.buckets[Bucket]["region"]}

    def call_list_buckets(self) -> dict:
        return {"Buckets": [{"Name": name} for name, owner in self.owners.items() if owner == ACCOUNT]}

    def call_create_bucket(self, Bucket: str, ObjectOwnership: str, **more: typing.Any) -> dict:
        if Bucket in self.owners:
            raise error("BucketAlreadyOwnedByYou" if self.owners[Bucket] == ACCOUNT else "BucketAlreadyExists")
        location = more.get("CreateBucketConfiguration", {}).get("LocationConstraint")
        if location == "us-east-1":
            raise error("InvalidLocationConstraint")
        self.owners[Bucket] = ACCOUNT
        # What S3 sets on new buckets since 2023.
        self.buckets[Bucket] = {
            "region": location or "us-east-1",
            "ownership": {"Rules": [{"ObjectOwnership": ObjectOwnership}]},
            "public_access_block": dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            ),
            "encryption": {
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
            },
        }
        return {}

    def _get(self, Bucket: str, owner: str, what: str) -> typing.Any:
        bucket = self._bucket(Bucket, owner)
        if what not in bucket:
            raise error(self.MISSING[what])
        return bucket[what]

    def call_get_public_access_block(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"PublicAccessBlockConfiguration": self._get(Bucket, ExpectedBucketOwner, "public_access_block")}

    def call_get_bucket_encryption(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"ServerSideEncryptionConfiguration": self._get(Bucket, ExpectedBucketOwner, "encryption")}

    def call_get_bucket_versioning(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return self._bucket(Bucket, ExpectedBucketOwner).get("versioning", {})

    def call_get_bucket_policy(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"Policy": self._get(Bucket, ExpectedBucketOwner, "policy")}

    def call_get_bucket_ownership_controls(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"OwnershipControls": self._get(Bucket, ExpectedBucketOwner, "ownership")}

    def call_get_bucket_lifecycle_configuration(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return self._get(Bucket, ExpectedBucketOwner, "lifecycle")

    def call_get_bucket_tagging(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return {"TagSet": self._get(Bucket, ExpectedBucketOwner, "tagging")}

    def _set(self, Bucket: str, owner: str, what: str, value: typing.Any) -> dict:
        self._bucket(Bucket, owner)[what] = value
        return {}

    def call_put_public_access_block(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "public_access_block", v["PublicAccessBlockConfiguration"])

    def call_put_bucket_encryption(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "encryption", v["ServerSideEncryptionConfiguration"])

    def call_put_bucket_versioning(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "versioning", v["VersioningConfiguration"])

    def call_put_bucket_policy(self, Bucket: str, ExpectedBucketOwner: str, Policy: str) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "policy", Policy)

    def call_put_bucket_ownership_controls(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "ownership", v["OwnershipControls"])

    def call_put_bucket_lifecycle_configuration(self, Bucket: str, ExpectedBucketOwner: str, **v: typing.Any) -> dict:
        extra = {key: value for key, value in v.items() if key == "TransitionDefaultMinimumObjectSize"}
        return self._set(Bucket, ExpectedBucketOwner, "lifecycle", {**v["LifecycleConfiguration"], **extra})

    def call_delete_bucket_lifecycle(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        del self._bucket(Bucket, ExpectedBucketOwner)["lifecycle"]
        return {}

    def call_get_bucket_logging(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        return self._bucket(Bucket, ExpectedBucketOwner).get("logging", {})

    def call_put_bucket_logging(self, Bucket: str, ExpectedBucketOwner: str, BucketLoggingStatus: dict) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "logging", BucketLoggingStatus)

    def call_put_bucket_tagging(self, Bucket: str, ExpectedBucketOwner: str, Tagging: dict) -> dict:
        return self._set(Bucket, ExpectedBucketOwner, "tagging", Tagging["TagSet"])

    def call_delete_bucket_tagging(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        del self._bucket(Bucket, ExpectedBucketOwner)["tagging"]
        return {}

    def call_list_object_versions(self, Bucket: str, ExpectedBucketOwner: str, **_more: typing.Any) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)
        page = {"Versions": self.objects[:2], "DeleteMarkers": self.markers[:2]}
        more = len(self.objects) > 2 or len(self.markers) > 2
        return {**page, "IsTruncated": more, "NextKeyMarker": "k", "NextVersionIdMarker": "v"}

    def call_list_multipart_uploads(self, Bucket: str, ExpectedBucketOwner: str, **_more: typing.Any) -> dict:
        return {"Uploads": self._bucket(Bucket, ExpectedBucketOwner).get("uploads", [])}

    def call_abort_multipart_upload(self, Bucket: str, ExpectedBucketOwner: str, Key: str, UploadId: str) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)["uploads"].remove({"Key": Key, "UploadId": UploadId})
        return {}

    def call_delete_objects(self, Bucket: str, ExpectedBucketOwner: str, Delete: dict) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)
        self.objects = [entry for entry in self.objects if entry not in Delete["Objects"]]
        self.markers = [entry for entry in self.markers if entry not in Delete["Objects"]]
        return {}

    def call_delete_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> dict:
        if self.objects or self.markers or self._bucket(Bucket, ExpectedBucketOwner).get("uploads"):
            raise error("BucketNotEmpty")
        del self.buckets[Bucket], self.owners[Bucket]
        return {}


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


class Cloud:
    """All of them, and the way to run a module."""

    def __init__(self, monkeypatch: typing.Any) -> None:
        self.iam, self.sts, self.secretsmanager, self.s3, self.rds = Iam(), Sts(), SecretsManager(), S3(), Rds()
        monkeypatch.setattr(AnsibleAWSModule, "client", lambda _self, service, **_more: getattr(self, service))
        # Where ansible-core takes this process for a controller, warnings go to the screen and not into the result.
        self.warnings: list[str] = []
        monkeypatch.setattr(results, "warn", self.warnings.append)
        self.naps: list[float] = []
        # Time passes only when somebody sleeps.
        self.clock = 0.0
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self.clock)

    def _sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.clock += seconds

    def run(self, module_name: str, check: bool = False, **params: typing.Any) -> dict:
        """Run a module as Ansible would and return what it printed."""
        module = importlib.import_module(f"ansible_collections.mlops.mlflow_aws.plugins.modules.{module_name}")
        given = {"region": REGION, "access_key": "AKIAUNLIKELYUNLIKELY", "secret_key": "unlikely-secret-key-of-a-test"}
        args = {**given, **params, "_ansible_check_mode": check, "_ansible_diff": True}
        out = io.StringIO()
        self.warnings.clear()
        with patch_module_args(args), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            module.main()
        self.printed = out.getvalue()
        return {**json.loads(self.printed), "warnings": list(self.warnings)}

    def cycle(self, module_name: str, fake: Fake, **params: typing.Any) -> list[dict]:
        """Check, apply, check, apply; assert what must hold for every module; return the four results."""
        results = []
        for step, check in enumerate((True, False, True, False)):
            before = len(fake.writes())
            result = self.run(module_name, check=check, **params)
            assert not result.get("failed"), result
            assert result["changed"] is (step < 2), (step, result["diff"])
            if check or step == 3:
                assert fake.writes()[before:] == [], "nothing may be written"
            if step >= 2:
                assert result["diff"]["before"] == result["diff"]["after"]
            results.append(result)
        return results
