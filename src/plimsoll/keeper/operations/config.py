"""The keeper's configuration: one typed tree, from defaults, a YAML file, the environment and options, in this order.

A key that is not known is an error that names the nearest one. Every value stays text until its own parser reads it,
so that no amount passes through a float.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from plimsoll.keeper.operations.redact import redacted
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
)
from plimsoll.keeper.options import Limits, Options
from plimsoll.units import WAD

__all__ = [
    "JOBS",
    "AuditConfig",
    "DatabaseConfig",
    "DecisionConfig",
    "HaConfig",
    "JobConfig",
    "KeeperConfig",
    "KeyConfig",
    "LogConfig",
    "LogFormat",
    "NodeConfig",
    "Objective",
    "PriceConfig",
    "ReadinessConfig",
    "Route",
    "SendingConfig",
    "ServerConfig",
    "ViewMode",
]

JOBS = ("liquidation", "prices", "orders", "upkeep")
"""Names of the keeper's jobs, in the order in which they are decided."""


class Objective(StrEnum):
    """What the keeper is for: its own profit, or the protocol's solvency up to a budget."""

    PROFIT = "profit"
    SOLVENCY = "solvency"


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

    providers: tuple[NodeUrl, ...] = ("http://127.0.0.1:8545",)
    heads: tuple[NodeUrl, ...] = ()
    private: NodeUrl | None = None
    poll: Annotated[Pause, Field(ge=0.05, le=600)] = 1.0
    timeout: Annotated[Pause, Field(gt=0, le=600)] = 10.0
    max_lag: Whole = 2
    silence: Annotated[Pause, Field(gt=0)] = 30.0
    log_chunk: Annotated[Whole, Field(ge=1)] = 5_000
    page: Annotated[Whole, Field(ge=1)] = 100

    @field_validator("providers", "heads", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One address, or several with commas between them, may be written as text."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

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
    :param integrity_check: examine the whole file at the start.
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
    :param safety: reserve of blocks, for which the fee cap allows the base fee to rise.
    """

    routes: tuple[Route, ...] = (Route.PUBLIC,)
    max_fee: Gwei | None = None
    tip: Gwei | None = None
    replace_after: Annotated[Whole, Field(ge=1)] = 3
    resend_after: Annotated[Whole, Field(ge=1)] = 2
    patience: Annotated[Whole, Field(ge=1)] = 50
    gas_budget: Ether | None = None
    solvency_budget: Ether = 10**17
    min_balance: Ether = 0
    max_reverts: Annotated[Whole, Field(ge=1)] = 5
    safety: Annotated[Whole, Field(ge=1, le=20)] = 3

    @field_validator("routes", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

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
    :param sub_account: number of the keeper's own account in each pool.
    :param batch_gas: most gas of one transaction.
    """

    reserve: Dollars = 0
    min_discount: Ratio = 10_000
    min_profit: Dollars = WAD // 50
    accrue_every: ChainSeconds = 3_600
    clear_unpaid: Flag = True
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
    :param failures: so many failures in a row open its breaker; the other jobs go on.
    :param pause_blocks: blocks after which an open breaker lets one attempt through.
    """

    enabled: Flag = True
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


def _jobs() -> dict[str, JobConfig]:
    return {name: JobConfig() for name in JOBS}


class KeeperConfig(Section):
    """Everything an operator decides.

    :param network: a file `deployments/NAME.yaml`, or the path of a parameters file.
    :param dry_run: decide and simulate everything, send nothing.
    :param jobs: settings of jobs by name; those that are not named have the usual ones.
    """

    network: str = "local"
    objective: Objective = Objective.PROFIT
    dry_run: Flag = False
    view: ViewMode = ViewMode.OFF
    node: NodeConfig = NodeConfig()
    key: KeyConfig = KeyConfig()
    database: DatabaseConfig = DatabaseConfig()
    ha: HaConfig = HaConfig()
    sending: SendingConfig = SendingConfig()
    decisions: DecisionConfig = DecisionConfig()
    prices: PriceConfig = PriceConfig()
    jobs: dict[str, JobConfig] = Field(default_factory=_jobs)
    audit: AuditConfig = AuditConfig()
    readiness: ReadinessConfig = ReadinessConfig()
    server: ServerConfig = ServerConfig()
    log: LogConfig = LogConfig()

    @field_validator("jobs", mode="after")
    @classmethod
    def _known_jobs(cls, jobs: dict[str, JobConfig]) -> dict[str, JobConfig]:
        return _jobs() | jobs

    @model_validator(mode="after")
    def _together(self) -> Self:
        if Route.PRIVATE in self.sending.routes and self.node.private is None:
            raise ValueError("sending.routes names the private route, but node.private has no address")
        if self.key.watch is not None and not self.dry_run:
            raise ValueError("key.watch has no key to send with; set dry_run, or give a keystore")
        return self

    def job(self, name: str) -> JobConfig:
        """Settings of a job.

        :raises KeyError: there is no such job.
        """
        return self.jobs[name]

    def limits(self) -> Limits:
        """What decisions go by."""
        chosen = self.decisions
        return Limits(
            batch_gas=chosen.batch_gas,
            min_discount_ppm=chosen.min_discount,
            min_profit=chosen.min_profit,
            accrue_every=chosen.accrue_every,
            clear_unpaid=chosen.clear_unpaid,
        )

    def options(self) -> Options:
        """Options of the synchronous keeper; its database only where it is a file."""
        url = self.database.url
        return Options(
            limits=self.limits(),
            dry_run=self.dry_run,
            sub_account=self.decisions.sub_account,
            reserve=self.decisions.reserve,
            database=None if url is None or "://" in url else Path(url),
            log_chunk=self.node.log_chunk,
            page=self.node.page,
            max_reverts=self.sending.max_reverts,
            patience=self.sending.patience,
        )

    def public(self) -> dict[str, Any]:
        """The tree as plain values, addresses of nodes and databases without anything secret."""
        found: dict[str, Any] = redacted(self.model_dump(mode="json"))
        return found
