// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, IdLib, MarketId, PoolId} from "../../types/Ids.sol";
import {AccountWord, AccountWordLib} from "../../types/AccountWord.sol";
import {
    DebtWord,
    DebtWordLib,
    PoolDuesWord,
    PoolDuesWordLib,
    PoolMoneyWord,
    PoolMoneyWordLib
} from "../../types/PoolWords.sol";
import {
    EventWord,
    EventWordLib,
    FundingWord,
    FundingWordLib,
    SidesWord,
    SidesWordLib
} from "../../types/MarketWords.sol";
import {PositionWord, PositionWordLib} from "../../types/PositionWord.sol";
import {Batch} from "./Batch.sol";

/// @notice The functions of the word types as entry points: `pack…`, `unpack…` with every accessor, and `with…`.
contract StateWordsHarness is Batch {
    // ── AccountWordLib ──

    function withRawCashAccountWord(AccountWord w, int256 cash_) external pure returns (AccountWord) {
        return AccountWordLib.withRawCash(w, cash_);
    }

    function withMarketAccountWord(AccountWord w, uint256 index, bool held) external pure returns (AccountWord) {
        return AccountWordLib.withMarket(w, index, held);
    }

    function withCollateralAccountWord(AccountWord w, uint256 index, bool held) external pure returns (AccountWord) {
        return AccountWordLib.withCollateral(w, index, held);
    }

    function bumpedAccountWord(AccountWord w) external pure returns (AccountWord) {
        return AccountWordLib.bumped(w);
    }

    function withLastCheckAccountWord(AccountWord w, uint256 time) external pure returns (AccountWord) {
        return AccountWordLib.withLastCheck(w, time);
    }

    function withPendingOrdersAccountWord(AccountWord w, uint256 count) external pure returns (AccountWord) {
        return AccountWordLib.withPendingOrders(w, count);
    }

    function unpackAccountWord(AccountWord accountWord_)
        external
        pure
        returns (
            int256 rawCash,
            uint256 markets,
            uint256 collaterals,
            uint256 version,
            uint256 lastCheck,
            uint256 pendingOrders
        )
    {
        rawCash = AccountWordLib.rawCash(accountWord_);
        markets = AccountWordLib.markets(accountWord_);
        collaterals = AccountWordLib.collaterals(accountWord_);
        version = AccountWordLib.version(accountWord_);
        lastCheck = AccountWordLib.lastCheck(accountWord_);
        pendingOrders = AccountWordLib.pendingOrders(accountWord_);
    }

    // ── PositionWordLib ──

    function packPositionWord(int256 shares_, int256 entry_, uint256 lastEvent_) external pure returns (PositionWord) {
        return PositionWordLib.pack(shares_, entry_, lastEvent_);
    }

    function unpackPositionWord(PositionWord positionWord_)
        external
        pure
        returns (int256 shares, int256 entry, uint256 lastEvent)
    {
        shares = PositionWordLib.shares(positionWord_);
        entry = PositionWordLib.entry(positionWord_);
        lastEvent = PositionWordLib.lastEvent(positionWord_);
    }

    // ── FundingWordLib ──

    function packFundingWord(int256 index_, int256 rate_, uint256 time_, uint256 price_)
        external
        pure
        returns (FundingWord)
    {
        return FundingWordLib.pack(index_, rate_, time_, price_);
    }

    function unpackFundingWord(FundingWord fundingWord_)
        external
        pure
        returns (int256 index, int256 rate, uint256 time, uint256 price)
    {
        index = FundingWordLib.index(fundingWord_);
        rate = FundingWordLib.rate(fundingWord_);
        time = FundingWordLib.time(fundingWord_);
        price = FundingWordLib.price(fundingWord_);
    }

    // ── SidesWordLib ──

    function packSidesWord(uint256 long_, uint256 short_, uint256 longEvent_, uint256 shortEvent_)
        external
        pure
        returns (SidesWord)
    {
        return SidesWordLib.pack(long_, short_, longEvent_, shortEvent_);
    }

    function unpackSidesWord(SidesWord sidesWord_)
        external
        pure
        returns (uint256 longShares, uint256 shortShares, uint256 longEvent, uint256 shortEvent)
    {
        longShares = SidesWordLib.longShares(sidesWord_);
        shortShares = SidesWordLib.shortShares(sidesWord_);
        longEvent = SidesWordLib.longEvent(sidesWord_);
        shortEvent = SidesWordLib.shortEvent(sidesWord_);
    }

    // ── EventWordLib ──

    function packEventWord(uint256 scale_, int256 offset_, uint256 epoch_) external pure returns (EventWord) {
        return EventWordLib.pack(scale_, offset_, epoch_);
    }

    function unpackEventWord(EventWord eventWord_) external pure returns (uint256 scale, int256 offset, uint256 epoch) {
        scale = EventWordLib.scale(eventWord_);
        offset = EventWordLib.offset(eventWord_);
        epoch = EventWordLib.epoch(eventWord_);
    }

    // ── PoolMoneyWordLib ──

    function packPoolMoneyWord(int256 cash_, uint256 insurance_) external pure returns (PoolMoneyWord) {
        return PoolMoneyWordLib.pack(cash_, insurance_);
    }

    function unpackPoolMoneyWord(PoolMoneyWord poolMoneyWord_) external pure returns (int256 cash, uint256 insurance) {
        cash = PoolMoneyWordLib.cash(poolMoneyWord_);
        insurance = PoolMoneyWordLib.insurance(poolMoneyWord_);
    }

    // ── PoolDuesWordLib ──

    function packPoolDuesWord(uint256 fees_, int256 lossSum_, uint256 escrow_, uint256 flags_)
        external
        pure
        returns (PoolDuesWord)
    {
        return PoolDuesWordLib.pack(fees_, lossSum_, escrow_, flags_);
    }

    function hasPoolDuesWord(PoolDuesWord w, uint256 flag) external pure returns (bool) {
        return PoolDuesWordLib.has(w, flag);
    }

    function withEscrow(PoolDuesWord w, uint256 escrow_) external pure returns (PoolDuesWord) {
        return PoolDuesWordLib.withEscrow(w, escrow_);
    }

    function unpackPoolDuesWord(PoolDuesWord poolDuesWord_)
        external
        pure
        returns (uint256 fees, int256 lossSum, uint256 escrow, uint256 flags)
    {
        fees = PoolDuesWordLib.fees(poolDuesWord_);
        lossSum = PoolDuesWordLib.lossSum(poolDuesWord_);
        escrow = PoolDuesWordLib.escrow(poolDuesWord_);
        flags = PoolDuesWordLib.flags(poolDuesWord_);
    }

    // ── DebtWordLib ──

    function packDebtWord(uint256 scaledDebt_, uint256 borrowIndex_, uint256 time_) external pure returns (DebtWord) {
        return DebtWordLib.pack(scaledDebt_, borrowIndex_, time_);
    }

    function unpackDebtWord(DebtWord debtWord_)
        external
        pure
        returns (uint256 scaledDebt, uint256 borrowIndex, uint256 time)
    {
        scaledDebt = DebtWordLib.scaledDebt(debtWord_);
        borrowIndex = DebtWordLib.borrowIndex(debtWord_);
        time = DebtWordLib.time(debtWord_);
    }

    // ── IdLib ──

    function toAccount(address owner_, PoolId pool_, uint80 sub) external pure returns (AccountId) {
        return IdLib.toAccount(owner_, pool_, sub);
    }

    function toMarket(PoolId pool_, uint256 index_) external pure returns (MarketId) {
        return IdLib.toMarket(pool_, index_);
    }

    function unpackAccountId(AccountId accountId_) external pure returns (address owner, PoolId pool) {
        owner = IdLib.owner(accountId_);
        pool = IdLib.pool(accountId_);
    }

    function unpackMarketId(MarketId marketId_) external pure returns (PoolId pool, uint256 index) {
        pool = IdLib.pool(marketId_);
        index = IdLib.index(marketId_);
    }
}
