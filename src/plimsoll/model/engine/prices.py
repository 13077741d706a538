"""Prices as the hub validates them, and the one admissible price of an order.

Prices are WAD, times seconds, bands and bounds ppm. The hub asks each Chainlink feed only once per transaction. That
does not matter here, because feeds do not change while an action runs; but `first_after` treats a round that the hub
has already a little differently from one that it must look up, and so it is told what the hub has.
"""

from __future__ import annotations

from dataclasses import replace

from plimsoll.model.engine.draft import Draft, Refusal, require
from plimsoll.model.engine.feeds import CHAINLINK, PYTH, Asset, Feed, Hint, PythHint, PythPrice, Round
from plimsoll.model.oracle import (
    MAX_PRICE,
    MAX_VARIANCE,
    Action,
    OracleState,
    PriceFlags,
    bound_ppm,
    chainlink_to_wad,
    deviates,
    fold,
    pyth_convert,
    refused,
)
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.units import PPM

__all__ = ["first_after", "invalid_for", "observe", "observe_for", "peek", "poke"]

INVALID = int(PriceFlags.INVALID)
UNCERTAIN = int(PriceFlags.UNCERTAIN)
DEVIATED = int(PriceFlags.DEVIATED)
DEVIATED_LONG = int(PriceFlags.DEVIATED_LONG)
DOWN = int(PriceFlags.SEQUENCER_DOWN)
GRACE = int(PriceFlags.SEQUENCER_GRACE)
REFUSED = tuple(int(refused(action)) for action in Action)

MAX_TIME = 2**32 - 1
NO_MAX = 2**128 - 1
MASK_64 = 2**64 - 1
MAX_ROUND = 2**80 - 1
MAX_SKIPPED = 8
"""Incomplete rounds in a row that are stepped over."""
NEVER = OracleState(0, 0, 0, 0)
"""The state of an asset that was never priced."""
NO_FEED = Feed(answers=False)


# ── observing ────────────────────────────────────────────────────────────────


def observe(d: Draft, asset: int) -> tuple[Spot, Trend]:
    """The hub's answer, asked for once by the call that holds the lock."""
    seen = d.prices.get(asset)
    if seen is None:
        seen = d.prices[asset] = poke(d, asset)
    return seen


def observe_for(d: Draft, action: Action, asset: int) -> tuple[Spot, Trend]:
    """`observe`, refused when the price has a flag that `action` does not tolerate."""
    seen = d.prices.get(asset) or observe(d, asset)
    flags = seen[0].flags
    if flags & REFUSED[action]:
        raise Refusal("PriceRefused", asset, flags)
    return seen


def poke(d: Draft, asset: int) -> tuple[Spot, Trend]:
    """The hub's answer now. A valid price is stored; the time since the last one goes into average and variance."""
    spot, trend, state, since = _look(d, asset)
    if since != d.deviated_since.get(asset, 0):
        if since:
            d.put("deviated_since", asset, since)
        else:
            d.drop("deviated_since", asset)
    if state is not None:
        d.put("asset_states", asset, state)
    return spot, trend


def peek(d: Draft, asset: int) -> tuple[Spot, Trend]:
    """What `poke` would answer, without storing anything."""
    spot, trend, _, _ = _look(d, asset)
    return spot, trend


def invalid_for(d: Draft, asset: int) -> int:
    """Seconds since the publish time of the last valid price; 0 while the price is valid."""
    spot = _look(d, asset)[0]
    age: int = d.time - spot.publish_time
    return age if spot.flags & INVALID else 0


def _look(d: Draft, asset: int) -> tuple[Spot, Trend, OracleState | None, int]:
    """Answer, the state to store (None: as it is), and since when both sources differ (0: they do not)."""
    a = _listed(d, asset)
    now: int = d.time
    state: OracleState = d.asset_states.get(asset, NEVER)
    since: int = d.deviated_since.get(asset, 0) if a.secondary else 0
    price, published, band = _read(d, a, state)
    other = bound = flags = 0
    if price == 0:
        flags, price, published, band = INVALID, state.price, state.time, a.band_ppm
    elif now - published > a.max_age:
        flags = INVALID
    if band > a.max_uncertainty_ppm:
        flags |= UNCERTAIN
    following = state
    if flags & INVALID:
        bound = bound_ppm(now - published, a.bound_base_ppm, a.bound_per_hour_ppm, a.bound_cap_ppm)
    else:
        following = _folded(state, price, now, a.tau)
        if a.secondary:
            deviation, other, since = _compare(d, a, price, since)
            flags |= deviation
    if d.sequencer.feed:
        flags |= _sequencer_flags(d)
    spot = _spot(price, other, published, flags, band)
    ema, variance = following.ema, following.variance
    if ema > MAX_PRICE or variance > MAX_VARIANCE or bound > PPM:
        raise Refusal("TrendOutOfRange", ema, variance, bound)
    return spot, Trend(ema, variance, bound), None if following is state else following, since


def _listed(d: Draft, asset: int) -> Asset:
    found: Asset | None = d.assets.get(asset)
    if found is None:
        raise Refusal("UnknownAsset", asset)
    return found


def _spot(price: int, other: int, published: int, flags: int, band: int) -> Spot:
    if price > MAX_PRICE or other > MAX_PRICE or published > MAX_TIME or band > PPM:
        raise Refusal("SpotOutOfRange", price, other, published, flags, band)
    return Spot(price, other, published, flags, band)


def _read(d: Draft, a: Asset, state: OracleState) -> tuple[int, int, int]:
    """Price of the source now, of whatever age, its time, and its band. The price is 0 when there is none, it is not
    valid, it is published in the future, or the feed went back."""
    now: int = d.time
    if a.kind == CHAINLINK:
        _, price, published = _newest(d, a)
        # A round older than the last observation that this observation did not see: the feed went back.
        if published > now or (published < state.time and price != state.price):
            price = 0
        return price, published, a.band_ppm
    if a.kind == PYTH:
        raw = a.pyth
        if raw is None or not 0 < raw.publish_time <= MAX_TIME:
            return 0, 0, a.band_ppm
        price, band = pyth_convert(raw.price, raw.conf, raw.expo)
        return 0 if raw.publish_time > now else price, raw.publish_time, max(band, a.band_ppm)
    return a.fixed_price, now, a.band_ppm


def _folded(state: OracleState, price: int, now: int, tau: int) -> OracleState:
    """The state after an observation of a valid price; `state` itself when nothing changes."""
    if now == state.time and state.price:
        return state if price == state.price else OracleState(price, state.ema, state.variance, now)
    following = fold(state if state.price else None, price, now, tau)
    if now > MAX_TIME:
        raise Refusal("StateOutOfRange", following.price, following.ema, following.variance, now)
    return following


def _compare(d: Draft, a: Asset, price: int, since: int) -> tuple[int, int, int]:
    """Flags, the secondary price (0 unless it deviates) and since when it does. A secondary source that is missing,
    invalid or too old is ignored: it neither starts nor ends a deviation."""
    feed = d.feeds.get(a.secondary)
    one = None if feed is None else _complete(feed, feed.latest)
    if one is None or not 0 <= d.time - one.updated_at <= a.secondary_max_age:
        return 0, 0, since
    other = chainlink_to_wad(one.answer, a.secondary_decimals, 0, NO_MAX)
    if other == 0:
        return 0, 0, since
    if not deviates(price, other, a.max_deviation_ppm):
        return 0, 0, 0
    if since == 0:
        return DEVIATED, other, d.time
    lasting = d.time - since >= a.deviation_timeout
    return DEVIATED | DEVIATED_LONG if lasting else DEVIATED, other, since


def _sequencer_flags(d: Draft) -> int:
    """An uptime feed that does not answer, or has no status yet, counts as a sequencer that just came up."""
    feed = d.sequencer
    if not feed.answers or not 0 < feed.since <= d.time:
        return GRACE
    if feed.down:
        return DOWN
    return GRACE if d.time - feed.since < feed.grace else 0


# ── the first price at or after a time ───────────────────────────────────────


def first_after(
    d: Draft, asset: int, not_before: int, hint: Hint = None, known: dict[int, int] | None = None, value: int = 0
) -> Spot:
    """The first price published at or after `not_before`, with the flags INVALID and UNCERTAIN of that price itself.

    :param known: what this transaction has found out, kept here: asset → time of the round before the newest.
    :param value: what is there to pay Pyth with, wei; `PythHint.fee` of it is spent.
    :raises Refusal: NoPriceYet (try later) or NotFirstPrice (look for another hint); UnknownAsset, UpdateFeeMissing.
    """
    a = _listed(d, asset)
    require(not_before <= d.time, "NoPriceYet", asset, not_before)
    band = a.band_ppm
    if a.kind == CHAINLINK:
        price, published = _first_round(d, asset, a, not_before, hint, {} if known is None else known)
    elif a.kind == PYTH:
        raw = _first_update(d, asset, a, not_before, hint, value)
        price, confidence = pyth_convert(raw.price, raw.conf, raw.expo)
        published, band = raw.publish_time, max(band, confidence)
    else:
        price, published = a.fixed_price, not_before
    flags = UNCERTAIN if band > a.max_uncertainty_ppm else 0
    if price == 0:
        flags |= INVALID
        price = d.asset_states.get(asset, NEVER).price
    return _spot(price, 0, published, flags, band)


def _first_update(d: Draft, asset: int, a: Asset, not_before: int, hint: Hint, value: int) -> PythPrice:
    """The price of a signed update, which proves by itself that it is the first one."""
    if not isinstance(hint, PythHint):
        raise Refusal("NotFirstPrice", asset, not_before, 0)
    require(value >= hint.fee, "UpdateFeeMissing", value, hint.fee)
    raw = hint.price
    if raw is None or not hint.previous_time < not_before <= raw.publish_time <= d.time:
        raise Refusal("NotFirstPrice", asset, not_before, 0)
    if hint.stores and (a.pyth is None or a.pyth.publish_time < raw.publish_time):
        d.put("assets", asset, replace(a, pyth=raw))
    return raw


def _first_round(d: Draft, asset: int, a: Asset, not_before: int, hint: Hint, known: dict[int, int]) -> tuple[int, int]:
    """Price (0: not valid) and time of the first round."""
    hinted, claimed = _round_hint(asset, not_before, hint)
    feed: Feed = d.feeds.get(a.feed, NO_FEED)
    # The hub has the newest round already if this transaction has observed the asset, or has come here with success.
    has_newest = asset in known or asset in d.prices
    round_id, price, published = _newest(d, a) if has_newest else (0, 0, 0)
    if hinted == 0 and published < not_before:
        round_id, price, published = _newest(d, a)
        require(published != 0, "NotFirstPrice", asset, not_before, 0)
    if hinted == 0 or (hinted == round_id and published >= not_before):
        require(not_before <= published <= d.time, "NoPriceYet", asset, not_before)
        previous = known.get(asset)
        if previous is None:
            previous = _previous_time(feed, round_id, claimed)
        if previous is None or previous >= not_before:
            raise Refusal("NotFirstPrice", asset, not_before, round_id)
        known[asset] = previous
        return price, published
    one = _admissible(feed, hinted, not_before, d.time)
    previous = None if one is None else _previous_time(feed, hinted, claimed)
    if one is None or previous is None or previous >= not_before:
        raise Refusal("NotFirstPrice", asset, not_before, hinted)
    return chainlink_to_wad(one.answer, a.decimals, a.least, a.largest), one.updated_at


def _round_hint(asset: int, not_before: int, hint: Hint) -> tuple[int, int]:
    """The round of a hint and the claimed last round of the phase before it; both 0 for the newest round."""
    if hint is None or hint == 0:
        return 0, 0
    if isinstance(hint, PythHint):
        hint = (0, 0)
    hinted, claimed = (hint, 0) if isinstance(hint, int) else hint
    require(hinted != 0 and claimed <= MAX_ROUND, "NotFirstPrice", asset, not_before, hinted)
    return hinted, claimed


# ── rounds of a Chainlink-style feed ─────────────────────────────────────────


def _newest(d: Draft, a: Asset) -> tuple[int, int, int]:
    """Id, price (0: not valid) and time of the newest round; all 0 when the feed answers with no complete one."""
    feed: Feed | None = d.feeds.get(a.feed)
    one = None if feed is None else _complete(feed, feed.latest)
    if feed is None or one is None:
        return 0, 0, 0
    return feed.latest, chainlink_to_wad(one.answer, a.decimals, a.least, a.largest), one.updated_at


def _complete(feed: Feed, round_id: int) -> Round | None:
    """A round that has a time and was answered in itself."""
    one = feed.rounds.get(round_id) if feed.answers else None
    if one is None or round_id > MAX_ROUND or not 0 < one.updated_at <= MAX_TIME or one.answered_in < round_id:
        return None
    return one


def _time_of(feed: Feed, round_id: int) -> int:
    """The time of a round, complete or not; 0 when there is no such round."""
    one = feed.rounds.get(round_id) if feed.answers else None
    return one.updated_at if one is not None and one.updated_at <= MAX_TIME else 0


def _admissible(feed: Feed, round_id: int, not_before: int, now: int) -> Round | None:
    """The round, if it is complete, not before `not_before`, and no later phase has a round before that."""
    one = _complete(feed, round_id)
    if one is None or not not_before <= one.updated_at <= now:
        return None
    phase = round_id >> 64
    if phase == 0:
        return one
    if feed.phase is None or phase > feed.phase:
        return None
    for later in range(phase + 1, feed.phase + 1):
        if 0 < _time_of(feed, later << 64 | 1) < not_before:
            return None
    return one


def _previous_time(feed: Feed, round_id: int, claimed: int) -> int | None:
    """The time of the complete round before, 0 when there is none; None when `claimed` is wrong, or too many rounds in
    a row are incomplete.

    :param claimed: for the first round of a phase: the last round of the nearest phase before that has any.
    """
    phase, n = round_id >> 64, round_id & MASK_64
    if n <= 1:
        earlier = _earlier_phase(feed, phase)
        if earlier == 0:
            return 0
        phase, n = claimed >> 64, claimed & MASK_64
        if phase != earlier or n in (0, MASK_64):
            return None
        if _time_of(feed, claimed) == 0 or _time_of(feed, claimed + 1) != 0:
            return None
        n += 1
    for _ in range(MAX_SKIPPED):
        if n <= 1:
            break
        n -= 1
        one = _complete(feed, phase << 64 | n)
        if one is not None:
            return one.updated_at
    return 0 if n == 1 and _earlier_phase(feed, phase) == 0 else None


def _earlier_phase(feed: Feed, phase: int) -> int:
    """The nearest phase before `phase` that has rounds, 0 when none has."""
    for earlier in range(phase - 1, 0, -1):
        if _time_of(feed, earlier << 64 | 1) != 0:
            return earlier
    return 0
