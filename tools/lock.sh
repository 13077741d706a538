#!/usr/bin/env bash
# Resolves the dependencies of pyproject.toml and package.json again and writes requirements.lock, requirements-prove.lock and
# package-lock.json. They hold exact versions and hashes for every platform, and no address of any registry. Usage: make lock
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=$(command -v uv) || {
    echo "lock: uv is needed to resolve for several platforms at once; install it with: pip install uv" >&2
    exit 1
}
env -u PIP_FIND_LINKS "$uv" pip compile pyproject.toml --extra dev --extra fuzz --extra postgres --extra silverback --universal --python-version 3.11 --upgrade \
    --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock
env -u PIP_FIND_LINKS "$uv" pip compile requirements-prove.in --universal --python-version 3.11 --upgrade \
    --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements-prove.lock
npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error
.venv/bin/python tools/npm_lock.py
