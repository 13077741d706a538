// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LiquidationMath} from "../../../contracts/libraries/LiquidationMath.sol";
import {MarginMath} from "../../../contracts/libraries/MarginMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice How much a liquidation closes, charges and pays.
contract LiquidationProofs is Symbolic {
    uint256 private constant WAD = 1e18;
    // One configuration without slope: mmr 2 %, λ 1 %, t 1.1. Then B = t·(mmr + λ) − λ = 2.3 %.
    uint256 private constant BASE = 0.02e18;
    uint256 private constant PENALTY = 0.01e18;
    uint256 private constant TARGET = 1.1e18;

    /// @notice The least closing amount pays the shortfall: x·P·B ≥ S, unless all is closed
    /// @custom:bound no slope; mmr 2 %, λ 1 %, t 1.1; size < 2^104, price < 2^88, 0 < shortfall < 2^120
    function check_least_close_restores_health(uint104 size, uint88 price, uint120 shortfall) public pure {
        vm.assume(size != 0 && price != 0 && shortfall != 0);
        uint256 x = LiquidationMath.leastClose(size, price, shortfall, BASE, 0, PENALTY, TARGET);
        assert(x <= size);
        if (x < size) assert(x * price * 0.023e18 >= uint256(shortfall) * 1e36);
    }

    /// @notice One unit less does not pay the shortfall: (x − 1)·P·B < S
    /// @custom:bound no slope; mmr 2 %, λ 1 %, t 1.1; size < 2^104, price < 2^88, 0 < shortfall < 2^120
    function check_one_unit_less_does_not_restore_health(uint104 size, uint88 price, uint120 shortfall) public pure {
        vm.assume(size != 0 && price != 0 && shortfall != 0);
        uint256 x = LiquidationMath.leastClose(size, price, shortfall, BASE, 0, PENALTY, TARGET);
        assert(x != 0);
        if (x < size) assert((x - 1) * price * 0.023e18 < uint256(shortfall) * 1e36);
    }

    /// @notice When part helps, closing one more unit at the price raises health: equity/MM falls by less than requirement does
    /// @custom:bound equity < 2^120, MM < 2^120, ratios ≤ 1, λ < ratio
    function check_part_helps_only_above_the_penalty(int128 equity, uint120 maintenance, uint64 penalty, uint64 ratio)
        public
        pure
    {
        vm.assume(ratio <= WAD && penalty < ratio && penalty != 0 && equity < 1 << 120);
        bool helps = LiquidationMath.partHelps(equity, maintenance, penalty, ratio);
        if (equity <= 0) assert(!helps);
        else assert(helps == (uint256(uint128(equity)) * ratio > uint256(maintenance) * penalty));
    }

    /// @notice The floor size pays the keeper floor, and one unit less does not
    /// @custom:bound floor < 2^96, λ ≤ 1, 0 < price < 2^88
    function check_floor_size_pays_the_floor(uint96 keeperFloor, uint64 penalty, uint88 price) public pure {
        vm.assume(penalty != 0 && penalty <= WAD && price != 0);
        uint256 x = LiquidationMath.floorSize(keeperFloor, penalty, price);
        uint256 perUnit = uint256(penalty) * price;
        unchecked {
            assert(x * perUnit >= uint256(keeperFloor) * 1e36);
            assert(x == 0 ? keeperFloor == 0 : (x - 1) * perUnit < uint256(keeperFloor) * 1e36);
        }
    }

    /// @notice A penalty never exceeds what the account has, and is at least the smaller of equity and keeper floor
    /// @custom:bound every penalty and floor, every equity
    function check_penalty_is_at_most_equity(uint256 penaltySum, uint256 keeperFloor, int256 equity) public pure {
        uint256 charged = LiquidationMath.charged(penaltySum, keeperFloor, equity);
        if (equity <= 0) assert(charged == 0);
        else assert(charged <= uint256(equity) && (charged == uint256(equity) || charged >= keeperFloor));
    }

    /// @notice The reward is paid out of penalty and insurance allowance, and at most the cap
    /// @custom:bound money < 2^128
    function check_reward_is_bounded(
        uint128 charged,
        uint128 insurance,
        uint128 keeperFloor,
        uint128 cap,
        uint128 ratePart,
        uint128 gasCost
    ) public pure {
        uint256 reward = LiquidationMath.reward(charged, insurance, keeperFloor, cap, ratePart, gasCost);
        uint256 allowance = charged < keeperFloor ? uint256(keeperFloor) - charged : 0;
        if (allowance > insurance) allowance = insurance;
        assert(reward <= cap && reward <= charged + allowance);
        assert(reward <= ratePart || reward <= gasCost);
        if (charged == 0 && ratePart == 0) assert(reward <= keeperFloor && reward <= insurance);
    }

    /// @notice The discount rises with time, from 0 to its maximum, and stays there
    /// @custom:bound times < 2^32, duration < 2^16, maximum < 2^24 ppm
    function check_discount_rises_to_its_maximum(uint32 early, uint32 late, uint16 duration, uint24 maxPpm)
        public
        pure
    {
        vm.assume(early <= late && duration != 0);
        uint256 first = LiquidationMath.discount(early, duration, maxPpm);
        uint256 second = LiquidationMath.discount(late, duration, maxPpm);
        assert(first <= second && second <= maxPpm);
        if (late >= duration) assert(second == maxPpm);
        if (early == 0) assert(first == 0);
    }

    /// @notice Selling the sale value pays the gap: y·(1 − δ − w) ≥ gap, and one wei less does not
    /// @custom:bound 0 < gap < 2^128, discount and weight < 2^24 ppm
    function check_sale_value_closes_the_gap(uint128 gap, uint24 discountPpm, uint24 weightPpm) public pure {
        vm.assume(gap != 0);
        uint256 y = LiquidationMath.saleValue(gap, discountPpm, weightPpm);
        uint256 taken = uint256(discountPpm) + weightPpm;
        if (taken >= 1e6) {
            assert(y == type(uint256).max);
        } else {
            assert(y * (1e6 - taken) >= uint256(gap) * 1e6 && (y - 1) * (1e6 - taken) < uint256(gap) * 1e6);
        }
    }

    /// @notice A buyer pays ⌈amount·P·(1 − δ)⌉: never less than the discounted price, never more than the full one
    /// @custom:bound amount < 2^112 of 18 decimals, price < 2^88, discount ≤ 1
    function check_sale_price_rounds_up(uint112 amount, uint88 price, uint24 discountPpm) public pure {
        vm.assume(discountPpm <= 1e6);
        uint256 paid = LiquidationMath.salePrice(amount, 18, price, discountPpm);
        uint256 exact = uint256(amount) * price * (1e6 - discountPpm);
        assert(paid * 1e24 >= exact && paid * 1e24 < exact + 1e24);
    }
}
