// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PriceFlags} from "../types/Observation.sol";

/// @notice What a caller is about to do with a price.
enum Action {
    /// raises risk, or takes value out
    IncreaseRisk,
    /// closes or shrinks a position
    ReduceRisk,
    /// liquidates an account, or sells its collateral
    Liquidate,
    /// strikes an epoch of the liquidity pool
    Strike
}

/// @title Which flags of a price an action tolerates
/// @notice | flag \ action                     | IncreaseRisk | ReduceRisk | Liquidate | Strike |
/// |-----------------------------------|--------------|------------|-----------|--------|
/// | INVALID                           | refuse       | refuse     | bound (1) | refuse |
/// | UNCERTAIN                         | refuse       | allow      | allow     | refuse |
/// | DEVIATED (with or without _LONG)  | refuse       | worse (2)  | both (3)  | refuse |
/// | SEQUENCER_DOWN                    | refuse       | refuse     | deep (4)  | refuse |
/// | SEQUENCER_GRACE                   | refuse       | allow      | deep (4)  | refuse |
///
/// The caller must treat what is tolerated under a condition:
/// (1) INVALID: the leg counts at `price·(1 ± boundPpm)`, whichever favours the account, has no maintenance requirement, and
///     is neither closed nor sold.
/// (2) DEVIATED: the reduction happens at the worse, for the account, of `price` and `other`.
/// (3) DEVIATED without DEVIATED_LONG: the account must be liquidatable at `price` and at `other`, and closes at the better
///     for it. With DEVIATED_LONG `price` alone decides.
/// (4) SEQUENCER_DOWN, SEQUENCER_GRACE: `tolerates` answers false. The one exception, `equity < graceHealth·MM`, is the
///     caller's to test, because it needs the account.
library PriceMatrix {
    uint256 private constant REDUCE_REFUSES = PriceFlags.INVALID | PriceFlags.SEQUENCER_DOWN;
    uint256 private constant LIQUIDATE_REFUSES = PriceFlags.SEQUENCER_DOWN | PriceFlags.SEQUENCER_GRACE;

    /// @notice Whether `action` may go ahead with a price that carries `flags`, under the conditions of the table.
    function tolerates(Action action, uint256 flags) internal pure returns (bool) {
        return flags & refused(action) == 0;
    }

    /// @notice The flags that `action` refuses, as a mask.
    function refused(Action action) internal pure returns (uint256) {
        if (action == Action.ReduceRisk) return REDUCE_REFUSES;
        if (action == Action.Liquidate) return LIQUIDATE_REFUSES;
        return type(uint256).max;
    }
}
