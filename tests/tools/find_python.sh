#!/usr/bin/env bash
# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Print the path of the Python to work with, or say why there is none. Usage: find_python.sh VERSION…, the best first.
# It is the first of these versions that runs: on the PATH, else among pyenv's. With PYTHON in the environment, that one or none.
# The Python in .venv is left out: it is what is made with the one that is found.
set -euo pipefail

wanted=("$@")
lacking=()
# Before anything is looked for: a shim of pyenv looks on the PATH, too.
PATH=${PATH//"$(pwd -P)/.venv/bin:"/}

# Print "VERSION PATH" of a Python that runs; of that in a virtual environment, the one that it was made with. A shim of pyenv may not run.
probe() {
  "$1" -I -c 'import os, sys; print("%d.%d" % sys.version_info[:2], os.path.realpath(sys._base_executable))' 2>/dev/null
}

has_venv() {
  "$1" -I -c 'import ensurepip, venv' 2>/dev/null
}

is_wanted() {
  local version
  for version in "${wanted[@]}"; do
    if [ "$version" = "$1" ]; then return 0; fi
  done
  return 1
}

listed() {
  printf '%s\n' "${wanted[@]}" | sort -V | paste -s -d , - | sed -E 's/,/, /g; s/(.*), /\1 or /'
}

if [[ ${PYTHON:-} =~ ^python(3\.[0-9]+)$ ]] && is_wanted "${BASH_REMATCH[1]}"; then
  # A name, not a path: it may be a shim of pyenv that does not run, beside the version itself.
  wanted=("${BASH_REMATCH[1]}")
elif [ -n "${PYTHON:-}" ]; then
  if ! found=$(probe "$PYTHON"); then
    echo "PYTHON=$PYTHON cannot be run: give the path of a Python $(listed)." >&2
  elif ! is_wanted "${found%% *}"; then
    echo "PYTHON=$PYTHON is Python ${found%% *}: $(listed) is needed." >&2
  elif ! has_venv "$PYTHON"; then
    echo "PYTHON=$PYTHON cannot make virtual environments (on Debian and Ubuntu: apt install python${found%% *}-venv)." >&2
  else
    echo "${found#* }"
    exit 0
  fi
  exit 1
fi

for where in path pyenv; do
  for version in "${wanted[@]}"; do
    if [ "$where" = path ]; then
      mapfile -t candidates < <(type -ap "python$version" python3 python)
    else
      candidates=("${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python"$version")
    fi
    for candidate in "${candidates[@]}"; do
      if found=$(probe "$candidate") && [ "${found%% *}" = "$version" ]; then
        if has_venv "$candidate"; then
          echo "${found#* }"
          exit 0
        fi
        lacking+=("$candidate")
      fi
    done
  done
done
echo "Python $(listed) is needed, and there is none on the PATH or among pyenv's: install one, or say where it is: make PYTHON=/path/to/python3 …" >&2
if [ ${#lacking[@]} -gt 0 ]; then
  echo "(${lacking[0]} is one, but cannot make virtual environments; on Debian and Ubuntu the package python3-venv is missing.)" >&2
fi
exit 1
