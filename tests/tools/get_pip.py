# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the get-pip script that ansible-test would download: pip itself brings the wanted pip from PyPI."""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    """Install the pip that is asked for on the command line (``pip==24.2``)."""
    wanted = [argument for argument in sys.argv[1:] if argument.startswith("pip==")] or ["pip==24.2"]
    subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", *wanted], check=True)


if __name__ == "__main__":
    main()
