// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FundingMath} from "../../../contracts/libraries/FundingMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Funding: the rate, its integral, the index.
contract FundingProofs is Symbolic {
    /// @notice The velocity and the bound that `drift` answers keep the rate within ±rMax, however long it moves
    /// @custom:bound rate within ±rMax, rMax < 2^39, |velocity| < 2^40, bound −rMax, 0 or rMax, dt < 2^32
    function check_rate_stays_within_its_bounds(int64 rate, int64 velocity, uint64 rMax, uint8 pick, uint32 dt)
        public
        pure
    {
        (int256 limit, int256 bound) = chosen(rate, velocity, rMax, pick);
        (int256 next,) = FundingMath.integrate(rate, velocity, bound, dt);
        assert(next >= -limit && next <= limit);
    }

    /// @dev Assumes the widths of funding and picks a bound.
    function chosen(int64 rate, int64 velocity, uint64 rMax, uint8 pick)
        private
        pure
        returns (int256 limit, int256 bound)
    {
        limit = int256(uint256(rMax));
        vm.assume(rMax < 1 << 39 && rate >= -limit && rate <= limit);
        vm.assume(velocity > -(1 << 40) && velocity < 1 << 40);
        bound = pick == 0 ? -limit : pick == 1 ? int256(0) : limit;
    }

    /// @notice Nothing moves in no time: the rate stays and the integral is zero
    /// @custom:bound |rate| ≤ rMax < 2^39, |velocity| < 2^40, rate not beyond its bound
    function check_no_time_changes_nothing(int64 rate, int64 velocity, uint64 rMax, uint8 pick) public pure {
        (, int256 bound) = chosen(rate, velocity, rMax, pick);
        vm.assume(velocity == 0 || rate == bound || (bound > rate) == (velocity > 0));
        (int256 next, int256 twice) = FundingMath.integrate(rate, velocity, bound, 0);
        assert(next == rate && twice == 0);
    }

    /// @notice No time, no integral, even when the rate was beyond a cap that has been lowered
    /// @custom:bound |rate| ≤ rMax < 2^39, |velocity| < 2^40
    function check_no_time_pays_nothing(int64 rate, int64 velocity, uint64 rMax, uint8 pick) public pure {
        (, int256 bound) = chosen(rate, velocity, rMax, pick);
        (, int256 twice) = FundingMath.integrate(rate, velocity, bound, 0);
        assert(twice == 0);
    }

    /// @notice The mean rate of an interval is within ±rMax: |2·∫ rate dt| ≤ 2·rMax·dt
    /// @custom:bound |rate| ≤ rMax < 2^39, |velocity| < 2^40, dt < 2^32
    /// @custom:open the solvers run out of time on the square over the velocity
    function check_integral_stays_within_rMax(int64 rate, int64 velocity, uint64 rMax, uint8 pick, uint32 dt)
        public
        pure
    {
        (int256 limit, int256 bound) = chosen(rate, velocity, rMax, pick);
        int256 way = bound - rate;
        if (way < 0) way = -way;
        int256 moved = (velocity < 0 ? -int256(velocity) : int256(velocity)) * int256(uint256(dt));
        // a step of the proof: (bound − rate)² ≤ |bound − rate|·|velocity|·dt where the bound is reached
        if (moved >= way) assert(way * moved >= way * way);
        (, int256 twice) = FundingMath.integrate(rate, velocity, bound, dt);
        int256 most = 2 * limit * int256(uint256(dt));
        assert(twice <= most && twice >= -most);
    }

    /// @notice Splitting an interval before the bound is reached gives the same rate and the same sum of integrals
    /// @custom:bound |rate| ≤ rMax < 2^39, 0 < |velocity| < 2^40, both parts < 2^32, the bound not reached at the end
    function check_splitting_composes_before_the_bound(
        int64 rate,
        int64 velocity,
        uint64 rMax,
        uint8 pick,
        uint32 s,
        uint32 t
    ) public pure {
        (, int256 bound) = chosen(rate, velocity, rMax, pick);
        vm.assume(velocity != 0 && rate != bound && (bound > rate) == (velocity > 0));
        (int256 whole, int256 sum) = FundingMath.integrate(rate, velocity, bound, uint256(s) + t);
        vm.assume(whole != bound);
        (int256 middle, int256 first) = FundingMath.integrate(rate, velocity, bound, s);
        (int256 end, int256 second) = FundingMath.integrate(middle, velocity, bound, t);
        assert(end == whole && first + second == sum);
    }

    /// @notice Splitting an interval through the moment of reaching the bound gives the same rate and the same sum of integrals
    /// @custom:bound 0 ≤ rate ≤ bound < 2^39, 0 < velocity < 2^40, both parts < 2^32; falling rates mirror it
    function check_splitting_composes_through_the_bound(uint64 rate, uint64 velocity, uint64 bound, uint32 s, uint32 t)
        public
        pure
    {
        vm.assume(bound < 1 << 39 && rate < bound && velocity != 0 && velocity < 1 << 40);
        int256 v = int256(uint256(velocity));
        int256 top = int256(uint256(bound));
        (int256 whole, int256 sum) = FundingMath.integrate(int256(uint256(rate)), v, top, uint256(s) + t);
        vm.assume(whole == top);
        (int256 middle, int256 first) = FundingMath.integrate(int256(uint256(rate)), v, top, s);
        (int256 end, int256 second) = FundingMath.integrate(middle, v, top, t);
        assert(end == whole && first + second == sum);
    }

    /// @notice Longs and shorts mirror each other: the opposite rate under the opposite velocity pays the opposite
    /// @custom:bound |rate| ≤ rMax < 2^39, |velocity| < 2^40, dt < 2^32
    /// @custom:open the solvers run out of time on the square over the velocity
    function check_integral_is_odd(int64 rate, int64 velocity, uint64 rMax, uint8 pick, uint32 dt) public pure {
        (, int256 bound) = chosen(rate, velocity, rMax, pick);
        (int256 next, int256 twice) = FundingMath.integrate(rate, velocity, bound, dt);
        (int256 mirrored, int256 mirroredTwice) = FundingMath.integrate(-int256(rate), -int256(velocity), -bound, dt);
        assert(mirrored == -next && mirroredTwice == -twice);
    }

    /// @notice Outside the dead-band the velocity follows the skew, is at most vMax, and stops at ±rMax
    /// @custom:bound |rate|, rMax < 2^39, 0 < |skew| < 2^95, 0 < K < 2^94, vMax < 2^40, dead-band up to 10^6 ppm, |skew| beyond it
    function check_velocity_follows_the_skew(
        int40 rate,
        uint96 size,
        bool long,
        uint96 skewScale,
        uint64 rMax,
        uint64 vMax,
        uint24 deadBandPpm
    ) public pure {
        vm.assume(rMax < 1 << 39 && vMax < 1 << 40 && deadBandPpm <= 1e6 && skewScale != 0);
        vm.assume(skewScale < 1 << 94 && size < 1 << 95 && uint256(size) * 1e6 > uint256(deadBandPpm) * skewScale);
        vm.assume(size <= skewScale);
        int256 skew = long ? int256(uint256(size)) : -int256(uint256(size));
        (int256 velocity, int256 bound) = FundingMath.drift(rate, skew, skewScale, rMax, vMax, deadBandPpm);
        int256 most = int256(uint256(vMax));
        assert(long ? velocity >= 0 && velocity <= most : velocity <= 0 && velocity >= -most);
        assert(bound == (long ? int256(uint256(rMax)) : -int256(uint256(rMax))));
    }

    /// @notice Inside the dead-band the rate is always on its way to zero: the velocity is against it and never zero
    /// @custom:bound |rate|, rMax < 2^39, |skew| < 2^95, 0 < K < 2^94, vMax < 2^40, dead-band up to 10^6 ppm, |skew| within it
    function check_rate_decays_inside_the_dead_band(
        int40 rate,
        uint96 size,
        bool long,
        uint96 skewScale,
        uint64 rMax,
        uint64 vMax,
        uint24 deadBandPpm
    ) public pure {
        vm.assume(rMax < 1 << 39 && vMax < 1 << 40 && deadBandPpm <= 1e6 && skewScale != 0);
        vm.assume(skewScale < 1 << 94 && size <= skewScale && uint256(size) * 1e6 <= uint256(deadBandPpm) * skewScale);
        int256 skew = long ? int256(uint256(size)) : -int256(uint256(size));
        (int256 velocity, int256 bound) = FundingMath.drift(rate, skew, skewScale, rMax, vMax, deadBandPpm);
        assert(bound == 0 && (rate > 0 ? velocity < 0 : velocity > 0));
    }

    /// @notice The index grows by the mean rate times the price, rounded down by less than one wei
    /// @custom:bound |2·∫ rate dt| < 2^73, price < 2^88
    function check_index_growth_is_the_floor(int80 twice, uint88 price) public pure {
        vm.assume(twice > -(1 << 73) && twice < 1 << 73);
        int256 growth = FundingMath.indexGrowth(twice, price);
        int256 product = int256(twice) * int256(uint256(price));
        assert(growth * 2e18 <= product && product - growth * 2e18 < 2e18);
    }
}
