// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LiquidationModule} from "../../../contracts/LiquidationModule.sol";
import {IOracleHub} from "../../../contracts/interfaces/IOracleHub.sol";
import {AccountWord} from "../../../contracts/types/AccountWord.sol";
import {MarginWord, PoolLiquidationWord, PoolRiskWord, TradeWord} from "../../../contracts/types/ConfigWords.sol";
import {AccountId, IdLib, MarketId, PoolId} from "../../../contracts/types/Ids.sol";
import {FundingWordLib, SidesWordLib} from "../../../contracts/types/MarketWords.sol";
import {ObservationLib, Spot, Trend} from "../../../contracts/types/Observation.sol";
import {DebtWordLib, PoolDuesWordLib, PoolFlags} from "../../../contracts/types/PoolWords.sol";
import {PositionWord, PositionWordLib} from "../../../contracts/types/PositionWord.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice A hub that knows one price.
contract OnePrice {
    Spot private spot;
    Trend private trend;

    function set(uint256 price, uint256 time, uint256 flags) external {
        spot = ObservationLib.packSpot(price, 0, time, flags, 0);
        trend = ObservationLib.packTrend(price, 0, 0);
    }

    function observe(uint256) external view returns (Spot, Trend) {
        return (spot, trend);
    }
}

/// @notice The liquidation module with one pool, one market and one account with one position.
/// @dev Names are immutable, not constant: halmos takes a slot that the compiler worked out for one outside of every mapping.
contract OneAccount is LiquidationModule {
    PoolId private immutable POOL;
    MarketId private immutable MARKET;
    AccountId private immutable ID;

    constructor(OnePrice hub, PoolId pool) LiquidationModule(IOracleHub(address(hub)), address(0), address(0)) {
        (POOL, MARKET, ID) = (pool, IdLib.toMarket(pool, 0), IdLib.toAccount(address(0xa11ce), pool, 0));
        pools_[POOL].dues = PoolDuesWordLib.pack(0, 0, 0, PoolFlags.OPEN | PoolFlags.CLEAR);
        pools_[POOL].debt = DebtWordLib.pack(0, 1e18, block.timestamp);
        // keeper floor 0.5
        poolConfigs_[POOL].risk = PoolRiskWord.wrap(0.5e9);
        poolConfigs_[POOL].liquidation = PoolLiquidationWord.wrap(1_100_000);
        // mmBase 2 %, λ 1 %, no slope, asset 1, listed
        marketConfigs_[MARKET].margin = MarginWord.wrap((20_000 << 24) | (10_000 << 48) | (1 << 216) | (1 << 224));
        // K one million units
        marketConfigs_[MARKET].trade = TradeWord.wrap(1e15);
    }

    /// @param entry price at which the position was opened, WAD
    function open(int256 cash, int256 size, uint256 entry, uint256 lastCheck) external {
        AccountWord word = AccountWord.wrap(0).withRawCash(cash).withMarket(0, true).withLastCheck(lastCheck);
        accounts_[ID] = word;
        positions_[ID][0] = PositionWordLib.pack(size, int256(entry) * 1e6, 0);
        (uint256 long, uint256 short) = size > 0 ? (uint256(size), 0) : (uint256(0), uint256(-size));
        markets_[MARKET].sides = SidesWordLib.pack(long, short, 0, 0);
        markets_[MARKET].funding = FundingWordLib.pack(0, 0, block.timestamp, entry);
    }

    function accountId() external view returns (AccountId) {
        return ID;
    }

    function state() external view returns (AccountWord, PositionWord) {
        return (accounts_[ID], positions_[ID][0]);
    }
}

/// @notice Healthy is safe: the real liquidation module on one account with one position in one market.
contract HealthProofs is Symbolic {
    OnePrice private hub;
    OneAccount private module;

    function setUp() public {
        vm.warp(1_700_000_000);
        hub = new OnePrice();
        module = new OneAccount(hub, PoolId.wrap(1));
    }

    /// @dev Opens the account, sets the price, tries to liquidate, which must not fail; whether something happened to the account.
    function touched(int256 size, int256 cash, uint256 price, uint256 lastCheck)
        private
        returns (uint256 result, bool moved)
    {
        module.open(cash, size, 2000e18, lastCheck);
        hub.set(price, 1_700_000_000, 0);
        (AccountWord account, PositionWord position) = module.state();
        AccountId[] memory ids = new AccountId[](1);
        ids[0] = module.accountId();
        try module.liquidate(ids, ids[0]) returns (uint256[] memory results) {
            result = results[0];
        } catch {
            assert(false);
        }
        (AccountWord after_, PositionWord rest) = module.state();
        moved = AccountWord.unwrap(account) != AccountWord.unwrap(after_)
            || PositionWord.unwrap(position) != PositionWord.unwrap(rest);
    }

    /// @notice A long with equity of at least its maintenance margin is not liquidated, and nothing of it moves
    /// @custom:bound long 10 units from 2000; mmr 2 %, λ 1 %, keeper floor 0.5, K 10^6; 0 ≤ cash < 2^80, 0 < price < 2^80, no debt, no
    /// funding
    function check_healthy_long_is_never_liquidated(uint80 cash, uint80 price) public {
        vm.assume(price != 0);
        int256 equity = int256(uint256(cash)) + 10 * (int256(uint256(price)) - 2000e18);
        // ⌈10·P·3 %⌉ + 0.5
        uint256 required = (uint256(price) * 3 + 9) / 10 + 0.5e18;
        vm.assume(equity >= int256(required));
        (uint256 result, bool moved) = touched(10e18, int256(uint256(cash)), price, 0);
        assert(result == 0 && !moved);
    }

    /// @notice A short with equity of at least its maintenance margin is not liquidated, and nothing of it moves
    /// @custom:bound short 10 units from 2000; mmr 2 %, λ 1 %, keeper floor 0.5, K 10^6; 0 ≤ cash < 2^80, 0 < price < 2^80, no debt, no
    /// funding
    function check_healthy_short_is_never_liquidated(uint80 cash, uint80 price) public {
        vm.assume(price != 0);
        int256 equity = int256(uint256(cash)) - 10 * (int256(uint256(price)) - 2000e18);
        uint256 required = (uint256(price) * 3 + 9) / 10 + 0.5e18;
        vm.assume(equity >= int256(required));
        (uint256 result, bool moved) = touched(-10e18, int256(uint256(cash)), price, 0);
        assert(result == 0 && !moved);
    }

    /// @notice An account that passed a margin check is not liquidated at a price that was published no later than that check used
    /// @custom:bound long 10 units from 2000; any price below 2^80, cash < 2^80, last check at or after the price's publication
    function check_account_just_checked_is_never_liquidated(uint80 cash, uint80 price, uint32 lastCheck) public {
        vm.assume(price != 0 && lastCheck >= 1_700_000_000);
        (uint256 result, bool moved) = touched(10e18, int256(uint256(cash)), price, lastCheck);
        assert((result == 0 || result == 5) && !moved);
    }
}
