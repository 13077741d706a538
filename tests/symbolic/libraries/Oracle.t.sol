// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EmaMath} from "../../../contracts/libraries/EmaMath.sol";
import {Action, PriceMatrix} from "../../../contracts/libraries/PriceMatrix.sol";
import {ObservationLib, PriceFlags, Spot, Trend} from "../../../contracts/types/Observation.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice The moving average, the bound of a lost price, the band, and the price matrix.
contract OracleProofs is Symbolic {
    uint256 private constant WAD = 1e18;

    /// @notice The average moves toward the price and never past it
    /// @custom:bound prices < 2^88, weight < 1
    function check_average_never_overshoots(uint88 ema, uint88 previous, uint64 weight) public pure {
        vm.assume(weight < WAD);
        uint256 next = EmaMath.foldEma(ema, previous, weight);
        if (previous >= ema) assert(next >= ema && next <= previous);
        else assert(next <= ema && next >= previous);
        if (weight == 0) assert(next == ema);
    }

    /// @notice The squared return is rounded up, zero only for an unchanged price, and saturates
    /// @custom:bound prices < 2^88, previous not 0
    function check_squared_return_rounds_up(uint88 price, uint88 previous) public pure {
        vm.assume(previous != 0);
        uint256 squared = EmaMath.squaredReturn(price, previous);
        uint256 gap = price > previous ? price - previous : previous - price;
        assert((squared == 0) == (gap == 0) && squared <= 1 << 112);
        if (squared < 1 << 112) assert(squared * (uint256(previous) * previous) >= gap * gap * WAD);
    }

    /// @notice The variance stays in its word, and in no time it stays as it is
    /// @custom:bound variance < 2^48, squared return ≤ 2^112, weight < 1, elapsed < 2^32
    function check_variance_fits_its_field(uint48 variance, uint120 squared, uint64 weight, uint32 elapsed)
        public
        pure
    {
        vm.assume(squared <= 1 << 112 && weight < WAD);
        uint256 next = EmaMath.foldVariance(variance, squared, weight, elapsed);
        assert(fits(next, 48));
        if (elapsed == 0) assert(next == variance);
    }

    /// @notice How far a lost price may have moved never falls with age, starts at the base and ends at the cap
    /// @custom:bound ages < 2^40, ppm < 2^20
    function check_bound_grows_with_age(uint40 young, uint40 old, uint24 base, uint24 perHour, uint24 cap) public pure {
        vm.assume(young <= old && base < 1 << 20 && perHour < 1 << 20 && cap < 1 << 20);
        uint256 less = EmaMath.boundPpm(young, base, perHour, cap);
        uint256 more = EmaMath.boundPpm(old, base, perHour, cap);
        assert(less <= more && more <= cap);
        if (young == 0) assert(less == (base < cap ? base : cap));
    }

    function packSpot(uint256 price, uint256 other, uint256 time, uint256 flags, uint256 band)
        external
        pure
        returns (Spot)
    {
        return ObservationLib.packSpot(price, other, time, flags, band);
    }

    /// @notice A spot price comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_spot_round_trip(uint256 price, uint256 other, uint256 time, uint256 flags, uint256 band)
        public
        view
    {
        try this.packSpot(price, other, time, flags, band) returns (Spot s) {
            assert(s.price() == price && s.other() == other && s.publishTime() == time);
            assert(s.flags() == flags && s.bandPpm() == band);
        } catch {
            assert(!fits(price, 87) || !fits(other, 87) || !fits(time, 32) || !fits(flags, 16) || band > 1e6);
        }
    }

    function packTrend(uint256 ema, uint256 variance, uint256 bound) external pure returns (Trend) {
        return ObservationLib.packTrend(ema, variance, bound);
    }

    /// @notice A trend comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_trend_round_trip(uint256 ema, uint256 variance, uint256 bound) public view {
        try this.packTrend(ema, variance, bound) returns (Trend t) {
            assert(t.ema() == ema && t.variance() == variance && t.boundPpm() == bound);
        } catch {
            assert(!fits(ema, 87) || !fits(variance, 48) || bound > 1e6);
        }
    }

    /// @notice The band encloses the price: low ≤ price ≤ high, each rounded away from it
    /// @custom:bound price < 2^87, band ≤ 1
    function check_band_encloses_the_price(uint88 price, uint24 band) public pure {
        vm.assume(price <= ObservationLib.MAX_PRICE && band <= 1e6);
        Spot s = ObservationLib.packSpot(price, 0, 0, 0, band);
        assert(s.low() <= price && price <= s.high());
        assert(
            s.low() * 1e6 <= uint256(price) * (1e6 - band) && s.high() * 1e6 >= uint256(price) * (1e6 + uint256(band))
        );
    }

    /// @notice Raising risk and striking tolerate no flag at all
    /// @custom:bound every set of flags
    function check_raising_risk_tolerates_no_flag(uint256 flags) public pure {
        assert(PriceMatrix.tolerates(Action.IncreaseRisk, flags) == (flags == 0));
        assert(PriceMatrix.tolerates(Action.Strike, flags) == (flags == 0));
    }

    /// @notice Reducing risk is refused by an invalid price or a sequencer that is down, and by nothing else
    /// @custom:bound every set of flags
    function check_reducing_risk_follows_the_table(uint256 flags) public pure {
        bool refused = flags & (PriceFlags.INVALID | PriceFlags.SEQUENCER_DOWN) != 0;
        assert(PriceMatrix.tolerates(Action.ReduceRisk, flags) == !refused);
    }

    /// @notice Liquidation is refused by the sequencer, down or in its grace, and by nothing else
    /// @custom:bound every set of flags
    function check_liquidation_follows_the_table(uint256 flags) public pure {
        bool refused = flags & (PriceFlags.SEQUENCER_DOWN | PriceFlags.SEQUENCER_GRACE) != 0;
        assert(PriceMatrix.tolerates(Action.Liquidate, flags) == !refused);
    }
}
