# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reader's tests share."""

from __future__ import annotations

import sys
from pathlib import Path

# The local AWS and its user.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))
