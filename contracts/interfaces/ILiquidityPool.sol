// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {AccountId, PoolId} from "../types/Ids.sol";

/// @notice What is fixed when a pool is deployed, and the two values that its owner may change.
/// @param epochLength seconds, 1 hour … 30 days
/// @param lpDelay seconds from the end of an epoch until it may be struck, 1 hour … 7 days
/// @param minDeposit native units, worth 0.01 … 1000; the least a deposit request, and the dead deposit, may be
/// @param minSharePrice WAD, 0.001 … 1; deposits are refused below it. The owner may change it
/// @param strikeReward WAD, at most 1000; what a striker is paid out of protocol fees. The owner may change it
struct PoolTerms {
    uint256 epochLength;
    uint256 lpDelay;
    uint256 minDeposit;
    uint256 minSharePrice;
    uint256 strikeReward;
}

/// @title The share token of one pool: ERC-20, ERC-4626 with ERC-7540 requests in both directions, ERC-7575
/// @notice How to enter: `approve` the **Clearinghouse** (not this contract) for the settlement asset, `requestDeposit`, wait until the
/// epoch of the request is struck, then take the shares with `deposit` or `mint`. If the strike refused the deposits of the epoch (NAV ≤ 0,
/// share price below the floor), take the money back with `claimRefund`.
/// How to leave: `requestRedeem` (the shares move here at once), wait, take the money with `redeem` or `withdraw`. A strike pays as much as
/// the pool may pay; the rest waits on as shares, at the price of the strike that pays them.
/// Requests cannot be cancelled. The id of a request is its epoch, from 1 on; all requests of one epoch get the same price and the same
/// fraction. Claims take the oldest request first.
/// @dev Every function that changes state, and every view of value, reverts with `Locked` while the Clearinghouse's lock is held.
interface ILiquidityPool is IERC4626, IERC165 {
    // ── ERC-7540 ──
    event DepositRequest(
        address indexed controller, address indexed owner, uint256 indexed requestId, address sender, uint256 assets
    );
    event RedeemRequest(
        address indexed controller, address indexed owner, uint256 indexed requestId, address sender, uint256 shares
    );
    event OperatorSet(address indexed controller, address indexed operator, bool approved);

    // ── this pool ──
    /// @notice The dead deposit was made; its shares belong to nobody.
    event Seeded(address indexed caller, uint256 assets, uint256 shares);
    /// @notice All requests up to epoch `throughEpoch` not struck before were struck. `deposited`, `refunded` and `paid` in native units;
    /// either all deposits are taken or all are refunded. `waiting` shares are left in the queue of redemptions.
    event EpochStruck(
        uint256 indexed strike,
        uint256 indexed throughEpoch,
        AccountId indexed keeper,
        int256 navEntry,
        int256 navExit,
        uint256 deposited,
        uint256 refunded,
        uint256 minted,
        uint256 burnt,
        uint256 paid,
        uint256 waiting,
        uint256 reward
    );
    event RefundClaimed(
        address indexed controller, address indexed receiver, uint256 indexed requestId, uint256 assets
    );
    event TermsSet(uint256 minSharePrice, uint256 strikeReward);

    error NotAuthorised(address account, address caller);
    error BelowMinDeposit(uint256 assets, uint256 minDeposit);
    /// @notice The pool needs its dead deposit first: call `seed`.
    error NotSeeded();
    error AlreadySeeded();
    error NegativeNav(int256 nav);
    /// @notice Nothing waits for a strike, or not before `nextTime`.
    error NothingToStrike(uint256 nextTime);
    error NothingToRefund(uint256 requestId, address controller);
    /// @notice The price is made at the strike: nobody can preview it.
    error PreviewNotSupported();
    error EpochLengthOutOfRange(uint256 epochLength, uint256 least, uint256 largest);
    error LpDelayOutOfRange(uint256 lpDelay, uint256 least, uint256 largest);
    error MinDepositOutOfRange(uint256 minDeposit, uint256 least, uint256 largest);
    error MinSharePriceOutOfRange(uint256 minSharePrice, uint256 least, uint256 largest);
    error StrikeRewardOutOfRange(uint256 strikeReward, uint256 largest);
    error DecimalsOutOfRange(uint256 decimals, uint256 largest);

    // ── requests (ERC-7540) ──

    /// @notice Asks to enter with `assets` (native units), pulled from `owner` by the Clearinghouse, which `owner` must have approved.
    /// The caller must be `owner` and `controller`, or an operator of whichever it is not.
    /// @return requestId the running epoch
    /// @custom:reverts BelowMinDeposit, NotAuthorised, NotSeeded, LpDepositPaused, Locked
    function requestDeposit(uint256 assets, address controller, address owner) external returns (uint256 requestId);

    /// @notice Asks to leave with `shares`, which move here. The caller must be `owner`, his operator, or have his ERC-20 allowance; and
    /// must be `controller` or his operator.
    /// @return requestId the running epoch
    /// @custom:reverts ZeroAmount, NotAuthorised, Locked
    function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256 requestId);

    /// @notice Native units of a deposit request that is not struck yet.
    function pendingDepositRequest(uint256 requestId, address controller) external view returns (uint256 assets);

    /// @notice Native units of a deposit request whose shares wait to be taken.
    function claimableDepositRequest(uint256 requestId, address controller) external view returns (uint256 assets);

    /// @notice Shares of a redeem request that are not paid yet.
    function pendingRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares);

    /// @notice Shares of a redeem request that are paid, and whose money waits to be taken.
    function claimableRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares);

    /// @notice Takes the shares of struck deposits worth `assets` (native units) at request, as the controller or his operator.
    /// Shares rounded down; what rounding leaves stays with the request until its last claim.
    function deposit(uint256 assets, address receiver, address controller) external returns (uint256 shares);

    /// @notice As `deposit`, for exactly `shares`.
    function mint(uint256 shares, address receiver, address controller) external returns (uint256 assets);

    function setOperator(address operator, bool approved) external returns (bool);

    function isOperator(address controller, address operator) external view returns (bool);

    /// @notice ERC-7575: the share token is this contract.
    function share() external view returns (address);

    // ── this pool ──

    /// @notice Makes the dead deposit of `assets` (native units) out of the caller's pocket, once, before any request. Its shares, and those
    /// for a NAV that is there already, go to nobody at the price 1. Anyone may; the caller must have approved the Clearinghouse.
    function seed(uint256 assets) external;

    /// @notice Strikes all epochs that ended at least `lpDelay` ago and were not struck, together, at one NAV and one payable fraction
    /// (no more than 64 with requests per call, the oldest first). Anyone may, once per epoch. Paid to `keeper` when money moved.
    /// @custom:reverts NothingToStrike; whatever `IClearinghouse.lpStrike` reverts with while the pool cannot be valued
    function strike(AccountId keeper) external;

    /// @notice Pays back a deposit request whose epoch refused deposits, as the controller or his operator.
    /// @return assets native units
    function claimRefund(uint256 requestId, address receiver, address controller) external returns (uint256 assets);

    /// @notice Native units that `claimRefund` would pay.
    function refundableDepositRequest(uint256 requestId, address controller) external view returns (uint256 assets);

    /// @notice Owner: the two values of `PoolTerms` that may change.
    function setTerms(uint256 minSharePrice, uint256 strikeReward) external;

    function POOL_ID() external view returns (PoolId);

    /// @notice The running epoch, which a request made now belongs to.
    function currentEpoch() external view returns (uint256);

    /// @notice From when on `epoch` may be struck, seconds.
    function strikeTime(uint256 epoch) external view returns (uint256);

    /// @notice Whether `strike` has something to do now (it may still revert while the pool cannot be valued).
    function canStrike() external view returns (bool);

    /// @notice Sums of an epoch, and the number of its strike (0: not struck).
    function epochState(uint256 epoch) external view returns (uint256 deposits, uint256 redeems, uint256 number);

    /// @notice Shares that were struck but not paid and wait for the next strike, the last epoch struck, and the number of strikes.
    function queueState() external view returns (uint256 waiting, uint256 through, uint256 strikes);
}
