#!/usr/bin/env bash
# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Check the commits since the one from which on their subjects are held to the rules of .gitlint. Where that commit is not there, as in a shallow
# clone, a tarball or ansible-test's copy, there is nothing to check.
set -euo pipefail
since=f0c33040a0b6152e34a3c25f1bf4c926f4c10397

if git merge-base --is-ancestor "$since" HEAD 2>/dev/null; then
  gitlint --commits "$since..HEAD"
else
  echo 'No history here: commits are not checked.'
fi
