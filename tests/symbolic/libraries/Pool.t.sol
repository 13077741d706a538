// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Mark, PoolMath, Queue} from "../../../contracts/libraries/PoolMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Shares of a liquidity pool and its queue of redemptions.
contract PoolProofs is Symbolic {
    /// @notice Shares cost at least the price before: minting never lowers nav/supply
    /// @custom:bound assets, nav, supply < 2^104, nav and supply not 0
    function check_minting_never_dilutes(uint104 assets, uint104 nav, uint104 supply) public pure {
        vm.assume(nav != 0 && supply != 0);
        uint256 shares = PoolMath.sharesDown(assets, nav, supply);
        // (nav + assets)/(supply + shares) ≥ nav/supply
        assert(uint256(assets) * supply >= shares * nav);
    }

    /// @notice Money for shares is at most their part of the nav: redeeming never lowers the price of those who stay
    /// @custom:bound shares, nav, supply < 2^104, supply not 0
    function check_redeeming_never_dilutes(uint104 shares, uint104 nav, uint104 supply) public pure {
        vm.assume(supply != 0);
        uint256 assets = PoolMath.assetsDown(shares, nav, supply);
        assert(assets * supply <= uint256(shares) * nav);
    }

    /// @notice No free shares: in and out again at one nav never returns more than went in
    /// @custom:bound assets, nav, supply < 2^100, nav and supply not 0, shares < 2^128 − 1 (a pool never mints more)
    function check_in_and_out_never_profits(uint104 assets, uint104 nav, uint104 supply) public pure {
        vm.assume(nav != 0 && supply != 0 && assets < 1 << 100 && nav < 1 << 100 && supply < 1 << 100);
        uint256 shares = PoolMath.sharesDown(assets, nav, supply);
        vm.assume(shares < type(uint128).max);
        // steps of the proof: shares·nav ≤ assets·supply, and shares·assets on both sides
        uint256 both = shares * assets;
        assert(shares * nav <= uint256(assets) * supply);
        uint256 back = PoolMath.assetsDown(shares, uint256(nav) + assets, uint256(supply) + shares);
        assert(back * (uint256(supply) + shares) <= shares * nav + both);
        assert(back * (uint256(supply) + shares) <= uint256(assets) * supply + both);
        assert(back <= assets);
    }

    /// @notice The shares that a payment costs cover it: sharesUp is never less than what assetsDown asks for
    /// @custom:bound assets, nav, supply < 2^100, nav and supply not 0
    function check_shares_up_cover_the_payment(uint104 assets, uint104 nav, uint104 supply) public pure {
        vm.assume(nav != 0 && supply != 0 && assets < 1 << 100 && nav < 1 << 100 && supply < 1 << 100);
        uint256 shares = PoolMath.sharesUp(assets, nav, supply);
        assert(PoolMath.assetsDown(shares, nav, supply) >= assets);
    }

    /// @notice The first shares cost one each
    /// @custom:bound assets < 2^128, no nav, no supply
    function check_first_shares_cost_one(uint128 assets) public pure {
        assert(PoolMath.sharesDown(assets, 0, 0) == assets);
    }

    /// @notice Inflation bound: whatever the pool's nav was raised to, a deposit that is taken loses less than one part in 10^4
    /// @custom:bound deposit, nav, supply < 2^96, the deposit is the only one of its epoch and the smallest there can be
    function check_taken_deposit_loses_less_than_a_ten_thousandth(uint96 deposit, uint96 nav, uint96 supply)
        public
        pure
    {
        vm.assume(deposit != 0 && nav != 0 && supply != 0);
        uint256 shares = PoolMath.sharesDown(deposit, nav, supply);
        vm.assume(shares >= PoolMath.MIN_SHARES);
        // (shares + 1) would have cost more than the deposit at the dearer of the two prices
        uint256 worth = nav >= supply ? (shares + 1) * nav : (shares + 1) * (uint256(nav) + 1000);
        uint256 per = nav >= supply ? supply : uint256(supply) + 1000;
        assert(worth > uint256(deposit) * per);
        assert((shares + 1) * 10_000 <= shares * 10_001);
    }

    /// @notice A deposit is refused when nav is not positive, when a share is worth too little, and when it would get too few shares or
    /// more than fit
    /// @custom:bound deposits and supply < 2^100, |nav| < 2^99, least price < 2^64
    function check_minted_refuses_what_it_must(
        uint104 deposited,
        int104 nav,
        uint104 supply,
        uint64 minPrice,
        uint104 least
    ) public pure {
        vm.assume(deposited != 0 && supply != 0 && deposited < 1 << 100 && supply < 1 << 100 && least <= deposited);
        vm.assume(nav > -(1 << 99) && nav < 1 << 99);
        if (nav > 0 && PoolMath.sharesDown(deposited, uint104(nav), supply) >= type(uint128).max) {
            // so many do not fit beside the supply
            assert(PoolMath.minted(deposited, nav, supply, minPrice, least) == 0);
            return;
        }
        uint256 shares = PoolMath.minted(deposited, nav, supply, minPrice, least);
        if (nav <= 0) assert(shares == 0);
        if (shares != 0) {
            assert(uint256(uint104(nav)) * 1e18 >= uint256(supply) * minPrice);
            assert(shares * least >= PoolMath.MIN_SHARES * deposited);
        }
    }

    /// @notice A strike burns at most what waits, pays at most what is payable, and burns nothing without payment
    /// @custom:bound shares, supply, payable money < 2^96, |nav| < 2^95, six decimals
    function check_redeemed_stays_within_its_limits(uint96 waiting, int96 nav, uint96 supply, uint96 payable_)
        public
        pure
    {
        vm.assume(supply != 0 && waiting <= supply);
        (uint256 burnt, uint256 paid) = PoolMath.redeemed(waiting, nav, supply, payable_, 1e12);
        assert(burnt <= waiting && paid * 1e12 <= payable_);
        assert(burnt != 0 || paid == 0);
        if (nav <= 0) assert(burnt == 0 && paid == 0);
    }

    /// @notice What still waits after a payment is at most what is left of the queue
    /// @custom:bound one member with all shares, shares < 2^96, product 10^54 at his entry, no change of scale
    /// @custom:open the solvers run out of time on products beyond 256 bits
    function check_queue_keeps_no_more_than_is_left(uint96 shares, uint96 burnt) public pure {
        vm.assume(shares != 0 && burnt != 0 && burnt < shares && uint256(shares - burnt) * 1e27 >= shares);
        Queue memory q = Queue(1e54, shares, 1, 0);
        (Queue memory next,) = PoolMath.pay(q, burnt, 0);
        assert(next.shares == shares - burnt);
        assert(PoolMath.waitingOf(shares, Mark(1e54, 0, 1, 0), next) <= next.shares);
    }

    /// @notice What members of the queue are paid is at most what was paid into it
    /// @custom:bound two members with all shares, shares < 2^64, paid < 2^64 native units, product 10^54 at their entry
    function check_queue_pays_no_more_than_it_got(uint96 first, uint96 second, uint96 paid) public pure {
        vm.assume(first < 1 << 64 && second < 1 << 64 && first != 0 && paid < 1 << 64);
        Queue memory q = Queue(1e54, uint128(first) + second, 1, 0);
        (, uint256 growth) = PoolMath.pay(q, 1, paid);
        Mark memory mark = Mark(1e54, 0, 1, 0);
        uint256 parts = PoolMath.paidFor(first, mark, growth, 0) + PoolMath.paidFor(second, mark, growth, 0);
        assert(parts <= paid);
    }
}
