// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EmaMath} from "../../libraries/EmaMath.sol";
import {Action, PriceMatrix} from "../../libraries/PriceMatrix.sol";
import {ChainlinkFeed} from "../../oracles/ChainlinkFeed.sol";
import {PythFeed} from "../../oracles/PythFeed.sol";
import {
    FeedWord,
    FeedWordLib,
    SecondaryWord,
    SecondaryWordLib,
    StateWord,
    StateWordLib
} from "../../types/OracleWords.sol";

/// @title Entry points to the pure functions of the oracle, for tests
contract OracleMathHarness {
    function oneMinusExp(uint256 elapsed, uint256 tau) external pure returns (uint256) {
        return EmaMath.oneMinusExp(elapsed, tau);
    }

    function foldEma(uint256 ema, uint256 previous, uint256 weight) external pure returns (uint256) {
        return EmaMath.foldEma(ema, previous, weight);
    }

    function squaredReturn(uint256 price, uint256 previous) external pure returns (uint256) {
        return EmaMath.squaredReturn(price, previous);
    }

    function foldVariance(uint256 variance, uint256 squared, uint256 weight, uint256 elapsed)
        external
        pure
        returns (uint256)
    {
        return EmaMath.foldVariance(variance, squared, weight, elapsed);
    }

    function boundPpm(uint256 age, uint256 basePpm, uint256 perHourPpm, uint256 capPpm)
        external
        pure
        returns (uint256)
    {
        return EmaMath.boundPpm(age, basePpm, perHourPpm, capPpm);
    }

    function tolerates(Action action, uint256 flags) external pure returns (bool) {
        return PriceMatrix.tolerates(action, flags);
    }

    function chainlinkToWad(int256 answer, uint256 decimals, uint256 least, uint256 largest)
        external
        pure
        returns (uint256)
    {
        return ChainlinkFeed.toWad(answer, decimals, least, largest);
    }

    function pythConvert(int256 rawPrice, uint256 conf, int256 expo) external pure returns (uint256, uint256) {
        return PythFeed.convert(rawPrice, conf, expo);
    }

    /// @notice Every field of a feed word, packed and unpacked.
    /// @param flags 1: has a secondary, 2: has bounds, 4: has a sequencer
    function feedRoundTrip(address feed, uint256[6] calldata fields, uint256 flags, uint256 minSmall)
        external
        pure
        returns (address, uint256[6] memory, uint256, uint256)
    {
        FeedWord w = FeedWordLib.pack(feed, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]);
        if (flags & 1 != 0) w = w.withSecondary();
        if (flags & 2 != 0) w = w.withBounds();
        w = w.withSequencer(true).withSequencer(flags & 4 != 0).withMinSmall(minSmall);
        uint256 found = (w.hasSecondary() ? 1 : 0) | (w.hasBounds() ? 2 : 0) | (w.hasSequencer() ? 4 : 0);
        return (
            w.feed(),
            [w.kind(), w.decimals(), w.maxAge(), w.bandPpm(), w.tau(), w.maxUncertaintyPpm()],
            found,
            w.minSmall()
        );
    }

    /// @notice Every field of a secondary word, packed with another time, the time replaced, unpacked.
    function secondaryRoundTrip(address feed, uint256[5] calldata fields)
        external
        pure
        returns (address, uint256[5] memory)
    {
        SecondaryWord w = SecondaryWordLib.pack(
                feed, fields[0], fields[1], fields[2], fields[3], ~fields[4] & 0xffffffff
            ).withDeviatedSince(fields[4]);
        return (w.feed(), [w.decimals(), w.maxAge(), w.maxDeviationPpm(), w.deviationTimeout(), w.deviatedSince()]);
    }

    function stateRoundTrip(uint256[4] calldata fields) external pure returns (uint256[4] memory) {
        StateWord w = StateWordLib.pack(fields[0], fields[1], fields[2], fields[3]);
        return [w.price(), w.ema(), w.variance(), w.time()];
    }
}
