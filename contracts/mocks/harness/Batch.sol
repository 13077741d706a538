// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What one call of a batch gave: its return data, or its revert data.
struct Outcome {
    bool ok;
    bytes data;
}

/// @notice Many calls of a contract's own functions in one; one that reverts does not stop the rest.
abstract contract Batch {
    function many(bytes[] calldata calls) external view returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (outcomes[i].ok, outcomes[i].data) = address(this).staticcall(calls[i]);
        }
    }
}
