# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Compares a deployment with the record of what was applied last. Pure Python, but for what writes the record."""

from __future__ import annotations

import typing
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import LOCK_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import canonical
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import SUCCESSFUL
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import deployment_id
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Inputs
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api

# Without one of these nothing was deployed.
_NEEDED = (
    *("service", "task_definition", "network", "secret_server"),
    *("iam_role_task", "iam_role_execution", "iam_role_infrastructure"),
)


@dataclass(frozen=True)
class State:
    """A deployment as it is, beside what was applied last.

    Attributes:
        answers: as AWS describes it.
        resources: in canonical form.
        applied: the record.
        inputs: of this run.
        tags: of the service, all of them.
        unasked: resources that were not asked for, of which nothing is known.
    """

    answers: Answers
    resources: canonical.Resources
    applied: Record
    inputs: Inputs
    tags: Mapping[str, str] = field(default_factory=dict)
    unasked: Collection[str] = ()

    @property
    def service_arn(self) -> str:
        return str(self.answers.resources.get("service", {}).get("serviceArn") or "")

    @property
    def variables_changed(self) -> bool:
        """Whether the variables are others than those that were applied; true without a record."""
        return self.applied.inputs.variables_hash != self.inputs.variables_hash

    @property
    def differs_by_record(self) -> bool:
        """Whether there is no record, or one of another collection or of other variables."""
        return not self.applied or self.applied.inputs != self.inputs

    @property
    def changed_by_hand(self) -> list[str]:
        """Names of the resources that are not as they were left; empty without a record."""
        if not self.applied:
            return []
        now = canonical.digests(self.resources)
        then = self.applied.resources
        return sorted(name for name in {*now, *then}.difference(self.unasked) if now.get(name) != then.get(name))

    @property
    def reasons(self) -> list[str]:
        """Why the deployment must be converged; empty if it is as it was left, and as the variables ask for."""
        return list(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if not self.applied:
            yield "there is no record of what was applied last"
            return
        before, now = self.applied.inputs, self.inputs
        if (before.collection_version, before.collection_hash) != (now.collection_version, now.collection_hash):
            yield f"it was deployed by another version of the collection ({before.collection_version})"
        if self.variables_changed:
            yield "variables have changed"
        if any(key.startswith(LOCK_PREFIX) for key in self.tags):
            # Converging begins with looking at it, and says whose it is.
            yield "it has the lock of a verb"
        if changed := self.changed_by_hand:
            yield f"not as it was left: {', '.join(changed)}"
        yield from _unsettled(self.answers)
        for question, reason in sorted(self.answers.unknown.items()):
            yield f"{question} cannot be read: {reason}"


def _unsettled(answers: Answers) -> Iterator[str]:
    """Yield what is under way, or has failed."""
    service = answers.resources.get("service", {})
    if missing := [name for name in _NEEDED if name not in answers.resources]:
        yield f"missing: {', '.join(missing)}"
        return
    status = str((service.get("status") or {}).get("statusCode"))
    if status != "ACTIVE":
        yield f"the service is {status}"
    deployment = answers.resources.get("deployment", {})
    if deployment.get("status") != SUCCESSFUL:
        yield f"the newest deployment of the service is {deployment.get('status') or 'not known'}"
    counts = answers.resources.get("deployment_settings", {})
    running, desired = counts.get("runningCount"), counts.get("desiredCount")
    if not running or running != desired:
        yield f"{running} of {desired} tasks are running"
    database = answers.resources.get("database")
    if database is not None and database.get("DBInstanceStatus") != "available":
        yield f"the database is {database.get('DBInstanceStatus')}"
    if database is not None and database.get("PendingModifiedValues"):
        yield "the database has changes that are pending"


def compare(answers: Answers, inputs: Inputs, unasked: Collection[str] = ()) -> State:
    """Return what was read, beside the record in the tags of the service."""
    resources = {
        name: canonical.canonical(name, answer) for name, answer in answers.resources.items() if name != "deployment"
    }
    listed = answers.resources.get("service", {}).get("tags") or []
    tags = {str(item.get("key")): str(item.get("value") or "") for item in listed}
    return State(answers, resources, record.from_tags(tags), inputs, tags, unasked)


def write(ecs: Client, state: State, now: datetime, check_mode: bool) -> bool:
    """Record the deployment as it is; return whether that is news, and can be kept."""
    if not state.service_arn or state.answers.unknown:
        return False
    digests = canonical.digests(state.resources)
    wanted = Record(state.inputs, now.strftime("%Y-%m-%dT%H:%M:%SZ"), digests, _successful(state.answers))
    if wanted.same_as(state.applied):
        return False
    to_set, to_remove = record.tag_changes(state.tags, wanted)
    if to_remove and not check_mode:
        api.untag(ecs, state.service_arn, to_remove)
    if to_set and not check_mode:
        api.tag(ecs, state.service_arn, to_set)
    return bool(to_set)


def _successful(answers: Answers) -> str:
    """Return the id of the newest deployment, if ECS calls it the service's present one and it was successful."""
    newest = answers.resources.get("deployment", {})
    arn = str(answers.resources.get("deployment_settings", {}).get("currentServiceDeployment") or "")
    is_known = newest.get("status") == SUCCESSFUL and arn and arn == newest.get("serviceDeploymentArn")
    return deployment_id(arn) if is_known else ""


def as_result(state: State) -> dict[str, typing.Any]:
    """Return what the module returns."""
    applied = state.applied
    return {
        "applied": {
            "collection_version": applied.inputs.collection_version,
            "collection_hash": applied.inputs.collection_hash,
            "variables_hash": applied.inputs.variables_hash,
            "time": applied.time,
            "resources": dict(applied.resources),
        }
        if applied
        else {},
        "changed_by_hand": state.changed_by_hand,
        "reasons": state.reasons,
        "resources": canonical.shown(state.resources),
        "unchanged": not state.reasons,
        "unknown": dict(state.answers.unknown),
        "variables_changed": state.variables_changed,
    }
