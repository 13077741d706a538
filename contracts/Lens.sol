// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {LensBase} from "./LensBase.sol";
import {Trading} from "./Trading.sol";
import {FillOrder, FillResult, IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {ILens, Margins, Preview} from "./interfaces/ILens.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {FixedMath, WAD} from "./libraries/FixedMath.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {PoolSettlementWord} from "./types/ConfigWords.sol";
import {AccountId, IdLib, MarketId} from "./types/Ids.sol";
import {PriceFlags, Spot, Trend} from "./types/Observation.sol";

/// @title Views and previews
/// @notice Natspec is on `ILens`; a test compares the selectors. What is not found here goes on to `LensViews`, so that users need one
/// address. Each `try…` function is the action itself and reverts as the action does; it leaves nothing behind because it only ever runs
/// inside a simulation.
contract Lens is LensBase, Trading {
    address public immutable VIEWS;
    address public immutable LIQUIDATION_MODULE;
    address public immutable SOLVENCY_MODULE;

    constructor(
        IOracleHub hub,
        address orderBook,
        address clearinghouse,
        address views,
        address liquidationModule,
        address solvencyModule
    ) Ledger(hub, orderBook) LensBase(clearinghouse) {
        VIEWS = views;
        LIQUIDATION_MODULE = liquidationModule;
        SOLVENCY_MODULE = solvencyModule;
    }

    fallback() external {
        _forwardTo(VIEWS);
    }

    function _solvencyModule() internal view override returns (address) {
        return SOLVENCY_MODULE;
    }

    function _observe(uint256 asset) internal override(Ledger, LensBase) returns (Spot, Trend) {
        return LensBase._observe(asset);
    }

    function previewTrade(AccountId id, MarketId market_, int256 sizeDelta, bool reduceOnly)
        external
        inside
        returns (Preview memory v)
    {
        (bool success, bytes memory result) =
            _attempt(abi.encodeCall(this.tryTrade, (id, market_, sizeDelta, reduceOnly)));
        if (!success) {
            v.reason = result;
            return v;
        }
        v.success = true;
        FillResult memory fill;
        (fill, v.afterwards) = abi.decode(result, (FillResult, Margins));
        (v.sizeDelta, v.fillPrice, v.profit, v.fee) = (fill.sizeDelta, fill.fillPrice, fill.profit, fill.fee);
    }

    /// @notice Fills inside a simulation; reverts as the fill would. Use `previewTrade`.
    function tryTrade(AccountId id, MarketId market_, int256 sizeDelta, bool reduceOnly)
        external
        inside
        returns (FillResult memory result, Margins memory afterwards)
    {
        (Spot spot,) = _observe(marketConfigs_[market_].margin.asset());
        require(!spot.has(PriceFlags.INVALID), PriceRefused(marketConfigs_[market_].margin.asset(), spot.flags()));
        if (!reduceOnly) accounts_[id] = accounts_[id].withPendingOrders(accounts_[id].pendingOrders() + 1);
        result = _fill(
            FillOrder({
                account: id,
                market: market_,
                sizeDelta: sizeDelta,
                limitPrice: sizeDelta > 0 ? type(uint256).max : 0,
                reduceOnly: reduceOnly,
                spot: spot,
                keeperFee: 0,
                keeper: id,
                id: 0
            })
        );
        afterwards = _margins(id);
    }

    /// @notice The account's checks as `LensViews` shows them, in the middle of a simulation.
    function _margins(AccountId id) private returns (Margins memory) {
        return abi.decode(_delegate(VIEWS, abi.encodeCall(ILens.margins, (id))), (Margins));
    }

    function maxTrade(AccountId id, MarketId market_, bool buy) external inside returns (uint256 size) {
        uint256 bad = marketConfigs_[market_].limits.maxPosition() * 2 / 1e9 + 1;
        // A small trade may be refused as dust: the least that counts is the pool's minimum notional.
        uint256 price = markets_[market_].funding.price();
        uint256 good = FixedMath.mulDivUp(poolConfigs_[id.pool()].risk.minNotional(), WAD, price * 1e9) + 1;
        if (good >= bad || !_fills(id, market_, buy, good * 1e9)) return 0;
        while (bad - good > 1) {
            uint256 middle = (good + bad) / 2;
            if (_fills(id, market_, buy, middle * 1e9)) good = middle;
            else bad = middle;
        }
        return good * 1e9;
    }

    function _fills(AccountId id, MarketId market_, bool buy, uint256 size) private returns (bool success) {
        int256 delta = buy ? int256(size) : -int256(size);
        (success,) = _attempt(abi.encodeCall(this.tryTrade, (id, market_, delta, false)));
    }

    function previewWithdraw(AccountId id, address token, uint256 amount) external inside returns (Preview memory v) {
        (bool success, bytes memory result) = _attempt(abi.encodeCall(this.tryWithdraw, (id, token, amount)));
        v.success = success;
        if (success) v.afterwards = abi.decode(result, (Margins));
        else v.reason = result;
    }

    /// @notice Debits inside a simulation; reverts as the withdrawal would. Use `previewWithdraw`.
    function tryWithdraw(AccountId id, address token, uint256 amount) external inside returns (Margins memory) {
        require(amount != 0, ZeroAmount());
        PoolSettlementWord settlement = poolConfigs_[id.pool()].settlement;
        _storeAccount(id, _takeOutOf(id, token, amount, settlement));
        if (token == settlement.token()) _requirePayable(id.pool(), token, amount * settlement.unit());
        return _margins(id);
    }

    function maxWithdraw(AccountId id, address token) external inside returns (uint256 good) {
        PoolSettlementWord settlement = poolConfigs_[id.pool()].settlement;
        uint256 unit = token == settlement.token() ? settlement.unit() : 1;
        uint256 bad = held_[id.pool()][token] / unit + 1;
        while (bad - good > 1) {
            uint256 middle = (good + bad) / 2;
            (bool success,) = _attempt(abi.encodeCall(this.tryWithdraw, (id, token, middle)));
            if (success) good = middle;
            else bad = middle;
        }
    }

    function previewLiquidation(AccountId[] calldata ids)
        external
        inside
        returns (uint256[] memory results, uint256[] memory rewards)
    {
        results = new uint256[](ids.length);
        rewards = new uint256[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            (bool success, bytes memory result) = _attempt(abi.encodeCall(this.tryLiquidate, (ids[i])));
            if (!success) TokenLib.bubble(result);
            (results[i], rewards[i]) = abi.decode(result, (uint256, uint256));
        }
    }

    /// @notice Liquidates one account inside a simulation. Use `previewLiquidation`.
    function tryLiquidate(AccountId id) external inside returns (uint256 result, uint256 reward) {
        AccountId[] memory ids = new AccountId[](1);
        ids[0] = id;
        // A keeper account that exists nowhere else: what it holds afterwards is the reward.
        AccountId keeper = IdLib.toAccount(address(1), id.pool(), type(uint80).max);
        bytes memory data = _delegate(LIQUIDATION_MODULE, abi.encodeCall(IClearinghouse.liquidate, (ids, keeper)));
        result = abi.decode(data, (uint256[]))[0];
        reward = uint256(accounts_[keeper].rawCash());
    }

    function _delegate(address module, bytes memory data) private returns (bytes memory) {
        (bool success, bytes memory result) = module.delegatecall(data);
        if (!success) TokenLib.bubble(result);
        return result;
    }
}
