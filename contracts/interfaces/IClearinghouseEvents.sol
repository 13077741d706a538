// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, MarketId, PoolId} from "../types/Ids.sol";
import {AccountWord} from "../types/AccountWord.sol";
import {Spot} from "../types/Observation.sol";
import {PositionWord} from "../types/PositionWord.sol";
import {FundingWord, SidesWord, EventWord} from "../types/MarketWords.sol";
import {PoolMoneyWord, PoolDuesWord, DebtWord} from "../types/PoolWords.sol";

/// @notice The words that a fill leaves behind; Z of both sides of its market.
struct FillWords {
    AccountWord account;
    AccountWord keeper;
    PositionWord position;
    FundingWord funding;
    SidesWord sides;
    int256 longEntrySum;
    int256 shortEntrySum;
    PoolMoneyWord money;
    PoolDuesWord dues;
}

/// @title Events of the Clearinghouse
/// @notice Every write of state is told by the words as stored: by the event of the action where an action is frequent (`Deposited`,
/// `Withdrawn`, `FeeReserved`, `Filled`, `PositionLiquidated`, `Liquidated`), else by a state event (`…Set`). Together they rebuild the
/// whole ledger, and the version in `AccountWord` makes a gap provable. The events of the second part carry no state.
interface IClearinghouseEvents {
    // ── state ──
    event AccountSet(AccountId indexed account, AccountWord word);
    event CollateralSet(AccountId indexed account, uint256 indexed index, uint256 balance);
    event SaleSet(AccountId indexed account, uint256 startedAt);
    event MarketSet(
        MarketId indexed market, FundingWord funding, SidesWord sides, int256 longEntrySum, int256 shortEntrySum
    );
    event OpenEntrySumsSet(MarketId indexed market, int256 longOpenEntrySum, int256 shortOpenEntrySum, int256 owed);
    event SideEventSet(MarketId indexed market, bool indexed long, uint256 number, EventWord word);
    event EpochClosed(MarketId indexed market, bool indexed long, uint256 epoch, int256 endValue);
    event PoolSet(PoolId indexed pool, PoolMoneyWord money, PoolDuesWord dues);
    event DebtSet(PoolId indexed pool, DebtWord debt);
    event ReservesSet(PoolId indexed pool, uint256 junior, uint256 lpEscrow);
    event HeldSet(PoolId indexed pool, address indexed token, uint256 held);
    event ClaimSet(
        PoolId indexed pool, address indexed token, address indexed owner, uint256 claim, uint256 totalClaims
    );

    // ── what happened, with the words it left behind ──
    /// @notice `held` is what the pool holds of the token now.
    event Deposited(
        address indexed caller,
        AccountId indexed account,
        address indexed token,
        uint256 amount,
        AccountWord word,
        uint256 held
    );
    /// @notice By the owner of the account. `held` is what the pool holds of the token now.
    event Withdrawn(
        AccountId indexed account, address indexed token, uint256 amount, address to, AccountWord word, uint256 held
    );
    /// @notice A keeper fee went from an account to the escrow of a pool whose other words did not change.
    event FeeReserved(AccountId indexed account, AccountWord word, PoolDuesWord dues);
    /// @notice Order `id` of an account in a market was filled at `spot`. sizeDelta and sizeAfter WAD, fillPrice WAD per unit, profit,
    /// cost (band and premium) and fee WAD. `keeperWord` is the keeper's account after its fee, written after `word`; zero when it has
    /// no account in the pool (then `ClaimSet` says what it got), or nothing was paid.
    event Filled(
        AccountId indexed account,
        MarketId indexed market,
        AccountId indexed keeper,
        uint256 id,
        Spot spot,
        int256 sizeDelta,
        int256 sizeAfter,
        uint256 fillPrice,
        int256 profit,
        int256 cost,
        uint256 fee,
        FillWords words
    );
    /// @notice One position closed (in part) at `price`, by liquidation or because its market is settled.
    event PositionLiquidated(
        AccountId indexed account,
        MarketId indexed market,
        int256 sizeDelta,
        int256 sizeAfter,
        uint256 price,
        int256 profit,
        PositionWord position
    );
    /// @notice An account with positions was liquidated. `keeperWord` as in `Filled`.
    event Liquidated(
        AccountId indexed account,
        AccountId indexed keeper,
        uint256 result,
        int256 equity,
        uint256 maintenance,
        uint256 charged,
        uint256 reward,
        AccountWord word,
        AccountWord keeperWord
    );

    // ── what happened ──
    event Transferred(AccountId indexed from, AccountId indexed to, address indexed token, uint256 amount);
    event Claimed(PoolId indexed pool, address indexed token, address indexed owner, uint256 amount, address to);
    event InsuranceFunded(address indexed caller, PoolId indexed pool, uint256 amount);
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
