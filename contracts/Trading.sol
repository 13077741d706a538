// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Market, Pool} from "./Ledger.sol";
import {Initial, Margin} from "./Margin.sol";
import {FillOrder, FillResult} from "./interfaces/IClearinghouse.sol";
import {FillWords} from "./interfaces/IClearinghouseEvents.sol";
import {FixedMath, PPM} from "./libraries/FixedMath.sol";
import {Action, PriceMatrix} from "./libraries/PriceMatrix.sol";
import {PricingMath} from "./libraries/PricingMath.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {LimitsWord, MarketFlags, Pause} from "./types/ConfigWords.sol";
import {AccountId} from "./types/Ids.sol";
import {PriceFlags, Spot, Trend} from "./types/Observation.sol";
import {PositionWord} from "./types/PositionWord.sol";

/// @title A fill, step by step
/// @notice Used by the Clearinghouse to fill and by the Lens to preview: the same code.
abstract contract Trading is Margin {
    using FixedMath for int256;

    function _solvencyModule() internal view virtual returns (address);

    /// @dev What a fill works with beside pool and market.
    struct Work {
        AccountWord account;
        LimitsWord limits;
        int256 sizeBefore;
        int256 sizeAfter;
        int256 delta;
        uint256 price;
        int256 skew;
        int256 cost;
        uint256 variance;
        bool reducing;
    }

    /// @notice Fills an order: accrue → protection of the pool → touch → premium and fees → new position → keeper → margin.
    function _fill(FillOrder memory order) internal returns (FillResult memory result) {
        require(order.market.pool() == order.account.pool(), OtherPool(order.account, order.market.pool()));
        Pool memory p = _loadPool(order.market.pool());
        Market memory m = _loadMarketToChange(order.market);
        (Spot spot, Trend trend) = _takePrice(m);
        Work memory w;
        w.price = order.spot.price();
        w.variance = trend.variance();
        w.account = accounts_[order.account];
        PositionWord position = positions_[order.account][order.market.index()];
        w.sizeBefore = _sizeOf(m, position);
        result.profit = _profitOf(m, position, w.price);
        if (result.profit > 0) {
            _mark(p, m);
            if (_unsound(p, m)) {
                (p, m) = _protect(p, m);
                w.sizeBefore = _sizeOf(m, position);
                result.profit = _profitOf(m, position, w.price);
            }
        }
        _shape(order, p, w, PositionWord.unwrap(position) != 0);
        _admit(order, spot, p, m, w);
        w.skew = m.skew;
        result.sizeDelta = w.delta;
        (result.fillPrice, w.cost) = _priceOf(order, spot, m, w);
        result.fee = PricingMath.fee(w.price, w.skew, w.delta, m.trade.makerPpm(), m.trade.takerPpm());
        _takeOut(p, m, position, result.profit);
        unchecked {
            w.account = _addCash(w.account, p, result.profit - w.cost - int256(result.fee));
            p.cash += w.cost;
        }
        _splitFee(p, result.fee);
        position = _putIn(m, w.sizeAfter, w.price);
        w.account = w.account.withMarket(m.id.index(), w.sizeAfter != 0);
        _mark(p, m);
        if (!order.reduceOnly) w.account = w.account.withPendingOrders(w.account.pendingOrders() - 1);
        if (!w.reducing) _checkIncrease(p, m, w);
        positions_[order.account][order.market.index()] = position;
        _checkMargin(order, p, m, w, result.fee);
        p.escrow -= order.keeperFee;
        _store(order, result, p, m, w, position);
    }

    /// @notice Stores the account, the keeper's account, market and pool, and tells what the fill did and left.
    function _store(
        FillOrder memory order,
        FillResult memory result,
        Pool memory p,
        Market memory m,
        Work memory w,
        PositionWord position
    ) private {
        FillWords memory words;
        words.account = _writeAccount(order.account, w.account);
        words.keeper = _writePayment(p, order.keeper, order.keeperFee);
        words.position = position;
        (words.funding, words.sides) = _writeMarket(m);
        (words.longEntrySum, words.shortEntrySum) = (m.long.entrySum, m.short.entrySum);
        (words.money, words.dues) = _writePool(p);
        emit Filled(
            order.account,
            order.market,
            order.keeper,
            order.id,
            order.spot,
            w.delta,
            w.sizeAfter,
            result.fillPrice,
            result.profit,
            w.cost,
            result.fee,
            words
        );
    }

    /// @notice What the order does to the position: clamps a reduce-only order, closes what would be left as dust.
    function _shape(FillOrder memory order, Pool memory p, Work memory w, bool held) private view {
        int256 before = w.sizeBefore;
        w.delta = order.sizeDelta;
        if (order.reduceOnly && before == 0 && held) {
            // Deleveraging closed the position: there is nothing left to trade, only its value to collect.
            (w.delta, w.reducing) = (0, true);
            return;
        }
        if (order.reduceOnly) {
            require(before != 0 && (before > 0) != (w.delta > 0), NothingToReduce(order.account, order.market));
            if (w.delta.abs() > before.abs()) w.delta = -before;
        }
        int256 next = before + w.delta;
        w.reducing = before != 0 && (before > 0) != (w.delta > 0) && w.delta.abs() <= before.abs();
        uint256 minimum = p.risk.minNotional();
        uint256 notional = PricingMath.notionalDown(next.abs(), w.price);
        if (next != 0 && notional < minimum) {
            require(w.reducing, BelowMinNotional(notional, minimum));
            (next, w.delta) = (0, -before);
        }
        w.sizeAfter = next;
        if (!w.reducing) {
            w.limits = marketConfigs_[order.market].limits;
            uint256 most = w.limits.maxPosition();
            require(next.abs() <= most, PositionTooLarge(next.abs(), most));
        }
    }

    /// @notice Refusals that leave the order pending: settled, paused, prices.
    function _admit(FillOrder memory order, Spot spot, Pool memory p, Market memory m, Work memory w) private pure {
        require(!m.margin.has(MarketFlags.SETTLED), MarketSettled(m.id));
        uint256 asset = m.margin.asset();
        if (w.reducing) {
            // Closing needs the order's own price; that the newest one is invalid does not matter.
            uint256 closeFlags = order.spot.flags() | (spot.flags() & ~PriceFlags.INVALID);
            require(PriceMatrix.tolerates(Action.ReduceRisk, closeFlags), PriceRefused(asset, closeFlags));
            return;
        }
        require(!p.risk.paused(Pause.INCREASE), IncreasePaused(p.id));
        require(!m.margin.has(MarketFlags.REDUCE_ONLY), ReduceOnlyMarket(m.id));
        uint256 flags = order.spot.flags() | spot.flags();
        require(PriceMatrix.tolerates(Action.IncreaseRisk, flags), PriceRefused(asset, flags));
    }

    /// @notice Price per unit and cost of the fill; while the sources deviate a reduction happens at the worse of them.
    function _priceOf(FillOrder memory order, Spot spot, Market memory m, Work memory w)
        private
        pure
        returns (uint256 fillPrice, int256 cost)
    {
        if (w.delta == 0) return (w.price, 0);
        bool buy = w.delta > 0;
        uint256 side = buy ? order.spot.high() : order.spot.low();
        if (spot.has(PriceFlags.DEVIATED)) {
            side = buy ? FixedMath.max(side, spot.other()) : FixedMath.min(side, spot.other());
        }
        uint256 skewScale = m.trade.skewScale();
        fillPrice = PricingMath.fillPrice(side, w.skew, w.delta, skewScale);
        require(
            buy ? fillPrice <= order.limitPrice : fillPrice >= order.limitPrice, PriceLimit(fillPrice, order.limitPrice)
        );
        cost = PricingMath.fillCost(side, w.price, w.skew, w.delta, skewScale);
    }

    /// @notice insuranceShare to insurance, lpShare to V, the rest to protocol fees.
    function _splitFee(Pool memory p, uint256 fee) private pure {
        unchecked {
            uint256 toInsurance = fee * p.risk.insuranceSharePpm() / PPM;
            uint256 toPool = fee * p.risk.lpSharePpm() / PPM;
            p.insurance += toInsurance;
            p.cash += int256(toPool);
            p.fees += fee - toInsurance - toPool;
        }
    }

    /// @notice Caps of a risk increase, after the trade.
    function _checkIncrease(Pool memory p, Market memory m, Work memory w) private pure {
        unchecked {
            int256 nav = _nav(p);
            require(nav > 0, PoolInsolvent(p.id, nav));
            uint256 interest = _interest(w.sizeAfter > 0 ? m.long : m.short);
            uint256 multiple = w.limits.navMultiplePpm();
            uint256 cap = FixedMath.min(w.limits.oiCap(), FixedMath.mulDivDown(uint256(nav), multiple * 1e12, m.price));
            require(interest <= cap, OpenInterestCap(interest, cap));
            uint256 skew = m.skew.abs();
            require(skew <= w.limits.skewCap() || skew <= w.skew.abs(), SkewCap(skew, w.limits.skewCap()));
            if (w.sizeBefore == 0) {
                uint256 most = p.risk.maxMarkets();
                uint256 count = _bits(w.account.markets());
                require(count <= most, TooManyMarkets(count, most));
            }
        }
    }

    /// @notice A reduction passes when equity ≥ 0 and health does not fall; everything else needs equity^I ≥ IM, its own market at the
    /// order's price, the others at the latest.
    function _checkMargin(FillOrder memory order, Pool memory p, Market memory m, Work memory w, uint256 fee) private {
        unchecked {
            if (w.reducing && _keepsHealth(order.account, p, m, w, fee)) return;
            Initial memory c = _initialMargin(
                order.account,
                w.account,
                p,
                p.risk.profitWeightPpm(),
                m.id.index(),
                PriceMatrix.refused(Action.IncreaseRisk)
            );
            uint256 required = c.required;
            if (w.sizeAfter != 0) required += _initialRequirement(m, w.sizeAfter.abs(), w.price, w.variance);
            if (c.any || w.sizeAfter != 0) required += p.risk.keeperFloor();
            _requireMargin(c, required);
            uint256 newest = FixedMath.max(c.newest, order.spot.publishTime());
            w.account = w.account.withLastCheck(FixedMath.max(w.account.lastCheck(), newest));
            if (w.account.collaterals() != 0) _endSale(order.account);
            // Fee and premium of an increase are voluntary debt; a settled loss is not.
            if (w.account.rawCash() < 0 && w.cost + int256(fee) > 0) _requireBorrowable(p);
        }
    }

    /// @notice equity ≥ 0 and E'·MM ≥ E·MM', both at the prices of this fill.
    function _keepsHealth(AccountId account, Pool memory p, Market memory m, Work memory w, uint256 fee)
        private
        returns (bool)
    {
        (int256 equity, uint256 required, bool any) = _maintenanceMargin(account, w.account, p, m.id.index());
        uint256 floor = p.risk.keeperFloor();
        uint256 before = required + floor + _maintenanceRequirement(m.margin, w.sizeBefore.abs(), w.price);
        uint256 later = required + (any || w.sizeAfter != 0 ? floor : 0)
            + _maintenanceRequirement(m.margin, w.sizeAfter.abs(), w.price);
        int256 equityBefore = equity + w.cost + int256(fee);
        return equityBefore >= 0 && equity * int256(before) >= equityBefore * int256(later);
    }

    /// @notice Lets the solvency module deleverage and socialise before profit is credited.
    function _protect(Pool memory p, Market memory m) private returns (Pool memory, Market memory) {
        _storeMarket(m);
        _storePool(p);
        (bool success, bytes memory result) =
            _solvencyModule().delegatecall(abi.encodeWithSignature("protect(uint24)", m.id));
        if (!success) TokenLib.bubble(result);
        p = _loadPool(p.id);
        m = _loadMarketToChange(m.id);
        return (p, m);
    }
}
