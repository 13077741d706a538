// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderQueue, Queue} from "../../libraries/OrderQueue.sol";
import {OrderWord, OrderWordLib} from "../../types/OrderWords.sol";

/// @notice The functions of OrderQueue as entry points, on one queue.
contract QueueHarness {
    Queue private _queue;

    function append(bytes32 hash, uint256 priceTime, uint256 id) external {
        OrderQueue.append(_queue, _queue.word, OrderWordLib.pack(hash, priceTime), id);
    }

    function removeHead() external {
        OrderQueue.removeHead(_queue, _queue.word);
    }

    function removeLast() external {
        OrderQueue.removeLast(_queue, _queue.word);
    }

    function get(uint256 behind) external view returns (OrderWord) {
        return OrderQueue.get(_queue, _queue.word, behind);
    }

    function position(bytes32 hash) external view returns (uint256) {
        return OrderQueue.position(_queue, _queue.word, hash);
    }

    function counters() external view returns (uint256 lastId, uint256 count) {
        return (_queue.word.lastId(), _queue.word.count());
    }
}
