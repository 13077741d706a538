"""The keeper: one pass reads the chain, decides, simulates and sends."""

from __future__ import annotations

import time

from plimsoll.chain.contract import explain_failure
from plimsoll.chain.errors import RpcError
from plimsoll.chain.receipt import Receipt
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import KeySender, Sender
from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.actions import Wait
from plimsoll.keeper.decide import plan
from plimsoll.keeper.errors import HeadMovedError, UnsafeStateError
from plimsoll.keeper.execute import SINGLE_GAS, Executor, Sent, cause_of
from plimsoll.keeper.follow import Follower
from plimsoll.keeper.log import KeeperLog, money
from plimsoll.keeper.mirror import Mirror
from plimsoll.keeper.options import Options
from plimsoll.keeper.reader import Reader
from plimsoll.keeper.report import TickReport, count
from plimsoll.keeper.store import Store
from plimsoll.keeper.target import Header, Target
from plimsoll.keeper.watch import WatchSender
from plimsoll.units import format_units

__all__ = ["Keeper"]

READ_ATTEMPTS = 5
AUTOMINE = "anvil_getAutomine"
POLLS = 5_000
POLL_PAUSE = 0.001
LOST_AFTER_POLLS = 20


class Keeper:
    """Keeps one deployment.

    Transactions are simulated against the latest block and handed over at once. On a chain that mines each one by
    itself, `tick` waits for its receipt and counts it; otherwise what it did is counted by the next `tick`, or by
    `collect`.

    :param rpc: the node; everything goes through this one client.
    :param sender: who pays for gas and is rewarded. A dry run never sends with it.
    :raises ConfigurationError: the node is not the one of the deployment, or the database cannot be used.
    """

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        sender: Sender,
        options: Options | None = None,
        log: KeeperLog | None = None,
    ) -> None:
        self.options = options if options is not None else Options()
        self.log = log if log is not None else KeeperLog.silent()
        self.target = Target.of(rpc, deployment)
        self.target.check(started=False)
        self.sender: Sender = WatchSender(rpc, sender.address) if self.options.dry_run else sender
        self._rpc = rpc
        self._is_anvil = _answers(rpc, AUTOMINE)
        self._automine = False
        self._store = Store(self.options.database, self.target.identity)
        if self._store.was_foreign:
            self.log.warn("database", "the database belonged to another deployment or chain; it was emptied")
        self._follower = Follower(self.target, self._store, self.log, chunk=self.options.log_chunk)
        self._reader = Reader(self.target, sender.address, self.options)
        self._executor = Executor(self.target, self.sender, self.options, self.log, self._handed_over, self._poison)
        self._in_flight: list[Sent] = []
        self._poisons: dict[bytes, tuple[int, int]] = {}
        self._newest: dict[bytes, tuple[int, int]] = {}
        self._reverts_in_a_row = 0
        self._idle_head = ""

    @property
    def mirror(self) -> Mirror:
        """What the logs say."""
        return self._follower.mirror

    @property
    def in_flight(self) -> tuple[str, ...]:
        """Hashes of transactions that are not mined yet."""
        return tuple(sent.tx_hash for sent in self._in_flight)

    def tick(self) -> TickReport:
        """One pass at the present head.

        :raises NodeUnavailable, RpcError: the node failed; nothing is lost, tick again.
        :raises UnsafeStateError: going on could cost money.
        """
        report = self._executor.report = TickReport()
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                head, balance = self._head()
                self._settle(head.number, report)
                report.block, report.time = head.number, head.time
                if head.hash == self._idle_head and not self._in_flight:
                    return report
                self._idle_head = ""
                synced = self._follower.sync(head)
                report.logs += synced.logs
                report.rebuilt = report.rebuilt or synced.rebuilt
                busy = frozenset(key for sent in self._in_flight for key in sent.action.keys)
                snapshot = self._reader.read(head, self.mirror, busy, self._poisons)
                break
            except HeadMovedError:
                if attempt == READ_ATTEMPTS:
                    raise
        actions = plan(snapshot, self.options.limits)
        report.planned = sum(not isinstance(action, Wait) for action in actions)
        self._newest = {health.account: (health.version, health.newest) for health in snapshot.health}
        if report.planned:
            self._check_funds(head, balance, report)
        self._executor.block, self._executor.mirror = head.number, self.mirror
        for action in actions:
            self._executor.run(action)
        if not report.blocked:
            self._settle(head.number, report)
        if report.blocked:
            self.log.once("blocked", "blocked", report.blocked)
        self.log.forget_others()
        if not report.hashes and not report.blocked:
            # The same block gives the same decisions.
            self._idle_head = head.hash
        return report

    def collect(self) -> TickReport:
        """Counts what has been mined since, without deciding anything."""
        report = TickReport()
        head, _ = self._head()
        report.block, report.time = head.number, head.time
        self._settle(head.number, report)
        return report

    def reconnected(self) -> None:
        """To be called after the node failed: is it still the same chain?

        :raises UnsafeStateError: it is another one.
        """
        self.target.check(started=True)
        self._is_anvil = _answers(self._rpc, AUTOMINE)
        self._idle_head = ""
        if isinstance(self.sender, KeySender):
            self.sender.resync()

    def close(self) -> None:
        """Gives the database back."""
        self._store.close()

    def _head(self) -> tuple[Header, int]:
        """The latest block, and the keeper's balance in wei."""
        answers = self._rpc.batch(
            [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_getBalance", [self.sender.address, "latest"]),
                ("eth_chainId", []),
                ("eth_gasPrice", []),
                *([(AUTOMINE, [])] if self._is_anvil else []),
            ]
        )
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        if int(answers[2], 16) != self.target.chain_id:
            self.target.check(started=True)
        self._automine = answers[-1] is True
        return Header.of(answers[0], int(answers[3], 16)), int(answers[1], 16)

    def _check_funds(self, head: Header, balance: int, report: TickReport) -> None:
        """A small transaction at the present gas price must be affordable."""
        needed = SINGLE_GAS * head.gas_price
        if balance < needed and not self.options.dry_run:
            report.blocked = (
                f"{self.sender.address} has {format_units(balance)} ether; a transaction may cost "
                f"{format_units(needed)} at the present gas price: send ether to it"
            )

    # ── transactions under way ─────────────────────────────────────────────

    def _handed_over(self, sent: Sent) -> None:
        self._in_flight.append(sent)
        if not self._automine:
            return
        for poll in range(POLLS):
            if self._rpc.request("eth_getTransactionReceipt", [sent.tx_hash]) is not None:
                return
            if poll >= LOST_AFTER_POLLS and self._rpc.request("eth_getTransactionByHash", [sent.tx_hash]) is None:
                return
            time.sleep(POLL_PAUSE)

    def _settle(self, block: int, report: TickReport) -> None:
        """Counts transactions that were mined, and gives up those that no node knows or no block took."""
        if not self._in_flight:
            return
        answers = self._rpc.batch([("eth_getTransactionReceipt", [sent.tx_hash]) for sent in self._in_flight])
        waiting: list[Sent] = []
        for sent, answer in zip(self._in_flight, answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            if answer is not None:
                self._landed(sent, Receipt.of(answer, self.target.clearinghouse.events), report)
            elif self._is_lost(sent, block):
                report.lost += 1
                self.log.warn("lost", f"{sent.tx_hash} was not mined; deciding anew", tx=sent.tx_hash)
                if isinstance(self.sender, KeySender):
                    self.sender.resync()
            else:
                waiting.append(sent)
        self._in_flight = waiting
        if self._reverts_in_a_row >= self.options.max_reverts:
            raise UnsafeStateError(
                f"{self._reverts_in_a_row} transactions in a row reverted although their simulation passed; "
                "look at the lines before this one"
            )

    def _is_lost(self, sent: Sent, block: int) -> bool:
        if block < sent.block or block - sent.block > self.options.patience:
            return True
        return self._rpc.request("eth_getTransactionByHash", [sent.tx_hash]) is None

    def _landed(self, sent: Sent, receipt: Receipt, report: TickReport) -> None:
        before = report.rewards
        count(report, sent.action, receipt, frozenset(self._own_accounts()))
        fields = {"tx": sent.tx_hash, "block": receipt.block_number, "gas": receipt.gas_used}
        if receipt.succeeded:
            self._reverts_in_a_row = 0
            what = type(sent.action).__name__
            earned = money(report.rewards - before)
            self.log.info(
                "landed", f"{what} in block {receipt.block_number}, {receipt.gas_used} gas, earned ${earned}", **fields
            )
            return
        reason = explain_failure(self._rpc, receipt, self.target.clearinghouse.errors)
        cause = cause_of(reason)
        if cause == "unexpected":
            self._reverts_in_a_row += 1
        self.log.warn("reverted", f"{type(sent.action).__name__} in {sent.tx_hash}: {reason} ({cause})", **fields)

    def _own_accounts(self) -> list[bytes]:
        return [self._executor.account(pool) for pool in self.mirror.pools]

    def _poison(self, account: bytes) -> None:
        """Its liquidation is not tried again before the account or its prices change."""
        if account in self._newest:
            self._poisons[account] = self._newest[account]


def _answers(rpc: Rpc, method: str) -> bool:
    """Whether the node knows a method."""
    try:
        rpc.request(method)
    except RpcError:
        return False
    return True
