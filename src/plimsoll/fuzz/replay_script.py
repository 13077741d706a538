"""Examples as files: kept, replayed, and written as a short script that anybody can run.

example = Example("a disagreement", setting, tuple(steps))
save(example, path)
replay(load(path), backend="revm")
print(script(example))
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll.errors import PlimsollError
from plimsoll.fuzz.invariants import Transition, check, deep
from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Disagreement, Session, Step, Stray, show
from plimsoll.fuzz.world import Backend, World
from plimsoll.model.engine.actions import Action, Result
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.engine.state import Order

__all__ = ["Example", "ExampleError", "load", "replay", "run", "save", "script"]

KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Order, PoolParams, MarketParams, CollateralParams)}
"""Records that may be arguments of an action."""


class ExampleError(PlimsollError, ValueError):
    """A file is no example."""


@dataclass(frozen=True, slots=True)
class Example:
    """What happened, in order, in a world of a setting."""

    title: str
    setting: Setting
    steps: tuple[Step | Stray, ...]


# ── running ──────────────────────────────────────────────────────────────────


def run(session: Session, one: Step | Stray) -> Result | None:
    """Takes one step and checks every invariant; None for a call outside the specification.

    :raises Disagreement: model and chain differ, or an invariant is broken.
    """
    if isinstance(one, Stray):
        session.stray(one)
        return None
    before = session.state
    result = session.act(one)
    seen = Transition(before, result.state, one, result)
    problems = check(seen) + deep(seen)
    if problems:
        raise Disagreement(f"{show(one)}\n  " + "\n  ".join(problems))
    return result


def replay(example: Example, backend: Backend = "revm") -> None:
    """Runs an example from the start and compares everything.

    :raises Disagreement: with the step that shows it.
    """
    with World.open(example.setting, backend) as world:
        session = Session(world)
        for one in example.steps:
            run(session, one)
        session.settle()


# ── files ────────────────────────────────────────────────────────────────────


def save(example: Example, path: Path) -> None:
    """Writes an example as JSON."""
    setting = {
        field.name: _plain(getattr(example.setting, field.name))
        for field in dataclasses.fields(Setting)
        if getattr(example.setting, field.name) != getattr(Setting(), field.name)
    }
    steps = [_step_fields(one) for one in example.steps]
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"title": example.title, "setting": setting, "steps": steps}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Example:
    """Reads an example.

    :raises ExampleError: it is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        setting = Setting(**document["setting"])
        return Example(document["title"], setting, tuple(_step_of(one) for one in document["steps"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExampleError(f"{path} is no example: {error!r}") from None


def _step_fields(one: Step | Stray) -> dict[str, Any]:
    if isinstance(one, Stray):
        return {"sender": hex(one.sender), "to": hex(one.to), "data": one.data.hex(), "time": one.time}
    args = [_plain(value) for value in one.action.args]
    fields = {"action": one.action.name, "caller": hex(one.action.caller), "args": args, "time": one.time}
    return fields | ({"base_fee": one.base_fee} if one.base_fee else {})


def _step_of(fields: Mapping[str, Any]) -> Step | Stray:
    if "data" in fields:
        sender, to = int(fields["sender"], 16), int(fields["to"], 16)
        return Stray(sender, to, bytes.fromhex(fields["data"]), fields["time"])
    args = tuple(_value(one) for one in fields["args"])
    action = Action(fields["action"], int(fields["caller"], 16), args)
    return Step(action, fields["time"], fields.get("base_fee", 0))


def _plain(value: Any) -> Any:
    """A value as JSON has it; large numbers as hexadecimal text."""
    if type(value).__name__ in KINDS:
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {type(value).__name__: fields}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return hex(value)
    return dict(value) if isinstance(value, Mapping) else str(value) if isinstance(value, Path) else value


def _value(plain: Any) -> Any:
    if isinstance(plain, dict):
        ((name, fields),) = plain.items()
        return KINDS[name](**{key: _value(one) for key, one in fields.items()})
    if isinstance(plain, list):
        return tuple(_value(one) for one in plain)
    number = isinstance(plain, str) and plain.lstrip("-").startswith("0x")
    return int(plain, 16) if number else plain


# ── scripts ──────────────────────────────────────────────────────────────────

HEAD = '''"""{title}

Run it with `.venv/bin/python`; it needs no node of yours: a fresh Anvil is deployed to and every step sent to it.
"""

from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.replay_script import run
from plimsoll.fuzz.session import Session, Step, Stray
from plimsoll.fuzz.world import World
from plimsoll.model.engine.actions import Action
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.engine.state import Order

STEPS = [
{steps}]

with World.open({setting}, backend="anvil") as world:
    session = Session(world)
    for step in STEPS:
        print(step)
        result = run(session, step)
        if result is not None:
            print("   ", result.refusal or result.value)
    session.settle()
'''


def script(example: Example) -> str:
    """A script that replays an example on an Anvil of its own, and stops where it fails."""
    lines = [f"    {_source(one)},\n" for one in example.steps]
    return HEAD.format(title=example.title, steps="".join(lines), setting=_setting_source(example.setting))


def _setting_source(setting: Setting) -> str:
    changed = [
        f"{field.name}={getattr(setting, field.name)!r}"
        for field in dataclasses.fields(Setting)
        if getattr(setting, field.name) != getattr(Setting(), field.name)
    ]
    return f"Setting({', '.join(changed)})"


def _source(one: Step | Stray) -> str:
    if isinstance(one, Stray):
        return f"Stray({one.sender:#x}, {one.to:#x}, bytes.fromhex({one.data.hex()!r}), {one.time})"
    action = f"Action({one.action.name!r}, {one.action.caller:#x}, {_literal(one.action.args)})"
    return f"Step({action}, {one.time}{f', {one.base_fee}' if one.base_fee else ''})"


def _literal(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        inner = ", ".join(_literal(one) for one in value)
        return f"({inner}{',' if len(value) == 1 else ''})"
    if type(value).__name__ in KINDS:
        fields = (f"{field.name}={_literal(getattr(value, field.name))}" for field in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value) if abs(value) >= 2**64 else repr(int(value))
    return repr(value)
