// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Spot, Trend} from "../types/Observation.sol";

/// @title The part of the OracleHub that the protocol calls
/// @notice Validates prices. An asset is a small number (1 … 255) given at listing. Prices are WAD settlement units per unit.
/// Reading never reverts because of a feed: what is wrong is said in the flags of the `Spot`.
interface IOracleHub {
    /// @notice Asset `asset` is not listed.
    error UnknownAsset(uint256 asset);
    /// @notice No price has been published at or after `notBefore` (keeper: try again later).
    error NoPriceYet(uint256 asset, uint256 notBefore);
    /// @notice The hint does not lead to the first price at or after `notBefore` (keeper: search the round again).
    error NotFirstPrice(uint256 asset, uint256 notBefore, uint256 hint);

    /// @notice Folds the time since the last call into EMA and variance, stores the current price and returns both words.
    /// Anyone may call. An invalid price changes nothing.
    function observe(uint256 asset) external returns (Spot spot, Trend trend);

    /// @notice What `observe` would return now, without writing.
    function peek(uint256 asset) external view returns (Spot spot, Trend trend);

    /// @notice The only admissible price for an order whose price time is `notBefore`: the first one published at or after it.
    /// Never touches the EMA. For a Chainlink feed `hint` is empty (newest round) or `abi.encode(uint80 roundId)`; for Pyth it is
    /// `abi.encode(bytes[] updateData)` and `msg.value` pays Pyth's fee, the rest is returned.
    /// @return spot Price, publish time, band and the flags INVALID / UNCERTAIN of that price itself (bounds, zero, band), never of its age.
    function firstAfter(uint256 asset, uint256 notBefore, bytes calldata hint) external payable returns (Spot spot);

    /// @notice Seconds a market whose feed is invalid has been so (since the publish time of the last valid price); 0 when valid.
    function invalidFor(uint256 asset) external view returns (uint256);
}
