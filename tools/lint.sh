#!/usr/bin/env bash
# Formatting, style and types. Runs every check, says which failed, and exits 1 if any did. Usage: make lint
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=()

check() { # what command…
    local what=$1
    shift
    echo "── $what ──"
    "$@" || failed+=("$what")
}

check "ruff: style" .venv/bin/ruff check --quiet .
check "ruff: format" .venv/bin/ruff format --check --quiet .
check "mypy: src/plimsoll" .venv/bin/mypy
typed=()
for folder in scripts tests/support tests/symbolic/prover tools; do
    if compgen -G "$folder/*.py" >/dev/null; then typed+=("$folder"); fi
done
check "mypy: ${typed[*]}" .venv/bin/mypy --explicit-package-bases "${typed[@]}"
check "forge fmt: contracts, properties" .venv/bin/forge fmt --check contracts tests/symbolic
check "solhint: contracts" node node_modules/solhint/solhint.js --disc --formatter unix 'contracts/**/*.sol'

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    echo 'make fmt repairs formatting' >&2
    exit 1
fi
