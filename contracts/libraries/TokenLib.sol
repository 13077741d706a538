// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IClearinghouseErrors} from "../interfaces/IClearinghouseErrors.sol";

/// @notice Token movements whose amount is checked, and errors that bubble.
library TokenLib {
    /// @notice Pulls `amount` from `from` and requires that exactly this much arrived.
    function pull(address token, address from, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        _call(token, abi.encodeCall(IERC20.transferFrom, (from, address(this), amount)));
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        require(received == amount, IClearinghouseErrors.UnexpectedAmount(token, amount, received));
    }

    /// @notice Sends `amount` to `to`.
    function push(address token, address to, uint256 amount) internal {
        _call(token, abi.encodeCall(IERC20.transfer, (to, amount)));
    }

    /// @dev Accepts no return value or `true`; a token's own error bubbles.
    function _call(address token, bytes memory data) private {
        (bool success, bytes memory result) = token.call(data);
        if (!success && result.length != 0) bubble(result);
        bool accepted = success && (result.length == 0 ? token.code.length != 0 : abi.decode(result, (bool)));
        require(accepted, IClearinghouseErrors.TransferFailed(token));
    }

    /// @notice Reverts with `result`.
    function bubble(bytes memory result) internal pure {
        assembly ("memory-safe") {
            revert(add(result, 0x20), mload(result))
        }
    }
}
