"""Hunts seeded bugs: contracts with one deliberate mistake each, which the fuzzer must find.

Bugs are compiled from memory, so the working tree stays as it is. Those of the same contracts share one compilation and
one deployed world, see `switched`; a bug outside functions has its own. Examples run until model and chain disagree or
an invariant is violated.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from plimsoll import fuzz, model
from plimsoll.chain.artifacts import closure, compile_contracts, compile_patched, read_sources
from plimsoll.chain.errors import Revert
from plimsoll.fuzz.bugs import Bug, BugError, patched
from plimsoll.fuzz.campaign import Campaign, Failure
from plimsoll.fuzz.onlooker import Onlooker
from plimsoll.fuzz.prepare import Prepared, Setting, prepare
from plimsoll.fuzz.session import Session
from plimsoll.fuzz.switched import compile_switched, is_switchable, number_of, switched_on
from plimsoll.fuzz.world import World

__all__ = ["FOLDER", "Verdict", "fingerprint", "hunt", "hunt_switched", "reason", "verdicts", "without_bug"]

FOLDER = Path("build", "mutants")
SETTING = Setting(secondary=True, sequencer=True)
OUTCOME = re.compile(r"the (?:model|chain) (?:does|refuses|returns)")
INVARIANT = re.compile(r"INV-\d\d")
ONLOOKER_ACTIONS = 400
"""How long invariants alone may look, from the example on that showed the bug."""


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


@cache
def _contracts(root: Path, into: tuple[str, ...]) -> bytes:
    """Everything that contracts consist of."""
    digest = hashlib.sha256()
    for path, text in sorted(closure([f"contracts/{name}.sol" for name in into], read_sources(root)).items()):
        digest.update(f"{path}\n{text}".encode())
    return digest.digest()


@cache
def _hunter() -> bytes:
    """The code that takes examples and judges them."""
    digest = hashlib.sha256()
    for package in (fuzz, model):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.digest()


def fingerprint(bug: Bug, root: Path, seed: int) -> str:
    """Changes with the bug, with the contracts that get it, with fuzzer and model, and with the seed."""
    digest = hashlib.sha256(repr((bug.file, bug.old, bug.new, bug.into, bug.decimals, seed)).encode())
    digest.update(_contracts(root, bug.into) + _hunter())
    return digest.hexdigest()[:32]


def hunt(bug: Bug, root: Path, *, seed: int, actions: int, onlooker: bool = True) -> Verdict:
    """Runs examples on a world that was deployed with the bug.

    :param onlooker: whether invariants are then asked what they see without the model.
    :raises BugError: the bug does not apply.
    :raises CompileError: it does not compile.
    """
    start, key = time.monotonic(), fingerprint(bug, root, seed)
    only = [f"contracts/{name}.sol" for name in bug.into]
    mutant = compile_patched(root, {bug.file: patched(bug, root)}, only, root / FOLDER / bug.name)
    plain = compile_contracts(root, only=only, quiet=True)
    changed = {name: mutant.artifact(name) for name in bug.into}
    if all(changed[name].bytecode == plain.artifact(name).bytecode for name in bug.into):
        raise BugError(f"bug {bug.name} changes no code: renew it")
    try:
        prepared = prepare(_setting(bug.decimals), cached=False, changed=changed)
    except Revert as error:
        took = round(time.monotonic() - start, 1)
        return Verdict(bug.name, ("deployment",), 0, took, str(error), (), key)
    return replace(_run(bug.name, prepared, seed, actions, onlooker, start, bug.decimals), key=key)


def hunt_switched(bug: Bug, every: Sequence[Bug], root: Path, *, seed: int, actions: int) -> Verdict:
    """Runs examples on the world that bugs of the same contracts share, with one switched on; a bug that has no switch
    is hunted alone.

    :param every: all bugs.
    :raises BugError: the bug does not apply.
    :raises CompileError: the contracts with all bugs do not compile.
    """
    if not is_switchable(bug, root):
        return hunt(bug, root, seed=seed, actions=actions)
    start, key = time.monotonic(), fingerprint(bug, root, seed)
    prepared = _shared(bug.into, tuple(every), root, bug.decimals)
    changed = [prepared.artifacts.artifact(name) for name in bug.into]
    state = switched_on(prepared.state, changed, number_of(bug, every))
    verdict = _run(bug.name, replace(prepared, state=state), seed, actions, True, start, bug.decimals)
    return replace(verdict, key=key)


def without_bug(into: tuple[str, ...], every: Sequence[Bug], root: Path, *, seed: int, actions: int) -> Verdict:
    """Runs examples on the world that bugs of these contracts share with none switched on: nothing may be found."""
    return _run("none", _shared(into, tuple(every), root), seed, actions, False, time.monotonic())


@cache
def _shared(into: tuple[str, ...], every: tuple[Bug, ...], root: Path, decimals: int | None = None) -> Prepared:
    """The world that bugs of these contracts share."""
    within = [bug for bug in every if is_switchable(bug, root)]
    changed = {
        name: compile_switched(root, name, [bug for bug in within if name in bug.into], every, root / FOLDER)
        for name in into
    }
    return prepare(_setting(decimals), changed=changed)


def _setting(decimals: int | None) -> Setting:
    """The world of a hunt."""
    return replace(SETTING, settlement_decimals=decimals)


def _run(
    name: str,
    prepared: Prepared,
    seed: int,
    actions: int,
    onlooker: bool,
    start: float,
    decimals: int | None = None,
) -> Verdict:
    """Runs examples until something shows a bug or so many actions were taken."""
    with World(_setting(decimals), prepared, "revm") as world:
        campaign = Campaign(session=Session(world))
        report = campaign.run(seed, actions=actions)
        by, message, alone = list[str](), "", list[str]()
        if report.failures:
            failure = report.failures[0]
            by, message = reason(failure), failure.message
            if onlooker:
                alone = Onlooker(campaign.session).run(seed, failure.number, ONLOOKER_ACTIONS)
    took = round(time.monotonic() - start, 1)
    return Verdict(name, tuple(by), report.actions, took, message, tuple(alone))


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
