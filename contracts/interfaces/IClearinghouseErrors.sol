// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, MarketId, PoolId} from "../types/Ids.sol";

/// @title Errors of the Clearinghouse
interface IClearinghouseErrors {
    // ── input and authority ──
    error ZeroAmount();
    error ZeroAddress();
    error UnknownPool(PoolId pool);
    error UnknownMarket(MarketId market);
    error UnknownToken(PoolId pool, address token);
    error NotAccountOwner(AccountId account, address caller);
    error NotPeer(address caller);
    error NotOwner(address caller);
    error NotGuardian(address caller);
    error OtherPool(AccountId account, PoolId pool);
    error OtherOwner(AccountId from, AccountId to);
    error SameAccount(AccountId account);
    /// @notice The one lock is held.
    error Locked();
    /// @notice The caller must hold the lock.
    error NotLocked();

    // ── tokens ──
    error TransferFailed(address token);
    /// @notice The token delivered another amount than asked (fee on transfer, rebasing).
    error UnexpectedAmount(address token, uint256 expected, uint256 received);
    error NothingToClaim(PoolId pool, address token, address owner);

    // ── trader's fault: the order is cancelled and pays the keeper ──
    /// @notice equity^I < IM, both WAD.
    error InsufficientMargin(int256 equity, uint256 required);
    /// @notice A reduce-only order without a position of the other sign.
    error NothingToReduce(AccountId account, MarketId market);
    /// @notice The position would be smaller than the pool's minimum notional, WAD.
    error BelowMinNotional(uint256 notional, uint256 minimum);
    error PositionTooLarge(uint256 size, uint256 maximum);
    error TooManyMarkets(uint256 count, uint256 maximum);

    // ── neither: the order stays pending ──
    error PriceLimit(uint256 fillPrice, uint256 limitPrice);
    error OpenInterestCap(uint256 openInterest, uint256 cap);
    error SkewCap(uint256 skew, uint256 cap);
    error IncreasePaused(PoolId pool);
    error ReduceOnlyMarket(MarketId market);
    error MarketSettled(MarketId market);
    error PoolInsolvent(PoolId pool, int256 nav);
    /// @notice The price of `asset` has flags that the action does not tolerate.
    error PriceRefused(uint256 asset, uint256 flags);

    // ── limits ──
    error TooManyCollaterals(uint256 count, uint256 maximum);
    error CollateralCap(address token, uint256 balance, uint256 cap);
    error InsufficientBalance(uint256 balance, uint256 wanted);
    /// @notice The pool cannot pay this without touching somebody else's bucket, WAD.
    error InsufficientPoolLiquidity(uint256 available, uint256 wanted);
    error UtilisationLimit(uint256 debt, uint256 limit);
    error BorrowPaused(PoolId pool);
    error OrdersPending(AccountId account, uint256 count);
    error FeeGranularity(uint256 fee);
    /// @notice A keeper fee above the pool's keeper floor would be a way to take money out of an account in need.
    error KeeperFeeTooHigh(uint256 fee, uint256 most);
    error TooManyOrders(uint256 count, uint256 most);

    // ── liquidation and solvency ──
    error NotOnSale(AccountId account);
    error NothingOnSale(AccountId account, address token);
    error SalePrice(uint256 price, uint256 maxPrice);
    error NothingToDeleverage(MarketId market, int256 openLoss, int256 threshold);
    error MarketNotSettled(MarketId market);
    error BadDebtOnSale(PoolId pool);
    error LpGap(uint256 asset, uint256 price, uint256 ema);
    error LpDepositPaused(PoolId pool);
    error Simulated(bool success, bytes result);
}
