"""What the keeper did and earned, counted from the receipts of its own transactions."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from plimsoll.chain.errors import RpcError
from plimsoll.chain.receipt import Receipt
from plimsoll.keeper.actions import Accrue, Action, Deleverage, Wait
from plimsoll.keeper.log import money
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.status import ActionStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.report import TickReport, count
from plimsoll.keeper.sending.intent import Settled, Settlement
from plimsoll.keeper.service.chain import Chain
from plimsoll.keeper.service.dispatch import Dispatcher

__all__ = ["Ledger"]

SHOWN = 30


class Ledger:
    """Totals since the start, and the latest actions for operators."""

    def __init__(self, chain: Chain, dispatcher: Dispatcher, log: DecisionLog, telemetry: Telemetry) -> None:
        self.total = TickReport()
        self.latest_part = TickReport()
        """What was counted since somebody last put an empty report here."""
        self.latest: deque[ActionStatus] = deque(maxlen=SHOWN)
        self._chain = chain
        self._dispatcher = dispatcher
        self._log = log
        self._telemetry = telemetry

    async def settle(self, settled: Sequence[Settled], head: Header, accounts: frozenset[bytes]) -> TickReport:
        """Counts transactions that came to an end; gives what this added.

        :param accounts: the keeper's own, whose rewards count.
        :raises NodeUnavailable: receipts cannot be read.
        """
        report = TickReport(block=head.number, time=head.time)
        mined = [one for one in settled if one.tx_hash and one.settlement in (Settlement.LANDED, Settlement.REVERTED)]
        answers = await self._chain.rpc.batch([("eth_getTransactionReceipt", [one.tx_hash]) for one in mined])
        receipts = {
            one.tx_hash: Receipt.of(answer, self._chain.target.clearinghouse.events)
            for one, answer in zip(mined, answers, strict=True)
            if answer is not None and not isinstance(answer, RpcError)
        }
        for one in settled:
            action = self._dispatcher.actions.pop(one.intent.key, None)
            self._dispatcher.worths.pop(one.intent.key, None)
            self._tell(one, head, receipts.get(one.tx_hash), action, report, accounts)
        self.total += report
        self.latest_part += report
        return report

    def _tell(
        self,
        one: Settled,
        head: Header,
        receipt: Receipt | None,
        action: Action | None,
        report: TickReport,
        accounts: frozenset[bytes],
    ) -> None:
        job, log = one.intent.job, self._log.about(one.intent.trace, job=one.intent.job)
        fields = {"tx": one.tx_hash, "nonce": one.nonce, "gas": one.gas_used, "cost_wei": one.cost_wei}
        text = f"{one.intent.key.partition(':')[0]} in block {one.block}, {one.gas_used} gas"
        if one.settlement is Settlement.LANDED:
            before = report.rewards
            if receipt is not None:
                count(report, action, receipt, accounts)
                self._results(receipt)
            earned = report.rewards - before
            if earned:
                self._telemetry.earned(self._pool(action), job, earned)
            sent_at = self._dispatcher.sent_at.pop(one.intent.key, one.block)
            waited = (one.block or head.number) - (sent_at or head.number)
            self._telemetry.landed(job, max(waited, 0), one.gas_used, one.cost_wei)
            log.info("landed", f"{text}, earned ${money(earned)}", **fields, earned_wad=earned)
        elif one.settlement is Settlement.REVERTED:
            report.reverts += 1
            report.gas_used += one.gas_used
            report.gas_cost += one.cost_wei
            self._telemetry.reverted(job, one.cause, one.gas_used, one.cost_wei)
            log.warn("reverted", f"{text}: {one.reason or one.cause}", **fields, cause=one.cause)
        else:
            report.lost += one.settlement is Settlement.ABANDONED
            self._telemetry.given_up(job, str(one.settlement))
            log.warn(str(one.settlement), f"{text}: {one.reason}", **fields)
        self.latest.appendleft(
            ActionStatus(one.intent.trace, job, str(one.settlement), text, one.block or 0, head.time, one.tx_hash)
        )

    def _pool(self, action: Action | None) -> str:
        """Name of the pool that paid."""
        if action is None or isinstance(action, Wait):
            return ""
        number = action.market >> 8 if isinstance(action, Deleverage | Accrue) else action.pool
        return self._chain.target.name(number)

    def _results(self, receipt: Receipt) -> None:
        part = TickReport()
        count(part, None, receipt, frozenset())
        for result, number in part.liquidated.items():
            self._telemetry.liquidated(result, number)
        for result, number in (
            ("Filled", part.executed),
            ("Cancelled", part.cancelled),
            ("Expired", part.expired),
        ):
            if number:
                self._telemetry.order_ended(result, number)
