#!/usr/bin/env bash
# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Make .venv in the present folder (make setup). "setup.sh stale" prints FORCE where one that is complete must be made anew: an environment
# holds its own path and that of its Python, and the checkout may have been moved, that Python removed, or another one asked for (PYTHON=).
# "setup.sh odd" prints a word where a shell would take the folder's path for something else when it is not quoted.
set -euo pipefail

pythons=(3.14 3.13 3.12 3.11)
ready=.venv/.ready
tools=$(dirname "${BASH_SOURCE[0]}")
checkout=$(pwd -P)

find_python() {
  bash "$tools/find_python.sh" "${pythons[@]}"
}

# What .ready says of a complete environment.
mark() {
  printf '%s\n%s\n' "$checkout" "$1"
}

is_stale() {
  local found
  [ -e "$ready" ] || return 1
  [ "$(head -n 1 "$ready")" = "$checkout" ] && [ -x .venv/bin/python ] || return 0
  [ -n "${PYTHON:-}" ] || return 1
  # Where it cannot be found, making it says why.
  found=$(find_python 2>/dev/null) || return 0
  [ "$(mark "$found")" != "$(cat "$ready")" ]
}

case ${1:-} in
  stale)
    if is_stale; then echo FORCE; fi
    exit 0
    ;;
  odd)
    case $checkout in
      *[][\(\)\;\&\|\<\>\*\?\#\!\~]* | *'  '*) echo odd ;;
    esac
    exit 0
    ;;
esac

# Each of these has a meaning for a program on the way: PATH and its like, the shell in a script's first line, Jinja.
case $checkout in
  *[:\"\'\`\$\\]* | *'{{'* | *'{%'* | *'{#'* | *[[:cntrl:]]*)
    echo "This folder's path cannot be worked in, because it has one of : \" ' \` \$ \\ {{ {% {# or a control character: $checkout. Move the checkout." >&2
    exit 1
    ;;
esac
python=$(find_python)
echo "==> Setting up .venv with $("$python" --version): Ansible and the development tools (the first time, about 180 MB are downloaded)"
mkdir -p .cache
# What an interrupted set-up left is used, if it is of this place and this Python.
if [ "$(cat .venv/.begun 2>/dev/null)" != "$(mark "$python")" ] || ! .venv/bin/python -c '' 2>/dev/null; then
  rm -rf .venv
  "$python" -m venv --without-pip .venv
  mark "$python" >.venv/.begun
fi
rm -f "$ready"

# The pip that a Python brings runs from its wheel: installing it first would take as long as all else. Debian keeps the wheel elsewhere.
bundled_pip() {
  .venv/bin/python -I -c '
import ensurepip, pathlib, sysconfig
folders = [sysconfig.get_config_var("WHEEL_PKG_DIR"), pathlib.Path(ensurepip.__file__).parent / "_bundled"]
wheels = [wheel for folder in folders if folder for wheel in sorted(pathlib.Path(folder).glob("pip-*.whl"))]
print(wheels[-1] / "pip")'
}

if [ ! -x .venv/bin/uv ]; then
  .venv/bin/python "$(bundled_pip)" install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$tools/uv.txt"
fi

# Of the package ansible, which holds a hundred collections, those that are used. Side by side with the packages, as both are downloads.
bring_collections() {
  local collections wheels
  collections=.cache/collections/$(cat "$tools/collections.txt" "$tools/unpack.py" | sha256sum | head -c 12)-$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if [ ! -e "$collections/.complete" ]; then
    rm -rf .cache/collections
    wheels=$collections/wheels
    mkdir -p "$wheels"
    .venv/bin/python "$(bundled_pip)" download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
      --require-hashes -r "$tools/collections.txt" -d "$wheels"
    .venv/bin/python "$tools/unpack.py" "$wheels"/*.whl "$collections" amazon/aws ansible/posix
    rm -r "$wheels"
    touch "$collections/.complete"
  fi
  mkdir -p "$1/ansible_collections/"{amazon,ansible,mlops}
  ln -sfn "$checkout/$collections/ansible_collections/amazon/aws" "$1/ansible_collections/amazon/aws"
  ln -sfn "$checkout/$collections/ansible_collections/ansible/posix" "$1/ansible_collections/ansible/posix"
  ln -sfn "$checkout" "$1/ansible_collections/mlops/mlflow_aws"
}

packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
bring_collections "$packages" &
collections_brought=$!
# A shell's background job does not hear Ctrl-C.
trap 'kill "$collections_brought" 2>/dev/null || true' EXIT
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements-dev.txt || {
  wait "$collections_brought" || true
  exit 1
}
# uv leaves out the bytecode; every AWS module's process would compile these anew, a fifth of a converge.
(cd "$packages" && "$checkout/.venv/bin/python" -m compileall -q -j 0 ansible jinja2 yaml cryptography botocore boto3 s3transfer urllib3 dateutil jmespath)
wait "$collections_brought"
"$checkout/.venv/bin/python" -m compileall -q -j 0 .cache/collections/*/ansible_collections/amazon/aws/plugins
mark "$python" >"$ready"
