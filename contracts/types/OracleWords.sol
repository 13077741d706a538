// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

/// @notice What every read of an asset needs to know about its source, one word. All zero: not listed.
/// | bits      | field             | meaning |
/// |-----------|-------------------|---------|
/// | 0 – 159   | feed              | address of the feed (Chainlink) or of Pyth |
/// | 160 – 161 | kind              | `FeedKind` |
/// | 162 – 166 | decimals          | of the feed's answers |
/// | 167 – 184 | maxAge            | seconds |
/// | 185 – 201 | bandPpm           | 1e-6 |
/// | 202 – 218 | tau               | seconds |
/// | 219 – 235 | maxUncertaintyPpm | 1e-6 |
/// | 236       | hasSecondary      | a `SecondaryWord` is set |
/// | 237       | hasBounds         | the answer bounds are in a word of their own, else only `minSmall` binds |
/// | 238       | hasSequencer      | a sequencer uptime feed is set |
/// | 240 – 255 | minSmall          | answers at or below are invalid, the feed's units |
type FeedWord is uint256;

/// @notice The secondary source of an asset, one word.
/// | bits      | field            | meaning |
/// |-----------|------------------|---------|
/// | 0 – 159   | feed             | address of a Chainlink-style feed |
/// | 160 – 164 | decimals         | of its answers |
/// | 165 – 182 | maxAge           | seconds |
/// | 183 – 202 | maxDeviationPpm  | 1e-6 |
/// | 203 – 219 | deviationTimeout | seconds |
/// | 220 – 251 | deviatedSince    | time at which the two were first seen to differ, 0 when they agree |
type SecondaryWord is uint256;

/// @notice The stored state of an asset, one word. All zero: never priced.
/// | bits      | field    | meaning |
/// |-----------|----------|---------|
/// | 0 – 87    | price    | last valid price, WAD |
/// | 88 – 175  | ema      | WAD |
/// | 176 – 223 | variance | 1e-18 per second |
/// | 224 – 255 | time     | of the last observation with a valid price |
type StateWord is uint256;

using FeedWordLib for FeedWord global;
using SecondaryWordLib for SecondaryWord global;
using StateWordLib for StateWord global;

library FeedWordLib {
    uint256 private constant HAS_SECONDARY = 1 << 236;
    uint256 private constant HAS_BOUNDS = 1 << 237;
    uint256 private constant HAS_SEQUENCER = 1 << 238;

    function pack(
        address feed_,
        uint256 kind_,
        uint256 decimals_,
        uint256 maxAge_,
        uint256 bandPpm_,
        uint256 tau_,
        uint256 maxUncertaintyPpm_
    ) internal pure returns (FeedWord) {
        return FeedWord.wrap(
            uint256(uint160(feed_)) | (Cast.checkUint(kind_, 2) << 160) | (Cast.checkUint(decimals_, 5) << 162)
                | (Cast.checkUint(maxAge_, 18) << 167) | (Cast.checkUint(bandPpm_, 17) << 185)
                | (Cast.checkUint(tau_, 17) << 202) | (Cast.checkUint(maxUncertaintyPpm_, 17) << 219)
        );
    }

    /// @notice The word with the inline bound, for answers that no word of bounds limits.
    function withMinSmall(FeedWord w, uint256 minSmall_) internal pure returns (FeedWord) {
        return FeedWord.wrap(FeedWord.unwrap(w) | (Cast.checkUint(minSmall_, 16) << 240));
    }

    function withBounds(FeedWord w) internal pure returns (FeedWord) {
        return FeedWord.wrap(FeedWord.unwrap(w) | HAS_BOUNDS);
    }

    function withSecondary(FeedWord w) internal pure returns (FeedWord) {
        return FeedWord.wrap(FeedWord.unwrap(w) | HAS_SECONDARY);
    }

    function withSequencer(FeedWord w, bool on) internal pure returns (FeedWord) {
        uint256 cleared = FeedWord.unwrap(w) & ~HAS_SEQUENCER;
        return FeedWord.wrap(on ? cleared | HAS_SEQUENCER : cleared);
    }

    function feed(FeedWord w) internal pure returns (address) {
        return address(uint160(FeedWord.unwrap(w)));
    }

    function kind(FeedWord w) internal pure returns (uint256) {
        return (FeedWord.unwrap(w) >> 160) & 3;
    }

    function decimals(FeedWord w) internal pure returns (uint256) {
        return (FeedWord.unwrap(w) >> 162) & 0x1f;
    }

    function maxAge(FeedWord w) internal pure returns (uint256) {
        return (FeedWord.unwrap(w) >> 167) & 0x3ffff;
    }

    function bandPpm(FeedWord w) internal pure returns (uint256) {
        return (FeedWord.unwrap(w) >> 185) & 0x1ffff;
    }

    function tau(FeedWord w) internal pure returns (uint256) {
        return (FeedWord.unwrap(w) >> 202) & 0x1ffff;
    }

    function maxUncertaintyPpm(FeedWord w) internal pure returns (uint256) {
        return (FeedWord.unwrap(w) >> 219) & 0x1ffff;
    }

    function hasSecondary(FeedWord w) internal pure returns (bool) {
        return FeedWord.unwrap(w) & HAS_SECONDARY != 0;
    }

    function hasBounds(FeedWord w) internal pure returns (bool) {
        return FeedWord.unwrap(w) & HAS_BOUNDS != 0;
    }

    function hasSequencer(FeedWord w) internal pure returns (bool) {
        return FeedWord.unwrap(w) & HAS_SEQUENCER != 0;
    }

    function minSmall(FeedWord w) internal pure returns (uint256) {
        return FeedWord.unwrap(w) >> 240;
    }
}

library SecondaryWordLib {
    uint256 private constant SINCE_MASK = 0xffffffff << 220;

    function pack(
        address feed_,
        uint256 decimals_,
        uint256 maxAge_,
        uint256 maxDeviationPpm_,
        uint256 deviationTimeout_,
        uint256 deviatedSince_
    ) internal pure returns (SecondaryWord) {
        return SecondaryWord.wrap(
            uint256(uint160(feed_)) | (Cast.checkUint(decimals_, 5) << 160) | (Cast.checkUint(maxAge_, 18) << 165)
                | (Cast.checkUint(maxDeviationPpm_, 20) << 183) | (Cast.checkUint(deviationTimeout_, 17) << 203)
                | (Cast.checkUint(deviatedSince_, 32) << 220)
        );
    }

    function withDeviatedSince(SecondaryWord w, uint256 since) internal pure returns (SecondaryWord) {
        return SecondaryWord.wrap((SecondaryWord.unwrap(w) & ~SINCE_MASK) | (Cast.checkUint(since, 32) << 220));
    }

    function feed(SecondaryWord w) internal pure returns (address) {
        return address(uint160(SecondaryWord.unwrap(w)));
    }

    function decimals(SecondaryWord w) internal pure returns (uint256) {
        return (SecondaryWord.unwrap(w) >> 160) & 0x1f;
    }

    function maxAge(SecondaryWord w) internal pure returns (uint256) {
        return (SecondaryWord.unwrap(w) >> 165) & 0x3ffff;
    }

    function maxDeviationPpm(SecondaryWord w) internal pure returns (uint256) {
        return (SecondaryWord.unwrap(w) >> 183) & 0xfffff;
    }

    function deviationTimeout(SecondaryWord w) internal pure returns (uint256) {
        return (SecondaryWord.unwrap(w) >> 203) & 0x1ffff;
    }

    function deviatedSince(SecondaryWord w) internal pure returns (uint256) {
        return (SecondaryWord.unwrap(w) >> 220) & 0xffffffff;
    }
}

library StateWordLib {
    uint256 private constant MASK_88 = (1 << 88) - 1;
    uint256 private constant MASK_48 = (1 << 48) - 1;

    error StateOutOfRange(uint256 price, uint256 ema, uint256 variance, uint256 time);

    function pack(uint256 price_, uint256 ema_, uint256 variance_, uint256 time_) internal pure returns (StateWord) {
        require(
            ((price_ | ema_) >> 88) | (variance_ >> 48) | (time_ >> 32) == 0,
            StateOutOfRange(price_, ema_, variance_, time_)
        );
        return StateWord.wrap(price_ | (ema_ << 88) | (variance_ << 176) | (time_ << 224));
    }

    function price(StateWord w) internal pure returns (uint256) {
        return StateWord.unwrap(w) & MASK_88;
    }

    function ema(StateWord w) internal pure returns (uint256) {
        return (StateWord.unwrap(w) >> 88) & MASK_88;
    }

    function variance(StateWord w) internal pure returns (uint256) {
        return (StateWord.unwrap(w) >> 176) & MASK_48;
    }

    function time(StateWord w) internal pure returns (uint256) {
        return StateWord.unwrap(w) >> 224;
    }
}
