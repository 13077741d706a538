// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {FillOrder, IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {IClearinghouseErrors} from "./interfaces/IClearinghouseErrors.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {ExecuteItem, IOrderBook, Order, OrderResult, OrderRules} from "./interfaces/IOrderBook.sol";
import {Queue} from "./libraries/OrderQueue.sol";
import {FeedCall} from "./oracles/FeedCall.sol";
import {AccountId, MarketId} from "./types/Ids.sol";
import {PriceFlags, Spot} from "./types/Observation.sol";
import {OrderWord, OrderWordLib, QueueWord, QueueWordLib, RulesWord, RulesWordLib} from "./types/OrderWords.sol";

/// @title Turns committed orders into fills at a price that nobody chose
/// @notice Natspec is on `IOrderBook`. No token is here; keeper fees are in escrow at the Clearinghouse.
///
/// Life of an order, with T = placedAt + settlementDelay fixed at placement, P the first price published at or after T, and t the
/// publish time of P:
///
/// | from    | to        | when                                             | fee goes to |
/// |---------|-----------|--------------------------------------------------|-------------|
/// |         | pending   | `placeOrder`                                     | escrow      |
/// | pending | filled    | head, now ≤ t + execWindow, now ≤ expiry, fill   | keeper      |
/// | pending | cancelled | as filled, but fails by the trader's own doing   | keeper      |
/// | pending | cancelled | trader, now + cancelMargin < T or now > expiry   | trader      |
/// | pending | expired   | head, P shown, now > t + execWindow              | keeper      |
/// | pending | expired   | head, now > expiry, P shown and t ≤ expiry       | keeper      |
/// | pending | expired   | head, now > expiry, otherwise                    | trader      |
///
/// Nothing else ends an order, and each id ends once. Until its expiry an order can be cleared only by showing P, and P alone
/// tells whether it is too late: neither trader nor keeper has a choice. A P that is itself invalid counts alike but fills nothing.
/// @dev Orders of one account and market are a queue: only the head is executed or expired, only the head or the last is cancelled.
/// The word of the head shares a slot with the counters; a slot is never cleared, so that the next order finds it in use.
contract OrderBook is IOrderBook, Ownable2Step {
    uint256 public constant MAX_PENDING = QueueWordLib.SIZE;
    uint256 public constant MIN_EXPIRY = 60 seconds;
    uint256 public constant MAX_EXPIRY = 1 hours;
    uint256 public constant MAX_EXEC_WINDOW = 60 seconds;
    uint256 public constant MAX_CLOCK_SKEW = 60 seconds;
    uint256 private constant LARGEST_ASSET = type(uint8).max;
    uint256 private constant FEE_UNIT = 1e9;
    uint256 private constant MAX_MIN_FEE = type(uint64).max * FEE_UNIT;
    /// A call that runs out of gas k calls deep leaves at most 1 − (63/64)^k of the gas: less than an eighth for k ≤ 8.
    uint256 private constant GAS_LEFT_PART = 8;

    IClearinghouse public immutable CLEARINGHOUSE;
    IOracleHub public immutable HUB;
    /// @notice How far the clocks of chain and feeds may differ, seconds; at least 1, so that no price known at placement counts.
    uint256 public immutable CLOCK_SKEW;

    mapping(AccountId account => mapping(MarketId market => Queue)) private _queues;
    mapping(MarketId market => RulesWord) private _rules;

    /// @dev Over every entry point that changes state.
    modifier locked() {
        CLEARINGHOUSE.lock();
        _;
        CLEARINGHOUSE.unlock();
    }

    /// @dev Returns at the end, when the lock is free again, what the caller sent and nobody spent.
    modifier refunding() {
        _;
        uint256 rest = address(this).balance;
        if (rest != 0) {
            (bool ok,) = msg.sender.call{value: rest}("");
            require(ok, RefundRefused(msg.sender, rest));
        }
    }

    constructor(IClearinghouse clearinghouse, IOracleHub hub, uint256 clockSkew, address owner_) Ownable(owner_) {
        require(address(clearinghouse) != address(0) && address(hub) != address(0), ZeroAddress());
        require(clockSkew != 0 && clockSkew <= MAX_CLOCK_SKEW, ClockSkewOutOfRange(clockSkew, MAX_CLOCK_SKEW));
        (CLEARINGHOUSE, HUB, CLOCK_SKEW) = (clearinghouse, hub, clockSkew);
    }

    /// @notice Takes back what the hub did not spend on a price update.
    receive() external payable {
        require(msg.sender == address(HUB), NotHub(msg.sender));
    }

    // ── trader ─────────────────────────────────────────────────────────────

    /// @inheritdoc IOrderBook
    function placeOrder(
        AccountId account,
        MarketId market,
        int256 sizeDelta,
        uint256 limitPrice,
        uint256 expiry,
        uint256 keeperFee,
        bool reduceOnly,
        bytes32 clientId
    ) external locked returns (uint256 id) {
        require(sizeDelta != 0, ZeroSize());
        RulesWord rules = _rules[market];
        require(rules.asset() != 0, UnknownMarket(market));
        uint256 priceTime = block.timestamp + rules.settlementDelay();
        _checkExpiry(expiry, priceTime);
        // No fee parameter may stand in the way of closing: whoever pays less executes it himself.
        require(reduceOnly || keeperFee >= rules.minKeeperFee(), KeeperFeeTooLow(keeperFee, rules.minKeeperFee()));
        Queue storage queue = _queues[account][market];
        QueueWord word = queue.word;
        require(word.count() < MAX_PENDING, QueueFull(account, market, MAX_PENDING));
        id = word.lastId() + 1;
        bytes memory order = abi.encode(
            account, market, id, block.timestamp, sizeDelta, limitPrice, expiry, keeperFee, reduceOnly, clientId
        );
        queue.append(word, OrderWordLib.pack(keccak256(order), priceTime), id);
        emit OrderPlaced(
            account,
            market,
            id,
            block.timestamp,
            sizeDelta,
            limitPrice,
            expiry,
            keeperFee,
            reduceOnly,
            clientId,
            priceTime
        );
        // Here is the authority: the Clearinghouse refuses everyone but the owner of the account.
        CLEARINGHOUSE.reserveFee(account, market, msg.sender, keeperFee, reduceOnly);
    }

    /// @inheritdoc IOrderBook
    function cancelOrder(Order calldata order) external locked {
        require(order.account.owner() == msg.sender, NotAccountOwner(order.account, msg.sender));
        Queue storage queue = _queues[order.account][order.market];
        QueueWord word = queue.word;
        uint256 position = queue.position(word, _hash(order));
        require(position != 0, OrderNotPending(order.account, order.market, order.id));
        require(position == 1 || position == word.count(), OrderInTheMiddle(order.account, order.market, order.id));
        uint256 until = queue.get(word, position - 1).priceTime() - _rules[order.market].cancelMargin();
        require(
            block.timestamp < until || block.timestamp > order.expiry,
            CancelTooLate(block.timestamp, until, order.expiry)
        );
        if (position == 1) queue.removeHead(word);
        else queue.removeLast(word);
        emit OrderCancelled(order.account, order.market, order.id, order.account, "");
        CLEARINGHOUSE.releaseFee(order.account, order.keeperFee, order.reduceOnly, false, order.account);
    }

    // ── keeper ─────────────────────────────────────────────────────────────

    /// @inheritdoc IOrderBook
    function executeOrders(ExecuteItem[] calldata items, AccountId keeper)
        external
        payable
        returns (OrderResult[] memory results)
    {
        return _each(items, keeper, true);
    }

    /// @inheritdoc IOrderBook
    function expireOrders(ExecuteItem[] calldata items, AccountId keeper)
        external
        payable
        returns (OrderResult[] memory results)
    {
        return _each(items, keeper, false);
    }

    // ── owner ──────────────────────────────────────────────────────────────

    /// @inheritdoc IOrderBook
    function setMarket(MarketId market, OrderRules calldata rules) external onlyOwner locked {
        require(rules.asset != 0 && rules.asset <= LARGEST_ASSET, AssetOutOfRange(rules.asset, LARGEST_ASSET));
        // Another asset would give pending orders another price.
        uint256 asset = _rules[market].asset();
        require(asset == 0 || asset == rules.asset, AssetFixed(market, asset));
        require(
            rules.execWindow != 0 && rules.execWindow <= MAX_EXEC_WINDOW,
            ExecWindowOutOfRange(rules.execWindow, MAX_EXEC_WINDOW)
        );
        // An order with the longest expiry has its whole window.
        uint256 most = MAX_EXPIRY - rules.execWindow;
        require(rules.settlementDelay <= most, SettlementDelayTooLong(rules.settlementDelay, most));
        require(
            rules.latency <= MAX_EXPIRY && rules.settlementDelay >= rules.latency + CLOCK_SKEW,
            SettlementDelayTooShort(rules.settlementDelay, rules.latency, CLOCK_SKEW)
        );
        require(rules.cancelMargin >= CLOCK_SKEW, CancelMarginTooShort(rules.cancelMargin, CLOCK_SKEW));
        require(
            rules.cancelMargin <= rules.settlementDelay, CancelMarginTooLong(rules.cancelMargin, rules.settlementDelay)
        );
        require(rules.minKeeperFee % FEE_UNIT == 0, FeeGranularity(rules.minKeeperFee));
        require(rules.minKeeperFee <= MAX_MIN_FEE, MinKeeperFeeTooHigh(rules.minKeeperFee, MAX_MIN_FEE));
        _rules[market] = RulesWordLib.pack(
            rules.asset, rules.settlementDelay, rules.cancelMargin, rules.execWindow, rules.latency, rules.minKeeperFee
        );
        emit MarketRulesSet(market, rules);
    }

    function transferOwnership(address newOwner) public override locked {
        super.transferOwnership(newOwner);
    }

    function acceptOwnership() public override locked {
        super.acceptOwnership();
    }

    function renounceOwnership() public override locked {
        super.renounceOwnership();
    }

    // ── views ──────────────────────────────────────────────────────────────

    /// @inheritdoc IOrderBook
    function hashOrder(Order calldata order) external pure returns (bytes32) {
        return _hash(order);
    }

    /// @inheritdoc IOrderBook
    function pending(AccountId account, MarketId market) external view returns (uint256 lastId, uint256 count) {
        QueueWord word = _queues[account][market].word;
        return (word.lastId(), word.count());
    }

    /// @inheritdoc IOrderBook
    function queues(AccountId[] calldata accounts, MarketId[] calldata markets)
        external
        view
        returns (QueueWord[] memory words)
    {
        require(accounts.length == markets.length, LengthMismatch(accounts.length, markets.length));
        words = new QueueWord[](accounts.length);
        for (uint256 i; i < accounts.length; ++i) {
            words[i] = _queues[accounts[i]][markets[i]].word;
        }
    }

    /// @inheritdoc IOrderBook
    function orderWords(AccountId account, MarketId market) external view returns (OrderWord[] memory words) {
        Queue storage queue = _queues[account][market];
        QueueWord word = queue.word;
        words = new OrderWord[](word.count());
        for (uint256 i; i < words.length; ++i) {
            words[i] = queue.get(word, i);
        }
    }

    /// @inheritdoc IOrderBook
    function positionsOf(Order[] calldata orders) external view returns (uint256[] memory positions) {
        positions = new uint256[](orders.length);
        for (uint256 i; i < orders.length; ++i) {
            Queue storage queue = _queues[orders[i].account][orders[i].market];
            positions[i] = queue.position(queue.word, _hash(orders[i]));
        }
    }

    /// @inheritdoc IOrderBook
    function rulesOf(MarketId market) external view returns (OrderRules memory) {
        RulesWord w = _rules[market];
        return
            OrderRules(w.asset(), w.settlementDelay(), w.cancelMargin(), w.execWindow(), w.latency(), w.minKeeperFee());
    }

    // ── one item of a batch ────────────────────────────────────────────────

    function _each(ExecuteItem[] calldata items, AccountId keeper, bool mayFill)
        private
        refunding
        locked
        returns (OrderResult[] memory results)
    {
        require(keeper.owner() != address(0), ZeroAddress());
        results = new OrderResult[](items.length);
        for (uint256 i; i < items.length; ++i) {
            Order calldata order = items[i].order;
            (OrderResult result, bytes memory reason) = _process(order, items[i].hint, keeper, mayFill);
            results[i] = result;
            if (result > OrderResult.Expired) emit OrderSkipped(order.account, order.market, order.id, result, reason);
        }
    }

    function _process(Order calldata order, bytes calldata hint, AccountId keeper, bool mayFill)
        private
        returns (OrderResult, bytes memory)
    {
        Queue storage queue = _queues[order.account][order.market];
        QueueWord word = queue.word;
        bytes32 hash = _hash(order);
        if (word.count() == 0 || !word.head().isOf(hash)) {
            return (queue.position(word, hash) == 0 ? OrderResult.NotPending : OrderResult.NotHead, "");
        }
        RulesWord rules = _rules[order.market];
        bool lapsed = block.timestamp > order.expiry;
        uint256 available = gasleft();
        try HUB.firstAfter{value: address(this).balance}(rules.asset(), word.head().priceTime(), hint) returns (
            Spot price
        ) {
            if (lapsed || block.timestamp > price.publishTime() + rules.execWindow()) {
                return _expire(queue, word, order, price.publishTime() <= order.expiry ? keeper : order.account);
            }
            if (!mayFill) return (OrderResult.StillOpen, "");
            if (price.has(PriceFlags.INVALID)) return (OrderResult.PriceInvalid, "");
            return _fill(queue, word, order, price, keeper);
        } catch (bytes memory reason) {
            _requireGas(available, reason);
            if (lapsed) return _expire(queue, word, order, order.account);
            if (bytes4(reason) == IOracleHub.NoPriceYet.selector) return (OrderResult.NoPriceYet, reason);
            if (bytes4(reason) == IOracleHub.NotFirstPrice.selector) return (OrderResult.NotFirstPrice, reason);
            return (OrderResult.PriceFailed, reason);
        }
    }

    function _fill(Queue storage queue, QueueWord word, Order calldata order, Spot price, AccountId keeper)
        private
        returns (OrderResult, bytes memory)
    {
        FillOrder memory asked = FillOrder({
            account: order.account,
            market: order.market,
            sizeDelta: order.sizeDelta,
            limitPrice: order.limitPrice,
            reduceOnly: order.reduceOnly,
            spot: price,
            keeperFee: order.keeperFee,
            keeper: keeper,
            id: order.id
        });
        uint256 available = gasleft();
        try CLEARINGHOUSE.fill(asked) {
            // The Clearinghouse tells that the order was filled.
            queue.removeHead(word);
            return (OrderResult.Filled, "");
        } catch (bytes memory reason) {
            _requireGas(available, reason);
            if (!_isTradersDoing(bytes4(reason))) return (OrderResult.Refused, reason);
            (bool released, bytes memory failure) = _release(order, keeper);
            if (!released) return (OrderResult.Refused, failure);
            queue.removeHead(word);
            emit OrderCancelled(order.account, order.market, order.id, keeper, reason);
            return (OrderResult.Cancelled, "");
        }
    }

    function _expire(Queue storage queue, QueueWord word, Order calldata order, AccountId feeTo)
        private
        returns (OrderResult, bytes memory)
    {
        (bool released, bytes memory failure) = _release(order, feeTo);
        if (!released) return (OrderResult.Refused, failure);
        queue.removeHead(word);
        emit OrderExpired(order.account, order.market, order.id, feeTo);
        return (OrderResult.Expired, "");
    }

    function _release(Order calldata order, AccountId feeTo) private returns (bool, bytes memory) {
        bool toKeeper = !(feeTo == order.account);
        uint256 available = gasleft();
        try CLEARINGHOUSE.releaseFee(order.account, order.keeperFee, order.reduceOnly, toKeeper, feeTo) {
            return (true, "");
        } catch (bytes memory reason) {
            _requireGas(available, reason);
            return (false, reason);
        }
    }

    /// @dev Gas must never decide what becomes of an order.
    function _requireGas(uint256 available, bytes memory reason) private view {
        require(
            gasleft() > available / GAS_LEFT_PART && bytes4(reason) != FeedCall.FeedNeedsMoreGas.selector,
            NotEnoughGas(available)
        );
    }

    /// @dev Only these named errors let the trader pay for an order that was not filled.
    function _isTradersDoing(bytes4 selector) private pure returns (bool) {
        return selector == IClearinghouseErrors.InsufficientMargin.selector
            || selector == IClearinghouseErrors.NothingToReduce.selector
            || selector == IClearinghouseErrors.BelowMinNotional.selector
            || selector == IClearinghouseErrors.PositionTooLarge.selector
            || selector == IClearinghouseErrors.TooManyMarkets.selector;
    }

    /// @dev Equivalent to `keccak256(abi.encode(order))`, without taking its ten words apart and putting them together again.
    function _hash(Order calldata order) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, order, 320)
            hash := keccak256(free, 320)
        }
    }

    function _checkExpiry(uint256 expiry, uint256 priceTime) private view {
        require(expiry > block.timestamp, ExpiryPassed(expiry, block.timestamp));
        uint256 earliest = Math.max(priceTime, block.timestamp + MIN_EXPIRY);
        require(expiry >= earliest, ExpiryTooEarly(expiry, earliest));
        uint256 latest = block.timestamp + MAX_EXPIRY;
        require(expiry <= latest, ExpiryTooLate(expiry, latest));
    }
}
