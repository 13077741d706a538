// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {IClearinghouseErrors} from "./interfaces/IClearinghouseErrors.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {ObservationLib, PriceFlags, Spot, Trend} from "./types/Observation.sol";

/// @title What the Lens and its views share
/// @notice A call goes through `Clearinghouse.simulate` back into the same function, which then runs on the Clearinghouse's storage with
/// the code that the Clearinghouse itself runs, and is undone by the revert that carries its result. There are no privileges in this:
/// `simulate` lets anybody do the same.
abstract contract LensBase is Ledger {
    address private immutable SELF;
    address public immutable CLEARINGHOUSE;

    uint256 private constant UNUSABLE = PriceFlags.INVALID | PriceFlags.DEVIATED | PriceFlags.DEVIATED_LONG;

    constructor(address clearinghouse) {
        SELF = address(this);
        CLEARINGHOUSE = clearinghouse;
    }

    /// @dev Sends the call round through `simulate`; inside, refuses while the lock is held.
    modifier inside() {
        if (address(this) == SELF) _forward();
        require(lockedBy_ == address(0), Locked());
        _;
    }

    /// @dev Never returns: hands back what `simulate` carried out, or its error.
    function _forward() private {
        _forwardTo(SELF);
    }

    /// @dev The same for code at `target`.
    function _forwardTo(address target) internal {
        (bool success, bytes memory result) = _simulate(CLEARINGHOUSE, target, msg.data);
        if (!success) TokenLib.bubble(result);
        assembly ("memory-safe") {
            return(add(result, 0x20), mload(result))
        }
    }

    /// @notice Runs `data` of this contract inside one more simulation and returns what it gave.
    function _attempt(bytes memory data) internal returns (bool success, bytes memory result) {
        return _simulate(address(this), SELF, data);
    }

    function _simulate(address where, address target, bytes memory data)
        private
        returns (bool success, bytes memory result)
    {
        (, bytes memory thrown) = where.call(abi.encodeCall(IClearinghouse.simulate, (target, data)));
        if (bytes4(thrown) != IClearinghouseErrors.Simulated.selector) TokenLib.bubble(thrown);
        assembly ("memory-safe") {
            // Drops the selector in place.
            let length := sub(mload(thrown), 4)
            thrown := add(thrown, 4)
            mstore(thrown, length)
        }
        return abi.decode(thrown, (bool, bytes));
    }

    // ── prices, overridable for stress ─────────────────────────────────────

    /// @dev Asks without writing, so that static calls work; an override set by `_override` replaces the price.
    function _observe(uint256 asset) internal virtual override returns (Spot spot, Trend trend) {
        (spot, trend) = HUB.peek(asset);
        uint256 price;
        uint256 slot = _overrideSlot(asset);
        assembly ("memory-safe") {
            price := tload(slot)
        }
        if (price != 0) {
            spot = ObservationLib.packSpot(price, 0, spot.publishTime(), spot.flags() & ~UNUSABLE, spot.bandPpm());
        }
    }

    function _override(uint256 asset, uint256 price) internal {
        uint256 slot = _overrideSlot(asset);
        assembly ("memory-safe") {
            tstore(slot, price)
        }
    }

    function _overrideSlot(uint256 asset) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("plimsoll.lens.override", asset)));
    }
}
