// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IOracleHub} from "../interfaces/IOracleHub.sol";
import {ObservationLib, Spot} from "../types/Observation.sol";

/// @title Admissible prices from a list that a test writes
/// @notice `firstAfter` finds the first price of the list at or after `notBefore` if its hint is that price's number, or empty; an
/// asset can also be made to fail. It takes `updateFee` out of the value that came with the call and returns the rest.
contract MockOracleHub {
    enum Mode {
        Normal,
        /// reverts with `error`
        Revert,
        /// burns all its gas
        Burn
    }

    error UpdateFeeMissing(uint256 value, uint256 required);
    error RefundRefused(address to);

    Mode public mode;
    bytes public error_;
    uint256 public updateFee;
    mapping(uint256 asset => Spot[]) public prices;

    function push(uint256 asset, uint256 price, uint256 publishTime, uint256 flags) external {
        prices[asset].push(ObservationLib.packSpot(price, 0, publishTime, flags, 0));
    }

    function setMode(Mode mode_, bytes calldata data) external {
        (mode, error_) = (mode_, data);
    }

    function setUpdateFee(uint256 fee) external {
        updateFee = fee;
    }

    function firstAfter(uint256 asset, uint256 notBefore, bytes calldata hint) external payable returns (Spot) {
        if (mode == Mode.Burn) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (mode == Mode.Revert) {
            bytes memory data = error_;
            assembly ("memory-safe") {
                revert(add(data, 32), mload(data))
            }
        }
        require(msg.value >= updateFee, UpdateFeeMissing(msg.value, updateFee));
        Spot[] storage list = prices[asset];
        uint256 i;
        while (i < list.length && list[i].publishTime() < notBefore) ++i;
        require(i < list.length && list[i].publishTime() <= block.timestamp, IOracleHub.NoPriceYet(asset, notBefore));
        uint256 hinted = hint.length == 0 ? i : uint256(bytes32(hint));
        require(hinted == i, IOracleHub.NotFirstPrice(asset, notBefore, hinted));
        if (msg.value > updateFee) {
            (bool ok,) = msg.sender.call{value: msg.value - updateFee}("");
            require(ok, RefundRefused(msg.sender));
        }
        return list[i];
    }
}
