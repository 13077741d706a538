"""Small contracts for the tests of the chain client, compiled once and kept under `build/`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ProbeArtifact", "probe"]

ROOT = Path(__file__).resolve().parents[2]
SHIM = ROOT / "tools" / "solc" / "solc-v0.8.37"

SOURCE = """
// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

struct Leg { uint256 id; int256 size; address owner; }
struct Order { bytes32 account; Leg leg; uint64[] times; string note; }

contract Inner {
    error InsufficientMargin(int256 equity, uint256 required);
    error Named(bytes32 account, address who, string text, bool flag);
    function fail(int256 equity, uint256 required) external pure { revert InsufficientMargin(equity, required); }
    function failNamed(bytes32 account, string calldata text) external view {
        revert Named(account, msg.sender, text, true);
    }
}

contract Probe {
    error TooSmall(uint256 given, uint256 least);
    error Nothing();
    event Stored(uint256 indexed id, address indexed who, int256 value, string note);
    event Pinged(bytes32 indexed tag, uint256);
    event Hashed(string indexed text, uint256[] indexed list, Leg indexed leg, Leg copy);

    Inner public immutable inner;
    int256 public value;
    mapping(uint256 => uint256) public counts;

    constructor(int256 start, uint256 least) payable {
        require(start >= int256(least), TooSmall(uint256(start), least));
        inner = new Inner();
        value = start;
    }

    function store(uint256 id, int256 newValue, string calldata note) external payable {
        require(id != 0, TooSmall(id, 1));
        value = newValue;
        counts[id] += 1;
        emit Stored(id, msg.sender, newValue, note);
        emit Pinged(keccak256(bytes(note)), block.timestamp);
    }

    function emitHashed(string calldata text, uint256[] calldata list, Leg calldata leg) external {
        emit Hashed(text, list, leg, leg);
    }

    function onlyAt(uint256 time) external {
        require(block.timestamp == time, TooSmall(block.timestamp, time));
        value = 1;
    }
    function bubble(int256 equity, uint256 required) external { value = 0; inner.fail(equity, required); }
    function bubbleNamed(bytes32 account, string calldata text) external view { inner.failNamed(account, text); }
    function nothing() external pure { revert Nothing(); }
    function text() external pure { revert("plain text"); }
    function bare() external pure { revert(); }
    function raw(bytes calldata data) external pure { bytes memory d = data; assembly { revert(add(d, 32), mload(d)) } }
    function divide(uint256 a, uint256 b) external pure returns (uint256) { return a / b; }
    function pick(uint256[] calldata list, uint256 i) external pure returns (uint256) { return list[i]; }
    function burn() external pure { assembly { invalid() } }
    function spin() external { while (true) { counts[0] += 1; } }

    function echo(Order calldata order) external pure returns (Order memory) { return order; }
    function echoMany(Order[] calldata orders, bytes[2][] calldata blobs)
        external pure returns (Order[] memory list, bytes[2][] memory, uint8 from) { return (orders, blobs, 7); }
    function state() external view returns (int256 current, uint256 time, address sender) {
        return (value, block.timestamp, msg.sender);
    }
    function deposit(bytes32 account, uint256 amount) external pure returns (uint256) { account; return amount; }
    function deposit(bytes32 account, uint256 amount, address to) external pure returns (address) {
        account; amount; return to;
    }
    function deposit(address to, uint256 amount) external pure returns (address, uint256) { return (to, amount); }
    function small(uint8 a, int16 b, bytes4 c, bool d) external pure returns (uint8, int16, bytes4, bool) {
        return (a, b, c, d);
    }
    receive() external payable {}
}
"""


@dataclass(frozen=True, slots=True)
class ProbeArtifact:
    """What `deploy` needs."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes


@cache
def probe(name: str = "Probe") -> ProbeArtifact:
    """`Probe`, or `Inner` which it calls."""
    compiled = _compiled()[name]
    return ProbeArtifact(name, compiled["abi"], bytes.fromhex(compiled["evm"]["bytecode"]["object"]))


@cache
def _compiled() -> dict[str, Any]:
    kept = ROOT / "build" / "probe" / f"{hashlib.sha256(SOURCE.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        request = {
            "language": "Solidity",
            "sources": {"Probe.sol": {"content": SOURCE}},
            "settings": {
                "evmVersion": "cancun",
                "optimizer": {"enabled": True},
                "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
            },
        }
        done = subprocess.run(
            [str(SHIM), "--standard-json"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        answer = json.loads(done.stdout)
        problems = [p["formattedMessage"] for p in answer.get("errors", []) if p["severity"] == "error"]
        assert not problems, problems
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(answer["contracts"]["Probe.sol"]))
        draft.replace(kept)
    contracts: dict[str, Any] = json.loads(kept.read_text())
    return contracts
