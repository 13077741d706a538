// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PoolState} from "./ClearinghouseStorage.sol";
import {Ledger, Market, Pool, Side} from "./Ledger.sol";
import {StrikeState} from "./interfaces/IClearinghouse.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {Cast} from "./libraries/Cast.sol";
import {FixedMath, ONE, PPM, UNIT} from "./libraries/FixedMath.sol";
import {Action} from "./libraries/PriceMatrix.sol";
import {PricingMath} from "./libraries/PricingMath.sol";
import {SideMath} from "./libraries/SideMath.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {LimitsWord, MarketFlags, Pause, PoolLiquidityWord, PoolSettlementWord} from "./types/ConfigWords.sol";
import {AccountId, IdLib, MarketId, PoolId} from "./types/Ids.sol";
import {EventWord, EventWordLib} from "./types/MarketWords.sol";
import {Spot, Trend} from "./types/Observation.sol";
import {PositionWord} from "./types/PositionWord.sol";

/// @title Solvency: the module of the Clearinghouse for whole pools
/// @notice Deleveraging and socialisation in O(1) per side, settled markets, and the money side of liquidity epochs. Runs by delegatecall
/// in the Clearinghouse; natspec of the entry points is on `IClearinghouse`.
contract SolvencyModule is Ledger {
    using FixedMath for int256;

    /// A side whose scale would fall below this closes its epoch instead.
    uint256 private constant LEAST_SCALE = ONE / 1e6;

    constructor(IOracleHub hub, address orderBook) Ledger(hub, orderBook) {}

    // ── called by the other modules, inside their lock ─────────────────────

    /// @notice Before profit of `market` is credited: socialises what the pool lacks, then deleverages the market if triggered.
    /// Needs one price, which the caller has stored in the market already.
    function protect(MarketId market) external {
        require(lockedBy_ != address(0), NotLocked());
        Pool memory p = _loadPool(market.pool());
        _storeMarket(_secure(p, market));
        _storePool(p);
    }

    /// @notice Socialises a negative NAV of `pool`, if there is one.
    function socialise(PoolId pool) external {
        require(lockedBy_ != address(0), NotLocked());
        Pool memory p = _loadPool(pool);
        _socialise(p);
        _storePool(p);
    }

    // ── entry points ───────────────────────────────────────────────────────

    function deleverage(MarketId market) external locked {
        Pool memory p = _loadPool(market.pool());
        _revalue(p);
        _socialise(p);
        Market memory m = _loadMarketToChange(market);
        int256 open = _openProfit(m, m.long) + _openProfit(m, m.short);
        int256 threshold = int256(_nav(p).positivePart() * p.risk.adlTriggerPpm() / PPM);
        require(open > threshold && _deleverage(p, m), NothingToDeleverage(market, open, threshold));
        _storeMarket(m);
        _storePool(p);
    }

    function closeSettled(MarketId market, AccountId[] calldata accounts) external locked {
        Pool memory p = _loadPool(market.pool());
        Market memory m = _loadMarketToChange(market);
        bool settled = m.margin.has(MarketFlags.SETTLED);
        _reprice(p, m);
        if (_unsound(p, m)) {
            _storeMarket(m);
            m = _secure(p, market);
        }
        for (uint256 i; i < accounts.length; ++i) {
            AccountId id = accounts[i];
            require(id.pool() == p.id, OtherPool(id, p.id));
            PositionWord position = positions_[id][market.index()];
            if (PositionWord.unwrap(position) == 0) continue;
            int256 size = _sizeOf(m, position);
            require(settled || size == 0, MarketNotSettled(market));
            int256 profit = _profitOf(m, position, m.price);
            _takeOut(p, m, position, profit);
            AccountWord a = _addCash(accounts_[id], p, profit).withMarket(market.index(), false);
            positions_[id][market.index()] = PositionWord.wrap(0);
            _storeAccount(id, a);
            emit PositionLiquidated(id, market, -size, 0, m.price, profit, PositionWord.wrap(0));
        }
        _mark(p, m);
        _storeMarket(m);
        _storePool(p);
    }

    function fundInsurance(PoolId pool, uint256 amount) external locked {
        require(amount != 0, ZeroAmount());
        Pool memory p = _loadPool(pool);
        PoolSettlementWord settlement = poolConfigs_[pool].settlement;
        address token = settlement.token();
        uint256 credit = amount * settlement.unit();
        p.insurance += credit;
        _storePool(p);
        _setHeld(pool, token, held_[pool][token] + credit);
        emit InsuranceFunded(msg.sender, pool, amount);
        TokenLib.pull(token, msg.sender, amount);
    }

    function claim(PoolId pool, address token, address to) external locked returns (uint256 amount) {
        require(to != address(0), ZeroAddress());
        amount = _payClaim(pool, token, msg.sender, type(uint256).max, to);
        TokenLib.push(token, to, amount);
    }

    // ── liquidity epochs, for the pool's share token ───────────────────────

    function lpDeposit(PoolId pool, address from, uint256 amount) external holding {
        _requireShareToken(pool);
        require(amount != 0, ZeroAmount());
        PoolSettlementWord settlement = poolConfigs_[pool].settlement;
        require(!poolConfigs_[pool].risk.paused(Pause.LP_DEPOSIT), LpDepositPaused(pool));
        address token = settlement.token();
        uint256 credit = amount * settlement.unit();
        _setLpEscrow(pool, pools_[pool].lpEscrow + credit);
        _setHeld(pool, token, held_[pool][token] + credit);
        TokenLib.pull(token, from, amount);
    }

    function lpStrike(PoolId pool) external holding returns (StrikeState memory state) {
        _requireShareToken(pool);
        require(pools_[pool].openSales == 0, BadDebtOnSale(pool));
        Pool memory p = _loadPool(pool);
        _revalue(p);
        _storePool(p);
        state.navEntry = _nav(p);
        state.fees = p.fees;
        PoolLiquidityWord config = poolConfigs_[pool].liquidity;
        uint256 needed;
        uint256 interestValue;
        int256 collectable = state.navEntry;
        uint256 count = poolConfigs_[pool].settlement.marketCount();
        for (uint256 i; i < count; ++i) {
            Market memory m = _loadMarketToChange(IdLib.toMarket(pool, i));
            _requireStrikePrice(m, config);
            collectable -= int256(_uncollectable(m, m.long) + _uncollectable(m, m.short));
            interestValue += PricingMath.notionalUp(_interest(m.long) + _interest(m.short), m.price);
            needed = FixedMath.max(needed, _navNeeded(p, m));
        }
        state.navExit = collectable;
        uint256 reserve = FixedMath.divUp(interestValue * config.reserveFactorPpm(), PPM);
        uint256 liquid = (p.cash - int256(_totalDebt(p))).positivePart();
        uint256 spare = state.navEntry.positivePart();
        state.payable_ = FixedMath.min(liquid > reserve ? liquid - reserve : 0, spare > needed ? spare - needed : 0);
    }

    function lpSettle(
        PoolId pool,
        uint256 deposited,
        uint256 refunded,
        uint256 redeemed,
        uint256 reward,
        AccountId keeper
    ) external holding {
        _requireShareToken(pool);
        Pool memory p = _loadPool(pool);
        address token = poolConfigs_[pool].settlement.token();
        _setLpEscrow(pool, pools_[pool].lpEscrow - deposited - refunded);
        p.cash += Cast.toInt(deposited) - Cast.toInt(redeemed);
        p.fees -= reward;
        if (refunded + redeemed != 0) _addClaim(pool, token, msg.sender, refunded + redeemed);
        _pay(p, keeper, reward);
        _storePool(p);
        emit Struck(pool, deposited, refunded, redeemed, reward);
    }

    function lpClaim(PoolId pool, address to, uint256 amount) external holding {
        _requireShareToken(pool);
        require(to != address(0), ZeroAddress());
        address token = poolConfigs_[pool].settlement.token();
        uint256 paid = _payClaim(pool, token, msg.sender, amount, to);
        require(paid == amount, InsufficientBalance(paid, amount));
        TokenLib.push(token, to, amount);
    }

    function _requireShareToken(PoolId pool) private view {
        require(poolConfigs_[pool].liquidity.shareToken() == msg.sender, NotPeer(msg.sender));
    }

    function _setLpEscrow(PoolId pool, uint256 amount) private {
        PoolState storage state = pools_[pool];
        state.lpEscrow = uint128(Cast.checkUint(amount, 128));
        emit ReservesSet(pool, state.junior, state.lpEscrow);
    }

    /// @notice Takes up to `most` native units out of a claim; the fraction of a native unit stays.
    function _payClaim(PoolId pool, address token, address owner, uint256 most, address to)
        private
        returns (uint256 amount)
    {
        PoolSettlementWord settlement = poolConfigs_[pool].settlement;
        uint256 unit = token == settlement.token() ? settlement.unit() : 1;
        uint256 claim_ = claims_[pool][token][owner];
        amount = FixedMath.min(claim_ / unit, most);
        require(amount != 0, NothingToClaim(pool, token, owner));
        uint256 paid = amount * unit;
        uint256 total = claimTotals_[pool][token] - paid;
        claims_[pool][token][owner] = claim_ - paid;
        claimTotals_[pool][token] = total;
        emit ClaimSet(pool, token, owner, claim_ - paid, total);
        _setHeld(pool, token, held_[pool][token] - paid);
        emit Claimed(pool, token, owner, amount, to);
    }

    /// @notice Every price must be fit to strike at, and near its EMA.
    function _requireStrikePrice(Market memory m, PoolLiquidityWord config) private {
        if (m.margin.has(MarketFlags.SETTLED)) return;
        uint256 asset = m.margin.asset();
        (Spot spot, Trend trend) = _observeFor(Action.Strike, asset);
        uint256 ema = trend.ema();
        uint256 price = spot.price();
        uint256 gap = price > ema ? price - ema : ema - price;
        require(gap * PPM <= ema * config.lpGapPpm(), LpGap(asset, price, ema));
    }

    /// @notice The pool's unrealised gain on a side beyond imBase·OI·P: losses beyond margin are not collectable.
    function _uncollectable(Market memory m, Side memory side) private pure returns (uint256) {
        uint256 gain = (-_sideProfit(m, side)).positivePart();
        uint256 margin = PricingMath.notionalDown(_interest(side), m.price) * m.margin.imBasePpm() / PPM;
        return gain > margin ? gain - margin : 0;
    }

    /// @notice NAV that must stay for one market: its deleveraging metric at most at target, and oiCap·P ≤ m·NAV.
    function _navNeeded(Pool memory p, Market memory m) private view returns (uint256) {
        uint256 open = (_openProfit(m, m.long) + _openProfit(m, m.short)).positivePart();
        uint256 forTarget = FixedMath.mulDivUp(open, PPM, p.risk.adlTargetPpm());
        LimitsWord limits = marketConfigs_[m.id].limits;
        uint256 capValue = PricingMath.notionalUp(limits.oiCap(), m.price);
        return FixedMath.max(forTarget, FixedMath.mulDivUp(capValue, PPM, limits.navMultiplePpm()));
    }

    // ── deleveraging and socialisation ─────────────────────────────────────

    /// @notice Values every market of the pool at the latest price; an invalid one counts at its last valid value.
    function _revalue(Pool memory p) private {
        uint256 count = poolConfigs_[p.id].settlement.marketCount();
        for (uint256 i; i < count; ++i) {
            Market memory m = _loadMarketToChange(IdLib.toMarket(p.id, i));
            _reprice(p, m);
            _storeMarket(m);
        }
    }

    /// @notice Socialises a negative NAV, then deleverages a market whose profit may still not be credited. In this order: what
    /// a closing epoch owes its positions is fixed, and no later socialisation reaches it.
    function _secure(Pool memory p, MarketId market) private returns (Market memory m) {
        _socialise(p);
        m = _loadMarketToChange(market);
        if (_unsound(p, m)) _deleverage(p, m);
    }

    /// @notice Shrinks the winning side of the skew by one fraction, so that the market's net open loss falls to target.
    /// @return acted false when the winning side is not the side of the skew
    function _deleverage(Pool memory p, Market memory m) private returns (bool acted) {
        int256 skew = _skew(m);
        Side memory side = skew > 0 ? m.long : m.short;
        int256 won = _openProfit(m, side);
        if (skew == 0 || won <= 0) return false;
        int256 open = _openProfit(m, m.long) + _openProfit(m, m.short);
        int256 nav = _nav(p);
        int256 excess = open - int256(nav.positivePart() * p.risk.adlTargetPpm() / PPM);
        if (excess <= 0) return false;
        uint256 fraction =
            SideMath.deleverageFraction(uint256(excess), uint256(won), skew.abs(), _interest(side), nav <= 0);
        uint256 scale = SideMath.scaleAfter(side.scale, fraction);
        bool closes = scale < LEAST_SCALE;
        uint256 deficit = (-nav).positivePart();
        uint256 released = closes ? _closeEpoch(m, side, deficit) : _shrink(m, side, scale, deficit);
        _mark(p, m);
        emit Deleveraged(m.id, side.long, closes ? ONE : fraction, m.price, released, closes);
        return true;
    }

    /// @notice A' and C' of the next event.
    /// @param deficit what the pool lacks, WAD: as much of the premium set free stays with it
    function _shrink(Market memory m, Side memory side, uint256 scale, uint256 deficit)
        private
        returns (uint256 released)
    {
        int256 value = _unitValue(m, side, m.price);
        uint256 before = _premium(m);
        side.scale = scale;
        released = _above(before, _premium(m) + deficit);
        int256 offset = SideMath.offsetAfter(value, scale, m.price, m.index, released, side.shares, side.long);
        _nextEvent(m, side, scale, offset);
    }

    /// @notice Deleverages a whole side: its positions keep C_end as their value, and the market owes it to them.
    /// @param deficit what the pool lacks, WAD: as much of the premium set free stays with it
    function _closeEpoch(Market memory m, Side memory side, uint256 deficit) private returns (uint256 released) {
        int256 value = _unitValue(m, side, m.price);
        int256 signed = _signed(side);
        uint256 shares = side.shares;
        uint256 before = _premium(m);
        side.shares = 0;
        uint256 later = _premium(m);
        released = _above(before, later + deficit);
        // Closing more than the skew may turn it over and raise the premium: the side pays that.
        uint256 raised = _above(later, before);
        int256 gain = SideMath.unitGain(released, shares) - SideMath.unitLoss(raised, shares);
        int256 end = side.long ? value + gain : value - gain;
        m.owed += (signed * end - side.entrySum).divCeil(UNIT);
        epochEnds_[m.id][_sideKey(side.long)][side.epoch] = end;
        emit EpochClosed(m.id, side.long, side.epoch, end);
        side.epoch += 1;
        (side.entrySum, side.openEntrySum) = (0, 0);
        _nextEvent(m, side, ONE, 0);
    }

    /// @notice a − b, or 0 if that is negative.
    function _above(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a - b : 0;
    }

    function _nextEvent(Market memory m, Side memory side, uint256 scale, int256 offset) private {
        // Until its first event a side's Y is its Z.
        if (side.eventNumber == 0) side.openEntrySum = side.entrySum;
        side.eventNumber += 1;
        (side.scale, side.offset) = (scale, offset);
        EventWord word = EventWordLib.pack(scale, offset, side.epoch);
        events_[m.id][_sideKey(side.long)][side.eventNumber] = word;
        emit SideEventSet(m.id, side.long, side.eventNumber, word);
    }

    /// @notice Takes a negative NAV from the winning sides of the pool's markets, pro rata to their profit. What they have not got stays.
    function _socialise(Pool memory p) private {
        if (_nav(p) >= 0) return;
        _revalue(p);
        int256 nav = _nav(p);
        if (nav >= 0) return;
        uint256 deficit = uint256(-nav);
        uint256 count = poolConfigs_[p.id].settlement.marketCount();
        uint256 profits;
        for (uint256 i; i < count; ++i) {
            Market memory m = _loadMarketToChange(IdLib.toMarket(p.id, i));
            profits += _sideProfit(m, m.long).positivePart() + _sideProfit(m, m.short).positivePart();
        }
        if (profits == 0) return;
        uint256 taken = FixedMath.min(deficit, profits);
        for (uint256 i; i < count; ++i) {
            Market memory m = _loadMarketToChange(IdLib.toMarket(p.id, i));
            bool changed = _takeFrom(m, m.long, taken, profits);
            changed = _takeFrom(m, m.short, taken, profits) || changed;
            if (!changed) continue;
            _mark(p, m);
            _storeMarket(m);
        }
        emit Socialised(p.id, deficit, taken);
    }

    /// @notice C −= d/R: a side pays its part of `taken`.
    function _takeFrom(Market memory m, Side memory side, uint256 taken, uint256 profits) private returns (bool) {
        uint256 profit = _sideProfit(m, side).positivePart();
        if (profit == 0) return false;
        uint256 part = FixedMath.min(FixedMath.mulDivUp(taken, profit, profits), profit);
        int256 loss = SideMath.unitLoss(part, side.shares);
        _nextEvent(m, side, side.scale, side.long ? side.offset - loss : side.offset + loss);
        return true;
    }
}
