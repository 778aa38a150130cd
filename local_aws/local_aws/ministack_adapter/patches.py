# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""All patches of ministack, in the order in which they are applied."""

from __future__ import annotations

from . import cloudwatch
from . import credentials
from . import default_vpc
from . import ec2
from . import evaluator
from . import forward_config
from . import in_use
from . import rds
from . import resource_tags
from . import service_models
from . import sns
from .hooks import Hooks
from .patch import MinistackChangedError
from .patch import Patch
from .patch import differences

#: No patch builds on another one, but for ``in_use``: its checks stand before the operations of ``ec2``.
PATCHES: tuple[Patch, ...] = (
    credentials.CLOSE_ROOT,
    credentials.REFUSE_ROOT_ROLES,
    credentials.NAME_LINKED_ROLES,
    evaluator.ENFORCE,
    evaluator.NAME_CBOR_ACTIONS,
    evaluator.FIND_RESOURCES,
    evaluator.ADD_CONDITIONS,
    evaluator.ADD_MANAGED_POLICIES,
    default_vpc.COMPLETE_DEFAULT_VPCS,
    default_vpc.COUNT_FREE_ADDRESSES,
    ec2.SPLIT_SECURITY_GROUP_RULES,
    forward_config.KEEP_FORWARD_CONFIG,
    in_use.REFUSE_WHAT_IS_IN_USE,
    rds.COMPLETE_FAMILIES,
    cloudwatch.CHECK_DASHBOARDS,
    cloudwatch.EVALUATE_ALARMS,
    cloudwatch.ASK_TOPICS,
    sns.CONFIRM_SUBSCRIPTIONS,
    sns.DELIVER,
    resource_tags.COLLECT_TAGS,
    service_models.SHARE_SERVICE_MODELS,
)


def apply_patches(hooks: Hooks) -> None:
    """Applies them all. Called once per process, before state is loaded.

    :raises MinistackChangedError: ministack is not what they were written for; nothing has been applied.
    """
    found = list(differences(PATCHES))
    if found:
        raise MinistackChangedError("\n".join(found))
    for patch in PATCHES:
        patch.apply(hooks)
