# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Let hosts that ask for the same in one task ask once.

Each host's task runs in a worker of its own, whose memory ends with it, so the result lies in a file. It is in
Ansible's own temporary directory, which only this user can read, and which ansible-playbook removes when it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible import constants

Result = dict[str, Any]
# Where the first has failed, each asks by itself, and waits for none: that may take minutes.
_FAILED = "failed"


def read(key: Any, ask: Callable[[], Result]) -> Result:
    """Return the result of the first host that asks with the same key, and succeeds.

    Args:
        key: everything that the result depends on. Only its hash is kept.
        ask: returns the result as of a shell, which can be JSON: rc, stdout, stderr.
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    descriptor = os.open(Path(constants.DEFAULT_LOCAL_TMP) / f"read-{name}", os.O_RDWR | os.O_CREAT, 0o600)
    # The lock is that of the open file, and ends with it.
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        if not text:
            result = ask()
            file.write(json.dumps(result) if result["rc"] == 0 else _FAILED)
            return result
    if text == _FAILED:
        return ask()
    found: Result = json.loads(text)
    return found
