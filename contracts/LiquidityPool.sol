// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IClearinghouse, StrikeState} from "./interfaces/IClearinghouse.sol";
import {IClearinghouseErrors} from "./interfaces/IClearinghouseErrors.sol";
import {ILiquidityPool, PoolTerms} from "./interfaces/ILiquidityPool.sol";
import {FixedMath} from "./libraries/FixedMath.sol";
import {Book, Epoch, PoolBook, Side} from "./libraries/PoolBook.sol";
import {PoolMath} from "./libraries/PoolMath.sol";
import {ShareToken} from "./ShareToken.sol";
import {AccountId, IdLib, PoolId} from "./types/Ids.sol";

/// @title The share token of one pool
/// @notice Holds shares (waiting redemptions, deposits not yet claimed) and no money: that is in the Clearinghouse.
contract LiquidityPool is ILiquidityPool, ShareToken {
    using PoolBook for Book;

    /// @notice Of the epoch length, and of the delay after it.
    uint256 public constant LEAST_TIME = 1 hours;
    uint256 public constant LARGEST_EPOCH = 30 days;
    uint256 public constant LARGEST_DELAY = 7 days;
    uint256 public constant LEAST_SHARE_PRICE = 1e15;
    uint256 public constant LARGEST_SHARE_PRICE = 1e18;
    uint256 public constant LARGEST_REWARD = 1000e18;
    /// @notice Holds the shares of the dead deposit.
    address public constant DEAD = 0x000000000000000000000000000000000000dEaD;

    PoolId public immutable POOL_ID;
    uint256 public immutable START;
    uint256 public immutable EPOCH_LENGTH;
    uint256 public immutable LP_DELAY;
    /// @notice Native units.
    uint256 public immutable MIN_DEPOSIT;
    /// @notice The settlement asset.
    address public immutable asset;
    /// WAD per native unit
    uint256 private immutable UNIT;

    Book private _book;
    uint256 public minSharePrice;
    uint256 public strikeReward;
    mapping(address controller => mapping(address operator => bool)) public isOperator;

    modifier only(address account) {
        require(_mayActFor(account), NotAuthorised(account, msg.sender));
        _;
    }

    /// @param asset_ the settlement asset of the pool
    constructor(
        IClearinghouse clearinghouse,
        PoolId pool,
        IERC20Metadata asset_,
        address owner_,
        string memory name_,
        string memory symbol_,
        PoolTerms memory terms
    ) ShareToken(clearinghouse, owner_, name_, symbol_) {
        uint256 decimals_ = asset_.decimals();
        require(decimals_ <= 18, DecimalsOutOfRange(decimals_, 18));
        (uint256 length, uint256 delay) = (terms.epochLength, terms.lpDelay);
        require(
            length >= LEAST_TIME && length <= LARGEST_EPOCH, EpochLengthOutOfRange(length, LEAST_TIME, LARGEST_EPOCH)
        );
        require(delay >= LEAST_TIME && delay <= LARGEST_DELAY, LpDelayOutOfRange(delay, LEAST_TIME, LARGEST_DELAY));
        uint256 unit = 10 ** (18 - decimals_);
        (uint256 least, uint256 largest) = (FixedMath.divUp(1e16, unit), 1e21 / unit);
        uint256 minDeposit = terms.minDeposit;
        require(minDeposit >= least && minDeposit <= largest, MinDepositOutOfRange(minDeposit, least, largest));
        (POOL_ID, asset, UNIT, START) = (pool, address(asset_), unit, block.timestamp);
        (EPOCH_LENGTH, LP_DELAY, MIN_DEPOSIT) = (length, delay, minDeposit);
        _setTerms(terms.minSharePrice, terms.strikeReward);
        _book.queue = PoolMath.emptyQueue();
    }

    // ── requests ───────────────────────────────────────────────────────────

    /// @inheritdoc ILiquidityPool
    function requestDeposit(uint256 assets, address controller, address owner)
        external
        only(owner)
        only(controller)
        locking
        returns (uint256 requestId)
    {
        require(assets >= MIN_DEPOSIT, BelowMinDeposit(assets, MIN_DEPOSIT));
        require(totalSupply() != 0, NotSeeded());
        requestId = currentEpoch();
        _book.record(Side.Deposit, controller, requestId, assets);
        emit DepositRequest(controller, owner, requestId, msg.sender, assets);
        CLEARINGHOUSE.lpDeposit(POOL_ID, owner, assets);
    }

    /// @inheritdoc ILiquidityPool
    function requestRedeem(uint256 shares, address controller, address owner)
        external
        only(controller)
        unlocked
        returns (uint256 requestId)
    {
        require(shares != 0, IClearinghouseErrors.ZeroAmount());
        if (!_mayActFor(owner)) _spendAllowance(owner, msg.sender, shares);
        requestId = currentEpoch();
        _transfer(owner, address(this), shares);
        _book.record(Side.Redeem, controller, requestId, shares);
        emit RedeemRequest(controller, owner, requestId, msg.sender, shares);
    }

    // ── strike ─────────────────────────────────────────────────────────────

    /// @inheritdoc ILiquidityPool
    function seed(uint256 assets) external locking {
        require(totalSupply() == 0, AlreadySeeded());
        require(assets >= MIN_DEPOSIT, BelowMinDeposit(assets, MIN_DEPOSIT));
        CLEARINGHOUSE.lpDeposit(POOL_ID, msg.sender, assets);
        int256 nav = CLEARINGHOUSE.lpStrike(POOL_ID).navEntry;
        require(nav >= 0, NegativeNav(nav));
        uint256 shares = assets * UNIT + uint256(nav);
        _mint(DEAD, shares);
        emit Seeded(msg.sender, assets, shares);
        CLEARINGHOUSE.lpSettle(POOL_ID, assets * UNIT, 0, 0, 0, IdLib.toAccount(msg.sender, POOL_ID, 0));
    }

    /// @inheritdoc ILiquidityPool
    function strike(AccountId keeper) external locking {
        uint256 ready = _readyThrough();
        require(_book.isDue(ready), NothingToStrike(strikeTime(FixedMath.max(ready, _book.struckThrough) + 1)));
        (uint256 number, uint256 deposited, uint256 waiting) = _book.collect(ready);
        StrikeState memory state = CLEARINGHOUSE.lpStrike(POOL_ID);
        uint256 supply = totalSupply();
        uint256 shares = deposited == 0
            ? 0
            : PoolMath.minted(deposited * UNIT, state.navEntry, supply, minSharePrice, MIN_DEPOSIT * UNIT);
        (uint256 burnt, uint256 paid) = PoolMath.redeemed(waiting, state.navExit, supply, state.payable_, UNIT);
        uint256 reward = deposited + paid == 0 ? 0 : FixedMath.min(strikeReward, state.fees);

        waiting = _book.settle(number, deposited, shares, waiting, burnt, paid);
        if (shares != 0) _mint(address(this), shares);
        if (burnt != 0) _burn(address(this), burnt);
        uint256 refunded = shares == 0 ? deposited : 0;
        deposited -= refunded;
        emit EpochStruck(
            number,
            _book.struckThrough,
            keeper,
            state.navEntry,
            state.navExit,
            deposited,
            refunded,
            shares,
            burnt,
            paid,
            waiting,
            reward
        );
        CLEARINGHOUSE.lpSettle(POOL_ID, deposited * UNIT, refunded * UNIT, paid * UNIT, reward, keeper);
    }

    // ── claims ─────────────────────────────────────────────────────────────

    function deposit(uint256 assets, address receiver) external returns (uint256) {
        return deposit(assets, receiver, msg.sender);
    }

    /// @inheritdoc ILiquidityPool
    function deposit(uint256 assets, address receiver, address controller)
        public
        only(controller)
        unlocked
        returns (uint256 shares)
    {
        (, shares) = _take(Side.Deposit, controller, assets, false);
        _giveShares(assets, shares, receiver, controller);
    }

    function mint(uint256 shares, address receiver) external returns (uint256) {
        return mint(shares, receiver, msg.sender);
    }

    /// @inheritdoc ILiquidityPool
    function mint(uint256 shares, address receiver, address controller)
        public
        only(controller)
        unlocked
        returns (uint256 assets)
    {
        (assets,) = _take(Side.Deposit, controller, shares, true);
        _giveShares(assets, shares, receiver, controller);
    }

    /// @notice Takes the money of `shares` that were paid; see `deposit`.
    function redeem(uint256 shares, address receiver, address controller)
        external
        only(controller)
        locking
        returns (uint256 assets)
    {
        (, assets) = _take(Side.Redeem, controller, shares, false);
        _giveAssets(assets, shares, receiver, controller);
    }

    /// @notice Takes `assets` (native units) of the money of shares that were paid.
    function withdraw(uint256 assets, address receiver, address controller)
        external
        only(controller)
        locking
        returns (uint256 shares)
    {
        (shares,) = _take(Side.Redeem, controller, assets, true);
        _giveAssets(assets, shares, receiver, controller);
    }

    /// @inheritdoc ILiquidityPool
    function claimRefund(uint256 requestId, address receiver, address controller)
        external
        only(controller)
        locking
        returns (uint256 assets)
    {
        assets = _book.takeRefund(controller, requestId);
        require(assets != 0, NothingToRefund(requestId, controller));
        emit RefundClaimed(controller, receiver, requestId, assets);
        CLEARINGHOUSE.lpClaim(POOL_ID, receiver, assets);
    }

    function _take(Side side, address controller, uint256 wanted, bool wantedOut) private returns (uint256, uint256) {
        require(wanted != 0, IClearinghouseErrors.ZeroAmount());
        return _book.take(side, controller, wanted, wantedOut);
    }

    function _giveShares(uint256 assets, uint256 shares, address receiver, address controller) private {
        require(receiver != address(this), ERC20InvalidReceiver(receiver));
        _transfer(address(this), receiver, shares);
        emit Deposit(controller, receiver, assets, shares);
    }

    /// @dev Some shares of a request may be worth less than a native unit: their turn pays nothing, its last claim the rest.
    function _giveAssets(uint256 assets, uint256 shares, address receiver, address controller) private {
        require(receiver != address(0), IClearinghouseErrors.ZeroAddress());
        emit Withdraw(msg.sender, receiver, controller, assets, shares);
        if (assets != 0) CLEARINGHOUSE.lpClaim(POOL_ID, receiver, assets);
    }

    // ── what requests have become ──────────────────────────────────────────

    /// @inheritdoc ILiquidityPool
    function pendingDepositRequest(uint256 requestId, address controller) external view unlocked returns (uint256) {
        return _book.pending(Side.Deposit, controller, requestId);
    }

    /// @inheritdoc ILiquidityPool
    function claimableDepositRequest(uint256 requestId, address controller) external view unlocked returns (uint256 a) {
        (a,) = _book.claimable(Side.Deposit, controller, requestId);
    }

    /// @inheritdoc ILiquidityPool
    function refundableDepositRequest(uint256 requestId, address controller) external view unlocked returns (uint256) {
        return _book.refundable(controller, requestId);
    }

    /// @inheritdoc ILiquidityPool
    function pendingRedeemRequest(uint256 requestId, address controller) external view unlocked returns (uint256) {
        return _book.pending(Side.Redeem, controller, requestId);
    }

    /// @inheritdoc ILiquidityPool
    function claimableRedeemRequest(uint256 requestId, address controller) external view unlocked returns (uint256 s) {
        (s,) = _book.claimable(Side.Redeem, controller, requestId);
    }

    /// @notice Native units, at request, that `deposit` would take.
    function maxDeposit(address controller) external view unlocked returns (uint256 assets) {
        (assets,) = _book.claimableTotal(Side.Deposit, controller);
    }

    /// @notice Shares that `mint` would take.
    function maxMint(address controller) external view unlocked returns (uint256 shares) {
        (, shares) = _book.claimableTotal(Side.Deposit, controller);
    }

    /// @notice Native units that `withdraw` would take.
    function maxWithdraw(address controller) external view unlocked returns (uint256 assets) {
        (, assets) = _book.claimableTotal(Side.Redeem, controller);
    }

    /// @notice Shares that `redeem` would take.
    function maxRedeem(address controller) external view unlocked returns (uint256 shares) {
        (shares,) = _book.claimableTotal(Side.Redeem, controller);
    }

    // ── value ──────────────────────────────────────────────────────────────

    /// @notice NAV of the pool, at least 0, native units rounded down.
    function totalAssets() external view returns (uint256) {
        return _nav() / UNIT;
    }

    /// @notice What `assets` would buy at the present NAV, rounded down; 0 while NAV ≤ 0, when deposits are refused.
    function convertToShares(uint256 assets) external view returns (uint256) {
        (uint256 nav, uint256 supply) = (_nav(), totalSupply());
        return nav == 0 && supply != 0 ? 0 : PoolMath.sharesDown(assets * UNIT, nav, supply);
    }

    /// @notice What `shares` are worth at the present NAV, native units rounded down.
    function convertToAssets(uint256 shares) external view returns (uint256) {
        return PoolMath.assetsDown(shares, _nav(), totalSupply()) / UNIT;
    }

    /// @dev The ledger refuses this while the lock is held.
    function _nav() private view returns (uint256) {
        return FixedMath.positivePart(CLEARINGHOUSE.poolNav(POOL_ID));
    }

    function previewDeposit(uint256) external pure returns (uint256) {
        revert PreviewNotSupported();
    }

    function previewMint(uint256) external pure returns (uint256) {
        revert PreviewNotSupported();
    }

    function previewWithdraw(uint256) external pure returns (uint256) {
        revert PreviewNotSupported();
    }

    function previewRedeem(uint256) external pure returns (uint256) {
        revert PreviewNotSupported();
    }

    // ── epochs ─────────────────────────────────────────────────────────────

    /// @inheritdoc ILiquidityPool
    function currentEpoch() public view returns (uint256) {
        return 1 + (block.timestamp - START) / EPOCH_LENGTH;
    }

    /// @inheritdoc ILiquidityPool
    function strikeTime(uint256 epoch) public view returns (uint256) {
        return START + epoch * EPOCH_LENGTH + LP_DELAY;
    }

    function _readyThrough() private view returns (uint256) {
        return block.timestamp < START + LP_DELAY ? 0 : (block.timestamp - LP_DELAY - START) / EPOCH_LENGTH;
    }

    /// @inheritdoc ILiquidityPool
    function canStrike() external view returns (bool) {
        return _book.isDue(_readyThrough());
    }

    /// @inheritdoc ILiquidityPool
    function epochState(uint256 epoch) external view returns (uint256 deposits, uint256 redeems, uint256 number) {
        Epoch storage e = _book.epochs[epoch];
        return (e.deposits, e.redeems, e.strike);
    }

    /// @inheritdoc ILiquidityPool
    function queueState() external view returns (uint256 waiting, uint256 through, uint256 strikes) {
        return (_book.queue.shares, _book.struckThrough, _book.strikeCount);
    }

    // ── the rest ───────────────────────────────────────────────────────────

    /// @inheritdoc ILiquidityPool
    function setOperator(address operator, bool approved) external unlocked returns (bool) {
        isOperator[msg.sender][operator] = approved;
        emit OperatorSet(msg.sender, operator, approved);
        return true;
    }

    function _mayActFor(address account) private view returns (bool) {
        return msg.sender == account || isOperator[account][msg.sender];
    }

    /// @inheritdoc ILiquidityPool
    function setTerms(uint256 minSharePrice_, uint256 strikeReward_) external unlocked onlyOwner {
        _setTerms(minSharePrice_, strikeReward_);
    }

    function _setTerms(uint256 price, uint256 reward) private {
        require(
            price >= LEAST_SHARE_PRICE && price <= LARGEST_SHARE_PRICE,
            MinSharePriceOutOfRange(price, LEAST_SHARE_PRICE, LARGEST_SHARE_PRICE)
        );
        require(reward <= LARGEST_REWARD, StrikeRewardOutOfRange(reward, LARGEST_REWARD));
        (minSharePrice, strikeReward) = (price, reward);
        emit TermsSet(price, reward);
    }

    /// @inheritdoc ILiquidityPool
    function share() external view returns (address) {
        return address(this);
    }

    /// @notice ERC-165, ERC-7540 operators, ERC-7575, ERC-7540 deposits and redemptions.
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == 0xe3bc4e65 || id == 0x2f0a18c5 || id == 0xce3bbe50 || id == 0x620ee8e4;
    }
}
