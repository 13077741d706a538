// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, MarketId, PoolId} from "./types/Ids.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {PositionWord} from "./types/PositionWord.sol";
import {FundingWord, SidesWord, EventWord} from "./types/MarketWords.sol";
import {PoolMoneyWord, PoolDuesWord, DebtWord} from "./types/PoolWords.sol";
import {
    MarginWord,
    TradeWord,
    LimitsWord,
    PoolRiskWord,
    PoolLiquidationWord,
    PoolSettlementWord,
    PoolInterestWord,
    PoolLiquidityWord,
    CollateralWord
} from "./types/ConfigWords.sol";

/// @notice State of a market. Sums are exact integers in 1e-42 (shares × unit value).
struct MarketState {
    FundingWord funding;
    SidesWord sides;
    /// Z of each side: Σ r·w
    int256 longEntrySum;
    int256 shortEntrySum;
    /// Y of each side: Σ r·x; kept from the side's first event on
    int256 longOpenEntrySum;
    int256 shortOpenEntrySum;
    /// WAD, value locked in positions of closed epochs
    int256 owed;
}

struct MarketConfig {
    MarginWord margin;
    TradeWord trade;
    LimitsWord limits;
}

struct PoolState {
    PoolMoneyWord money;
    PoolDuesWord dues;
    DebtWord debt;
    /// WAD, first-loss tranche below insurance
    uint128 junior;
    /// WAD, pending LP deposits
    uint128 lpEscrow;
    /// accounts whose collateral is on sale
    uint256 openSales;
}

struct PoolConfig {
    PoolRiskWord risk;
    PoolLiquidationWord liquidation;
    PoolSettlementWord settlement;
    PoolInterestWord interest;
    PoolLiquidityWord liquidity;
}

/// @notice What became of one account in `liquidate`.
enum LiquidationResult {
    /// equity ≥ MM at the prices that count
    Healthy,
    /// positions remain: health is at its target again, or what remains may not be closed now
    Partial,
    /// all positions were closed; nothing is owed beyond collateral
    Full,
    /// no position left, debt above collateral: collateral is on sale
    SaleStarted,
    /// nothing left: the debt went down the waterfall
    BadDebt,
    /// no price was published since the account's last margin check
    CoolOff,
    /// sequencer grace, and equity ≥ graceHealth·MM
    Grace,
    /// the sequencer is down, or no position has a price it may be closed at
    PriceRefused,
    /// collateral was on sale already
    OnSale
}

/// @title Storage of the Clearinghouse
/// @notice The one layout that the Clearinghouse and the modules it delegates to share. Nothing else may declare storage.
abstract contract ClearinghouseStorage {
    // slot 0 …
    mapping(AccountId => AccountWord) internal accounts_;
    /// account → market index → position
    mapping(AccountId => mapping(uint256 => PositionWord)) internal positions_;
    /// account → collateral index → native units
    mapping(AccountId => mapping(uint256 => uint256)) internal collateral_;
    /// account → when its collateral went on sale, seconds; 0 = not on sale
    mapping(AccountId => uint256) internal saleStart_;
    mapping(MarketId => MarketState) internal markets_;
    mapping(MarketId => MarketConfig) internal marketConfigs_;
    /// market → side (1 long, 0 short) → number → event
    mapping(MarketId => mapping(uint256 => mapping(uint256 => EventWord))) internal events_;
    /// market → side → epoch → unit value at its end, 1e-24
    mapping(MarketId => mapping(uint256 => mapping(uint256 => int256))) internal epochEnds_;
    mapping(PoolId => PoolState) internal pools_;
    mapping(PoolId => PoolConfig) internal poolConfigs_;
    /// pool → collateral index
    mapping(PoolId => mapping(uint256 => CollateralWord)) internal collateralConfigs_;
    /// pool → collateral index → most that may be held, native units
    mapping(PoolId => mapping(uint256 => uint256)) internal collateralCaps_;
    /// pool → token → collateral index + 1
    mapping(PoolId => mapping(address => uint256)) internal collateralIndex_;
    /// pool → token → what the pool holds: WAD for the settlement asset, native units for collateral
    mapping(PoolId => mapping(address => uint256)) internal held_;
    /// pool → token → owner → claim, in the unit of `held_`
    mapping(PoolId => mapping(address => mapping(address => uint256))) internal claims_;
    /// pool → token → Σ of claims, in the unit of `held_`
    mapping(PoolId => mapping(address => uint256)) internal claimTotals_;
    /// LP tokens, which may take the lock
    mapping(address => bool) internal isPeer_;
    address internal owner_;
    address internal pendingOwner_;
    address internal guardian_;

    // transient: the one lock, and the number that separates the price caches of one lock from the next
    address internal transient lockedBy_;
    uint256 internal transient priceEpoch_;
}
