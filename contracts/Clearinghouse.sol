// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Ledger, Market, Pool} from "./Ledger.sol";
import {Initial} from "./Margin.sol";
import {Trading} from "./Trading.sol";
import {FillOrder, IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {Cast} from "./libraries/Cast.sol";
import {FixedMath} from "./libraries/FixedMath.sol";
import {Action, PriceMatrix} from "./libraries/PriceMatrix.sol";
import {TokenLib} from "./libraries/TokenLib.sol";
import {AccountWord} from "./types/AccountWord.sol";
import {MarketFlags, Pause, PoolRiskWord, PoolSettlementWord, unitOf} from "./types/ConfigWords.sol";
import {AccountId, MarketId, PoolId} from "./types/Ids.sol";
import {PoolDuesWord, PoolFlags} from "./types/PoolWords.sol";

/// @title The one ledger
/// @notice Holds every token and writes every balance. Natspec of the entry points is on `IClearinghouse`.
/// Every entry point has one order: check input → authority → accrue → compute → write → post-conditions → emit → tokens last.
/// What is not found here is delegated: liquidation, solvency and LP settlement, administration; all share `ClearinghouseStorage`.
contract Clearinghouse is Trading {
    using FixedMath for int256;

    /// Risk-increasing orders that may be pending in one account.
    uint256 private constant MAX_PENDING = 8;

    address public immutable LIQUIDATION_MODULE;
    address public immutable SOLVENCY_MODULE;
    address public immutable ADMIN_MODULE;

    constructor(
        IOracleHub hub,
        address orderBook,
        address liquidationModule,
        address solvencyModule,
        address adminModule,
        address initialOwner
    ) Ledger(hub, orderBook) {
        require(
            address(hub) != address(0) && orderBook != address(0) && liquidationModule != address(0)
                && solvencyModule != address(0) && adminModule != address(0) && initialOwner != address(0),
            ZeroAddress()
        );
        LIQUIDATION_MODULE = liquidationModule;
        SOLVENCY_MODULE = solvencyModule;
        ADMIN_MODULE = adminModule;
        owner_ = initialOwner;
    }

    // ── collateral ─────────────────────────────────────────────────────────

    function deposit(AccountId account, address token, uint256 amount) external locked {
        _deposit(account, token, amount);
    }

    function depositWithPermit(
        AccountId account,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external locked {
        // Somebody may have sent the permit first: then the allowance is there and the transfer succeeds.
        if (token.code.length != 0) {
            try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        }
        _deposit(account, token, amount);
    }

    function _deposit(AccountId account, address token, uint256 amount) private {
        require(amount != 0, ZeroAmount());
        require(account.owner() != address(0), ZeroAddress());
        PoolId pool = account.pool();
        PoolSettlementWord settlement = poolConfigs_[pool].settlement;
        require(settlement.token() != address(0), UnknownPool(pool));
        AccountWord a = accounts_[account];
        uint256 credit = amount;
        if (token == settlement.token()) {
            credit = _wad(amount, settlement);
            if (a.rawCash() >= 0) {
                a = a.withRawCash(a.rawCash() + Cast.toInt(credit));
            } else {
                Pool memory p = _loadPool(pool);
                a = _addCash(a, p, Cast.toInt(credit));
                _storePool(p);
            }
        } else {
            a = _addCollateral(account, a, token, amount);
        }
        uint256 held = held_[pool][token] + credit;
        held_[pool][token] = held;
        emit Deposited(msg.sender, account, token, amount, _writeAccount(account, a), held);
        TokenLib.pull(token, msg.sender, amount);
    }

    function _addCollateral(AccountId account, AccountWord a, address token, uint256 amount)
        private
        returns (AccountWord)
    {
        PoolId pool = account.pool();
        uint256 index = _collateralIndex(pool, token);
        uint256 balance = collateral_[account][index] + amount;
        uint256 total = held_[pool][token] - claimTotals_[pool][token] + amount;
        if (total > collateralCaps_[pool][index]) _requireBelowInitial(account, a, token, total, index);
        if (balance == amount) {
            // Anyone may top up, but only the owner adds a kind of collateral: each one costs gas in liquidation.
            require(account.owner() == msg.sender, NotAccountOwner(account, msg.sender));
            a = a.withCollateral(index, true);
            uint256 count = _bits(a.collaterals());
            uint256 most = poolConfigs_[pool].settlement.maxCollaterals();
            require(count <= most, TooManyCollaterals(count, most));
        }
        collateral_[account][index] = balance;
        emit CollateralSet(account, index, balance);
        return a;
    }

    /// @notice Beyond the cap only an account below its initial margin may top up.
    function _requireBelowInitial(AccountId account, AccountWord a, address token, uint256 total, uint256 index)
        private
    {
        PoolId pool = account.pool();
        Pool memory p = _loadPool(pool);
        Initial memory c = _initialMargin(account, a, p, 0, NO_MARKET, PriceMatrix.refused(Action.IncreaseRisk));
        if (c.any) c.required += p.risk.keeperFloor();
        require(c.equity < int256(c.required), CollateralCap(token, total, collateralCaps_[pool][index]));
    }

    function withdraw(AccountId account, address token, uint256 amount, address to) external locked {
        require(amount != 0, ZeroAmount());
        require(to != address(0), ZeroAddress());
        require(account.owner() == msg.sender, NotAccountOwner(account, msg.sender));
        PoolId pool = account.pool();
        PoolSettlementWord settlement = poolConfigs_[pool].settlement;
        AccountWord a = _takeOutOf(account, token, amount, settlement);
        uint256 debit = amount;
        if (token == settlement.token()) {
            debit = _wad(amount, settlement);
            _requirePayable(pool, token, debit);
        }
        uint256 held = held_[pool][token] - debit;
        held_[pool][token] = held;
        emit Withdrawn(account, token, amount, to, _writeAccount(account, a), held);
        TokenLib.push(token, to, amount);
    }

    function transfer(AccountId from, AccountId to, address token, uint256 amount) external locked {
        require(amount != 0, ZeroAmount());
        require(!(from == to), SameAccount(from));
        require(from.owner() == msg.sender, NotAccountOwner(from, msg.sender));
        require(to.owner() == msg.sender, OtherOwner(from, to));
        PoolId pool = from.pool();
        require(to.pool() == pool, OtherPool(to, pool));
        PoolSettlementWord settlement = poolConfigs_[pool].settlement;
        _storeAccount(from, _takeOutOf(from, token, amount, settlement));
        AccountWord a = accounts_[to];
        if (token == settlement.token()) {
            Pool memory p = _loadPool(pool);
            a = _addCash(a, p, Cast.toInt(_wad(amount, settlement)));
            if (p.borrowIndex != 0) _storePool(p);
        } else {
            uint256 index = _collateralIndex(pool, token);
            uint256 balance = collateral_[to][index] + amount;
            a = a.withCollateral(index, true);
            uint256 count = _bits(a.collaterals());
            require(count <= settlement.maxCollaterals(), TooManyCollaterals(count, settlement.maxCollaterals()));
            collateral_[to][index] = balance;
            emit CollateralSet(to, index, balance);
        }
        _storeAccount(to, a);
        emit Transferred(from, to, token, amount);
    }

    function multicall(bytes[] calldata calls) external returns (bytes[] memory results) {
        results = new bytes[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (bool success, bytes memory result) = address(this).delegatecall(calls[i]);
            if (!success) TokenLib.bubble(result);
            results[i] = result;
        }
    }

    function accrue(MarketId market) external locked {
        Pool memory p = _loadPool(market.pool());
        Market memory m = _loadMarketToChange(market);
        _reprice(p, m);
        _storeMarket(m);
        _storePool(p);
    }

    // ── for the peers, who hold the one lock ───────────────────────────────

    function lock() external {
        require(msg.sender == ORDER_BOOK || isPeer_[msg.sender], NotPeer(msg.sender));
        _acquire(msg.sender);
    }

    function unlock() external {
        require(lockedBy_ == msg.sender, NotLocked());
        lockedBy_ = address(0);
    }

    function isLocked() external view returns (bool) {
        return lockedBy_ != address(0);
    }

    function reserveFee(AccountId account, MarketId market, address caller, uint256 fee, bool reduceOnly)
        external
        holding
    {
        require(msg.sender == ORDER_BOOK, NotPeer(msg.sender));
        require(account.owner() == caller, NotAccountOwner(account, caller));
        PoolId pool = account.pool();
        require(market.pool() == pool, OtherPool(account, market.pool()));
        PoolDuesWord dues = _duesOf(pool);
        PoolRiskWord risk = poolConfigs_[pool].risk;
        require(fee % 1e9 == 0 && fee % unitOf(risk.decimals()) == 0, FeeGranularity(fee));
        require(fee <= risk.keeperFloor(), KeeperFeeTooHigh(fee, risk.keeperFloor()));
        require(marketConfigs_[market].margin.has(MarketFlags.LISTED), UnknownMarket(market));
        AccountWord a = accounts_[account];
        if (!reduceOnly && dues.has(PoolFlags.CLEAR) && a.markets() | a.collaterals() == 0) {
            int256 rest = a.rawCash() - Cast.toInt(fee);
            if (rest >= 0) {
                // No position, no collateral, no debt: equity^I ≥ 0 = IM whatever prices are, and of the pool only escrow moves.
                require(!risk.paused(Pause.INCREASE), IncreasePaused(pool));
                a = _writeAccount(account, _withOrder(a).withRawCash(rest));
                dues = dues.withEscrow(dues.escrow() + fee);
                pools_[pool].dues = dues;
                emit FeeReserved(account, a, dues);
                return;
            }
        }
        Pool memory p = _loadPool(pool);
        if (reduceOnly) {
            require(a.markets() >> market.index() & 1 != 0, NothingToReduce(account, market));
            (int256 equity,,) = _maintenanceMargin(account, a, p, 256);
            // What is left must still pay a liquidation, or insurance would: fees of several orders cannot eat into the floor.
            uint256 least = fee + p.risk.keeperFloor();
            require(equity >= Cast.toInt(least), InsufficientMargin(equity, least));
            a = _addCash(a, p, -Cast.toInt(fee));
        } else {
            require(!p.risk.paused(Pause.INCREASE), IncreasePaused(pool));
            a = _addCash(a, p, -Cast.toInt(fee));
            if (a.rawCash() < 0) _requireBorrowable(p);
            if (a.markets() | a.collaterals() != 0 || a.rawCash() < 0) a = _requireInitial(account, a, p, 0);
            a = _withOrder(a);
        }
        p.escrow += fee;
        _storeAccount(account, a);
        _storePool(p);
    }

    /// @notice One more order that may raise risk.
    function _withOrder(AccountWord a) private pure returns (AccountWord) {
        uint256 count = a.pendingOrders() + 1;
        require(count <= MAX_PENDING, TooManyOrders(count, MAX_PENDING));
        return a.withPendingOrders(count);
    }

    function releaseFee(AccountId account, uint256 fee, bool reduceOnly, bool toKeeper, AccountId keeper)
        external
        holding
    {
        require(msg.sender == ORDER_BOOK, NotPeer(msg.sender));
        Pool memory p = _loadPool(account.pool());
        AccountWord a = accounts_[account];
        if (!reduceOnly) a = a.withPendingOrders(a.pendingOrders() - 1);
        p.escrow -= fee;
        if (!toKeeper) a = _addCash(a, p, Cast.toInt(fee));
        _storeAccount(account, a);
        if (toKeeper) _pay(p, keeper, fee);
        _storePool(p);
    }

    function fill(FillOrder calldata order) external holding {
        require(msg.sender == ORDER_BOOK, NotPeer(msg.sender));
        _fill(order);
    }

    function _solvencyModule() internal view override returns (address) {
        return SOLVENCY_MODULE;
    }

    // ── views ──────────────────────────────────────────────────────────────

    function load(bytes32[] calldata slots) external view returns (bytes32[] memory words) {
        require(lockedBy_ == address(0), Locked());
        words = new bytes32[](slots.length);
        for (uint256 i; i < slots.length; ++i) {
            bytes32 slot = slots[i];
            bytes32 word;
            assembly ("memory-safe") {
                word := sload(slot)
            }
            words[i] = word;
        }
    }

    function poolNav(PoolId pool) external view returns (int256) {
        require(lockedBy_ == address(0), Locked());
        return _nav(_loadPool(pool));
    }

    function simulate(address target, bytes calldata data) external {
        require(lockedBy_ == address(0), Locked());
        // Whatever runs here, in this contract or elsewhere, is undone by the revert.
        (bool success, bytes memory result) = target.delegatecall(data);
        revert Simulated(success, result);
    }

    // ── the rest is delegated ──────────────────────────────────────────────

    /// @notice Liquidation and solvency by name, administration otherwise.
    fallback() external {
        address module = ADMIN_MODULE;
        if (msg.sig == IClearinghouse.liquidate.selector || msg.sig == IClearinghouse.buyCollateral.selector) {
            module = LIQUIDATION_MODULE;
        } else if (
            msg.sig == IClearinghouse.deleverage.selector || msg.sig == IClearinghouse.closeSettled.selector
                || msg.sig == IClearinghouse.lpStrike.selector || msg.sig == IClearinghouse.lpSettle.selector
                || msg.sig == IClearinghouse.lpDeposit.selector || msg.sig == IClearinghouse.lpClaim.selector
                || msg.sig == IClearinghouse.claim.selector || msg.sig == IClearinghouse.fundInsurance.selector
        ) {
            module = SOLVENCY_MODULE;
        }
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let success := delegatecall(gas(), module, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(success) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }
}
