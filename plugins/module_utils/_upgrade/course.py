# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""An upgrade that is under way: how far it has come, and each part of the way back.

Every part can be done again, also by another run.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.fence import Fence
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import container
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.note import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.note import Note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.tasks import DatabaseTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.tasks import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target


@dataclass(frozen=True)
class Tools:
    """What the steps work with.

    Attributes:
        clients: returns the client of a service.
        deployment: what is upgraded.
        tasks: work on its database.
        place: where things are.
        wait_options: how to wait.
        wait_for_server: waits until the server answers.
        require_reachable: fails if it does not answer now.
    """

    clients: Clients
    deployment: Target
    tasks: DatabaseTasks
    place: Place
    wait_options: WaitOptions
    wait_for_server: Callable[[Document], None]
    require_reachable: Callable[[Document], None]


@dataclass(frozen=True)
class Commands:
    """What messages name for the user to run.

    Attributes:
        upgrade: an upgrade; the version is appended.
        back: what a way back would lose.
        confirm: the way back itself.
        remove: the removal of a database that was kept; its name is appended.
    """

    upgrade: str
    back: str
    confirm: str
    remove: str


class Course:
    """An upgrade that is under way.

    Args:
        tools: what the steps work with.
        one: how far it has come.

    Attributes:
        service: as ECS describes it; its roles, network and login are those of the tasks.
        kept: what it leaves, in words.
    """

    def __init__(self, tools: Tools, one: Note) -> None:
        self._tools = tools
        self.fence = Fence(tools.clients, tools.deployment, tools.wait_options, one.verb)
        self.note = one
        self.service: Document = {}
        self.kept: list[str] = []

    @property
    def names(self) -> Names:
        """What the things of this upgrade are called."""
        return Names(self._tools.deployment.name, self._tools.place.database, self.note.to_version, self.note.stamp)

    @property
    def url(self) -> str:
        """Of the server; empty if ECS has not assigned one."""
        return transformations.url(transformations.endpoint(self.service))

    def serve_again(self) -> None:
        """Let users in, to what is there: the old image with the old tables."""
        # From here on users write: what was kept of before is out of date for another run.
        self.write(note.BACK)
        self.fence.take_down()
        self._tools.wait_for_server(self.service)
        self.forget()

    def require_unchanged(self) -> bool:
        """Return that the steps are needed.

        Raises:
            UserError: something else has changed the server, or what was noted, since the preflight.
        """
        now = target.describe(self._tools.clients, self._tools.deployment) or {}
        if _identity(now) != _identity(self.service):
            raise UserError(
                f"The server of '{self._tools.deployment.name}' has changed since this run looked. Run it again."
            )
        if note.note_of(target.tags(now)) is None:
            # One that a deployment has begun before it could see the lock.
            target.require(self._tools.clients, self._tools.deployment)
        return True

    def undo_copy(self) -> None:
        """Drop the copy, if the tables were not touched since. Users do not wait for one that cannot be dropped."""
        if self.note.state != note.FENCED:
            return
        name = self.names.copy
        self.kept = [one for one in self.kept if name not in one]
        try:
            self.run("drop", self.note.from_image, copy=name)
        except (AnsibleAWSError, BotoCoreError, ClientError) as e:
            self.kept.append(f"perhaps the database {name}, which could not be dropped ({str(e).splitlines()[0]})")

    def go_back(self) -> None:
        """Put the old tables into their place again."""
        names = self.names
        self.exchange_back(names.copy, names.failed, "of the attempt")

    def exchange_back(self, former: str, aside: str, what: str, **facts: typing.Any) -> None:
        """Put a database into the live one's place again, unless that is done.

        Args:
            former: its name.
            aside: what the live one is called from then on.
            what: what the live one is, in words.
            facts: what the comment of the live one says from then on.
        """
        if self.note.state == note.BACK:
            return
        self.write(note.GOING_BACK)
        found = self.run("go_back", self.note.from_image, copy=former, aside=aside, **facts)
        self.write(note.BACK)
        self.kept = [one for one in self.kept if former not in one]
        if found["exchanged"]:
            lost = listed(found["lost"])
            also = f", which has {lost} that users wrote meanwhile" if lost else ""
            self.kept.append(f"the database {aside} {what}{also}")

    def change_image_back(self) -> None:
        """Give the server the old image, and what it was run with, while it has no task."""
        self.give_former(self.note.from_image, self.note.from_revision)

    def give_former(self, image: str, revision: str) -> None:
        """Give the server a container that it had before, while it has no task.

        Args:
            image: of that container.
            revision: id of the service's revision that had it; empty if it is not known.
        """
        former = target.former_container(self._tools.clients, self._tools.deployment, revision)
        self.fence.give_container(container.restored(self.container(), image, former))

    def container(self) -> Document:
        """Return the container that the service has now, in canonical form."""
        service = target.describe(self._tools.clients, self._tools.deployment) or self.service
        return dict(target.configuration(service).get("primary_container") or {})

    def serve_no_more(self) -> None:
        """Let nobody in any more."""
        self.write(note.GOING_BACK)
        self.fence.scale_to_zero()

    def complete_way_back(self) -> None:
        """Do what is left of a way back that was cut off."""
        if self.note.state != note.BACK:
            self.fence.put_up()
            self.change_image_back()
            self.go_back()
        self.serve_again()

    def run(self, action: str, image: str, **facts: typing.Any) -> Document:
        """Return what a task has found."""
        return self._tools.tasks.run(action, self.service, image, self.note.stamp, **facts)

    def write(self, state: str) -> None:
        """Note how far it has come."""
        self.note = self.note.at(state)
        api.tag(self._tools.clients("ecs"), self._tools.deployment.arn, self.note.tags())

    def forget(self, *others: str) -> None:
        """Take away the note, and other tags."""
        api.untag(self._tools.clients("ecs"), self._tools.deployment.arn, [*note.KEYS, *others])

    def read_digests(self) -> dict[str, str]:
        """Return the digest of the image that serves now; none if it cannot be read."""
        try:
            service = target.describe(self._tools.clients, self._tools.deployment) or self.service
            described = target.describe_revision(self._tools.clients, self._tools.deployment, target.revision(service))
        except (AnsibleAWSError, BotoCoreError, ClientError):
            # It is only shown, and no reason to take an upgrade back that users work with.
            return {}
        images = (described or {}).get("containerImages") or []
        return {str(one.get("image") or ""): str(one.get("imageDigest") or "") for one in images}

    def serving(self) -> str:
        """Return what serves users now."""
        tasks = len(self.fence.tasks())
        if not tasks:
            return f"Nobody is served: the server of '{self._tools.deployment.name}' has no task."
        image = str(self.container().get("image") or "")
        return f"{image} serves now, with {tasks} {'task' if tasks == 1 else 'tasks'}."

    def say_kept(self) -> str:
        """Return what a run that failed leaves behind."""
        if not self.kept:
            return "Nothing else was kept."
        return f"Kept: {'; '.join(self.kept)}."


def _identity(service: Document) -> tuple[Note | None, str]:
    """Return what nothing else may change while an upgrade is under way."""
    image = (target.configuration(service).get("primary_container") or {}).get("image") if service else ""
    return note.note_of(target.tags(service)), str(image or "")


def listed(lost: dict[str, int]) -> str:
    """Return what would be lost, in words; empty if nothing would."""
    return ", ".join(f"{number} {name}" for name, number in lost.items() if number)
