"""The keeper's verdicts against the contracts' own: `python -m tests.bench.keeper_verdicts --cases 1000000`.

A fuzzed world lives on a chain in this process; the keeper's mirror follows it by its logs alone. After its actions,
at several times, its accounts are cases, and so are many made up for the moment: any positions with any events seen,
any collateral, cash or debt, in markets that any deleveraging may have been through. Each is a case as it is, and with
its cash changed so that it is within a few wei of its line. Each case is asked of `Lens.healthBatch`: the exact verdict
must be the same to the wei, and the search must have named every account that is below.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Session, Step
from plimsoll.fuzz.world import World
from plimsoll.keeper.book import Confirmed, Mirror, Observations, Search, confirm, draft_of, pool_of
from plimsoll.keeper.rows import Kind, Row, collateral_key, market_key, position_key, side_key
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.state import Market, account_id
from plimsoll.model.words import AccountWord, EventWord, PositionWord
from plimsoll.units import FINE, ONE, WAD
from tests.support.book_rows import market_value
from tests.support.verdicts import Feeder, LensAnswer, ask_lens, drive, observe_all

__all__ = ["Differential", "main"]

WAITS = (0, 0, 1, 7, 59, 600, 3_900, 90_000)
NEAR = (-2, -1, -1, 0, 0, 1, 2, 10**6, -(10**6), 10**13, -(10**13))
"""How far from its line an account is put, wei."""
EVERY = 16
"""Each so many times prices are asked of the hub on chain, too."""
MAKE_UP, MADE_UP = 3, 48
"""After each so many actions, so many accounts of each pool are made up."""


class _Enough(Exception):
    """All cases are done, in the middle of an example."""


@dataclass(slots=True)
class Differential:
    """Counts cases and what is wrong with them."""

    session: Session
    seed: int
    cases: int = 0
    missed: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    _search: Search | None = None
    _most: int = 0
    _steps: int = 0
    _times: int = 0
    _slots: dict[tuple[int, bytes], int] = field(default_factory=dict)
    _before: dict[tuple[int, bytes], bytes | None] = field(default_factory=dict)

    def run(self, cases: int, seconds: float | None = None, *, quiet: bool = True) -> None:
        """Runs examples until so many cases are done, or so many seconds have passed."""
        feeder = Feeder(self.session, self._at)
        begin = said = time.monotonic()
        number = 0
        while self.cases < cases and (seconds is None or time.monotonic() - begin < seconds):
            self._most = cases
            with suppress(_Enough):
                drive(feeder, self.seed, number)
            number += 1
            if not quiet and time.monotonic() - said > 20:
                said = time.monotonic()
                print(f"{said - begin:6.0f} s  {self.line()}", flush=True)

    def line(self) -> str:
        """What was found so far."""
        kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(self.seen.items()))
        return f"{self.cases:,} cases, {len(self.missed)} missed, {len(self.mismatches)} mismatches ({kinds})"

    # ── cases ──────────────────────────────────────────────────────────────

    def _at(self, feeder: Feeder, step: Step) -> None:
        mirror = feeder.mirror
        if self._search is None or self._search.mirror is not mirror:
            self._search = Search(mirror)
        self._steps += 1
        chance = random.Random(f"{self.seed}/{step.time}/{self._steps}")
        waits = chance.sample(WAITS, 2)
        accounts = exposed(mirror)
        if self._steps % MAKE_UP == 0:
            accounts += self._make_up(mirror, chance)
        if not accounts:
            return
        try:
            for wait in waits:
                observations = self._observe(step.time + wait)
                self._near(mirror, self._compare(mirror, accounts, observations), observations, chance)
        finally:
            self._forget(mirror)
        if self.cases >= self._most:
            raise _Enough

    def _observe(self, at: int) -> Observations:
        observations = observe_all(self.session.state, at)
        self._times += 1
        if self._times % EVERY == 0:
            world = self.session.world
            words = {asset: world.ask("hub", "peek", asset, at=at) for asset in observations.assets}
            assert observations == Observations.of_words(at, words), "the model's prices are not the hub's"
        return observations

    def _make_up(self, mirror: Mirror, chance: random.Random) -> list[bytes]:
        """Accounts that hold anything, in markets where anything has happened."""
        self._write(mirror, [row for market in mirror.markets for row in self._history(mirror, market, chance)])
        rows: list[Row] = []
        made = []
        for pool in mirror.pools:
            for number in range(MADE_UP):
                account = account_id(0xABC0 + number, pool).to_bytes(32, "big")
                made.append(account)
                markets = kinds = 0
                for market, m in mirror.markets.items():
                    if market >> 8 == pool and chance.random() < 0.6:
                        markets |= 1 << (market & 0xFF)
                        rows.append((Kind.POSITION, position_key(account, market & 0xFF), self._position(m, chance)))
                for of, index in mirror.collaterals:
                    if of == pool and chance.random() < 0.3:
                        kinds |= 1 << index
                        balance = int(10 ** chance.uniform(0, 22))
                        rows.append((Kind.COLLATERAL, collateral_key(account, index), balance.to_bytes(32, "big")))
                cash = int(10 ** chance.uniform(0, 25)) * chance.choice((1, 1, -1))
                word = AccountWord(cash, markets, kinds, 1, 0, 0).pack()
                rows.append((Kind.ACCOUNT, account, word.to_bytes(32, "big")))
        self._write(mirror, rows)
        return made

    def _history(self, mirror: Mirror, market: int, chance: random.Random) -> list[Row]:
        """Now and then: events of both sides of a market, some of which close an epoch."""
        if chance.random() < 0.5:
            return []
        m = mirror.markets[market]
        rows: list[Row] = []
        for long in (True, False):
            scale, epoch = ONE, 0
            count = chance.randint(0, 5)
            for number in range(1, count + 1):
                offset = int(m.price * chance.uniform(-1, 1)) * FINE
                if chance.random() < 0.3:
                    end = offset + m.price * FINE
                    rows.append((Kind.EPOCH_END, side_key(market, long, epoch), word_of(end)))
                    scale, offset, epoch = ONE, 0, epoch + 1
                else:
                    scale = max(scale * chance.randint(1, 999) // 1_000, ONE // 10**6)
                event = EventWord(scale, offset, epoch).pack()
                rows.append((Kind.SIDE_EVENT, side_key(market, long, number), word_of(event)))
            m = (
                replace(m, long=replace(m.long, events=count))
                if long
                else replace(m, short=replace(m.short, events=count))
            )
        return [*rows, (Kind.MARKET, market_key(market), market_value(m))]

    def _position(self, m: Market, chance: random.Random) -> bytes:
        """A position word of a market: either side, any size, entered anywhere near now, any events seen."""
        size = int(10 ** chance.uniform(12, 24)) * chance.choice((1, -1))
        side = m.long if size > 0 else m.short
        entry = int(m.price * chance.choice((chance.uniform(0.5, 2), chance.uniform(0.97, 1.03)))) * FINE
        event = chance.choice((side.events, chance.randint(0, side.events)))
        self.seen["positions behind by an event"] += event != side.events
        return word_of(PositionWord(size, entry, event).pack())

    def _forget(self, mirror: Mirror) -> None:
        """Takes back everything that was written."""
        known = self._before
        self._before = {}
        self._poke(known)
        mirror.revert([(kind, key, value) for (kind, key), value in known.items()])

    def _near(
        self, mirror: Mirror, verdicts: list[Confirmed], observations: Observations, chance: random.Random
    ) -> None:
        """Puts each account near its line by its cash."""
        rows: list[Row] = []
        draft = draft_of(mirror, observations)
        for verdict in verdicts:
            if verdict.unreadable:
                continue
            word = mirror.account(verdict.account)
            index = load_pool(draft, pool_of(verdict.account)).borrow_index
            cash = word.raw_cash if word.raw_cash >= 0 else word.raw_cash * index // WAD
            cash += verdict.required - verdict.equity + chance.choice(NEAR)
            raw = cash if cash >= 0 else -(-cash * WAD // index)
            if -(1 << 111) <= raw < 1 << 111:
                changed = replace(word, raw_cash=raw).bumped()
                rows.append((Kind.ACCOUNT, verdict.account, changed.pack().to_bytes(32, "big")))
        self._write(mirror, rows)
        self._compare(mirror, [key for _, key, _ in rows], observations)

    def _write(self, mirror: Mirror, rows: list[Row]) -> None:
        """Writes rows to the mirror and to the chain; what was there before is remembered."""
        for kind, key, _ in rows:
            if (kind, key) not in self._before:
                self._before[kind, key] = self._stored(mirror, kind, key)
        mirror.apply(rows)
        self._poke({(kind, key): value for kind, key, value in rows})

    @staticmethod
    def _stored(mirror: Mirror, kind: int, key: bytes) -> bytes | None:
        """A row as it is; of a made-up account there is none."""
        if kind == Kind.ACCOUNT:
            packed = mirror.account(key).pack()
            return word_of(packed) if packed else None
        if kind == Kind.MARKET:
            return market_value(mirror.markets[int.from_bytes(key, "big")])
        name = int.from_bytes(key[:3], "big"), bool(key[3]), int.from_bytes(key[4:], "big")
        if kind == Kind.SIDE_EVENT and name in mirror.events:
            event = mirror.events[name]
            return word_of(EventWord(event.scale, event.offset, event.epoch).pack())
        if kind == Kind.EPOCH_END and name in mirror.epoch_ends:
            return word_of(mirror.epoch_ends[name])
        return None

    def _poke(self, words: Mapping[tuple[int, bytes], bytes | None]) -> None:
        world = self.session.world
        house, evm = world.address("clearinghouse"), world.driver._evm  # type: ignore[attr-defined]
        for (kind, key), value in words.items():
            slot = self._slots.get((kind, key))
            if slot is None:
                slot = self._slots[kind, key] = world.slot(*_where(kind, key))
            if kind == Kind.MARKET and value is not None:
                value = value[32:64]
            evm.insert_account_storage(house, slot, int.from_bytes(value or b"", "big"))

    def _compare(self, mirror: Mirror, accounts: list[bytes], observations: Observations) -> list[Confirmed]:
        verdicts = confirm(mirror, accounts, observations)
        assert self._search is not None
        found = set(mirror.ids(self._search.candidates(observations)))
        answers = self._answers(accounts, observations.time)
        for verdict, answer in zip(verdicts, answers, strict=True):
            self.cases += 1
            if answer is None or verdict.unreadable:
                self.seen["unreadable"] += 1
                if answer is not None or not verdict.unreadable:
                    self.mismatches.append(f"{verdict} against {answer}")
                continue
            mine = LensAnswer(verdict.equity, verdict.required, verdict.newest)
            if mine != answer:
                self.mismatches.append(f"{verdict} against {answer} at {observations}")
            below = answer.equity < answer.required
            if below and verdict.account not in found:
                self.missed.append(f"{verdict} at {observations}")
            self.seen["below"] += below
            self.seen["named"] += verdict.account in found
            self.seen["within 2 wei of the line"] += abs(answer.equity - answer.required) <= 2
            self.seen["of closed epochs"] += verdict.required == 0 and verdict.positions > 0
            self.seen["in debt"] += mirror.account(verdict.account).raw_cash < 0
            self.seen["deviated"] += verdict.deviated
        return verdicts

    def _answers(self, accounts: list[bytes], at: int) -> list[LensAnswer | None]:
        together = ask_lens(self.session, accounts, at)
        if together is not None:
            return list(together)
        alone = [ask_lens(self.session, [account], at) for account in accounts]
        return [one[0] if one is not None else None for one in alone]


def exposed(mirror: Mirror) -> list[bytes]:
    """Accounts with a position or a debt."""
    found = []
    for account in mirror.accounts.rows:
        word = mirror.account(account)
        if word.markets or word.raw_cash < 0:
            found.append(account)
    return found


def word_of(value: int) -> bytes:
    """A number as a word."""
    return (value % 2**256).to_bytes(32, "big")


def _where(kind: int, key: bytes) -> tuple[Any, ...]:
    """The variable that a row is stored in; of a market the word of both sides."""
    market = int.from_bytes(key[:3], "big")
    match kind:
        case Kind.ACCOUNT:
            return "accounts_", key
        case Kind.POSITION:
            return "positions_", key[:32], key[32]
        case Kind.COLLATERAL:
            return "collateral_", key[:32], key[32]
        case Kind.MARKET:
            return "markets_", market, "sides"
        case Kind.SIDE_EVENT:
            return "events_", market, key[3], int.from_bytes(key[4:], "big")
        case _:
            return "epochEnds_", market, key[3], int.from_bytes(key[4:], "big")


def main() -> None:
    """Prints what was found; ends with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=None, help="end earlier")
    options = parser.parse_args()
    setting = Setting(secondary=True, sequencer=True, traders=8)
    with World.open(setting, "revm") as world:
        differential = Differential(Session(world), options.seed)
        begin, used = time.monotonic(), time.process_time()
        differential.run(options.cases, options.seconds, quiet=False)
    print(f"{time.monotonic() - begin:.0f} s, {time.process_time() - used:.0f} s of processor time")
    print(differential.line())
    for text in (*differential.missed[:5], *differential.mismatches[:5]):
        print(text)
    if differential.missed or differential.mismatches:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
