// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Mark, PoolMath, Queue} from "../../libraries/PoolMath.sol";
import {Batch} from "./Batch.sol";

/// @notice The functions of PoolMath as entry points; queue and mark go in and out as their fields.
contract PoolMathHarness is Batch {
    function sharesDown(uint256 assets, uint256 nav, uint256 supply) external pure returns (uint256) {
        return PoolMath.sharesDown(assets, nav, supply);
    }

    function assetsDown(uint256 shares, uint256 nav, uint256 supply) external pure returns (uint256) {
        return PoolMath.assetsDown(shares, nav, supply);
    }

    function sharesUp(uint256 assets, uint256 nav, uint256 supply) external pure returns (uint256) {
        return PoolMath.sharesUp(assets, nav, supply);
    }

    function minted(uint256 deposited, int256 nav, uint256 supply, uint256 minPrice, uint256 smallest)
        external
        pure
        returns (uint256)
    {
        return PoolMath.minted(deposited, nav, supply, minPrice, smallest);
    }

    function redeemed(uint256 waiting, int256 nav, uint256 supply, uint256 payable_, uint256 unit)
        external
        pure
        returns (uint256 burnt, uint256 paid)
    {
        return PoolMath.redeemed(waiting, nav, supply, payable_, unit);
    }

    function pay(uint256 product, uint128 shares, uint64 round, uint64 scale, uint256 burnt, uint256 paid)
        external
        pure
        returns (uint256, uint256, uint256, uint256, uint256)
    {
        (Queue memory q, uint256 growth) = PoolMath.pay(Queue(product, shares, round, scale), burnt, paid);
        return (q.product, q.shares, q.round, q.scale, growth);
    }

    function waitingOf(
        uint256 shares,
        uint256 markProduct,
        uint64 markRound,
        uint64 markScale,
        uint256 product,
        uint64 round,
        uint64 scale
    ) external pure returns (uint256) {
        return PoolMath.waitingOf(shares, Mark(markProduct, 0, markRound, markScale), Queue(product, 0, round, scale));
    }

    function paidFor(uint256 shares, uint256 markProduct, uint256 markSum, uint256 sum, uint256 nextSum)
        external
        pure
        returns (uint256)
    {
        return PoolMath.paidFor(shares, Mark(markProduct, markSum, 1, 0), sum, nextSum);
    }
}
