#!/usr/bin/env bash
# Stateful tests with the `deep` profile: many more and new random examples. Usage: make fuzz-machines
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -d tests/stateful ]; then
    echo "fuzz: there are no stateful tests (tests/stateful) to run"
    exit 0
fi
HYPOTHESIS_PROFILE=${HYPOTHESIS_PROFILE:-deep} .venv/bin/python -m pytest -p no:ape_test tests/stateful --timeout 0 "$@"
