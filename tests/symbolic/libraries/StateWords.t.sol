// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountWord} from "../../../contracts/types/AccountWord.sol";
import {AccountId, IdLib, MarketId, PoolId} from "../../../contracts/types/Ids.sol";
import {
    EventWord,
    EventWordLib,
    FundingWord,
    FundingWordLib,
    SidesWord,
    SidesWordLib
} from "../../../contracts/types/MarketWords.sol";
import {
    DebtWord,
    DebtWordLib,
    PoolDuesWord,
    PoolDuesWordLib,
    PoolMoneyWord,
    PoolMoneyWordLib
} from "../../../contracts/types/PoolWords.sol";
import {PositionWord, PositionWordLib} from "../../../contracts/types/PositionWord.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Words of the ledger: what is packed comes out again, a setter moves its own field only, and what does not fit is refused.
contract StateWordsProofs is Symbolic {
    // ── AccountWord ──

    /// @dev The bits of an account word outside [shift, shift + bits).
    function outside(AccountWord w, uint256 shift, uint256 bits) private pure returns (uint256) {
        return AccountWord.unwrap(w) & ~(((1 << bits) - 1) << shift);
    }

    function withRawCash(AccountWord w, int256 value) external pure returns (AccountWord) {
        return w.withRawCash(value);
    }

    function withMarket(AccountWord w, uint256 index, bool held) external pure returns (AccountWord) {
        return w.withMarket(index, held);
    }

    function withCollateral(AccountWord w, uint256 index, bool held) external pure returns (AccountWord) {
        return w.withCollateral(index, held);
    }

    function withLastCheck(AccountWord w, uint256 time) external pure returns (AccountWord) {
        return w.withLastCheck(time);
    }

    function withPendingOrders(AccountWord w, uint256 count) external pure returns (AccountWord) {
        return w.withPendingOrders(count);
    }

    /// @notice withRawCash writes cash and nothing else, and refuses what does not fit 112 signed bits
    /// @custom:bound every word, every value
    function check_account_cash(AccountWord w, int256 value) public view {
        try this.withRawCash(w, value) returns (AccountWord after_) {
            assert(after_.rawCash() == value && outside(after_, 0, 112) == outside(w, 0, 112));
        } catch {
            assert(!fitsSigned(value, 112));
        }
    }

    /// @notice withMarket sets or clears one bit of the markets and nothing else, and refuses an index above 31
    /// @custom:bound every word, every index
    function check_account_market(AccountWord w, uint256 index, bool held) public view {
        try this.withMarket(w, index, held) returns (AccountWord after_) {
            uint256 bit = 1 << index;
            assert(after_.markets() == (held ? w.markets() | bit : w.markets() & ~bit));
            assert(index < 32 && outside(after_, 112, 56) == outside(w, 112, 56));
        } catch {
            assert(index >= 32);
        }
    }

    /// @notice withCollateral sets or clears one bit of the collaterals and nothing else, and refuses an index above 15
    /// @custom:bound every word, every index
    function check_account_collateral(AccountWord w, uint256 index, bool held) public view {
        try this.withCollateral(w, index, held) returns (AccountWord after_) {
            uint256 bit = 1 << index;
            assert(after_.collaterals() == (held ? w.collaterals() | bit : w.collaterals() & ~bit));
            assert(index < 16 && outside(after_, 168, 16) == outside(w, 168, 16));
        } catch {
            assert(index >= 16);
        }
    }

    /// @notice bumped moves the version by one, wrapping after 2^32, and nothing else
    /// @custom:bound every word
    function check_account_version(AccountWord w) public pure {
        AccountWord after_ = w.bumped();
        assert(after_.version() == (w.version() + 1) % (1 << 32));
        assert(outside(after_, 184, 32) == outside(w, 184, 32));
    }

    /// @notice withLastCheck writes the time and nothing else, and refuses what does not fit 32 bits
    /// @custom:bound every word, every value
    function check_account_lastCheck(AccountWord w, uint256 time) public view {
        try this.withLastCheck(w, time) returns (AccountWord after_) {
            assert(after_.lastCheck() == time && outside(after_, 216, 32) == outside(w, 216, 32));
        } catch {
            assert(!fits(time, 32));
        }
    }

    /// @notice withPendingOrders writes the count and nothing else, and refuses what does not fit 8 bits
    /// @custom:bound every word, every value
    function check_account_pendingOrders(AccountWord w, uint256 count) public view {
        try this.withPendingOrders(w, count) returns (AccountWord after_) {
            assert(after_.pendingOrders() == count && outside(after_, 248, 8) == outside(w, 248, 8));
        } catch {
            assert(!fits(count, 8));
        }
    }

    // ── packed in one piece ──

    function packPosition(int256 shares, int256 entry, uint256 lastEvent) external pure returns (PositionWord) {
        return PositionWordLib.pack(shares, entry, lastEvent);
    }

    /// @notice A position comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_position_round_trip(int256 shares, int256 entry, uint256 lastEvent) public view {
        try this.packPosition(shares, entry, lastEvent) returns (PositionWord w) {
            assert(w.shares() == shares && w.entry() == entry && w.lastEvent() == lastEvent);
        } catch {
            assert(!fitsSigned(shares, 104) || !fitsSigned(entry, 128) || !fits(lastEvent, 24));
        }
    }

    function packFunding(int256 index, int256 rate, uint256 time, uint256 price) external pure returns (FundingWord) {
        return FundingWordLib.pack(index, rate, time, price);
    }

    /// @notice Funding comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_funding_round_trip(int256 index, int256 rate, uint256 time, uint256 price) public view {
        try this.packFunding(index, rate, time, price) returns (FundingWord w) {
            assert(w.index() == index && w.rate() == rate && w.time() == time && w.price() == price);
        } catch {
            assert(!fitsSigned(index, 96) || !fitsSigned(rate, 40) || !fits(time, 32) || !fits(price, 88));
        }
    }

    function packSides(uint256 long, uint256 short, uint256 longEvent, uint256 shortEvent)
        external
        pure
        returns (SidesWord)
    {
        return SidesWordLib.pack(long, short, longEvent, shortEvent);
    }

    /// @notice Both sides come out of their word as they went in, or are refused because a field does not fit
    /// @custom:bound every value of every field
    function check_sides_round_trip(uint256 long, uint256 short, uint256 longEvent, uint256 shortEvent) public view {
        try this.packSides(long, short, longEvent, shortEvent) returns (SidesWord w) {
            assert(w.longShares() == long && w.shortShares() == short);
            assert(w.longEvent() == longEvent && w.shortEvent() == shortEvent);
        } catch {
            assert(!fits(long, 104) || !fits(short, 104) || !fits(longEvent, 24) || !fits(shortEvent, 24));
        }
    }

    function packEvent(uint256 scale, int256 offset, uint256 epoch) external pure returns (EventWord) {
        return EventWordLib.pack(scale, offset, epoch);
    }

    /// @notice An event comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_event_round_trip(uint256 scale, int256 offset, uint256 epoch) public view {
        try this.packEvent(scale, offset, epoch) returns (EventWord w) {
            assert(w.scale() == scale && w.offset() == offset && w.epoch() == epoch);
        } catch {
            assert(!fits(scale, 120) || !fitsSigned(offset, 120) || !fits(epoch, 16));
        }
    }

    function packMoney(int256 cash, uint256 insurance) external pure returns (PoolMoneyWord) {
        return PoolMoneyWordLib.pack(cash, insurance);
    }

    /// @notice The pool's money comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_money_round_trip(int256 cash, uint256 insurance) public view {
        try this.packMoney(cash, insurance) returns (PoolMoneyWord w) {
            assert(w.cash() == cash && w.insurance() == insurance);
        } catch {
            assert(!fitsSigned(cash, 104) || !fits(insurance, 96));
        }
    }

    function packDues(uint256 fees, int256 lossSum, uint256 escrow, uint256 flags)
        external
        pure
        returns (PoolDuesWord)
    {
        return PoolDuesWordLib.pack(fees, lossSum, escrow, flags);
    }

    /// @notice What the pool keeps for others comes out as it went in, escrow without what is below 1e-9, or a field does not fit
    /// @custom:bound every value of every field
    function check_dues_round_trip(uint256 fees, int256 lossSum, uint256 escrow, uint256 flags) public view {
        try this.packDues(fees, lossSum, escrow, flags) returns (PoolDuesWord w) {
            assert(w.fees() == fees && w.lossSum() == lossSum && w.escrow() == escrow / 1e9 * 1e9);
            assert(w.flags() == flags);
        } catch {
            assert(!fits(fees, 88) || !fitsSigned(lossSum, 104) || !fits(escrow / 1e9, 62) || !fits(flags, 2));
        }
    }

    function withEscrow(PoolDuesWord w, uint256 escrow) external pure returns (PoolDuesWord) {
        return w.withEscrow(escrow);
    }

    /// @notice withEscrow writes the escrow, without what is below 1e-9, and nothing else, and refuses what does not fit 62 bits
    /// @custom:bound every word, every value
    function check_dues_escrow(PoolDuesWord w, uint256 escrow) public view {
        uint256 mask = ~(((uint256(1) << 62) - 1) << 192);
        try this.withEscrow(w, escrow) returns (PoolDuesWord after_) {
            assert(after_.escrow() == escrow / 1e9 * 1e9);
            assert(PoolDuesWord.unwrap(after_) & mask == PoolDuesWord.unwrap(w) & mask);
        } catch {
            assert(!fits(escrow / 1e9, 62));
        }
    }

    function packDebt(uint256 scaledDebt, uint256 borrowIndex, uint256 time) external pure returns (DebtWord) {
        return DebtWordLib.pack(scaledDebt, borrowIndex, time);
    }

    /// @notice Debt comes out of its word as it went in, or is refused because a field does not fit
    /// @custom:bound every value of every field
    function check_debt_round_trip(uint256 scaledDebt, uint256 borrowIndex, uint256 time) public view {
        try this.packDebt(scaledDebt, borrowIndex, time) returns (DebtWord w) {
            assert(w.scaledDebt() == scaledDebt && w.borrowIndex() == borrowIndex && w.time() == time);
        } catch {
            assert(!fits(scaledDebt, 112) || !fits(borrowIndex, 96) || !fits(time, 32));
        }
    }

    /// @notice Owner and pool come out of an account id, pool and index out of a market id, and two accounts never share an id
    /// @custom:bound every value of every field, indices below 256
    function check_ids_round_trip(
        address owner,
        PoolId pool,
        uint80 sub,
        address otherOwner,
        uint80 otherSub,
        uint8 index
    ) public pure {
        AccountId id = IdLib.toAccount(owner, pool, sub);
        assert(id.owner() == owner && id.pool() == pool);
        bool same = owner == otherOwner && sub == otherSub;
        assert((id == IdLib.toAccount(otherOwner, pool, otherSub)) == same);
        MarketId market = IdLib.toMarket(pool, index);
        assert(market.pool() == pool && market.index() == index);
    }
}
