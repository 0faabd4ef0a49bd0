#!/bin/sh
# Makes the environment: a venv with the pinned lock, installed without the resolver, and Stretto itself (editable).
set -eu
venv=$1
python=${PYTHON:-python3.11}
command -v "$python" >/dev/null 2>&1 || python=python3
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    echo "Stretto's lock is for Python 3.11; '$python' is $("$python" --version 2>&1). Install it (apt-get install python3.11 python3.11-venv) or set PYTHON=/path/to/python3.11." >&2
    exit 2
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
    echo "The venv module is missing: apt-get install python3.11-venv" >&2
    exit 2
}
echo "Installing the pinned packages (about 2.5 GB, the first time only) ..."
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
