"""What is said of a decision: one line with every term it was decided on, a count, and a record for whoever asked."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.chain.errors import Revert
from plimsoll.keeper.actions import Key, Wait
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import Decision, Term, decision_id
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.intent import Outcome, Result
from plimsoll.keeper.sending.simulate import cause_of
from plimsoll.keeper.service.calls import CallData
from plimsoll.keeper.service.names import name_of, show_key

__all__ = ["Teller"]

OUTCOMES = {
    Result.SENT: "send",
    Result.WAITING: "send",
    Result.WOULD_SEND: "dry run",
    Result.UNPROFITABLE: "unprofitable",
    Result.BLOCKED: "blocked",
    Result.BUSY: "wait",
    Result.TRIED: "wait",
    Result.REFUSED: "refused",
}
SIGNS = {"expected_reward": 1, "gas_cost": -1, "oracle_fee": -1, "revert_cost": -1, "allowance": 1}
"""Terms of an expected value, and how they count."""


class Teller:
    """Tells log and metrics."""

    def __init__(self, log: DecisionLog, telemetry: Telemetry) -> None:
        self._log = log
        self._telemetry = telemetry

    def told(self, job: str, trace: str, call: CallData, outcome: Outcome, block: int) -> Decision:
        """What the transaction manager made of a call."""
        what, valuation, fees = OUTCOMES[outcome.result], outcome.valuation, outcome.fees
        terms = _terms(valuation.shown()) if valuation is not None else ()
        text = f"{call.event} {call.text}"
        shown = {term.name: term.wei for term in terms}
        log = self._log.about(trace, job=job)
        if outcome.under_way:
            log.info(call.event, f"{text}: sent {outcome.tx_hash}", tx=outcome.tx_hash, block=block, **shown)
        elif outcome.result is Result.WOULD_SEND:
            log.info(call.event, f"{text}: would be sent (dry run)", **shown)
        else:
            key = ("not sent", call.event, call.data[:36], what)
            log.once(key, what, f"{text}: {outcome.reason or what}", **shown)
        self._telemetry.decided(job, what)
        return Decision(
            id=trace,
            job=job,
            outcome=what,
            text=text,
            reason=outcome.reason,
            value_wei=valuation.value if valuation is not None else None,
            terms=terms,
            gas=call.gas,
            max_fee_wei=fees.max_fee if fees is not None else 0,
            tx_hash=outcome.tx_hash or "",
        )

    def wait(self, job: str, action: Wait) -> Decision:
        """Nothing is done yet, and why."""
        trace, shown = decision_id(job, name_of(action.key)), show_key(action.key)
        self._log.about(trace, job=job).once(action.key, "wait", f"{shown}: {action.reason}")
        self._telemetry.decided(job, "wait")
        return Decision(trace, job, "wait", shown, action.reason)

    def refuse(self, job: str, key: Key, text: str, revert: Revert | None = None) -> Decision:
        """The simulation failed, or nothing would be done."""
        cause = f" ({cause_of(revert)})" if revert is not None else ""
        trace = decision_id(job, name_of(key))
        self._log.about(trace, job=job).once(key, "refused", text + cause)
        self._telemetry.decided(job, "refused")
        return Decision(trace, job, "refused", text, str(revert) if revert is not None else "")


def _terms(shown: Mapping[str, int]) -> tuple[Term, ...]:
    return tuple(Term(name, sign * shown[name]) for name, sign in SIGNS.items() if shown.get(name))
