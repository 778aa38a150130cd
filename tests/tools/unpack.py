# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack collections out of a wheel of the package ``ansible``, which holds many.

Usage: unpack.py WHEEL FOLDER NAMESPACE/NAME…
"""

from __future__ import annotations

import sys
import zipfile


def main(wheel: str, folder: str, *collections: str) -> None:
    """Unpack them below ``folder``/ansible_collections, without the collections' own tests."""
    with zipfile.ZipFile(wheel) as archive:
        for collection in collections:
            root = f"ansible_collections/{collection}/"
            members = [name for name in archive.namelist() if name.startswith(root)]
            if not members:
                sys.exit(f"{wheel} holds no collection {collection}.")
            archive.extractall(folder, [name for name in members if not name.startswith(f"{root}tests/")])


if __name__ == "__main__":
    main(*sys.argv[1:])
