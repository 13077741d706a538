"""Compiles many variants of a contract in one run of the compiler, quickly: without optimizer and IR pipeline."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plimsoll.chain.artifacts import EVM_VERSION, SHIM, CompileError, closure, read_sources

__all__ = ["compile_variants", "only_calls_to"]

FUNCTION = re.compile(r"^    function .*?^    }\n", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r"^import \{([^}]*)\}[^;]*;\n", re.MULTILINE)


def only_calls_to(text: str, library: str) -> str:
    """A harness with only those of its functions that call a library, and the imports that they need."""
    rest = FUNCTION.sub(lambda found: found[0] if f"{library}." in found[0] else "", text)
    body = IMPORT.sub("", rest)

    def needed(found: re.Match[str]) -> str:
        return found[0] if any(re.search(rf"\b{name.strip()}\b", body) for name in found[1].split(",")) else ""

    return IMPORT.sub(needed, rest)


def compile_variants(
    root: Path,
    contract: str,
    variants: Sequence[Mapping[str, str]],
    harness: str | None = None,
    *,
    via_ir: bool = False,
) -> list[bytes | None]:
    """Deployed code of a contract for each set of other texts (path → text); None where it does not compile.

    :param contract: path of the file, whose name is that of the contract.
    :param harness: another text for that file.
    :param via_ir: whether it needs the IR pipeline, which is slower, because its stack is too deep without.
    """
    sources = read_sources(root)
    if harness is not None:
        sources[contract] = harness
    needed = closure([contract], sources)
    found: list[bytes | None] = [None] * len(variants)
    left = list(range(len(variants)))
    while left:
        files = {
            f"v{number}/{path}": {"content": variants[number].get(path, text)}
            for number in left
            for path, text in needed.items()
        }
        answer = _run(root, files, [f"v{number}/{contract}" for number in left], via_ir)
        wrong = set(_wrong(answer))
        if not wrong:
            name = Path(contract).stem
            for number in left:
                try:
                    output = answer["contracts"][f"v{number}/{contract}"][name]
                except KeyError as missing:
                    raise CompileError(f"the compiler gave no code: {answer.get('errors')}") from missing
                found[number] = bytes.fromhex(output["evm"]["deployedBytecode"]["object"])
            break
        left = [number for number in left if number not in wrong]
    return found


def _wrong(answer: Mapping[str, Any]) -> Iterator[int]:
    """Numbers of the variants that have errors."""
    for problem in answer.get("errors", ()):
        place = str((problem.get("sourceLocation") or {}).get("file", ""))
        if problem["severity"] == "error" and place.startswith("v"):
            yield int(place.split("/", 1)[0][1:])


def _run(root: Path, files: Mapping[str, object], targets: Sequence[str], via_ir: bool) -> dict[str, Any]:
    request = {
        "language": "Solidity",
        "sources": files,
        "settings": {
            "viaIR": via_ir,
            "evmVersion": EVM_VERSION,
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {path: {"*": ["evm.deployedBytecode.object"]} for path in targets},
        },
    }
    command = [str(root / SHIM), "--standard-json", "--base-path", str(root)]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, cwd=root, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise CompileError(f"the compiler failed: {done.stderr.strip()}") from error
    return answer
