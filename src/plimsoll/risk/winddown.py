"""The end of a replay: prices stand still, everybody cooperates, and everybody leaves with what is his.

Orders run out, positions are closed by reduce-only orders, debts are repaid out of the owners' pockets, collateral and
cash are withdrawn, the guardian lowers all caps to zero so that LPs may take the last of the pool, LPs redeem over as
many epochs as it takes, the owner sweeps and claims the fees, the keeper withdraws. Insurance stays by design, and so
does the dead deposit of each pool with its share of the pool's cash.
"""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.deploy.deployment import PoolHandles
from plimsoll.model.words import AccountWord
from plimsoll.risk.agents import Trader
from plimsoll.risk.records import WindDown
from plimsoll.risk.scene import NO_LIMIT, Scene
from plimsoll.units import WAD, format_units

__all__ = ["wind_down"]

ROUNDS = 6
EPOCHS = 4
HOUR = 3_600
SPARE = 20 * WAD
"""An owner with less equity adds that much before closing, so that the fee of the order can be paid …"""
SPARE_PERCENT = 1
"""… and from the third round on this part of the value of the positions as well, for the fees of large ones."""
PATIENCE = 2
DUST = WAD // 100
"""What may be left in V beyond the dead deposit's share: fractions of native units of a few hundred payments."""


def wind_down(scene: Scene) -> WindDown:
    """Everybody leaves. `residue_wei` counts native units of settlement assets in the Clearinghouse that belong to no
    one: beyond insurance and V (which the dead shares own), so fractions of accounts, claims and fees.
    """
    scene.stage.roomy(True)
    _orders_end(scene)
    for attempt in range(ROUNDS):
        if not _close_positions(scene, 0 if attempt < PATIENCE else SPARE_PERCENT):
            break
    _repay(scene)
    _withdraw(scene)
    _lower_caps(scene)
    _providers_leave(scene)
    _fees_leave(scene)
    scene.check_books()
    stuck = _stuck(scene)
    residue = sum(_residue(scene, pool) for pool in scene.deployment.pools.values())
    # Each account, each payment to an LP, and the fees of each pool may leave less than one native unit.
    most = len(scene.watcher.accounts) + _payments(scene) + 2 * len(scene.deployment.pools)
    scene.invariants.note("INV-40", -len(stuck) if stuck else most - residue, "; ".join(stuck[:3]) or f"{residue} left")
    return WindDown(residue, tuple(stuck))


# ── traders ────────────────────────────────────────────────────────────────


def _orders_end(scene: Scene) -> None:
    """Pending orders are filled at the price that stands, or run out and are cleared."""
    scene.rest(scene.stage.time + 60)
    latest = max((order.expiry for order in scene.watcher.orders.values()), default=0)
    if latest:
        scene.rest(max(latest, scene.stage.time) + 60)
    scene.work()


def _close_positions(scene: Scene, spare_percent: int) -> bool:
    """One round of reduce-only orders; whether there was anything to close."""
    found = False
    topped = False
    for trader in scene.traders:
        held = [m for m, _ in trader.markets if (p := scene.watcher.positions.get((trader.account, m))) and p.shares]
        if not held:
            continue
        found = True
        equity = scene.equity(trader)
        symbols = dict(trader.markets)
        value = sum(abs(size) * scene.prices[symbols[m]] // WAD for m, size in scene.sizes(trader).items())
        spare = SPARE + value * spare_percent // 100
        if equity < spare:
            _bring(scene, trader, spare - min(equity, 0))
            topped = True
    if topped:
        scene.block(scene.stage.time + 1)
        scene.work()
    if not found:
        return False
    for trader in scene.traders:
        for market, size in scene.sizes(trader).items():
            position = scene.watcher.positions.get((trader.account, market))
            if position is None or not position.shares:
                continue
            if size == 0:
                house = scene.deployment.clearinghouse
                scene.stage.queue("close settled", trader.owner, house, "closeSettled", market, [trader.account])
                continue
            fee = _least_fee(scene, trader, market)
            until = scene.stage.time + HOUR - 60
            terms = (trader.account, market, -size, 0 if size > 0 else NO_LIMIT, until, fee, True, bytes(32))
            scene.stage.queue("place order", trader.owner, scene.deployment.order_book, "placeOrder", *terms)
    scene.block(scene.stage.time + 1)
    delay = max(
        market.orders.settlement_delay.value
        for pool in scene.deployment.parameters.pools.values()
        for market in pool.markets.values()
    )
    scene.rest(scene.stage.time + delay + 1)
    return True


def _least_fee(scene: Scene, trader: Trader, market: int) -> int:
    pool, name = scene.deployment.market_name(market)
    return scene.deployment.parameters.pools[pool].markets[name].orders.min_keeper_fee.value


def _bring(scene: Scene, trader: Trader, amount: int) -> None:
    """Pays money (WAD) into an account, out of the owner's pocket, which is filled up if need be."""
    name = scene.settlement(trader.pool)
    token, units = scene.deployment.tokens[name], scene.native(name, amount)
    scene.brought[trader.pool] = scene.brought.get(trader.pool, 0) + units
    scene.stage.queue("mint", trader.owner, token, "mint", trader.owner, units)
    house = scene.deployment.clearinghouse
    scene.stage.queue("deposit", trader.owner, house, "deposit", trader.account, token.address, units)


def _repay(scene: Scene) -> None:
    for trader in scene.traders:
        word = scene.watcher.accounts.get(trader.account)
        if word is not None and word.raw_cash < 0:
            debt = scene.watcher.debt[int.from_bytes(trader.account[20:22], "big")]
            # A cent for the interest until the deposit is mined.
            _bring(scene, trader, -word.raw_cash * debt.borrow_index // WAD + WAD // 100)
    scene.block(scene.stage.time + 1)
    scene.work()
    scene.rest(scene.stage.time + 60)


def _withdraw(scene: Scene) -> None:
    house = scene.deployment.clearinghouse
    for trader in scene.traders:
        account, owner, pool = trader.account, trader.owner, trader.pool
        for name, index in scene.deployment.pools[pool].collateral.items():
            balance = scene.watcher.collateral.get((account, index), 0)
            if balance:
                token = scene.deployment.tokens[name].address
                scene.stage.queue("withdraw", owner, house, "withdraw", account, token, balance, owner)
        _take_cash(scene, account, owner, pool)
    scene.block(scene.stage.time + 1)


def _take_cash(scene: Scene, account: bytes, owner: str, pool: str) -> None:
    handles = scene.deployment.pools[pool]
    units = scene.watcher.accounts.get(account, AccountWord()).raw_cash // 10 ** (18 - handles.decimals)
    if units > 0:
        house, token = scene.deployment.clearinghouse, handles.settlement.address
        scene.stage.queue("withdraw", owner, house, "withdraw", account, token, units, owner)


# ── liquidity providers, fees ──────────────────────────────────────────────


def _lower_caps(scene: Scene) -> None:
    """Nobody trades any more: without caps nothing must be kept for them."""
    for pool in scene.deployment.pools.values():
        for market in pool.markets.values():
            house = scene.deployment.clearinghouse
            scene.stage.queue("lower caps", scene.stage.publisher, house, "lowerCaps", market, 0, 0)
    scene.block(scene.stage.time + 1)


def _providers_leave(scene: Scene) -> None:
    for _ in range(EPOCHS):
        scene.claim_liquidity(scene.deployment.pools)
        scene.block(scene.stage.time + 1)
        calls = [(scene.deployment.pools[one.pool].lp, "balanceOf", [one.owner]) for one in scene.providers]
        for provider, shares in zip(scene.providers, scene.ask(calls), strict=True):
            if shares:
                lp = scene.deployment.pools[provider.pool].lp
                terms = (shares, provider.owner, provider.owner)
                scene.stage.queue("request redeem", provider.owner, lp, "requestRedeem", *terms)
        scene.block(scene.stage.time + 1)
        if not any(_waiting(scene, pool) for pool in scene.deployment.pools.values()):
            break
        lps = [pool.lp for pool in scene.deployment.pools.values()]
        epochs = scene.ask([(lp, "currentEpoch", []) for lp in lps])
        times = scene.ask([(lp, "strikeTime", [epoch]) for lp, epoch in zip(lps, epochs, strict=True)])
        scene.rest(max(times) + 60)
        scene.work()
    scene.claim_liquidity(scene.deployment.pools)
    scene.block(scene.stage.time + 1)


def _waiting(scene: Scene, pool: PoolHandles) -> bool:
    """Whether somebody waits for a strike."""
    requested = scene.books.words([("pools_", pool.id, "junior")])[0] >> 128
    unit: int = 10 ** (18 - pool.decimals)
    waiting: int = pool.lp.call("balanceOf", pool.lp.address)
    return bool(requested) or waiting >= unit


def _fees_leave(scene: Scene) -> None:
    house, owner = scene.deployment.clearinghouse, scene.stage.publisher
    for account, name in zip(scene.keeper_accounts, scene.deployment.pools, strict=True):
        _take_cash(scene, account, scene.keeper_address, name)
    for pool in scene.deployment.pools.values():
        if scene.watcher.dues[pool.id].fees:
            scene.stage.queue("sweep fees", owner, house, "sweepFees", pool.id, owner)
            scene.stage.queue("claim", owner, house, "claim", pool.id, pool.settlement.address, owner)
    scene.block(scene.stage.time + 1)


# ── what is left ───────────────────────────────────────────────────────────


def _residue(scene: Scene, pool: PoolHandles) -> int:
    unit: int = 10 ** (18 - pool.decimals)
    held = scene.books.words([("held_", pool.id, pool.settlement.address)])[0]
    money = scene.watcher.money[pool.id]
    return -(-held // unit) - (money.insurance + max(money.cash, 0)) // unit


def _payments(scene: Scene) -> int:
    """How often an LP was paid: each time the fraction of a native unit stays with the pool's claim."""
    return len(scene.watcher.gas.get("redeem", ()))


def _stuck(scene: Scene) -> Sequence[str]:
    """Names of everything that could not leave."""
    found = [f"order {key[2]} of 0x{key[0].hex()} in market {key[1]}" for key in scene.watcher.orders]
    names = {trader.account: trader.name for trader in scene.traders}
    names |= dict.fromkeys(scene.keeper_accounts, "the keeper")
    for account, word in scene.watcher.accounts.items():
        name = names.get(account, f"0x{account.hex()}")
        pool = next(p for p in scene.deployment.pools.values() if p.id == int.from_bytes(account[20:22], "big"))
        if word.markets:
            found.append(f"{name}: a position")
        if word.collaterals:
            found.append(f"{name}: collateral")
        if word.raw_cash < 0:
            found.append(f"{name}: debt")
        elif word.raw_cash >= 10 ** (18 - pool.decimals):
            found.append(f"{name}: cash {format_units(word.raw_cash)}")
        if account in scene.watcher.sales:
            found.append(f"{name}: its sale does not end")
    for pool in scene.deployment.pools.values():
        found += _stuck_in_pool(scene, pool)
    return found


def _stuck_in_pool(scene: Scene, pool: PoolHandles) -> list[str]:
    found = []
    unit = 10 ** (18 - pool.decimals)
    dead, supply = scene.ask([(pool.lp, "balanceOf", [pool.lp.call("DEAD")]), (pool.lp, "totalSupply", [])])
    if supply - dead >= unit:
        found.append(f"pool {pool.name}: {format_units(supply - dead)} shares")
    reserves, claims = scene.books.words(
        [("pools_", pool.id, "junior"), ("claimTotals_", pool.id, pool.settlement.address)]
    )
    if reserves >> 128:
        found.append(f"pool {pool.name}: a deposit request")
    if claims >= unit * (_payments(scene) + 1):
        found.append(f"pool {pool.name}: claims of {format_units(claims)}")
    cash = scene.watcher.money[pool.id].cash
    if cash < 0:
        found.append(f"pool {pool.name}: it is short of {format_units(-cash)}")
    price = scene.last_share_price.get(pool.name)
    if price is not None and supply - dead < unit and cash > dead * price[0] // price[1] + DUST:
        found.append(f"pool {pool.name}: {format_units(cash)} that no share owns")
    return found
