// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PricingMath} from "../../../contracts/libraries/PricingMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Fill prices, premium and fees.
contract PricingProofs is Symbolic {
    uint256 private constant WAD = 1e18;

    /// @dev The widths of the protocol: K and skew fit 94 bits, the skew stays within ±K, prices fit 88 bits.
    function inRange(uint88 price, int256 skew, int256 delta, uint96 skewScale) private pure {
        int256 k = int256(uint256(skewScale));
        vm.assume(price != 0 && skewScale != 0 && skewScale < 1 << 94);
        vm.assume(skew >= -k && skew <= k && skew + delta >= -k && skew + delta <= k && delta != 0);
    }

    /// @dev Ranges in which no product of a cost or of a premium needs more than 256 bits: prices up to a million, K up to 19 million.
    function inWord(uint88 price, int256 skew, int256 delta, uint96 skewScale) private pure {
        vm.assume(price < 1 << 80 && skewScale < 1 << 84 && delta > -(1 << 85) && delta < 1 << 85);
        inRange(price, skew, delta, skewScale);
    }

    /// @dev The cost of a fill, and 2K·WAD times what it is in exact numbers: a step of the proofs is that it is at least that.
    function costOf(uint88 side, uint88 price, int256 skew, int256 delta, uint96 skewScale)
        private
        pure
        returns (int256 cost, int256 exact)
    {
        cost = PricingMath.fillCost(side, price, skew, delta, skewScale);
        unchecked {
            int256 k = int256(uint256(skewScale));
            exact = (int256(uint256(side)) * (2 * k + 2 * skew + delta) - int256(uint256(price)) * 2 * k) * delta;
            assert(cost * (2 * k * int256(WAD)) >= exact);
        }
    }

    /// @dev A step of the proofs: 2K·WAD times a cost exceeds the exact one by less than that.
    function roundsLess(int256 cost, int256 exact, uint96 skewScale) private pure {
        unchecked {
            int256 scale = int256(2 * uint256(skewScale) * WAD);
            assert(cost * scale - exact < scale);
        }
    }

    /// @dev A step of the proofs: 2K·WAD times what three roundings add is more than −1 and less than 2 of it.
    function isZeroOrOne(int256 off, uint96 skewScale) private pure returns (bool) {
        unchecked {
            int256 scale = int256(2 * uint256(skewScale) * WAD);
            assert(off * scale > -scale && off * scale < 2 * scale);
            return off >= 0 && off <= 1;
        }
    }

    /// @dev The premium, and 2K·WAD times what it is in exact numbers, with the steps of the proofs for a cost.
    function premiumOf(uint88 price, int256 skew, uint96 skewScale)
        private
        pure
        returns (int256 premium, int256 exact)
    {
        premium = int256(PricingMath.premium(price, skew, skewScale));
        unchecked {
            exact = int256(uint256(price)) * skew * skew;
            assert(premium * int256(2 * uint256(skewScale) * WAD) >= exact);
        }
        roundsLess(premium, exact, skewScale);
    }

    /// @notice Buying costs at least the price when the skew does not favour it: a trade that grows the skew never gets a discount
    /// @custom:bound price < 2^80, |skew|, |skew + delta| ≤ K < 2^84
    function check_growing_the_skew_costs(uint88 price, int96 skew, int96 delta, uint96 skewScale) public pure {
        inWord(price, skew, delta, skewScale);
        vm.assume(skew == 0 || (skew > 0) == (delta > 0));
        int256 cost = PricingMath.fillCost(price, price, skew, delta, skewScale);
        assert(cost >= 0);
    }

    /// @notice A fill costs the exact ⌈delta·price·(2·skew + delta)/(2K)⌉ on a price without a band
    /// @custom:bound price < 2^80, |skew|, |skew + delta| ≤ K < 2^84
    function check_fill_cost_is_the_ceiling(uint88 price, int96 skew, int96 delta, uint96 skewScale) public pure {
        inWord(price, skew, delta, skewScale);
        (int256 cost, int256 exact) = costOf(price, price, skew, delta, skewScale);
        unchecked {
            assert(exact == int256(uint256(price)) * (2 * int256(skew) + delta) * delta);
        }
        roundsLess(cost, exact, skewScale);
    }

    /// @notice Path independence: x then y costs what x + y costs, and at most one wei more
    /// @custom:bound price < 2^80, every skew on the way within ±K, K < 2^84, no band
    function check_splitting_a_fill_never_helps(uint88 price, int96 skew, int96 x, int96 y, uint96 skewScale)
        public
        pure
    {
        inWord(price, skew, x, skewScale);
        inWord(price, int256(skew) + x, y, skewScale);
        vm.assume(int256(x) + y != 0);
        (int256 first, int256 exact) = costOf(price, price, skew, x, skewScale);
        roundsLess(first, exact, skewScale);
        int256 second;
        (second, exact) = costOf(price, price, int256(skew) + x, y, skewScale);
        roundsLess(second, exact, skewScale);
        int256 once;
        (once, exact) = costOf(price, price, skew, int256(x) + y, skewScale);
        roundsLess(once, exact, skewScale);
        assert(isZeroOrOne(first + second - once, skewScale));
    }

    /// @notice A round trip at one price never profits: out and back costs 0 or 1 wei
    /// @custom:bound price < 2^80, |skew|, |skew + delta| ≤ K < 2^84, no band
    function check_round_trip_never_profits(uint88 price, int96 skew, int96 delta, uint96 skewScale) public pure {
        inWord(price, skew, delta, skewScale);
        (int256 there, int256 exact) = costOf(price, price, skew, delta, skewScale);
        roundsLess(there, exact, skewScale);
        int256 back;
        (back, exact) = costOf(price, price, int256(skew) + delta, -int256(delta), skewScale);
        roundsLess(back, exact, skewScale);
        assert(isZeroOrOne(there + back, skewScale));
    }

    /// @notice A round trip over a band, bought at the upper end and sold at the lower, never profits
    /// @custom:bound low ≤ price ≤ high < 2^80, |skew|, |skew + delta| ≤ K < 2^84
    function check_round_trip_over_a_band_never_profits(
        uint88 low,
        uint88 price,
        uint88 high,
        int96 skew,
        int96 delta,
        uint96 skewScale
    ) public pure {
        inWord(price, skew, delta, skewScale);
        vm.assume(low <= price && price <= high && high < 1 << 80);
        (uint88 there, uint88 back) = delta > 0 ? (high, low) : (low, high);
        (int256 cost,) = costOf(there, price, skew, delta, skewScale);
        (int256 more,) = costOf(back, price, int256(skew) + delta, -int256(delta), skewScale);
        unchecked {
            assert((cost + more) * int256(2 * uint256(skewScale) * WAD) >= 0);
            assert(cost + more >= 0);
        }
    }

    /// @notice What fills pay in is what the premium outstanding grows by, or one wei more
    /// @custom:bound price < 2^80, |skew|, |skew + delta| ≤ K < 2^84, no band
    function check_cost_pays_for_the_premium(uint88 price, int96 skew, int96 delta, uint96 skewScale) public pure {
        inWord(price, skew, delta, skewScale);
        (int256 cost, int256 exact) = costOf(price, price, skew, delta, skewScale);
        roundsLess(cost, exact, skewScale);
        (int256 later,) = premiumOf(price, int256(skew) + delta, skewScale);
        (int256 before,) = premiumOf(price, skew, skewScale);
        assert(isZeroOrOne(cost - later + before, skewScale));
    }

    /// @notice The premium is zero without skew, positive with it, and the same for both signs
    /// @custom:bound 0 < price < 2^80, |skew| ≤ K < 2^84
    function check_premium_is_even(uint88 price, int96 skew, uint96 skewScale) public pure {
        inWord(price, skew, -int256(skew) == 0 ? int256(1) : -int256(skew), skewScale);
        uint256 premium = PricingMath.premium(price, skew, skewScale);
        assert((premium == 0) == (skew == 0));
        assert(premium == PricingMath.premium(price, -int256(skew), skewScale));
    }

    /// @notice A buy is filled at no less than a sell of the same size back: the price per unit is up for buys, down for sells
    /// @custom:bound price < 2^88, |skew|, |skew + delta| ≤ K < 2^94, delta > 0
    function check_fill_price_rounds_against_the_trader(uint88 price, int96 skew, int96 delta, uint96 skewScale)
        public
        pure
    {
        inRange(price, skew, delta, skewScale);
        vm.assume(delta > 0);
        uint256 buy = PricingMath.fillPrice(price, skew, delta, skewScale);
        uint256 sell = PricingMath.fillPrice(price, int256(skew) + delta, -int256(delta), skewScale);
        assert(buy >= sell && buy <= sell + 1);
    }

    /// @notice The premium factor is 2K + 2·skew + delta, never negative, and at most 4K
    /// @custom:bound |skew|, |skew + delta| ≤ K < 2^94
    function check_factor_stays_between_zero_and_4K(int96 skew, int96 delta, uint96 skewScale) public pure {
        inRange(1, skew, delta, skewScale);
        uint256 f = PricingMath.factor(skew, delta, skewScale);
        assert(f <= 4 * uint256(skewScale));
        assert(int256(f) == 2 * int256(uint256(skewScale)) + 2 * int256(skew) + delta);
    }

    /// @notice The fee is between all at the maker rate and all at the taker rate, rounded up, and a trade that grows the skew pays taker
    /// @custom:bound price < 2^88, sizes and skews < 2^105, maker ≤ taker < 2^16 ppm
    function check_fee_lies_between_maker_and_taker(
        uint88 price,
        int112 skew,
        int112 delta,
        uint16 makerPpm,
        uint16 takerPpm
    ) public pure {
        vm.assume(makerPpm <= takerPpm && skew > -(1 << 105) && skew < 1 << 105);
        vm.assume(delta > -(1 << 105) && delta < 1 << 105);
        uint256 size = delta >= 0 ? uint112(delta) : uint112(-delta);
        uint256 fee = PricingMath.fee(price, skew, delta, makerPpm, takerPpm);
        assert(fee * 1e24 >= size * makerPpm * price);
        assert(fee * 1e24 < size * takerPpm * price + 1e24);
        if ((skew >= 0 && delta > 0) || (skew <= 0 && delta < 0)) assert(fee * 1e24 >= size * takerPpm * price);
    }

    /// @notice Notional up is notional down or one wei more, and both are right
    /// @custom:bound size < 2^112, price < 2^88
    function check_notional_rounds_both_ways(uint112 size, uint88 price) public pure {
        uint256 down = PricingMath.notionalDown(size, price);
        uint256 up = PricingMath.notionalUp(size, price);
        uint256 exact = uint256(size) * price;
        assert(down * WAD <= exact && up * WAD >= exact && up - down <= 1);
        assert(exact % WAD == 0 ? up == down : up == down + 1);
    }
}
