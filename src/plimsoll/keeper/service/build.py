"""Puts a service together: nodes, database, mirror, jobs, transactions."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp

from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.jobs.base import Job
from plimsoll.keeper.jobs.claims import Claims
from plimsoll.keeper.jobs.collateral import CollateralSales
from plimsoll.keeper.jobs.funding import Funding
from plimsoll.keeper.jobs.liquidation import Liquidation
from plimsoll.keeper.jobs.orders import Orders
from plimsoll.keeper.jobs.pools import Pools
from plimsoll.keeper.jobs.price_source import HermesSource, PriceSource
from plimsoll.keeper.jobs.prices import Prices
from plimsoll.keeper.node.decode import Decoder
from plimsoll.keeper.node.follower import Follower
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.keystore import DEVELOPMENT_CHAINS, Identity
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.measured import MeasuredJournal
from plimsoll.keeper.operations.redact import shown_url
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.desk import Report
from plimsoll.keeper.sending.manager import TransactionManager
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.ports import LeaseFence, Signer
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.sending.signing import KeySigner, UnlockedSigner
from plimsoll.keeper.sending.simulate import Simulator
from plimsoll.keeper.service.audit import Auditor
from plimsoll.keeper.service.breaker import JobBreaker
from plimsoll.keeper.service.calls import Calls
from plimsoll.keeper.service.chain import Chain
from plimsoll.keeper.service.dispatch import Dispatcher
from plimsoll.keeper.service.ledger import Ledger
from plimsoll.keeper.service.nodes import Nodes
from plimsoll.keeper.service.passes import Passes
from plimsoll.keeper.service.prices import PriceGate
from plimsoll.keeper.service.service import KeeperService, Parts
from plimsoll.keeper.service.sink import MirrorSink
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.target import Target

__all__ = ["build", "process_name"]


QUIET = frozenset({"handed over", "closed", "landed"})
"""Steps of transactions that are told elsewhere already."""
LOUD = frozenset({"disorder", "foreign", "gap", "unread"})


def process_name() -> str:
    """Names this run of this process in a lease."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def build(
    config: KeeperConfig,
    deployment: Deployment,
    who: Identity,
    database: str | None,
    log: DecisionLog,
    telemetry: Telemetry,
    *,
    source: Callable[[aiohttp.ClientSession], PriceSource] | None = None,
) -> KeeperService:
    """A service that is ready to run. Nothing is opened before it does.

    :param database: file, `postgresql://…`, or None for memory.
    :param source: signed prices; by default from the service that the configuration names.
    """
    target = Target.of(deployment.rpc, deployment)
    nodes = Nodes(config, target, telemetry)
    options, sending = config.options(), _sending(config, target.chain_id)
    where = shown_url(database) if database is not None else "memory"

    async def make() -> Parts:
        session: aiohttp.ClientSession | None = None
        try:
            await nodes.open()
            repository = open_repository(
                database,
                target.identity,
                shared=config.ha.enabled,
                examine=config.database.integrity_check,
                put_aside=True,
            )
        except BaseException:
            await nodes.close()
            raise
        if repository.was_foreign:
            log.warn("database", "the database belonged to another deployment or chain; it was emptied")
        if repository.quarantined is not None:
            log.warn("database", f"the database was damaged; it was moved to {repository.quarantined}")
        mirror = Mirror()
        search = Search(mirror)
        house, book = target.clearinghouse, target.order_book
        decoder = Decoder((house.address, house.abi), (book.address, book.abi), owners=[who.address])
        follower = Follower(
            nodes.client,
            repository,
            decoder,
            first_block=target.first_block,
            sink=MirrorSink(mirror, search),
            longest=config.node.log_chunk,
        )
        chain = Chain(nodes.client, target)
        manager = TransactionManager(
            nodes.client,
            MeasuredJournal(repository.journal, telemetry),
            LeaseFence(repository.lease),
            [_signer(who, nodes, target.chain_id)],
            Routes(nodes.takers, nodes.private, config.sending.routes),
            sending,
            errors=house.errors,
            report=_reporter(log, telemetry),
        )
        simulator = Simulator(nodes.client, house.errors)
        dispatcher = Dispatcher(Calls(target, who.address, options), simulator, manager, log, telemetry, who.address)
        feeds = _pyth_feeds(deployment)
        if feeds and (source is not None or config.prices.service is not None):
            session = aiohttp.ClientSession()
        prices = _source(config, feeds, session, source)
        jobs = _jobs(config, search, telemetry, prices, feeds, _uncertainties(deployment))
        breakers = {
            job.name: JobBreaker(job.name, config.job(job.name).failures, config.job(job.name).pause_blocks)
            for job in jobs
        }
        gate = PriceGate({asset.id: name for name, asset in deployment.parameters.assets.items()})
        passes = Passes(
            chain, mirror, follower, manager, dispatcher, jobs, breakers, gate, options, who.address, log, telemetry
        )
        audit = config.audit
        auditor = Auditor(
            chain,
            mirror,
            search,
            telemetry,
            every=audit.every,
            at_risk=audit.at_risk,
            chosen=audit.random,
            page=config.node.page,
        )

        async def close() -> None:
            if session is not None:
                await session.close()
            await nodes.close()

        calls = Calls(target, who.address, options)
        return Parts(
            passes=passes,
            search=search,
            ledger=Ledger(chain, dispatcher, log, telemetry),
            auditor=auditor,
            repository=repository,
            where=where,
            accounts=lambda: frozenset(calls.account(pool) for pool in mirror.pool_terms),
            providers=nodes.status,
            lag=nodes.lag,
            look=nodes.look,
            close=close,
        )

    opening = (
        f"keeping {target.network} (chain {target.chain_id}) as {who.address} through {nodes.shown}, "
        f"logs in {where}" + (", dry run" if config.dry_run else "")
    )
    owner = config.ha.owner or process_name()
    return KeeperService(config, make, nodes.wait, log, telemetry, owner=owner, opening=opening)


def _sending(config: KeeperConfig, chain_id: int) -> SendingOptions:
    """How transactions are sent. On a development chain nobody competes, so that the tip is 0 by default."""
    options = config.sending_options()
    if options.fees.tip is None and chain_id in DEVELOPMENT_CHAINS:
        return replace(options, fees=replace(options.fees, tip=0))
    return options


def _signer(who: Identity, nodes: Nodes, chain_id: int) -> Signer:
    if who.account is not None:
        return KeySigner(who.account, chain_id)
    return UnlockedSigner(nodes.client, who.address, chain_id)


def _jobs(
    config: KeeperConfig,
    search: Search,
    telemetry: Telemetry,
    source: PriceSource | None,
    feeds: Mapping[int, bytes],
    uncertainties: Mapping[int, int],
) -> list[Job]:
    """Every job that is switched on, in the order in which they decide."""
    made: list[Job] = [Liquidation(search, telemetry)]
    if source is not None:
        made.append(Prices(source, feeds, search, uncertainties))
    made += [Orders(source), CollateralSales(), Pools(), Funding(), Claims()]
    return [job for job in made if config.job(job.name).enabled]


def _source(
    config: KeeperConfig,
    feeds: Mapping[int, bytes],
    session: aiohttp.ClientSession | None,
    given: Callable[[aiohttp.ClientSession], PriceSource] | None,
) -> PriceSource | None:
    if session is None:
        return None
    if given is not None:
        return given(session)
    assert config.prices.service is not None
    return HermesSource(session, config.prices.service, feeds, config.prices.timeout)


def _pyth_feeds(deployment: Deployment) -> dict[int, bytes]:
    """Price ids of the assets that the deployment's parameters price by Pyth."""
    assets = deployment.parameters.assets.values()
    return {asset.id: bytes.fromhex(asset.pyth_id[2:]) for asset in assets if asset.pyth_id is not None}


def _uncertainties(deployment: Deployment) -> dict[int, int]:
    return {asset.id: asset.max_uncertainty.value for asset in deployment.parameters.assets.values()}


def _reporter(log: DecisionLog, telemetry: Telemetry) -> Report:
    """Tells log and metrics what the transaction manager does."""

    def report(event: str, fields: Mapping[str, Any]) -> None:
        trace = str(fields.get("trace", ""))
        line = log.about(trace) if trace else log
        text = " ".join(f"{name}={value}" for name, value in fields.items() if name not in ("trace", "text"))
        if event in QUIET:
            return
        (line.warn if event in LOUD else line.info)(event, text, **dict(fields))

    del telemetry
    return report
