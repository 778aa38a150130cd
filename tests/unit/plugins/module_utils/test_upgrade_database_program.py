# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program of an upgrade's tasks says would be lost; the rest of it is tested with a real PostgreSQL."""

from __future__ import annotations

import io

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import database_program


def test_what_would_be_lost_is_counted_one_by_one_even_if_as_many_were_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {
        ("mlflow", "runs"): ["a", "d", "e"],
        ("mlflow_before_3_17_2", "runs"): ["a", "b", "c", "f"],
        ("mlflow", "trace_info"): ["t1"],
        ("mlflow", "model_versions"): [],
        ("mlflow_before_3_17_2", "model_versions"): ["m"],
    }

    def keys(database: str, table: str, _key: str) -> io.BytesIO:
        return io.BytesIO("".join(f"{key}\n" for key in kept.get((database, table), [])).encode())

    monkeypatch.setattr(database_program, "keys", keys)
    lost = database_program.only_in("mlflow", "mlflow_before_3_17_2")
    assert lost == {"runs": 2, "traces": 1, "model versions": 0}


@pytest.mark.parametrize(
    ("here", "there", "number"),
    [("abc", "abc", 0), ("abc", "", 3), ("", "abc", 0), ("ace", "bd", 3), ("abbd", "b", 2), ("z", "abz", 0)],
)
def test_missing_lines_are_counted(here: str, there: str, number: int) -> None:
    lines = (iter([f"{one}\n".encode() for one in text]) for text in (here, there))
    assert database_program.count_missing(*lines) == number
