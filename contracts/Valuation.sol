// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Market, Pool} from "./Ledger.sol";
import {Margin} from "./Margin.sol";
import {FixedMath, PPM} from "./libraries/FixedMath.sol";
import {MarginMath} from "./libraries/MarginMath.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {CollateralWord, MarketFlags} from "./types/ConfigWords.sol";
import {AccountId, IdLib, MarketId, PoolId} from "./types/Ids.sol";
import {PriceFlags, Spot, Trend} from "./types/Observation.sol";
import {PositionWord} from "./types/PositionWord.sol";

/// @title Health of an account at the prices that count in liquidation
/// @notice Used by liquidation to decide and by the Lens to show: the same integers.
abstract contract Valuation is Margin {
    using FixedMath for int256;

    uint256 private constant SEQUENCER = PriceFlags.SEQUENCER_DOWN | PriceFlags.SEQUENCER_GRACE;

    /// @dev A pool and those of its markets that a batch has met: loaded and accrued once, and stored once.
    struct Book {
        Pool pool;
        Market[] markets;
        uint256 count;
    }

    /// @dev One position of the account.
    struct Leg {
        /// place of its market in the book
        uint256 place;
        PositionWord position;
        int256 size;
        int256 profit;
        /// price of the valuation, WAD
        uint256 price;
        /// price it closes at: the better for the account while the sources deviate
        uint256 closePrice;
        /// ⌈n·P·(mmr + λ)⌉; 0 when it may not be closed
        uint256 requirement;
        bool closable;
        bool done;
    }

    /// @dev The account at one set of prices.
    struct Health {
        Leg[] legs;
        int256 equity;
        /// part of equity that is collateral
        int256 collateral;
        /// MM, keeper floor included
        uint256 required;
        uint256 newest;
        bool grace;
        bool deviated;
        bool open;
    }

    /// @notice While sources deviate the account must be below the line at both: the valuation that is better for it.
    function _better(AccountId id, AccountWord a, Book memory b, Health memory h) internal returns (Health memory) {
        if (!h.deviated || !_below(h)) return h;
        Health memory second = _health(id, a, b, true);
        return !_below(second) || second.equity > h.equity ? second : h;
    }

    function _below(Health memory h) internal pure returns (bool) {
        return h.equity < int256(h.required);
    }

    /// @notice Values the account for liquidation. An invalid price becomes the bound that favours the account and such a leg has no
    /// requirement; while the sources deviate `secondary` decides which of them is used.
    function _health(AccountId id, AccountWord a, Book memory b, bool secondary) internal returns (Health memory h) {
        unchecked {
            Pool memory p = b.pool;
            h.equity = _cashOf(a, p);
            h.legs = new Leg[](_bits(a.markets()));
            uint256 left = a.markets();
            uint256 n;
            for (uint256 i; left != 0; ++i) {
                uint256 bit = 1 << i;
                if (left & bit == 0) continue;
                left ^= bit;
                Leg memory leg = h.legs[n++];
                leg.place = _find(b, IdLib.toMarket(p.id, i));
                Market memory m = b.markets[leg.place];
                leg.position = positions_[id][i];
                leg.size = _sizeOf(m, leg.position);
                _priceLeg(leg, m, h, secondary);
                leg.profit = _profitOf(m, leg.position, leg.price);
                h.equity += leg.profit;
                if (!leg.closable || leg.size == 0) continue;
                h.open = true;
                leg.requirement = _maintenanceRequirement(m.margin, leg.size.abs(), leg.price);
                h.required += leg.requirement;
            }
            if (h.open) h.required += p.risk.keeperFloor();
            h.collateral = int256(_collateralValue(id, a, p, h, secondary));
            h.equity += h.collateral;
        }
    }

    /// @notice Opens a book for accounts with positions in `markets` of a pool.
    function _open(Book memory b, PoolId pool, uint256 markets) internal view {
        _readPool(b.pool, pool);
        b.markets = new Market[](_bits(markets));
        b.count = 0;
    }

    /// @notice Place of a market in the book; loads and accrues it when it is not there yet.
    function _find(Book memory b, MarketId id) internal view returns (uint256 place) {
        unchecked {
            uint256 count = b.count;
            for (; place < count; ++place) {
                if (MarketId.unwrap(b.markets[place].id) == MarketId.unwrap(id)) return place;
            }
            b.count = count + 1;
            Market memory m = b.markets[place];
            _readMarket(m, id);
            _accrue(m);
        }
    }

    function _priceLeg(Leg memory leg, Market memory m, Health memory h, bool secondary) internal {
        leg.closable = true;
        if (m.margin.has(MarketFlags.SETTLED)) {
            (leg.price, leg.closePrice) = (m.price, m.price);
            return;
        }
        (Spot spot, Trend trend) = _observe(m.margin.asset());
        bool long = leg.size > 0;
        (leg.price, leg.closePrice) = _priceFor(spot, trend, h, secondary, long);
        leg.closable = !spot.has(PriceFlags.INVALID);
        if (leg.closable) m.price = spot.price();
    }

    /// @notice Price of a valuation and of a close: for something the account is long of, or short of.
    function _priceFor(Spot spot, Trend trend, Health memory h, bool secondary, bool long)
        internal
        pure
        returns (uint256 price, uint256 closePrice)
    {
        unchecked {
            price = spot.price();
            if (spot.has(SEQUENCER)) h.grace = true;
            if (spot.has(PriceFlags.INVALID)) {
                uint256 bound = trend.boundPpm();
                price = long ? FixedMath.mulDivUp(price, PPM + bound, PPM) : price * (PPM - bound) / PPM;
                return (price, price);
            }
            h.newest = FixedMath.max(h.newest, spot.publishTime());
            closePrice = price;
            if (!spot.has(PriceFlags.DEVIATED) || spot.has(PriceFlags.DEVIATED_LONG)) return (price, closePrice);
            h.deviated = true;
            uint256 other = spot.other();
            closePrice = long ? FixedMath.max(price, other) : FixedMath.min(price, other);
            if (secondary) price = other;
        }
    }

    function _collateralValue(AccountId id, AccountWord a, Pool memory p, Health memory h, bool secondary)
        internal
        returns (uint256 value)
    {
        uint256 left = a.collaterals();
        for (uint256 i; left != 0; ++i) {
            uint256 bit = 1 << i;
            if (left & bit == 0) continue;
            left ^= bit;
            CollateralWord config = collateralConfigs_[p.id][i];
            (Spot spot, Trend trend) = _observe(config.asset());
            (uint256 price,) = _priceFor(spot, trend, h, secondary, true);
            value += MarginMath.collateralValue(
                collateral_[id][i], config.decimals(), price, config.weightMaintenancePpm()
            );
        }
    }
}
