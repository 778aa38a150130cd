# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: change an existing service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployment_configuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import restricted_creation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.completion import configure
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.completion import finish
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Expected
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import ServiceState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import managed_groups
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.retries import retry_fresh_role
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import EXPECTED_FIRST_DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical

Resource = dict[str, Any]


@dataclass(frozen=True)
class _Plan:
    """The plan of an update.

    Attributes:
        changes: of the configuration.
        tags_to_set, tags_to_remove: of the service.
        redeploy: whether to start a new deployment without changes.
        admits: whether the listener rule changes.
    """

    changes: compare.Changes
    tags_to_set: dict[str, str]
    tags_to_remove: list[str]
    redeploy: bool
    admits: bool


def find_changes(run: Run, state: ServiceState) -> compare.Changes:
    """Return what differs between the service and the request."""
    request = run.request
    if compare.needs_managed_groups(request.desired, state.canonical) or request.replace:
        state.managed_groups = managed_groups(run, state)
    return compare.compare(request.desired, state.canonical, state.managed_groups)


def role_differs(run: Run, state: ServiceState) -> bool:
    """Return whether another infrastructure role is requested, which requires a replacement.

    Raises:
        EcsExpressError: it must not be replaced.
    """
    desired, current = run.request.infrastructure_role_arn, state.service.get("infrastructureRoleArn")
    if not desired or desired == current:
        return False
    if run.request.replace:
        return True
    raise EcsExpressError(
        message=f"infrastructure_role_arn of service {run.request.name!r} is {current} and cannot be changed to "
        f"{desired}: give the present one, or set replace to true to delete and re-create the service, "
        "which interrupts it and gives it another URL"
    )


def update(run: Run, state: ServiceState, changes: compare.Changes) -> Result:
    """Carry out the changes, and wait for the deployment if asked to."""
    plan = _plan(run, state, changes)
    if run.request.check_mode:
        return _predict(run, state, plan)
    if run.result.changed:
        _refuse(run, state.service)
    if plan.tags_to_set:
        api.tag(run.ecs, state.arn, plan.tags_to_set)
    if plan.tags_to_remove:
        api.untag(run.ecs, state.arn, plan.tags_to_remove)
    run.sent = bool(plan.tags_to_set or plan.tags_to_remove)
    if plan.admits:
        # Before the update, which may start the first task of a new service.
        restricted_creation.admit(run)
    if not _is_first(state.in_flight):
        # Before the update, so that it applies to its deployment; a first deployment is left alone.
        configure(run, state.ecs_service)
    return _deploy(run, state, plan)


def _deploy(run: Run, state: ServiceState, plan: _Plan) -> Result:
    if plan.redeploy:
        return finish(run, state.arn, _send_redeployment(run, state), state)
    if not plan.changes:
        return unchanged(run, state)
    done = finish(run, state.arn, send_update(run, state, plan.changes), state)
    if run.request.force and run.request.wait and done.deployment is None:
        # The update needed no deployment, the user asked for one.
        return finish(run, state.arn, _send_redeployment(run, state), state)
    return done


def _plan(run: Run, state: ServiceState, changes: compare.Changes) -> _Plan:
    """Return the plan, and add it to the result's diff."""
    request, result = run.request, run.result
    tags = transformations.tags(state.service)
    to_set, to_remove = compare_tags(tags, predict_tags(tags, request.tags, request.purge_tags))
    redeploy = not changes and (request.force or _is_broken(state))
    how = deployment_configuration.changes(request.deployment_configuration, state.ecs_service)
    result.before, result.after = {**changes.before, **how.before}, {**changes.after, **how.after}
    touched = sorted({*to_set, *to_remove})
    if touched:
        result.before["tags"] = {key: tags[key] for key in touched if key in tags}
        result.after["tags"] = {key: to_set[key] for key in touched if key in to_set}
    admits = restricted_creation.add_to_diff(run)
    result.changed = bool(changes or to_set or to_remove or redeploy or how or admits)
    if redeploy:
        latest = (state.deployments or [{}])[0]
        result.before["deployment"] = f"{latest.get('serviceDeploymentArn')} {latest.get('status')}"
        result.after["deployment"] = "a new one"
    return _Plan(changes, to_set, to_remove, redeploy, admits)


def _predict(run: Run, state: ServiceState, plan: _Plan) -> Result:
    """Complete the result of check mode."""
    request, result = run.request, run.result
    service = transformations.service(state.service, state.config.get("serviceRevisionArn"))
    if plan.changes:
        service.update(transformations.masked(compare.overlay(state.canonical, request.desired)))
    service["tags"] = predict_tags(service["tags"], request.tags, request.purge_tags)
    result.service = service
    current = deployment_configuration.current(state.ecs_service)
    result.deployment_configuration = {**current, **request.deployment_configuration}
    result.deployment = transformations.deployment(state.in_flight)
    return result


def send_update(run: Run, state: ServiceState, changes: compare.Changes) -> Expected:
    """Send the changes; return which deployment to expect."""
    fields = compare.update(run.request.desired, state.canonical, changes, state.managed_groups)
    params = {**transformations.to_boto(fields), "serviceArn": state.arn}
    run.expect_update()
    service = retry_fresh_role(lambda: _update_now(run, params), run.waiter)
    run.sent = True
    target = (service.get("targetConfiguration") or {}).get("serviceRevisionArn")
    if target == state.config.get("serviceRevisionArn"):
        target = None
    return Expected(target, state.known, service.get("updatedAt"))


def _update_now(run: Run, params: dict[str, Any]) -> Resource:
    """Send an update, unless something else works on the service by now.

    A verb writes its lock, waits for seconds, and refuses if a deployment is under way then. So of an update and a verb
    that begin at the same time one refuses, as long as nothing takes seconds between reading the lock and sending.
    """
    _refuse(run, api.describe_express(run.ecs, params["serviceArn"]))
    return api.update_express(run.ecs, **params)


def _refuse(run: Run, service: Resource | None) -> None:
    listed = (service or {}).get("tags") or []
    run.request.refuse({str(item.get("key")): str(item.get("value") or "") for item in listed})


def _send_redeployment(run: Run, state: ServiceState) -> Expected:
    run.expect_update()
    _refuse(run, api.describe_express(run.ecs, state.arn))
    service = api.force_deployment(run.ecs, cluster=run.request.cluster, name=run.request.name)
    run.sent = True
    current = service.get("currentServiceDeployment")
    return Expected(known=state.known, deployment=current if current not in state.known else None)


def unchanged(run: Run, state: ServiceState) -> Result:
    """Report a service that needs no change; wait for a deployment begun before, and for unfinished resources."""
    latest = state.in_flight or (state.deployments[0] if state.deployments else None)
    if len(state.deployments) > 1:
        run.expect_update()
    else:
        run.display.expected_duration = EXPECTED_FIRST_DEPLOYMENT
    if run.request.wait and latest and latest.get("status") not in FAILED:
        return finish(run, state.arn, Expected(deployment=latest.get("serviceDeploymentArn")))
    return run.report(state.arn, latest)


def report_rollback(run: Run, state: ServiceState, changes: compare.Changes) -> None:
    """Report that the last deployment was rolled back before this run, if this run would send the same again.

    Raises:
        EcsExpressWaitError: it must not be tried again.
    """
    latest = state.deployments[0] if state.deployments else {}
    target = latest.get("targetServiceRevisionArn")
    if state.in_flight or not changes or latest.get("status") not in FAILED:
        return
    if not target or target == state.config.get("serviceRevisionArn"):
        return
    tried = _tried(run, str(target))
    if tried is not None and compare.compare(_known_of_revision(run.request.desired, tried), tried):
        return
    full = {**latest, **(api.describe_deployment(run.ecs, latest["serviceDeploymentArn"]) or {})}
    same = "of what this task describes" if tried is not None else "(perhaps of what this task describes)"
    text = (
        f"the last deployment {same} ended as {full['status']} before this run began, so the service still is as "
        "it was before"
    )
    if run.request.rolled_back == "fail" and not run.request.force:
        option = run.request.option_names.of("rolled_back")
        error = EcsExpressError(message=f"{text[0].upper()}{text[1:]}; to try it again, set {option} to retry")
        raise run.explained(error, state.arn, full)
    reason = full.get("statusReason") or (full.get("rollback") or {}).get("reason") or "no reason given"
    run.result.rolled_back = transformations.deployment(full)
    run.result.warnings.append(f"Service {run.request.name!r}: {text} ({reason}). This run tries it again")


def _tried(run: Run, revision_arn: str) -> Canonical | None:
    """Return the configuration of a rolled back revision, as far as ECS reports it; None if it is unreadable."""
    try:
        for revision in api.describe_revisions(run.ecs, [revision_arn]):
            definition = api.describe_task_definition(run.ecs, str(revision.get("taskDefinition")))
            return transformations.revision_configuration(revision, definition)
    except EcsExpressError:
        # A missing permission to read it must not prevent a deployment.
        return None
    return None


def _known_of_revision(desired: Canonical, tried: Canonical) -> Canonical:
    """Return the part of ``desired`` that can be read back from a revision."""
    return {key: value for key, value in desired.items() if key in tried}


def _is_first(deployment: Resource | None) -> bool:
    """Return whether a deployment is the first one of its service."""
    return deployment is not None and not deployment.get("sourceServiceRevisions")


def _is_broken(state: ServiceState) -> bool:
    """Return whether the last deployment failed, with no older one to return to, so that it is deployed again."""
    if state.in_flight or not state.deployments:
        return False
    latest = state.deployments[0]
    revision = state.config.get("serviceRevisionArn")
    return latest.get("status") in FAILED and bool(revision) and latest.get("targetServiceRevisionArn") == revision
