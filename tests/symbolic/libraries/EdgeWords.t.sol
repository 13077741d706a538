// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    MarginWord,
    PoolLiquidityWord,
    PoolRiskWord,
    PoolSettlementWord,
    field,
    place
} from "../../../contracts/types/ConfigWords.sol";
import {
    FeedWord,
    FeedWordLib,
    SecondaryWord,
    SecondaryWordLib,
    StateWord,
    StateWordLib
} from "../../../contracts/types/OracleWords.sol";
import {
    OrderWord,
    OrderWordLib,
    QueueWord,
    QueueWordLib,
    RulesWord,
    RulesWordLib
} from "../../../contracts/types/OrderWords.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Words of configuration, oracle and orders: round trips, undisturbed neighbours, refusals.
contract EdgeWordsProofs is Symbolic {
    // ── configuration ──

    function placed(uint256 value, uint256 shift, uint256 bits) external pure returns (uint256) {
        return place(value, shift, bits);
    }

    /// @notice What is placed in a word is what the field reads, and what does not fit is refused
    /// @custom:bound every value; every width at shift 0, and five places that the configuration uses
    function check_field_reads_what_was_placed(uint256 value, uint8 pick, uint8 bits) public view {
        uint256 shift = 0;
        if (pick == 1) (shift, bits) = (24, 24);
        if (pick == 2) (shift, bits) = (64, 64);
        if (pick == 3) (shift, bits) = (136, 64);
        if (pick == 4) (shift, bits) = (216, 20);
        if (pick == 5) (shift, bits) = (248, 8);
        vm.assume(bits != 0);
        try this.placed(value, shift, bits) returns (uint256 word) {
            assert(field(word, shift, bits) == value);
            assert(word & ~(((1 << uint256(bits)) - 1) << shift) == 0);
        } catch {
            assert(!fits(value, bits));
        }
    }

    function withFlags(MarginWord w, uint256 flags) external pure returns (MarginWord) {
        return w.withFlags(flags);
    }

    /// @notice withFlags of a market writes its 8 bits and nothing else, and refuses what does not fit
    /// @custom:bound every word, every value
    function check_market_flags(MarginWord w, uint256 flags) public view {
        uint256 mask = ~(uint256(0xff) << 224);
        try this.withFlags(w, flags) returns (MarginWord after_) {
            assert(after_.flags() == flags && MarginWord.unwrap(after_) & mask == MarginWord.unwrap(w) & mask);
        } catch {
            assert(!fits(flags, 8));
        }
    }

    function withPauseFlags(PoolRiskWord w, uint256 flags) external pure returns (PoolRiskWord) {
        return w.withPauseFlags(flags);
    }

    /// @notice withPauseFlags writes its 8 bits and nothing else, and refuses what does not fit
    /// @custom:bound every word, every value
    function check_pause_flags(PoolRiskWord w, uint256 flags) public view {
        try this.withPauseFlags(w, flags) returns (PoolRiskWord after_) {
            assert(after_.pauseFlags() == flags);
            assert(PoolRiskWord.unwrap(after_) << 8 == PoolRiskWord.unwrap(w) << 8);
        } catch {
            assert(!fits(flags, 8));
        }
    }

    function withCounts(PoolSettlementWord w, uint256 markets, uint256 collaterals)
        external
        pure
        returns (PoolSettlementWord)
    {
        return w.withMarketCount(markets).withCollateralCount(collaterals);
    }

    /// @notice The counts of markets and collaterals are written side by side and nothing else moves; what does not fit is refused
    /// @custom:bound every word, every value
    function check_settlement_counts(PoolSettlementWord w, uint256 markets, uint256 collaterals) public view {
        uint256 mask = ~(uint256(0xffff) << 168);
        try this.withCounts(w, markets, collaterals) returns (PoolSettlementWord after_) {
            assert(after_.marketCount() == markets && after_.collateralCount() == collaterals);
            assert(PoolSettlementWord.unwrap(after_) & mask == PoolSettlementWord.unwrap(w) & mask);
        } catch {
            assert(!fits(markets, 8) || !fits(collaterals, 8));
        }
    }

    /// @notice withShareToken writes the token and nothing else
    /// @custom:bound every word, every token
    function check_share_token(PoolLiquidityWord w, address token) public pure {
        PoolLiquidityWord after_ = w.withShareToken(token);
        assert(after_.shareToken() == token);
        assert(PoolLiquidityWord.unwrap(after_) >> 160 == PoolLiquidityWord.unwrap(w) >> 160);
    }

    // ── oracle ──

    function packFeed(address feed, uint256[6] calldata f) external pure returns (FeedWord) {
        return FeedWordLib.pack(feed, f[0], f[1], f[2], f[3], f[4], f[5]);
    }

    /// @notice A feed comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_feed_round_trip(address feed, uint256[6] calldata f) public view {
        try this.packFeed(feed, f) returns (FeedWord w) {
            assert(w.feed() == feed && w.kind() == f[0] && w.decimals() == f[1] && w.maxAge() == f[2]);
            assert(w.bandPpm() == f[3] && w.tau() == f[4] && w.maxUncertaintyPpm() == f[5]);
            assert(!w.hasSecondary() && !w.hasBounds() && !w.hasSequencer() && w.minSmall() == 0);
        } catch {
            bool fit = fits(f[0], 2) && fits(f[1], 5) && fits(f[2], 18);
            assert(!fit || !fits(f[3], 17) || !fits(f[4], 17) || !fits(f[5], 17));
        }
    }

    /// @notice The switches of a feed set their own bit only
    /// @custom:bound every word
    function check_feed_switches(FeedWord w, bool on) public pure {
        uint256 word = FeedWord.unwrap(w);
        assert(
            w.withSecondary().hasSecondary()
                && FeedWord.unwrap(w.withSecondary()) & ~(uint256(1) << 236) == word & ~(uint256(1) << 236)
        );
        assert(
            w.withBounds().hasBounds()
                && FeedWord.unwrap(w.withBounds()) & ~(uint256(1) << 237) == word & ~(uint256(1) << 237)
        );
        FeedWord s = w.withSequencer(on);
        assert(s.hasSequencer() == on && FeedWord.unwrap(s) & ~(uint256(1) << 238) == word & ~(uint256(1) << 238));
    }

    function packSecondary(address feed, uint256[5] calldata f) external pure returns (SecondaryWord) {
        return SecondaryWordLib.pack(feed, f[0], f[1], f[2], f[3], f[4]);
    }

    /// @notice A secondary source comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_secondary_round_trip(address feed, uint256[5] calldata f) public view {
        try this.packSecondary(feed, f) returns (SecondaryWord w) {
            assert(w.feed() == feed && w.decimals() == f[0] && w.maxAge() == f[1]);
            assert(w.maxDeviationPpm() == f[2] && w.deviationTimeout() == f[3] && w.deviatedSince() == f[4]);
        } catch {
            bool fit = fits(f[0], 5) && fits(f[1], 18) && fits(f[2], 20);
            assert(!fit || !fits(f[3], 17) || !fits(f[4], 32));
        }
    }

    function withDeviatedSince(SecondaryWord w, uint256 since) external pure returns (SecondaryWord) {
        return w.withDeviatedSince(since);
    }

    /// @notice withDeviatedSince writes the time and nothing else, and refuses what does not fit 32 bits
    /// @custom:bound every word, every value
    function check_deviated_since(SecondaryWord w, uint256 since) public view {
        uint256 mask = ~(uint256(0xffffffff) << 220);
        try this.withDeviatedSince(w, since) returns (SecondaryWord after_) {
            assert(after_.deviatedSince() == since);
            assert(SecondaryWord.unwrap(after_) & mask == SecondaryWord.unwrap(w) & mask);
        } catch {
            assert(!fits(since, 32));
        }
    }

    function packState(uint256 price, uint256 ema, uint256 variance, uint256 time) external pure returns (StateWord) {
        return StateWordLib.pack(price, ema, variance, time);
    }

    /// @notice The state of an asset comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_state_round_trip(uint256 price, uint256 ema, uint256 variance, uint256 time) public view {
        try this.packState(price, ema, variance, time) returns (StateWord w) {
            assert(w.price() == price && w.ema() == ema && w.variance() == variance && w.time() == time);
        } catch {
            assert(!fits(price, 88) || !fits(ema, 88) || !fits(variance, 48) || !fits(time, 32));
        }
    }

    // ── orders ──

    function packOrder(bytes32 hash, uint256 time) external pure returns (OrderWord) {
        return OrderWordLib.pack(hash, time);
    }

    /// @notice An order keeps its price time, is that of its hash, and of another one only when 184 bits agree
    /// @custom:bound every pair of hashes, every time
    function check_order_is_that_of_its_hash(bytes32 hash, bytes32 other, uint256 time) public view {
        try this.packOrder(hash, time) returns (OrderWord w) {
            assert(w.priceTime() == time && w.isOf(hash));
            assert(w.isOf(other) == (uint256(hash) >> 72 == uint256(other) >> 72));
        } catch {
            assert(!fits(time, 32));
        }
    }

    function packQueue(OrderWord head, uint256 lastId, uint256 count, uint256 first) external pure returns (QueueWord) {
        return QueueWordLib.pack(head, lastId, count, first);
    }

    /// @notice A queue comes out of its word as it went in, its head without the low 40 bits, or a field does not fit
    /// @custom:bound every value of every field
    function check_queue_round_trip(OrderWord head, uint256 lastId, uint256 count, uint256 first) public view {
        try this.packQueue(head, lastId, count, first) returns (QueueWord w) {
            assert(w.lastId() == lastId && w.count() == count && w.first() == first);
            assert(OrderWord.unwrap(w.head()) == OrderWord.unwrap(head) >> 40 << 40);
        } catch {
            assert(!fits(lastId, 32) || !fits(count, 4) || !fits(first, 4));
        }
    }

    /// @notice Places in the ring are below 8, and two of the first eight behind the head never share one
    /// @custom:bound every queue word, places 0 to 7
    function check_queue_places_differ(QueueWord w, uint8 one, uint8 two) public pure {
        vm.assume(one < 8 && two < 8 && one != two);
        assert(w.place(one) < 8 && w.place(one) != w.place(two));
    }

    function packRules(uint256[6] calldata f) external pure returns (RulesWord) {
        return RulesWordLib.pack(f[0], f[1], f[2], f[3], f[4], f[5]);
    }

    /// @notice The rules of a market come out of their word as they went in, the fee without what is below 1e-9, or a field does not fit
    /// @custom:bound every value of every field
    function check_rules_round_trip(uint256[6] calldata f) public view {
        try this.packRules(f) returns (RulesWord w) {
            assert(w.asset() == f[0] && w.settlementDelay() == f[1] && w.cancelMargin() == f[2]);
            assert(w.execWindow() == f[3] && w.latency() == f[4] && w.minKeeperFee() == f[5] / 1e9 * 1e9);
        } catch {
            bool fit = fits(f[0], 8) && fits(f[1], 16) && fits(f[2], 16) && fits(f[3], 16) && fits(f[4], 16);
            assert(!fit || !fits(f[5] / 1e9, 64));
        }
    }
}
