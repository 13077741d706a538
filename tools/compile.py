"""Compiles the contracts and lists their sizes. Exit 1 on errors or a contract over the chain's limit."""

from __future__ import annotations

import sys

from plimsoll.chain.artifacts import compile_contracts
from plimsoll.errors import PlimsollError

CODE_LIMIT = 24_576


def main() -> int:
    try:
        artifacts = compile_contracts()
    except PlimsollError as error:
        print(error, file=sys.stderr)
        return 1
    own = [artifact for artifact in artifacts if not artifact.source.startswith("contracts/mocks/")]
    deployable = sorted((a for a in own if a.abi and a.code_bytes), key=lambda a: -a.code_bytes)
    for artifact in deployable:
        print(f"{artifact.name:<24}{artifact.code_bytes:>7,} bytes of {CODE_LIMIT:,}")
    too_large = [artifact.name for artifact in deployable if artifact.code_bytes > CODE_LIMIT]
    if too_large:
        print(f"over the limit of {CODE_LIMIT:,} bytes: {', '.join(too_large)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
