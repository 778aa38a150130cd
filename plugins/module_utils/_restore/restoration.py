# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb restore: its steps, for a deployment whose service is there.

The copy is made beside the live instance, and proven; only then does the server stop, and do the two change names. How
far a restore has come is a tag of the copy, so that a run that was cut off is gone on with: see copies.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from functools import partial

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Deleted
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Copy
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Family
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Origin
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.exchange import Exchange
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.fence import Fence
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.instances import settings_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.proof import Proof
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import refuse_replicas
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import require_live
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.version_change import VersionChange
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb

VERB = "restore"
_RENAMING = ExpectedDuration(5, 15, fixed=20)


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        source: what is restored.
        instance: identifier of the live RDS instance.
        accept: whether what a check finds is accepted.
        leave_replicas: whether read replicas may stay with the instance that is replaced.
        artifacts: whether artifacts that were deleted since are brought back.
        hints: how the user sets what messages ask for.
    """

    source: Source
    instance: str
    accept: bool
    artifacts: bool
    hints: Hints
    leave_replicas: bool = False

    @property
    def command(self) -> str:
        """The command that asks for it."""
        chosen = {"accept": self.accept, "artifacts": self.artifacts, "leave_replicas": self.leave_replicas}
        given = [self.hints.set(name, "true") for name, is_set in chosen.items() if is_set]
        return " ".join([self.hints.command(self.source.kind, self.source.value), *given])


class Restoration:
    """One run of the verb.

    Args:
        tools: what the steps work with.
        request: what is asked for.
        wall: the time of day.

    Attributes:
        proof: what was found in the restored database.
    """

    def __init__(
        self, tools: Tools, request: Request, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._tools = tools
        self._request = request
        self._wall = wall
        self._fence = Fence(tools.clients, tools.deployment, tools.wait_options, VERB)
        self._family = Family()
        self._exchange = Exchange(tools, request.instance, Copy(request.source, copies.new_stamp(wall())))
        self._origin = Origin()
        self._service: Document = {}
        self._deleted: list[Deleted] = []
        self._is_resumed = False
        self.proof = Proof(tools, "" if request.accept else request.hints.command("accept", "true"))

    @property
    def names(self) -> Names:
        return self._exchange.names

    # ---- preflight

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            resume: whether a run that was cut off is completed, which may have left the service changing.

        Raises:
            UserError: the deployment cannot be restored as it is, or there is nothing to restore.
        """
        if len(self._request.instance) > copies.LONGEST_NAME:
            raise UserError(
                f"The name of the RDS instance {self._request.instance} has more than {copies.LONGEST_NAME} characters:"
                " that of a copy would be longer than RDS allows."
            )
        self._family = self._tools.instances.family()
        source = self._request.source
        live = copies.copy_of(self._family.live or {})
        is_done = live is not None and live.source == source and live.state == copies.DONE
        if live and is_done:
            self._go_on(live)
            if not self._request.artifacts:
                return False
        else:
            self._find_unfinished(live)
        if self._exchange.copy.state in (copies.MAKING, copies.COPIED):
            # Later it may have another name.
            self._tools.require_replaceable(self._family.live, self._request.instance)
            if not self._request.leave_replicas:
                again = f"{self._request.command} {self._request.hints.set('leave_replicas', 'true')}"
                refuse_replicas(self._family.live, again)
        self._origin = self._tools.find_origin(
            source, self._family, is_begun=self._exchange.copy.state != copies.MAKING
        )
        if self._request.artifacts:
            self._deleted = self._tools.find_deleted(self._origin)
        self._is_resumed = resume
        self._service = self._find_server()
        return not is_done or bool(self._deleted)

    def _find_server(self) -> Document:
        """Return the service, which a restore that was cut off may have left changing."""
        is_fenced = self._exchange.copy.state in copies.FENCED
        return self._tools.find_server(changing=self._is_resumed or is_fenced, may_be_stopped=is_fenced)

    def _find_unfinished(self, live: Copy | None) -> None:
        """Go on with a restore that was cut off.

        Raises:
            UserError: it was one from another source, and must be completed first.
        """
        kept = [one for one in self._family.copies if one["DBInstanceStatus"] != "deleting"]
        begun = [found for one in kept if (found := copies.copy_of(one))]
        if live and live.state not in (copies.DONE, copies.MAKING):
            begun.append(live)
        for one in begun:
            if one.source == self._request.source:
                self._go_on(one)
            elif one.state in copies.FENCED:
                raise UserError(f"{copies.complete_first(one.source, self._request.hints)} Nothing was changed.")

    def _go_on(self, begun: Copy) -> None:
        self._exchange = Exchange(self._tools, self._request.instance, begun)

    def _container(self) -> Document:
        return dict(target.configuration(self._service).get("primary_container") or {})

    # ---- the verb

    def verb(self) -> Verb:
        """Return the verb with its steps."""
        last = [
            Step("Count the rows behind the server", self._check_live, duration=ExpectedDuration(1, 10, fixed=20)),
            Step("Note that it is done", self._finish),
        ]
        # A run that was cut off at the very end has no more to do.
        is_served = self._exchange.copy.state in (copies.SERVED, copies.DONE)
        steps = [*self._artifact_steps(), *last] if is_served else [*self._steps(), *last]
        name, say = self._tools.deployment.name, (self._serving, self._kept)
        return Verb(VERB, name, steps, *say, self._request.command, refresh=self._refresh)

    def _refresh(self) -> bool:
        """Return whether there is anything left to do, now that nobody else changes it.

        Raises:
            UserError: the instances are others than the steps were made for.
        """
        family = self._tools.instances.family()
        live = copies.copy_of(family.live or {})
        if live and live.source == self._request.source and live.state == copies.DONE:
            return bool(self._deleted)
        if family.resources != self._family.resources:
            raise UserError("The instances of the deployment have changed since this run looked. Run it again.")
        # A deployment may have begun before it could see the lock.
        self._find_server()
        return True

    def _steps(self) -> list[Step]:
        cost = self._tools.daily_cost(self._family.live or {})
        names, source = self.names, self._request.source
        return [
            *self._clean_up_steps(),
            Step(
                f"Restore {source} as {names.copy}, beside {names.instance}",
                self._make_copy,
                self._delete_copy,
                duration=ExpectedDuration(5, 40, fixed=30),
                cost=f"the copy, {cost} as long as there are two instances",
            ),
            Step(
                "Check the copy in a task of the server's image: revisions, rows, and whether its keys decrypt",
                self._check_copy,
                duration=ExpectedDuration(1, 10, fixed=20),
                cost="a task for minutes, less than a cent",
            ),
            *self._artifact_steps(),
            Step(
                "Scale the server to zero tasks",
                self._put_fence_up,
                self._take_fence_down,
                duration=ExpectedDuration(1, 10, fixed=40),
                downtime=True,
            ),
            Step(
                f"Take the final snapshot {names.replaced} of {names.instance}",
                self._exchange.take_snapshot,
                duration=ExpectedDuration(2, 15, fixed=10),
                downtime=True,
                cost="the snapshot's storage, until you delete it",
            ),
            Step(
                f"Rename {names.instance} to {names.replaced}",
                self._exchange.rename_live,
                self._exchange.rename_live_back,
                duration=_RENAMING,
                downtime=True,
            ),
            Step(
                f"Rename {names.copy} to {names.instance}",
                self._exchange.rename_copy,
                self._exchange.rename_copy_back,
                duration=_RENAMING,
                downtime=True,
            ),
            *self._version_steps(),
            Step(
                "Scale the server back, and wait until it answers",
                self._serve,
                self._serve_no_more,
                duration=ExpectedDuration(1, 12, fixed=60),
                downtime=True,
            ),
        ]

    def _clean_up_steps(self) -> list[Step]:
        there = [one for one in self._family.copies if one["DBInstanceStatus"] != "deleting"]
        names = [name for one in there if (name := str(one["DBInstanceIdentifier"])) != self.names.copy]
        delete = partial(self._exchange.delete_copy, now=self._wall())
        return [Step(f"Delete {name}, which another restore has left", partial(delete, name)) for name in names]

    def _artifact_steps(self) -> list[Step]:
        """Bring artifacts back while the live server does not need them, so that there is nothing to undo."""
        if not self._deleted:
            return []
        title = f"Bring deleted artifacts back from their versions: {len(self._deleted)}"
        # One or two calls for each.
        return [Step(title, self._bring_back, duration=ExpectedDuration(fixed=5 + len(self._deleted) / 10))]

    def _version_steps(self) -> list[Step]:
        change = VersionChange(
            self._tools,
            self._fence,
            self._exchange,
            self._origin,
            live=self._family.live,
            service=self._service,
            notes=self.proof.notes,
        )
        return change.steps()

    # ---- steps

    def _make_copy(self) -> None:
        if self._exchange.copy.state != copies.MAKING:
            return
        instances, name = self._tools.instances, self.names.copy
        live = require_live(instances.find(self.names.instance), self.names.instance)
        settings = settings_of(live)
        tags: Tags = {**tags_from_aws(live.get("TagList") or []), **self._exchange.copy.tags()}
        tags.pop(copies.REPLACED_KEY, None)
        instances.restore(self._request.source, self._origin, name, settings, tags)
        instances.complete(name, settings, self._tools.logins.master_secret(self._service))
        self._tools.logins.align(self._service, name)
        self._exchange.note(name, copies.COPIED)

    def _check_copy(self) -> None:
        if self._exchange.copy.state != copies.COPIED:
            return
        has_manifest = self._request.source.kind == copies.BACKUP
        live = None if has_manifest else self._tools.instances.find(self.names.instance)
        self.proof.copy(self._service, self.names.copy, self._exchange.copy.stamp, self._origin, live)

    def _bring_back(self) -> None:
        number = self._tools.artifacts.bring_back(self._deleted)
        self.proof.notes.append(f"Artifacts that had been deleted and were brought back: {number}.")

    def _put_fence_up(self) -> None:
        if self._exchange.copy.state in (copies.COPIED, copies.FENCING) and not self._fence.is_up():
            # One that a run has left which let users in again.
            self._exchange.delete_snapshot()
        if self._exchange.copy.state == copies.COPIED:
            image, revision = str(self._container().get("image") or ""), target.revision(self._service)
            self._exchange.note(self.names.copy, copies.FENCING, image, revision=revision)
        self._fence.put_up()

    def _take_fence_down(self) -> None:
        self._fence.take_down()
        if self._tools.instances.find(self.names.copy):
            self._exchange.note(self.names.copy, copies.COPIED)
        # Last: users must not wait for it.
        self._exchange.delete_snapshot()

    def _serve(self) -> None:
        self._exchange.note(self.names.instance, copies.SWAPPED, was_served=True)
        self._fence.scale_back()
        self._tools.wait_for_server(self._service)

    def _serve_no_more(self) -> None:
        # Another run that goes on must bring the server back.
        self._exchange.note(self.names.instance, copies.SWAPPED)
        self._fence.scale_to_zero()

    def _check_live(self) -> None:
        service = target.describe(self._tools.clients, self._tools.deployment) or self._service
        self.proof.live(service, self.names.instance, self._exchange.copy.stamp, self._origin)

    def _finish(self) -> None:
        name = self.names.instance
        self._exchange.note(name, copies.SERVED)
        self._fence.forget()
        self._exchange.note(name, copies.DONE)

    # ---- what they need

    def _delete_copy(self) -> None:
        # Half deleted it has lost settings, and another run completes it.
        if self._tools.instances.find(self.names.copy):
            self._exchange.note(self.names.copy, copies.MAKING)
        self._exchange.delete_copy(self.names.copy, self._wall())

    def _serving(self) -> str:
        number = len(self._fence.tasks())
        live = self._tools.instances.find(self.names.instance)
        database = f"is {live['DBInstanceStatus']}" if live else "is missing"
        which = ", the restored one" if live and self._exchange.is_copy(live) else ", the one of before"
        return f"Tasks of the server that run: {number}. The RDS instance {self.names.instance} {database}{which}."

    def _kept(self) -> str:
        family = self._tools.instances.family()
        there = [str(one["DBInstanceIdentifier"]) for one in [*family.copies, *family.replaced]]
        said = report.served(self._exchange.served, self._request.hints)
        said += [f"Besides it there is {' and '.join(there)}."] if there else []
        return " ".join(said) or "No data was touched."
