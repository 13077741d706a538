// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, MarketId, PoolId} from "../types/Ids.sol";
import {AccountWord} from "../types/AccountWord.sol";
import {PositionWord} from "../types/PositionWord.sol";
import {FundingWord, SidesWord, EventWord} from "../types/MarketWords.sol";
import {PoolMoneyWord, PoolDuesWord, DebtWord} from "../types/PoolWords.sol";

/// @title Events of the Clearinghouse
/// @notice State events (`…Set`) carry the stored words after every write: they alone rebuild the whole ledger, and the version in
/// `AccountWord` makes a gap provable. The others say what happened.
interface IClearinghouseEvents {
    // ── state ──
    event AccountSet(AccountId indexed account, AccountWord word);
    event PositionSet(AccountId indexed account, MarketId indexed market, PositionWord word);
    event CollateralSet(AccountId indexed account, uint256 indexed index, uint256 balance);
    event SaleSet(AccountId indexed account, uint256 startedAt);
    event MarketSet(
        MarketId indexed market, FundingWord funding, SidesWord sides, int256 longEntrySum, int256 shortEntrySum
    );
    event OpenEntrySumsSet(MarketId indexed market, int256 longOpenEntrySum, int256 shortOpenEntrySum, int256 owed);
    event SideEventSet(MarketId indexed market, bool indexed long, uint256 number, EventWord word);
    event EpochClosed(MarketId indexed market, bool indexed long, uint256 epoch, int256 endValue);
    event PoolSet(PoolId indexed pool, PoolMoneyWord money, PoolDuesWord dues, DebtWord debt);
    event ReservesSet(PoolId indexed pool, uint256 junior, uint256 lpEscrow);
    event HeldSet(PoolId indexed pool, address indexed token, uint256 held);
    event ClaimSet(
        PoolId indexed pool, address indexed token, address indexed owner, uint256 claim, uint256 totalClaims
    );

    // ── what happened ──
    event Deposited(address indexed caller, AccountId indexed account, address indexed token, uint256 amount);
    event Withdrawn(
        address indexed caller, AccountId indexed account, address indexed token, uint256 amount, address to
    );
    event Transferred(AccountId indexed from, AccountId indexed to, address indexed token, uint256 amount);
    event Claimed(PoolId indexed pool, address indexed token, address indexed owner, uint256 amount, address to);
    event InsuranceFunded(address indexed caller, PoolId indexed pool, uint256 amount);
    /// @notice sizeDelta and sizeAfter WAD, fillPrice WAD per unit, profit, cost (band and premium) and fee WAD.
    event Filled(
        AccountId indexed account,
        MarketId indexed market,
        int256 sizeDelta,
        int256 sizeAfter,
        uint256 fillPrice,
        int256 profit,
        int256 cost,
        uint256 fee
    );
    /// @notice One position closed (in part) by liquidation at `price`.
    event PositionLiquidated(
        AccountId indexed account,
        MarketId indexed market,
        int256 sizeDelta,
        int256 sizeAfter,
        uint256 price,
        int256 profit
    );
    event Liquidated(
        AccountId indexed account,
        AccountId indexed keeper,
        uint256 result,
        int256 equity,
        uint256 maintenance,
        uint256 charged,
        uint256 reward
    );
    event CollateralSold(
        address indexed buyer,
        AccountId indexed account,
        address indexed token,
        uint256 amount,
        uint256 paid,
        uint256 discountPpm
    );
    /// @notice Layers of the waterfall, WAD.
    event BadDebt(
        AccountId indexed account, uint256 amount, uint256 fromInsurance, uint256 fromJunior, uint256 fromPool
    );
    event Socialised(PoolId indexed pool, uint256 deficit, uint256 taken);
    event Deleveraged(
        MarketId indexed market, bool indexed long, uint256 fraction, uint256 price, uint256 released, bool epochClosed
    );
    event Settled(MarketId indexed market, uint256 price);
    event Struck(PoolId indexed pool, uint256 deposited, uint256 refunded, uint256 redeemed, uint256 reward);
}
