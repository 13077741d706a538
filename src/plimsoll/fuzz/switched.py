"""Many seeded bugs in one compilation of a contract, each behind a switch.

Compiling is the dearest part of a hunt. So every function that has bugs is there several times in the compiled
contract: as it is, and once for each bug with that bug in it. The function of the old name only chooses: it looks at
the last word of the contract's own code, which is the number of a bug when that was appended, and anything else
otherwise. So one deployment serves all bugs, and a bug is switched on by a word behind the code of those contracts
that get it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from plimsoll.chain.artifacts import Artifact, compile_patched
from plimsoll.errors import PlimsollError
from plimsoll.fuzz.bugs import Bug, place
from plimsoll.fuzz.state import ChainState, StateAccount

__all__ = ["Unswitchable", "compile_switched", "is_switchable", "number_of", "switch", "switched_on"]

LIBRARY = "contracts/SeededBugs.sol"
SOURCE = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @dev Whether the last word of the running code is this one.
function seeded(uint256 bug) pure returns (bool on) {
    assembly ("memory-safe") {
        codecopy(0, sub(codesize(), 32), 32)
        on := eq(mload(0), bug)
    }
}
"""
PRAGMA = re.compile(r"^pragma solidity [^;]*;\n", re.MULTILINE)
FUNCTION = re.compile(
    r"^(?P<indent> *)function (?P<name>\w+)\((?P<parameters>[^)]*)\)(?P<tail>[^{};]*)\{", re.MULTILINE
)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
RETURNS = re.compile(r"\breturns \([^)]*\)")
OVERRIDE = re.compile(r"\boverride(?:\s*\([^)]*\))?|\bvirtual\b")
VISIBILITY = re.compile(r"\b(?:external|public|internal|private)\b")
MUTABILITY = re.compile(r"\b(?:pure|view|payable)\b")
NIBBLES = 4
SOUND = "Sound"


class Unswitchable(PlimsollError):
    """A bug is not within a function, so it is compiled by itself."""


@dataclass(frozen=True, slots=True)
class _Function:
    """One function of a text. `end` is behind its closing brace."""

    start: int
    end: int
    indent: str
    name: str
    parameters: str
    tail: str
    body: str


def number_of(bug: Bug, bugs: Sequence[Bug]) -> bytes:
    """The word that switches a bug on.

    No byte of it is an opcode that the driver in process exchanges, and no code of the compiler ends so.
    """
    at = [one.name for one in bugs].index(bug.name)
    return b"\xfe" * (32 - NIBBLES) + bytes(at >> 4 * digit & 15 for digit in reversed(range(NIBBLES)))


def switch(text: str, file: str, numbered: Mapping[bytes, Bug]) -> str:
    """The text of a file with bugs behind switches.

    :param numbered: the bugs of that file by the word that switches each on.
    :raises Unswitchable: one of them is not within a function.
    """
    inside: dict[int, tuple[_Function, dict[bytes, Bug]]] = {}
    for word, bug in numbered.items():
        function = _around(text, place(text, bug), bug)
        inside.setdefault(function.start, (function, {}))[1][word] = bug
    for start, (function, bugs) in sorted(inside.items(), reverse=True):
        text = text[:start] + _several(function, bugs) + text[function.end :]
    path = os.path.relpath(LIBRARY, PurePosixPath(file).parent).replace(os.sep, "/")
    path = path if path.startswith(".") else f"./{path}"
    pragma = PRAGMA.search(text)
    if pragma is None:
        raise Unswitchable(f"{file} has no pragma")
    return f'{text[: pragma.end()]}\nimport {{seeded}} from "{path}";\n{text[pragma.end() :]}'


def is_switchable(bug: Bug, root: Path) -> bool:
    """Whether a bug can share a compilation with others.

    :raises BugError: it does not apply.
    """
    text = (root / bug.file).read_text(encoding="utf-8")
    try:
        _around(text, place(text, bug), bug)
    except Unswitchable:
        return False
    return True


def _around(text: str, at: int, bug: Bug) -> _Function:
    """The function that a bug is in."""
    for found in reversed([one for one in FUNCTION.finditer(text) if one.end() <= at]):
        end = text.find(f"\n{found['indent']}}}\n", found.end())
        if at + len(bug.old) <= end + 1:
            end += len(found["indent"]) + 2
            body = text[found.end() : end]
            return _Function(
                found.start(), end, found["indent"], found["name"], found["parameters"], found["tail"], body
            )
        break
    raise Unswitchable(f"bug {bug.name} is not within a function")


def _several(function: _Function, bugs: Mapping[bytes, Bug]) -> str:
    """A function that chooses, the sound one, and one with each bug."""
    indent, head = function.indent, COMMENT.sub("", function.tail)
    returned = RETURNS.search(head)
    returns = f" {returned[0]}" if returned else ""
    head = RETURNS.sub("", head)
    modifiers = " ".join(MUTABILITY.sub("", VISIBILITY.sub("", OVERRIDE.sub("", head))).split())
    mutability = MUTABILITY.search(head)
    own = f" {mutability[0]}" if mutability and mutability[0] != "payable" else ""
    chooser = " ".join(word for word in head.split() if word not in modifiers.split())
    given = ", ".join(words[-1] for one in function.parameters.split(",") if (words := one.split()))
    lines = [f"{indent}function {function.name}({function.parameters}) {chooser}{returns} {{"]
    for word, bug in bugs.items():
        call = f"{_copy(function.name, bug.name)}({given});"
        lines.append(
            f"{indent}    if (seeded(0x{word.hex()})) {f'return {call}' if returned else f'{{ {call} return; }}'}"
        )
    lines += [f"{indent}    {'return ' if returned else ''}{_copy(function.name, SOUND)}({given});", f"{indent}}}"]
    bodies = {SOUND: function.body} | {bug.name: function.body.replace(bug.old, bug.new) for bug in bugs.values()}
    tail = f"private{own} {modifiers}{returns}"
    copies = [
        f"{indent}function {_copy(function.name, name)}({function.parameters}) {tail} {{{body}"
        for name, body in bodies.items()
    ]
    return "\n\n".join(("\n".join(lines), *copies))


def _copy(name: str, bug: str) -> str:
    return f"{name}__{bug.replace('-', '_')}"


def compile_switched(root: Path, contract: str, bugs: Sequence[Bug], every: Sequence[Bug], cache: Path) -> Artifact:
    """A contract with bugs behind switches.

    :param every: all bugs, which number them.
    :raises CompileError: it does not compile so.
    """
    files: dict[str, dict[bytes, Bug]] = {}
    for bug in bugs:
        files.setdefault(bug.file, {})[number_of(bug, every)] = bug
    texts = {
        file: switch((root / file).read_text(encoding="utf-8"), file, numbered) for file, numbered in files.items()
    }
    made = compile_patched(root, texts | {LIBRARY: SOURCE}, [f"contracts/{contract}.sol"], cache)
    return made.artifact(contract)


def switched_on(state: ChainState, artifacts: Sequence[Artifact], word: bytes) -> ChainState:
    """The state with a bug switched on in every account that has the code of one of these contracts.

    :raises PlimsollError: a contract is nowhere.
    """
    accounts = dict(state.accounts)
    for artifact in artifacts:
        found = [address for address, one in state.accounts.items() if _is(one, artifact)]
        if not found:
            raise PlimsollError(f"no account has the code of {artifact.name}")
        for address in found:
            accounts[address] = replace(accounts[address], code=accounts[address].code + word)
    return replace(state, accounts=accounts)


def _is(account: StateAccount, artifact: Artifact) -> bool:
    """Whether an account's code is that of a contract, whatever its immutables are."""
    code = bytearray(artifact.deployed_bytecode)
    if len(account.code) != len(code):
        return False
    for spans in artifact.immutable_references.values():
        for span in spans:
            start, end = span["start"], span["start"] + span["length"]
            code[start:end] = account.code[start:end]
    return bytes(code) == account.code
