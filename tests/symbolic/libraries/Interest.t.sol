// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InterestMath} from "../../../contracts/libraries/InterestMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Interest on debt.
contract InterestProofs is Symbolic {
    uint256 private constant WAD = 1e18;

    /// @notice Utilisation is between 0 and 1, rounded up, and 1 when debts reach the pool's cash
    /// @custom:bound debt < 2^112, |cash| < 2^103
    function check_utilisation_is_between_zero_and_one(uint112 debt, int104 cash) public pure {
        uint256 u = InterestMath.utilisation(debt, cash);
        assert(u <= WAD);
        if (debt == 0) {
            assert(u == 0);
        } else if (cash <= 0 || debt >= uint104(cash)) {
            assert(u == WAD);
        } else {
            assert(u != 0 && u * uint104(cash) >= uint256(debt) * WAD && (u - 1) * uint104(cash) < uint256(debt) * WAD);
        }
    }

    /// @notice The rate is at least the base and at most base + slope1 + slope2, and never falls when utilisation rises
    /// @custom:bound rates < 2^40, kink ≤ 10^6 ppm, utilisation ≤ 1
    function check_rate_rises_with_utilisation(
        uint64 low,
        uint64 high,
        uint40 base,
        uint40 slope1,
        uint40 slope2,
        uint24 kinkPpm
    ) public pure {
        vm.assume(low <= high && high <= WAD && kinkPpm <= 1e6);
        uint256 less = InterestMath.rate(low, base, slope1, slope2, kinkPpm);
        uint256 more = InterestMath.rate(high, base, slope1, slope2, kinkPpm);
        assert(less <= more && less >= base && more <= uint256(base) + slope1 + slope2);
    }

    /// @notice The borrow index never falls, and stays in no time
    /// @custom:bound index < 2^96, rate < 2^41, dt < 2^32
    function check_index_never_falls(uint96 index, uint48 rate, uint32 dt) public pure {
        vm.assume(rate < 1 << 41);
        uint256 next = InterestMath.indexAfter(index, rate, dt);
        assert(next >= index);
        if (dt == 0 || rate == 0) assert(next == index);
    }

    /// @notice Ten years at the highest rate fit the word of the borrow index
    /// @custom:bound index up to 10^27, 250 % a year charged for up to ten years at once
    function check_index_fits_after_ten_years(uint96 index, uint32 dt) public pure {
        vm.assume(index <= 1e27 && dt <= 3650 days);
        uint256 next = InterestMath.indexAfter(index, uint256(25e17) / 365 days, dt);
        assert(fits(next, 96));
    }

    /// @notice What one account owes is rounded up, what all owe down: the pool never counts on more than it is owed
    /// @custom:bound scaled debts < 2^110, index < 2^96
    function check_sum_of_debts_covers_the_total(uint112 first, uint112 second, uint96 index) public pure {
        vm.assume(first < 1 << 110 && second < 1 << 110);
        uint256 total = InterestMath.totalDebt(uint256(first) + second, index);
        uint256 sum = InterestMath.debtOf(first, index) + InterestMath.debtOf(second, index);
        assert(sum >= total && sum - total <= 2);
    }

    /// @notice A debt that is stored is owed in full, and at most one wei of scaled debt more
    /// @custom:bound debt < 2^128, 1 ≤ index < 2^96, at least WAD
    function check_stored_debt_is_owed_in_full(uint128 debt, uint96 index) public pure {
        vm.assume(index >= WAD);
        uint256 scaled = InterestMath.scaledFor(debt, index);
        uint256 owed = InterestMath.debtOf(scaled, index);
        assert(owed >= debt);
        assert(scaled == 0 ? debt == 0 : (scaled - 1) * index < uint256(debt) * WAD);
    }
}
