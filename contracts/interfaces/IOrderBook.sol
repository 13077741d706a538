// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWord, QueueWord} from "../types/OrderWords.sol";
import {AccountId, MarketId} from "../types/Ids.sol";

/// @notice A placed order as its event told it. The OrderBook keeps only its hash.
/// @param id counts the orders of this account in this market, from 1
/// @param placedAt seconds
/// @param sizeDelta WAD units, > 0 buys
/// @param limitPrice WAD; a buy refuses to pay more, a sell to get less; type(uint256).max for a buy and 0 for a sell is no limit
/// @param expiry seconds; the order can be filled up to and including this time
/// @param keeperFee WAD, in escrow
/// @param reduceOnly clamped to the position, fails without one of the other sign
/// @param clientId means nothing here
struct Order {
    AccountId account;
    MarketId market;
    uint256 id;
    uint256 placedAt;
    int256 sizeDelta;
    uint256 limitPrice;
    uint256 expiry;
    uint256 keeperFee;
    bool reduceOnly;
    bytes32 clientId;
}

/// @notice An order and what leads to its price.
/// @param hint see `IOracleHub.firstAfter`
struct ExecuteItem {
    Order order;
    bytes hint;
}

/// @notice How the orders of one market are handled. Times in seconds.
/// @param asset of the OracleHub, the one that the Clearinghouse prices the market with; cannot be changed once set
/// @param settlementDelay from placement to the price time
/// @param cancelMargin before the price time at which cancelling ends
/// @param execWindow after the price's publication in which the order may be filled
/// @param latency that the feed's publication may lag behind the market
/// @param minKeeperFee WAD, multiple of 1e9; reduce-only orders may offer less
struct OrderRules {
    uint256 asset;
    uint256 settlementDelay;
    uint256 cancelMargin;
    uint256 execWindow;
    uint256 latency;
    uint256 minKeeperFee;
}

/// @notice What became of one item of a batch. The first three end the order, all others leave everything as it was.
enum OrderResult {
    /// filled, the keeper got the fee
    Filled,
    /// could not be filled by the trader's own doing, the keeper got the fee
    Cancelled,
    /// too late; the fee went to whom `OrderExpired` says
    Expired,
    /// not a pending order: it has ended, or a parameter is wrong
    NotPending,
    /// another order of the same account and market comes first
    NotHead,
    /// its price is not published yet: try again later
    NoPriceYet,
    /// the hint does not lead to its price: search again
    NotFirstPrice,
    /// the oracle refused for another reason
    PriceFailed,
    /// its price is not valid; the order waits until it expires
    PriceInvalid,
    /// the Clearinghouse refused, and not by the trader's doing: price limit, cap, pause, a price it does not tolerate
    Refused,
    /// `expireOrders`: it can still be filled
    StillOpen
}

/// @title Orders in two steps: commit, then execute at a price that nobody chose
interface IOrderBook {
    /// @notice With every parameter that `Order` needs; `priceTime` is the time from which its price is the first one published.
    event OrderPlaced(
        AccountId indexed account,
        MarketId indexed market,
        uint256 indexed id,
        uint256 placedAt,
        int256 sizeDelta,
        uint256 limitPrice,
        uint256 expiry,
        uint256 keeperFee,
        bool reduceOnly,
        bytes32 clientId,
        uint256 priceTime
    );
    /// @param feeTo account that got the fee: the trader's own when he cancelled, else the keeper's
    /// @param reason the Clearinghouse's error, empty when the trader cancelled
    event OrderCancelled(
        AccountId indexed account, MarketId indexed market, uint256 indexed id, AccountId feeTo, bytes reason
    );
    /// @param feeTo account that got the fee: the keeper's if he showed the order's price, else the trader's own
    event OrderExpired(AccountId indexed account, MarketId indexed market, uint256 indexed id, AccountId feeTo);
    /// @notice An item of a batch that changed nothing.
    /// @param reason error of the contract that refused, empty when it was this one
    event OrderSkipped(
        AccountId indexed account, MarketId indexed market, uint256 indexed id, OrderResult result, bytes reason
    );
    event MarketRulesSet(MarketId indexed market, OrderRules rules);

    error ZeroAddress();
    error ClockSkewOutOfRange(uint256 clockSkew, uint256 largest);

    // ── orders ──
    /// @notice `market` takes no orders.
    error UnknownMarket(MarketId market);
    error ZeroSize();
    error ExpiryPassed(uint256 expiry, uint256 time);
    error ExpiryTooEarly(uint256 expiry, uint256 earliest);
    error ExpiryTooLate(uint256 expiry, uint256 latest);
    error KeeperFeeTooLow(uint256 fee, uint256 least);
    error QueueFull(AccountId account, MarketId market, uint256 most);
    error NotAccountOwner(AccountId account, address caller);
    /// @notice The order has ended, or a parameter is wrong.
    error OrderNotPending(AccountId account, MarketId market, uint256 id);
    /// @notice Other orders are before and behind it.
    error OrderInTheMiddle(AccountId account, MarketId market, uint256 id);
    /// @notice Cancelling ended at `until` and is possible again after `expiry`.
    error CancelTooLate(uint256 time, uint256 until, uint256 expiry);
    /// @notice A call that failed may have failed for want of gas; send more. `available` is what was left before it.
    error NotEnoughGas(uint256 available);
    error RefundRefused(address to, uint256 amount);
    error NotHub(address caller);
    error LengthMismatch(uint256 accounts, uint256 markets);

    // ── rules ──
    error AssetOutOfRange(uint256 asset, uint256 largest);
    error AssetFixed(MarketId market, uint256 asset);
    error SettlementDelayTooShort(uint256 settlementDelay, uint256 latency, uint256 clockSkew);
    error SettlementDelayTooLong(uint256 settlementDelay, uint256 most);
    error CancelMarginTooShort(uint256 cancelMargin, uint256 least);
    error CancelMarginTooLong(uint256 cancelMargin, uint256 most);
    error ExecWindowOutOfRange(uint256 execWindow, uint256 largest);
    error FeeGranularity(uint256 fee);
    error MinKeeperFeeTooHigh(uint256 fee, uint256 most);

    /// @notice Places an order and takes its keeper fee into escrow. Only the owner of `account`.
    /// @param sizeDelta WAD units, > 0 buys
    /// @param limitPrice WAD, see `Order`
    /// @param expiry seconds, 60 to 3600 from now and not before the order's price time
    /// @param keeperFee WAD, multiple of 1e9 and of one native unit of the settlement asset
    /// @return id of the order among those of this account in this market
    /// @custom:reverts ZeroSize, UnknownMarket, ExpiryPassed, ExpiryTooEarly, ExpiryTooLate, KeeperFeeTooLow, QueueFull, and what
    /// `IClearinghouse.reserveFee` refuses
    function placeOrder(
        AccountId account,
        MarketId market,
        int256 sizeDelta,
        uint256 limitPrice,
        uint256 expiry,
        uint256 keeperFee,
        bool reduceOnly,
        bytes32 clientId
    ) external returns (uint256 id);

    /// @notice Cancels the first or the last of the caller's pending orders in a market; the fee returns. Possible before the price
    /// time by more than the cancel margin, and after expiry.
    /// @custom:reverts NotAccountOwner, OrderNotPending, OrderInTheMiddle, CancelTooLate
    function cancelOrder(Order calldata order) external;

    /// @notice Fills, cancels or expires orders; one that cannot be ended stays as it is and does not disturb the others. Anyone.
    /// @dev Excess `msg.value`, which pays for price updates, returns to the caller. Send gas with a margin: a call that fails
    /// and leaves less than an eighth of the gas reverts the whole batch, because it may have failed for that reason.
    /// @param keeper account that gets the fees; if it is no account of the pool, its owner gets a claim
    /// @return results one per item
    /// @custom:reverts ZeroAddress, NotEnoughGas, RefundRefused
    function executeOrders(ExecuteItem[] calldata items, AccountId keeper)
        external
        payable
        returns (OrderResult[] memory results);

    /// @notice As `executeOrders`, but fills nothing: clears orders that are too late.
    function expireOrders(ExecuteItem[] calldata items, AccountId keeper)
        external
        payable
        returns (OrderResult[] memory results);

    /// @notice Sets how the orders of a market are handled. Orders already placed keep their price time. Only the owner.
    /// @custom:reverts one named error per inequality
    function setMarket(MarketId market, OrderRules calldata rules) external;

    /// @notice Hash that stands for an order; the OrderBook keeps its upper 184 bits.
    function hashOrder(Order calldata order) external pure returns (bytes32);

    /// @notice Newest id ever given and number of pending orders. The pending ones have rising ids, not always without a gap.
    function pending(AccountId account, MarketId market) external view returns (uint256 lastId, uint256 count);

    /// @notice Queue words of many accounts and markets, in pairs.
    function queues(AccountId[] calldata accounts, MarketId[] calldata markets)
        external
        view
        returns (QueueWord[] memory words);

    /// @notice Words of all pending orders of an account in a market, the first to be executed first.
    function orderWords(AccountId account, MarketId market) external view returns (OrderWord[] memory words);

    /// @notice Where each order stands in its queue: 1 is next, 0 is not pending.
    function positionsOf(Order[] calldata orders) external view returns (uint256[] memory positions);

    /// @notice Rules of a market, all zero when it takes no orders.
    function rulesOf(MarketId market) external view returns (OrderRules memory rules);
}
