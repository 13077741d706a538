"""The whole ledger, read from raw storage and added up in Python; and that the logs told the same."""

from __future__ import annotations

from functools import cache

from plimsoll.deploy.deployment import Deployment, PoolHandles
from plimsoll.deploy.storage import StorageSlots, load_words
from plimsoll.model.interest import total_debt
from plimsoll.model.market import SideState, market_loss
from plimsoll.model.side import profit, side_profit, unit_value
from plimsoll.model.words import (
    AccountWord,
    DebtWord,
    FundingWord,
    PoolDuesWord,
    PoolMoneyWord,
    PositionWord,
    SidesWord,
    TradeWord,
)
from plimsoll.risk.invariants import Invariants
from plimsoll.risk.setting import ReplayError
from plimsoll.risk.watch import Watcher

__all__ = ["Books"]

LOW_128 = (1 << 128) - 1


class Books:
    """Reads and checks the ledgers of all pools."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._slots = StorageSlots(deployment.artifacts.artifact("Clearinghouse"))
        self._slot = cache(self._slots.at)

    def words(self, paths: list[tuple[object, ...]]) -> list[int]:
        """Storage words of the Clearinghouse."""
        slots = [self._slot(str(path[0]), *path[1:]) for path in paths]
        return load_words(self._deployment.clearinghouse, slots)

    def check(self, watcher: Watcher, invariants: Invariants) -> None:
        """All identities of all pools, now."""
        booked: dict[str, int] = {}
        for pool in self._deployment.pools.values():
            self._pool(pool, watcher, invariants, booked)
        for name, token in self._deployment.tokens.items():
            balance = token.call("balanceOf", self._deployment.clearinghouse.address)
            invariants.note("INV-01", balance - booked.get(name, 0), f"{name}: balance {balance}")

    def _pool(self, pool: PoolHandles, watcher: Watcher, invariants: Invariants, booked: dict[str, int]) -> None:
        token = pool.settlement.address
        paths: list[tuple[object, ...]] = [("pools_", pool.id, part) for part in ("money", "dues", "debt", "junior")]
        paths += [(variable, pool.id, token) for variable in ("held_", "claimTotals_")]
        money_word, dues_word, debt_word, reserves, held, claims = self.words(paths)
        money, dues, debt = PoolMoneyWord.unpack(money_word), PoolDuesWord.unpack(dues_word), DebtWord.unpack(debt_word)
        keys = [key for key in watcher.accounts if int.from_bytes(key[20:22], "big") == pool.id]
        accounts = [AccountWord.unpack(word) for word in self.words([("accounts_", key) for key in keys])]
        told = [watcher.accounts[key] for key in keys]
        if accounts != told:
            raise ReplayError(f"the logs of pool {pool.name} do not tell the accounts that its storage holds")
        positive = sum(max(word.raw_cash, 0) for word in accounts)
        terms = positive - total_debt(debt.scaled_debt, debt.borrow_index) + money.cash + money.insurance
        terms += (reserves & LOW_128) + (reserves >> 128) + dues.fees + dues.escrow + claims
        invariants.note("INV-02", -abs(held - terms), f"held of pool {pool.name} is {held - terms} off its terms")
        scaled = sum(max(-word.raw_cash, 0) for word in accounts)
        invariants.note("INV-02", -abs(debt.scaled_debt - scaled), f"scaled debt of pool {pool.name}")
        settlement = next(name for name, one in self._deployment.tokens.items() if one.address == token)
        booked[settlement] = booked.get(settlement, 0) - (-held // 10 ** (18 - pool.decimals))
        losses = 0
        for name, market in pool.markets.items():
            losses += self._market(f"{pool.name}/{name}", market, keys, watcher, invariants)
        invariants.note("INV-02", -abs(dues.loss_sum - losses), f"losses of pool {pool.name}")
        for name, index in pool.collateral.items():
            address = self._deployment.tokens[name].address
            balances = self.words([("collateral_", key, index) for key in keys])
            paths = [(variable, pool.id, address) for variable in ("held_", "claimTotals_")]
            has, owed, cap = self.words([*paths, ("collateralCaps_", pool.id, index)])
            invariants.note("INV-01", -abs(has - owed - sum(balances)), f"{name} of pool {pool.name}")
            invariants.note("INV-38", cap - has + owed, f"{name} of pool {pool.name}")
            booked[name] = booked.get(name, 0) + has

    def _market(self, name: str, market: int, keys: list[bytes], watcher: Watcher, invariants: Invariants) -> int:
        """Checks the sums of both sides; gives the market's part of the pool's losses."""
        parts = ("funding", "sides", "longEntrySum", "shortEntrySum", "owed")
        paths: list[tuple[object, ...]] = [("markets_", market, part) for part in parts]
        funding_word, sides_word, *sums, trade_word = self.words([*paths, ("marketConfigs_", market, "trade")])
        funding, sides = FundingWord.unpack(funding_word), SidesWord.unpack(sides_word)
        long_sum, short_sum, owed = (value - (1 << 256) if value >> 255 else value for value in sums)
        words = self.words([("positions_", key, market & 0xFF) for key in keys])
        positions = [PositionWord.unpack(word) for word in words]
        for key, position in zip(keys, positions, strict=True):
            if position != watcher.positions.get((key, market), PositionWord()):
                raise ReplayError(f"the logs of market {name} do not tell the position of 0x{key.hex()}")
        states = []
        for long, shares, entry_sum in ((True, sides.long_shares, long_sum), (False, -sides.short_shares, short_sum)):
            side = SideState(shares, entry_sum, watcher.last_event(market, long))
            states.append(side)
            own = [p for p in positions if p.shares and (p.shares > 0) == long]
            live = [
                p
                for p in own
                if self._epoch(watcher, market, long, p.last_event) == (side.event.epoch if side.event else 0)
            ]
            invariants.note("INV-03", -abs(shares - sum(p.shares for p in live)), f"shares of {name}, long={long}")
            entries = sum(p.shares * p.entry for p in live)
            invariants.note("INV-04", -abs(entry_sum - entries), f"entry sum of {name}, long={long}")
            if not live:
                continue
            value = unit_value(side.scale, side.offset, funding.price, funding.index, long)
            owing = side_profit(shares, value, entry_sum) - sum(profit(p.shares, value, p.entry) for p in live)
            # Each profit is rounded down and the side's up: by less than a wei each.
            invariants.note("INV-04", min(owing, len(live) + 1 - owing), f"profit of {name}, long={long}: {owing}")
        trade = TradeWord.unpack(trade_word)
        return market_loss(funding, states[0], states[1], owed, trade.skew_scale)

    @staticmethod
    def _epoch(watcher: Watcher, market: int, long: bool, number: int) -> int:
        event = watcher.side_events.get((market, long, number))
        return event.epoch if event else 0
