// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger, Market, Pool} from "./Ledger.sol";
import {FixedMath} from "./libraries/FixedMath.sol";
import {Cast} from "./libraries/Cast.sol";
import {MarginMath} from "./libraries/MarginMath.sol";
import {Action, PriceMatrix} from "./libraries/PriceMatrix.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {CollateralWord, MarginWord, MarketFlags, PoolSettlementWord} from "./types/ConfigWords.sol";
import {AccountId, IdLib, PoolId} from "./types/Ids.sol";
import {Spot, Trend} from "./types/Observation.sol";
import {PositionWord} from "./types/PositionWord.sol";

/// @notice equity^I and IM, WAD, without the keeper floor.
/// @param newest newest publish time used, seconds
/// @param any whether a position was among them
/// @param zeroedAsset the last collateral asset that counted zero because of its price, with the price's flags
struct Initial {
    int256 equity;
    uint256 required;
    uint256 newest;
    bool any;
    uint256 zeroedAsset;
    uint256 zeroedFlags;
}

/// @title The two margin checks, and what an owner may take out
/// @notice equity^I against IM for everything that raises risk or takes value out, equity^M against MM for reductions.
abstract contract Margin is Ledger {
    using FixedMath for int256;

    // ── margin ─────────────────────────────────────────────────────────────

    /// @notice equity^I and IM of everything but market `skip`, at the latest prices; refuses a price of a position that a risk increase
    /// does not tolerate. Collateral whose price has a flag in `refused` counts zero.
    /// @param weightPpm part of unrealised profit that counts
    /// @param skip index of the market left out; `NO_MARKET` for none
    function _initialMargin(
        AccountId id,
        AccountWord a,
        Pool memory p,
        uint256 weightPpm,
        uint256 skip,
        uint256 refused
    ) internal returns (Initial memory c) {
        unchecked {
            c.equity = _cashOf(a, p);
            uint256 left = a.markets() & ~(1 << skip);
            for (uint256 i; left != 0; ++i) {
                uint256 bit = 1 << i;
                if (left & bit == 0) continue;
                left ^= bit;
                Market memory m = _loadMarket(IdLib.toMarket(p.id, i));
                (uint256 price, uint256 variance, uint256 time) = _priceToIncrease(m);
                c.newest = FixedMath.max(c.newest, time);
                PositionWord position = positions_[id][i];
                int256 size = _sizeOf(m, position);
                c.equity += MarginMath.weightedProfit(_profitOf(m, position, price), weightPpm);
                c.required += _initialRequirement(m, size.abs(), price, variance);
                c.any = c.any || size != 0;
            }
            left = a.collaterals();
            for (uint256 i; left != 0; ++i) {
                uint256 bit = 1 << i;
                if (left & bit == 0) continue;
                left ^= bit;
                CollateralWord config = collateralConfigs_[p.id][i];
                (Spot spot, Trend trend) = _observe(config.asset());
                if (spot.has(refused)) {
                    (c.zeroedAsset, c.zeroedFlags) = (config.asset(), spot.flags());
                    continue;
                }
                c.newest = FixedMath.max(c.newest, spot.publishTime());
                uint256 price = FixedMath.min(spot.price(), trend.ema());
                c.equity += int256(
                    MarginMath.collateralValue(collateral_[id][i], config.decimals(), price, config.weightInitialPpm())
                );
            }
        }
    }

    /// @notice equity^I ≥ IM. When it fails and a collateral's price was refused, that is what is said: it is not the trader's doing.
    function _requireMargin(Initial memory c, uint256 required) internal pure {
        if (c.equity >= int256(required)) return;
        require(c.zeroedFlags == 0, PriceRefused(c.zeroedAsset, c.zeroedFlags));
        revert InsufficientMargin(c.equity, required);
    }

    function _priceToIncrease(Market memory m) private returns (uint256 price, uint256 variance, uint256 time) {
        if (m.margin.has(MarketFlags.SETTLED)) return (m.price, 0, 0);
        (Spot spot, Trend trend) = _observeFor(Action.IncreaseRisk, m.margin.asset());
        return (spot.price(), trend.variance(), spot.publishTime());
    }

    /// @notice ⌈n·P·imr(n)⌉ with the volatility factor.
    function _initialRequirement(Market memory m, uint256 size, uint256 price, uint256 variance)
        internal
        pure
        returns (uint256)
    {
        uint256 factor = MarginMath.volatilityFactor(variance, m.trade.sigmaRef(), m.margin.volCap());
        uint256 ratio = MarginMath.ratio(m.margin.imBasePpm(), m.margin.imSlope(), size);
        return MarginMath.requirement(size, price, MarginMath.scaledRatio(ratio, factor));
    }

    /// @notice ⌈n·P·(mmr(n) + λ)⌉
    function _maintenanceRequirement(MarginWord config, uint256 size, uint256 price) internal pure returns (uint256) {
        uint256 ratio = MarginMath.ratio(config.mmBasePpm() + config.penaltyPpm(), config.mmSlope(), size);
        return MarginMath.requirement(size, price, ratio);
    }

    /// @notice Requires equity^I ≥ IM for the whole account at the latest prices.
    /// @return the account word with `lastCheck` moved to the newest publish time used
    function _requireInitial(AccountId id, AccountWord a, Pool memory p, uint256 weightPpm)
        internal
        returns (AccountWord)
    {
        Initial memory c = _initialMargin(id, a, p, weightPpm, NO_MARKET, PriceMatrix.refused(Action.IncreaseRisk));
        _requireMargin(c, c.any ? c.required + p.risk.keeperFloor() : c.required);
        if (a.collaterals() != 0) _endSale(id);
        return a.withLastCheck(FixedMath.max(a.lastCheck(), c.newest));
    }

    /// @notice Takes the account's collateral off sale, if it was.
    function _endSale(AccountId id) internal {
        if (saleStart_[id] == 0) return;
        delete saleStart_[id];
        pools_[id.pool()].openSales -= 1;
        emit SaleSet(id, 0);
    }

    /// @notice equity^M and MM of everything but market `skip`, at the last valid prices: for reductions, which an invalid price of
    /// another market must not block.
    function _maintenanceMargin(AccountId id, AccountWord a, Pool memory p, uint256 skip)
        internal
        returns (int256 equity, uint256 required, bool any)
    {
        unchecked {
            equity = _cashOf(a, p);
            uint256 left = a.markets() & ~(1 << skip);
            for (uint256 i; left != 0; ++i) {
                uint256 bit = 1 << i;
                if (left & bit == 0) continue;
                left ^= bit;
                Market memory m = _loadMarket(IdLib.toMarket(p.id, i));
                uint256 price = m.price;
                if (!m.margin.has(MarketFlags.SETTLED)) {
                    (Spot spot,) = _observe(m.margin.asset());
                    price = spot.price();
                }
                PositionWord position = positions_[id][i];
                int256 size = _sizeOf(m, position);
                equity += _profitOf(m, position, price);
                required += _maintenanceRequirement(m.margin, size.abs(), price);
                any = any || size != 0;
            }
            left = a.collaterals();
            for (uint256 i; left != 0; ++i) {
                uint256 bit = 1 << i;
                if (left & bit == 0) continue;
                left ^= bit;
                CollateralWord config = collateralConfigs_[p.id][i];
                (Spot spot,) = _observe(config.asset());
                equity += int256(
                    MarginMath.collateralValue(
                        collateral_[id][i], config.decimals(), spot.price(), config.weightMaintenancePpm()
                    )
                );
            }
        }
    }

    // ── taking out ─────────────────────────────────────────────────────────

    /// @notice Debits an account by its owner's will: no pending orders, margin afterwards, borrowing within limits.
    /// @return a the account word, which the caller stores
    function _takeOutOf(AccountId account, address token, uint256 amount, PoolSettlementWord settlement)
        internal
        returns (AccountWord a)
    {
        PoolId pool = account.pool();
        a = accounts_[account];
        require(a.pendingOrders() == 0, OrdersPending(account, a.pendingOrders()));
        require(settlement.token() != address(0), UnknownPool(pool));
        if (token == settlement.token()) {
            int256 debit = Cast.toInt(_wad(amount, settlement));
            if (a.rawCash() >= debit && a.markets() == 0) {
                // No debt and no position: equity^I ≥ 0 = IM whatever prices are.
                return a.withRawCash(a.rawCash() - debit);
            }
            Pool memory p = _loadPool(pool);
            a = _addCash(a, p, -debit);
            if (a.rawCash() < 0) _requireBorrowable(p);
            a = _requireInitial(account, a, p, 0);
            // Without debt, before and after, the pool is as it was.
            if (p.borrowIndex != 0) _storePool(p);
        } else {
            uint256 index = _collateralIndex(pool, token);
            uint256 balance = collateral_[account][index];
            require(balance >= amount, InsufficientBalance(balance, amount));
            balance -= amount;
            collateral_[account][index] = balance;
            emit CollateralSet(account, index, balance);
            if (balance == 0) a = a.withCollateral(index, false);
            if (a.collaterals() == 0) _endSale(account);
            if (a.markets() != 0 || a.rawCash() < 0) a = _requireInitial(account, a, _loadPool(pool), 0);
        }
    }
}
