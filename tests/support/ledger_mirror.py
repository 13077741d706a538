"""The ledger of one pool in exact integers: loaded from raw storage, moved by Python, compared with storage.

Read it before a call, let the call happen, `see()` the prices it used, repeat it here, and ask for `differences()`. The
formulas are those of `plimsoll.model`; here is only the order in which the contracts apply them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from plimsoll.model import config_words as config
from plimsoll.model import funding, interest, margin, side
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.model.words import (
    AccountWord,
    DebtWord,
    EventWord,
    FundingWord,
    PoolDuesWord,
    PoolFlags,
    PoolMoneyWord,
    PositionWord,
    SidesWord,
)
from plimsoll.units import ONE, positive_part
from tests.support.books import AccountBook, MarketBook, SideBook, signed
from tests.support.protocol import Protocol

__all__ = ["PoolMirror"]

INVALID = 1
LOW_128 = (1 << 128) - 1
Key = tuple[object, ...]


@dataclass(slots=True)
class PoolMirror:
    """State of a pool and of the accounts that a test names."""

    protocol: Protocol
    name: str
    accounts: dict[bytes, AccountBook] = field(default_factory=dict)
    markets: dict[int, MarketBook] = field(default_factory=dict)
    events: dict[tuple[int, bool, int], EventWord] = field(default_factory=dict)
    ends: dict[tuple[int, bool, int], int] = field(default_factory=dict)
    spots: dict[int, Spot] = field(default_factory=dict)
    trends: dict[int, Trend] = field(default_factory=dict)
    id: int = 0
    cash: int = 0
    insurance: int = 0
    fees: int = 0
    loss_sum: int = 0
    escrow: int = 0
    scaled: int = 0
    borrow_index: int = 0
    debt_time: int = 0
    junior: int = 0
    held: int = 0
    open_sales: int = 0
    risk: config.PoolRiskWord = field(default_factory=config.PoolRiskWord)
    liquidation: config.PoolLiquidationWord = field(default_factory=config.PoolLiquidationWord)
    settlement: config.PoolSettlementWord = field(default_factory=config.PoolSettlementWord)
    curve: config.PoolInterestWord = field(default_factory=config.PoolInterestWord)
    collaterals: list[config.CollateralWord] = field(default_factory=list)

    @classmethod
    def read(cls, protocol: Protocol, *accounts: bytes, pool: str = "majors") -> PoolMirror:
        """The pool as it is now, with these accounts."""
        self = cls(protocol, pool)
        self.id = protocol.pools[pool].id
        parts = ("risk", "liquidation", "settlement", "interest")
        words = protocol.reader.words([("poolConfigs_", self.id, part) for part in parts])
        self.risk = config.PoolRiskWord.unpack(words[0])
        self.liquidation = config.PoolLiquidationWord.unpack(words[1])
        self.settlement = config.PoolSettlementWord.unpack(words[2])
        self.curve = config.PoolInterestWord.unpack(words[3])
        count = range(self.settlement.collateral_count)
        paths: list[Key] = []
        paths += [("collateralConfigs_", self.id, index) for index in count]
        words = protocol.reader.words(paths)
        self.collaterals = [config.CollateralWord.unpack(word) for word in words]
        self._load(accounts)
        return self

    def _load(self, accounts: Sequence[bytes]) -> None:
        words = self._stored()
        money, dues, debt, reserves, self.open_sales, self.held = words
        self.cash, self.insurance = dataclasses.astuple(PoolMoneyWord.unpack(money))
        self.fees, self.loss_sum, self.escrow, _ = dataclasses.astuple(PoolDuesWord.unpack(dues))
        self.scaled, self.borrow_index, self.debt_time = dataclasses.astuple(DebtWord.unpack(debt))
        self.junior = reserves & LOW_128
        for number in self.protocol.pools[self.name].markets.values():
            self.markets[number] = self._load_market(number)
        for account in accounts:
            self.accounts[account] = self._load_account(account)

    def _stored(self) -> list[int]:
        token = self.settlement.token
        parts = ("money", "dues", "debt", "junior", "openSales")
        paths: list[Key] = [("held_", self.id, token)]
        paths[:0] = [("pools_", self.id, part) for part in parts]
        return self.protocol.reader.words(paths)

    def _load_market(self, number: int) -> MarketBook:
        reader = self.protocol.reader
        parts = ("funding", "sides", "longEntrySum", "shortEntrySum", "longOpenEntrySum", "shortOpenEntrySum", "owed")
        words = reader.words([("markets_", number, part) for part in parts])
        settings = reader.words([("marketConfigs_", number, part) for part in ("margin", "trade", "limits")])
        moved, sides = FundingWord.unpack(words[0]), SidesWord.unpack(words[1])
        sums = [signed(word) for word in words[2:]]
        market = MarketBook(
            number,
            config.MarginWord.unpack(settings[0]),
            config.TradeWord.unpack(settings[1]),
            config.LimitsWord.unpack(settings[2]),
            index=moved.index,
            rate=moved.rate,
            time=moved.time,
            price=moved.price,
            owed=sums[4],
            long=SideBook(True, sides.long_shares, sides.long_event, sums[0], sums[2]),
            short=SideBook(False, sides.short_shares, sides.short_event, sums[1], sums[3]),
        )
        for one in (market.long, market.short):
            for event in range(1, one.number + 1):
                word = EventWord.unpack(reader.word("events_", number, int(one.long), event))
                self.events[number, one.long, event] = word
                one.scale, one.offset, one.epoch = word.scale, word.offset, word.epoch
            for epoch in range(one.epoch):
                end = signed(reader.word("epochEnds_", number, int(one.long), epoch))
                self.ends[number, one.long, epoch] = end
        market.loss = market.worth()
        return market

    def _load_account(self, account: bytes) -> AccountBook:
        reader = self.protocol.reader
        indices = [number & 0xFF for number in self.markets]
        kinds = range(len(self.collaterals))
        paths: list[Key] = [("accounts_", account), ("saleStart_", account)]
        paths += [("positions_", account, index) for index in indices]
        paths += [("collateral_", account, index) for index in kinds]
        word, sale, *rest = reader.words(list(paths))
        positions = {index: PositionWord.unpack(one) for index, one in zip(indices, rest, strict=False)}
        balances = dict(zip(kinds, rest[len(indices) :], strict=True))
        return AccountBook(AccountWord.unpack(word), positions, balances, sale)

    # ── time and prices ────────────────────────────────────────────────────

    def see(self) -> None:
        """The time of the latest block and the prices that a call in it used; accrues everything to it."""
        hub = self.protocol.hub
        assets = {market.margin.asset for market in self.markets.values()}
        for asset in assets | {one.asset for one in self.collaterals} | {self.liquidation.gas_asset} - {0}:
            spot, trend = hub.call("peek", asset)
            self.spots[asset], self.trends[asset] = Spot.unpack(spot), Trend.unpack(trend)
        now = self.protocol.now()
        for market in self.markets.values():
            self._accrue(market, now)
        self._accrue_debt(now)

    def _accrue_debt(self, now: int) -> None:
        seconds, self.debt_time = now - self.debt_time, now
        if not self.scaled or not seconds:
            return
        before = self.total_debt
        used = interest.utilisation(before, self.cash)
        curve = self.curve
        rate = interest.rate(used, curve.base, curve.slope1, curve.slope2, curve.kink_ppm)
        self.borrow_index = interest.index_after(self.borrow_index, rate, seconds)
        self.cash += self.total_debt - before

    def _accrue(self, m: MarketBook, now: int) -> None:
        seconds, m.time = now - m.time, now
        if not seconds or m.settled:
            return
        t = m.trade
        velocity, bound = funding.drift(m.rate, m.skew, t.skew_scale, t.r_max, t.v_max, t.dead_band_ppm)
        m.rate, twice = funding.integrate(m.rate, velocity, bound, seconds)
        m.index += funding.index_growth(twice, m.price)

    def reprice(self, m: MarketBook) -> Spot:
        """Takes the latest valid price into a market and values it."""
        spot = self.spots[m.margin.asset]
        if not spot.flags & INVALID and not m.settled:
            m.price = spot.price
        self.mark(m)
        return spot

    def mark(self, m: MarketBook) -> None:
        """Moves the pool's sum of losses to what the market is worth now."""
        loss = m.worth()
        self.loss_sum += loss - m.loss
        m.loss = loss

    # ── money ──────────────────────────────────────────────────────────────

    @property
    def total_debt(self) -> int:
        """D."""
        return interest.total_debt(self.scaled, self.borrow_index)

    @property
    def nav(self) -> int:
        """V − Σ losses."""
        return self.cash - self.loss_sum

    def cash_of(self, account: bytes) -> int:
        """Q."""
        raw = self.accounts[account].word.raw_cash
        return raw if raw >= 0 else -interest.debt_of(-raw, self.borrow_index)

    def add_cash(self, account: bytes, delta: int) -> None:
        """Adds to Q; what rounding leaves over goes to V."""
        book = self.accounts[account]
        raw, cash = book.word.raw_cash, self.cash_of(account)
        after = cash + delta
        effect = positive_part(after) - positive_part(cash) + self.total_debt
        scaled = interest.scaled_for(-after, self.borrow_index) if after < 0 else 0
        if raw < 0 or after < 0:
            self.scaled += scaled - positive_part(-raw)
            effect -= self.total_debt
            self.cash += delta - effect
        book.word = dataclasses.replace(book.word, raw_cash=after if after >= 0 else -scaled)

    # ── positions ──────────────────────────────────────────────────────────

    def event_of(self, m: MarketBook, position: PositionWord) -> tuple[int, int, int]:
        """Scale, offset and epoch that a position has last seen."""
        if position.last_event == 0:
            return ONE, 0, 0
        event = self.events[m.id, position.shares > 0, position.last_event]
        return event.scale, event.offset, event.epoch

    def value_of(self, m: MarketBook, position: PositionWord, price: int) -> tuple[int, int]:
        """Signed size and profit since the last touch."""
        if not position.shares:
            return 0, 0
        one = m.side(position.shares > 0)
        epoch = self.event_of(m, position)[2]
        if epoch != one.epoch:
            return 0, side.profit(position.shares, self.ends[m.id, one.long, epoch], position.entry)
        size = side.size_of(abs(position.shares), one.scale)
        return (size if one.long else -size), side.profit(position.shares, m.value(one, price), position.entry)

    def take_out(self, m: MarketBook, position: PositionWord, price: int) -> tuple[int, int]:
        """Takes a position out of its market; V pays its profit."""
        size, profit = self.value_of(m, position, price)
        self.cash -= profit
        if not position.shares:
            return size, profit
        one = m.side(position.shares > 0)
        scale, offset, epoch = self.event_of(m, position)
        if epoch != one.epoch:
            m.owed -= profit
            return size, profit
        one.shares -= abs(position.shares)
        one.entry_sum -= position.shares * position.entry
        if one.number:
            one.open_sum -= position.shares * side.open_entry(position.entry, scale, offset)
        return size, profit

    def put_in(self, m: MarketBook, size: int, price: int) -> PositionWord:
        """Puts a position into its market."""
        if not size:
            return PositionWord()
        one = m.side(size > 0)
        magnitude = side.shares_for(abs(size), one.scale)
        shares, entry = (magnitude if size > 0 else -magnitude), m.value(one, price)
        one.shares += magnitude
        one.entry_sum += shares * entry
        if one.number:
            one.open_sum += shares * side.open_entry(entry, one.scale, one.offset)
        return PositionWord(shares, entry, one.number)

    def place_position(self, account: bytes, m: MarketBook, size: int, price: int) -> None:
        """Stores a new position of an account."""
        book, index = self.accounts[account], m.id & 0xFF
        book.positions[index] = self.put_in(m, size, price)
        book.word = book.word.with_market(index, size != 0)

    # ── margin ─────────────────────────────────────────────────────────────

    def initial_requirement(self, m: MarketBook, size: int, price: int) -> int:
        """⌈n·P·imr(n)⌉ with the volatility factor."""
        factor = margin.volatility_factor(self.trends[m.margin.asset].variance, m.trade.sigma_ref, m.margin.vol_cap)
        ratio = margin.ratio(m.margin.im_base_ppm, m.margin.im_slope, abs(size))
        return margin.requirement(abs(size), price, margin.scaled_ratio(ratio, factor))

    def maintenance_requirement(self, m: MarketBook, size: int, price: int) -> int:
        """⌈n·P·(mmr(n) + λ)⌉"""
        rate = margin.ratio(m.margin.mm_base_ppm + m.margin.penalty_ppm, m.margin.mm_slope, abs(size))
        return margin.requirement(abs(size), price, rate)

    def initial(self, account: bytes, weight_ppm: int = 0, own: tuple[int, int] | None = None) -> tuple[int, int]:
        """equity^I and IM with the keeper floor; `own` (market, price) prices one market otherwise."""
        equity, required, held = self.cash_of(account), 0, False
        for number, m in self.markets.items():
            price = self.spots[m.margin.asset].price if not m.settled else m.price
            if own is not None and own[0] == number:
                price = own[1]
            size, profit = self.value_of(m, self.accounts[account].positions[number & 0xFF], price)
            equity += margin.weighted_profit(profit, weight_ppm)
            required += self.initial_requirement(m, size, price) if size else 0
            held = held or size != 0
        for index, balance in self.accounts[account].collateral.items():
            one = self.collaterals[index]
            spot, trend = self.spots[one.asset], self.trends[one.asset]
            if balance and not spot.flags:
                price = min(spot.price, trend.ema)
                equity += margin.collateral_value(balance, one.decimals, price, one.weight_initial_ppm)
        return equity, required + (self.risk.keeper_floor if held else 0)

    # ── comparison ─────────────────────────────────────────────────────────

    def differences(self) -> list[str]:
        """Words of storage that are not as they are here. Versions, checks and accounts' orders are left out."""
        money, dues, debt, reserves, sales, _ = self._stored()
        clear = self.scaled == 0 and self.cash >= 0
        flags = PoolFlags.OPEN | PoolFlags.CLEAR if clear else PoolFlags.OPEN
        here = {
            "money": (money, PoolMoneyWord(self.cash, self.insurance).pack()),
            "dues": (dues, PoolDuesWord(self.fees, self.loss_sum, self.escrow, flags).pack()),
            "junior": (reserves & LOW_128, self.junior),
            "openSales": (sales, self.open_sales),
        }
        stored = DebtWord.unpack(debt)
        if self.scaled or stored.scaled_debt:
            here["debt"] = (debt, DebtWord(self.scaled, self.borrow_index, self.debt_time).pack())
        now = self.protocol.now()
        for number, m in self.markets.items():
            fresh = self._load_market(number)
            if fresh.time != now and fresh.long.shares == m.long.shares and fresh.short.shares == m.short.shares:
                continue  # this call did not store the market
            fresh.loss = m.loss
            here[f"market {number}"] = (fresh, m)  # type: ignore[assignment]
        for account, book in self.accounts.items():
            fresh_account = self._load_account(account)
            fresh_account.word = dataclasses.replace(
                fresh_account.word,
                version=book.word.version,
                last_check=book.word.last_check,
                pending_orders=book.word.pending_orders,
            )
            here[f"account {account.hex()}"] = (fresh_account, book)  # type: ignore[assignment]
        return [f"{what}: chain {_show(a)}, Python {_show(b)}" for what, (a, b) in here.items() if a != b]


def _show(value: Any) -> str:
    return hex(value) if isinstance(value, int) else repr(value)
