// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The newest round of a Chainlink feed as this transaction read it, one word of transient storage. All zero: not read.
/// | bits      | field         | meaning |
/// |-----------|---------------|---------|
/// | 0 – 87    | price         | WAD, 0 when the answer is not a valid price or the feed did not answer |
/// | 88 – 119  | updatedAt     | seconds, 0 when the feed did not answer with a complete round |
/// | 120 – 151 | previousTime  | time of the complete round before it, 0 when there is none |
/// | 152       | previousKnown | `previousTime` has been read |
/// | 153       | seen          | the feed has been read |
/// | 160 – 239 | roundId       | |
type RoundWord is uint256;

using RoundCache for RoundWord global;

library RoundCache {
    uint256 private constant PREVIOUS_KNOWN = 1 << 152;
    uint256 private constant SEEN = 1 << 153;
    uint256 private constant MASK_88 = (1 << 88) - 1;
    uint256 private constant MASK_32 = (1 << 32) - 1;
    /// keccak256("plimsoll.oracle.rounds"), far from the slots that the compiler gives to transient variables.
    uint256 private constant BASE = 0x6a9cc7e62e328dd9a0db9b3c6ab0b054b3ad4766c612a48bf227c23321ac6025;

    /// @param roundId_ below 2^80
    /// @param price_ below 2^88
    /// @param updatedAt_ below 2^32
    function pack(uint256 roundId_, uint256 price_, uint256 updatedAt_) internal pure returns (RoundWord) {
        return RoundWord.wrap(price_ | (updatedAt_ << 88) | SEEN | (roundId_ << 160));
    }

    /// @param time below 2^32
    function withPrevious(RoundWord w, uint256 time) internal pure returns (RoundWord) {
        return RoundWord.wrap(RoundWord.unwrap(w) | (time << 120) | PREVIOUS_KNOWN);
    }

    function price(RoundWord w) internal pure returns (uint256) {
        return RoundWord.unwrap(w) & MASK_88;
    }

    function updatedAt(RoundWord w) internal pure returns (uint256) {
        return (RoundWord.unwrap(w) >> 88) & MASK_32;
    }

    function previousTime(RoundWord w) internal pure returns (uint256) {
        return (RoundWord.unwrap(w) >> 120) & MASK_32;
    }

    function previousKnown(RoundWord w) internal pure returns (bool) {
        return RoundWord.unwrap(w) & PREVIOUS_KNOWN != 0;
    }

    function seen(RoundWord w) internal pure returns (bool) {
        return RoundWord.unwrap(w) != 0;
    }

    function roundId(RoundWord w) internal pure returns (uint256) {
        return RoundWord.unwrap(w) >> 160;
    }

    /// @dev Equivalent to reading a `transient mapping(uint256 => RoundWord)`, which the language does not have.
    function load(uint256 asset) internal view returns (RoundWord w) {
        uint256 slot = BASE ^ asset;
        assembly ("memory-safe") {
            w := tload(slot)
        }
    }

    /// @dev Equivalent to writing that mapping.
    function store(uint256 asset, RoundWord w) internal {
        uint256 slot = BASE ^ asset;
        assembly ("memory-safe") {
            tstore(slot, w)
        }
    }
}
