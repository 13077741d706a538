// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Static calls to feeds that cannot revert the caller
/// @notice A feed that reverts, burns its gas, has no code or answers too little gives `ok = false`. A feed never gets more than
/// FEED_GAS, and its answer is read only as far as it is needed. A call that failed although the feed may have had less than
/// FEED_GAS reverts as a whole, so nobody can make a good feed look bad by sending little gas.
library FeedCall {
    /// Enough for a proxy with an aggregator behind it (17.5k cold) or a stored Pyth price, with room to spare.
    uint256 internal constant FEED_GAS = 100_000;
    /// EIP-150 keeps 1/64 of the gas; 5,000 covers what the call itself costs (at most 2,600) and the steps before it.
    uint256 internal constant GAS_NEEDED = FEED_GAS * 64 / 63 + 5000;

    /// @notice A feed call failed with less gas than it is entitled to; send more.
    error FeedNeedsMoreGas(uint256 available, uint256 required);

    /// @notice The first word of `target.selector()`.
    function word(address target, bytes4 selector) internal view returns (bool ok, uint256 value) {
        (ok, value,,,,) = _call(target, selector, 0, 4, 32);
    }

    /// @notice The five words of `target.selector()`.
    function fiveWords(address target, bytes4 selector)
        internal
        view
        returns (bool ok, uint256 a, uint256 b, uint256 c, uint256 d, uint256 e)
    {
        return _call(target, selector, 0, 4, 160);
    }

    /// @notice The five words of `target.selector(argument)`.
    function fiveWords(address target, bytes4 selector, uint256 argument)
        internal
        view
        returns (bool ok, uint256 a, uint256 b, uint256 c, uint256 d, uint256 e)
    {
        return _call(target, selector, argument, 36, 160);
    }

    /// @notice The four words of `target.selector(argument)`.
    function fourWords(address target, bytes4 selector, uint256 argument)
        internal
        view
        returns (bool ok, uint256 a, uint256 b, uint256 c, uint256 d)
    {
        (ok, a, b, c, d,) = _call(target, selector, argument, 36, 128);
    }

    /// @dev Equivalent to `target.staticcall{gas: FEED_GAS}(abi.encodeWithSelector(selector, argument))` and decoding at most
    /// five words, without copying the whole answer: a long one would cost the caller memory. The words mean nothing when
    /// `ok` is false.
    function _call(address target, bytes4 selector, uint256 argument, uint256 inputSize, uint256 answerSize)
        private
        view
        returns (bool ok, uint256 a, uint256 b, uint256 c, uint256 d, uint256 e)
    {
        uint256 feedGas = FEED_GAS;
        uint256 available = gasleft();
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, selector)
            mstore(add(free, 4), argument)
            ok := staticcall(feedGas, target, free, inputSize, free, 160)
            a := mload(free)
            b := mload(add(free, 32))
            c := mload(add(free, 64))
            d := mload(add(free, 96))
            e := mload(add(free, 128))
        }
        if (ok) {
            uint256 answered;
            assembly ("memory-safe") {
                answered := returndatasize()
            }
            return (answered >= answerSize, a, b, c, d, e);
        }
        require(available >= GAS_NEEDED, FeedNeedsMoreGas(available, GAS_NEEDED));
    }
}
