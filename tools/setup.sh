#!/usr/bin/env bash
# Builds .venv (Python packages, the `plimsoll` command, anvil, forge) and node_modules (compiler, Solidity packages).
# Does only what has changed since the last time; instant when nothing has. Usage: make setup
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

stop() {
    echo "setup: $1" >&2
    exit 1
}

# A Python from $PYTHON or from PATH whose version fits; prints its name.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    local found
    found=$("${PYTHON:-python3}" -c 'import platform; print(platform.python_version())' 2>/dev/null) || found=none
    stop "Python 3.11 or 3.12 is needed (found: $found); install one, or name it: make setup PYTHON=/path/to/python3.12"
}

check_tools() {
    local version
    version=$("${MAKE:-make}" --version 2>/dev/null) || version=none
    [[ $version == *"GNU Make"* ]] \
        || stop "GNU make is needed (found: another make or none); install it and call it, often named gmake"
    version=$(node --version 2>/dev/null) || stop "Node 20 or newer is needed (found: none); install Node"
    version=${version#v}
    [ "${version%%.*}" -ge 20 ] || stop "Node 20 or newer is needed (found: $version); install a newer Node"
    command -v npm >/dev/null || stop "npm is needed (found: none); install it, it usually comes with Node"
}

# A fingerprint of files; the folder is part of it because a virtual environment cannot be moved.
fingerprint() {
    { echo "$root"; cat "$@"; } | cksum
}

up_to_date() { # stamp fingerprint
    [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

install_python() {
    local wanted python
    wanted=$(fingerprint requirements.lock pyproject.toml tools/setup.sh tools/venv_environment.py)
    if up_to_date .venv/.plimsoll-setup "$wanted" && .venv/bin/python -c '' 2>/dev/null; then return; fi
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null \
        || stop "$python has no venv module; install it (on Debian and Ubuntu the package python3-venv)"
    if ! .venv/bin/python -c "import sys; sys.exit(sys.prefix != '$root/.venv' or not (3, 11) <= sys.version_info[:2] < (3, 13))" \
        2>/dev/null || ! .venv/bin/pip --version >/dev/null 2>&1; then
        echo "setup: creating .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv
    fi
    rm -f .venv/.plimsoll-setup
    echo "setup: installing the Python packages of requirements.lock (about a minute the first time)"
    .venv/bin/python -m pip install -qq --no-compile --disable-pip-version-check --no-input \
        --require-hashes --no-deps -r requirements.lock \
        || stop "the Python packages could not be installed (reason above); check the connection and run it again"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e . \
        || stop "the package could not be installed into .venv (reason above)"
    .venv/bin/python tools/venv_environment.py
    echo "$wanted" >.venv/.plimsoll-setup
}

install_node() {
    local wanted
    wanted=$(fingerprint package.json package-lock.json tools/setup.sh)
    if up_to_date node_modules/.plimsoll-setup "$wanted"; then return; fi
    echo "setup: installing the npm packages of package-lock.json (compiler, anvil, Solidity libraries)"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error \
        || stop "the npm packages could not be installed (reason above); check the connection and run it again"
    echo "$wanted" >node_modules/.plimsoll-setup
}

# Puts a program of Foundry into .venv/bin: npm's build for this platform, else one on PATH.
link_program() { # name
    local name=$1 built path
    if [ -x ".venv/bin/$name" ]; then return; fi
    rm -f ".venv/bin/$name"
    for built in node_modules/@foundry-rs/"$name"-*/bin/"$name"; do
        if [ -f "$built" ]; then
            chmod +x "$built"
            ln -s "../../$built" ".venv/bin/$name"
            return
        fi
    done
    path=$(command -v "$name" || true)
    [ -n "$path" ] && ln -s "$path" ".venv/bin/$name"
    [ -x ".venv/bin/$name" ] || stop "npm has no $name for this platform; install Foundry 1.7 so that $name is on PATH"
}

check_tools
install_python
install_node
link_program anvil
link_program forge
