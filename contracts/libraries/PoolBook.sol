// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "./Cast.sol";
import {FixedMath} from "./FixedMath.sol";
import {Mark, PoolMath, Queue} from "./PoolMath.sol";

/// @notice The two directions of requests. What goes in is money for a deposit and shares for a redemption; what comes out the other.
enum Side {
    Deposit,
    Redeem
}

struct Request {
    uint128 amount;
    uint128 claimedIn;
    uint256 claimedOut;
}

/// @notice Requests of one controller in one direction; epochs before index `head` are finished.
struct Requests {
    uint256 head;
    uint256[] epochs;
    mapping(uint256 epoch => Request) byEpoch;
}

/// @param deposits native units
/// @param redeems shares
/// @param strike its number, from 1 on; 0 = not struck
struct Epoch {
    uint128 deposits;
    uint128 redeems;
    uint256 strike;
}

/// @param deposited native units
/// @param minted shares; 0 with deposits: they were refused
/// @param entry where its redemptions entered the queue
struct Strike {
    uint128 deposited;
    uint128 minted;
    Mark entry;
}

/// @param busyEpochs epochs with requests, ascending; those before index `nextBusy` are struck
/// @param struckThrough epochs up to this one are struck
/// @param sums round → scale → payments per share, see `Mark`
struct Book {
    uint256 struckThrough;
    uint256 strikeCount;
    uint256 nextBusy;
    uint256[] busyEpochs;
    Queue queue;
    mapping(uint256 epoch => Epoch) epochs;
    mapping(uint256 number => Strike) strikes;
    mapping(uint256 round => mapping(uint256 scale => uint256)) sums;
    mapping(Side => mapping(address controller => Requests)) requests;
}

/// @title Who asked for what, and what became of it
/// @notice Deposits of a strike are one sum and one number of shares. Redemptions are one queue: a member's part of it follows from two
/// numbers of his epoch, so a strike costs the same for any number of LPs. Native units and shares; parts are rounded down, so that
/// Σ of claims never exceeds what the strikes minted and paid.
library PoolBook {
    /// The most epochs with requests that one strike takes.
    uint256 internal constant MAX_EPOCHS = 64;

    error ClaimExceeds(uint256 wanted, uint256 claimable);

    function record(Book storage book, Side side, address controller, uint256 epoch, uint256 amount) internal {
        Epoch storage e = book.epochs[epoch];
        if (e.deposits | e.redeems == 0) book.busyEpochs.push(epoch);
        if (side == Side.Deposit) e.deposits = uint128(Cast.checkUint(e.deposits + amount, 128));
        else e.redeems = uint128(Cast.checkUint(e.redeems + amount, 128));
        Requests storage requests = book.requests[side][controller];
        Request storage request = requests.byEpoch[epoch];
        if (request.amount == 0) requests.epochs.push(epoch);
        request.amount += uint128(amount);
    }

    // ── strike ─────────────────────────────────────────────────────────────

    /// @notice Whether an epoch up to `ready` waits for its strike, or redemptions that were struck before wait again.
    function isDue(Book storage book, uint256 ready) internal view returns (bool) {
        if (ready <= book.struckThrough) return false;
        return book.queue.shares != 0 || _hasBusy(book, book.nextBusy, ready);
    }

    /// @notice Opens the next strike: marks the epochs up to `ready` as struck, and sums them. Of more than MAX_EPOCHS epochs with
    /// requests it takes the oldest.
    /// @return number of the strike
    /// @return deposited native units
    /// @return waiting shares, those of earlier strikes included
    function collect(Book storage book, uint256 ready)
        internal
        returns (uint256 number, uint256 deposited, uint256 waiting)
    {
        number = book.strikeCount + 1;
        waiting = book.queue.shares;
        uint256 i = book.nextBusy;
        uint256 end = i + MAX_EPOCHS;
        uint256 last = ready;
        for (; _hasBusy(book, i, ready); ++i) {
            if (i == end) {
                last = book.busyEpochs[i - 1];
                break;
            }
            Epoch storage e = book.epochs[book.busyEpochs[i]];
            e.strike = number;
            deposited += e.deposits;
            waiting += e.redeems;
        }
        (book.struckThrough, book.strikeCount, book.nextBusy) = (last, number, i);
    }

    /// @notice Writes what the strike decided: `shares` for all of `deposited` (0: refused), and `paid` for `burnt` of `waiting` shares.
    /// @return left shares that wait on
    function settle(
        Book storage book,
        uint256 number,
        uint256 deposited,
        uint256 shares,
        uint256 waiting,
        uint256 burnt,
        uint256 paid
    ) internal returns (uint256 left) {
        Queue memory q = book.queue;
        uint256 sum = book.sums[q.round][q.scale];
        book.strikes[number] = Strike(
            uint128(Cast.checkUint(deposited, 128)),
            uint128(Cast.checkUint(shares, 128)),
            Mark(q.product, sum, q.round, q.scale)
        );
        q.shares = uint128(Cast.checkUint(waiting, 128));
        (Queue memory next, uint256 growth) = PoolMath.pay(q, burnt, paid);
        if (growth != 0) book.sums[q.round][q.scale] = sum + growth;
        book.queue = next;
        return next.shares;
    }

    function _hasBusy(Book storage book, uint256 i, uint256 ready) private view returns (bool) {
        return i < book.busyEpochs.length && book.busyEpochs[i] <= ready;
    }

    // ── claims ─────────────────────────────────────────────────────────────

    /// @notice Claims `wanted` of what went in, or of what comes out (`wantedOut`), from the oldest request on. The other side is rounded
    /// down; what that leaves stays with the request, whose last claim gets the rest.
    function take(Book storage book, Side side, address controller, uint256 wanted, bool wantedOut)
        internal
        returns (uint256 taken, uint256 given)
    {
        Requests storage requests = book.requests[side][controller];
        uint256 left = wanted;
        uint256 count = requests.epochs.length;
        for (uint256 i = requests.head; i < count && left != 0; ++i) {
            uint256 epoch = requests.epochs[i];
            if (book.epochs[epoch].strike == 0) break;
            Request storage request = requests.byEpoch[epoch];
            (uint256 partIn, uint256 partOut) = claimable(book, side, controller, epoch);
            uint256 part = wantedOut ? partOut : partIn;
            if (part > left) {
                (partIn, partOut) = wantedOut
                    ? (FixedMath.mulDivDown(left, partIn, partOut), left)
                    : (left, FixedMath.mulDivDown(left, partOut, partIn));
                part = left;
            }
            request.claimedIn += uint128(partIn);
            request.claimedOut += partOut;
            (taken, given, left) = (taken + partIn, given + partOut, left - part);
            bool finished = request.claimedIn == request.amount || isRefused(book, side, epoch);
            if (i == requests.head && finished) requests.head = i + 1;
        }
        require(left == 0, ClaimExceeds(wanted, wanted - left));
    }

    /// @notice Takes back what a refused deposit brought.
    function takeRefund(Book storage book, address controller, uint256 epoch) internal returns (uint256 amount) {
        amount = refundable(book, controller, epoch);
        book.requests[Side.Deposit][controller].byEpoch[epoch].claimedIn += uint128(amount);
    }

    // ── what a request has become ──────────────────────────────────────────

    /// @notice What of a request waits for its strike, or for its payment.
    function pending(Book storage book, Side side, address controller, uint256 epoch) internal view returns (uint256) {
        uint256 amount = book.requests[side][controller].byEpoch[epoch].amount;
        uint256 number = book.epochs[epoch].strike;
        if (number == 0 || amount == 0) return amount;
        return side == Side.Deposit ? 0 : PoolMath.waitingOf(amount, book.strikes[number].entry, book.queue);
    }

    /// @notice What of a request is settled and not claimed: what went in for it, and what comes out.
    function claimable(Book storage book, Side side, address controller, uint256 epoch)
        internal
        view
        returns (uint256 settledIn, uint256 settledOut)
    {
        Request storage request = book.requests[side][controller].byEpoch[epoch];
        uint256 number = book.epochs[epoch].strike;
        uint256 amount = request.amount;
        if (number == 0 || amount == 0 || isRefused(book, side, epoch)) return (0, 0);
        Strike storage struck = book.strikes[number];
        if (side == Side.Deposit) {
            settledIn = amount;
            settledOut = FixedMath.mulDivDown(amount, struck.minted, struck.deposited);
        } else {
            Mark memory mark = struck.entry;
            uint256 sum = book.sums[mark.round][mark.scale];
            uint256 nextSum = book.sums[mark.round][mark.scale + 1];
            settledIn = amount - PoolMath.waitingOf(amount, mark, book.queue);
            settledOut = PoolMath.paidFor(amount, mark, sum, nextSum);
        }
        return (settledIn - request.claimedIn, settledOut - request.claimedOut);
    }

    /// @notice `claimable` over all requests of a controller.
    function claimableTotal(Book storage book, Side side, address controller)
        internal
        view
        returns (uint256 totalIn, uint256 totalOut)
    {
        Requests storage requests = book.requests[side][controller];
        for (uint256 i = requests.head; i < requests.epochs.length; ++i) {
            (uint256 partIn, uint256 partOut) = claimable(book, side, controller, requests.epochs[i]);
            (totalIn, totalOut) = (totalIn + partIn, totalOut + partOut);
        }
    }

    /// @notice What of a refused deposit was not taken back yet.
    function refundable(Book storage book, address controller, uint256 epoch) internal view returns (uint256) {
        Request storage request = book.requests[Side.Deposit][controller].byEpoch[epoch];
        return isRefused(book, Side.Deposit, epoch) ? request.amount - request.claimedIn : 0;
    }

    /// @notice Whether the strike of `epoch` refused its deposits.
    function isRefused(Book storage book, Side side, uint256 epoch) internal view returns (bool) {
        uint256 number = book.epochs[epoch].strike;
        return side == Side.Deposit && number != 0 && book.strikes[number].minted == 0;
    }
}
