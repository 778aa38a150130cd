# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, and in which run: kept in a file, so that a part can be measured again without the others."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timeline import Span

from playbooks import Run

SECTIONS = ("contestants", "life", "ten", "verbs", "waits", "operations", "memory", "timeline")
_MOST_FREQUENT = 10


@dataclass(frozen=True)
class Figures:
    """Of one subject.

    :arg walls: seconds, one for each round.
    :arg cpus: seconds of processor time, one for each round.
    :arg calls: AWS calls of one round.
    """

    walls: list[float]
    cpus: list[float]
    calls: int

    @classmethod
    def of(cls, runs: list[Run]) -> Figures:
        """Those of some runs of the same."""
        calls = int(statistics.median(run.calls.total() for run in runs))
        return cls([round(run.wall, 2) for run in runs], [round(run.cpu, 2) for run in runs], calls)

    @property
    def wall(self) -> float:
        """The median."""
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        """The median."""
        return statistics.median(self.cpus)


class Measured:
    """All sections of the page; each entry names the run that measured it.

    :arg path: the file; there need not be one yet.
    :arg run: the name of this run.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._found: dict[str, dict[str, Any]] = {name: {} for name in ("runs", *SECTIONS)}
        if path.exists():
            self._found.update(json.loads(path.read_text(encoding="utf-8")))

    def begin(self, circumstances: Mapping[str, Any]) -> None:
        """Say how this run was made: the machine, its speed and load, the versions."""
        self._found["runs"][self._run] = {**self._found["runs"].get(self._run, {}), **circumstances}

    def put(self, section: str, name: str, figures: Figures, **more: str) -> None:
        """Keep figures."""
        self._found[section][name] = {"run": self._run, **asdict(figures), **more}

    def put_values(self, section: str, name: str, values: Mapping[str, float], **more: float) -> None:
        """Keep a table of numbers."""
        self._found[section][name] = {"run": self._run, "values": dict(values), **more}

    def put_operations(self, name: str, first: Counter[str], again: Counter[str]) -> None:
        """Keep the most frequent AWS calls of a first deploy, and how many of them a converge makes."""
        top = [api for api, _count in first.most_common(_MOST_FREQUENT)]
        values = {api: [first[api], again[api]] for api in top}
        self._found["operations"][name] = {"run": self._run, "values": values}

    def put_timeline(self, spans: list[Span]) -> None:
        """Keep the timeline of a first deploy."""
        self._found["timeline"]["one"] = {"run": self._run, "spans": [asdict(span) for span in spans]}

    def entry(self, section: str, name: str) -> dict[str, Any] | None:
        """What is known of it, from whichever run."""
        found: dict[str, Any] | None = self._found[section].get(name)
        return found

    def figures(self, section: str, name: str) -> Figures | None:
        """Its figures, from whichever run."""
        found = self.entry(section, name)
        return Figures(found["walls"], found["cpus"], found["calls"]) if found else None

    def spans(self) -> list[Span]:
        """The timeline; empty if there is none."""
        found = self.entry("timeline", "one") or {"spans": []}
        return [Span(**span) for span in found["spans"]]

    def runs(self) -> dict[str, dict[str, Any]]:
        """The runs of which something is left, oldest first."""
        used = {entry["run"] for section in SECTIONS for entry in self._found[section].values()}
        return {name: self._found["runs"][name] for name in sorted(used)}

    def parts_of(self, run: str) -> list[str]:
        """What a run measured, of what is left of it."""
        names = {"life": "life", "ten": "ten", "verbs": "verbs"}
        found = [name for name, entry in self._found["contestants"].items() if entry["run"] == run]
        for section, name in names.items():
            if any(entry["run"] == run for entry in self._found[section].values()):
                found.append(name)
        return found

    def save(self) -> None:
        """Write the file, without the runs of which nothing is left."""
        kept = {**self._found, "runs": self.runs()}
        self._path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
