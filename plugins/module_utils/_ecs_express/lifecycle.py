# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: what to do in which state of a service. Raises EcsExpressError; knows nothing of Ansible's module object."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace as replaced
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress

from . import admission
from . import allow_list
from . import api
from . import compare
from . import deployment_configuration
from . import explain
from . import preflight
from . import transformations
from . import waiters
from .common import EcsExpressError
from .common import EcsExpressWaitError
from .common import error_code
from .common import is_draining
from .transformations import Canonical
from .waiters import Expected
from .waiters import StallDetector
from .waiters import Waiter

Resource = dict[str, Any]
Clients = Callable[[str], Any]

# ECS shows a new or changed configuration a moment after the call that made it: seconds to wait for it to appear.
_CONFIGURATION_SECONDS = 300
# Looks after which an update is taken for one that needs no deployment (if ECS shows the wanted configuration).
_POLLS_WITHOUT_DEPLOYMENT = 12
# How long it takes at AWS, for the one who watches (user reports; the first service of a VPC is the slow one), and the
# start of the server, which is not AWS's.
EXPECTED_FIRST_DEPLOYMENT = ExpectedDuration(6, 25, own=60)
EXPECTED_DELETION = ExpectedDuration(5, 15, own=30)
# Beside the canary's and the other minutes of baking: a new task needs 5 health checks of 30 s after its start, and the
# old one is drained at the end.
UPDATE_BESIDE_BAKING = (3, 9)


@dataclass(frozen=True)
class Request:
    """What the user asked for. Times in seconds; ``desired`` is canonical (see transformations)."""

    name: str
    cluster: str = "default"
    desired: Canonical = field(default_factory=dict)
    infrastructure_role_arn: str | None = None
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    wait: bool = True
    wait_timeout: float = 1800
    wait_delay: float = 10
    force: bool = False
    replace: bool = False
    recreate_stuck: bool = True
    stall_timeout: float = waiters.STALL_SECONDS
    rolled_back: str = "retry"
    check_mode: bool = False
    deployment_configuration: Canonical = field(default_factory=dict)
    allowed_cidrs: list[str] | None = None


@dataclass
class Result:
    """What was done, or in check mode would be done. ``service`` and ``deployment`` are in the user's form."""

    changed: bool = False
    service: Canonical | None = None
    deployment: Canonical | None = None
    before: Canonical = field(default_factory=dict)
    after: Canonical = field(default_factory=dict)
    rolled_back: Canonical | None = None
    deployment_configuration: Canonical | None = None
    progress: list[str] = field(default_factory=list)
    recreated: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass
class _State:
    """An existing Express service as read, with what comparisons need."""

    service: Resource
    deployments: list[Resource]
    in_flight: Resource | None
    config: Resource
    canonical: Canonical
    managed_groups: set[str] | None = None
    ecs_service: Resource = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return str(self.service["serviceArn"])

    @property
    def known(self) -> frozenset[str]:
        return frozenset(str(item.get("serviceDeploymentArn")) for item in self.deployments)


class Lifecycle:
    """One run for one service.

    ``clients`` gives a client with ``aws_retry`` for a service's boto name. ``progress`` shows what is waited for.
    ``make_waiter`` exists for tests.
    """

    def __init__(
        self,
        clients: Clients,
        request: Request,
        progress: Progress | None = None,
        make_waiter: Callable[..., Waiter] = Waiter,
    ) -> None:
        self.clients = clients
        self.ecs = clients("ecs")
        self.request = request
        self.shown = progress or Progress(request.name, path="")
        self.make_waiter = make_waiter
        self.result = Result()
        self.waiter = self._new_waiter()
        self._sent = False
        self._made_here = False

    def _new_waiter(self) -> Waiter:
        return self.make_waiter(
            timeout=self.request.wait_timeout,
            delay=self.request.wait_delay,
            progress=self.result.progress,
            note=self.shown.say,
        )

    def _telling(self, work: Callable[[], Result]) -> Result:
        """Let each error carry what was done before it."""
        try:
            return work()
        except EcsExpressError as e:
            known = {"changed": self._sent, "progress": list(self.result.progress), "recreated": self.result.recreated}
            for key, value in known.items():
                e.kwargs.setdefault(key, value)
            e.kwargs.setdefault("warnings", list(self.result.warnings))
            raise

    # ---- present

    def ensure_present(self) -> Result:
        return self._telling(self._present)

    def _present(self) -> Result:
        request = self.request
        self._check_botocore()
        found = api.find_service(self.ecs, cluster=request.cluster, name=request.name)
        status = (found or {}).get("status")
        self._refuse_classic(found)
        if found is None or status == "INACTIVE":
            return self._create(found)
        if status == "DRAINING":
            if not request.check_mode:
                self._check_complete(compare.overlay({}, request.desired))
                self._wait_inactive(str(found["serviceArn"]))
            return self._create(found)
        state = self._read(str(found["serviceArn"]))
        if request.wait and not request.check_mode and state.in_flight and state.in_flight["status"] in waiters.FAILING:
            state = self._settle(state)
        state.ecs_service = found
        return self._update(state)

    def _check_botocore(self) -> None:
        for option, member in (("cpu_architecture", "cpuArchitecture"), ("task_definition_arn", "taskDefinitionArn")):
            if option in self.request.desired and not api.supports(self.ecs, "CreateExpressGatewayService", member):
                raise EcsExpressError(
                    message=f"{option} is set, but the installed botocore does not know {member}: "
                    f"update boto3 and botocore, or leave {option} out"
                )

    def _refuse_classic(self, found: Resource | None) -> None:
        if found and found.get("status") != "INACTIVE" and found.get("resourceManagementType") != "ECS":
            raise EcsExpressError(
                message=f"Service {self.request.name!r} in cluster {self.request.cluster!r} is a classic ECS service, "
                "not one of Express Mode; this module leaves it alone: choose another service_name"
            )

    def _read(self, arn: str) -> _State:
        """Read the service; shortly after a change, wait until ECS shows its configuration."""
        waiter = self.make_waiter(timeout=_CONFIGURATION_SECONDS, delay=min(self.request.wait_delay, 5))
        in_flight: Resource | None = None
        for _poll in waiter.polls():
            service = api.describe_express(self.ecs, arn)
            if service is None:
                continue
            deployments = api.list_deployments(self.ecs, cluster=self.request.cluster, service=arn)
            in_flight = waiters.in_flight(deployments)
            if in_flight:
                in_flight = {
                    **in_flight,
                    **(api.describe_deployment(self.ecs, in_flight["serviceDeploymentArn"]) or {}),
                }
            revision = waiters.target_revision(in_flight)
            config = transformations.newest_configuration(service, revision)
            if config and (not revision or config.get("serviceRevisionArn") in (revision, None)):
                return _State(service, deployments, in_flight, dict(config), transformations.configuration(config))
            waiter.report("waiting until ECS shows the configuration of the service")
        error = EcsExpressError(
            message=f"The service exists, but ECS shows no configuration of it to compare with, even after "
            f"{_CONFIGURATION_SECONDS} s; run again later, or delete the service and create it again"
        )
        raise self._explained(error, arn, in_flight)

    def _settle(self, state: _State) -> _State:
        """Wait until a roll-back that is under way has come to its end: ECS takes no update meanwhile."""
        for _poll in self.waiter.polls():
            deployments = api.list_deployments(self.ecs, cluster=self.request.cluster, service=state.arn)
            in_flight = waiters.in_flight(deployments)
            if in_flight is None or in_flight["status"] not in waiters.FAILING:
                return self._read(state.arn)
            self.waiter.report(f"waiting for an earlier deployment: {in_flight['status']}")
        error = waiters.WaitTimeout(message="An earlier deployment of the service is still being rolled back")
        raise self._explained(error, state.arn, state.in_flight)

    # ---- create

    def _create(self, found: Resource | None, before: Canonical | None = None) -> Result:
        request, result = self.request, self.result
        config = compare.overlay({}, request.desired)
        self._check_complete(config)
        predicted = transformations.predicted_service(
            name=request.name,
            cluster=request.cluster,
            config=config,
            role=request.infrastructure_role_arn,
            wanted_tags=request.tags,
        )
        result.changed = True
        result.before = before or {}
        result.after = {k: v for k, v in predicted.items() if v not in (None, "", {}, []) and k != "status"}
        if request.deployment_configuration:
            result.after["deployment_configuration"] = request.deployment_configuration
        if request.allowed_cidrs:
            result.after["allowed_cidrs"] = request.allowed_cidrs
            config = admission.without_tasks(config)
        if request.check_mode:
            result.service = predicted
            result.deployment_configuration = {**deployment_configuration.DEFAULTS, **request.deployment_configuration}
            return result
        known: frozenset[str] = frozenset()
        if found is not None:
            old = api.list_deployments(self.ecs, cluster=request.cluster, service=str(found["serviceArn"]))
            known = frozenset(str(item.get("serviceDeploymentArn")) for item in old)
        self.shown.expected_duration = EXPECTED_FIRST_DEPLOYMENT
        self.result.warnings += preflight.probe(self.clients("iam"), str(request.infrastructure_role_arn), self.waiter)
        service = self._create_call(config)
        self._sent = self._made_here = True
        first = transformations.newest_configuration(service) or {}
        expected = Expected(first.get("serviceRevisionArn"), known, service.get("createdAt"))
        return self._finish(str(service["serviceArn"]), expected, then=self._open if request.allowed_cidrs else None)

    def _open(self, arn: str) -> Result:
        """Give a service without tasks its tasks, once its listener rule admits those only who are to be admitted."""
        self._admit()
        state = self._read(arn)
        if compare.needs_managed_groups(self.request.desired, state.canonical):
            state.managed_groups = self._managed_groups(state)
        changes = compare.compare(self.request.desired, state.canonical, state.managed_groups)
        if not changes:
            return self._unchanged(state)
        done = self._finish(arn, self._update_call(state, changes), state)
        if self.request.wait and done.deployment is None:
            self._await_tasks(arn)
        return done

    def _await_tasks(self, arn: str) -> None:
        """Wait for the tasks of an update that needed no deployment."""
        least = int(self.request.desired["scaling_target"]["min_task_count"])
        for _poll in self.waiter.polls():
            service = api.find_service(self.ecs, cluster=self.request.cluster, name=self.request.name) or {}
            running = int(service.get("runningCount") or 0)
            if running >= least:
                return
            self.waiter.report(f"{running} of {least} tasks running")
        error = waiters.WaitTimeout(message="The service's tasks do not run")
        raise self._explained(error, arn, None)

    def _admit(self) -> None:
        """Let those in whom the request names, and nobody else, as soon as there is a listener rule."""
        request = self.request
        for _poll in self.waiter.polls():
            rule = self._rule()
            if rule:
                _before, changed = allow_list.ensure(
                    self.clients("elbv2"), rule, request.allowed_cidrs or [], check_mode=False
                )
                self._sent = self._sent or changed
                return
            self.waiter.report("waiting for the service's listener rule")
        raise EcsExpressError(f"ECS has made no listener rule for the service {request.name!r} in time")

    def _rule(self) -> str:
        """The ARN of the service's listener rule, "" if there is none yet."""
        found = api.find_service(self.ecs, cluster=self.request.cluster, name=self.request.name)
        service = api.describe_express(self.ecs, str(found["serviceArn"])) if found else None
        return allow_list.find_rule(self.ecs, service) if service else ""

    def _diff_of_admission(self) -> bool:
        """Show whom the listener rule admits and is to admit; whether they differ."""
        request = self.request
        if not request.allowed_cidrs:
            return False
        rule = self._rule()
        before: list[str] = []
        differs = True
        if rule:
            elbv2 = self.clients("elbv2")
            before, differs = allow_list.ensure(elbv2, rule, request.allowed_cidrs, check_mode=True)
        if differs:
            self.result.before["allowed_cidrs"], self.result.after["allowed_cidrs"] = before, request.allowed_cidrs
        return differs

    def _create_call(self, config: Canonical) -> Resource:
        request = self.request
        params: Resource = {
            **transformations.to_boto(config),
            "serviceName": request.name,
            "cluster": transformations.cluster_name(request.cluster),
            "infrastructureRoleArn": request.infrastructure_role_arn,
        }
        tags, _unused = compare.compare_tags(request.tags, {}, purge=False)
        if tags:
            params["tags"] = [{"key": k, "value": v} for k, v in sorted(tags.items())]

        def create() -> Resource:
            return waiters.retry_fresh_role(lambda: api.create_express(self.ecs, **params), self.waiter)

        try:
            return waiters.retry_draining(create, self.waiter)
        except EcsExpressError as e:
            if error_code(e) != "ClusterNotFoundException":
                raise
            raise EcsExpressError(
                message=f"cluster {params['cluster']!r} does not exist, and Express Mode makes none but 'default' by "
                "itself: create the cluster before, or leave cluster out",
                exception=e.exception,
            ) from e

    def _check_complete(self, config: Canonical) -> None:
        """What Create needs. In check mode it may not be known yet (an ARN of a role that does not exist)."""
        missing = [] if self.request.infrastructure_role_arn else ["infrastructure_role_arn"]
        if "task_definition_arn" not in config:
            if "execution_role_arn" not in config:
                missing.append("execution_role_arn")
            if not config.get("primary_container", {}).get("image"):
                missing.append("primary_container.image")
        if not missing:
            return
        text = f"Service {self.request.name!r} does not exist, and to create it {', '.join(missing)} must be given"
        if not self.request.check_mode:
            raise EcsExpressError(message=text)
        self.result.warnings.append(text)

    # ---- update

    def _update(self, state: _State) -> Result:
        request, result = self.request, self.result
        if compare.needs_managed_groups(request.desired, state.canonical) or request.replace:
            state.managed_groups = self._managed_groups(state)
        changes = compare.compare(request.desired, state.canonical, state.managed_groups)
        self._tell_of_rollback(state, changes)
        to_set, to_remove = compare.compare_tags(request.tags, transformations.tags(state.service), request.purge_tags)
        if self._role_differs(state):
            return self._replace(state)
        redeploy = not changes and (request.force or _is_broken(state))
        how = deployment_configuration.changes(request.deployment_configuration, state.ecs_service)
        result.changed = bool(changes or to_set or to_remove or redeploy or how)
        result.before, result.after = {**changes.before, **how.before}, {**changes.after, **how.after}
        self._diff_of_tags(state, to_set, to_remove)
        admits = self._diff_of_admission()
        result.changed = result.changed or admits
        if redeploy:
            latest = (state.deployments or [{}])[0]
            result.before["deployment"] = f"{latest.get('serviceDeploymentArn')} {latest.get('status')}"
            result.after["deployment"] = "a new one"
        if request.check_mode:
            result.service = self._predicted_update(state, changes)
            result.deployment_configuration = {
                **deployment_configuration.current(state.ecs_service),
                **request.deployment_configuration,
            }
            result.deployment = transformations.deployment(state.in_flight)
            return result
        if to_set:
            api.tag(self.ecs, state.arn, to_set)
        if to_remove:
            api.untag(self.ecs, state.arn, to_remove)
        self._sent = bool(to_set or to_remove)
        if admits:
            # Before the update, which may be the one that gives a new service its first task.
            self._admit()
        if not _is_first(state.in_flight):
            # Before the update, so that they hold for its deployment already; a first one is left in peace.
            self._configure(state.ecs_service)
        if changes:
            expected = self._update_call(state, changes)
        elif redeploy:
            return self._finish(state.arn, self._redeploy_call(state), state)
        else:
            return self._unchanged(state)
        done = self._finish(state.arn, expected, state)
        if request.force and request.wait and done.deployment is None:
            # The update needed no deployment, the user does.
            return self._finish(state.arn, self._redeploy_call(state), state)
        return done

    def _update_call(self, state: _State, changes: compare.Changes) -> Expected:
        fields = compare.update(self.request.desired, state.canonical, changes, state.managed_groups)
        params = {**transformations.to_boto(fields), "serviceArn": state.arn}
        self.shown.expected_duration = self._expected_update()
        service = waiters.retry_fresh_role(lambda: api.update_express(self.ecs, **params), self.waiter)
        self._sent = True
        target = (service.get("targetConfiguration") or {}).get("serviceRevisionArn")
        if target == state.config.get("serviceRevisionArn"):
            target = None
        return Expected(target, state.known, service.get("updatedAt"))

    def _expected_update(self) -> ExpectedDuration:
        """An update takes as long as it bakes, and some minutes."""
        how = {**deployment_configuration.DEFAULTS, **self.request.deployment_configuration}
        baking = sum(float(how.get(name) or 0) for name in ("canary_bake_time_in_minutes", "bake_time_in_minutes"))
        least, most = UPDATE_BESIDE_BAKING
        return ExpectedDuration(least + baking, most + baking, own=60)

    def _redeploy_call(self, state: _State) -> Expected:
        self.shown.expected_duration = self._expected_update()
        service = api.force_deployment(self.ecs, cluster=self.request.cluster, name=self.request.name)
        self._sent = True
        current = service.get("currentServiceDeployment")
        return Expected(known=state.known, deployment=current if current not in state.known else None)

    def _unchanged(self, state: _State) -> Result:
        """Nothing to do; but a deployment that somebody began is waited for, and so are unfinished resources."""
        latest = state.in_flight or (state.deployments[0] if state.deployments else None)
        self.shown.expected_duration = (
            self._expected_update() if len(state.deployments) > 1 else EXPECTED_FIRST_DEPLOYMENT
        )
        if self.request.wait and latest and latest.get("status") not in waiters.FAILED:
            return self._finish(state.arn, Expected(deployment=latest.get("serviceDeploymentArn")))
        return self._report(state.arn, latest)

    def _role_differs(self, state: _State) -> bool:
        desired, have = self.request.infrastructure_role_arn, state.service.get("infrastructureRoleArn")
        if not desired or desired == have:
            return False
        if self.request.replace:
            return True
        raise EcsExpressError(
            message=f"infrastructure_role_arn of service {self.request.name!r} is {have} and cannot be changed to "
            f"{desired}: give the present one, or set replace to true to delete and re-create the service, "
            "which interrupts it and gives it another URL"
        )

    def _managed_groups(self, state: _State) -> set[str] | None:
        """The groups that ECS attached: the revision tells, else their tags do; None if neither can be read."""
        arn = state.config.get("serviceRevisionArn")
        attached = (state.canonical.get("network_configuration") or {}).get("security_groups") or []
        try:
            for revision in api.describe_revisions(self.ecs, [arn] if arn else []):
                told = waiters.managed_group_ids(revision)
                if told is not None:
                    return told
            # None of them has the tag: rather nothing known than one of ECS's taken for the user's.
            return (api.groups_of_ecs(self.clients("ec2"), attached) if attached else set()) or None
        except EcsExpressError as e:
            self.waiter.report(f"which security groups are ECS's own could not be found out ({e})")
            return None

    def _replace(self, state: _State) -> Result:
        """Delete, wait, create again; what the user did not give is taken over from the old service."""
        before = self._shown_config(state)
        self._refuse_unknown_groups(state)
        self._take_over(state)
        how = {**deployment_configuration.special(state.ecs_service), **self.request.deployment_configuration}
        self.request = replaced(self.request, deployment_configuration=how)
        if not self.request.check_mode:
            self._check_complete(compare.overlay({}, self.request.desired))
            self._refuse_useless_role()
            self._delete(state.arn)
            self.waiter = self._new_waiter()
        return self._create(state.service, before)

    def _refuse_unknown_groups(self, state: _State) -> None:
        """The group that ECS made goes with the service, the others must be taken over."""
        attached = (state.canonical.get("network_configuration") or {}).get("security_groups")
        given = self.request.desired.get("network_configuration") or {}
        if state.managed_groups is None and attached and "security_groups" not in given:
            raise EcsExpressError(
                message=f"Service {self.request.name!r} is left as it is, because which of its security groups "
                f"({', '.join(attached)}) are ECS's own could not be found out: give those that the new service shall "
                "have in network_configuration.security_groups"
            )

    def _refuse_useless_role(self) -> None:
        """A service that runs is not given up for a role with which no other could be made."""
        role = str(self.request.infrastructure_role_arn)
        problems = preflight.role_problems(self.clients("iam"), role, self.waiter)
        if problems:
            raise EcsExpressError(
                message=f"Service {self.request.name!r} is left as it is, because it could not be created again: "
                + " ".join(problems)
            )

    def _take_over(self, state: _State) -> None:
        """Complete the request with what the service has and the user did not give."""
        request = self.request
        old = compare.without_managed_groups(state.canonical, state.managed_groups)
        if "task_definition_arn" in request.desired:
            old = {
                k: v for k, v in old.items() if k in ("health_check_path", "network_configuration", "scaling_target")
            }
        else:
            old.pop("task_definition_arn", None)
            old = _without_managed_log_group(old, transformations.cluster_name(request.cluster), request.name)
        tags = transformations.tags(state.service)
        if request.tags is not None:
            tags = {} if request.purge_tags else tags
            tags.update(request.tags)
        role = request.infrastructure_role_arn or state.service.get("infrastructureRoleArn")
        desired = compare.overlay(old, request.desired)
        self.request = replaced(request, desired=desired, tags=tags, infrastructure_role_arn=role)

    # ---- a roll-back that nobody waited for

    def _tell_of_rollback(self, state: _State, changes: compare.Changes) -> None:
        """Say that the last deployment was rolled back before this run, where this run would send the same again."""
        latest = state.deployments[0] if state.deployments else {}
        target = latest.get("targetServiceRevisionArn")
        if state.in_flight or not changes or latest.get("status") not in waiters.FAILED:
            return
        if not target or target == state.config.get("serviceRevisionArn"):
            return
        tried = self._tried(str(target))
        if tried is not None and compare.compare(_known_of_revision(self.request.desired, tried), tried):
            return
        full = {**latest, **(api.describe_deployment(self.ecs, latest["serviceDeploymentArn"]) or {})}
        same = "of what this task describes" if tried is not None else "(perhaps of what this task describes)"
        said = (
            f"the last deployment {same} ended as {full['status']} before this run began, so the service still is as "
            "it was before"
        )
        if self.request.rolled_back == "fail" and not self.request.force:
            error = EcsExpressError(message=f"{said[0].upper()}{said[1:]}; to try it again, set rolled_back to retry")
            raise self._explained(error, state.arn, full)
        reason = full.get("statusReason") or (full.get("rollback") or {}).get("reason") or "no reason given"
        self.result.rolled_back = transformations.deployment(full)
        self.result.warnings.append(f"Service {self.request.name!r}: {said} ({reason}). This run tries it again")

    def _tried(self, revision_arn: str) -> Canonical | None:
        """What a revision that was rolled back described, as far as ECS tells; None if it can't be read."""
        try:
            for revision in api.describe_revisions(self.ecs, [revision_arn]):
                definition = api.describe_task_definition(self.ecs, str(revision.get("taskDefinition")))
                return transformations.revision_configuration(revision, definition)
        except EcsExpressError:
            # Not being allowed to read it must not keep anybody from deploying.
            return None
        return None

    def _diff_of_tags(self, state: _State, to_set: dict[str, str], to_remove: list[str]) -> None:
        have = transformations.tags(state.service)
        touched = {*to_set, *to_remove}
        if touched:
            self.result.before["tags"] = {k: have[k] for k in sorted(touched) if k in have}
            self.result.after["tags"] = {k: to_set[k] for k in sorted(touched) if k in to_set}

    def _predicted_update(self, state: _State, changes: compare.Changes) -> Canonical:
        service = transformations.service(state.service, state.config.get("serviceRevisionArn"))
        if changes:
            service.update(transformations.masked(compare.overlay(state.canonical, self.request.desired)))
        to_set, to_remove = compare.compare_tags(self.request.tags, service["tags"], self.request.purge_tags)
        service["tags"] = {k: v for k, v in {**service["tags"], **to_set}.items() if k not in to_remove}
        return service

    # ---- absent

    def ensure_absent(self) -> Result:
        return self._telling(self._absent)

    def _absent(self) -> Result:
        self.shown.expected_duration = EXPECTED_DELETION
        request, result = self.request, self.result
        found = api.find_service(self.ecs, cluster=request.cluster, name=request.name)
        self._refuse_classic(found)
        if found is None or found.get("status") == "INACTIVE":
            return result
        if found.get("status") == "DRAINING":
            if request.wait and not request.check_mode:
                self._wait_inactive(str(found["serviceArn"]))
            return result
        arn = str(found["serviceArn"])
        service = api.describe_express(self.ecs, arn)
        if service is None:
            return result
        result.changed = True
        result.before = {"service_name": request.name, **transformations.masked(_config_of(service))}
        if not request.check_mode:
            self._delete(arn, wait=request.wait)
        return result

    def _delete(self, arn: str, wait: bool = True) -> None:
        try:
            api.delete_express(self.ecs, arn)
            self._sent = True
        except EcsExpressError as e:
            if not is_draining(e):
                raise
        if wait:
            self._wait_inactive(arn)

    def _wait_inactive(self, arn: str) -> None:
        try:
            waiters.wait_for_inactive(
                self.ecs, cluster=self.request.cluster, name=self.request.name, waiter=self.waiter
            )
        except waiters.WaitTimeout as e:
            raise self._explained(e, arn, None) from e

    # ---- the end of all ways

    def _finish(
        self,
        arn: str,
        expected: Expected,
        state: _State | None = None,
        then: Callable[[str], Result] | None = None,
    ) -> Result:
        """Wait if asked to, then report the service as it is; or wait for what ECS manages, and go on with ``then``."""
        if not self.request.wait and not then:
            picked = expected.pick(api.list_deployments(self.ecs, cluster=self.request.cluster, service=arn))
            return self._report(arn, picked, expected.revision)
        early: list[explain.Evidence] = []
        subject = self._subject(arn)
        try:
            deployment = waiters.wait_for_deployment(
                self.ecs,
                cluster=self.request.cluster,
                service=arn,
                expected=expected,
                waiter=self.waiter,
                on_failing=lambda failing: early.append(explain.collect(self.clients, subject, failing)),
                needless=self._needless(arn, expected, state),
                enough=admission.is_ready if then else None,
                stall_detector=StallDetector(self.request.stall_timeout, never_ran=lambda: self._never_ran(arn)),
            )
        except waiters.StuckDeployment as e:
            if self.request.recreate_stuck and not self.result.recreated and self._never_ran(arn):
                return self._recreate(arn, e)
            raise self._explained(e, arn, e.kwargs.get("deployment")) from e
        except (waiters.FailedDeployment, waiters.WaitTimeout) as e:
            raise self._explained(e, arn, e.kwargs.get("deployment"), early[0] if early else None) from e
        if then:
            return then(arn)
        self._configure_after()
        return self._report(arn, deployment)

    def _configure(self, ecs_service: Resource) -> None:
        """Let the service's updates be carried out as wanted; nothing is sent if they already are."""
        request = self.request
        want = request.deployment_configuration
        if not want:
            return
        if deployment_configuration.changes(want, ecs_service):
            own = f"{transformations.cluster_name(request.cluster)}/{request.name}/RollbackAlarm"
            ecs_service = api.configure_deployments(
                self.ecs,
                cluster=request.cluster,
                name=request.name,
                configuration=deployment_configuration.to_send(want, ecs_service, own),
            )
            self._sent = True
        self.result.deployment_configuration = deployment_configuration.current(ecs_service)

    def _configure_after(self) -> None:
        """A new service has its settings from ECS, and a deployment may have lost what was set."""
        request, result = self.request, self.result
        if not request.deployment_configuration:
            return
        ecs_service = api.find_service(self.ecs, cluster=request.cluster, name=request.name) or {}
        lost = deployment_configuration.changes(request.deployment_configuration, ecs_service)
        if lost and not result.changed:
            result.before, result.after = {**result.before, **lost.before}, {**result.after, **lost.after}
            result.changed = True
        self._configure(ecs_service)

    def _never_ran(self, arn: str) -> bool:
        """Whether it is certain that no task of the service was ever started: then nothing is lost by its deletion."""
        request = self.request
        try:
            deployments = api.list_deployments(self.ecs, cluster=request.cluster, service=arn, limit=100)
            if any(item.get("status") in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL") for item in deployments):
                return False
            service = api.find_service(self.ecs, cluster=request.cluster, name=request.name) or {}
            if service.get("runningCount") or service.get("pendingCount"):
                return False
            tasks: list[str] = []
            for status in ("RUNNING", "STOPPED"):
                tasks += api.list_tasks(self.ecs, cluster=request.cluster, service=request.name, status=status)
            express = api.describe_express(self.ecs, arn) or {}
            described = api.describe_tasks(self.ecs, cluster=request.cluster, tasks=tasks)
        except EcsExpressError as e:
            self.waiter.report(f"whether a task was ever started could not be found out ({e})")
            return False
        # ECS still shows the tasks of a service of this name that was deleted within the last hour.
        return not explain.since(described, express) and len(described) == len(tasks)

    def _recreate(self, arn: str, stuck: waiters.StuckDeployment) -> Result:
        """Delete a service in which nothing has ever run, and create it once more, with the time counted anew."""
        result = self.result
        result.recreated = True
        result.warnings.append(
            f"Service {self.request.name!r} was stuck: {stuck.message}. As nothing had ever run in it, it was deleted "
            "and created again, once; its URL is another one than before"
        )
        self.waiter.report(f"stuck ({stuck.message}): deleting the service and creating it again, once")
        if not self._made_here:
            state = self._read(arn)
            state.managed_groups = self._managed_groups(state)
            self._take_over(state)
        self.waiter = self._new_waiter()
        self._delete(arn)
        self.waiter = self._new_waiter()
        return self._create({"serviceArn": arn}, result.before)

    def _needless(self, arn: str, expected: Expected, state: _State | None) -> Callable[[int], bool] | None:
        """Some updates (of scaling alone, say) may need no deployment: whether that is so after a number of looks."""
        if state is None or expected.revision or expected.deployment:
            return None

        def check(look: int) -> bool:
            if look < _POLLS_WITHOUT_DEPLOYMENT:
                return False
            service = api.describe_express(self.ecs, arn) or {}
            config = _config_of(service)
            return bool(config) and not compare.compare(self.request.desired, config, state.managed_groups)

        return check

    def _subject(self, arn: str) -> explain.Subject:
        return explain.Subject(transformations.cluster_name(self.request.cluster), self.request.name, arn)

    def _report(self, arn: str, deployment: Resource | None, revision: str | None = None) -> Result:
        service = api.describe_express(self.ecs, arn)
        if service is not None:
            self.result.service = transformations.service(service, revision or waiters.target_revision(deployment))
        self.result.deployment = transformations.deployment(deployment)
        if self.result.deployment is None and revision:
            # ECS has not listed the deployment yet; its target is enough to find it later.
            self.result.deployment = {"target_service_revision_arn": revision, "status": "PENDING"}
        return self.result

    def _shown_config(self, state: _State) -> Canonical:
        return {
            "service_name": self.request.name,
            "infrastructure_role_arn": state.service.get("infrastructureRoleArn"),
            **transformations.masked(state.canonical),
        }

    def _explained(
        self, error: EcsExpressError, arn: str, deployment: Resource | None, early: explain.Evidence | None = None
    ) -> EcsExpressWaitError:
        evidence = explain.collect(self.clients, self._subject(arn), deployment, early)
        evidence.stuck = isinstance(error, waiters.StuckDeployment)
        text = explain.render(evidence)
        again = ", also after it was deleted and created again" if self.result.recreated else ""
        return EcsExpressWaitError(
            message=f"Service {self.request.name!r}{again}: {error.message}" + (f"\n{text}" if text else ""),
            changed=self._sent,
            service_arn=arn,
            deployment=transformations.deployment(deployment),
            explanation=evidence.as_dict(),
            progress=list(self.result.progress),
        )


def _config_of(service: Resource) -> Canonical:
    return transformations.configuration(transformations.newest_configuration(service) or {})


def _without_managed_log_group(config: Canonical, cluster: str, name: str) -> Canonical:
    """Without the log group that ECS chose by itself: asked for by name, ECS would take it for one that exists."""
    container = dict(config.get("primary_container") or {})
    logs = container.get("aws_logs_configuration") or {}
    if not re.fullmatch(f"/aws/ecs/{re.escape(cluster)}/{re.escape(name)}-[0-9A-Za-z]+", str(logs.get("log_group"))):
        return config
    del container["aws_logs_configuration"]
    return {**config, "primary_container": container}


def _known_of_revision(desired: Canonical, tried: Canonical) -> Canonical:
    """The part of ``desired`` that a revision tells: not all fields can be read back from one."""
    return {key: value for key, value in desired.items() if key in tried}


def _is_first(deployment: Resource | None) -> bool:
    """Whether a deployment is one that goes from nothing to something."""
    return deployment is not None and not deployment.get("sourceServiceRevisions")


def _is_broken(state: _State) -> bool:
    """Whether what the service has is what failed last, with nothing older to go back to: deploy it once more."""
    if state.in_flight or not state.deployments:
        return False
    latest = state.deployments[0]
    revision = state.config.get("serviceRevisionArn")
    return (
        latest.get("status") in waiters.FAILED and bool(revision) and latest.get("targetServiceRevisionArn") == revision
    )
