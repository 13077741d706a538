// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWord, QueueWord, QueueWordLib} from "../types/OrderWords.sol";

/// @notice Pending orders of one account in one market, first placed first.
/// @param word counters and the head
/// @param ring the orders behind the head; no place is ever cleared, so that the next order finds it in use
struct Queue {
    QueueWord word;
    OrderWord[8] ring;
}

using OrderQueue for Queue global;

/// @notice Adds, finds and removes. `word` is always the queue's word as it is stored, so that it is read once.
library OrderQueue {
    /// @notice Adds an order with id `id` behind all others; there must be a free place.
    function append(Queue storage queue, QueueWord word, OrderWord order, uint256 id) internal {
        uint256 count = word.count();
        if (count == 0) {
            queue.word = QueueWordLib.pack(order, id, 1, 0);
        } else {
            queue.ring[word.place(count)] = order;
            queue.word = QueueWordLib.pack(word.head(), id, count + 1, word.first());
        }
    }

    /// @notice Takes the head away; there must be one.
    function removeHead(Queue storage queue, QueueWord word) internal {
        uint256 count = word.count();
        if (count == 1) {
            queue.word = word.withCount(0);
        } else {
            uint256 next = word.place(1);
            queue.word = QueueWordLib.pack(queue.ring[next], word.lastId(), count - 1, next);
        }
    }

    /// @notice Takes the last order away; there must be one.
    function removeLast(Queue storage queue, QueueWord word) internal {
        queue.word = word.withCount(word.count() - 1);
    }

    /// @notice The order `behind` the head, 0 for the head itself; behind < count.
    function get(Queue storage queue, QueueWord word, uint256 behind) internal view returns (OrderWord) {
        return behind == 0 ? word.head() : queue.ring[word.place(behind)];
    }

    /// @return 1 for the head, 2 for the one behind it …, 0 when no pending order has this hash
    function position(Queue storage queue, QueueWord word, bytes32 hash) internal view returns (uint256) {
        uint256 count = word.count();
        for (uint256 i; i < count; ++i) {
            if (get(queue, word, i).isOf(hash)) return i + 1;
        }
        return 0;
    }
}
