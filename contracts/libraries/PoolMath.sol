// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, WAD} from "./FixedMath.sol";

/// @notice The redemptions that wait, as one: whoever is in it keeps `product now / product then` of his shares.
/// @param product fraction of a share that is left, 1e54 at the start of a round
/// @param shares all shares that wait
/// @param round grows when everything that waited was paid
/// @param scale grows when `product` fell below 1e27 and was raised by 1e27
struct Queue {
    uint256 product;
    uint128 shares;
    uint64 round;
    uint64 scale;
}

/// @notice Where a redemption entered the queue.
/// @param sum payments per share of its round and scale until then, native units × 1e54 per share
struct Mark {
    uint256 product;
    uint256 sum;
    uint64 round;
    uint64 scale;
}

/// @title Shares of a liquidity pool
/// @notice Pure formulas: price of a share, what an epoch may mint and pay, and the queue of redemptions. Money and shares are WAD
/// unless a name says native. All rounding is for the pool: fewer shares in, less money out.
library PoolMath {
    /// Virtual shares and virtual money, WAD wei; they only ever worsen the price for whoever comes or goes.
    uint256 internal constant VIRTUAL = 1000;
    /// The smallest request must get this many wei of shares: both roundings together then cost it at most 1e-4.
    uint256 internal constant MIN_SHARES = 20_000;
    uint256 internal constant QUEUE_ONE = 1e54;
    uint256 internal constant QUEUE_SCALE = 1e27;

    /// @notice Shares for `assets`, rounded down, at the higher of nav/supply and (nav + VIRTUAL)/(supply + VIRTUAL).
    /// @dev nav > 0 or supply = 0; without supply a share costs 1 when nav = 0.
    function sharesDown(uint256 assets, uint256 nav, uint256 supply) internal pure returns (uint256) {
        if (nav >= supply && supply != 0) return FixedMath.mulDivDown(assets, supply, nav);
        return FixedMath.mulDivDown(assets, supply + VIRTUAL, nav + VIRTUAL);
    }

    /// @notice Money for `shares`, rounded down, at the lower of the same two prices.
    function assetsDown(uint256 shares, uint256 nav, uint256 supply) internal pure returns (uint256) {
        if (nav <= supply && supply != 0) return FixedMath.mulDivDown(shares, nav, supply);
        return FixedMath.mulDivDown(shares, nav + VIRTUAL, supply + VIRTUAL);
    }

    /// @notice Shares that `assets` cost on leaving, rounded up: the inverse of `assetsDown`.
    /// @dev nav > 0
    function sharesUp(uint256 assets, uint256 nav, uint256 supply) internal pure returns (uint256) {
        if (nav <= supply && supply != 0) return FixedMath.mulDivUp(assets, supply, nav);
        return FixedMath.mulDivUp(assets, supply + VIRTUAL, nav + VIRTUAL);
    }

    /// @notice Shares for all deposits of an epoch; 0 when they are refused and go back: nav ≤ 0, a share worth less than `minPrice`,
    /// a share so dear that `smallest` would get less than MIN_SHARES of it, or more than 2^128 − 1 shares in all.
    /// @param deposited WAD, > 0
    /// @param smallest WAD, the smallest request that there can be
    function minted(uint256 deposited, int256 nav, uint256 supply, uint256 minPrice, uint256 smallest)
        internal
        pure
        returns (uint256 shares)
    {
        if (nav <= 0 || FixedMath.mulDivDown(uint256(nav), WAD, supply) < minPrice) return 0;
        shares = sharesDown(deposited, uint256(nav), supply);
        if (supply + shares > type(uint128).max) return 0;
        if (FixedMath.mulDivDown(smallest, shares, deposited) < MIN_SHARES) return 0;
    }

    /// @notice What is paid for `waiting` shares, and how many of them are burnt for it. All of them when `payable_` suffices, else as
    /// many as it pays, rounded up. Nothing is burnt without payment. A rest below 1e-27 of the whole is burnt too.
    /// @param nav NAV that leaving LPs get, WAD, signed
    /// @param payable_ the most that may leave, WAD
    /// @param unit WAD per native unit
    /// @return burnt shares
    /// @return paidNative native units, rounded down
    function redeemed(uint256 waiting, int256 nav, uint256 supply, uint256 payable_, uint256 unit)
        internal
        pure
        returns (uint256 burnt, uint256 paidNative)
    {
        if (nav <= 0) return (0, 0);
        uint256 due = assetsDown(waiting, uint256(nav), supply) / unit;
        uint256 most = payable_ / unit;
        if (due == 0 || most == 0) return (0, 0);
        if (due <= most) return (waiting, due);
        burnt = FixedMath.min(sharesUp(most * unit, uint256(nav), supply), waiting);
        if ((waiting - burnt) * QUEUE_SCALE < waiting) burnt = waiting;
        return (burnt, most);
    }

    // ── the queue of redemptions ───────────────────────────────────────────

    /// @notice An empty queue.
    function emptyQueue() internal pure returns (Queue memory) {
        return Queue(QUEUE_ONE, 0, 1, 0);
    }

    /// @notice The queue after `burnt` of its shares were paid `paidNative`, and by how much the sum of the scale it had before grows.
    /// @dev All rounded down, so that Σ of what the members have left and got never exceeds what there is.
    function pay(Queue memory q, uint256 burnt, uint256 paidNative)
        internal
        pure
        returns (Queue memory next, uint256 sumGrowth)
    {
        if (burnt == 0) return (q, 0);
        sumGrowth = FixedMath.mulDivDown(paidNative, q.product, q.shares);
        uint256 left = q.shares - burnt;
        if (left == 0) return (Queue(QUEUE_ONE, 0, q.round + 1, 0), sumGrowth);
        next = Queue(FixedMath.mulDivDown(q.product, left, q.shares), uint128(left), q.round, q.scale);
        if (next.product < QUEUE_SCALE) {
            next.product = FixedMath.mulDivDown(q.product, left * QUEUE_SCALE, q.shares);
            next.scale += 1;
        }
    }

    /// @notice How many of `shares` that entered at `mark` still wait, rounded down.
    function waitingOf(uint256 shares, Mark memory mark, Queue memory q) internal pure returns (uint256) {
        if (q.round != mark.round || q.scale > mark.scale + 1) return 0;
        uint256 left = FixedMath.mulDivDown(shares, q.product, mark.product);
        // Two divisions rounded down are one rounded down.
        return q.scale == mark.scale ? left : left / QUEUE_SCALE;
    }

    /// @notice What `shares` that entered at `mark` were paid in all, native units, rounded down.
    /// @param sum payments per share of the mark's round and scale
    /// @param nextSum payments per share of the scale after it; what later scales paid is below one wei of 1e27
    function paidFor(uint256 shares, Mark memory mark, uint256 sum, uint256 nextSum) internal pure returns (uint256) {
        return FixedMath.mulDivDown(shares, sum - mark.sum + nextSum / QUEUE_SCALE, mark.product);
    }
}
