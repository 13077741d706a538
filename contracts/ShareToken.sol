// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IClearinghouse} from "./interfaces/IClearinghouse.sol";
import {IClearinghouseErrors} from "./interfaces/IClearinghouseErrors.sol";

/// @title An ERC-20 with permit and an owner, 18 decimals, that stands still while the Clearinghouse's lock is held
/// @notice Every function that changes state is refused with `Locked` then, the owner's included.
abstract contract ShareToken is ERC20Permit, Ownable2Step {
    IClearinghouse public immutable CLEARINGHOUSE;

    /// @dev For what calls the ledger: takes the one lock, so nothing else of the protocol can be entered.
    modifier locking() {
        CLEARINGHOUSE.lock();
        _;
        CLEARINGHOUSE.unlock();
    }

    /// @dev For what does not.
    modifier unlocked() {
        require(!CLEARINGHOUSE.isLocked(), IClearinghouseErrors.Locked());
        _;
    }

    constructor(IClearinghouse clearinghouse, address owner_, string memory name_, string memory symbol_)
        ERC20(name_, symbol_)
        ERC20Permit(name_)
        Ownable(owner_)
    {
        CLEARINGHOUSE = clearinghouse;
    }

    /// @notice ERC-20; shares sent to this contract itself would be lost, so it refuses them.
    function transfer(address to, uint256 amount) public override unlocked returns (bool) {
        require(to != address(this), ERC20InvalidReceiver(to));
        return super.transfer(to, amount);
    }

    /// @notice ERC-20; as `transfer`.
    function transferFrom(address from, address to, uint256 amount) public override unlocked returns (bool) {
        require(to != address(this), ERC20InvalidReceiver(to));
        return super.transferFrom(from, to, amount);
    }

    function approve(address spender, uint256 amount) public override unlocked returns (bool) {
        return super.approve(spender, amount);
    }

    function permit(address owner_, address spender, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        public
        override
        unlocked
    {
        super.permit(owner_, spender, amount, deadline, v, r, s);
    }

    function transferOwnership(address newOwner) public override unlocked {
        super.transferOwnership(newOwner);
    }

    function acceptOwnership() public override unlocked {
        super.acceptOwnership();
    }

    function renounceOwnership() public override unlocked {
        super.renounceOwnership();
    }
}
