#!/usr/bin/env bash
# Builds .venv-prove, the environment of `make prove` and `make slither`, from requirements-prove.lock; instant when nothing changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

wanted=$({ echo "$PWD"; cat requirements-prove.lock tools/prove/setup.sh; } | cksum)
stamp=.venv-prove/.plimsoll-setup
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv-prove/bin/python -c '' 2>/dev/null; then exit 0; fi

echo "setup: building .venv-prove: halmos, solvers, slither (half a minute, 350 MB)"
rm -rf .venv-prove
# the interpreter that .venv was made with
"$(.venv/bin/python -c 'import sys; print(sys._base_executable)')" -m venv .venv-prove
.venv-prove/bin/python -m pip install -qq --no-compile --disable-pip-version-check --no-input --require-hashes --no-deps \
    -r requirements-prove.lock || {
    echo "setup: the packages of requirements-prove.lock could not be installed (reason above)" >&2
    exit 1
}
echo "$wanted" >"$stamp"
