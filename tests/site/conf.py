# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings for the site (make site). Nothing is fetched: where Ansible's own pages are is told by a table."""

from __future__ import annotations

import re
import shutil
import zlib
from pathlib import Path

project = "mlops.mlflow_aws"
author = "the mlops.mlflow_aws maintainers"
project_copyright = "Contributors to the mlops.mlflow_aws project"
html_title = html_short_title = "mlops.mlflow_aws: MLflow on AWS"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
# As deep as the guides link, with the anchors that GitHub gives to headings.
myst_heading_anchors = 4
nitpicky = True

html_theme = "sphinx_ansible_theme"
html_theme_options = {"vcs_pageview_mode": "", "display_version": False}
pygments_style = "ansible"
highlight_language = "YAML+Jinja"
html_show_sphinx = False
html_copy_source = False
html_use_index = False

# The labels of Ansible's documentation that pages may name: these, and modules, filters and environment variables that
# are installed. Sphinx would fetch the list from there at each build; what is not in it is an error of the build.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
LABELS = {
    "action_plugins": ("plugins/action.html#action-plugins", "Action plugins"),
    "ansible_configuration_settings": ("reference_appendices/config.html", "Ansible Configuration Settings"),
    "common_return_values": ("reference_appendices/common_return_values.html", "Return Values"),
    "ansible_collections.amazon.aws.docsite.aws_intro": (
        "collections/amazon/aws/docsite/guide_aws.html",
        "Amazon Web Services Guide",
    ),
}


def _packages() -> Path:
    """Where Ansible is installed."""
    [packages] = Path(shutil.which("ansible-doc") or "").resolve().parents[1].glob("lib/python3.*/site-packages")
    return packages


def _installed() -> dict[str, tuple[str, str]]:
    """The labels of modules and filters that are installed."""
    packages = _packages()
    places = {
        ("amazon.aws", "module"): packages / "ansible_collections/amazon/aws/plugins/modules",
        ("ansible.builtin", "module"): packages / "ansible/modules",
        ("ansible.builtin", "filter"): packages / "ansible/plugins/filter",
    }
    return {
        f"ansible_collections.{collection}.{path.stem}_{kind}": (
            f"collections/{collection.replace('.', '/')}/{path.stem}_{kind}.html",
            f"{collection}.{path.stem}",
        )
        for (collection, kind), place in places.items()
        for path in place.glob("*.yml" if kind == "filter" else "*.py")
    }


def _inventory() -> str:
    """Write the table as Sphinx wants it: https://sphobjinv.readthedocs.io/en/stable/syntax.html tells how."""
    settings = (_packages() / "ansible/config/base.yml").read_text(encoding="utf-8")
    lines = "".join(
        f"{name} std:envvar -1 reference_appendices/config.html#envvar-{name} {name}\n"
        for name in sorted(set(re.findall(r"\bANSIBLE_\w+", settings)))
    )
    lines += "".join(
        f"{label} std:label -1 {path} {title}\n" for label, (path, title) in {**LABELS, **_installed()}.items()
    )
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n# The rest is compressed using zlib.\n"
    path = Path(__file__).resolve().parents[2] / ".cache" / "site" / "ansible.inv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.encode() + zlib.compress(lines.encode()))
    return str(path)


intersphinx_mapping = {"ansible": (ANSIBLE, _inventory())}
