// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MockPyth} from "@pythnetwork/pyth-sdk-solidity/MockPyth.sol";
import {PythStructs} from "@pythnetwork/pyth-sdk-solidity/PythStructs.sol";

/// @title The SDK's own mock of Pyth, as it is
contract SdkMockPyth is MockPyth {
    constructor(uint256 validTimePeriod, uint256 singleUpdateFee) MockPyth(validTimePeriod, singleUpdateFee) {}
}

/// @title The SDK's mock with the uniqueness that real Pyth proves
/// @notice The mock's `parsePriceFeedUpdatesUnique` does not look at the previous publish time, although its
/// `parsePriceFeedUpdatesWithConfig` can. This contract stands in front of the mock, passes everything on, and answers that one
/// function with the check switched on.
contract StrictPyth {
    SdkMockPyth public immutable sdk;

    constructor(SdkMockPyth sdk_) {
        sdk = sdk_;
    }

    function parsePriceFeedUpdatesUnique(
        bytes[] calldata updateData,
        bytes32[] calldata priceIds,
        uint64 minPublishTime,
        uint64 maxPublishTime
    ) external payable returns (PythStructs.PriceFeed[] memory feeds) {
        (feeds,) = sdk.parsePriceFeedUpdatesWithConfig{value: msg.value}(
            updateData, priceIds, minPublishTime, maxPublishTime, true, true, false
        );
    }

    receive() external payable {}

    fallback(bytes calldata input) external payable returns (bytes memory) {
        (bool ok, bytes memory output) = address(sdk).call{value: msg.value}(input);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(output, 32), mload(output))
            }
        }
        return output;
    }
}
