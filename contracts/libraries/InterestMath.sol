// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, WAD, PPM} from "./FixedMath.sol";

/// @notice Interest on negative cash: kinked curve on utilisation, by index. WAD.
/// @dev Unchecked. Widths: debts < 2^189, scaled debts < 2^112 as stored, indices < 2^96, rates < 2^41 and seconds < 2^32: no product
/// reaches 2^250.
library InterestMath {
    /// @notice u = min(⌈D/V⌉, 1), WAD; 1 when the pool has no cash.
    function utilisation(uint256 debt, int256 poolCash) internal pure returns (uint256) {
        unchecked {
            if (debt == 0) return 0;
            if (poolCash <= 0 || debt >= uint256(poolCash)) return WAD;
            return FixedMath.mulDivUp(debt, WAD, uint256(poolCash));
        }
    }

    /// @notice Rate per second, 1e-18: base + slope1·min(u, kink) + slope2·max(u − kink, 0), rounded up.
    function rate(uint256 u, uint256 base, uint256 slope1, uint256 slope2, uint256 kinkPpm)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            uint256 kink = kinkPpm * (WAD / PPM);
            uint256 below = FixedMath.min(u, kink);
            return base + FixedMath.divUp(slope1 * below + slope2 * (u - below), WAD);
        }
    }

    /// @notice index·(1 + rate·dt), rounded up; simple interest per accrual.
    function indexAfter(uint256 index, uint256 ratePerSecond, uint256 dt) internal pure returns (uint256) {
        unchecked {
            return index + FixedMath.divUp(index * ratePerSecond * dt, WAD);
        }
    }

    /// @notice ⌈scaled·index⌉: debt of one account, WAD.
    function debtOf(uint256 scaled, uint256 index) internal pure returns (uint256) {
        unchecked {
            return FixedMath.divUp(scaled * index, WAD);
        }
    }

    /// @notice ⌊scaled·index⌋: debt of all accounts, WAD.
    function totalDebt(uint256 scaled, uint256 index) internal pure returns (uint256) {
        unchecked {
            return scaled * index / WAD;
        }
    }

    /// @notice ⌈debt/index⌉: what is stored for a debt.
    function scaledFor(uint256 debt, uint256 index) internal pure returns (uint256) {
        unchecked {
            return FixedMath.divUp(debt * WAD, index);
        }
    }
}
