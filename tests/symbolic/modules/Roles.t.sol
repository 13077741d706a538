// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AdminModule} from "../../../contracts/AdminModule.sol";
import {IClearinghouseAdmin} from "../../../contracts/interfaces/IClearinghouseAdmin.sol";
import {IClearinghouseErrors} from "../../../contracts/interfaces/IClearinghouseErrors.sol";
import {IOracleHub} from "../../../contracts/interfaces/IOracleHub.sol";
import {
    MarginWord,
    MarketFlags,
    Pause,
    PoolRiskWord,
    PoolSettlementWord
} from "../../../contracts/types/ConfigWords.sol";
import {IdLib, MarketId, PoolId} from "../../../contracts/types/Ids.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice The administration module with roles, and a pool and a market in place.
/// @dev Names are immutable, not constant: halmos takes a slot that the compiler worked out for one outside of every mapping.
contract Administered is AdminModule {
    PoolId private immutable POOL;
    MarketId private immutable MARKET;

    constructor(address owner_0, address guardian_0, PoolId pool) AdminModule(IOracleHub(address(0)), address(0)) {
        (POOL, MARKET) = (pool, IdLib.toMarket(pool, 0));
        owner_ = owner_0;
        guardian_ = guardian_0;
        poolConfigs_[POOL].settlement = PoolSettlementWord.wrap(1);
        // listed
        marketConfigs_[MARKET].margin = MarginWord.wrap(1 << 224);
    }

    function pauseFlags() external view returns (uint256) {
        return poolConfigs_[POOL].risk.pauseFlags();
    }

    function startPaused(uint256 flags) external {
        poolConfigs_[POOL].risk = PoolRiskWord.wrap(flags << 248);
    }

    function isReduceOnly() external view returns (bool) {
        return marketConfigs_[MARKET].margin.has(MarketFlags.REDUCE_ONLY);
    }
}

/// @notice Who may call the setters of the Clearinghouse: the real administration module, called directly.
contract RolesProofs is Symbolic {
    address private constant OWNER = address(0x1001);
    address private constant GUARDIAN = address(0x1002);
    PoolId private constant POOL = PoolId.wrap(1);
    Administered private admin;

    function setUp() public {
        admin = new Administered(OWNER, GUARDIAN, POOL);
    }

    /// @dev Whether the call of `caller`, whose arguments are any words, ends with the error, or without any because the words are no
    /// arguments.
    function refused(address caller, bytes4 selector, bytes32[32] memory words, bytes4 wanted) private returns (bool) {
        vm.prank(caller);
        (bool ok, bytes memory why) = address(admin).call(abi.encodePacked(selector, words));
        return !ok && (why.length == 0 || bytes4(why) == wanted);
    }

    /// @notice Whoever is not the owner is refused as such by every setter of pools, markets, collateral, fees and roles, whatever the
    /// arguments
    /// @custom:bound every caller but the owner, any 32 words of arguments
    function check_setters_refuse_everyone_but_the_owner(address caller, bytes32[32] memory words) public {
        vm.assume(caller != OWNER);
        bytes4[10] memory selectors = [
            admin.createPool.selector,
            admin.setPool.selector,
            admin.setShareToken.selector,
            admin.listMarket.selector,
            admin.setMarket.selector,
            admin.listCollateral.selector,
            admin.setCollateral.selector,
            admin.settleMarket.selector,
            admin.sweepFees.selector,
            admin.setGuardian.selector
        ];
        for (uint256 i; i < selectors.length; ++i) {
            assert(refused(caller, selectors[i], words, IClearinghouseErrors.NotOwner.selector));
        }
        assert(refused(caller, admin.offerOwnership.selector, words, IClearinghouseErrors.NotOwner.selector));
        assert(admin.owner() == OWNER && admin.guardian() == GUARDIAN && admin.pendingOwner() == address(0));
    }

    /// @notice Whoever is neither owner nor guardian is refused as such when pausing, setting reduce-only or lowering caps, whatever the
    /// arguments
    /// @custom:bound every caller but owner and guardian, any 32 words of arguments
    function check_guardian_setters_refuse_everyone_else(address caller, bytes32[32] memory words) public {
        vm.assume(caller != OWNER && caller != GUARDIAN);
        assert(refused(caller, admin.setPause.selector, words, IClearinghouseErrors.NotGuardian.selector));
        assert(refused(caller, admin.setReduceOnly.selector, words, IClearinghouseErrors.NotGuardian.selector));
        assert(refused(caller, admin.lowerCaps.selector, words, IClearinghouseErrors.NotGuardian.selector));
        assert(admin.pauseFlags() == 0);
    }

    /// @notice The guardian can set exactly the pause flags that keep all that are set: none is ever cleared by him
    /// @custom:bound every set of flags before and after
    function check_guardian_only_adds_pauses(uint8 before, uint256 flags) public {
        vm.assume(before <= Pause.ALL);
        admin.startPaused(before);
        vm.prank(GUARDIAN);
        try admin.setPause(POOL, flags) {
            assert(admin.pauseFlags() == flags && flags & before == before && flags <= Pause.ALL);
        } catch {
            assert(admin.pauseFlags() == before && (flags & before != before || flags > Pause.ALL));
        }
    }

    /// @notice The guardian can switch reduce-only on but never off
    /// @custom:bound one market, and any other for switching off
    function check_guardian_never_ends_reduce_only(uint24 market) public {
        vm.prank(GUARDIAN);
        admin.setReduceOnly(IdLib.toMarket(POOL, 0), true);
        assert(admin.isReduceOnly());
        vm.prank(GUARDIAN);
        (bool ok, bytes memory why) =
            address(admin).call(abi.encodeCall(admin.setReduceOnly, (MarketId.wrap(market), false)));
        assert(!ok && bytes4(why) == IClearinghouseAdmin.GuardianMayOnlyReduce.selector);
        assert(admin.isReduceOnly());
    }

    /// @notice Ownership passes only from the owner's offer to the one it was offered to
    /// @custom:bound every offered address, every caller
    function check_ownership_takes_two_steps(address offered, address caller) public {
        vm.prank(OWNER);
        admin.offerOwnership(offered);
        assert(admin.owner() == OWNER);
        vm.prank(caller);
        (bool ok,) = address(admin).call(abi.encodeCall(admin.takeOwnership, ()));
        assert(ok == (caller == offered));
        assert(admin.owner() == (ok ? caller : OWNER));
    }
}
