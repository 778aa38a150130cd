# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: explain why a deployment failed or stalls, and what to do about it. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import remedies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.causes import CAUSES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.causes import PROVISIONING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.causes import STUCK
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Evidence


def as_dict(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence and the diagnosis as return values of a module."""
    cause, remedy = likely_cause(evidence)
    return {
        "says": evidence.status_reasons,
        "events": evidence.events,
        "resources": evidence.resources,
        "tasks": evidence.tasks,
        "targets": evidence.targets,
        "log": evidence.log,
        "log_source": evidence.log_source,
        "notes": evidence.notes,
        "likely_cause": cause,
        "remedy": remedy,
    }


def likely_cause(evidence: Evidence) -> tuple[str, str]:
    """Return cause and remedy, each a clause without full stop; two empty strings if no known cause matches."""
    said, written = evidence.aws_text(), evidence.log_text()
    failure = remedies.Failure(evidence.settings, said, written, evidence.option_names)
    entry = next((entry for entry in CAUSES if entry.matches(said, written)), None)
    if evidence.stuck and entry in (None, PROVISIONING):
        return STUCK, remedies.new_service(failure)
    return (entry.cause, remedies.remedy_for(entry.remedy, failure)) if entry else ("", "")


def render(evidence: Evidence) -> str:
    """Return the explanation as lines: what ECS says, what failed, the end of the log, likely cause and remedy."""
    lines = [f"ECS says: {line}" for line in evidence.status_reasons]
    lines += [f"Event: {line}" for line in evidence.events]
    lines += [f"Resource: {line}" for line in evidence.resources]
    lines += [f"Task: {line}" for line in evidence.tasks]
    lines += [f"Health: {line}" for line in evidence.targets]
    if evidence.log:
        lines.append(f"Last lines of the log ({evidence.log_source}):")
        lines += [f"  {line}" for line in evidence.log]
    lines += [f"Note: {line}" for line in evidence.notes]
    cause, remedy = likely_cause(evidence)
    if cause:
        lines.append(f"Likely cause: {cause}.")
        lines.append(f"Remedy: {remedy}.")
    return "\n".join(lines)
