# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb rollback: back to the copy that an upgrade has made, and to its image, after users have written since.

It loses what they wrote, so it is confirmed, and the database that it replaces is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Commands
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Course
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import listed
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.note import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.note import Note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb

_TASK = ExpectedDuration(1, 5, fixed=30)


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        version: of MLflow that runs, where its image does not say so.
        confirm: whether to do it; else only what would be lost is said.
        remove: name of a database that was kept, to drop it instead.
        commands: what messages name.
    """

    version: str
    confirm: bool
    remove: str
    commands: Commands


class _Course(Course):
    """A rollback that is under way: its way back is that of the copies' names."""

    @property
    def names(self) -> Names:
        """What the things of the upgrade are called that is taken back."""
        return Names(self._tools.deployment.name, self._tools.place.database, self.note.from_version, self.note.stamp)

    def go_back(self) -> None:
        """Put the new tables into their place again, and keep the copy as it was."""
        one, names = self.note, self.names
        facts = {
            "stamp": one.stamp,
            "version": one.to_version,
            "image": one.to_image,
            "revision": one.to_revision,
            "to": one.from_version,
        }
        self.exchange_back(names.replaced, names.copy, "of before the upgrade", facts=facts)


class Rollback:
    """One run of the verb.

    Args:
        tools: what the steps work with.
        request: what is asked for.
        wall: the time of day.

    Attributes:
        lost: how many runs, traces and model versions there are that the copy does not have.
        databases: what was kept by upgrades and rollbacks, with its size in bytes.
    """

    def __init__(
        self, tools: Tools, request: Request, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._tools = tools
        self._request = request
        self._course = _Course(tools, Note("", "", "", note.new_stamp(wall()), verb=note.ROLLBACK))
        self._is_begun = False
        self.lost: dict[str, int] = {}
        self.databases: dict[str, int] = {}

    @property
    def note(self) -> Note:
        """From where to where it goes."""
        return self._course.note

    @property
    def names(self) -> Names:
        """What its things are called."""
        return self._course.names

    # ---- preflight

    def preflight(self) -> None:
        """Read all that the steps need, and change nothing.

        Raises:
            UserError: the deployment cannot go back as it is.
        """
        service = target.describe(self._tools.clients, self._tools.deployment)
        begun = note.note_of(target.tags(service))
        if begun and begun.verb != note.ROLLBACK:
            raise UserError(
                f"The upgrade of '{self._tools.deployment.name}' to {begun.to_version} was cut off ({begun.state})."
                f" Complete it first, with {self._request.commands.upgrade}{begun.to_version}. Nothing was"
                " changed."
            )
        if begun and service:
            if not self._request.confirm:
                raise UserError(
                    f"A rollback of '{self._tools.deployment.name}' to {begun.goal} was cut off ({begun.state})."
                    f" Complete it first, with {self._request.commands.confirm}. Nothing was"
                    " changed."
                )
            self._course.service, self._course.note, self._is_begun = service, begun, True
            return
        self._course.service = target.require(self._tools.clients, self._tools.deployment)
        if stopped := markers.stopped(target.tags(self._course.service)):
            raise UserError(f"{stopped.explain(self._tools.deployment.name)} Nothing was changed.")
        image = str((target.configuration(self._course.service).get("primary_container") or {}).get("image") or "")
        running = note.version_of_image(image) or self._request.version
        self._course.note = replace(
            self._course.note,
            from_version=running,
            from_image=image,
            from_revision=target.revision(self._course.service),
        )

    # ---- the verb

    def verb(self) -> Verb:
        """Return the verb with its steps."""
        steps = [Step("Look at the databases in a task of the server's image", self._examine, duration=_TASK)]
        if self._request.remove:
            steps.append(Step(f"Drop the database {self._request.remove}, for good", self._remove, duration=_TASK))
        elif self._request.confirm:
            steps = [*self._former_steps(), *steps, *self._steps()]
        again, course = self._request.commands.confirm, self._course
        name = self._tools.deployment.name
        return Verb("rollback", name, steps, course.serving, course.say_kept, again, refresh=course.require_unchanged)

    def _former_steps(self) -> list[Step]:
        if self._course.note.state not in (note.GOING_BACK, note.BACK):
            return []
        title = "Undo what is left of a rollback that failed"
        return [Step(title, self._complete_way_back, duration=ExpectedDuration(2, 15, fixed=90), downtime=True)]

    def _steps(self) -> list[Step]:
        names, course = self.names, self._course
        return [
            Step(
                "Scale the server to zero tasks",
                self._put_fence_up,
                course.serve_again,
                duration=ExpectedDuration(1, 10, fixed=40),
                downtime=True,
            ),
            Step(
                f"Keep the database as {names.replaced}, and put {names.copy} into its place",
                self._exchange,
                course.go_back,
                duration=_TASK,
                downtime=True,
                cost="the storage of what is kept, until you remove it",
            ),
            Step(
                "Give the server the image of before, with its command and environment, while it has no task",
                self._change_image,
                course.change_image_back,
                duration=ExpectedDuration(1, 10, fixed=30),
                downtime=True,
            ),
            Step(
                "Scale the server back, and wait until it answers",
                self._serve,
                course.serve_no_more,
                duration=ExpectedDuration(1, 12, fixed=60),
                downtime=True,
            ),
            Step("Note that it is done", lambda: course.forget(markers.STOPPED_KEY)),
        ]

    # ---- steps

    def _examine(self) -> None:
        if self._is_begun:
            return
        copy = self.names.copy
        found = self._course.run("compare", self.note.from_image, copy=copy)
        database = self._tools.place.database
        self.databases = {
            name: int(one["size_bytes"]) for name, one in found["databases"].items() if note.is_kept(name, database)
        }
        if self._request.remove:
            return
        facts = (found["databases"].get(copy) or {}).get("facts") or {}
        if not facts:
            raise UserError(
                f"There is no copy {copy} of the database before MLflow {self.note.from_version}, so there is no way"
                f" back to it. {self._list_kept()}{self._list_completed()} To go back to a backup, run the playbook"
                " restore."
            )
        self.lost = found["lost"]
        self._course.note = replace(
            self.note,
            to_version=str(facts.get("version") or ""),
            to_image=str(facts["image"]),
            to_revision=str(facts.get("revision") or ""),
        )

    def _list_kept(self) -> str:
        return f"There is {', '.join(self.databases)}." if self.databases else "No other database was kept."

    def _list_completed(self) -> str:
        replaced = [name for name in self.databases if note.is_replaced(name, self._tools.place.database)]
        return f" The rollback that has kept {max(replaced)} is complete." if replaced else ""

    def _remove(self) -> None:
        if self._request.remove not in self.databases:
            raise UserError(
                f"{self._request.remove} is no database that an upgrade or a rollback has"
                f" kept. {self._list_kept()} Nothing was removed."
            )
        self._course.run("drop", self.note.from_image, copy=self._request.remove)
        del self.databases[self._request.remove]

    def _put_fence_up(self) -> None:
        if self.note.state == note.SERVING:
            return
        if not self._is_begun:
            self._course.write(note.FENCED)
        self._course.fence.put_up()

    def _exchange(self) -> None:
        if self.note.state == note.SERVING:
            return
        self._course.write(note.MIGRATING)
        names = self.names
        self._course.run("go_back", self.note.from_image, copy=names.copy, aside=names.replaced)
        self._course.kept.append(f"the database {names.replaced}, as it was until now")

    def _change_image(self) -> None:
        if self.note.state != note.SERVING:
            self._course.give_former(self.note.to_image, self.note.to_revision)

    def _serve(self) -> None:
        self._course.write(note.SERVING)
        self._course.fence.scale_back()
        self._tools.wait_for_server(self._course.service)

    def _complete_way_back(self) -> None:
        self._course.complete_way_back()
        self._is_begun = False
        self._course.note = replace(self.note, to_version="", to_image="", to_revision="", state=note.FENCED)

    # ---- what it says

    def lines(self) -> list[str]:
        """Return what was done, or would be lost, for people."""
        name, lost = self._tools.deployment.name, listed(self.lost) or "nothing"
        if self._request.remove:
            return [f"The database {self._request.remove} is dropped.", *self._kept_lines()]
        if self._request.confirm:
            return [
                f"'{name}' is back at {self.note.goal}, as it was before the upgrade to {self.note.source}. Ask for"
                f" {self.note.to_version or 'that image'} from now on, so that no deployment upgrades it again.",
                f"Lost:      {lost}, which {self.names.replaced} still has",
                f"Remove it: {self._request.commands.remove}{self.names.replaced}",
            ]
        return [
            f"A rollback of '{name}' from {self.note.source} to {self.note.goal} would lose {lost}, written since the"
            " upgrade. Nothing was changed.",
            f"Do it:     {self._request.commands.confirm}",
            *self._kept_lines(),
        ]

    def _kept_lines(self) -> list[str]:
        return [
            f"Kept:      {name}, {size / 2**20:.0f} MiB. Remove it: {self._request.commands.remove}{name}"
            for name, size in sorted(self.databases.items())
        ]
