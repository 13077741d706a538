"""Reads what decisions need, at one block and in few round trips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plimsoll.chain.contract import Contract, batch_call
from plimsoll.chain.errors import ContractRevert, PlimsollError, Revert, RpcError
from plimsoll.keeper.actions import Key
from plimsoll.keeper.decide import Health, MarketState, Offer, PoolState, Quote, QuoteStatus, Sale, Snapshot, due
from plimsoll.keeper.errors import HeadMovedError
from plimsoll.keeper.mirror import Collateral, Mirror, Order, pool_of
from plimsoll.keeper.options import Options
from plimsoll.keeper.target import Header, Target
from plimsoll.model.oracle_words import Spot
from plimsoll.units import WAD, mul_div_up

__all__ = ["Reader"]

INVALID = 1
DEVIATED = 4
SEQUENCER = 8 | 16
DEVIATED_LONG = 32

Call = tuple[Contract, str, Sequence[Any]]
Asked = tuple[int, int]
"""Asset and price time."""


class Reader:
    """Reads through the Lens, the hub and the tokens."""

    def __init__(self, target: Target, keeper: str, options: Options) -> None:
        self._target = target
        self._keeper = keeper
        self._options = options
        self._page = options.page
        self._decimals: dict[str, int] = {}

    def read(
        self, head: Header, mirror: Mirror, busy: frozenset[Key], poisons: Mapping[bytes, tuple[int, int]]
    ) -> Snapshot:
        """The state at `head`. The first round trip asks for everything; further ones follow only for what is rare
        (a price that is not the newest round, an account whose health cannot be read, a sale).

        :param poisons: accounts whose liquidation failed, with the version and the newest price it failed at.
        :raises HeadMovedError: the node no longer answers for that block.
        """
        exposed = mirror.exposed()
        pools = sorted(mirror.pools)
        queues = mirror.queues()
        wanted = self._wanted(queues, mirror, head.time)
        pages = _pages(exposed, self._page)
        calls: list[Call] = [(self._target.lens, "healthBatch", [page]) for page in pages]
        calls += [(self._target.lens, "pool", [pool]) for pool in pools]
        calls += [(self._target.share(mirror.shares[pool]), "canStrike", []) for pool in pools if pool in mirror.shares]
        calls += [(self._target.hub, "firstAfter", [asset, time, b""]) for asset, time in wanted]
        answers = iter(self._ask(calls, head))
        found = [next(answers) for _ in pages]
        views = {pool: next(answers) for pool in pools}
        strikes = {pool: next(answers) for pool in pools if pool in mirror.shares}
        quotes = self._quotes(dict(zip(wanted, answers, strict=True)), head)
        health = self._health(pages, found, mirror, head)
        sales, funds = self._sales(mirror, head) if mirror.sales else ((), {})
        return Snapshot(
            block=head.number,
            time=head.time,
            queues=tuple(tuple(queue) for queue in queues),
            rules=dict(mirror.rules),
            quotes=quotes,
            health=health,
            sales=sales,
            pools=tuple(
                PoolState(pool, view.nav, mirror.pools[pool].adl_trigger_ppm, strikes.get(pool) is True)
                for pool, view in views.items()
                if not isinstance(view, PlimsollError)
            ),
            markets=_markets(mirror, views),
            funds=funds,
            busy=busy,
            poisoned=frozenset(h.account for h in health if poisons.get(h.account) == (h.version, h.newest)),
        )

    def _ask(self, calls: Iterable[Call], head: Header) -> list[Any]:
        """Results of calls at the block, a `Revert` in place of what the EVM refused."""
        answers = batch_call(calls, block=head.number)
        for answer in answers:
            if isinstance(answer, RpcError):
                # Nodes without old states refuse a block as soon as there is a newer one.
                raise HeadMovedError(f"block {head.number} cannot be read any more: {answer}") from answer
            if isinstance(answer, PlimsollError) and not isinstance(answer, Revert):
                raise answer
        return answers

    # ── prices of orders ───────────────────────────────────────────────────

    def _wanted(self, queues: Iterable[Iterable[Order]], mirror: Mirror, time: int) -> list[Asked]:
        found = dict.fromkeys(
            (mirror.rules[order.market].asset, order.price_time)
            for order in due(queues, time)
            if order.market in mirror.rules
        )
        return list(found)

    def _quotes(self, newest: Mapping[Asked, Any], head: Header) -> dict[Asked, Quote]:
        """The newest round needs no hint; where it is not the first one, the hub searches."""
        quotes = {asked: _quote(answer, b"") for asked, answer in newest.items() if not _is_later(answer)}
        others = [asked for asked, answer in newest.items() if _is_later(answer)]
        if not others:
            return quotes
        rounds = self._ask([(self._target.hub, "searchRound", list(asked)) for asked in others], head)
        hints: dict[Asked, bytes] = {}
        for asked, answer in zip(others, rounds, strict=True):
            if isinstance(answer, Revert):
                quotes[asked] = _quote(answer, b"")
            else:
                hints[asked] = b"".join(int(part).to_bytes(32, "big") for part in answer)
        shown = self._ask([(self._target.hub, "firstAfter", [*asked, hint]) for asked, hint in hints.items()], head)
        quotes |= {asked: _quote(answer, hints[asked]) for asked, answer in zip(hints, shown, strict=True)}
        return quotes

    # ── health ─────────────────────────────────────────────────────────────

    def _health(
        self, pages: list[list[bytes]], answers: Iterable[Any], mirror: Mirror, head: Header
    ) -> tuple[Health, ...]:
        """Health of every account. A page that fails is cut in two until the account that spoils it is alone."""
        found: list[Health] = []
        halved = False
        todo = list(zip(pages, answers, strict=True))
        while todo:
            broken: list[list[bytes]] = []
            for page, answer in todo:
                if not isinstance(answer, Revert):
                    found += [_health_of(mirror, *row) for row in zip(page, *answer, strict=True)]
                elif len(page) == 1:
                    found.append(_health_of(mirror, page[0], 0, 0, 0, unreadable=str(answer)))
                else:
                    middle = len(page) // 2
                    broken += [page[:middle], page[middle:]]
            again = self._ask([(self._target.lens, "healthBatch", [page]) for page in broken], head)
            todo = list(zip(broken, again, strict=True))
            halved = halved or bool(broken)
        if halved and not any(health.unreadable for health in found):
            # Nobody spoilt a page: it was too large for the gas of a call.
            self._page = max(self._page // 2, 1)
        return tuple(found)

    # ── collateral on sale ─────────────────────────────────────────────────

    def _sales(self, mirror: Mirror, head: Header) -> tuple[tuple[Sale, ...], dict[int, int]]:
        accounts = list(mirror.sales)
        pools = sorted({pool_of(account) for account in accounts})
        listed = {pool: [c for (p, _), c in mirror.collaterals.items() if p == pool] for pool in pools}
        assets = {item.asset for items in listed.values() for item in items}
        assets |= {mirror.pools[pool].gas_asset for pool in pools} - {0}
        settlements = {pool: mirror.pools[pool].settlement for pool in pools}
        tokens = {item.token for items in listed.values() for item in items} | set(settlements.values())
        self._learn_decimals(tokens - self._decimals.keys(), head)
        calls: list[Call] = [(self._target.lens, "account", [account]) for account in accounts]
        calls += [(self._target.hub, "peek", [asset]) for asset in assets]
        calls += [(self._target.token(settlements[pool]), "balanceOf", [self._keeper]) for pool in pools]
        answers = iter(self._ask(calls, head))
        views = {account: next(answers) for account in accounts}
        prices = {asset: _sale_price(next(answers)) for asset in assets}
        funds: dict[int, int] = {}
        for pool in pools:
            balance = next(answers)
            held = 0 if isinstance(balance, Revert) else balance * 10 ** (18 - self._decimals[settlements[pool]])
            funds[pool] = max(held - self._options.reserve, 0)
        sales = [
            self._sale(account, view, listed[pool_of(account)], prices, mirror, head)
            for account, view in views.items()
            if not isinstance(view, Revert)
        ]
        return tuple(sales), funds

    def _sale(
        self,
        account: bytes,
        view: Any,
        listed: Iterable[Collateral],
        prices: Mapping[int, int],
        mirror: Mirror,
        head: Header,
    ) -> Sale:
        by_token = {item.token: item for item in listed}
        rules = mirror.pools[pool_of(account)]
        offers = [
            Offer(
                token=held.token,
                balance=held.balance,
                decimals=self._decimals[held.token],
                price=prices[by_token[held.token].asset],
                weight_initial_ppm=by_token[held.token].weight_initial_ppm,
            )
            for held in view.collaterals
        ]
        return Sale(
            account=account,
            start=view.saleStart,
            equity_initial=view.equityInitial,
            offers=tuple(offers),
            discount_max_ppm=rules.discount_max_ppm,
            sale_seconds=rules.sale_seconds,
            keeper_floor=rules.keeper_floor,
            gas_price=mul_div_up(head.gas_price, prices.get(rules.gas_asset, 0), WAD),
        )

    def _learn_decimals(self, tokens: set[str], head: Header) -> None:
        unknown = sorted(tokens)
        answers = self._ask([(self._target.token(token), "decimals", []) for token in unknown], head)
        for token, answer in zip(unknown, answers, strict=True):
            if isinstance(answer, Revert):
                raise answer
            self._decimals[token] = answer


def _pages(accounts: list[bytes], size: int) -> list[list[bytes]]:
    return [accounts[start : start + size] for start in range(0, len(accounts), size)]


def _markets(mirror: Mirror, views: Mapping[int, Any]) -> tuple[MarketState, ...]:
    found = []
    for view in views.values():
        for market in () if isinstance(view, PlimsollError) else view.markets:
            pulse = mirror.pulses.get(market.market)
            if pulse is not None:
                found.append(MarketState(market.market, market.openLoss, pulse.time, pulse.open))
    return tuple(found)


def _health_of(
    mirror: Mirror, account: bytes, equity: int, required: int, newest: int, *, unreadable: str = ""
) -> Health:
    word = mirror.account(account)
    return Health(
        account=account,
        equity=equity,
        required=required,
        newest=newest,
        last_check=word.last_check,
        version=word.version,
        positions=word.markets.bit_count(),
        on_sale=account in mirror.sales,
        unreadable=unreadable,
    )


def _is_later(answer: Any) -> bool:
    """Whether the newest round is not the first one after the price time."""
    return isinstance(answer, ContractRevert) and answer.name == "NotFirstPrice"


def _quote(answer: Any, hint: bytes) -> Quote:
    if isinstance(answer, Revert):
        waiting = isinstance(answer, ContractRevert) and answer.name == "NoPriceYet"
        return Quote(QuoteStatus.NOT_YET if waiting else QuoteStatus.FAILED, reason=str(answer))
    spot = Spot.unpack(answer)
    return Quote(QuoteStatus.READY, hint, spot.publish_time, bool(spot.flags & INVALID))


def _sale_price(answer: Any) -> int:
    """What collateral on this asset is sold at before the discount, WAD; 0 when it cannot be sold now."""
    if isinstance(answer, Revert):
        return 0
    spot = Spot.unpack(answer.spot)
    if spot.flags & (INVALID | SEQUENCER):
        return 0
    if spot.flags & DEVIATED and not spot.flags & DEVIATED_LONG:
        return max(spot.price, spot.other)
    return spot.price
