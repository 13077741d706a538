// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LiquidationResult, PoolState} from "./ClearinghouseStorage.sol";
import {Ledger, Market, Pool} from "./Ledger.sol";
import {Valuation} from "./Valuation.sol";
import {ICollateralBuyer} from "./interfaces/IClearinghouse.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {Cast} from "./libraries/Cast.sol";
import {FixedMath, PPM, WAD} from "./libraries/FixedMath.sol";
import {LiquidationMath} from "./libraries/LiquidationMath.sol";
import {MarginMath} from "./libraries/MarginMath.sol";
import {Action} from "./libraries/PriceMatrix.sol";
import {PricingMath} from "./libraries/PricingMath.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {
    CollateralWord,
    MarginWord,
    PoolLiquidationWord,
    PoolRiskWord,
    PoolSettlementWord
} from "./types/ConfigWords.sol";
import {AccountId, PoolId} from "./types/Ids.sol";
import {FundingWord} from "./types/MarketWords.sol";
import {PriceFlags, Spot} from "./types/Observation.sol";
import {PositionWord} from "./types/PositionWord.sol";

/// @title Liquidation: the module of the Clearinghouse that closes accounts below the line
/// @notice Runs by delegatecall in the Clearinghouse; natspec of the entry points is on `IClearinghouse`.
/// Order of operations per account: accrue → health → protection of the pool if profit would be credited, health again → close at the
/// oracle price → premium → penalty once → collateral on sale or bad debt.
contract LiquidationModule is Valuation {
    using FixedMath for int256;

    address public immutable SOLVENCY_MODULE;

    constructor(IOracleHub hub, address orderBook, address solvencyModule) Ledger(hub, orderBook) {
        SOLVENCY_MODULE = solvencyModule;
    }

    /// @dev What closing begins with, equity^M and MM, and what it adds up to.
    struct Tally {
        int256 equity;
        uint256 maintenance;
        uint256 penalty;
        uint256 ratePart;
        int256 premium;
        bool closed;
    }

    // ── liquidate ──────────────────────────────────────────────────────────

    function liquidate(AccountId[] calldata accounts, AccountId keeper)
        external
        locked
        returns (uint256[] memory results)
    {
        results = new uint256[](accounts.length);
        Book memory b;
        for (uint256 i; i < accounts.length; ++i) {
            AccountId id = accounts[i];
            AccountWord a = accounts_[id];
            if (a.markets() == 0 && a.rawCash() >= 0) {
                _endSale(id);
                continue;
            }
            if (!(b.pool.id == id.pool())) {
                _storeBook(b);
                _open(b, id.pool(), _marketsOf(accounts, i));
            }
            results[i] = uint256(_liquidate(id, a, b, keeper));
        }
        _storeBook(b);
    }

    /// @notice All markets in which accounts of one pool, from place `i` of the list on, have positions.
    function _marketsOf(AccountId[] calldata accounts, uint256 i) private view returns (uint256 markets) {
        unchecked {
            PoolId pool = accounts[i].pool();
            for (; i < accounts.length; ++i) {
                if (accounts[i].pool() == pool) markets |= accounts_[accounts[i]].markets();
            }
        }
    }

    /// @notice Stores what has changed of a book: when another pool's turn comes, at the end, and before the solvency module runs.
    function _storeBook(Book memory b) private {
        for (uint256 i; i < b.count; ++i) {
            if (b.markets[i].changed) _storeMarket(b.markets[i]);
        }
        if (b.pool.changed) _storePool(b.pool);
    }

    /// @notice Lets the solvency module work on a book: stores it, and begins it anew.
    function _delegateOn(Book memory b, bytes memory data) private {
        _storeBook(b);
        (bool success, bytes memory result) = SOLVENCY_MODULE.delegatecall(data);
        if (!success) TokenLib.bubble(result);
        _readPool(b.pool, b.pool.id);
        (b.markets, b.count) = (new Market[](b.markets.length), 0);
    }

    function _liquidate(AccountId id, AccountWord a, Book memory b, AccountId keeper)
        private
        returns (LiquidationResult)
    {
        unchecked {
            Pool memory p = b.pool;
            Health memory h = _health(id, a, b, false);
            if (!_below(h)) return _healthy(id, a, p);
            if (h.newest != 0 && h.newest <= a.lastCheck()) return LiquidationResult.CoolOff;
            if (h.deviated) {
                h = _better(id, a, b, h);
                if (!_below(h)) return LiquidationResult.Healthy;
            }
            PoolLiquidationWord config = poolConfigs_[p.id].liquidation;
            if (h.grace && h.equity * int256(PPM) >= int256(h.required * config.graceHealthPpm())) {
                return LiquidationResult.Grace;
            }
            if (a.markets() == 0) return _withoutPositions(id, a, b, keeper);
            if (_protect(b, h)) {
                h = _better(id, a, b, _health(id, a, b, false));
                if (!_below(h)) return LiquidationResult.Healthy;
            }
            return _close(id, a, b, h, config, keeper);
        }
    }

    /// @notice Ends a sale that an account outgrew.
    function _healthy(AccountId id, AccountWord a, Pool memory p) private returns (LiquidationResult) {
        if (a.markets() == 0 && saleStart_[id] != 0 && _saleEquity(id, a, p) >= 0) _endSale(id);
        return LiquidationResult.Healthy;
    }

    /// @notice An account below zero without positions: its collateral goes on sale; what is not worth a sale goes to the keeper; when
    /// nothing is left the debt is bad.
    function _withoutPositions(AccountId id, AccountWord a, Book memory b, AccountId keeper)
        private
        returns (LiquidationResult)
    {
        Pool memory p = b.pool;
        if (a.collaterals() != 0) {
            if (!_isDust(id, a, p)) {
                return _startSale(id) ? LiquidationResult.SaleStarted : LiquidationResult.OnSale;
            }
            a = _giveDust(id, a, keeper);
        }
        a = _absorb(id, a, p);
        _storeAccount(id, a);
        p.changed = true;
        _socialise(b);
        return LiquidationResult.BadDebt;
    }

    /// @notice Whether all collateral together is worth less than the keeper floor, each token at a valid price.
    function _isDust(AccountId id, AccountWord a, Pool memory p) private returns (bool) {
        uint256 value;
        uint256 left = a.collaterals();
        for (uint256 i; left != 0; ++i) {
            uint256 bit = 1 << i;
            if (left & bit == 0) continue;
            left ^= bit;
            CollateralWord config = collateralConfigs_[p.id][i];
            (Spot spot,) = _observe(config.asset());
            if (spot.has(PriceFlags.INVALID)) return false;
            uint256 price = FixedMath.max(spot.price(), spot.other());
            value += MarginMath.collateralValue(collateral_[id][i], config.decimals(), price, PPM);
        }
        return value < p.risk.keeperFloor();
    }

    /// @notice Hands collateral that nobody would buy to the keeper, as a claim.
    function _giveDust(AccountId id, AccountWord a, AccountId keeper) private returns (AccountWord) {
        uint256 left = a.collaterals();
        for (uint256 i; left != 0; ++i) {
            uint256 bit = 1 << i;
            if (left & bit == 0) continue;
            left ^= bit;
            uint256 balance = collateral_[id][i];
            collateral_[id][i] = 0;
            a = a.withCollateral(i, false);
            emit CollateralSet(id, i, 0);
            _addClaim(id.pool(), collateralConfigs_[id.pool()][i].token(), keeper.owner(), balance);
        }
        _endSale(id);
        return a;
    }

    /// @notice equity^I of an account without positions, for its sale: every price that is not invalid counts.
    function _saleEquity(AccountId id, AccountWord a, Pool memory p) private returns (int256) {
        return _initialMargin(id, a, p, 0, NO_MARKET, PriceFlags.INVALID).equity;
    }

    function _startSale(AccountId id) private returns (bool) {
        if (saleStart_[id] != 0) return false;
        saleStart_[id] = block.timestamp;
        pools_[id.pool()].openSales += 1;
        emit SaleSet(id, block.timestamp);
        return true;
    }

    // ── protection of the pool ─────────────────────────────────────────────

    /// @notice Lets the solvency module deleverage and socialise when a close would credit profit of an unsound market.
    function _protect(Book memory b, Health memory h) private returns (bool acted) {
        Pool memory p = b.pool;
        Market[] memory markets = b.markets;
        for (uint256 i; i < h.legs.length; ++i) {
            Leg memory leg = h.legs[i];
            if (leg.profit <= 0 || !leg.closable) continue;
            // After the solvency module ran, the market is another, at the price of the valuation.
            Market memory m = b.markets[_find(b, markets[leg.place].id)];
            m.price = markets[leg.place].price;
            _sum(m);
            (int256 lossSum, int256 loss) = (p.lossSum, m.loss);
            _mark(p, m);
            if (!_unsound(p, m)) {
                (p.lossSum, m.loss) = (lossSum, loss);
                continue;
            }
            (m.changed, p.changed, acted) = (true, true, true);
            _delegateOn(b, abi.encodeWithSignature("protect(uint24)", m.id));
        }
    }

    // ── closing ────────────────────────────────────────────────────────────

    function _close(
        AccountId id,
        AccountWord a,
        Book memory b,
        Health memory h,
        PoolLiquidationWord config,
        AccountId keeper
    ) private returns (LiquidationResult result) {
        unchecked {
            Pool memory p = b.pool;
            Tally memory t;
            (t.equity, t.maintenance) = (h.equity, h.required);
            a = _closeLegs(id, a, b, h, config, t);
            if (!t.closed) return LiquidationResult.PriceRefused;
            uint256 floor = p.risk.keeperFloor();
            uint256 charged = LiquidationMath.charged(t.penalty, floor, _equityAfterClose(h, t));
            uint256 reward = LiquidationMath.reward(
                charged, p.insurance, floor, config.rewardMax(), t.ratePart, _gasCost(config, t.ratePart, floor)
            );
            a = _addCash(a, p, -int256(charged));
            _distribute(p, charged, reward, t.premium);
            result = a.markets() == 0 ? LiquidationResult.Full : LiquidationResult.Partial;
            if (a.markets() == 0 && _cashOf(a, p) < 0) {
                if (a.collaterals() == 0) {
                    a = _absorb(id, a, p);
                    result = LiquidationResult.BadDebt;
                } else if (_cashOf(a, p) + h.collateral < 0) {
                    _startSale(id);
                    result = LiquidationResult.SaleStarted;
                }
            }
            p.changed = true;
            _tell(id, a, p, keeper, t, result, charged, reward);
            _socialise(b);
        }
    }

    /// @notice Stores the account, pays the keeper, and tells so.
    function _tell(
        AccountId id,
        AccountWord a,
        Pool memory p,
        AccountId keeper,
        Tally memory t,
        LiquidationResult result,
        uint256 charged,
        uint256 reward
    ) private {
        a = _writeAccount(id, a);
        AccountWord paid = _writePayment(p, keeper, reward);
        emit Liquidated(id, keeper, uint256(result), t.equity, t.maintenance, charged, reward, a, paid);
    }

    /// @dev Equity with the penalties of the closing loop added back: they are charged once, at the end.
    function _equityAfterClose(Health memory h, Tally memory t) private pure returns (int256) {
        unchecked {
            return h.equity + int256(t.penalty);
        }
    }

    /// @notice Closes positions, the largest requirement first, until health is at its target or none is left.
    function _closeLegs(
        AccountId id,
        AccountWord a,
        Book memory b,
        Health memory h,
        PoolLiquidationWord config,
        Tally memory t
    ) private returns (AccountWord) {
        unchecked {
            uint256 target = config.targetHealthPpm() * (WAD / PPM);
            while (true) {
                uint256 largest = _largest(h);
                if (largest == h.legs.length) break;
                Leg memory leg = h.legs[largest];
                int256 shortfall = int256(FixedMath.mulDivUp(h.required, target, WAD)) - h.equity;
                // What is below the line without a requirement of its own (a closed epoch's value) is only collected.
                if (shortfall <= 0 && t.closed) break;
                leg.done = true;
                uint256 amount = leg.size == 0 ? 0 : _amount(b, h, leg, shortfall, target);
                a = _closeLeg(id, a, b, leg, amount, t);
                _account(b, h, leg, amount, t);
                if (amount < leg.size.abs()) break;
            }
            return a;
        }
    }

    /// @notice Index of the open leg with the largest requirement; the number of legs when none is left.
    function _largest(Health memory h) private pure returns (uint256 best) {
        unchecked {
            best = h.legs.length;
            uint256 most;
            for (uint256 i; i < h.legs.length; ++i) {
                Leg memory leg = h.legs[i];
                if (leg.done || !(leg.closable || leg.size == 0)) continue;
                if (best == h.legs.length || leg.requirement > most) (best, most) = (i, leg.requirement);
            }
        }
    }

    /// @notice How much of a leg to close: the least that reaches the target; all when part cannot help or the rest would be dust.
    function _amount(Book memory b, Health memory h, Leg memory leg, int256 shortfall, uint256 target)
        private
        pure
        returns (uint256 amount)
    {
        unchecked {
            uint256 size = leg.size.abs();
            uint256 unit = WAD / PPM;
            MarginWord margin = b.markets[leg.place].margin;
            PoolRiskWord risk = b.pool.risk;
            uint256 penalty = margin.penaltyPpm() * unit;
            uint256 base = margin.mmBasePpm();
            uint256 slope = margin.mmSlope();
            uint256 ratio = MarginMath.ratio(base, slope, size) + penalty;
            if (shortfall <= 0 || !LiquidationMath.partHelps(h.equity, h.required, penalty, ratio)) return size;
            amount =
                LiquidationMath.leastClose(size, leg.price, uint256(shortfall), base * unit, slope, penalty, target);
            amount = FixedMath.max(amount, LiquidationMath.floorSize(risk.keeperFloor(), penalty, leg.price));
            if (amount >= size || PricingMath.notionalDown(size - amount, leg.price) < risk.minNotional()) {
                return size;
            }
        }
    }

    /// @notice Touches the position at its closing price, closes `amount` of it, and settles the premium in the tally.
    function _closeLeg(AccountId id, AccountWord a, Book memory b, Leg memory leg, uint256 amount, Tally memory t)
        private
        returns (AccountWord)
    {
        unchecked {
            Pool memory p = b.pool;
            Market memory m = b.markets[leg.place];
            _sum(m);
            uint256 before = _premium(m);
            int256 profit = leg.closePrice == leg.price ? leg.profit : _profitOf(m, leg.position, leg.closePrice);
            _takeOut(p, m, leg.position, profit);
            int256 delta = leg.size > 0 ? -int256(amount) : int256(amount);
            int256 rest = leg.size + delta;
            PositionWord position = _putIn(m, rest, leg.closePrice);
            t.premium += int256(_mark(p, m)) - int256(before);
            t.closed = true;
            // What the better of two deviating prices gives belongs to the account.
            leg.profit = profit - leg.profit;
            a = _addCash(a, p, profit).withMarket(m.id.index(), rest != 0);
            positions_[id][m.id.index()] = position;
            m.changed = true;
            emit PositionLiquidated(id, m.id, delta, rest, leg.closePrice, profit, position);
            return a;
        }
    }

    /// @notice Adds entry sums and loss, as stored, to a market that was accrued and priced already, unless it has them.
    function _sum(Market memory m) private view {
        if (m.summed) return;
        m.summed = true;
        FundingWord stored = markets_[m.id].funding;
        (int256 index, uint256 price) = (m.index, m.price);
        (m.index, m.price) = (stored.index(), stored.price());
        _readSums(m);
        (m.index, m.price) = (index, price);
    }

    /// @notice Moves the provisional equity and requirement past a close.
    function _account(Book memory b, Health memory h, Leg memory leg, uint256 amount, Tally memory t) private pure {
        unchecked {
            MarginWord margin = b.markets[leg.place].margin;
            uint256 notionalUp = PricingMath.notionalUp(amount, leg.closePrice);
            uint256 penalty = FixedMath.divUp(notionalUp * margin.penaltyPpm(), PPM);
            t.penalty += penalty;
            t.ratePart += PricingMath.notionalDown(amount, leg.closePrice) * margin.rewardRatePpm() / PPM;
            h.equity += leg.profit - int256(penalty);
            h.required -= leg.requirement;
            uint256 rest = leg.size.abs() - amount;
            if (rest != 0) h.required += _maintenanceRequirement(margin, rest, leg.price);
            if (rest != 0 || !h.open) return;
            for (uint256 i; i < h.legs.length; ++i) {
                if (!h.legs[i].done && h.legs[i].requirement != 0) return;
            }
            h.open = false;
            h.required -= b.pool.risk.keeperFloor();
        }
    }

    /// @notice gasUnits·basefee·price of the gas token + l1Fee, WAD; asked for only when it can matter.
    function _gasCost(PoolLiquidationWord config, uint256 ratePart, uint256 floor) private returns (uint256 cost) {
        if (ratePart >= floor) return 0;
        cost = config.l1Fee();
        if (config.gasAsset() == 0) return cost;
        (Spot spot,) = _observe(config.gasAsset());
        cost += config.gasUnits() * block.basefee * spot.price() / WAD;
    }

    /// @notice The penalty pays the keeper, then the premium that the close added to V, then insurance; a premium set free goes from V
    /// to insurance. What the penalty cannot pay of the reward comes from insurance.
    function _distribute(Pool memory p, uint256 charged, uint256 reward, int256 premium) private pure {
        unchecked {
            uint256 fromCharged = FixedMath.min(reward, charged);
            uint256 rest = charged - fromCharged;
            p.insurance -= reward - fromCharged;
            if (premium >= 0) {
                uint256 toPool = FixedMath.min(rest, uint256(premium));
                p.cash += int256(toPool);
                p.insurance += rest - toPool;
            } else {
                p.cash += premium;
                p.insurance += rest + uint256(-premium);
            }
        }
    }

    // ── bad debt ───────────────────────────────────────────────────────────

    /// @notice Sends the debt of an account that has nothing left down the waterfall: insurance → junior → V.
    function _absorb(AccountId id, AccountWord a, Pool memory p) private returns (AccountWord) {
        unchecked {
            int256 cash = _cashOf(a, p);
            if (cash >= 0) return a;
            uint256 debt = uint256(-cash);
            uint256 fromInsurance = FixedMath.min(debt, p.insurance);
            PoolState storage state = pools_[p.id];
            uint256 junior = state.junior;
            uint256 fromJunior = FixedMath.min(debt - fromInsurance, junior);
            uint256 fromPool = debt - fromInsurance - fromJunior;
            p.insurance -= fromInsurance;
            p.cash -= int256(fromPool);
            if (fromJunior != 0) {
                state.junior = uint128(junior - fromJunior);
                emit ReservesSet(p.id, state.junior, state.lpEscrow);
            }
            emit BadDebt(id, debt, fromInsurance, fromJunior, fromPool);
            return _addCash(a, p, -cash);
        }
    }

    function _socialise(Book memory b) private {
        if (_nav(b.pool) >= 0) return;
        _delegateOn(b, abi.encodeWithSignature("socialise(uint16)", b.pool.id));
    }

    // ── collateral on sale ─────────────────────────────────────────────────

    /// @dev What a sale works with.
    struct Sale {
        uint256 index;
        CollateralWord config;
        uint256 price;
        uint256 discountPpm;
        uint256 credit;
    }

    function buyCollateral(AccountId id, address token, uint256 amount, uint256 maxPrice, bytes calldata data)
        external
        locked
        returns (uint256 bought, uint256 paid)
    {
        require(amount != 0, ZeroAmount());
        require(saleStart_[id] != 0, NotOnSale(id));
        Book memory b;
        _open(b, id.pool(), 0);
        Pool memory p = b.pool;
        AccountWord a = accounts_[id];
        Sale memory sale = _sale(id, p, token);
        uint256 unitPrice = FixedMath.mulDivUp(sale.price, PPM - sale.discountPpm, PPM);
        require(unitPrice <= maxPrice, SalePrice(unitPrice, maxPrice));
        (bought, a) = _takeForSale(id, a, p, sale, token, amount);
        PoolSettlementWord settlement = poolConfigs_[p.id].settlement;
        uint256 unit = settlement.unit();
        uint256 cost = LiquidationMath.salePrice(bought, sale.config.decimals(), sale.price, sale.discountPpm);
        paid = FixedMath.divUp(cost, unit);
        sale.credit = paid * unit;
        a = _addCash(a, p, Cast.toInt(sale.credit));
        a = _afterSale(id, a, p);
        _storeAccount(id, a);
        _storePool(p);
        address payToken = settlement.token();
        _setHeld(p.id, token, held_[p.id][token] - bought);
        _setHeld(p.id, payToken, held_[p.id][payToken] + sale.credit);
        emit CollateralSold(msg.sender, id, token, bought, paid, sale.discountPpm);
        _socialise(b);
        TokenLib.push(token, msg.sender, bought);
        if (data.length != 0) ICollateralBuyer(msg.sender).onCollateralBought(token, bought, paid, data);
        TokenLib.pull(payToken, msg.sender, paid);
    }

    /// @notice Price and discount of a token on sale; while the sources deviate, the better for the account.
    function _sale(AccountId id, Pool memory p, address token) private returns (Sale memory sale) {
        sale.index = _collateralIndex(p.id, token);
        sale.config = collateralConfigs_[p.id][sale.index];
        uint256 asset = sale.config.asset();
        (Spot spot,) = _observeFor(Action.Liquidate, asset);
        require(!spot.has(PriceFlags.INVALID), PriceRefused(asset, spot.flags()));
        sale.price = spot.price();
        if (spot.has(PriceFlags.DEVIATED) && !spot.has(PriceFlags.DEVIATED_LONG)) {
            sale.price = FixedMath.max(sale.price, spot.other());
        }
        PoolLiquidationWord config = poolConfigs_[p.id].liquidation;
        sale.discountPpm =
            LiquidationMath.discount(block.timestamp - saleStart_[id], config.saleSeconds(), config.discountMaxPpm());
    }

    /// @notice Takes the tokens out of the account: at most the least amount that brings equity^I to zero.
    function _takeForSale(AccountId id, AccountWord a, Pool memory p, Sale memory sale, address token, uint256 amount)
        private
        returns (uint256 bought, AccountWord)
    {
        int256 equity = _saleEquity(id, a, p);
        require(equity < 0, NothingOnSale(id, token));
        uint256 value = LiquidationMath.saleValue(uint256(-equity), sale.discountPpm, sale.config.weightInitialPpm());
        uint256 balance = collateral_[id][sale.index];
        uint256 most = balance;
        if (value != type(uint256).max) {
            most = FixedMath.min(balance, FixedMath.mulDivUp(value, 10 ** sale.config.decimals(), sale.price));
        }
        bought = FixedMath.min(amount, most);
        require(bought != 0, NothingOnSale(id, token));
        balance -= bought;
        collateral_[id][sale.index] = balance;
        emit CollateralSet(id, sale.index, balance);
        if (balance == 0) a = a.withCollateral(sale.index, false);
        return (bought, a);
    }

    /// @notice Ends the sale when equity^I ≥ 0, or when nothing is left; then what remains of the debt is bad.
    function _afterSale(AccountId id, AccountWord a, Pool memory p) private returns (AccountWord) {
        if (a.collaterals() == 0) {
            _endSale(id);
            return _absorb(id, a, p);
        }
        if (_saleEquity(id, a, p) >= 0) _endSale(id);
        return a;
    }
}
