# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message to a user must be, also those that the playbooks end with (tests/end_to_end)."""

from __future__ import annotations

import re


def assert_clear(sentence: str, parts: list[str]) -> None:
    """One sentence that says these things, and no trace of a program."""
    missing = [part for part in parts if part not in sentence]
    assert not missing, f"{sentence!r} lacks {missing}"
    assert "\n" not in sentence
    assert sentence.endswith((".", "?")), sentence
    assert len(sentence) < 400, sentence
    assert not re.search(r"Traceback|botocore\.|An error occurred|object has no|undefined", sentence), sentence
