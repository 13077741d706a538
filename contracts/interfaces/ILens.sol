// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountId, MarketId, PoolId} from "../types/Ids.sol";

/// @notice One position. Size signed WAD units; money WAD; `flags` of its price, see `PriceFlags`.
struct PositionView {
    MarketId market;
    int256 size;
    uint256 price;
    int256 profit;
    uint256 initial;
    uint256 maintenance;
    uint256 flags;
}

/// @notice One collateral balance: native units, and its values in initial and maintenance margin, WAD.
struct CollateralView {
    address token;
    uint256 balance;
    uint256 valueInitial;
    uint256 valueMaintenance;
    uint256 flags;
}

/// @notice An account at the latest prices. Money WAD.
/// @param cash Q; negative is debt
/// @param health equity^M / MM, WAD, rounded down; max when MM = 0 and equity ≥ 0; 0 when equity ≤ 0
/// @param leverage Σ n·P / equity^M, WAD, rounded up; max when equity ≤ 0 and a position is open
/// @param free equity^I − IM with no weight on profit: what may be taken out, before limits
/// @param liquidatable equity^M < MM at the prices that count (grace and cool-off not considered)
struct AccountView {
    int256 cash;
    int256 equityInitial;
    uint256 initial;
    int256 equityMaintenance;
    uint256 maintenance;
    uint256 health;
    uint256 leverage;
    int256 free;
    bool liquidatable;
    uint256 pendingOrders;
    uint256 version;
    uint256 lastCheck;
    uint256 saleStart;
    PositionView[] positions;
    CollateralView[] collaterals;
}

/// @notice A market at the latest price, funding accrued. Sizes WAD units, rate 1e-18 per second, money WAD.
struct MarketView {
    MarketId market;
    uint256 price;
    uint256 flags;
    int256 fundingIndex;
    int256 fundingRate;
    uint256 longInterest;
    uint256 shortInterest;
    int256 skew;
    uint256 premium;
    int256 loss;
    int256 openLoss;
    uint256 ema;
    uint256 variance;
}

/// @notice A pool at the latest prices, interest accrued. Money WAD.
struct PoolView {
    int256 cash;
    uint256 debt;
    int256 liquid;
    uint256 insurance;
    uint256 junior;
    uint256 fees;
    uint256 escrow;
    uint256 lpEscrow;
    uint256 claims;
    uint256 held;
    int256 nav;
    uint256 utilisation;
    uint256 borrowIndex;
    uint256 borrowRate;
    uint256 openSales;
    MarketView[] markets;
}

/// @notice The two checks of an account, WAD: equity^I against IM (no weight on profit), equity^M against MM.
struct Margins {
    int256 equityInitial;
    uint256 initial;
    int256 equityMaintenance;
    uint256 maintenance;
}

/// @notice What a call would do. `reason` is empty when it would succeed, else the encoded custom error.
struct Preview {
    bool success;
    bytes reason;
    int256 sizeDelta;
    uint256 fillPrice;
    int256 profit;
    uint256 fee;
    Margins afterwards;
}

/// @title Views and previews without privileges
/// @notice Everything runs inside `Clearinghouse.simulate`, on the protocol's own code and storage, and is undone. Functions marked
/// `view` also work on chain by static call; the others are meant for `eth_call`. All revert with `Locked` while the lock is held.
interface ILens {
    function account(AccountId id) external view returns (AccountView memory);

    function margins(AccountId id) external view returns (Margins memory);

    /// @notice equity^M, MM and health ratio inputs of many accounts, the same integers as `liquidate` compares.
    function healthBatch(AccountId[] calldata ids)
        external
        view
        returns (int256[] memory equity, uint256[] memory required, uint256[] memory newest);

    function market(MarketId id) external view returns (MarketView memory);

    function pool(PoolId id) external view returns (PoolView memory);

    /// @notice Bit i is set when identity i holds for the pool, given all its accounts: 0 settlement ledger, 1 collateral ledgers,
    /// 2 token balances, 3 R = Σ r, 4 Z = Σ r·w, 5 Y = Σ r·x, 6 scaled debt, 7 Σ losses, 8 pending sales.
    function solvency(PoolId id, AccountId[] calldata accounts) external view returns (uint256 bitmap);

    /// @notice Price of the market's asset at which the account becomes liquidatable, everything else equal: the first integer price at
    /// which the check fails. Positions and collateral on the same asset move together.
    /// @return exists false when no price does it
    /// @return below true: liquidatable at `price` and below; false: at `price` and above
    function liquidationPrice(AccountId id, MarketId market) external returns (bool exists, bool below, uint256 price);

    /// @notice Health of accounts at other prices of some assets.
    function stressAccounts(AccountId[] calldata ids, uint256[] calldata assets, uint256[] calldata prices)
        external
        returns (int256[] memory equity, uint256[] memory required);

    /// @notice NAV of a pool at other prices of some assets, WAD.
    function stressPool(PoolId id, uint256[] calldata assets, uint256[] calldata prices) external returns (int256 nav);

    /// @notice What filling `sizeDelta` at the latest price would do.
    function previewTrade(AccountId id, MarketId market, int256 sizeDelta, bool reduceOnly)
        external
        returns (Preview memory);

    /// @notice The largest |sizeDelta|, WAD units rounded down to 1e9, that would be filled now.
    function maxTrade(AccountId id, MarketId market, bool buy) external returns (uint256 size);

    function previewWithdraw(AccountId id, address token, uint256 amount) external returns (Preview memory);

    /// @notice The most of `token`, native units, that could be withdrawn now.
    function maxWithdraw(AccountId id, address token) external returns (uint256 amount);

    /// @notice Result code of `liquidate` for each account, and what the keeper would get, WAD.
    function previewLiquidation(AccountId[] calldata ids)
        external
        returns (uint256[] memory results, uint256[] memory rewards);

    /// @notice Whether `deleverage` would act, and open interest of both sides before and after, WAD units.
    function previewDeleverage(MarketId market)
        external
        returns (bool acts, bytes memory reason, uint256[2] memory before, uint256[2] memory later);

    /// @notice How a bad debt of `amount`, WAD, would be borne.
    function previewWaterfall(PoolId id, uint256 amount)
        external
        view
        returns (uint256 fromInsurance, uint256 fromJunior, uint256 fromPool, uint256 socialised, uint256 uncovered);
}
