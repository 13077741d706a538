// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAssetConfig} from "./interfaces/IAssetConfig.sol";
import {IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {AccountId} from "./types/Ids.sol";

/// @title A price update and the liquidations that it makes possible, in one transaction
/// @notice For accounts that are healthy at the price on chain and below the line at one that Pyth has published: whoever brings the price
/// is also the one who acts on it. It has no rights, holds nothing between calls, and anyone may call it.
contract KeeperRelay {
    /// @notice No account of the list was liquidatable at the new prices; the update is undone with everything else.
    error NothingLiquidated();
    /// @notice The rest of the ether could not be returned to the caller.
    error RefundRefused(address to, uint256 amount);

    /// @dev `LiquidationResult`: 1 partial, 2 full, 3 sale started, 4 bad debt.
    uint256 private constant FIRST_ACTED = 1;
    uint256 private constant LAST_ACTED = 4;

    IAssetConfig public immutable HUB;
    IClearinghouse public immutable CLEARINGHOUSE;

    constructor(IAssetConfig hub, IClearinghouse clearinghouse) {
        HUB = hub;
        CLEARINGHOUSE = clearinghouse;
    }

    /// @notice Ether comes from the hub only, which returns what Pyth did not take.
    receive() external payable {}

    /// @notice Hands `updates` to Pyth, pays its fee out of the value sent, liquidates `accounts`, and returns the rest of the value.
    /// @param keeper account that is rewarded, see `IClearinghouse.liquidate`
    /// @return results one `LiquidationResult` per account
    /// @custom:reverts NothingLiquidated when nothing was done about any account
    /// @custom:reverts UpdateFeeMissing when the value does not cover Pyth's fee
    function updateAndLiquidate(bytes[] calldata updates, AccountId[] calldata accounts, AccountId keeper)
        external
        payable
        returns (uint256[] memory results)
    {
        HUB.updatePyth{value: msg.value}(updates);
        results = CLEARINGHOUSE.liquidate(accounts, keeper);
        require(_acted(results), NothingLiquidated());
        uint256 left = address(this).balance;
        if (left == 0) return results;
        (bool success,) = msg.sender.call{value: left}("");
        require(success, RefundRefused(msg.sender, left));
    }

    function _acted(uint256[] memory results) private pure returns (bool) {
        for (uint256 i; i < results.length; ++i) {
            if (results[i] >= FIRST_ACTED && results[i] <= LAST_ACTED) return true;
        }
        return false;
    }
}
