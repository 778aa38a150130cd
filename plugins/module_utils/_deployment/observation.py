# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Observes a deployment: reads it, and compares it with the record of what was applied last."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import state
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import late
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Inputs
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope


def observe(clients: Clients, scope: Scope, inputs: Inputs, *, if_recorded: bool = False) -> state.State:
    """Return a deployment as it is, beside the record.

    Args:
        clients: returns the client of a service.
        scope: what belongs to the deployment.
        inputs: of this run.
        if_recorded: whether to read the service alone, where its tags show that everything must be converged anyway.
    """
    service, successful = None, ""
    if if_recorded:
        answers = resources.read_service(clients("ecs"), scope)
        found = state.compare(answers, inputs)
        if found.differs_by_record:
            return found
        service, successful = answers.resources["service"], found.applied.deployment
    return compare(clients, scope, inputs, resources.read(clients, scope, service, successful))


def compare(clients: Clients, scope: Scope, inputs: Inputs, answers: Answers) -> state.State:
    """Compare what was read with the record.

    What a search or a list has found is believed only where it is as in the record: AWS may find what is new minutes
    later.
    """
    unasked = scope.unwatched
    found = state.compare(answers, inputs, unasked)
    names = late(scope)
    doubtful = names if not found.applied else names & set(found.changed_by_hand)
    if not doubtful:
        return found
    return state.compare(resources.read_exactly(clients, scope, answers, doubtful), inputs, unasked)


def observe_exactly(clients: Clients, scope: Scope, inputs: Inputs) -> state.State:
    """Return a deployment as it is to be recorded: exactly as it is now."""
    answers = resources.read(clients, scope)
    return state.compare(resources.read_exactly(clients, scope, answers, late(scope)), inputs)
