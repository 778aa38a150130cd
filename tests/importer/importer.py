# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy would say of the tarball when it is uploaded: galaxy-importer, with a warning counted as a failure.

Without its call of ansible-lint, which it stops after 180 seconds (galaxy_importer/loaders/collection.py:
_lint_collection), however slow the machine is. C(make lint-ansible) asks for more, and without a limit: the same
profile, no rule skipped and no folder excluded.

importer.py TARBALL FOLDER: runs in the environment of tests/importer/requirements.txt; FOLDER takes what it writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    tarball, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # It is read by configparser, to which a percent sign is a sign of its own.
    temporary = str(folder / "ansible").replace("%", "%%")
    (folder / "galaxy-importer.cfg").write_text(
        f"[galaxy-importer]\nansible_local_tmp = {temporary}\ncheck_required_tags = True\nrun_ansible_lint = False\n"
    )
    # ansible and ansible-doc are looked for on the path.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GALAXY_IMPORTER_CONFIG": str(folder / "galaxy-importer.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
    }
    command = [sys.executable, "-m", "galaxy_importer.main", tarball]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    (folder / "importer.log").write_text(done.stdout)
    # Not the exit code alone: an import with warnings is a success to the importer.
    if "Linting collection via ansible-lint" in done.stdout:
        sys.exit("galaxy-importer called ansible-lint, whose time it limits; run_ansible_lint does not count any more.")
    wrong = [line for line in done.stdout.splitlines() if line.startswith(("WARNING", "ERROR", "CRITICAL"))]
    if done.returncode or wrong or "Collection loading complete" not in done.stdout:
        sys.exit("\n".join(wrong) or done.stdout)
    print(f"{tarball.name}: no warning")


if __name__ == "__main__":
    main()
