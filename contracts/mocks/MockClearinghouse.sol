// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FillOrder} from "../interfaces/IClearinghouse.sol";
import {IClearinghouseErrors} from "../interfaces/IClearinghouseErrors.sol";
import {AccountId, MarketId} from "../types/Ids.sol";

/// @title The side of the Clearinghouse that the OrderBook sees, with fills that end as a test wants
/// @notice Keeps the lock, the owner check and the escrow as the real one does; prices and margins do not exist here.
contract MockClearinghouse {
    enum Mode {
        Normal,
        /// reverts with `error`
        Revert,
        /// burns all its gas
        Burn,
        /// a call inside burns all its gas, after which it reverts with `error`
        BurnInside,
        /// calls `target` with `error` and remembers what came of it
        Call
    }

    event FeeReserved(AccountId account, MarketId market, uint256 fee, bool reduceOnly);
    event FeeReleased(AccountId account, uint256 fee, bool reduceOnly, bool toKeeper, AccountId keeper);
    event FillAsked(FillOrder order);

    address public immutable ORDER_BOOK;
    address public transient holder;
    uint256 public escrow;
    mapping(AccountId account => uint256) public pendingOrders;
    mapping(AccountId account => uint256) public feesOf;
    mapping(AccountId account => Mode) public modeOf;
    mapping(AccountId account => bytes) public errorOf;
    bytes public releaseError;
    address public target;
    bool public called;
    bytes public answer;
    uint256 public received;
    bool public receivedWhileLocked;

    constructor(address orderBook) {
        ORDER_BOOK = orderBook;
    }

    receive() external payable {
        (received, receivedWhileLocked) = (msg.value, holder != address(0));
    }

    modifier holding() {
        require(holder == msg.sender && msg.sender == ORDER_BOOK, IClearinghouseErrors.NotLocked());
        _;
    }

    /// @notice How fills of `account` end from now on.
    function setMode(AccountId account, Mode mode, bytes calldata error_) external {
        (modeOf[account], errorOf[account]) = (mode, error_);
    }

    function setTarget(address target_) external {
        target = target_;
    }

    /// @notice Releasing a fee reverts with this from now on, unless it is empty.
    function setReleaseError(bytes calldata error_) external {
        releaseError = error_;
    }

    function lock() external {
        require(holder == address(0), IClearinghouseErrors.Locked());
        require(msg.sender == ORDER_BOOK, IClearinghouseErrors.NotPeer(msg.sender));
        holder = msg.sender;
    }

    function unlock() external holding {
        holder = address(0);
    }

    function isLocked() external view returns (bool) {
        return holder != address(0);
    }

    function reserveFee(AccountId account, MarketId market, address caller, uint256 fee, bool reduceOnly)
        external
        holding
    {
        require(account.owner() == caller, IClearinghouseErrors.NotAccountOwner(account, caller));
        escrow += fee;
        if (!reduceOnly) ++pendingOrders[account];
        emit FeeReserved(account, market, fee, reduceOnly);
    }

    function releaseFee(AccountId account, uint256 fee, bool reduceOnly, bool toKeeper, AccountId keeper)
        external
        holding
    {
        if (releaseError.length != 0) _revert(releaseError);
        _end(account, fee, reduceOnly, toKeeper ? keeper : account);
        emit FeeReleased(account, fee, reduceOnly, toKeeper, keeper);
    }

    function fill(FillOrder calldata order) external holding {
        Mode mode = modeOf[order.account];
        if (mode == Mode.Burn) this.burn();
        if (mode == Mode.BurnInside) try this.burn() {} catch {}
        if (mode == Mode.Revert || mode == Mode.BurnInside) _revert(errorOf[order.account]);
        if (mode == Mode.Call) (called, answer) = target.call(errorOf[order.account]);
        _end(order.account, order.keeperFee, order.reduceOnly, order.keeper);
        emit FillAsked(order);
    }

    function burn() external pure {
        assembly ("memory-safe") {
            invalid()
        }
    }

    function _end(AccountId account, uint256 fee, bool reduceOnly, AccountId feeTo) private {
        escrow -= fee;
        feesOf[feeTo] += fee;
        if (!reduceOnly) --pendingOrders[account];
    }

    function _revert(bytes memory data) private pure {
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }
}
