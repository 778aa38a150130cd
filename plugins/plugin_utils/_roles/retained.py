# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The report of the resources that remain after a deployment was destroyed, and why."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass

Answers = Mapping[str, typing.Any]


@dataclass(frozen=True)
class _Found:
    """The resources that remain. In check mode, those to delete still exist, and the snapshot does not."""

    bucket: bool
    snapshots: list[str]
    log_group: bool

    @classmethod
    def of(cls, answers: Answers) -> _Found:
        snapshots = {
            one["db_snapshot_identifier"] for one in answers["snapshots"] if one["snapshot_type"] == "manual"
        } | ({answers["final_snapshot"]} - {""})
        bucket = any(one["name"] == answers["bucket"] for one in answers["buckets"])
        # The request takes a prefix of the name.
        group = any(one["log_group_name"] == answers["log_group"] for one in answers["log_groups"])
        return cls(
            bucket and answers["bucket_kept"],
            sorted(snapshots) if answers["own_database"] else [],
            group and not answers["logs_deleted"],
        )


def report(answers: Answers) -> list[str]:
    """Return the report, a line for each resource that remains.

    Args:
        answers: variables and AWS's answers, see the filter C(retained_resources).
    """
    return list(_lines(answers, _Found.of(answers)))


def _lines(answers: Answers, found: _Found) -> Iterator[str]:
    name, context = answers["name"], answers["context"]
    yield (
        f"The deployment '{name}' {'would be' if answers['check_mode'] else 'is'} gone from account"
        f" {context['account_id']}, region {context['region']}. Left there:"
    )
    if not (found.bucket or found.snapshots or found.log_group):
        yield (
            "No bucket, snapshot or log group of that name. If you did not delete them, check mlflow_name,"
            " mlflow_bucket_name, mlflow_cluster and AWS_REGION: a deployment of another name, or elsewhere, is as it"
            " was."
        )
    if answers["own_database"] and answers["foreign_instance"]:
        yield f"RDS instance {name}: it does not lie in the subnet group {name}, so it is not of this deployment."
    if answers["other_region"]:
        yield f"IAM roles of that name: they are those of the deployment in {answers['other_region']}."
    if found.bucket:
        yield _bucket(answers)
    backups = [one for one in found.snapshots if one.startswith(f"{name}-backup-")]
    snapshots = [one for one in found.snapshots if one not in backups]
    if snapshots:
        yield (
            f"Database snapshot {', '.join(snapshots)}: the metadata outlives a deployment. To delete one:"
            f" aws rds delete-db-snapshot --db-snapshot-identifier {snapshots[-1]}"
        )
    if backups:
        yield _backups(answers, [one.removeprefix(f"{name}-backup-") for one in backups], has_bucket=found.bucket)
    yield from _secrets(answers)
    if found.log_group:
        yield (
            f"Log group {answers['log_group']}: it expires by itself after {answers['log_retention_days']} days. To"
            " delete it too: -e mlflow_delete_logs=true"
        )
    yield (
        f"Service-linked roles, ECS cluster '{answers['cluster']}' and task definition revisions: they are the"
        " account's, and cost nothing."
    )
    yield "The load balancer, if other Express Mode services of the VPC use it: ECS removes it with the last of them."


def _backups(answers: Answers, backups: list[str], *, has_bucket: bool) -> str:
    begin = f"Backups {', '.join(backups)}: they outlive a deployment. "
    if has_bucket:
        return f"{begin}To list them: ansible-playbook mlops.mlflow_aws.backups -e mlflow_name={answers['name']}"
    return (
        f"{begin}Their snapshots of the database are there, {answers['name']}-backup-*, but what was written about them"
        " in the bucket is not."
    )


def _bucket(answers: Answers) -> str:
    begin = f"Bucket {answers['bucket']}, with the artifacts: "
    if answers["bucket_adopted"]:
        return f"{begin}it existed before (mlflow_bucket_adopt)."
    return (
        f"{begin}they outlive a deployment. To delete it too: -e mlflow_delete_artifacts=true"
        f" -e mlflow_confirm_data_loss={answers['name']}"
    )


def _secrets(answers: Answers) -> Iterator[str]:
    name = answers["name"]
    if answers["own_database"]:
        yield (
            f"Secrets {name}/database and {name}/database-login (if there were any), scheduled for deletion: AWS"
            " Secrets Manager keeps them for 7 days, and a new deployment of this name takes them up again."
        )
    yield (
        f"Secrets {name}/server and {name}/login (if there were any), scheduled for deletion: likewise, for 30 days."
        " What is in a snapshot of the database was encrypted with the first."
    )
