// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Several calls in one transaction, with what each answered and cost
contract MultiRead {
    /// @return ok whether each call succeeded
    /// @return outputs what each call returned, or reverted with
    /// @return gas what each call used, the call itself included
    function read(address[] calldata targets, bytes[] calldata data)
        external
        payable
        returns (bool[] memory ok, bytes[] memory outputs, uint256[] memory gas)
    {
        ok = new bool[](data.length);
        outputs = new bytes[](data.length);
        gas = new uint256[](data.length);
        for (uint256 i = 0; i < data.length; ++i) {
            uint256 before = gasleft();
            (ok[i], outputs[i]) = targets[i].call(data[i]);
            gas[i] = before - gasleft();
        }
    }
}
