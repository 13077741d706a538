// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Ledger, Market, Pool, Side} from "./Ledger.sol";
import {LensBase} from "./LensBase.sol";
import {Valuation} from "./Valuation.sol";
import {IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {AccountView, CollateralView, Margins, MarketView, PoolView, PositionView} from "./interfaces/ILens.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {FixedMath, WAD} from "./libraries/FixedMath.sol";
import {InterestMath} from "./libraries/InterestMath.sol";
import {MarginMath} from "./libraries/MarginMath.sol";
import {Action, PriceMatrix} from "./libraries/PriceMatrix.sol";
import {PricingMath} from "./libraries/PricingMath.sol";
import {SideMath} from "./libraries/SideMath.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {CollateralWord, MarketFlags, PoolInterestWord, PoolSettlementWord} from "./types/ConfigWords.sol";
import {AccountId, IdLib, MarketId, PoolId} from "./types/Ids.sol";
import {ObservationLib, Spot, Trend} from "./types/Observation.sol";
import {PositionWord} from "./types/PositionWord.sol";

/// @notice The getter of the Clearinghouse that previews need.
interface IModules {
    function SOLVENCY_MODULE() external view returns (address);
}

/// @title Views, stress and solvency: the reading part of the Lens
/// @notice Natspec is on `ILens`; called through the Lens.
contract LensViews is LensBase, Valuation {
    using FixedMath for int256;

    constructor(IOracleHub hub, address orderBook, address clearinghouse)
        Ledger(hub, orderBook)
        LensBase(clearinghouse)
    {}

    function _observe(uint256 asset) internal override(Ledger, LensBase) returns (Spot, Trend) {
        return LensBase._observe(asset);
    }

    // ── views ──────────────────────────────────────────────────────────────

    function account(AccountId id) external inside returns (AccountView memory) {
        return _account(id);
    }

    function _healthOf(AccountId id) private returns (Health memory) {
        AccountWord a = accounts_[id];
        Book memory b;
        _open(b, id.pool(), a.markets());
        return _better(id, a, b, _health(id, a, b, false));
    }

    function _account(AccountId id) private returns (AccountView memory v) {
        AccountWord a = accounts_[id];
        Book memory b;
        _open(b, id.pool(), a.markets());
        Pool memory p = b.pool;
        Health memory h = _better(id, a, b, _health(id, a, b, false));
        v.cash = _cashOf(a, p);
        (v.equityMaintenance, v.maintenance) = (h.equity, h.required);
        v.liquidatable = h.equity < int256(h.required);
        (v.pendingOrders, v.version, v.lastCheck) = (a.pendingOrders(), a.version(), a.lastCheck());
        v.saleStart = saleStart_[id];
        v.equityInitial = v.cash;
        uint256 notional = _positions(h, b, v);
        _collaterals(id, a, p, v);
        v.free = v.equityInitial - int256(v.initial);
        if (h.equity > 0) {
            v.health = h.required == 0 ? type(uint256).max : uint256(h.equity) * WAD / h.required;
            v.leverage = FixedMath.mulDivUp(notional, WAD, uint256(h.equity));
        } else {
            if (h.equity == 0 && h.required == 0) v.health = type(uint256).max;
            if (notional != 0) v.leverage = type(uint256).max;
        }
    }

    function _positions(Health memory h, Book memory b, AccountView memory v) private returns (uint256 notional) {
        v.positions = new PositionView[](h.legs.length);
        bool any;
        for (uint256 i; i < h.legs.length; ++i) {
            Leg memory leg = h.legs[i];
            Market memory m = b.markets[leg.place];
            PositionView memory out = v.positions[i];
            uint256 variance;
            uint256 flags;
            if (!m.margin.has(MarketFlags.SETTLED)) {
                (Spot spot, Trend trend) = _observe(m.margin.asset());
                (variance, flags) = (trend.variance(), spot.flags());
            }
            (out.market, out.size, out.price, out.profit) = (m.id, leg.size, leg.price, leg.profit);
            (out.maintenance, out.flags) = (leg.requirement, flags);
            out.initial = _initialRequirement(m, leg.size.abs(), leg.price, variance);
            v.initial += out.initial;
            v.equityInitial += MarginMath.weightedProfit(leg.profit, 0);
            notional += PricingMath.notionalUp(leg.size.abs(), leg.price);
            any = any || leg.size != 0;
        }
        if (any) v.initial += b.pool.risk.keeperFloor();
    }

    function _collaterals(AccountId id, AccountWord a, Pool memory p, AccountView memory v) private {
        uint256 left = a.collaterals();
        v.collaterals = new CollateralView[](_bits(left));
        uint256 n;
        for (uint256 i; left != 0; ++i) {
            uint256 bit = 1 << i;
            if (left & bit == 0) continue;
            left ^= bit;
            CollateralWord config = collateralConfigs_[p.id][i];
            (Spot spot, Trend trend) = _observe(config.asset());
            CollateralView memory out = v.collaterals[n++];
            (out.token, out.balance, out.flags) = (config.token(), collateral_[id][i], spot.flags());
            out.valueMaintenance =
                MarginMath.collateralValue(out.balance, config.decimals(), spot.price(), config.weightMaintenancePpm());
            if (!PriceMatrix.tolerates(Action.IncreaseRisk, out.flags)) continue;
            out.valueInitial = MarginMath.collateralValue(
                out.balance, config.decimals(), FixedMath.min(spot.price(), trend.ema()), config.weightInitialPpm()
            );
            v.equityInitial += int256(out.valueInitial);
        }
    }

    function margins(AccountId id) external inside returns (Margins memory v) {
        AccountView memory a = _account(id);
        (v.equityInitial, v.initial) = (a.equityInitial, a.initial);
        (v.equityMaintenance, v.maintenance) = (a.equityMaintenance, a.maintenance);
    }

    function healthBatch(AccountId[] calldata ids)
        external
        inside
        returns (int256[] memory equity, uint256[] memory required, uint256[] memory newest)
    {
        equity = new int256[](ids.length);
        required = new uint256[](ids.length);
        newest = new uint256[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            Health memory h = _healthOf(ids[i]);
            (equity[i], required[i], newest[i]) = (h.equity, h.required, h.newest);
        }
    }

    function market(MarketId id) external inside returns (MarketView memory) {
        return _market(_loadPool(id.pool()), id);
    }

    function _market(Pool memory p, MarketId id) private returns (MarketView memory v) {
        Market memory m = _loadMarketToChange(id);
        (Spot spot, Trend trend) = _reprice(p, m);
        v.market = id;
        (v.price, v.flags) = (m.price, spot.flags());
        (v.fundingIndex, v.fundingRate) = (m.index, m.rate);
        (v.longInterest, v.shortInterest) = (_interest(m.long), _interest(m.short));
        (v.skew, v.premium, v.loss) = (_skew(m), _premium(m), m.loss);
        v.openLoss = _openProfit(m, m.long) + _openProfit(m, m.short);
        (v.ema, v.variance) = (trend.ema(), trend.variance());
    }

    function pool(PoolId id) external inside returns (PoolView memory v) {
        Pool memory p = _loadPool(id);
        _readDebt(p);
        PoolSettlementWord settlement = poolConfigs_[id].settlement;
        uint256 count = settlement.marketCount();
        v.markets = new MarketView[](count);
        for (uint256 i; i < count; ++i) {
            v.markets[i] = _market(p, IdLib.toMarket(id, i));
        }
        (v.cash, v.debt, v.nav) = (p.cash, _totalDebt(p), _nav(p));
        v.liquid = p.cash - int256(v.debt);
        (v.insurance, v.fees, v.escrow) = (p.insurance, p.fees, p.escrow);
        (v.junior, v.lpEscrow, v.openSales) = (pools_[id].junior, pools_[id].lpEscrow, pools_[id].openSales);
        v.claims = claimTotals_[id][settlement.token()];
        v.held = held_[id][settlement.token()];
        v.utilisation = InterestMath.utilisation(v.debt, p.cash);
        v.borrowIndex = p.borrowIndex;
        PoolInterestWord curve = poolConfigs_[id].interest;
        v.borrowRate = InterestMath.rate(v.utilisation, curve.base(), curve.slope1(), curve.slope2(), curve.kinkPpm());
    }

    // ── stress ─────────────────────────────────────────────────────────────

    function liquidationPrice(AccountId id, MarketId market_)
        external
        inside
        returns (bool exists, bool below, uint256 price)
    {
        uint256 asset = marketConfigs_[market_].margin.asset();
        require(asset != 0, UnknownMarket(market_));
        (Spot spot,) = _observe(asset);
        uint256 good = spot.price();
        uint256 bad;
        if (_failsAt(id, asset, good)) return (true, !_failsAt(id, asset, ObservationLib.MAX_PRICE), good);
        if (_failsAt(id, asset, 1)) {
            (below, bad) = (true, 1);
        } else if (_failsAt(id, asset, ObservationLib.MAX_PRICE)) {
            bad = ObservationLib.MAX_PRICE;
        } else {
            return (false, false, 0);
        }
        while (good > bad ? good - bad > 1 : bad - good > 1) {
            uint256 middle = (good + bad) / 2;
            if (_failsAt(id, asset, middle)) bad = middle;
            else good = middle;
        }
        return (true, below, bad);
    }

    function _failsAt(AccountId id, uint256 asset, uint256 price) private returns (bool) {
        _override(asset, price);
        return _below(_healthOf(id));
    }

    function stressAccounts(AccountId[] calldata ids, uint256[] calldata assets, uint256[] calldata prices)
        external
        inside
        returns (int256[] memory equity, uint256[] memory required)
    {
        for (uint256 i; i < assets.length; ++i) {
            _override(assets[i], prices[i]);
        }
        equity = new int256[](ids.length);
        required = new uint256[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            Health memory h = _healthOf(ids[i]);
            (equity[i], required[i]) = (h.equity, h.required);
        }
    }

    function stressPool(PoolId id, uint256[] calldata assets, uint256[] calldata prices)
        external
        inside
        returns (int256)
    {
        for (uint256 i; i < assets.length; ++i) {
            _override(assets[i], prices[i]);
        }
        Pool memory p = _loadPool(id);
        uint256 count = poolConfigs_[id].settlement.marketCount();
        for (uint256 i; i < count; ++i) {
            _reprice(p, _loadMarketToChange(IdLib.toMarket(id, i)));
        }
        return _nav(p);
    }

    function previewDeleverage(MarketId market_)
        external
        inside
        returns (bool acts, bytes memory reason, uint256[2] memory before, uint256[2] memory later)
    {
        Market memory m = _loadMarket(market_);
        before = [_interest(m.long), _interest(m.short)];
        later = before;
        bytes memory result;
        (acts, result) = _attempt(abi.encodeCall(this.tryDeleverage, (market_)));
        if (acts) later = abi.decode(result, (uint256[2]));
        else reason = result;
    }

    /// @notice Deleverages inside a simulation. Use `previewDeleverage`.
    function tryDeleverage(MarketId market_) external inside returns (uint256[2] memory later) {
        address module = IModules(CLEARINGHOUSE).SOLVENCY_MODULE();
        (bool success, bytes memory result) = module.delegatecall(abi.encodeCall(IClearinghouse.deleverage, (market_)));
        if (!success) TokenLib.bubble(result);
        Market memory m = _loadMarket(market_);
        later = [_interest(m.long), _interest(m.short)];
    }

    function previewWaterfall(PoolId id, uint256 amount)
        external
        inside
        returns (uint256 fromInsurance, uint256 fromJunior, uint256 fromPool, uint256 socialised, uint256 uncovered)
    {
        Pool memory p = _loadPool(id);
        uint256 count = poolConfigs_[id].settlement.marketCount();
        uint256 profits;
        for (uint256 i; i < count; ++i) {
            Market memory m = _loadMarketToChange(IdLib.toMarket(id, i));
            _reprice(p, m);
            profits += _sideProfit(m, m.long).positivePart() + _sideProfit(m, m.short).positivePart();
        }
        fromInsurance = FixedMath.min(amount, p.insurance);
        fromJunior = FixedMath.min(amount - fromInsurance, pools_[id].junior);
        uint256 rest = amount - fromInsurance - fromJunior;
        fromPool = FixedMath.min(rest, _nav(p).positivePart());
        socialised = FixedMath.min(rest - fromPool, profits);
        uncovered = rest - fromPool - socialised;
    }

    // ── solvency identities ────────────────────────────────────────────────

    function solvency(PoolId id, AccountId[] calldata ids) external inside returns (uint256 bitmap) {
        Pool memory p = _loadPool(id);
        if (_settlementHolds(p, ids)) bitmap |= 1;
        (bool ledgers, bool balances) = _collateralHolds(p, ids);
        if (ledgers) bitmap |= 2;
        if (balances) bitmap |= 4;
        (bool shares, bool entries, bool openEntries, bool losses) = _marketsHold(p, ids);
        if (shares) bitmap |= 8;
        if (entries) bitmap |= 16;
        if (openEntries) bitmap |= 32;
        uint256 scaled;
        uint256 sales;
        for (uint256 i; i < ids.length; ++i) {
            scaled += (-accounts_[ids[i]].rawCash()).positivePart();
            if (saleStart_[ids[i]] != 0) ++sales;
        }
        if (scaled == p.scaledDebt) bitmap |= 64;
        if (losses) bitmap |= 128;
        if (sales == pools_[id].openSales) bitmap |= 256;
    }

    function _settlementHolds(Pool memory p, AccountId[] calldata ids) private view returns (bool) {
        address token = poolConfigs_[p.id].settlement.token();
        int256 sum = p.cash - int256(_totalDebt(p)) + int256(p.insurance + p.fees + p.escrow);
        sum += int256(uint256(pools_[p.id].junior) + pools_[p.id].lpEscrow + claimTotals_[p.id][token]);
        for (uint256 i; i < ids.length; ++i) {
            sum += int256(accounts_[ids[i]].rawCash().positivePart());
        }
        return sum == int256(held_[p.id][token]);
    }

    function _collateralHolds(Pool memory p, AccountId[] calldata ids)
        private
        view
        returns (bool ledgers, bool balances)
    {
        PoolSettlementWord settlement = poolConfigs_[p.id].settlement;
        ledgers = true;
        uint256 held = FixedMath.divUp(held_[p.id][settlement.token()], settlement.unit());
        balances = IERC20(settlement.token()).balanceOf(CLEARINGHOUSE) >= held;
        uint256 count = settlement.collateralCount();
        for (uint256 c; c < count; ++c) {
            address token = collateralConfigs_[p.id][c].token();
            uint256 sum = claimTotals_[p.id][token];
            for (uint256 i; i < ids.length; ++i) {
                sum += collateral_[ids[i]][c];
            }
            if (sum != held_[p.id][token]) ledgers = false;
            if (IERC20(token).balanceOf(CLEARINGHOUSE) < held_[p.id][token]) balances = false;
        }
    }

    function _marketsHold(Pool memory p, AccountId[] calldata ids)
        private
        view
        returns (bool shares, bool entries, bool openEntries, bool losses)
    {
        (shares, entries, openEntries) = (true, true, true);
        uint256 count = poolConfigs_[p.id].settlement.marketCount();
        int256 loss;
        for (uint256 i; i < count; ++i) {
            Market memory m = _loadMarketToChange(IdLib.toMarket(p.id, i));
            loss += m.loss;
            for (uint256 j; j < ids.length; ++j) {
                _subtract(m, positions_[ids[j]][i]);
            }
            if (m.long.shares | m.short.shares != 0) shares = false;
            if (m.long.entrySum != 0 || m.short.entrySum != 0) entries = false;
            if (m.long.openEntrySum != 0 || m.short.openEntrySum != 0) openEntries = false;
        }
        losses = loss == p.lossSum;
    }

    /// @dev Takes a position off the sums of its side: all must end at zero.
    function _subtract(Market memory m, PositionWord position) private view {
        if (PositionWord.unwrap(position) == 0) return;
        Side memory side = position.shares() > 0 ? m.long : m.short;
        (uint256 scale, int256 offset, uint256 epoch) = _eventOf(m.id, side, position);
        if (epoch != side.epoch) return;
        int256 shares = position.shares();
        unchecked {
            side.shares -= shares.abs();
        }
        side.entrySum -= shares * position.entry();
        if (side.eventNumber == 0) return;
        side.openEntrySum -= shares * SideMath.openEntry(position.entry(), scale, offset);
    }
}
