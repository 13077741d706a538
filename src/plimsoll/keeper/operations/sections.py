"""Sections of the keeper's configuration, each with its defaults and its limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from plimsoll.keeper.operations.values import (
    Address,
    ChainSeconds,
    Dollars,
    Ether,
    File,
    Flag,
    Gwei,
    NodeUrl,
    Pause,
    Ratio,
    StorePath,
    Whole,
    several,
)
from plimsoll.units import WAD

__all__ = [
    "JOBS",
    "AuditConfig",
    "DatabaseConfig",
    "DecisionConfig",
    "HaConfig",
    "JobConfig",
    "KeyConfig",
    "LogConfig",
    "LogFormat",
    "NodeConfig",
    "PriceConfig",
    "ReadinessConfig",
    "Route",
    "Section",
    "SendingConfig",
    "ServerConfig",
    "ViewMode",
]

JOBS = ("liquidation", "prices", "orders", "collateral", "pools", "funding", "claims")
"""Names of the keeper's jobs, in the order in which they are decided."""


class Route(StrEnum):
    """Where a transaction is handed over: one provider, a private one, or all of them."""

    PUBLIC = "public"
    PRIVATE = "private"
    MULTI = "multi"


class ViewMode(StrEnum):
    """The live view: where there is a terminal, always, or never."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class LogFormat(StrEnum):
    """Lines for people, or one JSON object each."""

    TEXT = "text"
    JSON = "json"


class Section(BaseModel):
    """Part of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeConfig(Section):
    """Which nodes are used and how.

    :param providers: nodes for reading and sending, the preferred one first; http(s) or unix socket.
    :param heads: WebSocket addresses whose new heads hasten the next look at the chain; never relied upon.
    :param private: where transactions of the private route go.
    :param poll: time between two looks at the head.
    :param timeout: longest wait for an answer.
    :param max_lag: blocks that a provider may be behind the best one before it is not read.
    :param silence: time without a new block after which another provider is asked.
    :param log_chunk: most blocks whose logs are asked for at once while catching up.
    :param page: accounts per call of a Lens view.
    """

    providers: Annotated[tuple[NodeUrl, ...], several] = ("http://127.0.0.1:8545",)
    heads: Annotated[tuple[NodeUrl, ...], several] = ()
    private: NodeUrl | None = None
    poll: Annotated[Pause, Field(ge=0.05, le=600)] = 1.0
    timeout: Annotated[Pause, Field(gt=0, le=600)] = 10.0
    max_lag: Whole = 2
    silence: Annotated[Pause, Field(gt=0)] = 30.0
    log_chunk: Annotated[Whole, Field(ge=1)] = 5_000
    page: Annotated[Whole, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _schemes(self) -> Self:
        if not self.providers:
            raise ValueError("providers is empty; name one node or more")
        if any(url.startswith(("ws://", "wss://")) for url in self.providers):
            raise ValueError("providers are read over http(s) or a unix socket; put ws(s) addresses into heads")
        if any(not url.startswith(("ws://", "wss://")) for url in self.heads):
            raise ValueError("heads are WebSocket addresses; write ws(s)://…")
        return self


class KeyConfig(Section):
    """Who sends: exactly one of these; none means the first unlocked account of a local node.

    :param keystore: encrypted key file. Its password comes from `password_file`, from the variable that
        `password_env` names, or is asked for on a terminal.
    :param key_env: variable that holds a raw private key; development chains only.
    :param unlocked: account that a development node signs for.
    :param watch: address to decide for in a dry run, without a key.
    """

    keystore: File | None = None
    password_file: File | None = None
    password_env: str = "PLIMSOLL_PASSWORD"
    key_env: str | None = None
    unlocked: Address | None = None
    watch: Address | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(way is not None for way in (self.keystore, self.key_env, self.unlocked)) > 1:
            raise ValueError("keystore, key_env and unlocked exclude each other; give one")
        return self


class DatabaseConfig(Section):
    """Where state and journal are kept.

    :param url: SQLite file or postgresql://…; None: a file under `build/keeper`, one per network and sender.
    :param integrity_check: examine the whole file at the start; PostgreSQL examines its own.
    """

    url: StorePath | None = None
    integrity_check: Flag = True


class HaConfig(Section):
    """Several processes with one key on one database: one leads, the others stand by.

    :param enabled: without it a second process is refused.
    :param owner: name of this process in the lease; None: host and process number.
    :param lease: how long a silent leader keeps the lease.
    """

    enabled: Flag = False
    owner: str | None = None
    lease: Annotated[Pause, Field(ge=1, le=300)] = 10.0


class SendingConfig(Section):
    """How transactions are paid, handed over and given up.

    :param routes: where transactions are handed over; several in turn.
    :param max_fee: cap of the fee per gas whatever the worth; None: the expected value alone caps it.
    :param tip: first priority fee per gas; None: what the node proposes.
    :param replace_after: blocks after which a transaction that no block took is paid more.
    :param resend_after: blocks after which the same bytes are handed over again, in case a pool lost them.
    :param patience: blocks after which it is cancelled.
    :param gas_budget: most wei spent on gas in an hour; None: no limit.
    :param solvency_budget: most wei an hour that the objective `solvency` may spend beyond what is earned.
    :param min_balance: balance below which nothing is begun any more.
    :param max_reverts: so many unexpected reverts in a row stop the keeper.
    :param duty: most wei that one transaction whose worth is not known may cost.
    :param job_reverts: so many of one job in a row pause that job, until `probe_after` blocks later.
    :param max_in_flight: open nonces of the sender.
    :param bid: share of what is to be gained that is offered as tip where others compete.
    :param safety: blocks for which the fee cap lets the base fee rise as fast as it can.
    """

    routes: Annotated[tuple[Route, ...], several] = (Route.PUBLIC,)
    max_fee: Gwei | None = None
    tip: Gwei | None = None
    replace_after: Annotated[Whole, Field(ge=1)] = 3
    resend_after: Annotated[Whole, Field(ge=1)] = 2
    patience: Annotated[Whole, Field(ge=1)] = 50
    gas_budget: Ether | None = None
    solvency_budget: Ether = 10**17
    duty: Ether = 10**16
    min_balance: Ether = 0
    max_reverts: Annotated[Whole, Field(ge=1)] = 5
    job_reverts: Annotated[Whole, Field(ge=1)] = 3
    probe_after: Annotated[Whole, Field(ge=1)] = 25
    max_in_flight: Annotated[Whole, Field(ge=1, le=64)] = 16
    bid: Ratio = 100_000
    safety: Annotated[Whole, Field(ge=1, le=20)] = 3

    @model_validator(mode="after")
    def _given(self) -> Self:
        if not self.routes:
            raise ValueError("routes is empty; name public, private or multi")
        return self


class DecisionConfig(Section):
    """Limits of what is decided.

    :param reserve: settlement asset that is never spent on collateral.
    :param min_discount: least discount at which collateral is bought.
    :param min_profit: least gain of a purchase beyond its gas.
    :param accrue_every: time after which a market that nobody touched is accrued; 0: never.
    :param clear_unpaid: also clear expired orders whose fee returns to the trader.
    :param min_claim: least worth of a claim that is taken.
    :param claim_for: LPs who made the keeper an operator of their shares, whose paid redemptions it takes for them.
    :param sub_account: number of the keeper's own account in each pool.
    :param batch_gas: most gas of one transaction.
    """

    reserve: Dollars = 0
    min_discount: Ratio = 10_000
    min_profit: Dollars = WAD // 50
    accrue_every: ChainSeconds = 3_600
    clear_unpaid: Flag = True
    min_claim: Dollars = WAD
    claim_for: Annotated[tuple[Address, ...], several] = ()
    sub_account: Whole = 0
    batch_gas: Annotated[Whole, Field(ge=1_000_000)] = 12_000_000


class PriceConfig(Section):
    """Signed prices that the keeper brings on chain itself.

    :param service: address of a service that speaks the HTTP interface of Pyth's Hermes; None: nothing is brought.
    :param relay: the contract that updates prices and liquidates in one transaction.
    :param push_after: age at which a price is brought on chain although it flips nobody; 0: never.
    """

    service: NodeUrl | None = None
    relay: Address | None = None
    timeout: Annotated[Pause, Field(gt=0)] = 3.0
    push_after: ChainSeconds = 0


class JobConfig(Section):
    """One job.

    :param enabled: whether it is done at all.
    :param gas_budget: most wei that its gas may cost in an hour; None: no limit of its own.
    :param failures: so many failures in a row open its breaker; the other jobs go on.
    :param pause_blocks: blocks after which an open breaker lets one attempt through.
    """

    enabled: Flag = True
    gas_budget: Ether | None = None
    failures: Annotated[Whole, Field(ge=1)] = 5
    pause_blocks: Annotated[Whole, Field(ge=1)] = 50


class AuditConfig(Section):
    """Comparison of the mirror with the chain.

    :param every: blocks between two audits; 0: never.
    :param random: accounts drawn at random.
    :param at_risk: accounts nearest to the line.
    """

    every: Whole = 100
    random: Whole = 50
    at_risk: Whole = 200


class ReadinessConfig(Section):
    """When `/readyz` and `/livez` say no.

    :param max_lag: blocks behind the best provider.
    :param max_head_age: time without a new block, by this machine's monotonic clock.
    :param max_pass_age: time without a finished pass, after which the process counts as stuck.
    :param min_providers: providers that must be usable.
    """

    max_lag: Whole = 5
    max_head_age: Annotated[Pause, Field(gt=0)] = 60.0
    max_pass_age: Annotated[Pause, Field(gt=0)] = 120.0
    min_providers: Annotated[Whole, Field(ge=1)] = 1


class ServerConfig(Section):
    """Metrics, health and status over HTTP.

    :param port: 0 takes any free one.
    """

    enabled: Flag = False
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(le=65_535)] = 9_464


class LogConfig(Section):
    """Lines of the log."""

    format: LogFormat = LogFormat.TEXT
