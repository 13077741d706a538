// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ONE, UNIT} from "../../../contracts/libraries/FixedMath.sol";
import {SideMath} from "../../../contracts/libraries/SideMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice One side of a market.
contract SideProofs is Symbolic {
    /// @notice Without events shares are sizes and the unit value is the price minus the index
    /// @custom:bound size < 2^104, price < 2^88, |index| < 2^95
    function check_without_events_shares_are_sizes(uint104 size, uint88 price, int96 index, bool long) public pure {
        assert(SideMath.sizeOf(size, ONE) == size && SideMath.sharesFor(size, ONE) == size);
        int256 value = SideMath.unitValue(ONE, 0, price, index, long);
        assert(value == (int256(uint256(price)) - index) * 1e6);
    }

    /// @notice The shares for a size hold at least that size, and one share less would not
    /// @custom:bound size < 2^104, 10^30 ≤ A ≤ 10^36 (A below ONE/10^6 closes the epoch)
    function check_shares_hold_their_size(uint104 size, uint120 scale) public pure {
        vm.assume(scale >= 1e30 && scale <= ONE);
        uint256 shares = SideMath.sharesFor(size, scale);
        vm.assume(fits(shares, 124));
        assert(SideMath.sizeOf(shares, scale) >= size);
        if (shares != 0) assert(uint256(shares - 1) * scale < uint256(size) * ONE);
    }

    /// @notice A size never grows by deleveraging: sizes are at most the shares
    /// @custom:bound shares < 2^104, A ≤ 10^36
    function check_size_is_at_most_the_shares(uint104 shares, uint120 scale) public pure {
        vm.assume(scale <= ONE);
        assert(SideMath.sizeOf(shares, scale) <= shares);
    }

    /// @notice The unit value of longs is rounded down, of shorts up, and they differ by at most one unit of 1e-24
    /// @custom:bound A ≤ 10^36, |C| < 2^119, price < 2^88, |index| < 2^95
    function check_unit_value_rounds_for_the_pool(uint120 scale, int120 offset, uint88 price, int96 index) public pure {
        vm.assume(scale <= ONE);
        int256 long = SideMath.unitValue(scale, offset, price, index, true);
        int256 short = SideMath.unitValue(scale, offset, price, index, false);
        int256 exact = (int256(uint256(price)) - index) * 1e6 * int256(uint256(scale));
        assert((long - offset) * int256(ONE) <= exact && exact <= (short - offset) * int256(ONE));
        assert(short - long <= 1);
    }

    /// @notice Profit is ⌊r·(W − w)⌋
    /// @custom:bound |shares| < 2^103, |W|, |w| < 2^127
    function check_profit_is_the_floor(int104 shares, int128 value, int128 entry) public pure {
        int256 profit = SideMath.profit(shares, value, entry);
        int256 exact = int256(shares) * (int256(value) - entry);
        assert(profit * int256(UNIT) <= exact && exact - profit * int256(UNIT) < int256(UNIT));
    }

    /// @notice What a side's accounts are credited never exceeds what the pool counts for the side (two accounts)
    /// @custom:bound |shares| < 2^102, |W|, |w| < 2^126
    function check_side_profit_covers_its_accounts(int104 r1, int104 r2, int128 value, int128 w1, int128 w2)
        public
        pure
    {
        int256 most = 1 << 126;
        vm.assume(r1 > -(1 << 102) && r1 < 1 << 102 && r2 > -(1 << 102) && r2 < 1 << 102);
        vm.assume(value > -most && value < most && w1 > -most && w1 < most && w2 > -most && w2 < most);
        int256 entrySum = int256(r1) * w1 + int256(r2) * w2;
        int256 whole = SideMath.sideProfit(int256(r1) + r2, value, entrySum);
        int256 parts = SideMath.profit(r1, value, w1) + SideMath.profit(r2, value, w2);
        assert(parts <= whole && whole - parts <= 2);
    }

    /// @notice The part that deleveraging closes is at most the whole side and at most skew/OI
    /// @custom:bound skew ≤ open interest < 2^105, money < 2^120
    function check_deleverage_fraction_is_capped(uint120 excess, uint120 open, uint112 skew, uint112 interest, bool cap)
        public
        pure
    {
        vm.assume(interest != 0 && skew <= interest && interest < 1 << 105 && open != 0 && excess != 0);
        uint256 f = SideMath.deleverageFraction(excess, open, skew, interest, cap);
        assert(f <= ONE && f * interest <= uint256(skew) * ONE);
    }

    /// @notice Deleveraging never raises the scale, leaves all of it for nothing, and takes all of it for the whole
    /// @custom:bound A ≤ 10^36, fraction ≤ 1
    function check_scale_only_falls(uint120 scale, uint120 fraction) public pure {
        vm.assume(scale <= ONE && fraction <= ONE);
        uint256 next = SideMath.scaleAfter(scale, fraction);
        assert(next <= scale);
        if (fraction == 0) assert(next == scale);
        if (fraction == ONE) assert(next == 0);
    }

    /// @notice What each share gets of an amount is rounded down, what each share pays up
    /// @custom:bound amount < 2^104, 0 < shares < 2^104
    function check_unit_gain_and_loss_enclose_the_amount(uint104 amount, uint104 shares) public pure {
        vm.assume(shares != 0);
        int256 gain = SideMath.unitGain(amount, shares);
        int256 loss = SideMath.unitLoss(amount, shares);
        assert(gain >= 0 && loss - gain <= 1);
        assert(uint256(gain) * shares <= uint256(amount) * UNIT && uint256(loss) * shares >= uint256(amount) * UNIT);
    }

    /// @notice Right after an event without a released premium the unit value is not better than before, and at most 2 units worse
    /// @custom:bound A' ≤ 10^36, |W| < 2^119, price < 2^88, |index| < 2^95
    function check_event_leaves_the_unit_value(int120 value, uint120 newScale, uint88 price, int96 index) public pure {
        vm.assume(newScale < ONE && value > -(1 << 118) && value < 1 << 118);
        int256 offset = SideMath.offsetAfter(value, newScale, price, index, 0, 1, true);
        int256 long = SideMath.unitValue(newScale, offset, price, index, true);
        assert(long <= value && value - long <= 1);
        offset = SideMath.offsetAfter(value, newScale, price, index, 0, 1, false);
        int256 short = SideMath.unitValue(newScale, offset, price, index, false);
        assert(short >= value && short - value <= 1);
    }
}
