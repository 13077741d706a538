// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClearinghouseStorage, MarketConfig, MarketState, PoolState} from "./ClearinghouseStorage.sol";
import {IClearinghouseErrors} from "./interfaces/IClearinghouseErrors.sol";
import {IClearinghouseEvents} from "./interfaces/IClearinghouseEvents.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {Cast} from "./libraries/Cast.sol";
import {FINE, FixedMath, ONE, PPM} from "./libraries/FixedMath.sol";
import {FundingMath} from "./libraries/FundingMath.sol";
import {InterestMath} from "./libraries/InterestMath.sol";
import {Action, PriceMatrix} from "./libraries/PriceMatrix.sol";
import {PricingMath} from "./libraries/PricingMath.sol";
import {SideMath} from "./libraries/SideMath.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {
    MarginWord,
    MarketFlags,
    PoolInterestWord,
    PoolRiskWord,
    PoolSettlementWord,
    TradeWord
} from "./types/ConfigWords.sol";
import {AccountId, MarketId, PoolId} from "./types/Ids.sol";
import {EventWord, FundingWord, FundingWordLib, SidesWord, SidesWordLib} from "./types/MarketWords.sol";
import {PriceFlags, Spot, Trend} from "./types/Observation.sol";
import {
    DebtWord,
    DebtWordLib,
    PoolDuesWord,
    PoolDuesWordLib,
    PoolFlags,
    PoolMoneyWord,
    PoolMoneyWordLib
} from "./types/PoolWords.sol";
import {PositionWord, PositionWordLib} from "./types/PositionWord.sol";

/// @notice A pool while a call works on it, interest accrued. Money WAD.
/// @param borrowIndex 0 while the debt word is not loaded: nobody owes anything, and nobody has begun to
/// @param debt as it is stored, if it is loaded
/// @param changed whether a batch has yet to store it
struct Pool {
    PoolId id;
    int256 cash;
    uint256 insurance;
    uint256 fees;
    int256 lossSum;
    uint256 escrow;
    uint256 scaledDebt;
    uint256 borrowIndex;
    DebtWord debt;
    PoolRiskWord risk;
    bool changed;
}

/// @notice One side of a market while a call works on it, see `SideMath`.
struct Side {
    bool long;
    uint256 shares;
    uint256 eventNumber;
    uint256 scale;
    int256 offset;
    uint256 epoch;
    int256 entrySum;
    int256 openEntrySum;
}

/// @notice A market while a call works on it.
/// @param skew longs minus shorts, WAD units, as loaded or last marked
/// @param summed whether entry sums and loss are loaded, and @param changed whether the market has yet to be stored, in a batch
struct Market {
    MarketId id;
    MarginWord margin;
    TradeWord trade;
    int256 index;
    int256 rate;
    uint256 time;
    uint256 price;
    int256 loss;
    int256 owed;
    int256 skew;
    Side long;
    Side short;
    bool summed;
    bool changed;
}

/// @title What the Clearinghouse and its modules share: loading, accruing, valuing, storing
/// @notice No entry point is here. A call loads pool and market into memory, works there, and stores once. `_store…` emits the words it
/// wrote; after `_write…` the caller does, in the event of its action. Amounts are WAD unless a name says otherwise.
/// @dev Unchecked where everything comes out of words: their widths leave room for all sums and products of a call, and what has grown
/// or fallen out of its width is refused when it is packed again.
abstract contract Ledger is ClearinghouseStorage, IClearinghouseErrors, IClearinghouseEvents {
    using FixedMath for int256;

    /// No market has this index.
    uint256 internal constant NO_MARKET = 256;

    IOracleHub public immutable HUB;
    address public immutable ORDER_BOOK;

    constructor(IOracleHub hub, address orderBook) {
        HUB = hub;
        ORDER_BOOK = orderBook;
    }

    // ── the one lock ───────────────────────────────────────────────────────

    /// @dev Over every entry point that changes state and is called from outside.
    modifier locked() {
        _acquire(address(this));
        _;
        lockedBy_ = address(0);
    }

    /// @dev Over every entry point that only a peer holding the lock may call.
    modifier holding() {
        require(lockedBy_ == msg.sender, NotLocked());
        require(msg.sender == ORDER_BOOK || isPeer_[msg.sender], NotPeer(msg.sender));
        _;
    }

    function _acquire(address holder) internal {
        require(lockedBy_ == address(0), Locked());
        lockedBy_ = holder;
        unchecked {
            ++priceEpoch_;
        }
    }

    // ── prices, read once per lock ─────────────────────────────────────────

    /// @notice The hub's observation of `asset`, asked for once while the lock is held.
    function _observe(uint256 asset) internal virtual returns (Spot spot, Trend trend) {
        uint256 slot;
        uint256 epoch = priceEpoch_;
        // keccak256("plimsoll.price" · epoch · asset): apart from every transient variable.
        assembly ("memory-safe") {
            mstore(0x00, or(shl(64, epoch), asset))
            mstore(0x20, 0x706c696d736f6c6c2e7072696365)
            slot := keccak256(0x00, 0x40)
            spot := tload(slot)
            trend := tload(add(slot, 1))
        }
        if (Spot.unwrap(spot) | Trend.unwrap(trend) != 0) return (spot, trend);
        (spot, trend) = HUB.observe(asset);
        assembly ("memory-safe") {
            tstore(slot, spot)
            tstore(add(slot, 1), trend)
        }
    }

    /// @notice The observation, refused when `action` does not tolerate its flags.
    function _observeFor(Action action, uint256 asset) internal returns (Spot spot, Trend trend) {
        (spot, trend) = _observe(asset);
        require(PriceMatrix.tolerates(action, spot.flags()), PriceRefused(asset, spot.flags()));
    }

    // ── pool ───────────────────────────────────────────────────────────────

    /// @notice Loads a pool and accrues its interest: V grows by what D grows.
    function _loadPool(PoolId id) internal view returns (Pool memory p) {
        _readPool(p, id);
    }

    /// @notice As `_loadPool`, into memory that is there already.
    function _readPool(Pool memory p, PoolId id) internal view {
        PoolState storage state = pools_[id];
        PoolDuesWord dues = _duesOf(id);
        PoolMoneyWord money = state.money;
        p.id = id;
        p.cash = money.cash();
        p.insurance = money.insurance();
        p.fees = dues.fees();
        p.lossSum = dues.lossSum();
        p.escrow = dues.escrow();
        p.risk = poolConfigs_[id].risk;
        p.changed = false;
        (p.scaledDebt, p.borrowIndex, p.debt) = (0, 0, DebtWord.wrap(0));
        if (!dues.has(PoolFlags.CLEAR)) _readDebt(p);
    }

    /// @notice The dues word of a pool, which there must be.
    function _duesOf(PoolId id) internal view returns (PoolDuesWord dues) {
        dues = pools_[id].dues;
        require(dues.has(PoolFlags.OPEN), UnknownPool(id));
    }

    /// @notice Loads a pool's debt, unless it is loaded, and accrues its interest.
    function _readDebt(Pool memory p) internal view {
        if (p.borrowIndex != 0) return;
        DebtWord debt = pools_[p.id].debt;
        p.debt = debt;
        p.borrowIndex = debt.borrowIndex();
        p.scaledDebt = debt.scaledDebt();
        if (p.scaledDebt == 0) return;
        unchecked {
            uint256 dt = block.timestamp - debt.time();
            if (dt == 0) return;
            PoolInterestWord curve = poolConfigs_[p.id].interest;
            uint256 before = _totalDebt(p);
            uint256 u = InterestMath.utilisation(before, p.cash);
            uint256 rate = InterestMath.rate(u, curve.base(), curve.slope1(), curve.slope2(), curve.kinkPpm());
            p.borrowIndex = InterestMath.indexAfter(p.borrowIndex, rate, dt);
            p.cash += int256(_totalDebt(p) - before);
        }
    }

    /// @dev Emits `DebtSet` itself: a fill or liquidation rarely finds or leaves debt.
    function _writePool(Pool memory p) internal returns (PoolMoneyWord money, PoolDuesWord dues) {
        PoolState storage state = pools_[p.id];
        uint256 flags = PoolFlags.OPEN;
        if (p.scaledDebt == 0 && p.cash >= 0) flags |= PoolFlags.CLEAR;
        money = PoolMoneyWordLib.pack(p.cash, p.insurance);
        dues = PoolDuesWordLib.pack(p.fees, p.lossSum, p.escrow, flags);
        (state.money, state.dues) = (money, dues);
        // Without debt, before and after, the time of accrual does not matter.
        if (p.scaledDebt | p.debt.scaledDebt() != 0) {
            p.debt = DebtWordLib.pack(p.scaledDebt, p.borrowIndex, block.timestamp);
            state.debt = p.debt;
            emit DebtSet(p.id, p.debt);
        }
        p.changed = false;
    }

    function _storePool(Pool memory p) internal {
        (PoolMoneyWord money, PoolDuesWord dues) = _writePool(p);
        emit PoolSet(p.id, money, dues);
    }

    /// @notice D, WAD, rounded down.
    function _totalDebt(Pool memory p) internal pure returns (uint256) {
        return InterestMath.totalDebt(p.scaledDebt, p.borrowIndex);
    }

    /// @notice V − Σ of the losses of each market's last priced call, WAD.
    function _nav(Pool memory p) internal pure returns (int256) {
        unchecked {
            return p.cash - p.lossSum;
        }
    }

    /// @notice Refuses voluntary debt beyond the pool's cash or the utilisation limit.
    function _requireBorrowable(Pool memory p) internal view {
        require(!p.risk.paused(4), BorrowPaused(p.id));
        uint256 debt = _totalDebt(p);
        uint256 limit = FixedMath.positivePart(p.cash) * poolConfigs_[p.id].settlement.utilisationLimitPpm() / PPM;
        require(debt <= limit, UtilisationLimit(debt, limit));
    }

    // ── cash of an account ─────────────────────────────────────────────────

    /// @notice Q: cash, or minus the debt rounded up, WAD.
    function _cashOf(AccountWord a, Pool memory p) internal view returns (int256) {
        int256 raw = a.rawCash();
        if (raw >= 0) return raw;
        _readDebt(p);
        unchecked {
            return -int256(InterestMath.debtOf(uint256(-raw), p.borrowIndex));
        }
    }

    /// @notice Adds `delta` to Q. Debt is stored rounded up; what rounding leaves over goes to V, so that the ledger adds up to the wei.
    /// @dev |delta| < 2^190: native amounts are refused from 2^128 on, and everything else comes out of words.
    function _addCash(AccountWord a, Pool memory p, int256 delta) internal view returns (AccountWord) {
        int256 raw = a.rawCash();
        unchecked {
            if (raw >= 0 && raw + delta >= 0) return a.withRawCash(raw + delta);
            _readDebt(p);
            int256 cash = _cashOf(a, p);
            int256 next = cash + delta;
            int256 effect = int256(next.positivePart()) - int256(cash.positivePart()) + int256(_totalDebt(p));
            uint256 scaled = next < 0 ? InterestMath.scaledFor(uint256(-next), p.borrowIndex) : 0;
            p.scaledDebt = p.scaledDebt + scaled - (raw < 0 ? uint256(-raw) : 0);
            effect -= int256(_totalDebt(p));
            p.cash += delta - effect;
            return a.withRawCash(next < 0 ? -int256(scaled) : next);
        }
    }

    function _writeAccount(AccountId id, AccountWord a) internal returns (AccountWord bumped) {
        bumped = a.bumped();
        accounts_[id] = bumped;
    }

    function _storeAccount(AccountId id, AccountWord a) internal {
        emit AccountSet(id, _writeAccount(id, a));
    }

    /// @notice Credits `amount` to `beneficiary` if it is an account of the pool, else as a claim of its owner.
    /// @return word of the account; zero if there is none, or nothing to pay
    function _writePayment(Pool memory p, AccountId beneficiary, uint256 amount) internal returns (AccountWord word) {
        if (amount == 0) return word;
        if (beneficiary.pool() == p.id) {
            return _writeAccount(beneficiary, _addCash(accounts_[beneficiary], p, Cast.toInt(amount)));
        }
        _addClaim(p.id, poolConfigs_[p.id].settlement.token(), beneficiary.owner(), amount);
    }

    function _pay(Pool memory p, AccountId beneficiary, uint256 amount) internal {
        AccountWord word = _writePayment(p, beneficiary, amount);
        if (AccountWord.unwrap(word) != 0) emit AccountSet(beneficiary, word);
    }

    /// @param amount in the unit of `held_`
    function _addClaim(PoolId pool, address token, address owner, uint256 amount) internal {
        uint256 claim_ = claims_[pool][token][owner] + amount;
        uint256 total = claimTotals_[pool][token] + amount;
        claims_[pool][token][owner] = claim_;
        claimTotals_[pool][token] = total;
        emit ClaimSet(pool, token, owner, claim_, total);
    }

    /// @notice Native units of the settlement asset in WAD; an amount that no token has is refused.
    function _wad(uint256 amount, PoolSettlementWord settlement) internal pure returns (uint256) {
        unchecked {
            return Cast.checkUint(amount, 128) * settlement.unit();
        }
    }

    /// @param held in the unit of `held_`
    function _setHeld(PoolId pool, address token, uint256 held) internal {
        held_[pool][token] = held;
        emit HeldSet(pool, token, held);
    }

    /// @notice Refuses to pay `amount` (WAD) of settlement asset out of buckets that belong to others.
    function _requirePayable(PoolId pool, address token, uint256 amount) internal view {
        PoolState storage state = pools_[pool];
        PoolDuesWord dues = state.dues;
        if (dues.has(PoolFlags.CLEAR)) return;
        uint256 reserved = state.money.insurance() + dues.fees() + dues.escrow() + state.junior + state.lpEscrow
            + claimTotals_[pool][token];
        uint256 held = held_[pool][token];
        uint256 free = held > reserved ? held - reserved : 0;
        require(amount <= free, InsufficientPoolLiquidity(free, amount));
    }

    function _collateralIndex(PoolId pool, address token) internal view returns (uint256 index) {
        index = collateralIndex_[pool][token];
        require(index != 0, UnknownToken(pool, token));
        return index - 1;
    }

    function _bits(uint256 bitmap) internal pure returns (uint256 count) {
        unchecked {
            for (; bitmap != 0; bitmap &= bitmap - 1) {
                ++count;
            }
        }
    }

    // ── market ─────────────────────────────────────────────────────────────

    /// @notice Loads configuration, funding and sides of a market and accrues funding, without entry sums and loss.
    function _loadMarket(MarketId id) internal view returns (Market memory m) {
        _readMarket(m, id);
        _accrue(m);
    }

    /// @notice Loads all of a market and accrues funding: for calls that change it.
    function _loadMarketToChange(MarketId id) internal view returns (Market memory m) {
        _readMarket(m, id);
        _readSums(m);
        _accrue(m);
    }

    /// @notice Fills `m`, which must be all zero, with what is stored of a market, without entry sums and loss.
    function _readMarket(Market memory m, MarketId id) internal view {
        MarketState storage state = markets_[id];
        MarketConfig storage config = marketConfigs_[id];
        m.id = id;
        m.margin = config.margin;
        require(m.margin.has(MarketFlags.LISTED), UnknownMarket(id));
        m.trade = config.trade;
        FundingWord funding = state.funding;
        m.index = funding.index();
        m.rate = funding.rate();
        m.time = funding.time();
        m.price = funding.price();
        SidesWord sides = state.sides;
        m.long.long = true;
        _loadSide(id, m.long, sides.longShares(), sides.longEvent());
        _loadSide(id, m.short, sides.shortShares(), sides.shortEvent());
        m.skew = _skew(m);
    }

    /// @notice Adds entry sums and loss to a market whose price and index are as they were stored: at these the loss is the market's part
    /// of the pool's sum of losses.
    function _readSums(Market memory m) internal view {
        MarketState storage state = markets_[m.id];
        m.long.entrySum = state.longEntrySum;
        m.short.entrySum = state.shortEntrySum;
        if (m.long.eventNumber | m.short.eventNumber != 0) {
            m.long.openEntrySum = state.longOpenEntrySum;
            m.short.openEntrySum = state.shortOpenEntrySum;
            m.owed = state.owed;
        }
        m.loss = _loss(m, PricingMath.premium(m.price, m.skew, m.trade.skewScale()));
    }

    function _loadSide(MarketId id, Side memory side, uint256 shares, uint256 eventNumber) private view {
        side.shares = shares;
        side.eventNumber = eventNumber;
        side.scale = ONE;
        if (eventNumber != 0) {
            EventWord e = events_[id][_sideKey(side.long)][eventNumber];
            (side.scale, side.offset, side.epoch) = (e.scale(), e.offset(), e.epoch());
        }
    }

    /// @dev Emits `OpenEntrySumsSet` itself: most sides never have an event.
    function _writeMarket(Market memory m) internal returns (FundingWord funding, SidesWord sides) {
        MarketState storage state = markets_[m.id];
        (Side memory long, Side memory short) = (m.long, m.short);
        funding = FundingWordLib.pack(m.index, m.rate, m.time, m.price);
        sides = SidesWordLib.pack(long.shares, short.shares, long.eventNumber, short.eventNumber);
        (state.funding, state.sides) = (funding, sides);
        (state.longEntrySum, state.shortEntrySum) = (long.entrySum, short.entrySum);
        m.changed = false;
        if (long.eventNumber | short.eventNumber == 0) return (funding, sides);
        (state.longOpenEntrySum, state.shortOpenEntrySum) = (long.openEntrySum, short.openEntrySum);
        state.owed = m.owed;
        emit OpenEntrySumsSet(m.id, long.openEntrySum, short.openEntrySum, m.owed);
    }

    function _storeMarket(Market memory m) internal {
        (FundingWord funding, SidesWord sides) = _writeMarket(m);
        emit MarketSet(m.id, funding, sides, m.long.entrySum, m.short.entrySum);
    }

    /// @notice Moves rate and funding index to now, with the price of the previous accrual.
    function _accrue(Market memory m) internal view {
        unchecked {
            uint256 dt = block.timestamp - m.time;
            if (dt == 0) return;
            m.time = block.timestamp;
            if (m.margin.has(MarketFlags.SETTLED)) return;
            TradeWord trade = m.trade;
            (int256 velocity, int256 bound) =
                FundingMath.drift(m.rate, m.skew, trade.skewScale(), trade.rMax(), trade.vMax(), trade.deadBandPpm());
            int256 twice;
            (m.rate, twice) = FundingMath.integrate(m.rate, velocity, bound, dt);
            m.index += FundingMath.indexGrowth(twice, m.price);
        }
    }

    /// @notice Takes the latest valid price into the market.
    function _takePrice(Market memory m) internal returns (Spot spot, Trend trend) {
        (spot, trend) = _observe(m.margin.asset());
        if (!spot.has(PriceFlags.INVALID) && !m.margin.has(MarketFlags.SETTLED)) m.price = spot.price();
    }

    /// @notice Takes the latest valid price into the market and revalues it for the pool.
    function _reprice(Pool memory p, Market memory m) internal returns (Spot spot, Trend trend) {
        (spot, trend) = _takePrice(m);
        _mark(p, m);
    }

    /// @notice What the pool owes the traders of a market at `m.price`: U_long + U_short + Π + owed.
    function _loss(Market memory m, uint256 premium) private pure returns (int256) {
        unchecked {
            int256 base = (int256(m.price) - m.index) * FINE;
            (Side memory long, Side memory short) = (m.long, m.short);
            int256 sum = int256(premium) + m.owed;
            int256 shares = int256(long.shares);
            if (shares != 0) {
                int256 value = SideMath.valueAt(long.scale, long.offset, base, true);
                sum += SideMath.sideProfit(shares, value, long.entrySum);
            }
            shares = int256(short.shares);
            if (shares != 0) {
                int256 value = SideMath.valueAt(short.scale, short.offset, base, false);
                sum += SideMath.sideProfit(-shares, value, short.entrySum);
            }
            return sum;
        }
    }

    /// @notice Values the market at `m.price` and moves the pool's sum of losses by the change.
    /// @return premium Π
    function _mark(Pool memory p, Market memory m) internal pure returns (uint256 premium) {
        m.skew = _skew(m);
        premium = PricingMath.premium(m.price, m.skew, m.trade.skewScale());
        int256 loss = _loss(m, premium);
        unchecked {
            p.lossSum += loss - m.loss;
        }
        m.loss = loss;
    }

    /// @notice U_X = ⌈R·W − Z⌉ at `m.price`.
    function _sideProfit(Market memory m, Side memory side) internal pure returns (int256) {
        if (side.shares == 0) return 0;
        return SideMath.sideProfit(_signed(side), _unitValue(m, side, m.price), side.entrySum);
    }

    /// @notice Uopen_X at `m.price`.
    function _openProfit(Market memory m, Side memory side) internal pure returns (int256) {
        if (side.shares == 0) return 0;
        int256 sum = side.eventNumber == 0 ? side.entrySum : side.openEntrySum;
        return SideMath.openProfit(_signed(side), side.scale, m.price, m.index, sum);
    }

    function _unitValue(Market memory m, Side memory side, uint256 price) internal pure returns (int256) {
        return SideMath.unitValue(side.scale, side.offset, price, m.index, side.long);
    }

    function _signed(Side memory side) internal pure returns (int256) {
        unchecked {
            return side.long ? int256(side.shares) : -int256(side.shares);
        }
    }

    function _interest(Side memory side) internal pure returns (uint256) {
        return SideMath.sizeOf(side.shares, side.scale);
    }

    /// @notice Longs minus shorts, WAD units.
    function _skew(Market memory m) internal pure returns (int256) {
        (Side memory long, Side memory short) = (m.long, m.short);
        unchecked {
            if (long.scale == ONE && short.scale == ONE) return int256(long.shares) - int256(short.shares);
            return int256(_interest(long)) - int256(_interest(short));
        }
    }

    /// @notice Π at `m.price`.
    function _premium(Market memory m) internal pure returns (uint256) {
        return PricingMath.premium(m.price, _skew(m), m.trade.skewScale());
    }

    /// @notice Whether profit may not be credited before deleveraging or socialisation ran.
    function _unsound(Pool memory p, Market memory m) internal pure returns (bool) {
        unchecked {
            int256 nav = _nav(p);
            if (nav < 0) return true;
            int256 open = _openProfit(m, m.long) + _openProfit(m, m.short);
            return open > 0 && uint256(open) * PPM > uint256(nav) * p.risk.adlTriggerPpm()
                && _openProfit(m, _skew(m) > 0 ? m.long : m.short) > 0;
        }
    }

    function _sideKey(bool long) internal pure returns (uint256) {
        return long ? 1 : 0;
    }

    // ── position ───────────────────────────────────────────────────────────

    /// @notice Event that the position has last seen: (scale, offset, epoch); (ONE, 0, 0) before any.
    function _eventOf(MarketId id, Side memory side, PositionWord pos)
        internal
        view
        returns (uint256 scale, int256 offset, uint256 epoch)
    {
        uint256 number = pos.lastEvent();
        if (number == side.eventNumber) return (side.scale, side.offset, side.epoch);
        if (number == 0) return (ONE, 0, 0);
        EventWord e = events_[id][_sideKey(side.long)][number];
        return (e.scale(), e.offset(), e.epoch());
    }

    /// @notice Signed size, WAD units; 0 in a closed epoch.
    function _sizeOf(Market memory m, PositionWord pos) internal view returns (int256 size) {
        int256 shares = pos.shares();
        if (shares == 0) return 0;
        Side memory side = shares > 0 ? m.long : m.short;
        if (side.eventNumber != 0) {
            (,, uint256 epoch) = _eventOf(m.id, side, pos);
            if (epoch != side.epoch) return 0;
        }
        size = int256(SideMath.sizeOf(shares.abs(), side.scale));
        unchecked {
            if (shares < 0) size = -size;
        }
    }

    /// @notice Profit since the last touch at `price`, rounded down.
    function _profitOf(Market memory m, PositionWord pos, uint256 price) internal view returns (int256) {
        int256 shares = pos.shares();
        if (shares == 0) return 0;
        Side memory side = shares > 0 ? m.long : m.short;
        if (side.eventNumber != 0) {
            (,, uint256 epoch) = _eventOf(m.id, side, pos);
            if (epoch != side.epoch) {
                return SideMath.profit(shares, epochEnds_[m.id][_sideKey(side.long)][epoch], pos.entry());
            }
        }
        return SideMath.profit(shares, _unitValue(m, side, price), pos.entry());
    }

    /// @notice Takes a position out of its market: V pays `profit`, its profit now. The caller credits the account.
    function _takeOut(Pool memory p, Market memory m, PositionWord pos, int256 profit) internal view {
        if (PositionWord.unwrap(pos) == 0) return;
        int256 shares = pos.shares();
        Side memory side = shares > 0 ? m.long : m.short;
        (uint256 scale, int256 offset, uint256 epoch) = _eventOf(m.id, side, pos);
        unchecked {
            p.cash -= profit;
        }
        if (epoch != side.epoch) {
            m.owed -= profit;
            return;
        }
        // Checked: only the invariant of shares keeps a side at least as large as each of its positions.
        side.shares -= shares.abs();
        unchecked {
            side.entrySum -= shares * pos.entry();
            if (side.eventNumber != 0) {
                side.openEntrySum -= shares * SideMath.openEntry(pos.entry(), scale, offset);
            }
        }
    }

    /// @notice Puts a position of `size` into its market at `price`, W now as its entry.
    function _putIn(Market memory m, int256 size, uint256 price) internal pure returns (PositionWord) {
        if (size == 0) return PositionWord.wrap(0);
        Side memory side = size > 0 ? m.long : m.short;
        uint256 magnitude = SideMath.sharesFor(size.abs(), side.scale);
        int256 entry = _unitValue(m, side, price);
        unchecked {
            int256 shares = size > 0 ? int256(magnitude) : -int256(magnitude);
            side.shares += magnitude;
            side.entrySum += shares * entry;
            if (side.eventNumber != 0) {
                side.openEntrySum += shares * SideMath.openEntry(entry, side.scale, side.offset);
            }
            return PositionWordLib.pack(shares, entry, side.eventNumber);
        }
    }
}
