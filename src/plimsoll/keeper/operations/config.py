"""The keeper's configuration: one typed tree, from defaults, a YAML file, the environment and options, in this order.

A key that is not known is an error that names the nearest one. Every value stays text until its own parser reads it,
so that no amount passes through a float.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from plimsoll.keeper.operations.redact import redacted
from plimsoll.keeper.operations.sections import (
    JOBS,
    AuditConfig,
    DatabaseConfig,
    DecisionConfig,
    HaConfig,
    JobConfig,
    KeyConfig,
    LogConfig,
    LogFormat,
    NodeConfig,
    PriceConfig,
    ReadinessConfig,
    Route,
    Section,
    SendingConfig,
    ServerConfig,
    ViewMode,
)
from plimsoll.keeper.operations.values import Flag
from plimsoll.keeper.options import Limits, Options
from plimsoll.keeper.sending.fees import FeePolicy
from plimsoll.keeper.sending.guards import GuardLimits
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.policy import Patience
from plimsoll.keeper.sending.value import Objective

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
    "Section",
    "SendingConfig",
    "ServerConfig",
    "ViewMode",
]


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
            min_claim=chosen.min_claim,
        )

    def options(self) -> Options:
        """Options of the jobs."""
        return Options(
            limits=self.limits(),
            dry_run=self.dry_run,
            sub_account=self.decisions.sub_account,
            reserve=self.decisions.reserve,
            push_after=self.prices.push_after,
            claim_for=self.decisions.claim_for,
        )

    def sending_options(self) -> SendingOptions:
        """Options of the transaction manager."""
        chosen = self.sending
        budgets = {name: job.gas_budget for name, job in self.jobs.items() if job.gas_budget is not None}
        return SendingOptions(
            objective=self.objective,
            fees=FeePolicy(chosen.max_fee, chosen.tip, chosen.bid, chosen.safety),
            patience=Patience(chosen.replace_after, chosen.resend_after, chosen.patience),
            limits=GuardLimits(
                gas_budget=chosen.gas_budget,
                job_budgets=budgets,
                solvency_budget=chosen.solvency_budget,
                duty_wei=chosen.duty,
                min_balance=chosen.min_balance,
                max_reverts=chosen.max_reverts,
                job_reverts=chosen.job_reverts,
                probe_after=chosen.probe_after,
                max_in_flight=chosen.max_in_flight,
            ),
            dry_run=self.dry_run,
        )

    def public(self) -> dict[str, Any]:
        """The tree as plain values, addresses of nodes and databases without anything secret."""
        found: dict[str, Any] = redacted(self.model_dump(mode="json"))
        return found
