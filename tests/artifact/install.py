# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the built tarball into an empty path, and leave of it what a collection must work with.

install.py TARBALL FOLDER: FOLDER/ansible_collections/mlops/mlflow_aws is left with meta, plugins, roles, playbooks
(the rule of the community package), and of local_aws with what its role starts; nothing else. ansible-galaxy is looked
for beside the Python that runs this.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

KEPT = {"meta", "plugins", "roles", "playbooks", "local_aws"}
KEPT_OF_LOCAL_AWS = {"local_aws", "requirements.txt"}


def leave_only(folder: Path, kept: set[str]) -> None:
    """Delete everything else in a folder."""
    for entry in folder.iterdir():
        if entry.name not in kept:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    assert {entry.name for entry in folder.iterdir()} == kept


def main() -> None:
    tarball, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    galaxy = Path(sys.executable).parent / "ansible-galaxy"
    command = [
        str(galaxy),
        "collection",
        "install",
        str(tarball),
        "--offline",
        "--no-deps",
        "--force",
        "-p",
        str(folder),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    collection = folder / "ansible_collections/mlops/mlflow_aws"
    leave_only(collection, KEPT)
    leave_only(collection / "local_aws", KEPT_OF_LOCAL_AWS)
    # What ansible-galaxy notes of what it installed; Ansible does not need it either.
    for note in (folder / "ansible_collections").glob("*.info"):
        shutil.rmtree(note)


if __name__ == "__main__":
    main()
