"""Functions that change or ask one field of a word, build it in steps, or derive a number from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.support.harness import Cases, Harness
from tests.support.records import examples, record
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import ContractRevert, Panic
from plimsoll.model import words
from plimsoll.model.word import WordError, layout
from plimsoll.model.words import (
    AccountId,
    AccountWord,
    FeedWord,
    MarketId,
    OrderWord,
    PoolSettlementWord,
    QueueWord,
    Spot,
)
from plimsoll.units import NANO, PPM, WAD

COUNT = 300


def test_account_word_setters_change_their_field_alone(state_words: Harness) -> None:
    cases = Cases("setters")
    base = [one for one in examples("AccountWord") for _ in range(2)]

    def compare(fn: str, values: list[tuple[Any, ...]], change: Any) -> None:
        rows = [(one.pack(), *value) for one, value in zip(base, values, strict=True)]
        state_words.check(fn, lambda word, *value: change(AccountWord.unpack(word), *value).pack(), rows)

    compare(
        "withRawCashAccountWord",
        [(cases.int(2**111 - 1),) for _ in base],
        lambda one, cash: dataclasses.replace(one, raw_cash=cash),
    )
    compare(
        "withMarketAccountWord",
        [(cases.random.randrange(32), cases.flag()) for _ in base],
        AccountWord.with_market,
    )
    compare(
        "withCollateralAccountWord",
        [(cases.random.randrange(16), cases.flag()) for _ in base],
        AccountWord.with_collateral,
    )
    compare("bumpedAccountWord", [() for _ in base], AccountWord.bumped)
    compare(
        "withLastCheckAccountWord",
        [(cases.uint(2**32 - 1),) for _ in base],
        lambda one, time: dataclasses.replace(one, last_check=time),
    )
    compare(
        "withPendingOrdersAccountWord",
        [(cases.uint(2**8 - 1),) for _ in base],
        lambda one, count: dataclasses.replace(one, pending_orders=count),
    )
    assert any(one.version == 2**32 - 1 for one in base), "the version must be seen to wrap"


def test_account_word_setters_refuse_what_does_not_fit(state_words: Harness) -> None:
    full = 2**256 - 1
    for fn, bits in (
        ("withMarketAccountWord", 5),
        ("withCollateralAccountWord", 4),
    ):
        with reverts_with("UintTooLarge", 2**bits, bits):
            state_words.one(fn, full, 2**bits, True)
    for fn, bits in (("withLastCheckAccountWord", 32), ("withPendingOrdersAccountWord", 8)):
        with reverts_with("UintTooLarge", 2**bits, bits):
            state_words.one(fn, full, 2**bits)
    for value in (2**111, -(2**111) - 1):
        with reverts_with("IntOutOfRange", value, 112):
            state_words.one("withRawCashAccountWord", 0, value)
    for index in (-1, 32):
        with pytest.raises(WordError):
            AccountWord().with_market(index, True)
    with pytest.raises(WordError):
        AccountWord().with_collateral(16, True)


@pytest.mark.parametrize(
    ("fn", "name", "field"),
    [
        ("withFlagsMarginWord", "MarginWord", "flags"),
        ("withPauseFlagsPoolRiskWord", "PoolRiskWord", "pause_flags"),
        ("withMarketCountPoolSettlementWord", "PoolSettlementWord", "market_count"),
        ("withCollateralCountPoolSettlementWord", "PoolSettlementWord", "collateral_count"),
        ("withCountQueueWord", "QueueWord", "count"),
    ],
)
def test_config_setters_change_their_field_alone(config_words: Harness, fn: str, name: str, field: str) -> None:
    kind, cases = record(name), Cases(fn)
    (bits,) = (place.bits for place in layout(kind) if place.name == field)
    rows = [(one.pack(), cases.uint(2**bits - 1)) for one in examples(name)]
    config_words.check(fn, lambda word, value: dataclasses.replace(kind.unpack(word), **{field: value}).pack(), rows)
    with reverts_with("UintTooLarge", 2**bits, bits):
        config_words.one(fn, rows[0][0], 2**bits)


def test_share_token_is_set_alone(config_words: Harness) -> None:
    rows = [(one.pack(), one.share_token[::-1][:40].join(("0x", ""))) for one in examples("PoolLiquidityWord")]
    config_words.check(
        "withShareTokenPoolLiquidityWord",
        lambda word, token: dataclasses.replace(words.PoolLiquidityWord.unpack(word), share_token=token).pack(),
        rows,
    )


def test_orders_are_known_by_their_hash_and_queues_by_their_ring(config_words: Harness) -> None:
    cases = Cases("orders")
    rows = [(cases.uint(2**256 - 1), cases.uint(2**32 - 1)) for _ in range(COUNT)]
    packed = config_words.check("packOrderWord", lambda hash_, time: OrderWord.of(hash_, time).pack(), rows)
    asked = [
        (word, hash_ ^ flip) for word, (hash_, _) in zip(packed, rows, strict=True) for flip in (0, 1 << 72, 1 << 71)
    ]
    answers = config_words.check("isOfOrderWord", lambda word, hash_: OrderWord.unpack(word).is_of(hash_), asked)
    assert answers == [True, False, True] * COUNT
    with reverts_with("UintTooLarge", 2**32, 32):
        config_words.one("packOrderWord", bytes(32), 2**32)
    places = [(one.pack(), behind) for one in examples("QueueWord") for behind in (0, 1, 7)]
    config_words.check("placeQueueWord", lambda word, behind: QueueWord.unpack(word).place(behind), places)


def test_flags_are_asked_by_mask(config_words: Harness) -> None:
    flags = [(flag, mask) for flag in range(8) for mask in (1, 2, 4, 6)]
    for fn, make in (
        ("hasMarginWord", lambda flag: words.MarginWord(flags=flag)),
        ("pausedPoolRiskWord", lambda flag: words.PoolRiskWord(pause_flags=flag)),
        ("hasObservation", lambda flag: Spot(flags=flag, price=1)),
    ):
        rows = [(make(flag).pack(), mask) for flag, mask in flags]
        assert config_words.many(fn, rows) == [flag & mask != 0 for flag, mask in flags]


def test_feed_word_is_built_step_by_step(config_words: Harness) -> None:
    names = ("feed", "kind", "decimals", "max_age", "band_ppm", "tau", "max_uncertainty_ppm")
    listed = [
        dataclasses.replace(one, has_bounds=0, has_secondary=0, has_sequencer=0, min_small=0)
        for one in examples("FeedWord")
    ]
    rows = [tuple(getattr(one, name) for name in names) for one in listed]
    config_words.check("packFeedWord", lambda *values: FeedWord(**dict(zip(names, values, strict=True))).pack(), rows)
    for place in layout(FeedWord):
        if place.name in names and not place.address:
            values = tuple(
                1 << place.bits if name == place.name else words.ZERO_ADDRESS if name == "feed" else 0 for name in names
            )
            (result,) = config_words.many("packFeedWord", [values])
            assert isinstance(result, ContractRevert)
            assert result.values == (1 << place.bits, place.bits)
    plain = listed[-1]
    for fn, args, changes in (
        ("withMinSmallFeedWord", (2**16 - 1,), {"min_small": 2**16 - 1}),
        ("withBoundsFeedWord", (), {"has_bounds": 1}),
        ("withSecondaryFeedWord", (), {"has_secondary": 1}),
        ("withSequencerFeedWord", (True,), {"has_sequencer": 1}),
        ("withSequencerFeedWord", (False,), {"has_sequencer": 0}),
    ):
        assert config_words.one(fn, plain.pack(), *args) == dataclasses.replace(plain, **changes).pack()
    with reverts_with("UintTooLarge", 2**16, 16):
        config_words.one("withMinSmallFeedWord", plain.pack(), 2**16)


def test_secondary_word_remembers_since_when_it_deviates(config_words: Harness) -> None:
    cases = Cases("since")
    rows = [(one.pack(), cases.uint(2**32 - 1)) for one in examples("SecondaryWord")]
    config_words.check(
        "withDeviatedSinceSecondaryWord",
        lambda word, since: dataclasses.replace(words.SecondaryWord.unpack(word), deviated_since=since).pack(),
        rows,
    )
    with reverts_with("UintTooLarge", 2**32, 32):
        config_words.one("withDeviatedSinceSecondaryWord", 0, 2**32)


def test_band_is_rounded_outward(config_words: Harness) -> None:
    cases = Cases("band")
    spots = [Spot(price=cases.uint(2**87 - 1), band_ppm=cases.uint(PPM)) for _ in range(COUNT)]
    for spot, read in zip(spots, config_words.many("unpackSpot", [(s.pack(),) for s in spots]), strict=True):
        assert (read.low, read.high) == (spot.low, spot.high)
        assert spot.low * PPM <= spot.price * (PPM - spot.band_ppm) < (spot.low + 1) * PPM
        assert (spot.high - 1) * PPM < spot.price * (PPM + spot.band_ppm) <= spot.high * PPM


def test_settlement_unit_scales_native_amounts_to_wad(config_words: Harness) -> None:
    for decimals in (0, 2, 6, 8, 18):
        one = PoolSettlementWord(decimals=decimals)
        assert one.unit * 10**decimals == WAD
        assert config_words.one("unitPoolSettlementWord", one.pack()) == one.unit
    with pytest.raises(WordError):
        _ = PoolSettlementWord(decimals=19).unit
    with pytest.raises(Panic):
        config_words.one("unitPoolSettlementWord", PoolSettlementWord(decimals=19).pack())


def test_escrow_is_kept_in_nano_units(state_words: Harness) -> None:
    """On chain less than the unit is dropped, so what enters escrow must be a multiple; Python refuses the rest."""
    packed = state_words.one("packPoolDuesWord", 0, 0, 5 * NANO, 0)
    assert words.PoolDuesWord.unpack(packed).escrow == 5 * NANO
    assert state_words.one("packPoolDuesWord", 0, 0, 5 * NANO + 1, 0) == packed
    with pytest.raises(WordError, match="multiple"):
        words.PoolDuesWord(escrow=5 * NANO + 1).pack()


def test_ids_hold_their_parts(state_words: Harness) -> None:
    ids = examples("AccountId")
    state_words.check(
        "toAccount",
        lambda owner, pool, sub: AccountId(owner, pool, sub).to_bytes(),
        [(one.owner, one.pool, one.sub) for one in ids],
    )
    markets = examples("MarketId")
    state_words.check("toMarket", lambda p, i: MarketId(p, i).pack(), [(one.pool, one.index) for one in markets])
