# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack one collection out of a wheel of the package ``ansible``, which holds many.

Usage: unpack.py NAMESPACE/NAME WHEEL FOLDER
"""

from __future__ import annotations

import sys
import zipfile


def main(collection: str, wheel: str, folder: str) -> None:
    """Unpack it below ``folder``/ansible_collections."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(f"ansible_collections/{collection}/")]
        if not members:
            sys.exit(f"{wheel} holds no collection {collection}.")
        archive.extractall(folder, members)


if __name__ == "__main__":
    main(*sys.argv[1:])
