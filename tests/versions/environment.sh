#!/usr/bin/env bash
# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Make the environment of the other end of what is supported, in FOLDER/venv, and say which it is: environment.sh FOLDER.
# It has the newest Python that is tested, where the machine has it; with another one ansible-core is another one, too (requirements.txt).
set -euo pipefail

folder=$1
newest=3.13
here=$(dirname "${BASH_SOURCE[0]}")

if python=$(PYTHON='' bash "$here/../tools/find_python.sh" "$newest" 2>/dev/null); then
  echo "==> The tarball with Python $newest and the newest ansible-core, amazon.aws 11.4.0 and the oldest boto3"
else
  python=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
  echo "==> There is no Python $newest on the PATH or among pyenv's, so it is not tested here: the tarball with $("$python" --version) instead,"
  echo "    the newest ansible-core for it, amazon.aws 11.4.0 and the oldest boto3"
fi
mark="$(pwd -P) $python $(sha256sum <"$here/requirements.txt")"
if [ "$(cat "$folder/venv/.ready" 2>/dev/null)" != "$mark" ] || ! "$folder/venv/bin/python" -c '' 2>/dev/null; then
  echo "==> Setting it up (about 20 MB are downloaded)"
  rm -rf "$folder/venv"
  "$python" -m venv --without-pip "$folder/venv"
  .venv/bin/uv pip install --quiet --python "$folder/venv/bin/python" --require-hashes -r "$here/requirements.txt"
  "$folder/venv/bin/python" -m compileall -q "$folder/venv/lib" || true
  printf '%s' "$mark" >"$folder/venv/.ready"
fi
