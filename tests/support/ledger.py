"""The ledger of one pool, read from raw storage, and the identities that must hold after every call.

All accounts that ever existed are found by the events of their first words, so no test can forget one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from plimsoll.chain.contract import Contract
from plimsoll.deploy.deployment import Deployment, PoolHandles
from plimsoll.deploy.storage import StorageSlots, load_words
from plimsoll.model.interest import total_debt
from plimsoll.model.market import SideState, market_loss
from plimsoll.model.words import (
    AccountWord,
    CollateralWord,
    DebtWord,
    EventWord,
    FundingWord,
    PoolDuesWord,
    PoolMoneyWord,
    PoolSettlementWord,
    PositionWord,
    SidesWord,
    TradeWord,
)

__all__ = ["LedgerReader", "PoolLedger", "SideSums"]

LOW_128 = (1 << 128) - 1
FIRST_WORDS = {"AccountSet": 1, "Deposited": 2, "Filled": 3, "Liquidated": 2}
"""Events that may carry the first word of an account, and which of their topics it is."""


@dataclass(frozen=True, slots=True)
class SideSums:
    """R and Z of one side of a market: stored, and summed over the accounts whose position is in the running epoch."""

    shares: int
    entry_sum: int
    account_shares: int
    account_entry_sum: int


@dataclass(frozen=True, slots=True)
class PoolLedger:
    """The terms of `held = Σ max(Q, 0) − D + V + insurance + junior + fees + escrow + claimable`, WAD, as stored."""

    pool: str
    held: int
    positive_cash: int
    debt: int
    cash: int
    insurance: int
    junior: int
    fees: int
    escrow: int
    lp_escrow: int
    claims: int
    loss_sum: int
    market_losses: int
    scaled_debt: int
    account_scaled_debt: int
    collateral_held: dict[str, int]
    """Native units per collateral token."""
    collateral_owned: dict[str, int]
    """Σ of balances and claims per collateral token."""
    sides: dict[tuple[str, str], SideSums]
    accounts: dict[bytes, AccountWord] = field(repr=False)

    @property
    def slack(self) -> int:
        """held − the sum of its terms; 0 when the ledger adds up."""
        terms = self.positive_cash - self.debt + self.cash + self.insurance + self.junior + self.fees
        return self.held - (terms + self.escrow + self.lp_escrow + self.claims)

    @property
    def nav(self) -> int:
        """V minus the losses of the markets' last priced calls."""
        return self.cash - self.loss_sum

    def problems(self) -> list[str]:
        """Every identity that does not hold."""
        found = []
        if self.slack:
            found.append(f"held is {self.slack} wei off the sum of its terms: {self}")
        if self.scaled_debt != self.account_scaled_debt:
            found.append(f"scaled debt {self.scaled_debt}, accounts have {self.account_scaled_debt}")
        if self.loss_sum != self.market_losses:
            found.append(f"loss sum {self.loss_sum}, markets have {self.market_losses}")
        if self.collateral_held != self.collateral_owned:
            found.append(f"collateral held {self.collateral_held}, owned {self.collateral_owned}")
        for side, sums in self.sides.items():
            if (sums.shares, sums.entry_sum) != (sums.account_shares, sums.account_entry_sum):
                found.append(f"sums of {' '.join(side)} differ from the accounts': {sums}")
        return [f"pool {self.pool}: {problem}" for problem in found]


class LedgerReader:
    """Reads ledgers of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.clearinghouse = deployment.clearinghouse
        self.slots = StorageSlots(deployment.artifacts.artifact("Clearinghouse"))

    def word(self, variable: str, *path: object) -> int:
        """One storage word of the Clearinghouse."""
        return self.words([(variable, *path)])[0]

    def words(self, paths: Sequence[tuple[object, ...]]) -> list[int]:
        """Storage words of the Clearinghouse."""
        return load_words(self.clearinghouse, [self.slots.at(str(path[0]), *path[1:]) for path in paths])

    def accounts(self, pool: PoolHandles) -> list[bytes]:
        """Every account of a pool that was ever written."""
        return [key for key in self._written() if int.from_bytes(key[20:22], "big") == pool.id]

    def tokens(self) -> list[tuple[Contract, int, int]]:
        """Every token with what the Clearinghouse has of it and what the pools' ledgers say, native units."""
        found = []
        for token in self.deployment.tokens.values():
            booked = 0
            for pool in self.deployment.pools.values():
                held = self.word("held_", pool.id, token.address)
                settles = pool.settlement.address == token.address
                booked += -(-held // 10 ** (18 - pool.decimals)) if settles else held
            found.append((token, token.call("balanceOf", self.clearinghouse.address), booked))
        return found

    def ledger(self, name: str) -> PoolLedger:
        """The ledger of a pool."""
        pool = self.deployment.pools[name]
        token = pool.settlement.address
        paths: list[tuple[object, ...]] = [("pools_", pool.id, part) for part in ("money", "dues", "debt", "junior")]
        paths += [(variable, pool.id, token) for variable in ("held_", "claimTotals_")]
        money_word, dues_word, debt_word, reserves, held, claims = self.words(paths)
        money, dues = PoolMoneyWord.unpack(money_word), PoolDuesWord.unpack(dues_word)
        debt = DebtWord.unpack(debt_word)
        keys = self.accounts(pool)
        words = dict(zip(keys, map(AccountWord.unpack, self.words([("accounts_", key) for key in keys])), strict=True))
        return PoolLedger(
            pool=name,
            held=held,
            positive_cash=sum(max(word.raw_cash, 0) for word in words.values()),
            debt=total_debt(debt.scaled_debt, debt.borrow_index),
            cash=money.cash,
            insurance=money.insurance,
            junior=reserves & LOW_128,
            fees=dues.fees,
            escrow=dues.escrow,
            lp_escrow=reserves >> 128,
            claims=claims,
            loss_sum=dues.loss_sum,
            market_losses=sum(map(self.market_loss, pool.markets.values())),
            scaled_debt=debt.scaled_debt,
            account_scaled_debt=sum(max(-word.raw_cash, 0) for word in words.values()),
            **self._collateral(pool, keys),
            sides=self._sides(pool, keys),
            accounts=words,
        )

    def _collateral(self, pool: PoolHandles, keys: list[bytes]) -> dict[str, dict[str, int]]:
        count = PoolSettlementWord.unpack(self.word("poolConfigs_", pool.id, "settlement")).collateral_count
        held: dict[str, int] = {}
        owned: dict[str, int] = {}
        for index in range(count):
            config = CollateralWord.unpack(self.word("collateralConfigs_", pool.id, index))
            balances = self.words([("collateral_", key, index) for key in keys])
            held[config.token] = self.word("held_", pool.id, config.token)
            owned[config.token] = sum(balances) + self.word("claimTotals_", pool.id, config.token)
        return {"collateral_held": held, "collateral_owned": owned}

    def _sides(self, pool: PoolHandles, keys: list[bytes]) -> dict[tuple[str, str], SideSums]:
        found = {}
        for name, market in pool.markets.items():
            sides = SidesWord.unpack(self.word("markets_", market, "sides"))
            index = market & 0xFF
            positions = [PositionWord.unpack(w) for w in self.words([("positions_", key, index) for key in keys])]
            for side, key, shares, last in (
                ("long", 1, sides.long_shares, sides.long_event),
                ("short", 0, -sides.short_shares, sides.short_event),
            ):
                own = [p for p in positions if p.shares and (p.shares > 0) == (side == "long")]
                epoch = self._epoch(market, key, last)
                live = [p for p in own if self._epoch(market, key, p.last_event) == epoch]
                entry_sum = self.word("markets_", market, f"{side}EntrySum")
                found[name, side] = SideSums(
                    shares,
                    entry_sum - (1 << 256) if entry_sum >> 255 else entry_sum,
                    sum(p.shares for p in live),
                    sum(p.shares * p.entry for p in live),
                )
        return found

    def market_loss(self, market: int) -> int:
        """What the pool owes the traders of a market, recomputed from its stored words."""
        parts = ("funding", "sides", "longEntrySum", "shortEntrySum", "owed")
        funding, sides_word, *sums = self.words([("markets_", market, part) for part in parts])
        sides = SidesWord.unpack(sides_word)
        long_sum, short_sum, owed = (value - (1 << 256) if value >> 255 else value for value in sums)
        trade = TradeWord.unpack(self.word("marketConfigs_", market, "trade"))
        return market_loss(
            FundingWord.unpack(funding),
            SideState(sides.long_shares, long_sum, self._event(market, 1, sides.long_event)),
            SideState(-sides.short_shares, short_sum, self._event(market, 0, sides.short_event)),
            owed,
            trade.skew_scale,
        )

    def _event(self, market: int, side: int, number: int) -> EventWord | None:
        return EventWord.unpack(self.word("events_", market, side, number)) if number else None

    def _epoch(self, market: int, side: int, number: int) -> int:
        return EventWord.unpack(self.word("events_", market, side, number)).epoch if number else 0

    def _written(self) -> list[bytes]:
        places = {self.deployment.clearinghouse_topic(event): place for event, place in FIRST_WORDS.items()}
        query = {"fromBlock": hex(self.deployment.book.first_block), "toBlock": "latest"}
        logs = self.deployment.rpc.request(
            "eth_getLogs", [{**query, "address": self.clearinghouse.address, "topics": [list(places)]}]
        )
        found = dict.fromkeys(bytes.fromhex(log["topics"][places[log["topics"][0]]][2:]) for log in logs)
        # The keeper of a fill or liquidation may have no account in the pool.
        return [key for key, word in zip(found, self.words([("accounts_", key) for key in found]), strict=True) if word]

    def funding(self, market: int) -> FundingWord:
        """The funding word of a market."""
        return FundingWord.unpack(self.word("markets_", market, "funding"))
