# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""EC2's operations on security groups and their rules, in place of ministack's, which keep a request's rules together.

``rules`` is pure: what one rule is, how requests write it, how answers show it. ``handlers`` answer the operations.
``dependents`` knows what keeps a group from being deleted.
"""

from .dependents import Interface
from .dependents import TaskInterfaces
from .handlers import handlers
from .handlers import merged_permissions

__all__ = ["Interface", "TaskInterfaces", "handlers", "merged_permissions"]
