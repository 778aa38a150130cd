# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only importer of ministack: every patch of it, and everything that is read from or changed in its records.

``patches.py`` has the patches in the order in which they are applied; all other files are what the rest of the package
sees of ministack, under public names. Imports ministack: ``environment.prepare()`` must have been called before.
"""
