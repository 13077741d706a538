// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPyth} from "@pythnetwork/pyth-sdk-solidity/IPyth.sol";
import {IAssetConfig} from "../interfaces/IAssetConfig.sol";
import {IOracleHub} from "../interfaces/IOracleHub.sol";
import {ObservationLib} from "../types/Observation.sol";
import {FeedCall} from "./FeedCall.sol";

/// @title Reading Pyth
/// @notice A Pyth price is `price·10^expo ± conf·10^expo`. It is converted with its own exponent: exactly when expo ≥ −18, else
/// rounded down by less than one wei. The band is `conf/price` of the raw integers, rounded up, so it does not depend on expo.
library PythFeed {
    uint256 private constant PPM = 1e6;
    uint256 private constant MAX_TIME = (1 << 32) - 1;
    int256 private constant LEAST_EXPO = -48;
    int256 private constant LARGEST_EXPO = 12;
    /// PriceFeed[] with one entry: offset, length, id, and price, conf, expo, time of the price and of Pyth's own average.
    uint256 private constant PARSED_SIZE = 352;

    /// @notice The price that Pyth stores now, of whatever age.
    /// @return price WAD, 0 when there is none or it is not a valid price
    /// @return publishTime seconds, means nothing when price is 0
    /// @return bandPpm conf/price, 1e-6, rounded up, at most 1e6
    function latest(address pyth, bytes32 id)
        internal
        view
        returns (uint256 price, uint256 publishTime, uint256 bandPpm)
    {
        (bool ok, uint256 rawPrice, uint256 conf, uint256 expo, uint256 time) =
            FeedCall.fourWords(pyth, IPyth.getPriceUnsafe.selector, uint256(id));
        if (!ok || time == 0 || time > MAX_TIME) return (0, 0, 0);
        publishTime = time;
        (price, bandPpm) = convert(int256(rawPrice), conf, int256(expo));
    }

    /// @notice The price and band of a raw Pyth price; price 0 when it is zero, negative, garbage, or above MAX_PRICE.
    function convert(int256 rawPrice, uint256 conf, int256 expo)
        internal
        pure
        returns (uint256 price, uint256 bandPpm)
    {
        if (
            rawPrice <= 0 || rawPrice > type(int64).max || conf > type(uint64).max || expo < LEAST_EXPO
                || expo > LARGEST_EXPO
        ) return (0, 0);
        uint256 units = uint256(rawPrice);
        price = expo >= -18 ? units * 10 ** uint256(18 + expo) : units / 10 ** uint256(-18 - expo);
        if (price > ObservationLib.MAX_PRICE) return (0, 0);
        bandPpm = (conf * PPM + units - 1) / units;
        if (bandPpm > PPM) bandPpm = PPM;
    }

    /// @notice The first price published at or after `notBefore`: `previous publish time < notBefore ≤ publish time`, which Pyth
    /// proves from the signed update itself.
    /// @dev Both calls pass `hint` on as it is (it already is the encoded array) instead of decoding and encoding it again;
    /// what is malformed makes Pyth revert and ends as `NotFirstPrice`.
    /// @param hint `abi.encode(bytes[] updateData)`
    /// @return price WAD, 0 when the price itself is invalid
    /// @return publishTime seconds, `notBefore` … now
    /// @return bandPpm as `latest`
    /// @return fee wei that Pyth took out of `value`
    /// @custom:reverts NotFirstPrice, UpdateFeeMissing
    function firstAfter(address pyth, bytes32 id, uint256 asset, uint256 notBefore, bytes calldata hint, uint256 value)
        internal
        returns (uint256 price, uint256 publishTime, uint256 bandPpm, uint256 fee)
    {
        require(hint.length >= 64 && uint256(bytes32(hint[:32])) == 32, IOracleHub.NotFirstPrice(asset, notBefore, 0));
        bool ok;
        bytes memory answer;
        (ok, answer) = pyth.staticcall(bytes.concat(bytes4(keccak256("getUpdateFee(bytes[])")), hint));
        require(ok && answer.length == 32, IOracleHub.NotFirstPrice(asset, notBefore, 0));
        fee = uint256(bytes32(answer));
        require(value >= fee, IAssetConfig.UpdateFeeMissing(value, fee));
        // Head: offsets of the updates (after the ids) and of the ids, earliest and latest time; then one id; then the updates.
        (ok, answer) = pyth.call{value: fee}(
            bytes.concat(
                IPyth.parsePriceFeedUpdatesUnique.selector,
                abi.encode(uint256(192), uint256(128), notBefore, block.timestamp, uint256(1), id),
                hint[32:]
            )
        );
        require(ok && answer.length >= PARSED_SIZE, IOracleHub.NotFirstPrice(asset, notBefore, 0));
        bytes32 answeredId;
        int256 rawPrice;
        uint256 conf;
        int256 expo;
        (,, answeredId, rawPrice, conf, expo, publishTime) =
            abi.decode(answer, (uint256, uint256, bytes32, int256, uint256, int256, uint256));
        require(
            answeredId == id && publishTime >= notBefore && publishTime <= block.timestamp,
            IOracleHub.NotFirstPrice(asset, notBefore, publishTime)
        );
        (price, bandPpm) = convert(rawPrice, conf, expo);
    }
}
