# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What make bench does with its figures: only those of one run are compared, and the picture is true."""

from __future__ import annotations

import argparse
import os
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
import bench  # noqa: E402
import command  # noqa: E402
import contestants  # noqa: E402
import drawing  # noqa: E402
import goals  # noqa: E402
import lifecycle_verbs as verbs  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import timeline  # noqa: E402

import playbooks  # noqa: E402

CIRCUMSTANCES = {
    "scale": 60,
    "load": 0.2,
    "machine": "2 cores",
    "versions": "MLflow 3",
    "before": {"loop": 1.0, "ansible": 1.3},
    "after": {"loop": 1.0, "ansible": 1.3},
}


def measured(path: Path, run: str, **walls: float) -> results.Measured:
    """A run in which contestants took so many seconds, kept in the file."""
    found = results.Measured(path, run)
    found.begin(CIRCUMSTANCES)
    for name, wall in walls.items():
        found.put("contestants", name, results.Figures([wall], [wall], 79), title=name)
    found.save()
    return found


def row(found: results.Measured, words: str, missing: dict[str, str] | None = None) -> list[str]:
    """The goal whose title has these words."""
    [one] = [one for one in goals.rows(found, missing or {}) if words in one[0]]
    return one


def test_figures_of_one_run_are_compared(tmp_path: Path) -> None:
    found = measured(tmp_path / "results.json", "2026-11-30 20:00", terraform=10.0, full=8.0, status=2.5)
    assert row(found, "without the fingerprint")[1:] == ["≤ 0.9", "0.80", "2026-11-30 20:00"]
    assert row(found, "`status`")[1:] == ["≤ 0.3", "0.25", "2026-11-30 20:00"]


def test_figures_of_two_runs_are_not(tmp_path: Path) -> None:
    measured(tmp_path / "results.json", "2026-11-29 20:00", terraform=10.0, full=8.0)
    found = measured(tmp_path / "results.json", "2026-11-30 20:00", full=4.0)
    assert row(found, "without the fingerprint")[2:] == ["-", "not measured in one run"]
    assert [one for one in report.page(found, {}).splitlines() if one.startswith("| full ")] == [
        "| full | 2026-11-30 20:00 | 4.0 | - | 4.0 | 79 | - |"
    ]
    assert list(found.runs()) == ["2026-11-29 20:00", "2026-11-30 20:00"]
    assert list(measured(tmp_path / "results.json", "2026-12-01 20:00", terraform=9.0, full=4.0).runs()) == [
        "2026-12-01 20:00"
    ]


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    found = measured(tmp_path / "results.json", "2026-11-30 20:00", full=8.0)
    missing = {"terraform": "there is no `terraform` on the path"}
    assert row(found, "without the fingerprint", missing)[2:] == [
        "-",
        "not measured: there is no `terraform` on the path",
    ]
    assert row(found, "Memory")[2:] == ["-", "not measured"]


def test_the_median_counts() -> None:
    runs = [playbooks.Run(wall, wall / 2, Counter(a=calls)) for wall, calls in ((9.0, 3), (1.0, 5), (2.0, 4))]
    figures = results.Figures.of(runs)
    assert (figures.wall, figures.cpu, figures.calls) == (2.0, 1.0, 4)


def test_an_unknown_part_is_named() -> None:
    assert bench.parts("terraform, ten") == {"terraform", "ten"}
    with pytest.raises(argparse.ArgumentTypeError, match=r"^teraform: the parts are life, ten, verbs, terraform, "):
        bench.parts("teraform,full")


def test_a_configuration_of_terraform_that_is_not_there_is_not_handed_on(tmp_path: Path) -> None:
    (there := tmp_path / "there").touch()
    for path, kept in ((there, True), (tmp_path / "gone", False)):
        given = {"TF_CLI_CONFIG_FILE": str(path), "TF_VAR_name": "x"}
        assert ("TF_CLI_CONFIG_FILE" in contestants.terraform_environment(given)) is kept
        assert contestants.terraform_environment(given)["TF_VAR_name"] == "x"


def test_terraform_without_its_provider_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "terraform").write_text('#!/bin/sh\ntest -e "${4#-plugin-dir=}/provider"\n', encoding="ascii")
    (tmp_path / "terraform").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "does not get its provider" in contestants.missing(tmp_path)["terraform"]
    contestants._no_terraform.cache_clear()
    (tmp_path / "provider").touch()
    assert "terraform" not in contestants.missing(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    contestants._no_terraform.cache_clear()
    assert contestants.missing(tmp_path)["terraform"] == "there is no `terraform` on the path"


def test_processor_time_of_what_a_command_starts_counts(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print('done'); sys.exit(3)"
    done = command.run([sys.executable, "-c", start], cwd=tmp_path, env=os.environ)
    assert (done.code, done.output) == (3, "done\n")
    assert done.cpu >= 0.3
    assert done.wall >= 0.3


def test_the_downtime_lasts_from_the_first_failure_to_the_answer_after_the_last_one() -> None:
    answered = [(1.0, True), (2.0, False), (3.0, True), (4.0, False), (5.0, True), (6.0, True)]
    assert verbs.downtime(answered) == (2.0, 5.0)
    assert verbs.downtime([(1.0, True)]) == (0.0, 0.0)
    # One that does not come back has no end.
    assert verbs.downtime([(1.0, True), (2.0, False)]) == (0.0, 0.0)


def test_of_waits_that_overlap_each_second_counts_once() -> None:
    assert verbs.covered((10.0, 20.0), [(5.0, 12.0), (11.0, 13.0), (18.0, 30.0), (40.0, 50.0)]) == 5.0
    assert verbs.covered((10.0, 20.0), [(0.0, 100.0), (11.0, 12.0)]) == 10.0
    assert verbs.covered((10.0, 20.0), []) == 0.0


def test_verbs_have_a_row_each(tmp_path: Path) -> None:
    found = measured(tmp_path / "results.json", "2026-11-30 20:00")
    for operation, wall in zip(verbs.OPERATIONS, (50.0, 40.0, 10.0, 25.0), strict=True):
        found.put("verbs", operation, results.Figures([wall], [wall], 79))
    found.put_values("verbs", "downtime", {verbs.DOWNTIME: 30.0, verbs.AWS_WAITS: 18.0, verbs.BEYOND: 12.0})
    assert row(found, "`drill`")[1:] == ["-", "0.50", "2026-11-30 20:00"]
    assert row(found, "beyond AWS's own waits")[1:] == ["-", "12.0", "2026-11-30 20:00"]
    page = report.page(found, {})
    assert "| drill | 2026-11-30 20:00 | 25.0 | 25.0 | 79 |" in page
    assert "| of that, AWS's own waits | 2026-11-30 20:00 | 18.0 |" in page
    assert row(measured(tmp_path / "other.json", "2026-11-30 20:00"), "beyond")[1:] == ["-", "-", "not measured"]


def task(name: str, begun: float, ended: float) -> playbooks.Task:
    """A task of the collection."""
    return playbooks.Task(f"mlops.mlflow_aws.{name}", begun, ended)


TASKS = [
    task("mlflow : preflight | Check", 100, 104),
    task("network : subnets | Find the subnets", 104, 105),
    task("network : security_groups | Create the security group", 105, 106),
    task("rds : create | Create the subnet group", 106, 107),
    task("rds : create | Start the PostgreSQL instance", 107, 108),
    task("iam : create | Create the roles", 108, 110),
    task("rds : available | Wait until the instance is available", 110, 115),
    task("iam : settled | Wait until the changes of the roles have settled", 115, 120),
    task("ecs_express : deploy | Create or update the MLflow server", 120, 140),
    task("validation : server | Wait until the server answers", 140, 141),
]


def test_a_timeline_has_a_span_for_each_step_and_no_gap() -> None:
    spans = timeline.steps(TASKS)
    assert [(span.title, span.begun, span.ended) for span in spans] == [
        ("Check everything first", 0, 5),
        ("Create the network", 5, 6),
        ("Start the database", 6, 8),
        ("Create the IAM roles", 8, 10),
        ("Wait for the database", 10, 15),
        ("Wait for the roles to settle", 15, 20),
        ("Create the service, wait for it", 20, 40),
        ("Check that the server answers", 40, 41),
    ]
    assert [span.title for span in spans if span.kind == timeline.WAIT] == [span.title for span in spans[-4:]]


def test_every_step_of_the_timeline_is_a_file_of_a_role() -> None:
    for step, _title, _kind in timeline.STEPS:
        role, _colon, file = step.partition(" : ")
        assert (ROOT / "roles" / role / "tasks" / f"{file or 'main'}.yml").exists(), step


def test_every_wait_is_a_task_of_a_role() -> None:
    names = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("roles/*/tasks/*.yml"))
    assert [end for end in playbooks.WAITS if f"{end}\n" not in names] == []


def test_the_picture_shows_spans_where_they_were_and_says_so() -> None:
    spans = [
        timeline.Span("Start & go", timeline.WORK, 0, 10),
        timeline.Span("RDS", timeline.AWS, 5, 20),
        timeline.Span("Wait", timeline.WAIT, 10, 20),
    ]
    root = ET.fromstring(drawing.draw(spans, "A first deploy"))
    name = "{http://www.w3.org/2000/svg}"
    # The legend has one of each kind, too.
    bars = {one.get("class"): one for one in root.iter(f"{name}rect") if one.get("y") != "16"}
    left, width = float(bars["work"].get("x", "")), float(bars["work"].get("width", ""))
    assert float(bars["aws"].get("x", "")) == pytest.approx(left + width / 2, abs=0.2)
    assert float(bars["wait"].get("x", "")) == pytest.approx(left + width, abs=0.2)
    texts = [one.text for one in root.iter(f"{name}text")]
    assert {"Start & go", "RDS", "Wait"} <= set(texts)
    assert "RDS: 5.0 to 20.0 s." in (root.findtext(f"{name}desc") or "")
    assert "prefers-color-scheme: dark" in (root.findtext(f"{name}style") or "")


def test_the_page_is_made_of_what_is_kept() -> None:
    kept = ROOT / "tests/bench/results.json"
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    if not kept.exists():
        # The page of before, which says of what day it is.
        assert "Written by `make bench` on 2026-11-23" in text
        return
    found = results.Measured(kept, "none")
    # What cannot be measured depends on the machine.
    lines = [line for line in report.page(found, {}).splitlines() if "not measured" not in line]
    assert [line for line in lines if line not in text.splitlines()] == []
    picture = drawing.draw(found.spans(), "A first deploy")
    assert (ROOT / "docs" / report.PICTURE).read_text(encoding="utf-8") == picture
