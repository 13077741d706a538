#!/usr/bin/env bash
# Replays every price file of a folder; files of two symbols over the same span (eth-….csv, btc-….csv) run together.
# Reports go to build/replays/<name>. Usage: make replay-all DATA=folder
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

data=${1:-}
shift || true
if [ -z "$data" ] || ! compgen -G "$data/*.csv" >/dev/null; then
    echo "replay-all: no price files in '$data'; name a folder with *.csv files: make replay-all DATA=path/to/prices" >&2
    exit 2
fi

failed=()
for file in "$data"/*.csv; do
    name=$(basename "$file" .csv)
    prices=()
    case $name in
    btc-*)
        if [ -f "$data/eth-${name#btc-}.csv" ]; then continue; fi
        prices=(--prices "BTC=$file")
        ;;
    eth-*)
        prices=(--prices "ETH=$file")
        if [ -f "$data/btc-${name#eth-}.csv" ]; then prices+=(--prices "BTC=$data/btc-${name#eth-}.csv"); fi
        ;;
    *) prices=(--prices "$file") ;;
    esac
    echo "── $name ──"
    .venv/bin/plimsoll replay "${prices[@]}" --report "build/replays/$name" "$@" || failed+=("$name")
done

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
