"""A crowd of accounts for measurements: rows of a deployment with as many as wanted, drawn from a seed.

One pool. A third of all positions is in the two largest markets; seven of ten accounts have one position, the others
two to eight; some hold collateral, a part of these in debt. Leverage goes from 1 to just before the line; one account
in five thousand is beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.rows import Kind, Row, collateral_key, market_key, pool_key
from plimsoll.model.config_words import MarketFlags
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.model.words import (
    AccountWord,
    DebtWord,
    FundingWord,
    PoolDuesWord,
    PoolFlags,
    PoolMoneyWord,
    SidesWord,
)
from plimsoll.units import NANO, WAD

__all__ = ["Crowd"]

POOL = 1
START = 1_750_000_000
DAY = 86_400
TOKENS = 4
"""Collateral tokens; the first few assets are what they are tokens of."""
DECIMALS = 18
SHAPES = (1, 2, 4, 8)
"""Positions of an account."""
FREQUENCIES = (0.72, 0.19, 0.07, 0.02)
WITH_COLLATERAL, IN_DEBT = 0.08, 0.3
NOTIONAL = (2e2, 5e5)
MOST_LEVERAGE = 28
"""The line is at 30 and a little."""
BELOW = 2e-4
"""Part of the accounts that are below their line from the start."""
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Crowd:
    """Accounts and markets of a seed.

    :param accounts: how many; with about one and a half positions each.
    :param markets: 1 … 32.
    """

    accounts: int
    markets: int = 32
    seed: int = 1

    @property
    def prices(self) -> list[int]:
        """Price of each market at the start, WAD."""
        return [int(60_000 / 1.4**i * 10**6) * 10**12 for i in range(self.markets)]

    def observations(self, time: int = START, moves: Floats | None = None) -> Observations:
        """Prices of all assets, moved by these parts of themselves."""
        found = {}
        for index, price in enumerate(self.prices):
            moved = price if moves is None else int(price * (1 + float(moves[index]))) // 10**10 * 10**10
            found[index + 1] = (Spot(moved, 0, time, 0, 100), Trend(moved, 0, 0))
        return Observations(time, found)

    def decimals(self) -> dict[int, int]:
        """Decimals of the tokens."""
        return {1: 6} | dict.fromkeys(range(2, 2 + TOKENS), DECIMALS)

    # ── rows ───────────────────────────────────────────────────────────────

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """All rows, as a database has them."""
        yield from self._pool()
        for index, price in enumerate(self.prices):
            yield from self._market(index, price)
        chance = np.random.default_rng(self.seed)
        for start in range(0, self.accounts, 100_000):
            yield from self._accounts(chance, start, min(100_000, self.accounts - start))

    def account(self, number: int) -> bytes:
        """The id of an account."""
        return (0x1000 + number * 7919).to_bytes(20, "big") + POOL.to_bytes(2, "big") + bytes(10)

    def _accounts(self, chance: np.random.Generator, start: int, count: int) -> Iterator[tuple[int, bytes, bytes]]:
        shape = chance.choice(SHAPES, count, p=FREQUENCIES)
        popular = 1 / (3 + np.arange(self.markets))
        popular /= popular.sum()
        # Markets of an account are distinct.
        order = np.argsort(-(np.log(popular) + chance.gumbel(size=(count, self.markets))), axis=1)
        notional = np.exp(chance.uniform(np.log(NOTIONAL[0]), np.log(NOTIONAL[1]), count))
        leverage = np.exp(chance.uniform(0, np.log(MOST_LEVERAGE), count))
        leverage[chance.random(count) < BELOW] = 36
        borrows = chance.random(count) < WITH_COLLATERAL
        debtor = borrows & (chance.random(count) < IN_DEBT)
        for i in range(count):
            account = self.account(start + i)
            held = min(int(shape[i]), self.markets)
            bitmap, profit, each = 0, 0.0, float(notional[i]) / held
            for index in order[i, :held].tolist():
                price = self.prices[index] / WAD
                size = each / price * (1 if (i + index) % 9 < 5 else -1)
                entry = price * (1 + ((i * 31 + index * 17) % 200 - 100) / 1000)
                profit += size * (price - entry)
                bitmap |= 1 << index
                yield Kind.POSITION, account + bytes([index]), position(size, entry)
            equity, kinds = float(notional[i] / leverage[i]), 0
            cash = equity - profit
            if borrows[i]:
                kinds = 1
                part = 1.5 if debtor[i] else 0.3
                balance = equity * part / (self.prices[0] / WAD * 0.85)
                cash -= equity * part
                yield Kind.COLLATERAL, collateral_key(account, 0), word(int(balance * 1e6) * 10**12)
            yield Kind.ACCOUNT, account, account_word(cash, bitmap, kinds, 1)

    def _market(self, index: int, price: int) -> Iterator[tuple[int, bytes, bytes]]:
        units = WAD * 10**6 * WAD // price // NANO * NANO
        params = MarketParams(
            asset=index + 1,
            im_base_ppm=40_000,
            mm_base_ppm=20_000,
            penalty_ppm=10_000,
            reward_rate_ppm=2_500,
            im_slope=WAD * 3 // 100 * WAD // (5 * units),
            mm_slope=WAD * 2 // 100 * WAD // (5 * units),
            vol_cap_percent=400,
            sigma_ref=0,
            skew_scale=4_000 * units,
            oi_cap=20 * units,
            skew_cap=10 * units,
            max_position=5 * units,
            maker_ppm=200,
            taker_ppm=500,
            r_max=5 * WAD // 1_000 // DAY,
            v_max=6 * WAD // DAY // DAY,
            dead_band_ppm=100,
            nav_multiple_ppm=10**6,
            half_band_ppm=1_500,
            move_ppm=5_000,
            gap_ppm=100_000,
        )
        key = market_key(POOL << 8 | index)
        yield Kind.MARKET_CONFIG, key, fields(params)
        yield Kind.MARKET_FLAGS, key, word(int(MarketFlags.LISTED))
        yield Kind.MARKET, key, market_value(price, units, START - 60)

    def _pool(self) -> Iterator[tuple[int, bytes, bytes]]:
        params = PoolParams(
            settlement_token=1,
            max_markets=8,
            max_collaterals=4,
            utilisation_limit_ppm=800_000,
            keeper_floor=WAD // 2,
            min_notional=50 * WAD,
            profit_weight_ppm=500_000,
            insurance_share_ppm=200_000,
            lp_share_ppm=500_000,
            adl_trigger_ppm=450_000,
            adl_target_ppm=300_000,
            target_health_ppm=1_100_000,
            reward_max=500 * WAD,
            gas_units=300_000,
            l1_fee=0,
            gas_asset=1,
            grace_health_ppm=500_000,
            discount_max_ppm=80_000,
            sale_seconds=900,
            interest_base=10**9,
            interest_slope1=10**9,
            interest_slope2=10**10,
            interest_kink_ppm=800_000,
            reserve_factor_ppm=100_000,
            lp_gap_ppm=50_000,
            reference_nav=20_000_000 * WAD,
        )
        key = pool_key(POOL)
        debt = DebtWord(50_000_000 * WAD, WAD, START - 600)
        dues = PoolDuesWord(0, 0, 0, int(PoolFlags.OPEN))
        yield Kind.POOL, key, word(PoolMoneyWord(500_000_000 * WAD, WAD).pack()) + word(dues.pack())
        yield Kind.DEBT, key, word(debt.pack())
        yield Kind.POOL_CONFIG, key, fields(params)
        for index in range(TOKENS):
            collateral = CollateralParams(2 + index, index % self.markets + 1, 800_000, 850_000, 10**30, 0)
            yield Kind.COLLATERAL_CONFIG, key + bytes([index]), fields(collateral)

    # ── events ─────────────────────────────────────────────────────────────

    def fills(self, chance: np.random.Generator, count: int, time: int, stored: Callable[[bytes], bytes]) -> list[Row]:
        """Rows of so many fills in one block: a position of an account changes, and with it its cash.

        :param stored: the word of an account before the block.
        """
        rows: list[Row] = []
        words: dict[bytes, bytes] = {}
        numbers = chance.integers(0, self.accounts, count).tolist()
        for number, draw in zip(numbers, chance.random(count).tolist(), strict=True):
            account = self.account(number)
            old = AccountWord.unpack(int.from_bytes(words.get(account) or stored(account), "big"))
            held = [index for index in range(self.markets) if old.markets >> index & 1]
            index = held[int(draw * len(held))] if held else int(draw * self.markets)
            price = self.prices[index] / WAD
            size = (1 if draw < 0.55 else -1) * (200 + 5_000 * draw) / price
            cash = old.raw_cash / WAD if draw > 0.05 else (300 + 5_000 * draw)
            new = account_word(max(cash, 500.0), old.markets | 1 << index, old.collaterals, (old.version + 1) % 2**32)
            words[account] = new
            rows.append((Kind.ACCOUNT, account, new))
            rows.append((Kind.POSITION, account + bytes([index]), position(size, price)))
            units = WAD * 10**6 * WAD // self.prices[index] // NANO * NANO
            key = market_key(POOL << 8 | index)
            rows.append((Kind.MARKET, key, market_value(self.prices[index], units, time)))
        return rows


def word(value: int) -> bytes:
    """A number as a word."""
    return value.to_bytes(32, "big")


def fields(params: PoolParams | MarketParams | CollateralParams) -> bytes:
    """Parameters as the data of their event."""
    return b"".join(word(getattr(params, name)) for name in params.__slots__)


def position(size: float, entry: float) -> bytes:
    """A position word, as `PositionWord` packs it."""
    shares, value = int(size * 1e9) * NANO, int(entry * 1e12) * 10**12
    return word(shares % (1 << 104) | value % (1 << 128) << 104)


def account_word(cash: float, markets: int, kinds: int, version: int) -> bytes:
    """An account word, as `AccountWord` packs it."""
    raw = int(cash * 1e6) * 10**12 % (1 << 112)
    return word(raw | markets << 112 | kinds << 168 | version << 184 | (START - 3_600) << 216)


def market_value(price: int, units: int, time: int) -> bytes:
    """The words of a market at its starting price."""
    funding = FundingWord(price // 1000, 10**10, time, price)
    sides = SidesWord(12 * units, 9 * units, 0, 0)
    return b"".join(map(word, (funding.pack(), sides.pack(), 12 * units * price * 10**6, 0)))
