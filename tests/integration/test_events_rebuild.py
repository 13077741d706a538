"""The whole state of the Clearinghouse from its logs alone, word by word, and gaps that show."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from tests.support.core import due
from tests.support.protocol import Protocol

from plimsoll.chain.receipt import Event
from plimsoll.chain.stored import with_words
from plimsoll.model import config_words as config
from plimsoll.model.words import AccountWord, PoolLiquidityWord
from plimsoll.units import WAD

Words = dict[tuple[object, ...], int]
PERCENT = WAD // 100
LOW = (1 << 256) - 1


def logs(p: Protocol) -> list[Event]:
    """Every log of the Clearinghouse since its deployment."""
    query = {"fromBlock": hex(p.deployment.book.first_block), "toBlock": "latest", "address": p.clearinghouse.address}
    return p.deployment.events.decode_all(p.rpc.request("eth_getLogs", [query]))


def rebuild(events: Iterable[Event]) -> Words:
    """Storage words by variable and path, from events only."""
    words: Words = {}
    for event in with_words(events):
        handler = globals().get("on_" + event.name)
        if handler is not None:
            handler(words, **{"from_" if key == "from" else key: value for key, value in event.args.items()})
    return words


def on_AccountSet(w: Words, account: bytes, word: int) -> None:  # noqa: N802
    w["accounts_", account] = word


def on_PositionSet(w: Words, account: bytes, market: int, word: int) -> None:  # noqa: N802
    w["positions_", account, market & 0xFF] = word


def on_CollateralSet(w: Words, account: bytes, index: int, balance: int) -> None:  # noqa: N802
    w["collateral_", account, index] = balance


def on_SaleSet(w: Words, account: bytes, startedAt: int) -> None:  # noqa: N802, N803
    w["saleStart_", account] = startedAt
    sales = ("pools_", int.from_bytes(account[20:22], "big"), "openSales")
    w[sales] = w.get(sales, 0) + (1 if startedAt else -1)


def on_MarketSet(w: Words, market: int, funding: int, sides: int, **sums: int) -> None:  # noqa: N802
    w["markets_", market, "funding"] = funding
    w["markets_", market, "sides"] = sides
    for name, value in sums.items():
        w["markets_", market, name] = value & LOW


def on_OpenEntrySumsSet(w: Words, market: int, **sums: int) -> None:  # noqa: N802
    for name, value in sums.items():
        w["markets_", market, name] = value & LOW


def on_SideEventSet(w: Words, market: int, long: bool, number: int, word: int) -> None:  # noqa: N802
    w["events_", market, int(long), number] = word


def on_EpochClosed(w: Words, market: int, long: bool, epoch: int, endValue: int) -> None:  # noqa: N802, N803
    w["epochEnds_", market, int(long), epoch] = endValue & LOW


def on_PoolSet(w: Words, pool: int, **parts: int) -> None:  # noqa: N802
    for name, word in parts.items():
        w["pools_", pool, name] = word


def on_DuesSet(w: Words, pool: int, dues: int) -> None:  # noqa: N802
    w["pools_", pool, "dues"] = dues


def on_DebtSet(w: Words, pool: int, debt: int) -> None:  # noqa: N802
    w["pools_", pool, "debt"] = debt


def on_ReservesSet(w: Words, pool: int, junior: int, lpEscrow: int) -> None:  # noqa: N802, N803
    w["pools_", pool, "junior"] = junior | lpEscrow << 128


def on_HeldSet(w: Words, pool: int, token: str, held: int) -> None:  # noqa: N802
    w["held_", pool, token] = held


def on_ClaimSet(w: Words, pool: int, token: str, owner: str, claim: int, totalClaims: int) -> None:  # noqa: N802, N803
    w["claims_", pool, token, owner] = claim
    w["claimTotals_", pool, token] = totalClaims


# ── configuration ──────────────────────────────────────────────────────────


def on_PoolConfigured(w: Words, pool: int, params: Any) -> None:  # noqa: N802
    q, key = params, ("poolConfigs_", pool)
    old = config.PoolSettlementWord.unpack(w.get((*key, "settlement"), 0))
    pauses = w.get((*key, "risk"), 0) >> 248
    share = PoolLiquidityWord.unpack(w.get((*key, "liquidity"), 0)).share_token
    w[(*key, "settlement")] = config.PoolSettlementWord(
        to_checksum_address(q.settlementToken),
        DECIMALS,
        old.market_count,
        old.collateral_count,
        q.maxCollaterals,
        q.utilisationLimitPpm,
    ).pack()
    w[(*key, "risk")] = config.PoolRiskWord(
        q.keeperFloor,
        q.minNotional,
        q.profitWeightPpm,
        q.insuranceSharePpm,
        q.lpSharePpm,
        q.adlTriggerPpm,
        q.adlTargetPpm,
        q.maxMarkets,
        DECIMALS,
        pauses,
    ).pack()
    w[(*key, "liquidation")] = config.PoolLiquidationWord(
        q.targetHealthPpm,
        q.rewardMax,
        q.gasUnits,
        q.l1Fee,
        q.gasAsset,
        q.graceHealthPpm,
        q.discountMaxPpm,
        q.saleSeconds,
    ).pack()
    w[(*key, "interest")] = config.PoolInterestWord(
        q.interestBase, q.interestSlope1, q.interestSlope2, q.interestKinkPpm, q.referenceNav
    ).pack()
    w[(*key, "liquidity")] = PoolLiquidityWord(share, q.reserveFactorPpm, q.lpGapPpm).pack()


DECIMALS = 6
"""Of the settlement tokens; a token says so itself and never changes it."""
TOKEN_DECIMALS: dict[str, int] = {}


def on_ShareTokenConfigured(w: Words, pool: int, token: str) -> None:  # noqa: N802
    key = ("poolConfigs_", pool, "liquidity")
    old = PoolLiquidityWord.unpack(w[key])
    w[key] = PoolLiquidityWord(token, old.reserve_factor_ppm, old.lp_gap_ppm).pack()
    w["isPeer_", token] = 1


def on_MarketConfigured(w: Words, market: int, params: Any) -> None:  # noqa: N802
    q, key = params, ("marketConfigs_", market)
    flags = w.get((*key, "margin"), 1 << 224) >> 224 & 0xFF
    if (*key, "margin") not in w:
        count(w, market >> 8, 168)
    w[(*key, "margin")] = config.MarginWord(
        q.imBasePpm,
        q.mmBasePpm,
        q.penaltyPpm,
        q.imSlope,
        q.mmSlope,
        q.volCapPercent * PERCENT,
        q.asset,
        flags,
        q.rewardRatePpm,
    ).pack()
    w[(*key, "trade")] = config.TradeWord(
        q.skewScale, q.rMax, q.vMax, q.deadBandPpm, q.makerPpm, q.takerPpm, q.sigmaRef, q.gapPpm
    ).pack()
    w[(*key, "limits")] = config.LimitsWord(
        q.oiCap, q.skewCap, q.maxPosition, q.navMultiplePpm, q.halfBandPpm, q.movePpm
    ).pack()


def count(w: Words, pool: int, shift: int) -> None:
    """One more market or collateral of a pool."""
    w["poolConfigs_", pool, "settlement"] += 1 << shift


def on_CollateralConfigured(w: Words, pool: int, index: int, params: Any) -> None:  # noqa: N802
    q, key = params, ("collateralConfigs_", pool, index)
    if key not in w:
        count(w, pool, 176)
    token = to_checksum_address(q.token)
    w[key] = config.CollateralWord(
        token, TOKEN_DECIMALS[token], q.asset, q.weightInitialPpm, q.weightMaintenancePpm
    ).pack()
    w["collateralCaps_", pool, index] = q.cap
    w["collateralIndex_", pool, token] = index + 1


def on_PauseSet(w: Words, pool: int, flags: int, by: str) -> None:  # noqa: N802
    key = ("poolConfigs_", pool, "risk")
    w[key] = w[key] & (1 << 248) - 1 | flags << 248


def on_MarketFlagsSet(w: Words, market: int, flags: int, by: str) -> None:  # noqa: N802
    key = ("marketConfigs_", market, "margin")
    w[key] = w[key] & ~(0xFF << 224) | flags << 224


def on_CapsLowered(w: Words, market: int, oiCap: int, skewCap: int, by: str) -> None:  # noqa: N802, N803
    key = ("marketConfigs_", market, "limits")
    w[key] = w[key] & ~((1 << 128) - 1) | oiCap // 10**9 | skewCap // 10**9 << 64


def on_GuardianSet(w: Words, newGuardian: str = "", guardian: str = "") -> None:  # noqa: N802, N803
    w["guardian_",] = int(newGuardian or guardian, 16)


# ── gaps ───────────────────────────────────────────────────────────────────


def gaps(events: Iterable[Event]) -> list[tuple[bytes, int, int]]:
    """Accounts whose version jumps: (account, version before, version after)."""
    seen: dict[bytes, int] = {}
    found = []
    for event in with_words(events):
        if event.name == "AccountSet":
            account, version = event["account"], AccountWord.unpack(event["word"]).version
            before = seen.get(account, 0)
            if version != (before + 1) % (1 << 32):
                found.append((account, before, version))
            seen[account] = version
    return found


# ── a busy history ─────────────────────────────────────────────────────────


def history(p: Protocol, seed: str) -> set[str]:
    """Trades, liquidations, sales, deleveraging, epochs, pauses and setters; the names of what happened."""
    rng = random.Random(seed)
    majors = [p.account(actor, sub=sub) for actor in (p.trader, p.other_trader) for sub in range(3)]
    tail = [p.account(p.trader, "longtail", sub=sub) for sub in range(3)]
    for account in majors:
        p.deposit(account, rng.randrange(2_000, 9_000))
        p.deposit(account, f"0.{rng.randrange(1, 9)}", token="WETH")
    for account in tail:
        p.deposit(account, 30_000)
    for account in majors:
        for market, most in (("ETH", 12), ("BTC", 0)):
            size = str(rng.choice((-1, 1)) * rng.randrange(4, 4 + most)) if most else rng.choice(("0.2", "-0.3"))
            try_trade(p, account, market, size)
    for account, size in zip(tail, (900, 700, 800), strict=True):
        try_trade(p, account, "SOL", str(size))
    p.clearinghouse.transact("sweepFees", 1, p.attacker, sender=p.owner)
    p.clearinghouse.transact("claim", 1, p.tokens["USDC"].address, p.attacker, sender=p.attacker)
    p.lp_deposit(p.other_lp, 500_000)
    p.pools["majors"].lp.transact("requestRedeem", 10**22, p.lp, p.lp, sender=p.lp)
    p.clearinghouse.transact("setPause", 2, 2, sender=p.guardian)
    p.clearinghouse.transact("lowerCaps", 257, 400 * WAD, 200 * WAD, sender=p.guardian)
    for eth, btc in ((1_900, 41_500), (1_780, 38_000), (1_600, 36_000), (2_150, 43_000)):
        p.set_price("ETH", eth)
        p.set_price("BTC", btc)
        p.liquidate(*majors)
        for account in rng.sample(majors, 2):
            try_trade(p, account, rng.choice(("ETH", "BTC")), rng.choice(("0.1", "-0.1", "1", "-1")))
    for account in majors:
        if p.reader.word("saleStart_", account):
            p.mint("USDC", p.attacker, 50_000)
            p.approve("USDC", p.attacker)
            p.anvil.advance(700)
            p.publish()
            weth = p.tokens["WETH"].address
            p.clearinghouse.transact("buyCollateral", account, weth, 10**20, LOW, b"", sender=p.attacker)
    shrink(p, 60_000)
    p.set_price("SOL", 118)
    p.clearinghouse.transact("deleverage", p.market("SOL"), sender=p.attacker)
    try_trade(p, tail[0], "SOL", "-20")
    shrink(p, 20_000)
    p.set_price("SOL", 150)
    p.clearinghouse.transact("deleverage", p.market("SOL"), sender=p.attacker)
    p.clearinghouse.transact("closeSettled", p.market("SOL"), tail[:2], sender=p.attacker)
    p.warp(3_600)
    p.strike("majors")
    return {event.name for event in logs(p)}


def shrink(p: Protocol, dollars: int) -> None:
    """The long tail pays almost all its cash out to its LP: a strike without the reserve in the way."""
    ledger = p.ledger("longtail")
    key = ("pools_", 2, "money")
    word = p.reader.word(*key) - (ledger.cash - dollars * WAD)
    slot = p.reader.slots.at("pools_", 2, "money")
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])
    held = p.reader.slots.at("held_", 2, p.tokens["USDC"].address)
    left = ledger.held - (ledger.cash - dollars * WAD)
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(held), "0x" + left.to_bytes(32, "big").hex()])
    # what was written from outside is told to the log by the next calls that store pool and held
    p.deposit(p.account(p.lp, "longtail"), 1)
    p.clearinghouse.transact("accrue", p.market("SOL"), sender=p.attacker)


def try_trade(p: Protocol, account: bytes, market: str, size: str) -> None:
    """Places and executes; refusals are as good as fills."""
    try:
        order, _ = p.place(account, market, size)
    except Exception:
        return
    due(p, order)
    p.execute(order)


@pytest.mark.parametrize("seed", ["a", "b"])
def test_storage_is_rebuilt_from_logs_word_by_word(protocol: Protocol, seed: str) -> None:
    p = protocol
    TOKEN_DECIMALS.update({token.address: token.call("decimals") for token in p.tokens.values()})
    happened = history(p, seed)
    wanted = {"Liquidated", "Deleveraged", "EpochClosed", "SaleSet", "CollateralSold", "Struck", "ClaimSet", "Filled"}
    assert wanted <= happened
    events = logs(p)
    words = rebuild(events)
    paths = list(words)
    assert len(paths) > 90
    stored = p.reader.words(paths)
    wrong = [
        (path, hex(words[path]), hex(word)) for path, word in zip(paths, stored, strict=True) if words[path] != word
    ]
    assert wrong == []
    assert gaps(events) == []
    complete(p, words)


def complete(p: Protocol, words: Words) -> None:
    """No word of storage is left that the logs do not tell: every slot that any transaction wrote is known."""
    known = {p.reader.slots.at(str(path[0]), *path[1:]) for path in words}
    # roles and the lock's neighbours are words of their own
    for name in ("owner_", "pendingOwner_", "guardian_"):
        known.add(p.reader.slots.at(name))
    state = p.rpc.request("anvil_dumpState")
    dumped = json.loads(gzip.decompress(bytes.fromhex(state[2:])))
    account = dumped["accounts"][p.clearinghouse.address.lower()]
    found = {int(slot, 16): int(word, 16) for slot, word in account["storage"].items() if int(word, 16)}
    missing = {hex(slot): hex(word) for slot, word in found.items() if slot not in known}
    assert missing == {}


def test_a_missing_log_shows_as_a_version_gap(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    for _ in range(4):
        p.deposit(account, 10)
    p.withdraw(account, 5)
    events = [event for event in logs(p) if event.name in ("Deposited", "Withdrawn") and event["account"] == account]
    assert gaps(events) == []
    for index in range(len(events) - 1):
        assert gaps(events[:index] + events[index + 1 :]) == [(account, index, index + 2)]
    assert gaps([events[1], events[0]]) != []
