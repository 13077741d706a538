"""Measures gas, code sizes and storage layouts, and writes `snapshots/gas.json`; with `--check` compares instead.
With `--trace` shows what the gas of actions is spent on, as a Markdown table (all of them when none is named).

Usage: python scripts/gas.py [--check | --trace [ACTION ...]]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bench.gas import SCENARIOS, TARGETS, explain, measure
from tests.bench.trace import PARTS

from plimsoll.chain.artifacts import Artifact, Artifacts, compile_contracts, repository_root

CODE_LIMIT = 24_576
SNAPSHOT = Path("snapshots", "gas.json")
CONDITIONS = (
    "feeds with the storage and call pattern of Chainlink's proxy and aggregator, base fee 1 gwei, newest round as "
    "hint, keeper and recipient accounts exist, others hold positions on both sides of each market, OpenZeppelin "
    "ERC-20s; second column with an L2 sequencer feed"
)


def main(arguments: list[str]) -> int:
    """Runs the command; 0 when the snapshot was written or still holds."""
    root = repository_root()
    artifacts = compile_contracts(root)
    if "--trace" in arguments:
        return _trace(root, artifacts, [name for name in arguments if name != "--trace"] or list(SCENARIOS))
    found: dict[str, Any] = {
        "conditions": CONDITIONS,
        "gas": measure(root, artifacts, sequencer=False, say=_say),
        "gas_with_sequencer": measure(root, artifacts, sequencer=True, say=_say),
        "code_bytes": {artifact.name: artifact.code_bytes for artifact in _deployed(artifacts)},
        "storage_layouts": {artifact.name: _layout(artifact) for artifact in _deployed(artifacts)},
    }
    _print(found)
    too_large = [name for name, size in found["code_bytes"].items() if size > CODE_LIMIT]
    if too_large:
        print(f"over {CODE_LIMIT} bytes of code: {', '.join(too_large)}", file=sys.stderr)
        return 1
    path = root / SNAPSHOT
    if "--check" in arguments:
        return _check(found, json.loads(path.read_text()))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(f"wrote {SNAPSHOT}")
    return 0


def _deployed(artifacts: Artifacts) -> list[Artifact]:
    """What users deploy: every contract with code outside mocks and libraries."""
    skipped = ("contracts/mocks/", "contracts/libraries/", "contracts/types/", "contracts/oracles/")
    return sorted(
        (a for a in artifacts if a.code_bytes and not a.source.startswith(skipped)), key=lambda artifact: artifact.name
    )


def _layout(artifact: Artifact) -> list[str]:
    """`slot:offset label type` of each storage variable."""
    layout = artifact.storage_layout or {}
    return [f"{v['slot']}:{v['offset']} {v['label']} {_type(layout, v['type'])}" for v in layout.get("storage", [])]


def _type(layout: Mapping[str, Any], name: str) -> str:
    return str(layout["types"][name]["label"])


def _print(found: dict[str, Any]) -> None:
    print(f"{'action':34}{'gas':>10}{'target':>10}{'':>8}{'sequencer':>12}")
    for name, gas in found["gas"].items():
        target = TARGETS.get(name)
        against = f"{target:>10,}{(gas - target) / target:>+8.0%}" if target else f"{'':>18}"
        print(f"{name:34}{gas:>10,}{against}{found['gas_with_sequencer'][name]:>12,}")
    for name, size in found["code_bytes"].items():
        print(f"{name:34}{size:>10,} bytes")


def _trace(root: Path, artifacts: Artifacts, names: list[str]) -> int:
    """Prints one row per action."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"no action is called {', '.join(unknown)}; known: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    print(f"| action | gas | target | {' | '.join(PARTS)} |")
    print("|---" * (len(PARTS) + 3) + "|")
    for name, cost in explain(root, artifacts, names).items():
        target = f"{TARGETS[name]:,}" if name in TARGETS else "–"
        row = " | ".join(f"{cost.parts[part]:,}" for part in PARTS)
        print(f"| `{name}` | {cost.gas:,} | {target} | {row} |")
    return 0


def _check(found: dict[str, Any], kept: dict[str, Any]) -> int:
    """Prints every difference from the snapshot."""
    differences = [
        f"{part}.{name}: {kept.get(part, {}).get(name)} → {value}"
        for part in ("gas", "gas_with_sequencer", "code_bytes", "storage_layouts")
        for name, value in found[part].items()
        if kept.get(part, {}).get(name) != value
    ]
    for line in differences:
        print(line, file=sys.stderr)
    if differences:
        print("snapshots/gas.json differs; if that is intended run `make gas` and commit it", file=sys.stderr)
    return 1 if differences else 0


def _say(text: str) -> None:
    print(f"measuring {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
