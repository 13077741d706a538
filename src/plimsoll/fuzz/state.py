"""The state that a fuzz run begins with, kept on disk under `build/fuzz/` by the hash of what decides it.

`anvil.gz` is what Anvil dumps and loads; `world.json` says what was deployed where. A folder is written whole or not at
all, so several processes may look for the same one.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll.chain.abi import checksum

__all__ = ["ChainState", "StateAccount", "load_state", "save_state"]

DUMP, WORLD = "anvil.gz", "world.json"
KEPT = 16
"""States kept beside the newest one."""


@dataclass(frozen=True, slots=True)
class StateAccount:
    """One account; storage words by slot, balance in wei."""

    balance: int
    nonce: int
    code: bytes
    storage: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ChainState:
    """The latest state of a chain. `dump` is Anvil's own form of it."""

    dump: bytes
    chain_id: int
    time: int
    number: int
    accounts: Mapping[str, StateAccount]

    @classmethod
    def of(cls, dump: bytes, chain_id: int) -> ChainState:
        """From what `anvil_dumpState` gives, as bytes."""
        found: Mapping[str, Any] = json.loads(gzip.decompress(dump))
        accounts = {
            checksum(address): StateAccount(
                _number(entry["balance"]),
                _number(entry["nonce"]),
                bytes.fromhex(entry["code"][2:]),
                {int(slot, 16): int(word, 16) for slot, word in entry["storage"].items()},
            )
            for address, entry in found["accounts"].items()
        }
        block = found["block"]
        return cls(dump, chain_id, _number(block["timestamp"]), _number(block["number"]), accounts)


def slim(dump: bytes) -> bytes:
    """The dump without blocks and transactions of the past, but for the last block."""
    found: dict[str, Any] = json.loads(gzip.decompress(dump))
    number = _number(found["block"]["number"])
    found["blocks"] = [block for block in found["blocks"] if _number(block["header"]["number"]) == number]
    found["transactions"] = []
    found["historical_states"] = None
    return gzip.compress(json.dumps(found).encode(), 1)


def save_state(folder: Path, dump: bytes, world: Mapping[str, Any]) -> None:
    """Writes a state and its description. Older states than the last few are removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        (temporary / DUMP).write_bytes(dump)
        (temporary / WORLD).write_text(json.dumps(world), encoding="utf-8")
        if not folder.exists():
            temporary.replace(folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    others = [path for path in folder.parent.iterdir() if path != folder and not path.name.startswith(".")]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def load_state(folder: Path) -> tuple[bytes, dict[str, Any]] | None:
    """The dump and the description, None where there are none."""
    try:
        world: dict[str, Any] = json.loads((folder / WORLD).read_text(encoding="utf-8"))
        return (folder / DUMP).read_bytes(), world
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def _number(value: Any) -> int:
    return int(value, 16) if isinstance(value, str) else int(value)
