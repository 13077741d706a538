// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {StrikeState} from "../interfaces/IClearinghouse.sol";
import {IClearinghouseErrors} from "../interfaces/IClearinghouseErrors.sol";
import {TokenLib} from "../libraries/TokenLib.sol";
import {AccountId, PoolId} from "../types/Ids.sol";

/// @title The part of the Clearinghouse that an LP token sees, for one pool without markets
/// @notice Keeps the same buckets (cash V, escrow, claim of the LP token, fees; all WAD) and holds the tokens. What markets would decide
/// (unrealised profit, what is not collectable, what may leave) is set by hand.
contract MockLedger {
    address public immutable token;
    /// WAD per native unit
    uint256 public immutable unit;
    address public shareToken;
    address public lockedBy;

    int256 public cash;
    uint256 public escrow;
    uint256 public claimed;
    uint256 public fees;
    mapping(AccountId => uint256) public paidTo;

    int256 public unrealised;
    uint256 public uncollectable;
    uint256 public payable_ = type(uint128).max;
    bool public paused;
    bool public priceRefused;

    constructor(address token_, uint256 unit_) {
        (token, unit) = (token_, unit_);
    }

    modifier holding() {
        require(lockedBy == msg.sender, IClearinghouseErrors.NotLocked());
        require(msg.sender == shareToken, IClearinghouseErrors.NotPeer(msg.sender));
        _;
    }

    // ── what a test sets ──

    function setShareToken(address shareToken_) external {
        shareToken = shareToken_;
    }

    function setMarkets(int256 unrealised_, uint256 uncollectable_, uint256 mostPayable) external {
        (unrealised, uncollectable, payable_) = (unrealised_, uncollectable_, mostPayable);
    }

    function setRefusals(bool paused_, bool priceRefused_) external {
        (paused, priceRefused) = (paused_, priceRefused_);
    }

    /// @notice A trader loses `amount` native units to the pool.
    function gain(uint256 amount) external {
        TokenLib.pull(token, msg.sender, amount);
        cash += int256(amount * unit);
    }

    /// @notice A trader wins `amount` native units from the pool.
    function lose(uint256 amount) external {
        cash -= int256(amount * unit);
        TokenLib.push(token, msg.sender, amount);
    }

    function fundFees(uint256 amount) external {
        TokenLib.pull(token, msg.sender, amount);
        fees += amount * unit;
    }

    /// @notice Holds the lock while it makes a call, and bubbles what that reverts with.
    function callLocked(address target, bytes calldata data) external {
        lockedBy = address(this);
        (bool success, bytes memory result) = target.call(data);
        if (!success) TokenLib.bubble(result);
        lockedBy = address(0);
    }

    // ── the lock ──

    function lock() external {
        require(msg.sender == shareToken, IClearinghouseErrors.NotPeer(msg.sender));
        require(lockedBy == address(0), IClearinghouseErrors.Locked());
        lockedBy = msg.sender;
    }

    function unlock() external {
        require(lockedBy == msg.sender, IClearinghouseErrors.NotLocked());
        lockedBy = address(0);
    }

    function isLocked() external view returns (bool) {
        return lockedBy != address(0);
    }

    // ── for the LP token ──

    function lpDeposit(PoolId pool, address from, uint256 amount) external holding {
        require(amount != 0, IClearinghouseErrors.ZeroAmount());
        require(!paused, IClearinghouseErrors.LpDepositPaused(pool));
        escrow += amount * unit;
        TokenLib.pull(token, from, amount);
    }

    function lpStrike(PoolId) external view holding returns (StrikeState memory state) {
        require(!priceRefused, IClearinghouseErrors.PriceRefused(1, 1));
        state.navEntry = cash + unrealised;
        state.navExit = state.navEntry - int256(uncollectable);
        uint256 liquid = cash > 0 ? uint256(cash) : 0;
        state.payable_ = payable_ < liquid ? payable_ : liquid;
        state.fees = fees;
    }

    function lpSettle(
        PoolId pool,
        uint256 deposited,
        uint256 refunded,
        uint256 redeemed,
        uint256 reward,
        AccountId keeper
    ) external holding {
        require(keeper.pool() == pool, IClearinghouseErrors.OtherPool(keeper, pool));
        escrow -= deposited + refunded;
        cash += int256(deposited) - int256(redeemed);
        claimed += refunded + redeemed;
        fees -= reward;
        paidTo[keeper] += reward;
    }

    function lpClaim(PoolId, address to, uint256 amount) external holding {
        require(to != address(0), IClearinghouseErrors.ZeroAddress());
        claimed -= amount * unit;
        TokenLib.push(token, to, amount);
    }

    function poolNav(PoolId) external view returns (int256) {
        require(lockedBy == address(0), IClearinghouseErrors.Locked());
        return cash + unrealised;
    }
}
