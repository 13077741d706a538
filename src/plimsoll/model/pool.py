"""Shares of a liquidity pool: price, epochs, and the queue of redemptions; mirrors `PoolMath` and `PoolBook`.

Money and shares WAD unless a name says native. All rounding is for the pool: fewer shares in, less money out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from plimsoll.errors import PlimsollError
from plimsoll.units import WAD, mul_div_down, mul_div_up

__all__ = [
    "MAX_EPOCHS",
    "MIN_SHARES",
    "QUEUE_ONE",
    "QUEUE_SCALE",
    "VIRTUAL",
    "ClaimExceedsError",
    "Epoch",
    "Mark",
    "PoolBook",
    "Queue",
    "Side",
    "Strike",
    "assets_down",
    "minted",
    "paid_for",
    "pay",
    "redeemed",
    "shares_down",
    "shares_up",
    "waiting_of",
]

VIRTUAL = 1000
"""Virtual shares and virtual money, WAD wei; they only ever worsen the price for whoever comes or goes."""
MIN_SHARES = 20_000
"""The smallest request must get this many wei of shares, else the deposits of the epoch are refused."""
QUEUE_ONE = 10**54
QUEUE_SCALE = 10**27
MAX_EPOCHS = 64
"""The most epochs with requests that one strike takes."""
UINT128 = 2**128 - 1
Controller = str | int


class ClaimExceedsError(PlimsollError):
    """More is claimed than is claimable."""

    def __init__(self, wanted: int, claimable: int) -> None:
        super().__init__(f"{wanted} is claimed, {claimable} is claimable; claim at most that")
        self.wanted = wanted
        self.claimable = claimable


@dataclass(frozen=True, slots=True)
class Queue:
    """The redemptions that wait, as one; a member keeps `product now / product then` of its shares."""

    product: int = QUEUE_ONE
    shares: int = 0
    round: int = 1
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a redemption entered the queue; `sum` is the payments per share of its round and scale until then."""

    product: int
    sum: int
    round: int
    scale: int


def shares_down(assets: int, nav: int, supply: int) -> int:
    """Shares for `assets`, at the higher of nav/supply and the same with the virtual amounts on both sides."""
    if nav >= supply and supply != 0:
        return mul_div_down(assets, supply, nav)
    return mul_div_down(assets, supply + VIRTUAL, nav + VIRTUAL)


def assets_down(shares: int, nav: int, supply: int) -> int:
    """Money for `shares`, at the lower of the same two prices."""
    if nav <= supply and supply != 0:
        return mul_div_down(shares, nav, supply)
    return mul_div_down(shares, nav + VIRTUAL, supply + VIRTUAL)


def shares_up(assets: int, nav: int, supply: int) -> int:
    """Shares that `assets` cost on leaving; nav > 0."""
    if nav <= supply and supply != 0:
        return mul_div_up(assets, supply, nav)
    return mul_div_up(assets, supply + VIRTUAL, nav + VIRTUAL)


def minted(deposited: int, nav: int, supply: int, min_price: int, smallest: int) -> int:
    """Shares for all deposits of a strike; 0 when they are refused. `deposited` > 0, `supply` > 0."""
    if nav <= 0 or mul_div_down(nav, WAD, supply) < min_price:
        return 0
    shares = shares_down(deposited, nav, supply)
    if supply + shares > UINT128 or mul_div_down(smallest, shares, deposited) < MIN_SHARES:
        return 0
    return shares


def redeemed(waiting: int, nav: int, supply: int, payable: int, unit: int) -> tuple[int, int]:
    """(burnt shares, paid native units) for `waiting` shares when at most `payable` WAD may leave."""
    if nav <= 0:
        return 0, 0
    due = assets_down(waiting, nav, supply) // unit
    most = payable // unit
    if due == 0 or most == 0:
        return 0, 0
    if due <= most:
        return waiting, due
    burnt = min(shares_up(most * unit, nav, supply), waiting)
    if (waiting - burnt) * QUEUE_SCALE < waiting:
        burnt = waiting
    return burnt, most


def pay(queue: Queue, burnt: int, paid_native: int) -> tuple[Queue, int]:
    """The queue after `burnt` of its shares were paid, and by how much the sum of its scale before grows."""
    if burnt == 0:
        return queue, 0
    growth = mul_div_down(paid_native, queue.product, queue.shares)
    left = queue.shares - burnt
    if left == 0:
        return Queue(round=queue.round + 1), growth
    product, scale = mul_div_down(queue.product, left, queue.shares), queue.scale
    if product < QUEUE_SCALE:
        product, scale = mul_div_down(queue.product, left * QUEUE_SCALE, queue.shares), scale + 1
    return Queue(product, left, queue.round, scale), growth


def waiting_of(shares: int, mark: Mark, queue: Queue) -> int:
    """How many of `shares` that entered at `mark` still wait."""
    if queue.round != mark.round or queue.scale > mark.scale + 1:
        return 0
    left = mul_div_down(shares, queue.product, mark.product)
    return left if queue.scale == mark.scale else left // QUEUE_SCALE


def paid_for(shares: int, mark: Mark, total: int, next_total: int) -> int:
    """What `shares` that entered at `mark` were paid in all, native; the sums of the mark's scale and of the next."""
    return mul_div_down(shares, total - mark.sum + next_total // QUEUE_SCALE, mark.product)


class Side(Enum):
    """Deposits bring money (native) and give shares; redemptions the reverse."""

    DEPOSIT = 0
    REDEEM = 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """What was asked for in an epoch: native units and shares; and the number of its strike, 0 before it."""

    deposits: int = 0
    redeems: int = 0
    strike: int = 0


@dataclass(frozen=True, slots=True)
class Strike:
    """What a strike did to its deposits, and where its redemptions entered the queue."""

    deposited: int
    minted: int
    entry: Mark


@dataclass(frozen=True, slots=True)
class Request:
    amount: int = 0
    claimed_in: int = 0
    claimed_out: int = 0


NO_EPOCH = Epoch()
NO_REQUEST = Request()
NO_REQUESTS: Mapping[int, Request] = {}


@dataclass(slots=True)
class PoolBook:
    """Who asked for what, and what became of it. Controllers are known by any name that tells them apart.

    What the tables hold is never changed in place, so that a copy of the tables is a copy of the book.
    """

    struck_through: int = 0
    next_busy: int = 0
    queue: Queue = field(default_factory=Queue)
    strikes: list[Strike] = field(default_factory=list)
    busy_epochs: list[int] = field(default_factory=list)
    epochs: dict[int, Epoch] = field(default_factory=dict)
    sums: dict[tuple[int, int], int] = field(default_factory=dict)
    requests: dict[tuple[Side, Controller], Mapping[int, Request]] = field(default_factory=dict)
    heads: dict[tuple[Side, Controller], int] = field(default_factory=dict)

    def clone(self) -> PoolBook:
        """A book that may be changed without changing this one."""
        return PoolBook(
            self.struck_through,
            self.next_busy,
            self.queue,
            self.strikes.copy(),
            self.busy_epochs.copy(),
            self.epochs.copy(),
            self.sums.copy(),
            self.requests.copy(),
            self.heads.copy(),
        )

    def epoch_of(self, number: int) -> Epoch:
        """What was asked for in an epoch."""
        return self.epochs.get(number, NO_EPOCH)

    def record(self, side: Side, controller: Controller, epoch: int, amount: int) -> None:
        """Adds a request of the running epoch."""
        if epoch not in self.epochs:
            self.busy_epochs.append(epoch)
        old = self.epoch_of(epoch)
        if side is Side.DEPOSIT:
            self.epochs[epoch] = Epoch(old.deposits + amount, old.redeems, old.strike)
        else:
            self.epochs[epoch] = Epoch(old.deposits, old.redeems + amount, old.strike)
        self._add(side, controller, epoch, amount, 0, 0)

    def is_due(self, ready: int) -> bool:
        """Whether a strike of the epochs up to `ready` has something to do."""
        if ready <= self.struck_through:
            return False
        return self.queue.shares != 0 or self._has_busy(self.next_busy, ready)

    def collect(self, ready: int) -> tuple[int, int]:
        """Opens the next strike; gives what it has to settle: native units deposited, and shares waiting."""
        number, deposited, waiting = len(self.strikes) + 1, 0, self.queue.shares
        end, last = self.next_busy + MAX_EPOCHS, ready
        while self._has_busy(self.next_busy, ready):
            if self.next_busy == end:
                last = self.busy_epochs[end - 1]
                break
            epoch = self.busy_epochs[self.next_busy]
            totals = self.epochs[epoch]
            self.epochs[epoch] = Epoch(totals.deposits, totals.redeems, number)
            deposited += totals.deposits
            waiting += totals.redeems
            self.next_busy += 1
        self.struck_through = last
        return deposited, waiting

    def settle(self, deposited: int, shares: int, waiting: int, burnt: int, paid: int) -> None:
        """Writes what the strike that `collect` opened decided."""
        queue = self.queue
        key = (queue.round, queue.scale)
        total = self.sums.get(key, 0)
        self.strikes.append(Strike(deposited, shares, Mark(queue.product, total, *key)))
        self.queue, growth = pay(Queue(queue.product, waiting, *key), burnt, paid)
        self.sums[key] = total + growth

    def take(self, side: Side, controller: Controller, wanted: int, *, wanted_out: bool) -> tuple[int, int]:
        """Claims `wanted` of what went in or of what comes out, oldest request first; gives (in, out).

        :raises ClaimExceedsError: nothing is changed then.
        """
        parts: list[tuple[int, int, int]] = []
        left = wanted
        for epoch in self._open(side, controller):
            if left == 0 or self.epochs[epoch].strike == 0:
                break
            part_in, part_out = self.claimable(side, controller, epoch)
            part = part_out if wanted_out else part_in
            if part > left:
                if wanted_out:
                    part_in, part_out = mul_div_down(left, part_in, part_out), left
                else:
                    part_in, part_out = left, mul_div_down(left, part_out, part_in)
                part = left
            parts.append((epoch, part_in, part_out))
            left -= part
        if left != 0:
            raise ClaimExceedsError(wanted, wanted - left)
        finished = True
        for epoch, part_in, part_out in parts:
            request = self._add(side, controller, epoch, 0, part_in, part_out)
            finished = finished and (request.claimed_in == request.amount or self._is_refused(side, epoch))
            if finished:
                self.heads[side, controller] = self.heads.get((side, controller), 0) + 1
        return sum(part[1] for part in parts), sum(part[2] for part in parts)

    def take_refund(self, controller: Controller, epoch: int) -> int:
        """Takes back what a refused deposit brought, native."""
        amount = self.refundable(controller, epoch)
        if amount:
            self._add(Side.DEPOSIT, controller, epoch, 0, amount, 0)
        return amount

    def pending(self, side: Side, controller: Controller, epoch: int) -> int:
        """What of a request waits for its strike, or for its payment."""
        amount, strike = self._find(side, controller, epoch)
        if strike is None:
            return amount
        return 0 if side is Side.DEPOSIT else waiting_of(amount, strike.entry, self.queue)

    def claimable(self, side: Side, controller: Controller, epoch: int) -> tuple[int, int]:
        """(in, out) of a request that is settled and not claimed."""
        amount, strike = self._find(side, controller, epoch)
        if strike is None or amount == 0 or self._is_refused(side, epoch):
            return 0, 0
        request = self.requests[side, controller][epoch]
        if side is Side.DEPOSIT:
            settled_in, settled_out = amount, mul_div_down(amount, strike.minted, strike.deposited)
        else:
            mark = strike.entry
            total = self.sums.get((mark.round, mark.scale), 0)
            settled_in = amount - waiting_of(amount, mark, self.queue)
            settled_out = paid_for(amount, mark, total, self.sums.get((mark.round, mark.scale + 1), 0))
        return settled_in - request.claimed_in, settled_out - request.claimed_out

    def claimable_total(self, side: Side, controller: Controller) -> tuple[int, int]:
        """`claimable` over all requests of a controller."""
        parts = [self.claimable(side, controller, epoch) for epoch in self._open(side, controller)]
        return sum(part[0] for part in parts), sum(part[1] for part in parts)

    def refundable(self, controller: Controller, epoch: int) -> int:
        """What of a refused deposit was not taken back, native."""
        amount, strike = self._find(Side.DEPOSIT, controller, epoch)
        if strike is None or amount == 0 or not self._is_refused(Side.DEPOSIT, epoch):
            return 0
        return amount - self.requests[Side.DEPOSIT, controller][epoch].claimed_in

    def _has_busy(self, index: int, ready: int) -> bool:
        return index < len(self.busy_epochs) and self.busy_epochs[index] <= ready

    def _open(self, side: Side, controller: Controller) -> list[int]:
        """Epochs of the requests that are not finished, oldest first."""
        key = (side, controller)
        return list(self.requests.get(key, NO_REQUESTS))[self.heads.get(key, 0) :]

    def _add(
        self, side: Side, controller: Controller, epoch: int, amount: int, claimed_in: int, claimed_out: int
    ) -> Request:
        """Adds to what a request asks for and to what was claimed of it."""
        requests = self.requests.get((side, controller), NO_REQUESTS)
        old = requests.get(epoch, NO_REQUEST)
        new = Request(old.amount + amount, old.claimed_in + claimed_in, old.claimed_out + claimed_out)
        self.requests[side, controller] = {**requests, epoch: new}
        return new

    def _is_refused(self, side: Side, epoch: int) -> bool:
        number = self.epoch_of(epoch).strike
        return side is Side.DEPOSIT and number != 0 and self.strikes[number - 1].minted == 0

    def _find(self, side: Side, controller: Controller, epoch: int) -> tuple[int, Strike | None]:
        request = self.requests.get((side, controller), NO_REQUESTS).get(epoch, NO_REQUEST)
        number = self.epoch_of(epoch).strike
        return request.amount, self.strikes[number - 1] if number else None
