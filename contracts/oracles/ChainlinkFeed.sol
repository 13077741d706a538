// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AggregatorV3Interface} from "@chainlink/contracts/src/v0.8/interfaces/AggregatorV3Interface.sol";
import {ObservationLib} from "../types/Observation.sol";
import {FeedCall} from "./FeedCall.sol";

/// @notice What Chainlink's proxies and aggregators offer beside `AggregatorV3Interface`.
interface IPhasedFeed {
    function phaseId() external view returns (uint16);
    function aggregator() external view returns (address);
    function minAnswer() external view returns (int192);
    function maxAnswer() external view returns (int192);
}

/// @title Reading a Chainlink-style feed
/// @notice A round id is `phase << 64 | n`: the proxy's phase (0 for a feed without a proxy) and the round n = 1, 2, … of that
/// phase's aggregator. A round is complete when its time is not 0 and it was answered in itself; others are skipped.
/// Everything is read through the proxy: aggregators refuse calls of strangers.
library ChainlinkFeed {
    uint256 internal constant MAX_DECIMALS = 18;
    uint256 private constant MASK_64 = (1 << 64) - 1;
    uint256 private constant MAX_ROUND = (1 << 80) - 1;
    uint256 private constant MAX_TIME = (1 << 32) - 1;
    /// Incomplete rounds in a row that are stepped over.
    uint256 private constant MAX_SKIPPED = 8;

    /// @notice The newest round.
    /// @return ok false when the feed does not answer or the round is incomplete; the rest means nothing then
    function latest(address feed) internal view returns (bool ok, uint256 roundId, int256 answer, uint256 updatedAt) {
        uint256 rawAnswer;
        uint256 answeredIn;
        (ok, roundId, rawAnswer,, updatedAt, answeredIn) =
            FeedCall.fiveWords(feed, AggregatorV3Interface.latestRoundData.selector);
        ok = ok && _complete(roundId, updatedAt, answeredIn);
        answer = int256(rawAnswer);
    }

    /// @notice The round `roundId`, as `latest`.
    function round(address feed, uint256 roundId) internal view returns (bool ok, int256 answer, uint256 updatedAt) {
        uint256 answeredId;
        uint256 rawAnswer;
        uint256 answeredIn;
        (ok, answeredId, rawAnswer,, updatedAt, answeredIn) =
            FeedCall.fiveWords(feed, AggregatorV3Interface.getRoundData.selector, roundId);
        ok = ok && answeredId == roundId && _complete(roundId, updatedAt, answeredIn);
        answer = int256(rawAnswer);
    }

    /// @notice The WAD price of an answer, exact; 0 when it is not positive, at or beyond a bound, or above MAX_PRICE.
    /// @param decimals of the feed, at most MAX_DECIMALS
    /// @param minAnswer answers at or below are invalid
    /// @param maxAnswer answers at or above are invalid
    function toWad(int256 answer, uint256 decimals, uint256 minAnswer, uint256 maxAnswer)
        internal
        pure
        returns (uint256)
    {
        if (answer <= 0) return 0;
        uint256 units = uint256(answer);
        if (units <= minAnswer || units >= maxAnswer || units > ObservationLib.MAX_PRICE) return 0;
        // Widths: units < 2^87, 10^18 < 2^60.
        unchecked {
            uint256 price = units * 10 ** (MAX_DECIMALS - decimals);
            return price > ObservationLib.MAX_PRICE ? 0 : price;
        }
    }

    /// @notice Whether `roundId` is a complete round, published at or after `notBefore`, in the phase that decides: no later phase
    /// has a round before `notBefore`. Phases overlap in time, so without this two rounds could be admissible at once.
    /// @dev It is the first one if `previousTime` is before `notBefore` too.
    /// @param roundId any word
    function admissible(address feed, uint256 roundId, uint256 notBefore)
        internal
        view
        returns (bool ok, int256 answer, uint256 updatedAt)
    {
        if (roundId > MAX_ROUND) return (false, 0, 0);
        (ok, answer, updatedAt) = round(feed, roundId);
        ok = ok && updatedAt >= notBefore && updatedAt <= block.timestamp;
        ok = ok && _laterPhasesBegin(feed, roundId >> 64, notBefore);
    }

    /// @notice The time of the complete round before `roundId`; 0 when there is none.
    /// @param claimed for the first round of a phase: the last round of the nearest phase before that has any, checked; else
    /// not used
    /// @return ok false when `claimed` is wrong, or too many rounds in a row are incomplete
    function previousTime(address feed, uint256 roundId, uint256 claimed)
        internal
        view
        returns (bool ok, uint256 updatedAt)
    {
        uint256 phase = roundId >> 64;
        uint256 n = roundId & MASK_64;
        if (n <= 1) {
            uint256 earlier = _earlierPhase(feed, phase);
            if (earlier == 0) return (true, 0);
            (phase, n) = (claimed >> 64, claimed & MASK_64);
            if (phase != earlier || n == 0 || n == MASK_64) return (false, 0);
            if (_timeOf(feed, claimed) == 0 || _timeOf(feed, claimed + 1) != 0) return (false, 0);
            ++n;
        }
        for (uint256 steps = 0; steps < MAX_SKIPPED && n > 1; ++steps) {
            --n;
            (ok,, updatedAt) = round(feed, phase << 64 | n);
            if (ok) return (true, updatedAt);
        }
        return (n == 1 && _earlierPhase(feed, phase) == 0, 0);
    }

    /// @notice Finds the round of the first price published at or after `notBefore`, by binary search; for calls from outside,
    /// because it reads many rounds.
    /// @return roundId the admissible round, 0 when there is none yet
    /// @return previousRoundId the round before it, 0 when there is none
    function search(address feed, uint256 notBefore) internal view returns (uint256 roundId, uint256 previousRoundId) {
        (bool ok, uint256 newest,,,,) = FeedCall.fiveWords(feed, AggregatorV3Interface.latestRoundData.selector);
        if (!ok || newest > MAX_ROUND) return (0, 0);
        uint256 phase = newest >> 64;
        uint256 last = newest & MASK_64;
        uint256 earlier = _earlierPhase(feed, phase);
        while (earlier != 0 && _timeOf(feed, phase << 64 | 1) >= notBefore) {
            uint256 lastOfEarlier = _lastRound(feed, earlier);
            if (_timeAtOrBelow(feed, earlier, lastOfEarlier) < notBefore) {
                previousRoundId = earlier << 64 | lastOfEarlier;
                break;
            }
            (phase, last) = (earlier, lastOfEarlier);
            earlier = _earlierPhase(feed, phase);
        }
        uint256 low = 1;
        uint256 high = last + 1;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_timeAtOrBelow(feed, phase, middle) >= notBefore) high = middle;
            else low = middle + 1;
        }
        for (; low <= last; ++low) {
            roundId = phase << 64 | low;
            uint256 updatedAt;
            (ok,, updatedAt) = round(feed, roundId);
            if (ok && updatedAt >= notBefore) return (roundId, low > 1 ? roundId - 1 : previousRoundId);
        }
        return (0, 0);
    }

    /// @dev Whether every phase after `phase` begins at or after `notBefore` (or has no rounds).
    function _laterPhasesBegin(address feed, uint256 phase, uint256 notBefore) private view returns (bool) {
        if (phase == 0) return true;
        (bool ok, uint256 current) = FeedCall.word(feed, IPhasedFeed.phaseId.selector);
        if (!ok || current > type(uint16).max || phase > current) return false;
        for (uint256 later = phase + 1; later <= current; ++later) {
            uint256 begins = _timeOf(feed, later << 64 | 1);
            if (begins != 0 && begins < notBefore) return false;
        }
        return true;
    }

    /// @dev The nearest phase before `phase` that has rounds, 0 when none has.
    function _earlierPhase(address feed, uint256 phase) private view returns (uint256) {
        while (phase > 1) {
            --phase;
            if (_timeOf(feed, phase << 64 | 1) != 0) return phase;
        }
        return 0;
    }

    /// @dev The last round of a phase that has rounds.
    function _lastRound(address feed, uint256 phase) private view returns (uint256) {
        uint256 step = 1;
        while (_timeOf(feed, phase << 64 | (1 + step)) != 0) step *= 2;
        uint256 low = 1 + step / 2;
        uint256 high = 1 + step;
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (_timeOf(feed, phase << 64 | middle) != 0) low = middle;
            else high = middle;
        }
        return low;
    }

    /// @dev The time of round n of a phase, or of the nearest one below that has a time; 0 when none is near.
    function _timeAtOrBelow(address feed, uint256 phase, uint256 n) private view returns (uint256 time) {
        for (uint256 steps = 0; steps <= MAX_SKIPPED && n > 0 && time == 0; ++steps) {
            time = _timeOf(feed, phase << 64 | n);
            --n;
        }
    }

    /// @dev The time of a round, complete or not; 0 when there is no such round.
    function _timeOf(address feed, uint256 roundId) private view returns (uint256) {
        (bool ok, uint256 answeredId,,, uint256 updatedAt,) =
            FeedCall.fiveWords(feed, AggregatorV3Interface.getRoundData.selector, roundId);
        return ok && answeredId == roundId && updatedAt <= MAX_TIME ? updatedAt : 0;
    }

    function _complete(uint256 roundId, uint256 updatedAt, uint256 answeredIn) private pure returns (bool) {
        return roundId <= MAX_ROUND && updatedAt != 0 && updatedAt <= MAX_TIME && answeredIn >= roundId;
    }
}
