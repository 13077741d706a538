"""Seeded bugs: contracts with one deliberate mistake each, which the fuzzer must find.

A bug is a text of a contract and what to put there instead. It is compiled from memory, so the working tree stays as it
is; a world is deployed from the result, and examples run until model and chain disagree or an invariant is violated.
"""

from __future__ import annotations

import hashlib
import re
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.chain.artifacts import closure, compile_contracts, compile_patched, read_sources
from plimsoll.chain.errors import Revert
from plimsoll.errors import PlimsollError
from plimsoll.fuzz.campaign import Campaign, Failure
from plimsoll.fuzz.onlooker import Onlooker
from plimsoll.fuzz.prepare import Setting, prepare
from plimsoll.fuzz.session import Session
from plimsoll.fuzz.world import World

__all__ = ["Bug", "BugError", "Verdict", "fingerprint", "hunt", "patched", "read_bugs", "reason"]

FOLDER = Path("build", "mutants")
OUTCOME = re.compile(r"the (?:model|chain) (?:does|refuses|returns)")
INVARIANT = re.compile(r"INV-\d\d")
ONLOOKER_ACTIONS = 400
"""How long invariants alone may look, from the example on that showed the bug."""


class BugError(PlimsollError):
    """A seeded bug cannot be put into the contracts."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One deliberate mistake.

    :param file: path of the contract in the repository.
    :param old: text that occurs there exactly once.
    :param into: contracts whose code gets the bug.
    :param breaks: what is wrong then.
    :param sees: ids of the invariants that it violates.
    """

    name: str
    file: str
    old: str
    new: str
    into: tuple[str, ...]
    breaks: str
    sees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a bug.

    :param by: what showed it first: `outcome`, `storage`, `deployment`, or ids of invariants; empty for a survivor.
    :param actions: how many were taken until then.
    :param alone: invariants that see it without the model, where they were asked.
    """

    name: str
    by: tuple[str, ...]
    actions: int
    seconds: float
    message: str = ""
    alone: tuple[str, ...] = ()
    key: str = field(default="", compare=False)

    @property
    def killed(self) -> bool:
        """Whether anything showed the bug."""
        return bool(self.by)


def read_bugs(path: Path) -> list[Bug]:
    """The bugs of a file.

    :raises BugError: an entry lacks something.
    """
    found = []
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        try:
            bug = Bug(
                name,
                entry["file"],
                entry["old"],
                entry["new"],
                tuple(entry["into"]),
                entry["breaks"],
                tuple(entry["sees"]),
            )
        except KeyError as missing:
            raise BugError(f"{path.name}: bug {name} has no {missing}") from missing
        found.append(bug)
    return found


def patched(bug: Bug, root: Path) -> str:
    """The contract with the bug.

    :raises BugError: the text that it replaces is not there exactly once.
    """
    path = root / bug.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    count = text.count(bug.old)
    if count != 1:
        raise BugError(
            f"bug {bug.name} no longer applies: renew it ({count} times in {bug.file}: {bug.old.splitlines()[0]!r})"
        )
    return text.replace(bug.old, bug.new)


def fingerprint(bug: Bug, root: Path) -> str:
    """Changes with the bug and with everything that the contracts consist of which get it."""
    digest = hashlib.sha256(repr((bug.file, bug.old, bug.new, bug.into)).encode())
    for path, text in sorted(closure([f"contracts/{name}.sol" for name in bug.into], read_sources(root)).items()):
        digest.update(f"{path}\n{text}".encode())
    return digest.hexdigest()[:32]


def hunt(bug: Bug, root: Path, *, seed: int, actions: int, onlooker: bool = True) -> Verdict:
    """Runs examples on a world with the bug until something shows it or so many actions were taken.

    :param onlooker: whether invariants are then asked what they see without the model.
    :raises BugError: the bug does not apply.
    :raises CompileError: it does not compile.
    """
    start = time.monotonic()
    only = [f"contracts/{name}.sol" for name in bug.into]
    mutant = compile_patched(root, {bug.file: patched(bug, root)}, only, root / FOLDER / bug.name)
    plain = compile_contracts(root, only=only, quiet=True)
    changed = {name: mutant.artifact(name) for name in bug.into}
    if all(changed[name].bytecode == plain.artifact(name).bytecode for name in bug.into):
        raise BugError(f"bug {bug.name} changes no code: renew it")

    def verdict(by: Sequence[str], count: int, message: str, alone: Iterable[str] = ()) -> Verdict:
        took = round(time.monotonic() - start, 1)
        return Verdict(bug.name, tuple(by), count, took, message, tuple(alone), fingerprint(bug, root))

    setting = Setting(secondary=True, sequencer=True)
    try:
        world = World(setting, prepare(setting, cached=False, changed=changed), "revm")
    except Revert as error:
        return verdict(("deployment",), 0, str(error))
    with world:
        campaign = Campaign(session=Session(world))
        report = campaign.run(seed, actions=actions)
        if not report.failures:
            return verdict((), report.actions, "")
        failure = report.failures[0]
        alone = Onlooker(campaign.session).run(seed, failure.number, ONLOOKER_ACTIONS) if onlooker else ()
        return verdict(reason(failure), report.actions, failure.message, alone)


def reason(failure: Failure) -> list[str]:
    """What showed the bug: ids of invariants, `outcome`, `storage`."""
    lines = failure.message.splitlines()
    found = sorted({one for line in lines for one in INVARIANT.findall(line)})
    if any(OUTCOME.search(line) for line in lines):
        found.append("outcome")
    if any(" should be " in line or "on chain" in line for line in lines):
        found.append("storage")
    return found or ["other"]


def verdicts(entries: Mapping[str, Mapping[str, object]]) -> dict[str, Verdict]:
    """Verdicts as they were written to a report."""
    found = {}
    for name, entry in entries.items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        found[name] = Verdict(**values)  # type: ignore[arg-type]
    return found
