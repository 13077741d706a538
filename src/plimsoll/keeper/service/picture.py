"""The service as operators see it: one frozen tree, made from what is known without asking anybody."""

from __future__ import annotations

import importlib.metadata
import time
from typing import TYPE_CHECKING

from plimsoll.keeper.log import show_account
from plimsoll.keeper.node.headers import next_base_fee
from plimsoll.keeper.operations.status import (
    BookStatus,
    BreakerStatus,
    Bucket,
    BudgetStatus,
    Danger,
    DatabaseStatus,
    HeadStatus,
    InFlight,
    KeeperStatus,
    LeaseStatus,
    Phase,
    Versions,
)
from plimsoll.units import PPM, WAD

if TYPE_CHECKING:
    from plimsoll.keeper.service.service import KeeperService, Parts

__all__ = ["picture"]

BUCKETS = (1_000_000, 1_050_000, 1_100_000, 1_250_000, 1_500_000, 2_000_000)
"""Upper ends of health ratios, ppm."""
NEAREST = 12


def picture(service: KeeperService) -> KeeperStatus:
    """The status at this moment. Ages go by the monotonic clock, times are the chain's."""
    now = time.monotonic()
    parts = service.parts
    if parts is None:
        return KeeperStatus(phase=service.phase, uptime_seconds=now - service.begun)
    passes, manager, last = parts.passes, parts.passes.manager, service.last
    target, stats = passes.chain.target, passes.follower.stats
    head = HeadStatus()
    if last is not None:
        head = HeadStatus(
            number=last.head.number,
            hash=last.head.hash,
            time=last.head.time,
            age_seconds=now - service.head_at,
            lag_blocks=parts.lag(),
            base_fee_wei=next_base_fee(last.head),
            reorgs=stats.reorgs,
            deepest_blocks=stats.deepest_reorg,
            resyncs=stats.resyncs,
        )
    limits = manager.guards.limits
    return KeeperStatus(
        phase=service.phase,
        versions=Versions(
            plimsoll=importlib.metadata.version("plimsoll"),
            network=target.network,
            chain_id=target.chain_id,
            clearinghouse=target.clearinghouse.address,
            sender=passes.keeper,
            objective=str(service.config.objective),
            dry_run=service.config.dry_run,
        ),
        head=head,
        uptime_seconds=now - service.begun,
        passes=service.passes,
        pass_age_seconds=None if service.passed_at is None else now - service.passed_at,
        pass_seconds=last.seconds if last is not None else 0.0,
        balance_wei=sum(manager.balances.values()),
        earned_wad=parts.ledger.total.rewards + parts.ledger.total.sale_profit,
        spent_wei=parts.ledger.total.gas_cost,
        halts=tuple(passes.halts),
        providers=parts.providers(),
        book=_book(parts),
        oracles=passes.oracles,
        dangers=_dangers(parts),
        in_flight=tuple(
            InFlight(
                journal=one.entry,
                id=one.trace,
                job=one.job,
                tx_hash=one.tx_hash,
                nonce=one.nonce,
                max_fee_wei=one.max_fee,
                tip_wei=one.tip,
                gas=one.gas,
                age_blocks=one.age,
                status="cancelling" if one.is_cancel else "broadcast",
                replacements=one.attempts - 1,
                worth_wei=one.worth_wei,
            )
            for one in (manager.in_flight() if last is not None else ())
        ),
        actions=tuple(parts.ledger.latest),
        breakers=(
            BreakerStatus("all", manager.guards.tripped, manager.guards.all.failures, limits.max_reverts),
            *(breaker.status() for breaker in passes.breakers.values()),
        ),
        budgets=(BudgetStatus("gas", manager.spent if last is not None else 0, limits.gas_budget),),
        lease=_lease(service, parts),
        database=DatabaseStatus(
            kind="postgresql" if parts.where.startswith("postgres") else "sqlite",
            where=parts.where,
            head=last.head.number if last is not None else 0,
            commit_seconds=stats.commit_seconds,
        ),
        audit=parts.auditor.status,
    )


def _book(parts: Parts) -> BookStatus:
    passes, mirror = parts.passes, parts.passes.mirror
    buckets: list[Bucket] = []
    if passes.observations is not None:
        counts = parts.search.standing(passes.observations).buckets([most / PPM for most in BUCKETS])
        buckets = [Bucket(most, count) for most, count in zip(BUCKETS, counts, strict=True)]
    return BookStatus(
        accounts=mirror.known,
        positions=mirror.open_positions,
        orders=len(mirror.orders),
        sales=len(mirror.sales),
        pools=len(mirror.pools),
        markets=len(mirror.markets),
        candidates=passes.candidates,
        liquidatable=passes.liquidatable,
        buckets=tuple(buckets),
    )


def _dangers(parts: Parts) -> tuple[Danger, ...]:
    """The accounts nearest to the line, by how far their prices may move against them."""
    passes, mirror = parts.passes, parts.passes.mirror
    if passes.observations is None:
        return ()
    standing = parts.search.standing(passes.observations)
    order = standing.nearest(NEAREST)
    found = []
    for at, account in zip(order.tolist(), mirror.ids(standing.rows[order].tolist()), strict=True):
        pool = int.from_bytes(account[20:22], "big")
        held = list(mirror.positions(account))
        market = passes.chain.target.name(pool << 8 | held[0]) if held else ""
        found.append(
            Danger(
                account=show_account(account),
                pool=passes.chain.target.name(pool),
                market=market if len(held) < 2 else f"{market} and {len(held) - 1} more",
                distance_ppm=int(standing.distance[at] * PPM),
                equity_wad=int(standing.equity[at] * WAD),
                required_wad=int(standing.required[at] * WAD),
            )
        )
    return tuple(found)


def _lease(service: KeeperService, parts: Parts) -> LeaseStatus:
    lease = parts.repository.lease
    grant = lease.grant
    mode = "single"
    if service.phase is Phase.STANDBY:
        mode = "standby"
    elif service.config.ha.enabled:
        mode = "leader" if grant is not None and lease.remaining() > 0 else "lost"
    return LeaseStatus(mode, service.owner, grant.epoch if grant is not None else 0, lease.remaining())
