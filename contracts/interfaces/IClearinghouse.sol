// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, MarketId, PoolId} from "../types/Ids.sol";
import {Spot} from "../types/Observation.sol";
import {IClearinghouseErrors} from "./IClearinghouseErrors.sol";
import {IClearinghouseEvents} from "./IClearinghouseEvents.sol";

/// @notice One order that the OrderBook asks the Clearinghouse to fill.
/// @param sizeDelta WAD units, > 0 buys
/// @param limitPrice WAD; a buy refuses to pay more, a sell to get less; 0 for a sell and type(uint256).max for a buy is no limit
/// @param spot the admissible price of the order
/// @param keeperFee WAD, in escrow since placement
/// @param keeper account (bytes32) that gets the fee; if it is no account of the pool, its owner gets a claim
/// @param id of the order, for the log
struct FillOrder {
    AccountId account;
    MarketId market;
    int256 sizeDelta;
    uint256 limitPrice;
    bool reduceOnly;
    Spot spot;
    uint256 keeperFee;
    AccountId keeper;
    uint256 id;
}

/// @notice What a fill did.
/// @param sizeDelta WAD actually traded (a reduce-only order is clamped; a remainder of dust is closed too)
/// @param fillPrice WAD per unit, premium and band included
/// @param profit WAD settled by the touch
/// @param fee WAD
struct FillResult {
    int256 sizeDelta;
    uint256 fillPrice;
    int256 profit;
    uint256 fee;
}

/// @notice What an LP epoch is struck at. Money WAD.
/// @param navEntry NAV that entering LPs pay (unrealised gains of the pool in full)
/// @param navExit NAV that leaving LPs get (gains beyond margin are not collectable)
/// @param payable_ the most that may leave now (reserve, deleveraging metric, caps)
/// @param fees protocol fees at hand, which pay the striker
struct StrikeState {
    int256 navEntry;
    int256 navExit;
    uint256 payable_;
    uint256 fees;
}

/// @title The one ledger: every token, account, position and pool balance
interface IClearinghouse is IClearinghouseErrors, IClearinghouseEvents {
    // ── collateral ─────────────────────────────────────────────────────────

    /// @notice Pulls `amount` (native units) of `token` from the caller into `account`. Anyone may top up any account.
    function deposit(AccountId account, address token, uint256 amount) external;

    /// @notice ERC-2612 permit, then `deposit`. A permit that was already used is ignored when the allowance suffices.
    function depositWithPermit(
        AccountId account,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Pays `amount` (native units) of `token` out of `account` to `to`. Only the owner; the account ends with equity^I ≥ IM.
    function withdraw(AccountId account, address token, uint256 amount, address to) external;

    /// @notice Moves `amount` (native units) of `token` between two sub-accounts of one owner in one pool; margin as in `withdraw`.
    function transfer(AccountId from, AccountId to, address token, uint256 amount) external;

    /// @notice Pays the caller's whole claim (keeper fees, rewards, refused payments) of `token` in `pool` to `to`.
    /// @return amount native units
    function claim(PoolId pool, address token, address to) external returns (uint256 amount);

    /// @notice Adds `amount` (native units) of the settlement asset to the insurance of `pool`.
    function fundInsurance(PoolId pool, uint256 amount) external;

    /// @notice Several calls in one; reverts with the first error.
    function multicall(bytes[] calldata calls) external returns (bytes[] memory results);

    /// @notice Accrues interest and funding of a market and stores the current price and loss. Anyone.
    function accrue(MarketId market) external;

    // ── liquidation and solvency (anyone) ──────────────────────────────────

    /// @notice Liquidates every liquidatable account of the list and skips the others.
    /// @param keeper account that is paid; if it does not belong to the pool its owner gets a claim
    /// @return results one `LiquidationResult` per account, see `ClearinghouseStorage`
    function liquidate(AccountId[] calldata accounts, AccountId keeper) external returns (uint256[] memory results);

    /// @notice Buys up to `amount` (native units) of collateral on sale for settlement asset at the discounted price.
    /// The tokens go to the caller first; if `data` is not empty `ICollateralBuyer.onCollateralBought` is called; then the price is pulled.
    /// @param maxPrice WAD per unit, price limit
    /// @return bought native units, @return paid native units of the settlement asset
    function buyCollateral(AccountId account, address token, uint256 amount, uint256 maxPrice, bytes calldata data)
        external
        returns (uint256 bought, uint256 paid);

    /// @notice Deleverages the winning side of `market` when its open loss exceeds adlTrigger·NAV; reverts with `NothingToDeleverage` otherwise.
    function deleverage(MarketId market) external;

    /// @notice Closes the positions of `accounts` in a settled market at its final price.
    function closeSettled(MarketId market, AccountId[] calldata accounts) external;

    // ── for the peers (OrderBook, LP tokens), who hold the one lock ────────

    /// @notice Takes the one lock for the calling peer; reverts with `Locked` when it is held.
    function lock() external;

    /// @notice Gives the lock back.
    function unlock() external;

    /// @notice Whether the lock is held by anyone.
    function isLocked() external view returns (bool);

    /// @notice Takes the keeper fee of a new order into escrow. `caller` must be the owner. A risk-increasing order (not
    /// reduce-only) needs equity^I ≥ IM after the fee and counts as pending; a reduce-only one needs a position and
    /// equity ≥ fee + keeperFloor.
    /// @param fee WAD, multiple of 1e9 wei and of one native unit of the settlement asset, at most the pool's keeper floor
    function reserveFee(AccountId account, MarketId market, address caller, uint256 fee, bool reduceOnly) external;

    /// @notice Ends an order that is not filled: its fee goes back to the account, or to `keeper` when `toKeeper`.
    function releaseFee(AccountId account, uint256 fee, bool reduceOnly, bool toKeeper, AccountId keeper) external;

    /// @notice Fills an order. Reverts with the named error that says whose fault it is, see `IClearinghouseErrors`.
    function fill(FillOrder calldata order) external;

    /// @notice The calling LP token pulls `amount` native units of a deposit request from `from` into escrow.
    function lpDeposit(PoolId pool, address from, uint256 amount) external;

    /// @notice Revalues all markets and gives what the epoch is struck at; reverts while a price is refused or the pool is unfit.
    function lpStrike(PoolId pool) external returns (StrikeState memory state);

    /// @notice Settles an epoch: `deposited` WAD go from escrow to V, `refunded` WAD from escrow and `redeemed` WAD from V to a claim of
    /// the LP token, `reward` WAD from protocol fees to `keeper`.
    function lpSettle(
        PoolId pool,
        uint256 deposited,
        uint256 refunded,
        uint256 redeemed,
        uint256 reward,
        AccountId keeper
    ) external;

    /// @notice Pays `amount` native units out of the LP token's claim to `to`.
    function lpClaim(PoolId pool, address to, uint256 amount) external;

    // ── views (revert while the lock is held) ──────────────────────────────

    /// @notice Raw storage words, for lenses and keepers.
    function load(bytes32[] calldata slots) external view returns (bytes32[] memory words);

    /// @notice Current NAV of the pool at the loss of each market's last priced call, interest accrued, WAD.
    function poolNav(PoolId pool) external view returns (int256 nav);

    /// @notice Runs `data` of `target` by delegatecall and always reverts with `Simulated(success, result)`: nothing it does remains, here
    /// or elsewhere. Lenses read and preview through it.
    function simulate(address target, bytes calldata data) external;
}

/// @notice Whoever passes data to `buyCollateral`.
interface ICollateralBuyer {
    /// @notice Called after the tokens have arrived and before the price is pulled.
    /// @param amount native units received, @param price native units of settlement asset that will be pulled
    function onCollateralBought(address token, uint256 amount, uint256 price, bytes calldata data) external;
}
