# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Turn the answers about a deployment into facts, and facts into lines. Pure Python."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import cost
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.reader import ADOPTED_BUCKET
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.reader import Observed
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.reader import as_described
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answer
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.state import State
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployments
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations

Facts = dict[str, typing.Any]

_GIB = 1024**3
_VERSION_OF_TAG = re.compile(r":v([0-9]+[.][0-9]+[.][0-9]+)(?:-full)?$")
#: Days before its expiry at which a certificate is reported as a problem. ACM renews 60 days before (ACM User Guide,
#: "Managed certificate renewal").
CERTIFICATE_DAYS = 30
#: Fraction of free storage below which a database is reported as a problem.
STORAGE_LEFT = 0.1


def facts(observed: Observed, scope: Scope, now: datetime, verbs: Sequence[Facts] = ()) -> Facts:
    """Return the state of a deployment.

    Args:
        observed: the answers.
        scope: what belongs to the deployment.
        now: with a time zone.
        verbs: those that work on the deployment or were cut off, as _verbs.lock.unfinished_verbs() returns them.

    Returns:
        the facts that mlflow_deployment_status documents. None stands for unknown.
    """
    found: Facts = {
        "name": scope.name,
        "region": scope.region,
        "url": transformations.url(transformations.endpoint(as_described(observed.get("service")))),
        "service": _service(observed),
        "deployment": _deployment(observed.get("deployment")),
        "database": _database(observed, scope),
        "bucket": _bucket(observed, scope),
        "certificate": _certificate(observed, now),
        "drift": _drift(observed.deployment, is_known=not verbs),
        "cost": _cost(observed.deployment, scope.region),
        "verbs": list(verbs),
        "unknown": dict(observed.unknown),
    }
    found["state"] = _state(found)
    found["problems"] = _problems(found)
    return found


def _service(observed: Observed) -> Facts:
    tasks, service, health = (observed.get(name) for name in ("deployment_settings", "service", "health"))
    image = str(observed.get("task_definition").get("image") or "")
    named = _VERSION_OF_TAG.search(image)
    scaling = observed.get("scaling")
    return {
        "status": tasks.get("status") or "",
        "version": observed.get("version").get("version") or (named.group(1) if named else ""),
        "image": image,
        "cpu": str(service.get("cpu") or ""),
        "memory": str(service.get("memory") or ""),
        "running_tasks": tasks.get("runningCount"),
        "desired_tasks": tasks.get("desiredCount"),
        "min_tasks": scaling.get("minTaskCount"),
        "max_tasks": scaling.get("maxTaskCount"),
        "healthy": "milliseconds" in health if health else None,
        "latency_ms": health.get("milliseconds"),
        "health_error": str(health.get("error") or ""),
    }


def _deployment(newest: Answer) -> Facts:
    return {
        "status": str(newest.get("status") or ""),
        "status_reason": str(newest.get("statusReason") or ""),
        "created_at": _moment(newest.get("createdAt")),
        "finished_at": _moment(newest.get("finishedAt")),
    }


def _database(observed: Observed, scope: Scope) -> Facts:
    instance, snapshot = observed.get("database"), observed.get("snapshot")
    allocated, free = instance.get("AllocatedStorage"), observed.get("metrics").get("database")
    return {
        "identifier": scope.database,
        "status": str(instance.get("DBInstanceStatus") or ""),
        "engine_version": str(instance.get("EngineVersion") or ""),
        "instance_class": str(instance.get("DBInstanceClass") or ""),
        "multi_az": instance.get("MultiAZ"),
        "allocated_storage_gib": allocated,
        "used_storage_gib": round(allocated - free / _GIB, 1) if allocated and free is not None else None,
        "backup_retention_days": instance.get("BackupRetentionPeriod"),
        "latest_restorable_time": _moment(instance.get("LatestRestorableTime")),
        "latest_snapshot": str(snapshot.get("DBSnapshotIdentifier") or ""),
        "latest_snapshot_time": _moment(snapshot.get("SnapshotCreateTime")),
        "pending_changes": sorted(instance.get("PendingModifiedValues") or {}),
    }


def _bucket(observed: Observed, scope: Scope) -> Facts:
    bucket = observed.get("bucket")
    settings = observed.get(ADOPTED_BUCKET) if scope.bucket_adopted else bucket
    blocked = settings.get("PublicAccessBlockConfiguration") or {}
    rules = (settings.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or [{}]
    algorithm = (rules[0].get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm")
    size = observed.get("metrics").get("bucket")
    is_known = bucket or not any(question.startswith("bucket") for question in observed.unknown)
    return {
        "name": scope.bucket,
        "exists": bool(bucket) if is_known else None,
        "public_access_blocked": (
            None if "bucket_public_access_block" in observed.unknown else len(blocked) == 4 and all(blocked.values())
        ),
        "versioning": settings.get("Versioning") == "Enabled",
        "encryption": str(algorithm or ""),
        "size_gib": round(size / _GIB, 1) if size is not None else None,
    }


def _certificate(observed: Observed, now: datetime) -> Facts:
    expires = observed.get("certificate").get("expires")
    return {"expires_at": _moment(expires), "days_left": (expires - now).days if expires else None}


def _drift(deployment: State, *, is_known: bool) -> Facts:
    """Return whether the deployment is as it was left. What could not be read is neither, nor what a verb works on."""
    known = is_known and bool(deployment.applied) and not deployment.answers.unknown
    changed = deployment.changed_by_hand
    return {
        "found": ("yes" if changed else "no") if known else "unknown",
        "resources": changed if known else [],
        "since": deployment.applied.time if known else None,
    }


def _cost(deployment: State, region: str) -> Facts:
    if not deployment.resources or deployment.answers.unknown:
        return cost.Cost(region, "", (), "the resources could not all be read").as_data()
    runs = deployment.answers.resources.get("database", {}).get("DBInstanceStatus") != "stopped"
    return cost.cost(cost.sizes_of(deployment.resources, instance_runs=runs), region).as_data()


def _moment(value: datetime | None) -> str | None:
    return value.isoformat(timespec="seconds") if value else None


def _state(found: Facts) -> str:
    service, database, deployment = found["service"], found["database"], found["deployment"]
    if not service["status"]:
        return "unknown" if "deployment_settings" in found["unknown"] else "absent"
    if service["status"] == "DRAINING":
        return "deleting"
    if deployment["status"] in deployments.IN_FLIGHT:
        return "deploying"
    if service["desired_tasks"] == 0:
        return "stopped"
    well = service["healthy"] and found["bucket"]["exists"] is not False
    well = well and database["status"] in ("available", "") and service["running_tasks"] == service["desired_tasks"]
    return "running" if well else "degraded"


def _problems(found: Facts) -> list[str]:
    """Return a sentence for each thing that needs attention."""
    if found["state"] in ("absent", "unknown"):
        return []
    cut_off = [
        f"The verb {one['verb']} was cut off at step {one['step']}. Run it again, which completes it."
        for one in found["verbs"]
        if one["ended"]
    ]
    return [*cut_off, *_service_problems(found), *_database_problems(found), *_other_problems(found)]


def _service_problems(found: Facts) -> list[str]:
    service, deployment = found["service"], found["deployment"]
    problems = []
    if service["healthy"] is False and service["desired_tasks"] != 0:
        problems.append(f"The server does not answer: {service['health_error']}")
    if service["desired_tasks"] and service["running_tasks"] != service["desired_tasks"]:
        problems.append(f"{service['running_tasks']} of {service['desired_tasks']} tasks are running.")
    if deployment["status"] in deployments.FAILED:
        reason = f": {deployment['status_reason']}" if deployment["status_reason"] else "."
        problems.append(f"The last deployment ended with {deployment['status']}{reason}")
    return problems


def _database_problems(found: Facts) -> list[str]:
    database = found["database"]
    problems = []
    is_left_stopped = found["state"] == "stopped" and not found["verbs"]
    if is_left_stopped and database["status"] in ("available", "starting"):
        problems.append(
            f"The database {database['identifier']} is {database['status']}, and costs, although the server is stopped:"
            " RDS starts an instance by itself after seven days. Stop it again with the playbook stop, or start both."
        )
    is_odd = found["state"] != "stopped" and database["status"] != "available"
    if is_odd and database["identifier"] and "database" not in found["unknown"]:
        problems.append(f"The database {database['identifier']} is {database['status'] or 'missing'}.")
    used, allocated = database["used_storage_gib"], database["allocated_storage_gib"]
    if used is not None and allocated and allocated - used < STORAGE_LEFT * allocated:
        problems.append(f"The database has used {used} of {allocated} GiB.")
    if database["backup_retention_days"] == 0:
        problems.append("The database has no automated backups.")
    return problems


def _other_problems(found: Facts) -> list[str]:
    bucket, certificate = found["bucket"], found["certificate"]
    problems = []
    if bucket["exists"] is False:
        problems.append(f"The bucket {bucket['name']} does not exist.")
    elif bucket["public_access_blocked"] is False:
        problems.append(f"The bucket {bucket['name']} does not block all public access.")
    if certificate["days_left"] is not None and certificate["days_left"] < CERTIFICATE_DAYS:
        problems.append(f"The certificate expires in {certificate['days_left']} days.")
    return problems


def lines(found: Facts) -> list[str]:
    """Return the facts as text, line by line."""
    name, state = found["name"], found["state"]
    if state == "absent":
        return [f"MLflow '{name}': not deployed in {found['region']}"]
    service, database, bucket, deployment = (found[key] for key in ("service", "database", "bucket", "deployment"))
    tasks = f"{_known(service['running_tasks'])} of {_known(service['desired_tasks'])} tasks running"
    health = f"answers in {service['latency_ms']} ms" if service["healthy"] else "does not answer"
    shown = [
        f"MLflow '{name}': {state}",
        f"URL:         {found['url'] or 'none yet'}",
        f"Server:      MLflow {service['version'] or 'of an unknown version'}, {health}, {tasks}",
        f"Deployment:  {deployment['status'] or 'unknown'}{_at(deployment['finished_at'] or deployment['created_at'])}",
        *(f"Verb:        {_verb_line(one)}" for one in found["verbs"]),
    ]
    if database["identifier"]:
        backups = f"restorable up to {_time(database['latest_restorable_time'])}"
        if database["latest_snapshot"]:
            backups += f", snapshot {database['latest_snapshot']}{_at(database['latest_snapshot_time'])}"
        shown += [
            f"Database:    {database['status'] or 'unknown'}, PostgreSQL {database['engine_version']} on"
            f" {database['instance_class']}{', Multi-AZ' if database['multi_az'] else ''},"
            f" {_known(database['used_storage_gib'])} of {_known(database['allocated_storage_gib'])} GiB used",
            f"Backups:     {backups}",
        ]
    exists = {True: "exists", False: "missing", None: "unknown"}[bucket["exists"]]
    size = "" if bucket["size_gib"] is None else f", {bucket['size_gib']} GiB"
    shown.append(f"Bucket:      {bucket['name']}, {exists}{size}")
    shown.append(f"Certificate: valid until {_time(found['certificate']['expires_at'])}")
    shown += [f"Drift:       {_drift_line(found)}", f"Cost:        {_cost_line(found['cost'])}"]
    shown += [f"Not known:   {question}: {reason}" for question, reason in sorted(found["unknown"].items())]
    shown += [f"Problem:     {sentence}" for sentence in found["problems"]]
    return shown


def _verb_line(verb: Facts) -> str:
    ended = "was cut off" if verb["ended"] else "has not ended yet"
    return f"{verb['verb']} {ended}: at step {verb['step']}, begun at {_time(verb['since'])} by {verb['caller'] or '?'}"


def _drift_line(found: Facts) -> str:
    drift = found["drift"]
    if found["verbs"]:
        return f"unknown until the verb {found['verbs'][0]['verb']} is completed"
    if drift["found"] == "yes":
        return f"yes, since {_time(drift['since'])} somebody has changed {', '.join(drift['resources'])}"
    if drift["found"] == "no":
        return f"no, as it was left at {_time(drift['since'])}"
    return "unknown, as there is no record of the last deployment, or not everything could be read"


def _cost_line(found: Facts) -> str:
    if found["monthly_usd"] is None:
        return f"unknown, as {found['unknown']}"
    amount = cost.show_amount(found["monthly_usd"])
    return f"{amount} a month, plus usage (list prices of {found['region']}, {found['as_of']})"


def _known(value: typing.Any) -> str:
    return "?" if value is None else str(value)


def _time(moment: str | None) -> str:
    """Return a time to the minute, in UTC, as AWS gives it."""
    return f"{moment[:10]} {moment[11:16]} UTC" if moment else "?"


def _at(moment: str | None) -> str:
    return f" at {_time(moment)}" if moment else ""
