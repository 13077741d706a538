"""Reads a whole model `State` from the storage of a deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plimsoll.chain.artifacts import Artifacts
from plimsoll.fuzz.cells import Layout
from plimsoll.model import config_words as config
from plimsoll.model.engine.feeds import CHAINLINK, NO_MAX, Asset, Feed, Round, Sequencer
from plimsoll.model.engine.lp_state import LpState
from plimsoll.model.engine.state import (
    Account,
    Collateral,
    Event,
    Market,
    MarketTerms,
    Pool,
    PoolTerms,
    Position,
    Queue,
    Side,
    State,
    Token,
    account_id,
    market_id,
)
from plimsoll.model.oracle import OracleState
from plimsoll.model.order_words import RulesWord
from plimsoll.model.pool import Epoch, Mark, PoolBook, Request, Strike
from plimsoll.model.pool import Queue as PoolQueue
from plimsoll.model.pool import Side as PoolSide
from plimsoll.model.words import (
    AccountWord,
    DebtWord,
    EventWord,
    FeedWord,
    FundingWord,
    PoolDuesWord,
    PoolMoneyWord,
    PositionWord,
    SidesWord,
    StateWord,
)

__all__ = ["Scope", "StateReader"]

Words = Callable[[str, Sequence[int]], Sequence[int]]
REQUEST = ("amount", "claimedIn", "claimedOut")


@dataclass(frozen=True, slots=True)
class Scope:
    """What there is to read: contracts by name, ids of pools, and everyone who may own something.

    :param lp_terms: by pool, what a share token was created with: (start, epoch length, delay, least deposit).
    """

    addresses: Mapping[str, str]
    pools: Sequence[int]
    owners: Sequence[int]
    subs: Sequence[int] = (0,)
    lp_terms: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    book_owner: int = 0


class StateReader:
    """Reads states of one deployment.

    :param words: raw storage: contract address and slots to words.
    """

    def __init__(self, artifacts: Artifacts, scope: Scope, words: Words) -> None:
        self._ledger = Layout(artifacts.artifact("Clearinghouse"))
        self._book = Layout(artifacts.artifact("OrderBook"))
        self._hub = Layout(artifacts.artifact("OracleHub"))
        self._token = Layout(artifacts.artifact("MockToken"))
        self._share = Layout(artifacts.artifact("LiquidityPool"))
        self._feed = Layout(artifacts.artifact("MockAggregator"))
        self._uptime = Layout(artifacts.artifact("MockSequencerFeed"))
        self._scope = scope
        self._words = words

    def read(self, time: int, base_fee: int = 0) -> State:
        """The state as storage has it now; blocks' time and base fee are the caller's to say."""
        scalars: dict[str, Any] = {"time": time, "base_fee": base_fee}
        self._at = self._scope.addresses["Clearinghouse"]
        self._tables: dict[str, dict[Any, Any]] = {}
        for pool in self._scope.pools:
            self._read_pool(pool)
        self._read_assets()
        self._read_tokens()
        self._read_orders()
        scalars["clearinghouse"] = int(self._at, 16)
        scalars["order_book"] = int(self._scope.addresses["OrderBook"], 16)
        for name, variable in (("owner", "owner_"), ("pending_owner", "pendingOwner_"), ("guardian", "guardian_")):
            scalars[name] = self._one(variable)
        lps = {pool: self._read_lp(pool) for pool in self._scope.pools if pool in self._scope.lp_terms}
        return State(**scalars, **{**self._tables}, lps=lps, sequencer=self._read_sequencer())  # type: ignore[arg-type]

    # ── words ──────────────────────────────────────────────────────────────

    def _one(self, variable: str, *path: Any) -> int:
        return self._words(self._at, [self._ledger.slot(variable, *path)])[0]

    def _many(self, variable: str, key: Any, names: Iterable[str]) -> list[int]:
        keys = key if isinstance(key, tuple) else (key,)
        return list(self._words(self._at, [self._ledger.slot(variable, *keys, name) for name in names]))

    def _at_field(self, address: str, layout: Layout, variable: str, *path: Any) -> int:
        slot, shift, bits = layout.place(variable, *path)
        return self._words(address, [slot])[0] >> shift & (1 << bits) - 1

    def _put(self, table: str, key: Any, value: Any, empty: Any = 0) -> None:
        entries = self._tables.setdefault(table, {})
        if value != empty:
            entries[key] = value

    # ── pools, markets, accounts ───────────────────────────────────────────

    def _read_pool(self, pool: int) -> None:
        words = self._many("poolConfigs_", pool, ("risk", "liquidation", "settlement", "interest", "liquidity"))
        terms = PoolTerms(
            config.PoolRiskWord.unpack(words[0]),
            config.PoolLiquidationWord.unpack(words[1]),
            config.PoolSettlementWord.unpack(words[2]),
            config.PoolInterestWord.unpack(words[3]),
            config.PoolLiquidityWord.unpack(words[4]),
        )
        self._put("pool_terms", pool, terms)
        words = self._many("pools_", pool, ("money", "dues", "debt", "junior", "openSales"))
        money, dues, debt = PoolMoneyWord.unpack(words[0]), PoolDuesWord.unpack(words[1]), DebtWord.unpack(words[2])
        found = Pool(
            money.cash,
            money.insurance,
            dues.fees,
            dues.loss_sum,
            dues.escrow,
            debt.scaled_debt,
            debt.borrow_index,
            debt.time,
        )
        self._put("pools", pool, found)
        self._put("junior", pool, words[3] % 2**128)
        self._put("lp_escrow", pool, words[3] >> 128)
        self._put("open_sales", pool, words[4])
        markets = [market_id(pool, index) for index in range(terms.settlement.market_count)]
        for market in markets:
            self._read_market(market)
        tokens = [terms.token]
        for index in range(terms.settlement.collateral_count):
            word = config.CollateralWord.unpack(self._one("collateralConfigs_", pool, index))
            tokens.append(int(word.token, 16))
            one = Collateral(word, tokens[-1], self._one("collateralCaps_", pool, index))
            self._put("collaterals", (pool, index), one)
        self._read_accounts(pool, len(markets), terms.settlement.collateral_count)
        share = int(terms.liquidity.share_token, 16)
        for token in tokens:
            self._put("held", (pool, token), self._one("held_", pool, token))
            self._put("claim_totals", (pool, token), self._one("claimTotals_", pool, token))
            for owner in (*self._scope.owners, share):
                self._put("claims", (pool, token, owner), self._one("claims_", pool, token, owner))

    def _read_market(self, market: int) -> None:
        words = self._many("marketConfigs_", market, ("margin", "trade", "limits"))
        terms = MarketTerms(
            config.MarginWord.unpack(words[0]),
            config.TradeWord.unpack(words[1]),
            config.LimitsWord.unpack(words[2]),
        )
        self._put("market_terms", market, terms)
        sums = ("longEntrySum", "shortEntrySum", "longOpenEntrySum", "shortOpenEntrySum", "owed")
        words = self._many("markets_", market, ("funding", "sides", *sums))
        moved, sides = FundingWord.unpack(words[0]), SidesWord.unpack(words[1])
        z_long, z_short, y_long, y_short, owed = (_signed(word) for word in words[2:])
        long = Side(sides.long_shares, sides.long_event, z_long, y_long)
        short = Side(sides.short_shares, sides.short_event, z_short, y_short)
        self._put("markets", market, Market(moved.index, moved.rate, moved.time, moved.price, owed, long, short))
        self._tables.setdefault("events", {})
        self._tables.setdefault("epoch_ends", {})
        for is_long, one in ((True, long), (False, short)):
            epochs = 0
            for number in range(1, one.events + 1):
                word = EventWord.unpack(self._one("events_", market, int(is_long), number))
                self._put("events", (market, is_long, number), Event(word.scale, word.offset, word.epoch))
                epochs = word.epoch
            for epoch in range(epochs):
                end = _signed(self._one("epochEnds_", market, int(is_long), epoch))
                self._put("epoch_ends", (market, is_long, epoch), end, None)

    def _read_accounts(self, pool: int, markets: int, kinds: int) -> None:
        for name in ("accounts", "positions", "collateral", "sales"):
            self._tables.setdefault(name, {})
        for owner in self._scope.owners:
            for sub in self._scope.subs:
                account = account_id(owner, pool, sub)
                word = self._one("accounts_", account)
                if word:
                    a = AccountWord.unpack(word)
                    one = Account(a.raw_cash, a.markets, a.collaterals, a.version, a.last_check, a.pending_orders)
                    self._put("accounts", account, one)
                self._put("sales", account, self._one("saleStart_", account))
                for index in range(markets):
                    p = PositionWord.unpack(self._one("positions_", account, index))
                    position = Position(p.shares, p.entry, p.last_event)
                    self._put("positions", (account, index), position, Position())
                for index in range(kinds):
                    self._put("collateral", (account, index), self._one("collateral_", account, index))

    # ── orders ─────────────────────────────────────────────────────────────

    def _read_orders(self) -> None:
        """Queues without their orders, of which storage has only hashes: to be read when nothing is pending."""
        at = self._scope.addresses["OrderBook"]
        self._tables.setdefault("queues", {})
        for market in self._tables["markets"]:
            word = self._words(at, [self._book.slot("_rules", market)])[0]
            self._put("rules", market, RulesWord.unpack(word))
            for owner in self._scope.owners:
                for sub in self._scope.subs:
                    account = account_id(owner, market >> 8, sub)
                    word = self._words(at, [self._book.slot("_queues", account, market, "word")])[0]
                    self._put("queues", (account, market), Queue(word % 2**32), Queue())

    # ── prices ─────────────────────────────────────────────────────────────

    def _read_assets(self) -> None:
        assets = {terms.margin.asset for terms in self._tables["market_terms"].values()}
        assets |= {one.terms.asset for one in self._tables.get("collaterals", {}).values()}
        assets |= {terms.liquidation.gas_asset for terms in self._tables["pool_terms"].values()}
        for name in ("feeds", "deviated_since"):
            self._tables.setdefault(name, {})
        for asset in sorted(assets - {0}):
            self._read_asset(asset)

    def _read_asset(self, asset: int) -> None:
        at, hub = self._scope.addresses["OracleHub"], self._hub
        feed = FeedWord.unpack(self._words(at, [hub.slot("_feeds", asset)])[0])
        state = StateWord.unpack(self._words(at, [hub.slot("_states", asset)])[0])

        def setting(name: str) -> int:
            return self._at_field(at, hub, "_configs", asset, name)

        least, largest = feed.min_small, NO_MAX
        if feed.has_bounds:
            word = self._words(at, [hub.slot("_answerBounds", asset)])[0]
            least, largest = word % 2**128, word >> 128
        secondary = setting("secondary") if feed.has_secondary else 0
        decimals = 0
        if secondary:
            word = self._words(at, [hub.slot("_secondaries", asset)])[0]
            decimals = word >> 160 & 0x1F
            self._put("deviated_since", asset, word >> 220 & 0xFFFFFFFF)
        one = Asset(
            kind=feed.kind,
            feed=int(feed.feed, 16),
            decimals=feed.decimals,
            max_age=feed.max_age,
            band_ppm=feed.band_ppm,
            tau=feed.tau,
            max_uncertainty_ppm=feed.max_uncertainty_ppm,
            least=least,
            largest=largest,
            fixed_price=setting("fixedPrice"),
            secondary=secondary,
            secondary_decimals=decimals,
            secondary_max_age=setting("secondaryMaxAge"),
            max_deviation_ppm=setting("maxDeviationPpm"),
            deviation_timeout=setting("deviationTimeout"),
            bound_base_ppm=setting("boundBasePpm"),
            bound_per_hour_ppm=setting("boundPerHourPpm"),
            bound_cap_ppm=setting("boundCapPpm"),
        )
        self._put("assets", asset, one)
        self._put("asset_states", asset, OracleState(state.price, state.ema, state.variance, state.time))
        if feed.kind == CHAINLINK:
            self._put("feeds", one.feed, self._read_feed(one.feed))
        if secondary:
            self._put("feeds", secondary, self._read_feed(secondary))

    def _read_feed(self, feed: int) -> Feed:
        at, layout = _address(feed), self._feed
        latest = self._at_field(at, layout, "latestRound")
        rounds = {}
        for number in range(1, latest + 1):
            answer = _signed(self._at_field(at, layout, "_rounds", number, "answer"))
            updated = self._at_field(at, layout, "_rounds", number, "updatedAt")
            answered = self._at_field(at, layout, "_rounds", number, "answeredInRound")
            rounds[number] = Round(answer, updated, answered)
        decimals = self._at_field(at, layout, "decimals")
        return Feed(decimals, rounds, latest, self._at_field(at, layout, "mode") == 0)

    def _read_sequencer(self) -> Sequencer:
        at = self._scope.addresses["OracleHub"]
        feed = self._at_field(at, self._hub, "_sequencer")
        if not feed:
            return Sequencer()
        grace = self._at_field(at, self._hub, "_grace")
        status, since = (self._at_field(_address(feed), self._uptime, name) for name in ("answer", "startedAt"))
        return Sequencer(feed, grace, not self._at_field(_address(feed), self._uptime, "broken"), status != 0, since)

    # ── tokens ─────────────────────────────────────────────────────────────

    def _read_tokens(self) -> None:
        for name in ("balances", "allowances"):
            self._tables.setdefault(name, {})
        tokens = {terms.token: terms.settlement.decimals for terms in self._tables["pool_terms"].values()}
        tokens |= {one.token: one.terms.decimals for one in self._tables.get("collaterals", {}).values()}
        ledger = int(self._at, 16)
        for token, decimals in tokens.items():
            at = _address(token)
            self._put("tokens", token, Token(decimals))
            for holder in (*self._scope.owners, ledger):
                balance = self._words(at, [self._token.slot("_balances", holder)])[0]
                self._put("balances", (token, holder), balance)
                allowed = self._words(at, [self._token.slot("_allowances", holder, ledger)])[0]
                self._put("allowances", (token, holder, ledger), allowed)

    # ── share tokens ───────────────────────────────────────────────────────

    def _read_lp(self, pool: int) -> LpState:
        terms = self._tables["pool_terms"][pool]
        address = int(terms.liquidity.share_token, 16)
        at = _address(address)
        start, length, delay, least = self._scope.lp_terms[pool]

        def value(variable: str, *path: Any) -> int:
            return self._at_field(at, self._share, variable, *path)

        balances = {owner: value("_balances", owner) for owner in (*self._scope.owners, address, 0xDEAD)}
        return LpState(
            address=address,
            pool=pool,
            asset=terms.token,
            unit=terms.settlement.unit,
            start=start,
            epoch_length=length,
            lp_delay=delay,
            min_deposit=least,
            min_share_price=value("minSharePrice"),
            strike_reward=value("strikeReward"),
            owner=value("_owner"),
            supply=value("_totalSupply"),
            balances={owner: balance for owner, balance in balances.items() if balance},
            book=self._read_book(value, (*self._scope.owners, address)),
        )

    def _read_book(self, value: Callable[..., int], controllers: Iterable[int]) -> PoolBook:
        def of(*path: Any) -> int:
            return value("_book", *path)

        queue = PoolQueue(*(of("queue", name) for name in ("product", "shares", "round", "scale")))
        book = PoolBook(of("struckThrough"), of("nextBusy"), queue)
        book.busy_epochs = [of("busyEpochs", index) for index in range(of("busyEpochs"))]
        for number in book.busy_epochs:
            book.epochs[number] = Epoch(*(of("epochs", number, name) for name in ("deposits", "redeems", "strike")))
        for number in range(1, of("strikeCount") + 1):
            entry = Mark(*(of("strikes", number, "entry", name) for name in ("product", "sum", "round", "scale")))
            deposited, minted = (of("strikes", number, name) for name in ("deposited", "minted"))
            book.strikes.append(Strike(deposited, minted, entry))
        for turn in range(1, queue.round + 1):
            for scale in range(queue.scale + 2):
                total = of("sums", turn, scale)
                if total or any((one.entry.round, one.entry.scale) == (turn, scale) for one in book.strikes):
                    book.sums[turn, scale] = total
        for direction in PoolSide:
            for controller in controllers:
                where = ("requests", direction.value, controller)
                epochs = [of(*where, "epochs", index) for index in range(of(*where, "epochs"))]
                if epochs:
                    book.heads[direction, controller] = of(*where, "head")
                    book.requests[direction, controller] = {
                        epoch: Request(*(of(*where, "byEpoch", epoch, name) for name in REQUEST)) for epoch in epochs
                    }
        return book


def _signed(word: int) -> int:
    return word - 2**256 if word >> 255 else word


def _address(number: int) -> str:
    return f"0x{number:040x}"
