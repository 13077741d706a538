// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Book, PoolBook, Side} from "../../libraries/PoolBook.sol";
import {PoolMath} from "../../libraries/PoolMath.sol";

/// @notice The functions of PoolBook as entry points, on one book.
contract BookHarness {
    Book private _book;

    function begin() external {
        _book.queue = PoolMath.emptyQueue();
    }

    function record(Side side, address controller, uint256 epoch, uint256 amount) external {
        PoolBook.record(_book, side, controller, epoch, amount);
    }

    function isDue(uint256 ready) external view returns (bool) {
        return PoolBook.isDue(_book, ready);
    }

    function collect(uint256 ready) external returns (uint256 number, uint256 deposited, uint256 waiting) {
        return PoolBook.collect(_book, ready);
    }

    function settle(uint256 number, uint256 deposited, uint256 shares, uint256 waiting, uint256 burnt, uint256 paid)
        external
        returns (uint256 left)
    {
        return PoolBook.settle(_book, number, deposited, shares, waiting, burnt, paid);
    }

    function take(Side side, address controller, uint256 wanted, bool wantedOut)
        external
        returns (uint256 taken, uint256 given)
    {
        return PoolBook.take(_book, side, controller, wanted, wantedOut);
    }

    function takeRefund(address controller, uint256 epoch) external returns (uint256) {
        return PoolBook.takeRefund(_book, controller, epoch);
    }

    function pending(Side side, address controller, uint256 epoch) external view returns (uint256) {
        return PoolBook.pending(_book, side, controller, epoch);
    }

    function claimable(Side side, address controller, uint256 epoch) external view returns (uint256, uint256) {
        return PoolBook.claimable(_book, side, controller, epoch);
    }

    function claimableTotal(Side side, address controller) external view returns (uint256, uint256) {
        return PoolBook.claimableTotal(_book, side, controller);
    }

    function refundable(address controller, uint256 epoch) external view returns (uint256) {
        return PoolBook.refundable(_book, controller, epoch);
    }
}
