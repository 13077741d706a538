"""Verdicts in exact integers: the contracts' valuation, replayed by the model on the words of the mirror.

What comes out is what `Lens.healthBatch` answers in the same block, to the wei, because model and contracts are the
same functions and every word is the stored one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plimsoll.keeper.book.columns import COLLATERAL, DEBT
from plimsoll.keeper.book.errors import BookError
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.log import show_account
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.health import below, better, health_of
from plimsoll.model.engine.state import Account, Position, State, pool_of

__all__ = ["Confirmed", "confirm", "draft_of"]

RAW_CASH, MARKETS, KINDS, VERSIONS, CHECK = (1 << 112) - 1, (1 << 56) - 1, (1 << 16) - 1, (1 << 32) - 1, (1 << 32) - 1
CASH_SIGN = 1 << 111
SHARES, SHARES_SIGN = (1 << 104) - 1, 1 << 103
ENTRY, ENTRY_SIGN = (1 << 128) - 1, 1 << 127


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An account at the prices that count in liquidation, WAD.

    :param newest: newest publish time among those prices; 0 when none was used.
    :param last_check: newest publish time of the account's last margin check.
    :param positions: how many markets it is in.
    :param grace: the sequencer is down, or was: below the line only the worse half may be liquidated.
    :param deviated: sources differ; the valuation is the one better for the account.
    :param unreadable: why it cannot be valued, by the contracts neither; empty if it can. Numbers are 0 then.
    """

    account: bytes
    equity: int
    required: int
    newest: int
    last_check: int
    version: int
    positions: int
    on_sale: bool
    grace: bool
    deviated: bool
    unreadable: str = ""

    @property
    def below(self) -> bool:
        """equity < MM"""
        return not self.unreadable and self.equity < self.required

    @property
    def shortfall(self) -> int:
        """MM − equity; ≤ 0 when healthy."""
        return self.required - self.equity


def draft_of(mirror: Mirror, observations: Observations) -> Draft:
    """The protocol without its accounts at the time and prices of the observations, for functions of the model.

    Good until the mirror's next row. The oracle is not in it: an asset that was not observed is refused.
    """
    d = Draft(
        State(
            time=observations.time,
            markets=mirror.markets,
            market_terms=mirror.market_terms,
            events=mirror.events,
            epoch_ends=mirror.epoch_ends,
            pools=mirror.pools,
            pool_terms=mirror.pool_terms,
            collaterals=mirror.collaterals,
        )
    )
    d.prices.update(observations.assets)
    return d


def confirm(
    mirror: Mirror, accounts: Iterable[bytes], observations: Observations, draft: Draft | None = None
) -> list[Confirmed]:
    """The verdicts on accounts, in their order.

    :param draft: of `draft_of` for the same observations, if there is one already.
    :raises BookError: the mirror lacks something that logs must have told.
    """
    d = draft if draft is not None else draft_of(mirror, observations)
    return [_confirm(mirror, d, account) for account in accounts]


def _confirm(mirror: Mirror, d: Draft, account: bytes) -> Confirmed:
    number = int.from_bytes(account, "big")
    a = _fetch(mirror, d, account, number)
    positions = a.markets.bit_count()
    on_sale = account in mirror.sales
    known = (a.last_check, a.version, positions, on_sale)
    try:
        p = load_pool(d, pool_of(number))
        h = health_of(d, number, a, p)
        first_below = below(h)
        if first_below and h.deviated:
            h = better(d, number, a, p, h)
    except Refusal as refusal:
        return Confirmed(account, 0, 0, 0, *known, False, False, str(refusal))
    except KeyError as error:
        raise BookError(
            f"account {show_account(account)} needs {error.args[0]}, which is not in the mirror: a log is missing, or "
            f"the decimals of a token are not known"
        ) from error
    return Confirmed(account, h.equity, h.required, h.newest, *known, h.grace, h.deviated)


def _fetch(mirror: Mirror, d: Draft, account: bytes, number: int) -> Account:
    """The account; what it holds goes into the draft, alone."""
    positions: dict[tuple[int, int], Position] = {}
    collateral: dict[tuple[int, int], int] = {}
    row = mirror.accounts.rows.get(account)
    d.__dict__["positions"], d.__dict__["collateral"] = positions, collateral
    if row is None:
        return Account()
    for code, leg in mirror.legs.of(mirror.accounts, row):
        word = int.from_bytes(mirror.legs.word(leg), "big")
        if code >= COLLATERAL:
            if code != DEBT:
                collateral[number, code - COLLATERAL] = word
            continue
        shares, entry = word & SHARES, word >> 104 & ENTRY
        positions[number, code] = Position(
            shares - ((shares & SHARES_SIGN) << 1), entry - ((entry & ENTRY_SIGN) << 1), word >> 232
        )
    word = int.from_bytes(mirror.accounts.word(row), "big")
    cash = word & RAW_CASH
    return Account(
        cash - ((cash & CASH_SIGN) << 1),
        word >> 112 & MARKETS,
        word >> 168 & KINDS,
        word >> 184 & VERSIONS,
        word >> 216 & CHECK,
        word >> 248,
    )
