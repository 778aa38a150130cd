# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure deployments on the local AWS, and what they are compared with; print the page and write it.

Everything runs the collection's own playbooks, Terraform or plain tasks of amazon.aws against a local AWS of its own,
in a fresh home, which is stopped and wiped at the end, however it ends. A command that fails, a converge that changes
something, or a check that does not tell the truth ends the benchmark: their figures would mean nothing.

What was measured before and is not measured again stays on the page, with the run that measured it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import drawing
import machine
import psutil
import yaml
from aws import PACKAGE
from aws import ROOT
from aws import environment
from aws import mlflow_version
from command import BenchError
from contestants import NAMES
from contestants import missing
from lifecycle_verbs import measure_verbs
from report import PICTURE
from report import page
from results import Measured
from scenarios import Bench
from scenarios import measure_one
from scenarios import measure_ten
from scenarios import say

#: What can be measured by itself: the life of one deployment, ten side by side, verbs on one, and the contestants.
PARTS = ("life", "ten", "verbs", *NAMES)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: with everything taken down."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parts(text: str) -> set[str]:
    """Those that are selected, in words separated by commas."""
    selected = {part.strip() for part in text.split(",")}
    unknown = sorted(selected - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: the parts are {', '.join(PARTS)}")
    return selected


def circumstances(scale: float) -> dict[str, object]:
    """The machine and the versions."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    requirements = (PACKAGE / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(line.split()[0].split("==") for line in requirements.splitlines() if "==" in line)
    memory = psutil.virtual_memory().total / 2**30
    versions = (
        f"mlops.mlflow_aws {galaxy['version']}",
        f"MLflow {mlflow_version()}",
        f"Python {platform.python_version()}",
        f"ansible-core {version('ansible-core')}",
        f"botocore {version('botocore')}",
        f"ministack {pins['ministack']}",
    )
    return {
        "scale": scale,
        "load": round(os.getloadavg()[0], 2),
        "machine": f"{psutil.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}",
        "versions": ", ".join(versions),
    }


def _speed() -> dict[str, float]:
    speed = machine.measure(environment())
    say(f"==> This machine: a Python loop {speed.loop:.2f} s, Ansible with one debug task {speed.ansible:.2f} s")
    return {"loop": round(speed.loop, 3), "ansible": round(speed.ansible, 3)}


def measure(bench: Bench, selected: set[str], results: Measured) -> None:
    """Measure what is selected."""
    absent = missing(bench.providers)
    for name in sorted(selected & absent.keys()):
        say(f"==> Not measured: {name}, since {absent[name]}")
    results.begin({**circumstances(bench.scale), "before": _speed()})
    if selected - {"ten", "verbs"} - absent.keys():
        measure_one(bench, selected, results)
    if "ten" in selected:
        measure_ten(bench, results)
    if "verbs" in selected:
        measure_verbs(bench, results)
    results.begin({"after": _speed()})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="folder for the local AWS's state")
    parser.add_argument(
        "--software", type=Path, required=True, help="folder with the local AWS's software; filled if empty"
    )
    parser.add_argument("--results", type=Path, required=True, help="file with what was measured; kept up to date")
    parser.add_argument("--only", type=parts, default=set(PARTS), help=f"some of: {','.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run in turn; default 3")
    parser.add_argument("--scale", type=float, default=60, help="AWS seconds in one second; default 60")
    parser.add_argument(
        "--terraform-providers", type=Path, help="folder with Terraform's provider, laid out as a filesystem mirror"
    )
    parser.add_argument("--page-only", action="store_true", help="measure nothing, write the page anew")
    parser.add_argument("--write", type=Path, help="write the page to this file, and the picture beside it")
    return parser.parse_args()


def main() -> int:
    """Measure what is selected, and write the page; 0, or 1 with a sentence on standard error."""
    options = _options()
    home = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    results = Measured(options.results, f"{datetime.now().astimezone():%Y-%m-%d %H:%M}")
    bench = Bench(home, options.software.absolute(), options.scale, options.rounds, options.terraform_providers)
    if not options.page_only:
        try:
            with _ending_in_order():
                measure(bench, options.only, results)
        except BenchError as error:
            say(str(error))
            return 1
        finally:
            shutil.rmtree(home / "local_aws", ignore_errors=True)
            # What was measured before something failed was checked by itself.
            results.save()
    text = page(results, missing(options.terraform_providers))
    print(text, end="")
    if options.write:
        options.write.write_text(text, encoding="utf-8")
        if results.spans():
            picture = drawing.draw(results.spans(), "A first deploy")
            options.write.with_name(PICTURE).write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
