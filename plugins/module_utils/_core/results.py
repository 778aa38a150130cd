# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of modules, and how they exit. Private to the collection."""

from __future__ import annotations

import typing
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass

from ansible.module_utils.common.warnings import warn

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import next_step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import ANY_SERVICE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import TagLimits
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import tag_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import texts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import sentences

if typing.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule


@dataclass
class ModuleResult:
    """What a module found or did.

    Attributes:
        changed: whether something was, or in check mode would be, changed.
        before: the state found, as far as it is compared; empty if there was nothing.
        after: the state left behind, in check mode the predicted one.
        values: the module's own return values.
        warnings: sentences for the user.
        has_diff: whether before and after are returned.
    """

    changed: bool
    before: dict[str, typing.Any]
    after: dict[str, typing.Any]
    values: dict[str, typing.Any]
    warnings: list[str]
    has_diff: bool = True

    def result(self) -> dict[str, typing.Any]:
        """Return the arguments for exit_json."""
        diff = {"diff": {"before": self.before, "after": self.after}} if self.has_diff else {}
        return {"changed": self.changed, **diff, **self.values}


def show_warnings(warnings: Iterable[str]) -> None:
    """Show sentences as warnings.

    Not with module.warn(): that of amazon.aws 10 hands them to exit_json() too, which ansible-core deprecates.
    """
    for warning in warnings:
        warn(warning)


def run(
    module: AnsibleAWSModule, subject: str, work: Callable[[], ModuleResult], tag_limits: TagLimits = ANY_SERVICE
) -> None:
    """Do the work and exit the module, with a result or an error message.

    The values of the option C(tags), if there is one, become text; others are refused.

    Args:
        module: the module; it fails here and nowhere else.
        subject: what the module is about, such as "IAM role mlflow-task-role"; the message of an AWS error begins with
            it.
        work: does it, and raises UserError, ClientError or BotoCoreError.
        tag_limits: of the service.
    """
    tags = module.params.get("tags")
    if tags is not None:
        if problems := tag_problems("tags", tags, tag_limits):
            module.fail_json(msg=sentences(problems))
            return
        module.params["tags"] = texts(tags)
    try:
        outcome = work()
    except AnsibleAWSError as e:
        violation = getattr(e, "violation", None)
        module.fail_json(msg=e.message or str(e), **({"violation": asdict(violation)} if violation else {}))
        return
    except (BotoCoreError, ClientError) as e:
        advice = next_step(e)
        module.fail_json_aws(e, msg=f"{subject}: {advice} AWS or its SDK says" if advice else subject)
        return
    show_warnings(outcome.warnings)
    module.exit_json(**outcome.result())
