# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb upgrade: its steps.

The tables are changed while no task of the server runs, and proven in a task of the new image before anybody is let in.
Until then the way back is an exchange of two databases' names. How far an upgrade has come is a tag of the service, so
that a run that was cut off is gone on with, see note.py.

The order is that of opendatahub-io/mlflow-operator (internal/controller/migration.go), with a snapshot, a copy and a
way back besides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import PASSWORD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import snapshot
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import checks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import container
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import Described
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Commands
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Course
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Tools
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
        version: of MLflow, to which to upgrade.
        image: that holds it.
        instance: identifier of the RDS instance; empty for a database of the user's own.
        commands: what messages name.
        described: command, environment and secrets that go with the image, by the user's variables.
    """

    version: str
    image: str
    instance: str
    commands: Commands
    described: Described = field(default_factory=Described)


class Upgrade:
    """One run of the verb.

    Args:
        tools: what the steps work with.
        request: what is asked for.
        is_asked_for: whether the user asked for an upgrade, even where the running version is not known.
        wall: the time of day.
    """

    def __init__(
        self,
        tools: Tools,
        request: Request,
        is_asked_for: bool = True,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tools = tools
        self._request = request
        self._is_asked_for = is_asked_for
        self._wall = wall
        self._course = Course(tools, Note(request.version, "", "", note.new_stamp(wall())))
        self._is_begun = self._is_done = False
        self.before: Document = {}
        self.found: Document = {}
        self.digests: dict[str, str] = {}

    @property
    def names(self) -> Names:
        return self._course.names

    @property
    def running(self) -> str:
        """The version that the upgrade goes from; empty if it is not known."""
        return self._course.note.from_version

    @property
    def source(self) -> str:
        """What the upgrade goes from, in words."""
        return self._course.note.source

    @property
    def version(self) -> str:
        """The version that the upgrade goes to."""
        return self._request.version

    def describe_running(self) -> Document:
        """Return the server that runs, in the module's format."""
        # One that an upgrade was cut off at need not answer.
        url = "" if self._is_begun or self._is_done else self._course.url
        return container.describe(self._container(), self.running, url, self._tools.place)

    @property
    def kept(self) -> list[str]:
        """What is kept of before, in words."""
        return self._course.kept

    # ---- preflight

    def preflight(self) -> str:
        """Read all that the steps need; return what the wanted version is, compared with the present one.

        Raises:
            UserError: the deployment cannot be upgraded as it is.
        """
        self._course.service = target.describe(self._tools.clients, self._tools.deployment) or {}
        begun = note.note_of(target.tags(self._course.service))
        if begun is None:
            return self._begin()
        if begun.verb != note.UPGRADE or begun.to_version != self._request.version:
            command = f"{self._request.commands.upgrade}{begun.to_version}"
            if begun.verb != note.UPGRADE:
                command = self._request.commands.confirm
            raise UserError(
                f"The {begun.verb} of '{self._tools.deployment.name}' to {begun.goal} was cut off"
                f" ({begun.state}). Complete it first, with {command}. Nothing was changed."
            )
        self._course.note, self._is_begun = begun, True
        return note.NEWER

    def _begin(self) -> str:
        """Compare the versions, and look at what an upgrade needs where there is to be one."""
        image = str(self._container().get("image") or "")
        if self._course.service and image == self._request.image:
            # A run that was cut off at its very end has left its lock.
            self._is_done = any(one.verb == "upgrade" for one in markers.locks(target.tags(self._course.service)))
            return note.NEWER if self._is_done else note.SAME
        running = note.version_of_image(image)
        revision = target.revision(self._course.service)
        self._course.note = Note(self._request.version, running, image, self._course.note.stamp, from_revision=revision)
        found = note.compare(running, self._request.version)
        if found == note.OLDER:
            raise UserError(
                checks.refuse_downgrade(
                    self._tools.deployment.name, running, self._request.version, self._request.commands.back
                )
            )
        if found == note.NEWER or self._is_asked_for:
            self._check_what_is_there()
        return found

    def _check_what_is_there(self) -> None:
        name = self._tools.deployment.name
        self._course.service = target.require(self._tools.clients, self._tools.deployment)
        if stopped := markers.stopped(target.tags(self._course.service)):
            raise UserError(f"{stopped.explain(name)} Nothing was changed.")
        if problem := self.names.problem():
            raise UserError(f"'{name}' cannot be upgraded: {problem}. Nothing was changed.")
        if PASSWORD not in self._container().get("secrets", {}):
            raise UserError(
                f"The service '{name}' has no secret {PASSWORD}, so it was not deployed by this collection: there is"
                " no login to the database for the upgrade."
            )
        if self._request.instance:
            status = str(self._instance()["DBInstanceStatus"])
            if status not in wait.READY:
                raise UserError(
                    f"The RDS instance {self._request.instance} is {status}, and must be available: nothing was"
                    " changed."
                )
        self._wanted()
        self._tools.require_reachable(self._course.service)

    def _wanted(self) -> Document:
        """Return the container that the server is to have.

        Raises:
            UserError: it cannot be told from the variables.
        """
        try:
            return container.upgraded(self._container(), self._request.image, self._request.described)
        except ValueError as e:
            name = self._tools.deployment.name
            raise UserError(checks.refuse_container(name, self.running, self._request.version, str(e))) from e

    def _instance(self) -> Document:
        found = describe.find(self._tools.clients("rds"), self._request.instance)
        if found is None:
            raise UserError(
                f"There is no RDS instance {self._request.instance}: check its name and AWS_REGION, or name the host if"
                " the database is your own."
            )
        return found

    def _container(self) -> Document:
        return dict(target.configuration(self._course.service).get("primary_container") or {})

    # ---- the verb

    def verb(self) -> Verb:
        """Return the verb with its steps."""
        last = Step("Note that it is done", self._finish)
        again = f"{self._request.commands.upgrade}{self._request.version}"
        steps = [last] if self._is_done else [*self._steps(), last]
        course, name = self._course, self._tools.deployment.name
        return Verb("upgrade", name, steps, course.serving, course.say_kept, again, refresh=course.require_unchanged)

    def _steps(self) -> list[Step]:
        names, version = self.names, self._request.version
        return [
            *self._former_steps(),
            Step(
                f"Check the quota of snapshots, and by a task of MLflow {version} image, login, revisions, free space",
                self._examine,
                duration=_TASK,
                cost="tasks for minutes, less than a cent",
            ),
            Step(
                "Scale the server to zero tasks",
                self._put_fence_up,
                self._course.serve_again,
                duration=ExpectedDuration(1, 10, fixed=40),
                downtime=True,
            ),
            *self._snapshot_steps(),
            Step(
                f"Copy the database to {names.copy}, inside the same instance",
                self._copy,
                self._course.undo_copy,
                duration=_TASK,
                downtime=True,
                cost="the copy's storage, until you remove it",
            ),
            Step(
                f"Migrate the tables in a task of MLflow {version}; check revisions, rows, registry, traces, artifacts",
                self._migrate,
                self._course.go_back,
                duration=ExpectedDuration(1, 30, fixed=40),
                downtime=True,
            ),
            Step(
                f"Give the server the image {self._request.image}, and the command that it needs, while it has no task",
                self._change_image,
                self._course.change_image_back,
                duration=ExpectedDuration(1, 10, fixed=30),
                downtime=True,
            ),
            Step(
                "Scale the server back, and wait until it answers",
                self._serve,
                self._course.serve_no_more,
                duration=ExpectedDuration(1, 12, fixed=60),
                downtime=True,
            ),
        ]

    def _former_steps(self) -> list[Step]:
        if self._course.note.state not in (note.GOING_BACK, note.BACK):
            return []
        title = f"Complete the way back to {self._course.note.source}, which was cut off"
        return [Step(title, self._complete_way_back, duration=ExpectedDuration(2, 15, fixed=90), downtime=True)]

    def _snapshot_steps(self) -> list[Step]:
        if not self._request.instance:
            return []
        return [
            Step(
                f"Take a snapshot of {self._request.instance}",
                self._take_snapshot,
                duration=ExpectedDuration(2, 15, fixed=10),
                downtime=True,
                cost="the snapshot's storage, until you delete it",
            )
        ]

    # ---- steps

    def _examine(self) -> None:
        if self._is_begun:
            return
        if self._request.instance:
            snapshot.require_quota(self._tools.clients("rds"))
        self.before = self._course.run("preflight", self._request.image, to_version=self._request.version)
        if self.names.copy in self.before["databases"]:
            raise UserError(
                f"There is a database {self.names.copy} of an earlier upgrade: remove it first, with"
                f" {self._request.commands.remove}{self.names.copy}."
            )
        if self._request.instance:
            storage = int(self._instance().get("AllocatedStorage") or 0)
            checks.require_space(self._request.instance, storage, self.before)

    def _put_fence_up(self) -> None:
        if self._course.note.state == note.SERVING:
            return
        if not self._is_begun:
            self._course.write(note.FENCED)
        self._course.fence.put_up()

    def _take_snapshot(self) -> None:
        if self._course.note.state != note.FENCED:
            return
        tags = {
            **self._tools.place.tags,
            "MlflowVersion": self._course.note.from_version,
            "MlflowRevision": "+".join(
                name for names in (self.before.get("revisions") or {}).values() for name in names
            ),
        }
        name = self.names.snapshot
        snapshot.take(self._tools.clients("rds"), self._request.instance, name, tags, self._tools.wait_options)
        self._course.kept.append(f"the snapshot {name} of the database before")

    def _copy(self) -> None:
        if self._course.note.state != note.FENCED:
            return
        facts = {
            "stamp": self._course.note.stamp,
            "version": self._course.note.from_version,
            "image": self._course.note.from_image,
            "revision": self._course.note.from_revision,
            "to": self._course.note.to_version,
        }
        self._course.run("copy", self._course.note.from_image, copy=self.names.copy, facts=facts)
        self._course.kept.append(f"the database {self.names.copy}, as it was before")

    def _migrate(self) -> None:
        if self._course.note.state == note.SERVING:
            return
        self._course.write(note.MIGRATING)
        self.found = self._course.run("migrate", self._request.image, copy=self.names.copy)

    def _change_image(self) -> None:
        if self._course.note.state != note.SERVING:
            self._course.fence.give_container(self._wanted())

    def _serve(self) -> None:
        self._course.write(note.SERVING)
        self._course.fence.scale_back()
        self._tools.wait_for_server(self._course.service)

    def _finish(self) -> None:
        self.digests = self._course.read_digests()
        self._course.forget(markers.STOPPED_KEY)

    def _complete_way_back(self) -> None:
        """Complete it, and begin anew."""
        self._course.complete_way_back()
        former, self._is_begun = self._course.note, False
        self._course.note = replace(former, stamp=note.new_stamp(self._wall()), state=note.FENCED)
