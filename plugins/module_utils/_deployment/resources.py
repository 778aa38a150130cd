# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Reads concurrently every resource of a deployment."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_message
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import secrets
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import FOUND_TAGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import describe_service
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import exact_questions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.questions import questions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answer
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Question
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope

#: botocore keeps ten connections for each client; no service gets more requests at the same time.
MAX_WORKERS = 16


class Requests:
    """Questions that are being asked at the same time.

    Args:
        pool: asks them.
        clients: called in this thread only, as boto3's sessions are not thread-safe.
        asked: the questions.
    """

    def __init__(self, pool: ThreadPoolExecutor, clients: Clients, asked: Iterable[Question]) -> None:
        given = [(question, [clients(service, question.region) for service in question.services]) for question in asked]
        self._pending = [(question.name, pool.submit(_ask, question, those)) for question, those in given]

    def wait(self, name: str) -> Resources:
        """Return what the answer to one question tells."""
        return next(pending.result()[0] for asked, pending in self._pending if asked == name)

    def answers(self) -> Answers:
        """Return all answers."""
        answers = Answers()
        for question, pending in self._pending:
            found, reason = pending.result()
            if reason:
                answers.unknown[question] = reason
            for name, attributes in found.items():
                answers.resources.setdefault(name, {}).update(attributes)
        for name, tags in answers.resources.pop(FOUND_TAGS, {}).items():
            if name in answers.resources:
                answers.resources[name]["Tags"] = tags
        return answers


def read(clients: Clients, scope: Scope, service: Answer | None = None, successful: str = "") -> Answers:
    """Ask AWS for everything at the same time.

    A request that is throttled is repeated by the client. One that fails, for example because the caller lacks a
    permission, is noted, and stops none of the others.

    Args:
        clients: returns the client of a service.
        scope: what to read.
        service: as ECS has described it already; None to ask for it.
        successful: see questions().

    Returns:
        the answers. Secrets, and tags that AWS tells apart from their resources, are those that a list and a search
        have found, which may be minutes old: see read_exactly().
    """
    with ThreadPoolExecutor(MAX_WORKERS) as pool:
        return Requests(pool, clients, questions(scope, service, successful)).answers()


def read_exactly(clients: Clients, scope: Scope, answers: Answers, names: Collection[str]) -> Answers:
    """Return the answers with these resources as they are now, where read() may tell what is minutes old.

    Args:
        clients: see read().
        scope: what was read.
        answers: of read().
        names: of resources; all others are left as they are.
    """
    with ThreadPoolExecutor(MAX_WORKERS) as pool:
        found = Requests(pool, clients, exact_questions(scope, set(names) & answers.resources.keys())).answers()
    own = secrets.resources(scope)
    known = {
        name: exact if name in own else {**answers.resources[name], **exact} for name, exact in found.resources.items()
    }
    return Answers({**answers.resources, **known}, {**answers.unknown, **found.unknown})


def read_service(ecs: Client, scope: Scope) -> Answers:
    """Ask for the service alone, whose tags hold the record."""
    found, reason = _ask(Question("service", ("ecs",), lambda ecs: {"service": describe_service(ecs, scope)}), [ecs])
    return Answers(found, {"service": reason} if reason else {})


def _ask(question: Question, clients: list[Client]) -> tuple[Resources, str]:
    try:
        return question.ask(*clients), ""
    except (AnsibleAWSError, BotoCoreError, ClientError) as e:
        if is_missing(e):
            return {}, ""
        return {}, error_message(e) or str(e)
    except (LookupError, TypeError, ValueError) as e:
        # What is read is advisory: no deployment fails because of it.
        return {}, f"the answer is not understood ({type(e).__name__}: {e})"
